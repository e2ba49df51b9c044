//! Items as CBOR maps.

use hashpact_keys::Origin;
use hashpact_keys::canonical::encode;
use hashpact_protocol::delta::{Seq, TablePath};
use hashpact_protocol::record::{EntryId, Revision};

use crate::subset::{Change, Cursor};

pub(super) fn at(out: &mut Vec<u8>, cursor: &Cursor) {
    out.extend(encode(|e| {
        e.map(2)?.str("kind")?.str("at")?;
        e.str("cursor")?.str(cursor.as_str())?.ok()
    }));
}

pub(super) fn end(out: &mut Vec<u8>, cursor: &Cursor, more: bool) {
    out.extend(encode(|e| {
        e.map(3)?.str("kind")?.str("end")?;
        e.str("cursor")?.str(cursor.as_str())?;
        e.str("more")?.bool(more)?.ok()
    }));
}

pub(super) fn change(out: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Delta {
            origin,
            seq,
            header,
            index,
        } => out.extend(encode(|e| {
            e.map(5)?.str("kind")?.str("delta")?;
            e.str("origin")?.str(origin.as_str())?;
            e.str("seq")?.u64(seq.0)?;
            e.str("header")?.bytes(header)?;
            e.str("index")?.u64(*index)?.ok()
        })),
        Change::Class {
            origin,
            class,
            labels,
            definition,
        } => out.extend(encode(|e| {
            let items = if definition.is_some() { 6 } else { 4 };
            e.map(items)?.str("kind")?.str("class")?;
            e.str("origin")?.str(origin.as_str())?;
            e.str("class")?.u16(class.0)?;
            e.str("labels")?.bytes(&labels.to_bytes())?;
            if let Some((index, leaf)) = definition {
                e.str("definition")?.bytes(leaf)?;
                e.str("index")?.u64(*index)?;
            }
            e.ok()
        })),
        Change::Pack { .. } => pack(out, change),
        Change::Retraction {
            origin,
            seq,
            path,
            list,
            gone,
        } => retraction(out, (origin, *seq), path, list, gone),
        Change::Withdraw { entries } => out.extend(encode(|e| {
            e.map(2)?.str("kind")?.str("withdraw")?;
            e.str("entries")?.array(entries.len() as u64)?;
            for (origin, entry, revision) in entries {
                e.map(3)?.str("origin")?.str(origin.as_str())?;
                e.str("entry")?.bytes(&entry.0)?;
                e.str("rev")?.u32(revision.0)?;
            }
            e.ok()
        })),
        Change::Mark {
            origin,
            entry,
            revision,
            disputed,
            flagged,
        } => out.extend(encode(|e| {
            e.map(6)?.str("kind")?.str("mark")?;
            e.str("origin")?.str(origin.as_str())?;
            e.str("entry")?.bytes(&entry.0)?;
            e.str("rev")?.u32(revision.0)?;
            e.str("disputed")?.bool(*disputed)?;
            e.str("flagged")?.bool(*flagged)?.ok()
        })),
    }
}

fn pack(out: &mut Vec<u8>, change: &Change) {
    let Change::Pack {
        origin,
        seq,
        class,
        count,
        path,
        section,
        ..
    } = change
    else {
        return;
    };
    out.extend(encode(|e| {
        e.map(7)?.str("kind")?.str("pack")?;
        e.str("origin")?.str(origin.as_str())?;
        e.str("seq")?.u64(seq.0)?;
        e.str("class")?.u16(class.0)?;
        e.str("count")?.u64(*count)?;
        e.str("path")?.array(path.steps().len() as u64)?;
        for step in path.steps() {
            e.bytes(&step)?;
        }
        e.str("section")?.bytes(section)?.ok()
    }));
}

fn retraction(
    out: &mut Vec<u8>,
    (origin, seq): (&Origin, Seq),
    path: &TablePath,
    list: &[u8],
    gone: &[(EntryId, Revision)],
) {
    out.extend(encode(|e| {
        e.map(6)?.str("kind")?.str("retraction")?;
        e.str("origin")?.str(origin.as_str())?;
        e.str("seq")?.u64(seq.0)?;
        e.str("path")?.array(path.steps().len() as u64)?;
        for step in path.steps() {
            e.bytes(&step)?;
        }
        e.str("list")?.bytes(list)?;
        e.str("gone")?.array(gone.len() as u64)?;
        for (entry, revision) in gone {
            e.map(2)?.str("entry")?.bytes(&entry.0)?;
            e.str("rev")?.u32(revision.0)?;
        }
        e.ok()
    }));
}
