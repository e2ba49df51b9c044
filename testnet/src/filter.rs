//! The independent filter: what may go where and why, written a second time from `domain.md`, section 4.
//!
//! Why: a check that asked the engine what the engine should have done would always hold. So this is plain Rust over words; it
//! uses neither the policy engine nor the profiles, and the facts of each law stand in `testnet/laws/`, written from the
//! domain's table. In scope: who may give and take a case, by which path; what providers get (`release`). Out of scope: matching.

mod release;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::mixed::{Case, Words};

/// The law of one centre, as far as lists between centres go.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Law {
    /// The centre that works under it.
    pub centre: String,
    /// Its jurisdiction.
    pub jurisdiction: String,
    asks_for: String,
    /// Purposes for which what could be consenting between peers goes nowhere.
    young_refused_for: BTreeSet<String>,
    /// Purposes for which providers of the country may be given something.
    #[serde(default)]
    publishes_for: BTreeSet<String>,
    gives: Gives,
    takes: Takes,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Gives {
    to: BTreeSet<String>,
    agreed_for: BTreeSet<String>,
    #[serde(default)]
    related_with: BTreeSet<String>,
    #[serde(default)]
    related_for: BTreeSet<String>,
    drawn: Drawn,
    suspected: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Takes {
    from: BTreeSet<String>,
    agreed_for: BTreeSet<String>,
    #[serde(default)]
    related_with: BTreeSet<String>,
    #[serde(default)]
    related_for: BTreeSet<String>,
    media: BTreeSet<String>,
    age_claims: BTreeSet<String>,
    drawn: Drawn,
    suspected: bool,
}

/// When a law lets pass what could be drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Drawn {
    Never,
    /// If somebody states that it is illegal there.
    Stated,
    Always,
}

/// In which part a centre says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// As the origin.
    Gives,
    /// As a relay.
    Relays,
    /// As the receiver.
    Takes,
}

/// Why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// It has no profile.
    NoProfile,
    /// The origin states no legal basis.
    LegalBasis,
    /// There is no agreement with the other for the purpose.
    NoAgreement,
    /// Handling: for named eyes only.
    Red,
    /// Handling: for the organisation only.
    Strict,
    /// No hop is left.
    Hops,
    /// Centres are not among the recipients.
    Recipients,
    /// The origin did not grant the purpose.
    Purpose,
    /// It may not rest there.
    Residency,
    /// Somebody states that it is not illegal there.
    Lawful,
    /// It could be a kind of file that the law does not know.
    Media,
    /// It could be drawn.
    Drawn,
    /// It could be about an age that the law does not know.
    Age,
    /// It could be related material, and nobody opted in.
    Related,
    /// Nobody has assessed it.
    Suspected,
    /// It could be consenting between peers, and the purpose is not.
    Young,
}

/// A no.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Denial {
    /// Who says it.
    pub centre: String,
    /// In which part.
    pub part: Part,
    /// Why.
    pub rule: Rule,
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let part = match self.part {
            Part::Gives => "gives",
            Part::Relays => "relays",
            Part::Takes => "takes",
        };
        let rule = match self.rule {
            Rule::NoProfile => "no profile",
            Rule::LegalBasis => "no legal basis",
            Rule::NoAgreement => "no agreement",
            Rule::Red => "RED",
            Rule::Strict => "AMBER+STRICT",
            Rule::Hops => "hops",
            Rule::Recipients => "recipients",
            Rule::Purpose => "purpose",
            Rule::Residency => "residency",
            Rule::Lawful => "not illegal there",
            Rule::Media => "media kind",
            Rule::Drawn => "could be drawn",
            Rule::Age => "age claim",
            Rule::Related => "related material",
            Rule::Suspected => "suspected",
            Rule::Young => "could be consenting",
        };
        write!(f, "{} {part}: {rule}", self.centre)
    }
}

/// One transfer of one case.
#[derive(Clone, Copy, Debug)]
pub struct Transfer<'a> {
    /// Whose entry.
    pub origin: &'a str,
    /// Who gives it: the origin, or a relay.
    pub giver: &'a str,
    /// Who takes it.
    pub taker: &'a str,
    /// Transfers before this one, on its path from the origin.
    pub hop: u8,
}

