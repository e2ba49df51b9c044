//! From a profile as written to one that reads rows: every name looked up, every label stated.

use std::collections::BTreeMap;

use hashpact_keys::Jurisdiction;
use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::labels::{LegalBasis, LegalStatus, Recipient, State, Tlp};
use hashpact_protocol::lists::Set;
use hashpact_protocol::record::{Flag, LocalLabel, Priority, Retention};
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
use super::{FieldRules, Format, LabelRule, LabelRules, Problem, Profile, Role};
use crate::ingest::crosswalk::{Crosswalk, CrosswalkError};
use crate::ingest::parts::Shape;
use crate::ingest::report::Code;

pub(super) fn compile(text: &str, crosswalk: Option<Crosswalk>) -> Compiled<Profile> {
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
        shape: None,
    };
    let (format, hashes) = container(&raw, &mut columns)?;
    let role = role(&raw, &format)?;
    let days = numbers(&raw, &format, &mut columns)?;
    let label = local_label(&raw.label, &mut columns)?;
    national(&raw, &label)?;
    let crosswalk = crosswalk_of(&raw.label, crosswalk)?;
    let labels = labels(&raw, crosswalk.as_ref(), &mut columns)?;
    granted_only(&raw, &format, &labels)?;
    let fields = fields(&raw.fields, crosswalk.as_ref(), &mut columns)?;
    let mut varying: Vec<usize> = label.value.as_ref().ok().copied().into_iter().collect();
    varying.extend(labels.columns().chain(fields.columns()));
    varying.extend(days.suspected);
    varying.sort_unstable();
    varying.dedup();
    let Numbers {
        byte_length,
        pdq_quality,
        entered_on,
        assessed_on,
        review_on,
        source_ref,
        series,
        suspected,
    } = days;
    Ok(Profile {
        name: raw.source.name,
        role,
        format,
        columns: columns.names,
        hashes,
        byte_length,
        pdq_quality,
        entered_on,
        assessed_on,
        review_on,
        source_ref,
        series,
        suspected,
        crosswalk,
        label,
        labels,
        fields,
        varying,
    })
}

/// Columns whose cells differ from row to row.
struct Numbers {
    byte_length: Option<usize>,
    pdq_quality: Option<usize>,
    entered_on: Option<usize>,
    assessed_on: Option<usize>,
    review_on: Option<usize>,
    source_ref: Option<usize>,
    series: Option<usize>,
    suspected: Option<usize>,
}

fn numbers(raw: &RawProfile, format: &Format, columns: &mut Columns) -> Compiled<Numbers> {
    let mut stated = |pick: fn(&RawColumns) -> &Stated<String>| {
        let stated = raw
            .columns
            .as_ref()
            .and_then(|raw| pick(raw.get_ref()).as_ref());
        stated.map(|name| columns.find(name)).transpose()
    };
    let (byte_length, pdq_quality) = (
        stated(|raw| &raw.byte_length)?,
        stated(|raw| &raw.pdq_quality)?,
    );
    let (entered_on, assessed_on) = (
        stated(|raw| &raw.entered_on)?,
        stated(|raw| &raw.assessed_on)?,
    );
    let (review_on, source_ref) = (
        stated(|raw| &raw.review_on)?,
        stated(|raw| &raw.source_ref)?,
    );
    let mut own = |pick: fn(&Shape) -> Option<&'static str>| {
        let part = format.shape().and_then(pick)?;
        let known = columns.names.iter().position(|name| name == part);
        Some(known.unwrap_or_else(|| {
            columns.names.push(part.to_owned());
            columns.names.len() - 1
        }))
    };
    Ok(Numbers {
        byte_length: byte_length.or_else(|| own(|shape| shape.byte_length)),
        pdq_quality,
        entered_on: entered_on.or_else(|| own(|shape| shape.entered_on)),
        assessed_on: assessed_on.or_else(|| own(|shape| shape.assessed_on)),
        review_on,
        source_ref,
        series: own(|shape| shape.series),
        suspected: own(|shape| shape.suspected),
    })
}

