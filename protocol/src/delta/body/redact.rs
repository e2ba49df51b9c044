//! Redaction: a body with less in it, and two bodies of one delta put together.
//!
//! Why it composes: a section is cut without the others, and what is cut off cannot be made again from what is left. In
//! scope: bytes of another body of the same delta, which verify against the same table. Out of scope: who may be given what.

use std::collections::BTreeSet;

use super::super::section::{ClassSection, retraction_section, withheld_section};
use super::super::{Retraction, Seq};
use super::{Body, Disclosure, Expected, Section};
use crate::labels::ClassId;
use crate::record::EntryId;
use hashpact_keys::Origin;

impl Body {
    /// The bytes of this body with every class withheld that is not to be kept. What is withheld already stays so.
    #[must_use]
    pub fn narrowed(&self, keep: &dyn Fn(ClassId) -> bool) -> Vec<u8> {
        self.rewritten(|section, own| match keep(section.class) {
            true => own.to_vec(),
            false => withheld_section(&section.signed()),
        })
    }

    /// The bytes of this body with the records of these entries withheld: their salts, and every seed that they follow
    /// from, are gone. Entries that are not here change nothing. `origin` and `seq` are those of the delta.
    #[must_use]
    pub fn punctured(&self, origin: &Origin, seq: Seq, gone: &BTreeSet<EntryId>) -> Vec<u8> {
        self.rewritten(|_, own| {
            let section = ClassSection::read(own);
            let cut = section.and_then(|section| section.punctured(origin, seq, gone));
            // A section that was verified is one.
            cut.ok().flatten().unwrap_or_else(|| own.to_vec())
        })
    }

    /// The bytes of this body with those classes of `other`, a body of the same delta, that are wholly withheld here. A
    /// class that is held in part stays as it is: what was purged does not come back.
    #[must_use]
    pub fn widened(&self, other: &Self) -> Vec<u8> {
        self.rewritten(|section, own| {
            let others = other.sections.iter();
            let mut same = others.filter(|other| other.class == section.class);
            match same.next().filter(|_| section.held() == 0) {
                Some(same) => other.bytes[same.range.clone()].to_vec(),
                None => own.to_vec(),
            }
        })
    }

    /// This body with these classes withheld; no byte of their sections is left. Nothing is verified again.
    pub(crate) fn without(self, gone: &BTreeSet<ClassId>) -> Self {
        if self
            .sections
            .iter()
            .all(|section| !gone.contains(&section.class))
        {
            return self;
        }
        let bytes = self.narrowed(&|class| !gone.contains(&class));
        let mut at = 0;
        let place = |mut section: Section| {
            let before = section.range.clone();
            let len = match gone.contains(&section.class) {
                true => withheld_section(&section.signed()).len(),
                false => before.len(),
            };
            let moved = |range: &std::ops::Range<usize>| {
                let skipped = range.start - before.start;
                at + skipped..at + skipped + range.len()
            };
            section.disclosure = match &section.disclosure {
                _ if gone.contains(&section.class) => Disclosure::Withheld,
                Disclosure::Withheld => Disclosure::Withheld,
                Disclosure::Disclosed(records) => Disclosure::Disclosed(moved(records)),
                Disclosure::Partial { records, held } => Disclosure::Partial {
                    records: moved(records),
                    held: *held,
                },
            };
            section.range = at..at + len;
            at += len;
            section
        };
        let sections = self.sections.into_iter().map(place).collect();
        Self {
            retraction_range: at..bytes.len(),
            retractions: self.retractions,
            sections,
            bytes,
        }
    }

    /// The body of a delta of which nothing is disclosed but its retractions; they were verified.
    pub(crate) fn withheld(expected: &Expected, list: Vec<Retraction>) -> Self {
        let mut bytes = Vec::new();
        let mut sections = Vec::with_capacity(expected.table.classes.len());
        for entry in &expected.table.classes {
            let start = bytes.len();
            bytes.extend(withheld_section(entry));
            sections.push(Section {
                class: entry.class,
                count: entry.count,
                root: entry.root,
                range: start..bytes.len(),
                disclosure: Disclosure::Withheld,
            });
        }
        let at = bytes.len();
        bytes.extend(retraction_section(&list));
        Self::from_parts(bytes, sections, at, list)
    }

    fn rewritten(&self, cut: impl Fn(&Section, &[u8]) -> Vec<u8>) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.bytes.len());
        for section in &self.sections {
            bytes.extend(cut(section, &self.bytes[section.range.clone()]));
        }
        bytes.extend_from_slice(&self.bytes[self.retraction_range.clone()]);
        bytes
    }
}
