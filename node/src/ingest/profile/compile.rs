//! From a profile as written to one that reads rows: every name looked up, every label stated.

use std::collections::BTreeMap;

use hashpact_keys::Jurisdiction;
use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::labels::{LegalBasis, LegalStatus, State, Tlp};
use hashpact_protocol::record::{LocalLabel, Priority, Retention};
use toml::Spanned;

use super::columns::{Columns, Compiled, Fault, container, fault};
use super::raw::{
    RawColumns, RawFields, RawLabel, RawLabels, RawNames, RawProfile, RawRule, RawStatus, RawValue,
    Stated,
};
use super::rule::{
    ColumnRule, Kind, Rule, certain, granted, granted_codes, hops, known, known_codes, one,
    uncertain,
};
use super::{FieldRules, LabelRule, LabelRules, Problem, Profile};
use crate::ingest::report::Code;

pub(super) fn compile(text: &str) -> Compiled<Profile> {
    let raw: RawProfile = toml::from_str(text).map_err(|error| {
        let message = error.message().to_owned();
        let column = message.starts_with("unknown field") && message.contains("`photodna`");
        let problem = if column {
            Problem::Column(message)
        } else {
            Problem::Toml(message)
        };
        Fault {
            at: error.span().map_or(0, |span| span.start),
            problem,
        }
    })?;
    let mut columns = Columns {
        names: Vec::new(),
        allowed: true,
    };
    let (format, hashes) = container(&raw, &mut columns)?;
    let mut optional = |pick: fn(&RawColumns) -> &Stated<String>| {
        let stated = raw
            .columns
            .as_ref()
            .and_then(|raw| pick(raw.get_ref()).as_ref());
        stated.map(|name| columns.find(name)).transpose()
    };
    let byte_length = optional(|raw| &raw.byte_length)?;
    let pdq_quality = optional(|raw| &raw.pdq_quality)?;
    let entered_on = optional(|raw| &raw.entered_on)?;
    let assessed_on = optional(|raw| &raw.assessed_on)?;
    let review_on = optional(|raw| &raw.review_on)?;
    let label = local_label(&raw.label, &mut columns)?;
    let labels = labels(&raw.labels, &mut columns)?;
    let fields = fields(&raw.fields, &mut columns)?;
    let mut varying: Vec<usize> = label.value.as_ref().ok().copied().into_iter().collect();
    varying.extend(labels.columns().chain(fields.columns()));
    varying.sort_unstable();
    varying.dedup();
    Ok(Profile {
        name: raw.source.name,
        format,
        columns: columns.names,
        hashes,
        byte_length,
        pdq_quality,
        entered_on,
        assessed_on,
        review_on,
        label,
        labels,
        fields,
        varying,
    })
}

fn local_label(raw: &Spanned<RawLabel>, columns: &mut Columns) -> Compiled<LabelRule> {
    let at = raw.span().start;
    let raw = raw.get_ref();
    let value = match (&raw.column, &raw.value) {
        (Some(column), None) => Ok(columns.find(column)?),
        (None, Some(value)) => Err(value.get_ref().clone()),
        (Some(_), Some(_)) | (None, None) => return fault(at, Problem::LabelSource),
    };
    let example = LocalLabel {
        scheme: raw.scheme.clone(),
        version: raw.version.clone(),
        issuer: raw.issuer.clone(),
        value: value.clone().err().unwrap_or_else(|| "x".to_owned()),
    };
    if !example.is_acceptable() {
        return fault(at, Problem::Label);
    }
    let LocalLabel {
        scheme,
        version,
        issuer,
        ..
    } = example;
    Ok(LabelRule {
        value,
        scheme,
        version,
        issuer,
    })
}

/// Where a rule stands, for messages.
struct Place {
    name: &'static str,
    table: usize,
}

fn labels(raw: &Spanned<RawLabels>, columns: &mut Columns) -> Compiled<LabelRules> {
    let table = raw.span().start;
    let raw = raw.get_ref();
    let at = |name| Place { name, table };
    let c = columns;
    let rules = LabelRules {
        media_kind: stated(c, &raw.media_kind, at("media_kind"), uncertain())?,
        content_class: stated(c, &raw.content_class, at("content_class"), uncertain())?,
        state: stated(c, &raw.state, at("state"), one(State::Suspected))?,
        depiction: stated(c, &raw.depiction, at("depiction"), uncertain())?,
        minor_certain: stated(c, &raw.minor_certain, at("minor_certain"), certain())?,
        age_claim: stated(c, &raw.age_claim, at("age_claim"), uncertain())?,
        self_generated: stated(c, &raw.self_generated, at("self_generated"), uncertain())?,
        context_flags: stated(c, &raw.context_flags, at("context_flags"), known())?,
        legal_basis: stated(
            c,
            &raw.legal_basis,
            at("legal_basis"),
            one(LegalBasis::None),
        )?,
        legal_status: legal_status(&raw.legal_status, at("legal_status"))?,
        residency: stated(c, &raw.residency, at("residency"), granted_codes())?,
        applicable_law: stated(c, &raw.applicable_law, at("applicable_law"), known_codes())?,
        tlp: stated(c, &raw.tlp, at("tlp"), one(Tlp::Red))?,
        hops: stated(c, &raw.hops, at("hops"), hops())?,
        recipients: stated(c, &raw.recipients, at("recipients"), granted())?,
        purposes: stated(c, &raw.purposes, at("purposes"), granted())?,
    };
    only_narrows(rules, raw)
}