/// A list of harmless media has the same form as one of abuse, so VICS files must say which they are.
fn role(raw: &RawProfile, format: &Format) -> Compiled<Role> {
    match (&raw.source.role, format) {
        (None, Format::Vics { .. }) => fault(0, Problem::Role),
        (None, _) => Ok(Role::List),
        (Some(stated), _) => match stated.get_ref().as_str() {
            "list" => Ok(Role::List),
            "guard" => Ok(Role::Guard),
            _ => fault(stated.span().start, Problem::Role),
        },
    }
}

/// Category numbers are national: the profile names the country, and the scheme of its labels does.
fn national(raw: &RawProfile, label: &LabelRule) -> Compiled<()> {
    let is_vics = raw.source.format.as_ref();
    if is_vics.is_none_or(|format| format.get_ref() != "vics") {
        return Ok(());
    }
    let national = raw.source.national.as_ref();
    let code = national.map(|national| national.get_ref().as_str());
    let code: Option<Jurisdiction> = code.and_then(|code| code.parse().ok());
    let scheme = match &code {
        Some(code) => format!("vics-{}", code.to_string().to_ascii_lowercase()),
        None => "vics-us".to_owned(),
    };
    if code.is_some() && label.scheme == scheme {
        return Ok(());
    }
    let at = national.map_or(raw.label.span().start, |national| national.span().start);
    fault(at, Problem::National { scheme })
}

/// What INTERPOL's rows may be used for: law enforcement, not passed on, unless a document allows more.
fn granted_only(raw: &RawProfile, format: &Format, labels: &LabelRules) -> Compiled<()> {
    let is_icse = format.shape().is_some_and(|shape| shape.name == "icse");
    if !is_icse || raw.source.grant.is_some() {
        return Ok(());
    }
    let le = Set::of(&[Recipient::Le]);
    let narrow =
        |rule: &Rule<Set<Recipient>>| matches!(rule, Rule::Constant(set) if set.is_subset(le));
    if !narrow(&labels.recipients) {
        let (name, allowed) = ("recipients", "[\"le\"]");
        return fault(0, Problem::Ungranted { name, allowed });
    }
    if !matches!(labels.hops, Rule::Constant(0)) {
        let (name, allowed) = ("hops", "0");
        return fault(0, Problem::Ungranted { name, allowed });
    }
    Ok(())
}

/// The crosswalk that the label asks for.
fn crosswalk_of(raw: &Spanned<RawLabel>, given: Option<Crosswalk>) -> Compiled<Option<Crosswalk>> {
    let at = raw.span().start;
    let raw = raw.get_ref();
    let wrong = |error| Fault {
        at,
        problem: Problem::Crosswalk(error),
    };
    if !raw.crosswalk {
        return match given {
            None => Ok(None),
            Some(given) => {
                let (scheme, decides) = (given.scheme().to_owned(), "what labels mean".to_owned());
                let write = "write `crosswalk = true` in [label]";
                let name = "crosswalk";
                fault(
                    at,
                    Problem::Governed {
                        name,
                        scheme,
                        decides,
                        write,
                    },
                )
            }
        };
    }
    let walk = match given {
        Some(given) => given,
        None => {
            let scheme = raw.scheme.clone();
            let text = Crosswalk::built_in(&raw.scheme);
            let text = text.ok_or_else(|| wrong(CrosswalkError::None { scheme }))?;
            Crosswalk::from_toml(text, &raw.scheme).map_err(wrong)?
        }
    };
    if walk.scheme() != raw.scheme {
        let (expected, got) = (raw.scheme.clone(), walk.scheme().to_owned());
        return Err(wrong(CrosswalkError::Scheme { expected, got }));
    }
    Ok(Some(walk))
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
    let otherwise = raw.otherwise.as_ref().map(|text| text.get_ref().clone());
    Ok(LabelRule {
        value,
        scheme,
        version,
        issuer,
        otherwise,
    })
}

/// Where a rule stands, for messages.
struct Place<'a> {
    name: &'static str,
    table: usize,
    /// The crosswalk, if it decides this.
    governed: Option<&'a Crosswalk>,
    /// Whether it need not be stated.
    lenient: bool,
}