/// The laws of centres that have a profile, by centre.
#[derive(Clone, Debug, Default)]
pub struct Laws(BTreeMap<String, Law>);

macro_rules! laws {
    ($($name:literal)+) => {
        &[$(include_str!(concat!("../laws/", $name, ".toml"))),+]
    };
}

const LAWS: &[&str] = laws!("eu" "us" "ca" "au" "uk" "nz");

impl Laws {
    /// Those of these centres.
    ///
    /// # Errors
    /// Fails if a file does not read, or there is none for one of them.
    pub fn of<'a>(centres: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut laws = Self::default();
        centres
            .into_iter()
            .try_for_each(|centre| laws.add(centre))?;
        Ok(laws)
    }

    /// A centre logs its profile.
    ///
    /// # Errors
    /// As [`Laws::of`].
    pub fn add(&mut self, centre: &str) -> Result<()> {
        let all = LAWS.iter().map(|text| toml::from_str::<Law>(text));
        let all: Vec<Law> = all.collect::<Result<_, _>>()?;
        let law = all.into_iter().find(|law| law.centre == centre);
        let law = law.with_context(|| format!("no law is written down for {centre}"))?;
        self.0.insert(centre.to_owned(), law);
        Ok(())
    }

    /// The agreement under which `giver` gives to `taker` ends.
    pub fn end_agreement(&mut self, giver: &str, taker: &str) {
        if let Some(law) = self.0.get_mut(giver) {
            law.gives.to.remove(taker);
        }
    }

    /// Whether one transfer may take place: the origin gives, a relay passes on, the taker takes, and the strictest wins.
    ///
    /// # Errors
    /// The first no, in that order.
    pub fn may_flow(&self, case: &Case, transfer: Transfer<'_>) -> Result<(), Denial> {
        let Transfer {
            origin,
            giver,
            taker,
            hop,
        } = transfer;
        let no = |centre: &str, part| {
            let centre = centre.to_owned();
            move |rule| Denial { centre, part, rule }
        };
        let law = |centre: &str, part| {
            let found = self.0.get(centre);
            found.ok_or_else(|| no(centre, part)(Rule::NoProfile))
        };
        let to = law(taker, Part::Takes)?;
        let from = law(origin, Part::Gives)?;
        from.gives(case, from, to)
            .map_err(no(origin, Part::Gives))?;
        if giver != origin {
            let relay = law(giver, Part::Relays)?;
            let deny = no(giver, Part::Relays);
            relay.relays(case, from, to, hop).map_err(deny)?;
        }
        to.takes(case, from, giver).map_err(no(taker, Part::Takes))
    }

    /// Lets a case spread among the centres that are `up`, from those that hold it. `holders` says for each how many
    /// transfers were before the one that brought it; the origin has none.
    pub fn spread(
        &self,
        case: &Case,
        origin: &str,
        up: &[&str],
        holders: &mut BTreeMap<String, u8>,
    ) {
        holders.entry(origin.to_owned()).or_insert(0);
        loop {
            let mut new: Vec<(String, u8)> = Vec::new();
            for taker in up.iter().filter(|id| !holders.contains_key(**id)) {
                let hops = up.iter().filter_map(|giver| {
                    let hop = match holders.get(*giver)? {
                        _ if *giver == origin => 0,
                        before => before + 1,
                    };
                    let transfer = Transfer {
                        origin,
                        giver,
                        taker,
                        hop,
                    };
                    self.may_flow(case, transfer).ok().map(|()| hop)
                });
                new.extend(hops.min().map(|hop| ((*taker).to_owned(), hop)));
            }
            if new.is_empty() {
                return;
            }
            // A path with fewer hops comes first, as it may go on further.
            let least = new.iter().map(|(_, hop)| *hop).min().unwrap_or_default();
            holders.extend(new.into_iter().filter(|(_, hop)| *hop == least));
        }
    }
}

/// The first of these rules that is broken.
fn first(rules: &[(bool, Rule)]) -> Result<(), Rule> {
    match rules.iter().find(|(broken, _)| *broken) {
        Some((_, rule)) => Err(*rule),
        None => Ok(()),
    }
}

