//! The payloads, canonical CBOR. Those of one signer begin `[1, network, centre, country, day, ...`, orders
//! `[1, network, centre, time, ...`. Why, scope and limits: see the parent module.

use std::collections::BTreeMap;

use hashpact_keys::canonical::{Written, encode};
use hashpact_keys::reader::Reader;
use hashpact_keys::{NetworkId, Origin, Timestamp};
use minicbor::Encoder;

use super::order::{Hold, HoldCode, Lift, OptIn, OrderBy, Surge};
use super::{
    Answer, By, Code, Dispute, EvidenceError, Feedback, Kind, Member, Object, Reason, Vote,
    Withdrawal,
};
use crate::Hash;
use crate::assess::Subject;
use crate::fingerprint::Algorithm;
use crate::labels::ClassId;
use crate::limits;
use crate::lists::ClosedList;
use crate::record::{EntryId, Revision};

type Out<'a> = &'a mut Encoder<Vec<u8>>;

/// Format of every payload.
const FORMAT: u64 = 1;

fn value(expected: &'static str) -> EvidenceError {
    EvidenceError::Value { expected }
}

impl Object {
    /// The payload. Attestations have a format of their own, in `assess`.
    pub(super) fn payload(&self) -> Vec<u8> {
        encode(|e| match self {
            Self::Attestation(_) => Ok(()),
            Self::Dispute(it) => {
                by(e, &it.by, 11)?;
                subject(e, &it.subject)?;
                e.u8(it.field.bit())?.u8(it.code.bit())?.ok()
            }
            Self::Withdrawal(it) => {
                by(e, &it.by, 9)?;
                entry(e, &it.entry)?;
                e.bytes(&it.of)?.ok()
            }
            Self::Feedback(it) => {
                by(e, &it.by, 13)?;
                subject(e, &it.subject)?;
                e.bytes(&it.member.0)?.u8(it.vote.bit())?;
                optional(e, it.code.map(Code::bit))?;
                optional(e, it.algorithm.as_ref().and_then(Algorithm::code))
            }
            Self::Answer(it) => {
                by(e, &it.by, 11)?;
                entry(e, &it.entry)?;
                e.bytes(&it.of)?.u8(it.verdict.bit())?;
                optional(e, it.code.map(Code::bit))
            }
            Self::Reason(it) => {
                by(e, &it.by, 9)?;
                entry(e, &it.entry)?;
                e.u8(it.code.bit())?.ok()
            }
            Self::Hold(it) => hold(e, it),
            Self::Lift(it) => {
                order_by(e, &it.by, 5)?;
                e.bytes(&it.hold)?.ok()
            }
            Self::OptIn(it) => {
                order_by(e, &it.by, 7)?;
                e.str(it.origin.as_str())?;
                match &it.classes {
                    Some(classes) => {
                        e.array(classes.len() as u64)?;
                        let mut classes = classes.iter();
                        classes.try_for_each(|class| -> Written { e.u16(class.0)?.ok() })?;
                    }
                    None => e.null()?.ok()?,
                }
                e.u64(it.until.get())?.ok()
            }
            Self::Surge(it) => {
                order_by(e, &it.by, 7)?;
                e.str(it.origin.as_str())?.u32(it.day)?.u64(it.up_to)?.ok()
            }
        })
    }

