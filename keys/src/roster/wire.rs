//! The payload of a roster, to bytes and back. Why: the bytes are what is signed, hashed and pinned, so there is one
//! encoding. Spec: `docs/protocol.md`, roster; every struct is an array of its fields in the order of their declaration,
//! after a format number. In scope: shape. Out of scope: rules between parts (`rules`).

use minicbor::Encoder;

use crate::canonical::{self, Written};
use crate::id::{KeyId, NetworkId, RosterVersion, Timestamp};
use crate::reader::Reader;
use crate::signer::PublicKey;

use super::{
    CentreEntry, KeyEntry, KeyUse, Revocation, RosterDraft, RosterPayloadError as Error,
    WitnessEntry,
};
use super::{
    MAX_ADDRESSES, MAX_CENTRES, MAX_KEYS, MAX_REVOCATIONS, MAX_ROOT_KEYS, MAX_WITNESSES,
    ROSTER_FORMAT,
};

type Out = Encoder<Vec<u8>>;

/// Writes the lists as they stand: the caller has sorted them.
pub(super) fn encode(draft: &RosterDraft) -> Vec<u8> {
    canonical::encode(|e| {
        e.array(12)?.u64(ROSTER_FORMAT)?;
        match draft.network {
            Some(network) => e.bytes(network.as_bytes())?,
            None => e.null()?,
        };
        e.u64(draft.version.get())?
            .u64(draft.issued_at.get())?
            .u64(draft.expires_at.get())?;
        e.bool(draft.demo)?.u8(draft.threshold)?;
        write_list(e, &draft.root_keys, |e, key| e.bytes(key.as_bytes())?.ok())?;
        write_list(e, &draft.centres, write_centre)?;
        write_list(e, &draft.auditors, write_witness)?;
        write_list(e, &draft.witnesses, write_witness)?;
        write_list(e, &draft.revocations, write_revocation)
    })
}

/// Writes an array of whatever `write` makes of each item.
pub(crate) fn write_list<T>(
    e: &mut Out,
    items: &[T],
    write: impl Fn(&mut Out, &T) -> Written,
) -> Written {
    e.array(items.len() as u64)?;
    items.iter().try_for_each(|item| write(e, item))
}

fn write_centre(e: &mut Out, centre: &CentreEntry) -> Written {
    e.array(5)?
        .str(centre.id.as_str())?
        .str(centre.jurisdiction.as_str())?
        .str(centre.origin.as_str())?;
    write_list(e, &centre.keys, write_key)?;
    write_list(e, &centre.addresses, |e, address| e.str(address)?.ok())
}

fn write_witness(e: &mut Out, witness: &WitnessEntry) -> Written {
    e.array(2)?.str(witness.name.as_str())?;
    write_list(e, &witness.keys, write_key)
}

fn write_key(e: &mut Out, entry: &KeyEntry) -> Written {
    e.array(4)?
        .u8(entry.use_.code())?
        .bytes(entry.key.as_bytes())?
        .u64(entry.from.get())?;
    match entry.until {
        Some(until) => e.u64(until.get())?.ok(),
        None => e.null()?.ok(),
    }
}

fn write_revocation(e: &mut Out, entry: &Revocation) -> Written {
    e.array(3)?
        .bytes(entry.key.as_bytes())?
        .str(entry.origin.as_str())?
        .u64(entry.size)?
        .ok()
}

/// Reads the shape. The lists are as they came: `rules` has not seen them.
pub(super) fn decode(payload: &[u8]) -> Result<RosterDraft, Error> {
    let mut reader = Reader::new(payload)?;
    let r = &mut reader;
    r.array(12)?;
    let format = r.u64()?;
    if format != ROSTER_FORMAT {
        return Err(Error::Format {
            expected: ROSTER_FORMAT,
            got: format,
        });
    }
    Ok(RosterDraft {
        network: r.optional(|r| r.fixed().copied().map(NetworkId::new))?,
        version: RosterVersion::new(r.u64()?),
        issued_at: Timestamp::new(r.u64()?),
        expires_at: Timestamp::new(r.u64()?),
        demo: r.bool()?,
        threshold: r.u8()?,
        root_keys: read_list(r, MAX_ROOT_KEYS, read_public_key)?,
        centres: read_list(r, MAX_CENTRES, read_centre)?,
        auditors: read_list(r, MAX_WITNESSES, read_witness)?,
        witnesses: read_list(r, MAX_WITNESSES, read_witness)?,
        revocations: read_list(r, MAX_REVOCATIONS, read_revocation)?,
    })
}

/// Reads an array of at most `max` items.
pub(crate) fn read_list<T>(
    r: &mut Reader<'_>,
    max: usize,
    read: impl Fn(&mut Reader<'_>) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let count = r.list(max)?;
    (0..count).map(|_| read(r)).collect()
}

fn read_public_key(r: &mut Reader<'_>) -> Result<PublicKey, Error> {
    Ok(PublicKey::from_bytes(r.fixed()?)?)
}

fn read_centre(r: &mut Reader<'_>) -> Result<CentreEntry, Error> {
    r.array(5)?;
    Ok(CentreEntry {
        id: r.text()?.parse()?,
        jurisdiction: r.text()?.parse()?,
        origin: r.text()?.parse()?,
        keys: read_list(r, MAX_KEYS, read_key)?,
        addresses: read_addresses(r)?,
    })
}

fn read_witness(r: &mut Reader<'_>) -> Result<WitnessEntry, Error> {
    r.array(2)?;
    Ok(WitnessEntry {
        name: r.text()?.parse()?,
        keys: read_list(r, MAX_KEYS, read_key)?,
    })
}

fn read_key(r: &mut Reader<'_>) -> Result<KeyEntry, Error> {
    r.array(4)?;
    Ok(KeyEntry {
        use_: KeyUse::from_code(r.u8()?)?,
        key: read_public_key(r)?,
        from: Timestamp::new(r.u64()?),
        until: r.optional(Reader::u64)?.map(Timestamp::new),
    })
}

fn read_revocation(r: &mut Reader<'_>) -> Result<Revocation, Error> {
    r.array(3)?;
    Ok(Revocation {
        key: r.fixed().copied().map(KeyId::new)?,
        origin: r.text()?.parse()?,
        size: r.u64()?,
    })
}

/// Reads the list of addresses of one centre.
pub(crate) fn read_addresses(r: &mut Reader<'_>) -> Result<Vec<String>, Error> {
    read_list(r, MAX_ADDRESSES, |r| Ok(r.text()?.to_owned()))
}
