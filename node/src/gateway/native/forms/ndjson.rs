//! Items as lines of JSON.
//!
//! A line with many records is written straight into its bytes: what stands in it is hexadecimal, base64, numbers and words
//! of closed lists, which need no escape; all else goes through the JSON writer.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hashpact_protocol::delta::{ClassSection, TablePath};
use hashpact_protocol::fingerprint::{Algorithm, Fingerprint};
use hashpact_protocol::record::{EntryId, Record, Revision};
use serde_json::{Value, json};

use super::Damaged;
use crate::gateway::native::labels::labels;
use crate::subset::{Change, Cursor};

pub(super) fn at(out: &mut Vec<u8>, cursor: &Cursor) {
    line(out, &json!({ "kind": "at", "cursor": cursor.as_str() }));
}

pub(super) fn end(out: &mut Vec<u8>, cursor: &Cursor, more: bool) {
    line(
        out,
        &json!({ "kind": "end", "cursor": cursor.as_str(), "more": more }),
    );
}

pub(super) fn change(out: &mut Vec<u8>, change: &Change) -> Result<(), Damaged> {
    match change {
        Change::Delta {
            origin,
            seq,
            header,
            index,
        } => line(
            out,
            &json!({
                "kind": "delta", "origin": origin.as_str(), "seq": seq.0,
                "header": STANDARD.encode(&**header), "index": index,
            }),
        ),
        Change::Class {
            origin,
            class,
            labels: of,
            definition,
        } => line(
            out,
            &json!({
                "kind": "class", "origin": origin.as_str(), "class": class.0, "labels": labels(of),
                "definition": definition.as_ref().map(|(_, leaf)| STANDARD.encode(&**leaf)),
                "index": definition.as_ref().map(|(index, _)| index),
            }),
        ),
        Change::Pack { .. } => return pack(out, change),
        Change::Retraction {
            origin,
            seq,
            path,
            list,
            gone,
        } => line(
            out,
            &json!({
                "kind": "retraction", "origin": origin.as_str(), "seq": seq.0, "path": steps(path),
                "list": STANDARD.encode(&**list),
                "gone": gone.iter().map(place).collect::<Vec<_>>(),
            }),
        ),
        Change::Withdraw { entries } => {
            let entries = entries.iter().map(|(origin, entry, revision)| {
                json!({ "origin": origin.as_str(), "entry": entry.to_string(), "rev": revision.0 })
            });
            let entries = entries.collect::<Vec<_>>();
            line(out, &json!({ "kind": "withdraw", "entries": entries }));
        }
        Change::Mark {
            origin,
            entry,
            revision,
            disputed,
            flagged,
        } => line(
            out,
            &json!({
                "kind": "mark", "origin": origin.as_str(), "entry": entry.to_string(),
                "rev": revision.0, "disputed": disputed, "flagged": flagged,
            }),
        ),
    }
    Ok(())
}

fn line(out: &mut Vec<u8>, value: &Value) {
    // A vector takes every byte.
    let _ = writeln!(out, "{value}");
}

fn place((entry, revision): &(EntryId, Revision)) -> Value {
    json!({ "entry": entry.to_string(), "rev": revision.0 })
}

fn steps(path: &TablePath) -> Vec<String> {
    path.steps().map(|step| STANDARD.encode(step)).collect()
}

fn pack(out: &mut Vec<u8>, change: &Change) -> Result<(), Damaged> {
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
        return Ok(());
    };
    let head = json!({
        "kind": "pack", "origin": origin.as_str(), "seq": seq.0, "class": class.0, "count": count,
        "path": steps(path),
    });
    let head = head.to_string();
    out.extend_from_slice(head.strip_suffix('}').unwrap_or(&head).as_bytes());
    out.extend_from_slice(b",\"section\":\"");
    base64(out, section);
    out.extend_from_slice(b"\",\"entries\":[");
    let read = ClassSection::read(section).and_then(|section| section.entries());
    for (number, (entry, bytes)) in read.map_err(|_| Damaged)?.into_iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        let record = Record::from_bytes(bytes).map_err(|_| Damaged)?;
        record_of(out, entry, &record);
    }
    out.extend_from_slice(b"]}\n");
    Ok(())
}

fn record_of(out: &mut Vec<u8>, entry: EntryId, record: &Record) {
    out.extend_from_slice(b"{\"entry\":\"");
    hex(out, &entry.0);
    let _ = write!(out, "\",\"rev\":{},\"fingerprints\":[", record.revision.0);
    for (number, print) in record.fields.matchable().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        fingerprint(out, print);
    }
    out.extend_from_slice(b"]}");
}

/// `PhotoDNA` in base64, as its users have it; all others in hexadecimal.
fn fingerprint(out: &mut Vec<u8>, print: &Fingerprint) {
    out.extend_from_slice(b"{\"alg\":");
    let _ = match print.algorithm() {
        Algorithm::Other(name) => serde_json::to_writer(&mut *out, name),
        known @ (Algorithm::Md5
        | Algorithm::Sha1
        | Algorithm::Sha256
        | Algorithm::Blake3
        | Algorithm::Pdq
        | Algorithm::PhotoDna) => serde_json::to_writer(&mut *out, known.name()),
    };
    out.extend_from_slice(b",\"value\":\"");
    match print.algorithm() {
        Algorithm::PhotoDna => base64(out, print.bytes()),
        Algorithm::Md5
        | Algorithm::Sha1
        | Algorithm::Sha256
        | Algorithm::Blake3
        | Algorithm::Pdq
        | Algorithm::Other(_) => hex(out, print.bytes()),
    }
    out.extend_from_slice(b"\"}");
}

fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = STANDARD.encode_slice(bytes, &mut out[start..]);
    // There is exactly as much room as it takes.
    out.truncate(start + written.unwrap_or_default());
}