fn labels(
    profile: &RawProfile,
    walk: Option<&Crosswalk>,
    columns: &mut Columns,
) -> Compiled<LabelRules> {
    let (raw, lenient) = match (&profile.labels, &profile.constants) {
        (Some(raw), None) => (raw, false),
        (None, Some(raw)) => (raw, true),
        (Some(raw), Some(_)) => return fault(raw.span().start, Problem::Labels),
        (None, None) => return fault(0, Problem::Labels),
    };
    let table = raw.span().start;
    let raw = raw.get_ref();
    let at = |name| Place {
        name,
        table,
        governed: walk.filter(|walk| walk.governs(name)),
        lenient,
    };
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

fn fields(
    raw: &RawFields,
    walk: Option<&Crosswalk>,
    columns: &mut Columns,
) -> Compiled<FieldRules> {
    let at = |name| Place {
        name,
        table: 0,
        governed: walk.filter(|walk| walk.governs(name)),
        lenient: true,
    };
    let c = columns;
    let flag = || one(Flag::Unknown);
    Ok(FieldRules {
        age_depicted: stated(c, &raw.age_depicted, at("age_depicted"), uncertain())?,
        pubertal_stage: stated(c, &raw.pubertal_stage, at("pubertal_stage"), uncertain())?,
        victim_status: stated(c, &raw.victim_status, at("victim_status"), uncertain())?,
        source_context: stated(c, &raw.source_context, at("source_context"), uncertain())?,
        priority: stated(c, &raw.priority, at("priority"), one(Priority::Normal))?,
        retention: stated(
            c,
            &raw.retention,
            at("retention"),
            one(Retention::Suspected),
        )?,
        features: [
            stated(c, &raw.activity, at("activity"), flag())?,
            stated(c, &raw.penetrative, at("penetrative"), flag())?,
            stated(c, &raw.animal, at("animal"), flag())?,
            stated(c, &raw.violence, at("violence"), flag())?,
            stated(c, &raw.focus, at("focus"), flag())?,
            stated(c, &raw.pose, at("pose"), flag())?,
            stated(c, &raw.nudity, at("nudity"), flag())?,
        ],
    })
}

fn stated<T: Clone>(
    columns: &mut Columns,
    raw: &Stated<RawValue>,
    place: Place<'_>,
    kind: Kind<T>,
) -> Compiled<Rule<T>> {
    let Some(raw) = raw else {
        // What a crosswalk decides need not be repeated where other fields need not be stated either.
        if place.lenient {
            return Ok(Rule::Constant(kind.not_stated));
        }
        let allowed = format!("{}, or {{ column = \"..\" }}", kind.allowed);
        let problem = Problem::Missing {
            name: place.name,
            allowed,
        };
        return fault(place.table, problem);
    };
    let is_word =
        matches!(raw.get_ref(), RawValue::Names(RawNames(names)) if *names == ["crosswalk"]);
    match (place.governed, is_word) {
        (Some(_), true) => return Ok(Rule::Constant(kind.not_stated)),
        (None, false) => {}
        (Some(walk), false) => {
            let write = "write \"crosswalk\" here";
            return fault(raw.span().start, governed(place.name, walk, write));
        }
        (None, true) => {
            let (name, allowed) = (place.name, kind.allowed);
            return fault(raw.span().start, Problem::Value { name, allowed });
        }
    }
    match raw.get_ref() {
        RawValue::Names(names) => {
            named(names, raw.span().start, place.name, &kind).map(Rule::Constant)
        }
        RawValue::Rule(rule) => column_rule(columns, rule, place.name, kind).map(Rule::Column),
    }
}

fn governed(name: &'static str, walk: &Crosswalk, write: &'static str) -> Problem {
    let decides: Vec<&str> = walk.governed().into_iter().collect();
    Problem::Governed {
        name,
        scheme: walk.scheme().to_owned(),
        decides: decides.join(", "),
        write,
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
    place: Place<'_>,
) -> Compiled<Vec<LegalStatus>> {
    let allowed = "{}, or { CA = { status = \"illegal\" or \"not_illegal\", body = \"name\" } } with at most 16 countries";
    let bad = || Problem::Value {
        name: place.name,
        allowed: allowed.to_owned(),
    };
    let Some(raw) = raw else {
        if place.lenient {
            return Ok(Vec::new());
        }
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
    match place.governed {
        Some(walk) if !list.is_empty() => fault(
            raw.span().start,
            governed(place.name, walk, "write {} here"),
        ),
        Some(_) | None => Ok(list),
    }
}
