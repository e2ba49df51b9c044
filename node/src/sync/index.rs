//! The index that is matched with, written from what of a copy is live.

use std::collections::BTreeSet;
use std::path::Path;

use hashpact_keys::Origin;
use hashpact_protocol::labels::{ClassId, Labels};
use hashpact_protocol::lists::{ClosedList, Set};
use serde_json::{Value, json};

use super::copy::{Copy, CopyError};
use crate::near::file::{ClassLabels, IndexWriter, ListVersion, Marks, WriteIndexError};
use crate::store::durable::Steps;

/// Why no index was written.
#[derive(Debug, thiserror::Error)]
pub enum IndexFault {
    /// The copy.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The file.
    #[error(transparent)]
    Write(#[from] WriteIndexError),
}

/// Writes the index of all that is live in place of the one that stands at `path`.
pub(super) fn write(
    copy: &Copy,
    list: ListVersion,
    path: &Path,
    steps: &Steps,
) -> Result<(), IndexFault> {
    let mut writer = IndexWriter::new(list);
    let mut told: BTreeSet<(Origin, ClassId)> = BTreeSet::new();
    copy.each_live::<IndexFault>(&mut |live| {
        let key = (live.origin.clone(), live.class);
        if !told.contains(&key) {
            writer.class(live.origin, live.class, labels(live.labels))?;
            told.insert(key);
        }
        let marks = Marks {
            disputed: live.disputed,
            flagged: live.flagged,
        };
        let record = live.record;
        let place = (live.origin, live.class);
        writer.push(
            place,
            (record.entry, record.revision),
            marks,
            &record.fields,
        )?;
        Ok(())
    })?;
    Ok(writer.finish(path, steps)?)
}

/// The labels of a class by name, as people and programs read them.
pub(super) fn labels(labels: &Labels) -> ClassLabels {
    let legal = labels.legal_status.iter();
    let legal: Vec<Value> = legal
        .map(|status| {
            json!({
                "jurisdiction": status.jurisdiction.as_str(),
                "illegal": status.illegal,
                "body": status.body,
            })
        })
        .collect();
    let codes = |codes: &BTreeSet<hashpact_keys::Jurisdiction>| -> Vec<String> {
        codes.iter().map(ToString::to_string).collect()
    };
    let pairs = [
        ("media_kind", json!(names(labels.media_kind))),
        ("content_class", json!(names(labels.content_class))),
        ("state", json!(labels.state.name())),
        ("depiction", json!(names(labels.depiction))),
        ("minor_certain", json!(labels.minor_certain)),
        ("age_claim", json!(names(labels.age_claim))),
        ("self_generated", json!(names(labels.self_generated))),
        ("context_flags", json!(names(labels.context_flags))),
        ("legal_basis", json!(labels.legal_basis.name())),
        ("legal_status", json!(legal)),
        ("residency", json!(codes(&labels.residency))),
        ("applicable_law", json!(codes(&labels.applicable_law))),
        ("tlp", json!(labels.tlp.name())),
        ("hops", json!(labels.hops)),
        ("recipients", json!(names(labels.recipients))),
        ("purposes", json!(names(labels.purposes))),
    ];
    let pairs = pairs.into_iter();
    pairs
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn names<T: ClosedList>(set: Set<T>) -> Vec<&'static str> {
    set.names().collect()
}
