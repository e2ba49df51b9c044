//! The bytes of an attestation: an array of 12, the attested values an array of 6 in which null attests nothing. Why, scope
//! and limits: see the parent module.

use hashpact_keys::NetworkId;
use hashpact_keys::canonical::encode;
use hashpact_keys::reader::Reader;

use super::{Assessor, Attestation, AttestationError, Basis, Subject, Values};
use crate::lists::{ClosedList, Set};
use crate::record::{EntryId, Flag, Revision};

/// Format of the payload.
const FORMAT: u64 = 1;

impl Attestation {
    /// The payload: canonical CBOR.
    pub(crate) fn payload(&self) -> Vec<u8> {
        let Self {
            subject, values, ..
        } = self;
        encode(|e| {
            e.array(12)?
                .u64(FORMAT)?
                .bytes(self.network.as_bytes())?
                .str(subject.origin.as_str())?
                .bytes(&subject.entry.0)?
                .u32(subject.revision.0)?
                .bytes(&subject.leaf)?
                .str(self.centre.as_str())?
                .str(self.country.as_str())?;
            match self.assessor {
                Some(assessor) => e.bytes(&assessor.0)?,
                None => e.null()?,
            };
            e.u8(self.basis.bit())?.u32(self.day)?.array(6)?;
            let sets = [
                bits(values.content_class),
                bits(values.depiction),
                values.minor_certain.map(u16::from),
                bits(values.age_depicted),
                bits(values.pubertal_stage),
            ];
            for (field, bits) in sets.into_iter().enumerate() {
                match bits {
                    Some(bits) if field == 2 => e.bool(bits == 1)?,
                    Some(bits) => e.u16(bits)?,
                    None => e.null()?,
                };
            }
            if values.features == [Flag::Unknown; 7] {
                return e.null()?.ok();
            }
            e.array(7)?;
            for flag in values.features {
                e.u8(flag.bit())?;
            }
            Ok(())
        })
    }

    pub(super) fn from_payload(payload: &[u8]) -> Result<Self, AttestationError> {
        let mut reader = Reader::new(payload)?;
        reader.array(12)?;
        let got = reader.u64()?;
        if got != FORMAT {
            return Err(AttestationError::Format { got });
        }
        let network = NetworkId::new(*reader.fixed()?);
        let subject = Subject {
            origin: name(&mut reader, "an origin line")?,
            entry: EntryId(*reader.fixed()?),
            revision: Revision(reader.u32()?),
            leaf: *reader.fixed()?,
        };
        let (centre, country) = (
            name(&mut reader, "a centre id")?,
            name(&mut reader, "a jurisdiction")?,
        );
        let assessor = reader.optional::<_, AttestationError>(|r| Ok(Assessor(*r.fixed()?)))?;
        let got = reader.u64()?;
        let basis = Basis::from_bit(got).ok_or(AttestationError::Basis { got })?;
        let day = reader.u32()?;
        reader.array(6)?;
        let values = Values {
            content_class: set(&mut reader, 0)?,
            depiction: set(&mut reader, 1)?,
            minor_certain: reader.optional::<_, AttestationError>(|r| Ok(r.bool()?))?,
            age_depicted: set(&mut reader, 3)?,
            pubertal_stage: set(&mut reader, 4)?,
            features: features(&mut reader)?,
        };
        let attestation = Self {
            network,
            subject,
            centre,
            country,
            assessor,
            basis,
            day,
            values,
        };
        attestation.check()?;
        Ok(attestation)
    }
}

/// What stands for a set: nothing if it could be anything.
fn bits<T: ClosedList>(set: Set<T>) -> Option<u16> {
    (!set.is_full()).then(|| set.bits())
}

fn name<T: std::str::FromStr>(
    reader: &mut Reader<'_>,
    expected: &'static str,
) -> Result<T, AttestationError> {
    let at = reader.position();
    let parsed = reader.text()?.parse();
    Ok(parsed.map_err(|_| Reader::refuse(at, expected))?)
}

fn set<T: ClosedList>(reader: &mut Reader<'_>, field: u8) -> Result<Set<T>, AttestationError> {
    let stated = reader.optional(|reader| {
        let set = Set::from_bits(reader.u64()?).ok_or(AttestationError::Value { field })?;
        if set.is_full() {
            return Err(AttestationError::Default { field });
        }
        Ok(set)
    })?;
    Ok(stated.unwrap_or_else(Set::full))
}

fn features(reader: &mut Reader<'_>) -> Result<[Flag; 7], AttestationError> {
    let unknown = [Flag::Unknown; 7];
    let stated = reader.optional(|reader| {
        reader.array(7)?;
        let mut features = unknown;
        for flag in &mut features {
            *flag = Flag::from_bit(reader.u64()?).ok_or(AttestationError::Value { field: 5 })?;
        }
        if features == unknown {
            return Err(AttestationError::Default { field: 5 });
        }
        Ok(features)
    })?;
    Ok(stated.unwrap_or(unknown))
}