    /// Reads the payload of an object of this kind, strictly.
    pub(super) fn from_payload(kind: Kind, payload: &[u8]) -> Result<Self, EvidenceError> {
        let mut reader = Reader::new(payload)?;
        let r = &mut reader;
        let object = match kind {
            Kind::Attestation => return Err(EvidenceError::Kind),
            Kind::Dispute => Self::Dispute(Dispute {
                by: read_by(r, 11)?,
                subject: read_subject(r)?,
                field: listed(r.u64()?, "a field")?,
                code: listed(r.u64()?, "a reason code")?,
            }),
            Kind::Withdrawal => Self::Withdrawal(Withdrawal {
                by: read_by(r, 9)?,
                entry: read_entry(r)?,
                of: *r.fixed()?,
            }),
            Kind::Feedback => Self::Feedback(Feedback {
                by: read_by(r, 13)?,
                subject: read_subject(r)?,
                member: Member(*r.fixed()?),
                vote: listed(r.u64()?, "a vote")?,
                code: r.optional(|r| listed(r.u64()?, "a reason code"))?,
                algorithm: r.optional(|r| {
                    let known = Algorithm::from_code(r.u64()?);
                    known.ok_or(value("a fingerprint type"))
                })?,
            }),
            Kind::Answer => Self::Answer(Answer {
                by: read_by(r, 11)?,
                entry: read_entry(r)?,
                of: *r.fixed()?,
                verdict: listed(r.u64()?, "a verdict")?,
                code: r.optional(|r| listed(r.u64()?, "a reason code"))?,
            }),
            Kind::Reason => Self::Reason(Reason {
                by: read_by(r, 9)?,
                entry: read_entry(r)?,
                code: listed(r.u64()?, "a reason code")?,
            }),
            Kind::Hold => Self::Hold(read_hold(r)?),
            Kind::Lift => Self::Lift(Lift {
                by: read_order_by(r, 5)?,
                hold: *r.fixed()?,
            }),
            Kind::OptIn => Self::OptIn(OptIn {
                by: read_order_by(r, 7)?,
                origin: name(r, "an origin line")?,
                classes: r.optional(read_classes)?,
                until: Timestamp::new(r.u64()?),
            }),
            Kind::Surge => Self::Surge(Surge {
                by: read_order_by(r, 7)?,
                origin: name(r, "an origin line")?,
                day: r.u32()?,
                up_to: r.u64()?,
            }),
        };
        object.check()?;
        Ok(object)
    }

    /// What holds of every object, whoever signs it.
    pub(super) fn check(&self) -> Result<(), EvidenceError> {
        if let Some((_, _, Revision(0))) = self.entry() {
            return Err(value("revisions from 1"));
        }
        match self {
            Self::Attestation(_) | Self::Withdrawal(_) | Self::Lift(_) => Ok(()),
            Self::Dispute(it) if it.code == Code::Superseded => {
                Err(value("a reason to contest an entry"))
            }
            Self::Dispute(_) => Ok(()),
            Self::Feedback(it) => it.check(),
            Self::Answer(Answer { by, entry, .. }) | Self::Reason(Reason { by, entry, .. }) => {
                match entry.0.centre() == &by.centre {
                    true => Ok(()),
                    false => Err(EvidenceError::NotTheOrigin {
                        centre: by.centre.clone(),
                    }),
                }
            }
            Self::Hold(it) => it.check(),
            Self::OptIn(it) => it.check(),
            Self::Surge(it) => it.check(),
        }
    }
}

impl Feedback {
    fn check(&self) -> Result<(), EvidenceError> {
        let fits = match (self.vote, self.code) {
            (Vote::Affirmative, None) | (Vote::Negative, None) => true,
            (Vote::Affirmative, Some(_)) | (Vote::Negative, Some(Code::Superseded)) => false,
            (Vote::Negative, Some(_)) => true,
        };
        match fits && self.member != Member([0; 16]) {
            true => Ok(()),
            false => Err(value("a member, and a reason of a negative vote only")),
        }
    }
}

fn by(e: Out<'_>, by: &By, parts: u64) -> Written {
    e.array(parts)?
        .u64(FORMAT)?
        .bytes(by.network.as_bytes())?
        .str(by.centre.as_str())?
        .str(by.country.as_str())?
        .u32(by.day)?
        .ok()
}

fn order_by(e: Out<'_>, by: &OrderBy, parts: u64) -> Written {
    e.array(parts)?
        .u64(FORMAT)?
        .bytes(by.network.as_bytes())?
        .str(by.centre.as_str())?
        .u64(by.time.get())?
        .ok()
}

fn subject(e: Out<'_>, it: &Subject) -> Written {
    e.str(it.origin.as_str())?.bytes(&it.entry.0)?;
    e.u32(it.revision.0)?.bytes(&it.leaf)?.ok()
}

fn entry(e: Out<'_>, (origin, entry, revision): &(Origin, EntryId, Revision)) -> Written {
    e.str(origin.as_str())?
        .bytes(&entry.0)?
        .u32(revision.0)?
        .ok()
}

fn optional(e: Out<'_>, value: Option<u8>) -> Written {
    match value {
        Some(value) => e.u8(value)?.ok(),
        None => e.null()?.ok(),
    }
}

