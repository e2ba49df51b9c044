//! Fields to canonical CBOR: a map with small integer keys, in order, defaults left out.

use std::convert::Infallible;

use minicbor::Encoder;
use minicbor::encode::Error;

use super::{
    AgeBasis, Classifier, Confidence, Fields, Flag, LocalLabel, Print, PrintValue, Priority,
    Retention,
};
use crate::lists::{ClosedList, Set};

type Out<'a> = Encoder<&'a mut Vec<u8>>;
type Done = Result<(), Error<Infallible>>;

/// Version of the schema and of the taxonomy of the core labels.
pub(super) const VERSIONS: (u8, u8) = (1, 1);

impl Fields {
    /// Canonical CBOR of the fields: the third element of a record.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(192);
        self.encode_into(&mut bytes);
        bytes
    }

    /// As [`Fields::to_bytes`], at the end of a buffer.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        let mut e = Encoder::new(out);
        // Writing to a Vec cannot fail.
        let _ = self.encode(&mut e);
    }

    fn encode(&self, e: &mut Out<'_>) -> Done {
        e.map(self.stated())?;
        e.u8(0)?.array(2)?.u8(VERSIONS.0)?.u8(VERSIONS.1)?;
        e.u8(1)?.array(self.prints.len() as u64)?;
        self.prints
            .iter()
            .try_for_each(|print| encode_print(e, print))?;
        number(e, 2, self.byte_length)?;
        if self.features != [Flag::Unknown; 7] {
            e.u8(3)?.array(7)?;
            self.features
                .iter()
                .try_for_each(|flag| e.u8(flag.bit()).map(drop))?;
        }
        set(e, 4, self.activity_form)?;
        e.u8(5)?.array(self.local_labels.len() as u64)?;
        self.local_labels
            .iter()
            .try_for_each(|label| encode_label(e, label))?;
        set(e, 6, self.age_depicted)?;
        one(e, 7, self.age_basis, AgeBasis::Classifier)?;
        one(e, 8, self.age_confidence, Confidence::Low)?;
        set(e, 9, self.pubertal_stage)?;
        set(e, 10, self.source_context)?;
        if !self.derived_from.is_empty() {
            e.u8(11)?.array(self.derived_from.len() as u64)?;
            for (entry, how) in &self.derived_from {
                e.array(2)?.bytes(&entry.0)?.u8(how.bit())?;
            }
        }
        set(e, 12, self.victim_status)?;
        if let Some(series) = &self.series_id {
            e.u8(13)?.bytes(series)?;
        }
        one(e, 14, self.priority, Priority::Normal)?;
        if let Some(classifier) = &self.classifier {
            encode_classifier(e, classifier)?;
        }
        number(e, 16, self.entered_on.map(u64::from))?;
        number(e, 17, self.assessed_on.map(u64::from))?;
        number(e, 18, self.review_on.map(u64::from))?;
        one(e, 19, self.retention, Retention::Suspected)
    }

    /// How many keys the map has: versions, prints and local labels always stand.
    fn stated(&self) -> u64 {
        let optional = [
            self.byte_length.is_some(),
            self.features != [Flag::Unknown; 7],
            !self.activity_form.is_full(),
            !self.age_depicted.is_full(),
            self.age_basis != AgeBasis::Classifier,
            self.age_confidence != Confidence::Low,
            !self.pubertal_stage.is_full(),
            !self.source_context.is_full(),
            !self.derived_from.is_empty(),
            !self.victim_status.is_full(),
            self.series_id.is_some(),
            self.priority != Priority::Normal,
            self.classifier.is_some(),
            self.entered_on.is_some(),
            self.assessed_on.is_some(),
            self.review_on.is_some(),
            self.retention != Retention::Suspected,
        ];
        3 + optional
            .iter()
            .map(|stated| u64::from(*stated))
            .sum::<u64>()
    }
}

fn number(e: &mut Out<'_>, key: u8, value: Option<u64>) -> Done {
    if let Some(value) = value {
        e.u8(key)?.u64(value)?;
    }
    Ok(())
}

fn set<T: ClosedList>(e: &mut Out<'_>, key: u8, value: Set<T>) -> Done {
    if !value.is_full() {
        e.u8(key)?.u16(value.bits())?;
    }
    Ok(())
}

fn one<T: ClosedList>(e: &mut Out<'_>, key: u8, value: T, unless: T) -> Done {
    if value != unless {
        e.u8(key)?.u8(value.bit())?;
    }
    Ok(())
}

/// `[alg, bytes]`, or `[alg, bytes, quality or null, reason or null]` where either is stated; `bytes` is
/// `[length, sha256]` for a value that is fetched apart.
fn encode_print(e: &mut Out<'_>, print: &Print) -> Done {
    let extras = print.quality.is_some() || print.disabled.is_some();
    e.array(if extras { 4 } else { 2 })?;
    let algorithm = match &print.value {
        PrintValue::Inline(value) => value.algorithm(),
        PrintValue::Apart { algorithm, .. } => algorithm,
    };
    match algorithm.code() {
        Some(code) => e.u8(code)?,
        None => e.str(algorithm.name())?,
    };
    match &print.value {
        PrintValue::Inline(value) => e.bytes(value.bytes())?,
        PrintValue::Apart { length, sha256, .. } => e.array(2)?.u32(*length)?.bytes(sha256)?,
    };
    if extras {
        match print.quality {
            Some(quality) => e.u8(quality)?,
            None => e.null()?,
        };
        match print.disabled {
            Some(reason) => e.u8(reason.bit())?,
            None => e.null()?,
        };
    }
    Ok(())
}

fn encode_label(e: &mut Out<'_>, label: &LocalLabel) -> Done {
    e.array(4)?
        .str(&label.scheme)?
        .str(&label.version)?
        .str(&label.issuer)?
        .str(&label.value)?;
    Ok(())
}

fn encode_classifier(e: &mut Out<'_>, classifier: &Classifier) -> Done {
    e.u8(15)?
        .array(4)?
        .str(&classifier.id)?
        .str(&classifier.version)?;
    e.u16(classifier.score)?.u16(classifier.threshold)?;
    Ok(())
}
