//! `profile.toml`: the facts of a profile, read strictly.
//!
//! Why: what differs between countries is data, with its source, so that a new country needs no code. Spec:
//! `docs/policy.md`. In scope: names, facts, grants. Out of scope: the policies beside it (`load`).

use std::collections::BTreeSet;

use hashpact_keys::{Jurisdiction, Timestamp};
use serde::Deserialize;
use toml::Spanned;
use toml::value::Datetime;

use super::fault::{FaultKind, PolicyFault};
use super::grant::{Grant, With};
use super::query::Action;
use super::terms::{MatchMode, MatchTerms};
use crate::labels::{LegalBasis, Purpose, is_token};
use crate::limits;
use crate::lists::{ClosedList, Set, closed_list};

/// The file of the facts.
pub(super) const FILE: &str = "profile.toml";
const DAY_S: u64 = 86_400;

closed_list! {
    /// What a fact about the law of a country is about.
    Topic {
        /// Until which age a person is a child.
        AgeLimit = "age_limit",
        /// Whether apparent age counts.
        ApparentAge = "apparent_age",
        /// Realistic material that a computer made.
        AiRealistic = "ai_realistic",
        /// Drawn and virtual material.
        DrawnVirtual = "drawn_virtual",
        /// Text and sound.
        TextAudio = "text_audio",
        /// What young people made of themselves.
        SelfProduced = "self_produced",
        /// Knowing possession.
        Possession = "possession",
        /// What providers must do.
        ProviderDuty = "provider_duty",
        /// Giving lists to others.
        Outbound = "outbound",
    }
}
closed_list! {
    /// How sure a fact is.
    Mark {
        /// Looked up in public pages.
        LookedUp = "looked_up",
        /// General knowledge that nobody verified.
        Unverified = "unverified",
    }
}

/// One fact about the law of a country. It decides nothing: policies do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What it is about.
    pub topic: Topic,
    /// What it says.
    pub says: String,
    /// Where that stands.
    pub source: String,
    /// How sure it is.
    pub mark: Mark,
}

/// That counsel signed the profile off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counsel {
    /// The first second of that day.
    pub day: Timestamp,
    /// Who.
    pub by: String,
}