/// An unknown handling label refuses its row; read as anything but RED it would widen what may be done.
fn only_narrows(mut rules: LabelRules, raw: &RawLabels) -> Compiled<LabelRules> {
    if let Rule::Column(rule) = &mut rules.tlp {
        rule.code = Code::TlpUnknown;
        if rule.otherwise.is_some_and(|tlp| tlp != Tlp::Red) {
            let at = raw.tlp.as_ref().map_or(0, |raw| raw.span().start);
            return fault(at, Problem::Widening);
        }
    }
    Ok(rules)
}

fn fields(raw: &RawFields, columns: &mut Columns) -> Compiled<FieldRules> {
    let at = |name| Place { name, table: 0 };
    let c = columns;
    Ok(FieldRules {
        age_depicted: optional(c, &raw.age_depicted, at("age_depicted"), uncertain())?,
        pubertal_stage: optional(c, &raw.pubertal_stage, at("pubertal_stage"), uncertain())?,
        victim_status: optional(c, &raw.victim_status, at("victim_status"), uncertain())?,
        source_context: optional(c, &raw.source_context, at("source_context"), uncertain())?,
        priority: optional(c, &raw.priority, at("priority"), one(Priority::Normal))?,
        retention: optional(
            c,
            &raw.retention,
            at("retention"),
            one(Retention::Suspected),
        )?,
    })
}

fn optional<T: Clone>(
    columns: &mut Columns,
    raw: &Stated<RawValue>,
    place: Place,
    kind: Kind<T>,
) -> Compiled<Rule<T>> {
    match raw {
        None => Ok(Rule::Constant(kind.not_stated)),
        Some(_) => stated(columns, raw, place, kind),
    }
}

fn stated<T: Clone>(
    columns: &mut Columns,
    raw: &Stated<RawValue>,
    place: Place,
    kind: Kind<T>,
) -> Compiled<Rule<T>> {
    let Some(raw) = raw else {
        let allowed = format!("{}, or {{ column = \"..\" }}", kind.allowed);
        let problem = Problem::Missing {
            name: place.name,
            allowed,
        };
        return fault(place.table, problem);
    };
    match raw.get_ref() {
        RawValue::Names(names) => {
            named(names, raw.span().start, place.name, &kind).map(Rule::Constant)
        }
        RawValue::Rule(rule) => column_rule(columns, rule, place.name, kind).map(Rule::Column),
    }
}

fn named<T>(names: &RawNames, at: usize, name: &'static str, kind: &Kind<T>) -> Compiled<T> {
    let texts: Vec<&str> = names.0.iter().map(String::as_str).collect();
    (kind.read)(&texts).ok_or_else(|| Fault {
        at,
        problem: Problem::Value {
            name,
            allowed: kind.allowed.clone(),
        },
    })
}

fn column_rule<T: Clone>(
    columns: &mut Columns,
    raw: &RawRule,
    name: &'static str,
    kind: Kind<T>,
) -> Compiled<ColumnRule<T>> {
    let value = |names: &Spanned<RawNames>| named(names.get_ref(), names.span().start, name, &kind);
    let column = columns.find(&raw.column)?;
    let map = raw.map.as_ref().map(|map| {
        let entry = |(cell, names): (&String, _)| Ok((cell.trim().to_owned(), value(names)?));
        map.iter()
            .map(entry)
            .collect::<Compiled<BTreeMap<String, T>>>()
    });
    let map = map.transpose()?;
    let otherwise = raw.otherwise.as_ref().map(value).transpose()?;
    Ok(ColumnRule {
        column,
        map,
        otherwise,
        read: kind.read,
        not_stated: kind.not_stated,
        code: Code::BadValue,
    })
}

fn legal_status(
    raw: &Stated<BTreeMap<String, Spanned<RawStatus>>>,
    place: Place,
) -> Compiled<Vec<LegalStatus>> {
    let allowed = "{}, or { CA = { status = \"illegal\" or \"not_illegal\", body = \"name\" } } with at most 16 countries";
    let bad = || Problem::Value {
        name: place.name,
        allowed: allowed.to_owned(),
    };
    let Some(raw) = raw else {
        return fault(
            place.table,
            Problem::Missing {
                name: place.name,
                allowed: allowed.to_owned(),
            },
        );
    };
    let mut list = Vec::new();
    for (country, status) in raw.get_ref() {
        let fault = || Fault {
            at: status.span().start,
            problem: bad(),
        };
        let jurisdiction: Jurisdiction = country.parse().map_err(|_| fault())?;
        let illegal = match status.get_ref().status.as_str() {
            "illegal" => true,
            "not_illegal" => false,
            _ => return Err(fault()),
        };
        let body = status.get_ref().body.clone();
        // A body's name follows the rules of an algorithm's that goes by name.
        if Algorithm::from_name(&body).is_none() {
            return Err(fault());
        }
        list.push(LegalStatus {
            jurisdiction,
            illegal,
            body,
        });
    }
    if list.len() > 16 {
        return fault(raw.span().start, bad());
    }
    Ok(list)
}