/// What the origin granted: unknown is nothing, and its own country is always in.
fn granted(case: &Case, origin: &Law, to: &Law, purpose: &str) -> Result<(), Rule> {
    let home = to.jurisdiction == origin.jurisdiction;
    let rests = home || case.residency.contains(to.jurisdiction.as_str());
    first(&[
        (!case.recipients.contains("centre"), Rule::Recipients),
        (!case.purposes.contains(purpose), Rule::Purpose),
        (!rests, Rule::Residency),
    ])
}

fn could_be(words: &Words, word: &str) -> bool {
    words.contains(word)
}

fn only(words: &Words, known: &BTreeSet<String>) -> bool {
    words.iter().all(|word| known.contains(*word))
}

impl Law {
    /// As the origin, to the centre under the law `to`.
    fn gives(&self, case: &Case, origin: &Law, to: &Law) -> Result<(), Rule> {
        let gives = &self.gives;
        let opted =
            gives.related_with.contains(&to.centre) && gives.related_for.contains(&to.asks_for);
        self.gives_at_all(case, origin, to, opted)
    }

    /// What somebody else made; nobody opts in to passing related material on.
    fn relays(&self, case: &Case, origin: &Law, to: &Law, hop: u8) -> Result<(), Rule> {
        first(&[
            (case.tlp == "AMBER+STRICT", Rule::Strict),
            (hop > case.hops, Rule::Hops),
        ])?;
        self.gives_at_all(case, origin, to, false)
    }

    fn gives_at_all(&self, case: &Case, origin: &Law, to: &Law, opted: bool) -> Result<(), Rule> {
        let (gives, purpose) = (&self.gives, &to.asks_for);
        let agreed = gives.to.contains(&to.centre) && gives.agreed_for.contains(purpose);
        first(&[
            (case.legal_basis == "none", Rule::LegalBasis),
            (!agreed, Rule::NoAgreement),
            (case.tlp == "RED", Rule::Red),
        ])?;
        granted(case, origin, to, purpose)?;
        first(&[
            (self.stops_drawn(case, gives.drawn), Rule::Drawn),
            (
                could_be(&case.content_class, "related_harmful") && !opted,
                Rule::Related,
            ),
            (
                case.state == "suspected" && !gives.suspected,
                Rule::Suspected,
            ),
            (self.stops_young(case, purpose), Rule::Young),
        ])
    }

    /// As the receiver, from the centre `giver`.
    fn takes(&self, case: &Case, origin: &Law, giver: &str) -> Result<(), Rule> {
        let (takes, purpose) = (&self.takes, &self.asks_for);
        let agreed = takes.from.contains(giver) && takes.agreed_for.contains(purpose);
        let opted = takes.related_with.contains(giver) && takes.related_for.contains(purpose);
        first(&[
            (case.legal_basis == "none", Rule::LegalBasis),
            (!agreed, Rule::NoAgreement),
        ])?;
        granted(case, origin, self, purpose)?;
        let lawful = case.says(&self.jurisdiction) == Some(false);
        first(&[
            (lawful, Rule::Lawful),
            (!only(&case.media_kind, &takes.media), Rule::Media),
            (self.stops_drawn(case, takes.drawn), Rule::Drawn),
            (!only(&case.age_claim, &takes.age_claims), Rule::Age),
            (
                could_be(&case.content_class, "related_harmful") && !opted,
                Rule::Related,
            ),
            (
                case.state == "suspected" && !takes.suspected,
                Rule::Suspected,
            ),
            (self.stops_young(case, purpose), Rule::Young),
        ])
    }

    fn stops_drawn(&self, case: &Case, drawn: Drawn) -> bool {
        let passes = match drawn {
            Drawn::Never => false,
            Drawn::Stated => case.says(&self.jurisdiction) == Some(true),
            Drawn::Always => true,
        };
        could_be(&case.depiction, "virtual_drawn") && !passes
    }

    fn stops_young(&self, case: &Case, purpose: &str) -> bool {
        self.young_refused_for.contains(purpose)
            && could_be(&case.self_generated, "peer_consensual")
    }
}

#[cfg(test)]
mod tests;