/// What `profile.toml` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) name: String,
    pub(super) jurisdiction: Jurisdiction,
    pub(super) purpose: Purpose,
    pub(super) widen_after: u64,
    pub(super) counsel: Option<Counsel>,
    pub(super) facts: Vec<Fact>,
    pub(super) grants: Vec<Grant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    schema: Spanned<u64>,
    name: Spanned<String>,
    jurisdiction: Spanned<String>,
    purpose: Spanned<String>,
    widen_after_hours: Spanned<u64>,
    counsel: Option<CounselTable>,
    #[serde(default)]
    fact: Vec<FactTable>,
    #[serde(default)]
    grant: Vec<GrantTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CounselTable {
    signed_off: Spanned<Datetime>,
    by: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FactTable {
    topic: Spanned<String>,
    says: Spanned<String>,
    source: Spanned<String>,
    mark: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrantTable {
    id: Spanned<String>,
    with: Spanned<WithTable>,
    actions: Spanned<Vec<Spanned<String>>>,
    purposes: Spanned<Vec<Spanned<String>>>,
    basis: Spanned<String>,
    document: Spanned<String>,
    issuer: Spanned<String>,
    from: Spanned<Datetime>,
    until: Spanned<Datetime>,
    #[serde(rename = "match")]
    matching: Option<Spanned<MatchTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MatchTable {
    modes: Spanned<Vec<Spanned<String>>>,
    per_day: Spanned<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WithTable {
    centre: Option<String>,
    member: Option<String>,
    jurisdiction: Option<String>,
}

/// Reads the file; with every fault in it, not only the first.
pub(super) fn read(text: &str) -> Result<Facts, Vec<PolicyFault>> {
    let file: File = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let said = error.message().to_owned();
        vec![PolicyFault::at(FILE, text, at, FaultKind::Facts { said })]
    })?;
    let mut reading = Reading {
        text,
        faults: Vec::new(),
    };
    let facts = reading.facts(&file);
    match facts {
        Some(facts) if reading.faults.is_empty() => Ok(facts),
        Some(_) | None => Err(reading.faults),
    }
}

/// Checks values one by one and keeps what is wrong with them.
struct Reading<'a> {
    text: &'a str,
    faults: Vec<PolicyFault>,
}

impl Reading<'_> {
    fn fault(&mut self, at: usize, kind: FaultKind) {
        self.faults.push(PolicyFault::at(FILE, self.text, at, kind));
    }

    /// The value, or a fault that says what was expected.
    fn expect<T, V>(
        &mut self,
        from: &Spanned<V>,
        value: Option<T>,
        expected: &'static str,
    ) -> Option<T> {
        if value.is_none() {
            self.fault(from.span().start, FaultKind::Value { expected });
        }
        value
    }

    fn facts(&mut self, file: &File) -> Option<Facts> {
        let one = (*file.schema.get_ref() == 1).then_some(());
        let schema = self.expect(&file.schema, one, "1, the version of the schema");
        let name = self.token(&file.name);
        let jurisdiction = file.jurisdiction.get_ref().parse().ok();
        let jurisdiction = self.expect(&file.jurisdiction, jurisdiction, "two letters A-Z");
        let purpose = self.word(&file.purpose, "a purpose");
        let hours = *file.widen_after_hours.get_ref();
        let delay = (hours <= limits::POLICY_WIDEN_HOURS).then(|| hours * 3_600);
        let widen_after = self.expect(&file.widen_after_hours, delay, "at most 8760 hours");
        let counsel = file.counsel.as_ref().map(|table| self.counsel(table));
        let facts: Vec<_> = file.fact.iter().map(|table| self.fact(table)).collect();
        let grants: Vec<_> = file.grant.iter().map(|table| self.grant(table)).collect();
        self.repeated(&file.grant);
        schema?;
        Some(Facts {
            name: name?,
            jurisdiction: jurisdiction?,
            purpose: purpose?,
            widen_after: widen_after?,
            counsel: match counsel {
                Some(counsel) => Some(counsel?),
                None => None,
            },
            facts: facts.into_iter().collect::<Option<_>>()?,
            grants: grants.into_iter().collect::<Option<_>>()?,
        })
    }

    fn counsel(&mut self, table: &CounselTable) -> Option<Counsel> {
        let day = self.day(&table.signed_off);
        let by = self.prose(&table.by);
        Some(Counsel { day: day?, by: by? })
    }

    fn fact(&mut self, table: &FactTable) -> Option<Fact> {
        let topic = self.word(&table.topic, "a topic");
        let says = self.prose(&table.says);
        let source = self.prose(&table.source);
        let mark = self.word(&table.mark, "looked_up or unverified");
        Some(Fact {
            topic: topic?,
            says: says?,
            source: source?,
            mark: mark?,
        })
    }

    fn grant(&mut self, table: &GrantTable) -> Option<Grant> {
        let id = self.token(&table.id);
        let with = with(table.with.get_ref());
        let with = self.expect(
            &table.with,
            with,
            "one of centre, member and jurisdiction, with its name",
        );
        let actions = self.words(&table.actions, "an action");
        let purposes = self.words(&table.purposes, "a purpose");
        let basis = self.word(&table.basis, "a legal basis");
        let some = basis.filter(|basis| *basis != LegalBasis::None);
        if basis.is_some() {
            self.expect(&table.basis, some, "a legal basis other than none");
        }
        let document = self.prose(&table.document);
        let issuer = self.prose(&table.issuer);
        let (from, until) = (self.day(&table.from), self.day(&table.until));
        let terms = table.matching.as_ref();
        let terms = terms.map(|terms| self.terms(terms, actions));
        let grant = Grant {
            id: id?,
            with: with?,
            actions: actions?,
            purposes: purposes?,
            basis: some?,
            document: document?,
            issuer: issuer?,
            from: from?,
            until: until?,
            matching: match terms {
                Some(terms) => Some(terms?),
                None => None,
            },
        };
        if grant.closes() <= grant.opens() {
            self.fault(table.until.span().start, FaultKind::NeverOpen);
        }
        Some(grant)
    }

    /// The terms of matching. They say nothing that the grant's own actions do not carry: that would read as if it were given.
    fn terms(
        &mut self,
        table: &Spanned<MatchTable>,
        actions: Option<Set<Action>>,
    ) -> Option<MatchTerms> {
        let MatchTable { modes, per_day } = table.get_ref();
        let set: Option<Set<MatchMode>> = self.words(modes, "a mode of matching");
        let items = Some(*per_day.get_ref());
        let items = items.filter(|items| (1..=limits::MATCH_PER_DAY).contains(items));
        let items = self.expect(per_day, items, "1 to 16000000 items");
        if let Some(actions) = actions {
            let needed = [Action::Match, Action::Reveal];
            let carried = needed.iter().all(|action| actions.contains(*action));
            self.expect(
                table,
                carried.then_some(()),
                "the actions match and reveal, where a grant has terms of matching",
            );
        }
        Some(MatchTerms {
            modes: set?,
            per_day: items?,
        })
    }

    fn repeated(&mut self, grants: &[GrantTable]) {
        let mut ids = BTreeSet::new();
        for grant in grants {
            if !ids.insert(grant.id.get_ref()) {
                self.fault(grant.id.span().start, FaultKind::RepeatedGrant);
            }
        }
    }

    fn word<T: ClosedList>(&mut self, word: &Spanned<String>, list: &'static str) -> Option<T> {
        let value = T::from_name(word.get_ref());
        if value.is_none() {
            let got = word.get_ref().clone();
            self.fault(word.span().start, FaultKind::Word { got, list });
        }
        value
    }

    fn words<T: ClosedList>(
        &mut self,
        words: &Spanned<Vec<Spanned<String>>>,
        list: &'static str,
    ) -> Option<Set<T>> {
        let values: Vec<_> = words
            .get_ref()
            .iter()
            .map(|word| self.word(word, list))
            .collect();
        let values: Vec<T> = values.into_iter().collect::<Option<_>>()?;
        let set = Set::of(&values);
        let distinct = set.names().count() == values.len() && !values.is_empty();
        self.expect(
            words,
            distinct.then_some(set),
            "one or more values, each once",
        )
    }

    fn token(&mut self, text: &Spanned<String>) -> Option<String> {
        let token =
            is_token(text.get_ref(), limits::POLICY_ID_BYTES).then(|| text.get_ref().clone());
        self.expect(text, token, "1 to 64 characters of a-z, 0-9 and '-'")
    }

    fn prose(&mut self, text: &Spanned<String>) -> Option<String> {
        let fits = is_prose(text.get_ref()).then(|| text.get_ref().clone());
        self.expect(text, fits, "1 to 1000 bytes of text on one line")
    }

    fn day(&mut self, day: &Spanned<Datetime>) -> Option<Timestamp> {
        self.expect(
            day,
            start_of(day.get_ref()),
            "a day from 1970 on, as 2026-01-31, without a time",
        )
    }
}