/// `[..., [[origin, [entry...]]...], [series...], code, from, until]`.
fn hold(e: Out<'_>, it: &Hold) -> Written {
    order_by(e, &it.by, 9)?;
    e.array(it.entries.len() as u64)?;
    it.entries
        .iter()
        .try_for_each(|(origin, entries)| -> Written {
            e.array(2)?.str(origin.as_str())?;
            e.array(entries.len() as u64)?;
            let mut entries = entries.iter();
            entries.try_for_each(|entry| -> Written { e.bytes(&entry.0)?.ok() })
        })?;
    e.array(it.series.len() as u64)?;
    let mut series = it.series.iter();
    series.try_for_each(|series| -> Written { e.bytes(series)?.ok() })?;
    e.u8(it.code.bit())?.u64(it.from.get())?;
    e.u64(it.until.get())?.ok()
}

fn read_hold(r: &mut Reader<'_>) -> Result<Hold, EvidenceError> {
    let by = read_order_by(r, 9)?;
    let mut entries: BTreeMap<Origin, Vec<EntryId>> = BTreeMap::new();
    for _ in 0..r.list(limits::HOLD_NAMED)? {
        r.array(2)?;
        let origin: Origin = name(r, "an origin line")?;
        if entries.keys().next_back().is_some_and(|it| *it >= origin) {
            return Err(value("logs, ascending"));
        }
        let count = r.list(limits::HOLD_NAMED)?;
        let list = (0..count).map(|_| r.fixed().map(|id| EntryId(*id)));
        entries.insert(origin, list.collect::<Result<_, _>>()?);
    }
    let count = r.list(limits::HOLD_NAMED)?;
    let series = (0..count).map(|_| r.fixed().copied());
    Ok(Hold {
        by,
        entries,
        series: series.collect::<Result<_, _>>()?,
        code: listed::<HoldCode>(r.u64()?, "a reason of a hold")?,
        from: Timestamp::new(r.u64()?),
        until: Timestamp::new(r.u64()?),
    })
}

fn read_by(r: &mut Reader<'_>, parts: u64) -> Result<By, EvidenceError> {
    let network = head(r, parts)?;
    let by = By {
        network,
        centre: name(r, "a centre id")?,
        country: name(r, "a jurisdiction")?,
        day: r.u32()?,
    };
    match by.day < limits::DAYS {
        true => Ok(by),
        false => Err(value("a day before 2243")),
    }
}

fn read_order_by(r: &mut Reader<'_>, parts: u64) -> Result<OrderBy, EvidenceError> {
    Ok(OrderBy {
        network: head(r, parts)?,
        centre: name(r, "a centre id")?,
        time: Timestamp::new(r.u64()?),
    })
}

fn head(r: &mut Reader<'_>, parts: u64) -> Result<NetworkId, EvidenceError> {
    r.array(parts)?;
    if r.u64()? != FORMAT {
        return Err(value("format 1"));
    }
    Ok(NetworkId::new(*r.fixed()?))
}

fn read_subject(r: &mut Reader<'_>) -> Result<Subject, EvidenceError> {
    let (origin, entry, revision) = read_entry(r)?;
    let leaf: Hash = *r.fixed()?;
    Ok(Subject {
        origin,
        entry,
        revision,
        leaf,
    })
}

fn read_entry(r: &mut Reader<'_>) -> Result<(Origin, EntryId, Revision), EvidenceError> {
    let origin = name(r, "an origin line")?;
    Ok((origin, EntryId(*r.fixed()?), Revision(r.u32()?)))
}

fn read_classes(r: &mut Reader<'_>) -> Result<Vec<ClassId>, EvidenceError> {
    let count = r.list(limits::CLASSES_PER_ORDER)?;
    let classes = (0..count).map(|_| r.u16().map(ClassId));
    Ok(classes.collect::<Result<_, _>>()?)
}

fn listed<T: ClosedList>(bit: u64, expected: &'static str) -> Result<T, EvidenceError> {
    T::from_bit(bit).ok_or(value(expected))
}

fn name<T: std::str::FromStr>(
    r: &mut Reader<'_>,
    expected: &'static str,
) -> Result<T, EvidenceError> {
    let parsed = r.text()?.parse();
    parsed.map_err(|_| value(expected))
}
