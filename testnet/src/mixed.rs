//! Synthetic lists with mixed labels: every label that policy looks at occurs known, unknown and uncertain.
//!
//! Why: real lists cannot be carried, and the carried checksums have one tuple of labels or two. A case is one tuple, in the
//! words of `domain.md`, section 2; its entries are hashes of its name. In scope: cases, and the files that `hashpact ingest`
//! reads. Out of scope: who may have them (`filter`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

use crate::lists::List;

/// Words of a closed list.
pub type Words = BTreeSet<&'static str>;

const MEDIA: [&str; 4] = ["image", "video", "audio", "text"];
const CLASS: [&str; 2] = ["csam", "related_harmful"];
const STATE: [&str; 3] = ["suspected", "assessed", "disputed"];
const DEPICTION: [&str; 4] = ["real", "manipulated", "ai_realistic", "virtual_drawn"];
const AGE: [&str; 4] = ["actual", "apparent", "depicted_as", "implied"];
const SELF: [&str; 6] = [
    "not_indicated",
    "peer_consensual",
    "image_based_abuse",
    "social_affirmation",
    "deception",
    "sextortion",
];
const FLAGS: [&str; 3] = ["sextortion", "live_stream", "viral"];
const BASIS: [&str; 6] = [
    "none",
    "voluntary",
    "statutory",
    "order",
    "notice",
    "agreement",
];
const TLP: [&str; 3] = ["RED", "AMBER+STRICT", "AMBER"];
const RECIPIENTS: [&str; 6] = [
    "centre",
    "hotline",
    "le",
    "provider",
    "intermediary",
    "observer",
];
const PURPOSES: [&str; 8] = [
    "detect",
    "report",
    "remove",
    "block",
    "victim_id",
    "investigate",
    "triage",
    "statistics",
];
/// Where lists may rest: the founding peers and those that may join.
const PLACES: [&str; 6] = ["EU", "US", "CA", "AU", "GB", "NZ"];
/// Statements about the law of countries: a profile holds one set of them, so each makes a file of its own.
const STATUS: [&[(&str, bool)]; 5] = [
    &[],
    &[("EU", false), ("AU", false)],
    &[("CA", false), ("US", false)],
    &[("CA", true), ("EU", true), ("GB", true)],
    &[("AU", true), ("GB", false), ("NZ", false), ("US", true)],
];
/// Cases of a list that mix everything.
const MIXES: usize = 40;
/// Entries of a case.
const ROWS: usize = 3;

/// One tuple of labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What is special about it.
    pub name: String,
    /// All that it could be.
    pub media_kind: Words,
    /// All that it could be.
    pub content_class: Words,
    /// What its origin states.
    pub state: &'static str,
    /// All that it could be.
    pub depiction: Words,
    /// Whether it certainly shows a minor.
    pub minor_certain: bool,
    /// All that it could be.
    pub age_claim: Words,
    /// All that it could be.
    pub self_generated: Words,
    /// What is known.
    pub context_flags: Words,
    /// The kind of basis.
    pub legal_basis: &'static str,
    /// What somebody states of the law of countries: illegal there, or not.
    pub legal_status: &'static [(&'static str, bool)],
    /// Granted.
    pub residency: Words,
    /// Laws that apply.
    pub applicable_law: Words,
    /// Handling.
    pub tlp: &'static str,
    /// Further transfers.
    pub hops: u8,
    /// Granted.
    pub recipients: Words,
    /// Granted.
    pub purposes: Words,
    /// Its entries' SHA-256, as `lookup` takes them.
    pub entries: Vec<String>,
}

/// The cases of one centre's list.
#[derive(Clone, Debug)]
pub struct Mixed {
    /// The centre.
    pub centre: String,
    /// Tells this list from others of the centre.
    pub name: String,
    /// Each tuple of labels once.
    pub cases: Vec<Case>,
}

fn words(list: &[&'static str]) -> Words {
    list.iter().copied().collect()
}

impl Case {
    /// A case that every profile lets pass: the others differ from it.
    #[must_use]
    pub fn plain(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            media_kind: words(&["image"]),
            content_class: words(&["csam"]),
            state: "assessed",
            depiction: words(&["real"]),
            minor_certain: true,
            age_claim: words(&["actual"]),
            self_generated: words(&["not_indicated"]),
            context_flags: Words::new(),
            legal_basis: "agreement",
            legal_status: STATUS[0],
            residency: words(&PLACES),
            applicable_law: Words::new(),
            tlp: "AMBER",
            hops: 3,
            recipients: words(&["centre", "hotline", "provider"]),
            purposes: words(&PURPOSES),
            entries: Vec::new(),
        }
    }

    /// What is stated of the law of a country: illegal there or not.
    #[must_use]
    pub fn says(&self, jurisdiction: &str) -> Option<bool> {
        let found = self.legal_status.iter();
        let mut found = found.filter(|(country, _)| *country == jurisdiction);
        found.next().map(|(_, illegal)| *illegal)
    }
}

/// The plain case and what differs from it.
struct Variations(Vec<Case>);