fn with(table: &WithTable) -> Option<With> {
    match table {
        WithTable {
            centre: Some(id),
            member: None,
            jurisdiction: None,
        } => id.parse().ok().map(With::Centre),
        WithTable {
            centre: None,
            member: Some(id),
            jurisdiction: None,
        } => is_token(id, limits::POLICY_ID_BYTES).then(|| With::Member(id.clone())),
        WithTable {
            centre: None,
            member: None,
            jurisdiction: Some(law),
        } => law.parse().ok().map(With::Jurisdiction),
        WithTable { .. } => None,
    }
}

/// Whether a text may be shown on one line.
pub(super) fn is_prose(text: &str) -> bool {
    !text.trim().is_empty()
        && text.len() <= limits::POLICY_PROSE_BYTES
        && !text.contains(char::is_control)
}

/// The first second of a day; nothing for a time of day, or before 1970.
fn start_of(day: &Datetime) -> Option<Timestamp> {
    let (Some(date), None, None) = (day.date, day.time, day.offset) else {
        return None;
    };
    let days = days_since_1970(
        u64::from(date.year),
        u64::from(date.month),
        u64::from(date.day),
    )?;
    Some(Timestamp::new(days * DAY_S))
}

/// Days from 1970-01-01 to a day of the Gregorian calendar. Years begin in March here, so that the leap day is the last.
fn days_since_1970(year: u64, month: u64, day: u64) -> Option<u64> {
    let years = if month > 2 {
        year
    } else {
        year.checked_sub(1)?
    };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day.checked_sub(1)?;
    let leap_days = years / 4 - years / 100 + years / 400;
    // 719,468 days lie between 0000-03-01 and 1970-01-01.
    (years * 365 + leap_days + day_of_year).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_as_the_calendar_does() {
        for (date, days) in [
            ((1970, 1, 1), 0),
            ((1970, 3, 1), 59),
            ((2000, 2, 29), 11_016),
            ((2000, 3, 1), 11_017),
            ((2026, 11, 22), 20_779),
            ((2100, 3, 1), 47_541),
        ] {
            let (year, month, day) = date;
            assert_eq!(days_since_1970(year, month, day), Some(days), "{date:?}");
        }
        assert_eq!(days_since_1970(1969, 12, 31), None);
    }
}