impl Variations {
    fn vary(&mut self, name: impl AsRef<str>, change: impl Fn(&mut Case)) {
        let mut case = Case::plain(name.as_ref());
        change(&mut case);
        self.0.push(case);
    }
}

/// Every label by itself: known, unknown, uncertain.
fn variations() -> Vec<Case> {
    let mut cases = Variations(vec![Case::plain("plain")]);
    type Field = fn(&mut Case) -> &mut Words;
    let uncertain: [(&str, &[&'static str], Field); 5] = [
        ("media kind", &MEDIA, |case| &mut case.media_kind),
        ("class", &CLASS, |case| &mut case.content_class),
        ("depiction", &DEPICTION, |case| &mut case.depiction),
        ("age claim", &AGE, |case| &mut case.age_claim),
        ("self-generated", &SELF, |case| &mut case.self_generated),
    ];
    for (label, list, field) in uncertain {
        // The first is what the plain case has.
        for word in &list[1..] {
            cases.vary(format!("{label} {word}"), |case| {
                *field(case) = words(&[word]);
            });
        }
        for more in 2..list.len() {
            cases.vary(format!("{label} one of {more}"), |case| {
                *field(case) = words(&list[..more]);
            });
        }
        cases.vary(format!("{label} unknown"), |case| {
            *field(case) = words(list);
        });
    }
    for state in ["suspected", "disputed"] {
        cases.vary(state, |case| case.state = state);
    }
    cases.vary("minor not certain", |case| {
        case.minor_certain = false;
    });
    for flag in FLAGS {
        cases.vary(format!("flag {flag}"), |case| {
            case.context_flags = words(&[flag]);
        });
    }
    for basis in &BASIS[..5] {
        cases.vary(format!("basis {basis}"), |case| case.legal_basis = basis);
    }
    for (number, status) in (1..).zip(&STATUS[1..]) {
        cases.vary(format!("legal status {number}"), |case| {
            case.legal_status = status;
        });
        cases.vary(format!("drawn, legal status {number}"), |case| {
            case.legal_status = status;
            case.depiction = words(&["virtual_drawn"]);
        });
    }
    cases.vary("law CA applies", |case| {
        case.applicable_law = words(&["CA"]);
    });
    handling(&mut cases);
    cases.0
}

/// What the origin allows to be done with it.
fn handling(cases: &mut Variations) {
    cases.vary("rests at home", |case| {
        case.residency = Words::new();
    });
    for place in PLACES {
        cases.vary(format!("rests in {place}"), |case| {
            case.residency = words(&[place]);
        });
    }
    for tlp in &TLP[..2] {
        cases.vary(tlp, |case| case.tlp = tlp);
    }
    for (hops, name) in (0..3).zip(["no onward", "1 hop", "2 hops"]) {
        cases.vary(name, |case| case.hops = hops);
    }
    cases.vary("for nobody", |case| {
        case.recipients = Words::new();
    });
    for recipient in RECIPIENTS {
        cases.vary(format!("for {recipient} only"), |case| {
            case.recipients = words(&[recipient]);
        });
    }
    cases.vary("for no purpose", |case| {
        case.purposes = Words::new();
    });
    for purpose in PURPOSES {
        cases.vary(format!("to {purpose} only"), |case| {
            case.purposes = words(&[purpose]);
        });
    }
}

/// What chance makes of the labels. Mild: one label in five differs from the plain case, or nothing would ever go anywhere.
fn mix(number: usize, rng: &mut ChaCha20Rng) -> Case {
    let mut case = Case::plain(&format!("mix {number}"));
    let mut below = |n: usize| usize::try_from(rng.next_u64() % n as u64).unwrap_or(0);
    let mut some = |list: &[&'static str], least: usize| -> Option<Words> {
        if below(5) > 0 {
            return None;
        }
        let mut chosen: Words = list.iter().copied().filter(|_| below(2) == 0).collect();
        if chosen.len() < least {
            chosen.insert(list[below(list.len())]);
        }
        Some(chosen)
    };
    type Field = fn(&mut Case) -> &mut Words;
    let fields: [(&[&'static str], usize, Field); 10] = [
        (&MEDIA, 1, |case| &mut case.media_kind),
        (&CLASS, 1, |case| &mut case.content_class),
        (&DEPICTION, 1, |case| &mut case.depiction),
        (&AGE, 1, |case| &mut case.age_claim),
        (&SELF, 1, |case| &mut case.self_generated),
        (&FLAGS, 0, |case| &mut case.context_flags),
        (&PLACES, 0, |case| &mut case.residency),
        (&PLACES, 0, |case| &mut case.applicable_law),
        (&RECIPIENTS, 0, |case| &mut case.recipients),
        (&PURPOSES, 0, |case| &mut case.purposes),
    ];
    for (list, least, field) in fields {
        if let Some(chosen) = some(list, least) {
            *field(&mut case) = chosen;
        }
    }
    case.state = STATE[[1, 1, 1, 0, 2][below(5)]];
    case.minor_certain = below(4) > 0;
    case.legal_basis = BASIS[below(BASIS.len())];
    case.legal_status = STATUS[[0, 0, 1, 2, 3, 4][below(6)]];
    case.tlp = TLP[[2, 2, 2, 2, 1, 0][below(6)]];
    case.hops = [0, 1, 2, 3][below(4)];
    case
}

impl Mixed {
    /// Every label by itself, and mixes; the same for the same centre.
    #[must_use]
    pub fn of(centre: &str) -> Self {
        let seed = Sha256::digest(format!("hashpact mixed {centre}"));
        let mut rng = ChaCha20Rng::from_seed(seed.into());
        let mixes = (0..MIXES).map(|number| mix(number, &mut rng));
        let cases = variations().into_iter().chain(mixes).collect();
        Self::new(centre, "mixed", cases, ROWS)
    }

    /// A list of these cases with so many entries each. Cases with equal labels are one.
    #[must_use]
    pub fn new(centre: &str, name: &str, cases: Vec<Case>, rows: usize) -> Self {
        let mut kept: Vec<Case> = Vec::new();
        for case in cases {
            let unnamed = |case: &Case| Case {
                name: String::new(),
                entries: Vec::new(),
                ..case.clone()
            };
            if kept.iter().any(|known| unnamed(known) == unnamed(&case)) {
                continue;
            }
            let entry = |row| {
                let text = format!("hashpact {centre} {name} {} {row}", case.name);
                format!("sha256:{}", hex::encode(Sha256::digest(text)))
            };
            let entries = (0..rows).map(entry).collect();
            kept.push(Case { entries, ..case });
        }
        Self {
            centre: centre.to_owned(),
            name: name.to_owned(),
            cases: kept,
        }
    }

    /// All entries.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.cases.iter().map(|case| case.entries.len()).sum()
    }

    /// Writes the lists and their profiles: one of each for every set of statements about laws.
    ///
    /// # Errors
    /// Fails if the folder cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<Vec<List>> {
        let mut lists = Vec::new();
        for (number, status) in STATUS.iter().enumerate() {
            let cases = self.cases.iter().enumerate();
            let cases: Vec<(usize, &Case)> = cases
                .filter(|(_, case)| case.legal_status == *status)
                .collect();
            if cases.is_empty() {
                continue;
            }
            let stem = format!("{}-{}-{number}", self.centre, self.name);
            let (file, profile) = (
                folder.join(format!("{stem}.csv")),
                folder.join(format!("{stem}.toml")),
            );
            let mut rows = "sha256,case\n".to_owned();
            for (number, case) in &cases {
                for entry in &case.entries {
                    let digest = entry.strip_prefix("sha256:").unwrap_or(entry);
                    rows.push_str(&format!("{digest},c{number}\n"));
                }
            }
            std::fs::write(&file, rows)?;
            std::fs::write(&profile, profile_of(&stem, status, &cases))?;
            lists.push(List { file, profile });
        }
        Ok(lists)
    }
}

/// A profile in which every label comes from the column `case`.
fn profile_of(name: &str, status: &[(&str, bool)], cases: &[(usize, &Case)]) -> String {
    let list = |words: &Words| {
        let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        format!("[{}]", words.join(", "))
    };
    let one = |word: &str| format!("\"{word}\"");
    let mut labels: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (number, case) in cases {
        let values = [
            ("media_kind", list(&case.media_kind)),
            ("content_class", list(&case.content_class)),
            ("state", one(case.state)),
            ("depiction", list(&case.depiction)),
            (
                "minor_certain",
                one(if case.minor_certain { "yes" } else { "no" }),
            ),
            ("age_claim", list(&case.age_claim)),
            ("self_generated", list(&case.self_generated)),
            ("context_flags", list(&case.context_flags)),
            ("legal_basis", one(case.legal_basis)),
            ("residency", list(&case.residency)),
            ("applicable_law", list(&case.applicable_law)),
            ("tlp", one(case.tlp)),
            ("hops", one(&case.hops.to_string())),
            ("recipients", list(&case.recipients)),
            ("purposes", list(&case.purposes)),
        ];
        for (label, value) in values {
            labels
                .entry(label)
                .or_default()
                .push(format!("c{number} = {value}"));
        }
    }
    let mut text = format!(
        "[source]\nname = \"{name}\"\nformat = \"csv\"\n\n[columns]\nsha256 = \"sha256\"\n\n[label]\ncolumn = \"case\"\n\
         scheme = \"synthetic\"\nversion = \"1\"\nissuer = \"synthetic\"\n\n[labels]\n"
    );
    for (label, map) in labels {
        let map = map.join(", ");
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{label} = {{ column = \"case\", map = {{ {map} }} }}");
    }
    let status: Vec<String> = status
        .iter()
        .map(|(country, illegal)| {
            let not = if *illegal { "" } else { "not_" };
            format!("{country} = {{ status = \"{not}illegal\", body = \"synthetic\" }}")
        })
        .collect();
    let _ = writeln!(text, "legal_status = {{ {} }}", status.join(", "));
    text
}

#[cfg(test)]
mod tests;
