//! The driver for the formats of private matching: the context says which reader takes the bytes, and an error is its message.

use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::{
    Answer, Ask, Epoch, GroupId, Label, Manifest, SealedLabel, SegmentPlace, SegmentRow,
    SegmentTags, SessionId, SessionRecord, Side, Space, Tag, TagBits, tag,
};
use serde_json::{Value, json};

use crate::drivers::{centre, fixed, number, text};

/// Where every vector of tags, segments and labels stands.
fn space() -> Space {
    Space {
        origin: "eu.example/eu/1".parse().expect("an origin"),
        epoch: Epoch(2),
        group: GroupId(1),
        kind: 3,
        mode: MatchMode::Labels,
    }
}

pub(crate) fn place() -> SegmentPlace {
    SegmentPlace::new(&space(), None, 4)
}

/// Context: `read`, and what that reader needs.
pub(crate) fn matching(input: &[u8], context: &Value) -> Result<Value, Value> {
    match text(&context["read"]) {
        "tag" => {
            let bits = TagBits::new(number(&context["bits"])).map_err(said)?;
            let session = &context["session"];
            let session = (!session.is_null()).then(|| SessionId(fixed(session)));
            let doubled = input.try_into().expect("32 bytes");
            let tag = tag(&space(), session.as_ref(), doubled, bits);
            Ok(json!({ "tag": format!("{:x}", tag.0) }))
        }
        "chunks" => chunks(input, context),
        "label" => {
            let sealed = SealedLabel(input.try_into().expect("20 bytes"));
            let (tag, doubled) = (
                Tag(number(&context["tag"]).into()),
                fixed(&context["doubled"]),
            );
            let label = Label::open(&sealed, &place(), tag, &doubled).map_err(said)?;
            Ok(json!({
                "severity": label.severity.bits(),
                "depiction": label.depiction.bits(),
                "state": label.state.bits(),
                "minor_certain": label.minor_certain,
            }))
        }
        "manifest" => {
            let manifest = Manifest::open(input, &centre(context)).map_err(said)?;
            let groups = manifest.groups.iter();
            let groups =
                groups.map(|row| json!([row.group.0, row.classes.len(), row.artifacts.len()]));
            Ok(json!({
                "number": manifest.number,
                "epoch": manifest.epoch.0,
                "log_size": manifest.log_size,
                "bits": manifest.bits.get(),
                "groups": groups.collect::<Value>(),
            }))
        }
        "ask" => {
            let ask = Ask::from_bytes(input).map_err(said)?;
            assert_eq!(ask.to_bytes(), input, "one encoding for one meaning");
            Ok(json!({ "kind": input[1], "bytes": input.len() }))
        }
        "answer" => {
            let answer = Answer::from_bytes(input).map_err(said)?;
            assert_eq!(answer.to_bytes(), input, "one encoding for one meaning");
            Ok(json!({ "kind": input[1], "bytes": input.len() }))
        }
        "record" => {
            let record = SessionRecord::from_bytes(input).map_err(said)?;
            assert_eq!(record.to_bytes(), input, "one encoding for one meaning");
            Ok(
                json!({ "asker": record.asker.to_string(), "items": record.items, "matches": record.matches }),
            )
        }
        other => unreachable!("{other}"),
    }
}

/// Context: `bits`, `lengths` of the chunks in the bytes, and the row: `added`, `removed`, `root`.
fn chunks(input: &[u8], context: &Value) -> Result<Value, Value> {
    let bits = TagBits::new(number(&context["bits"])).map_err(said)?;
    let lengths: Vec<_> = context["lengths"]
        .as_array()
        .expect("a list")
        .iter()
        .map(number)
        .collect();
    let row = SegmentRow {
        number: 4,
        added: number(&context["added"]),
        removed: number(&context["removed"]),
        bytes: lengths.iter().sum(),
        chunks: u32::try_from(lengths.len()).expect("few"),
        root: fixed(&context["root"]),
        label_root: None,
    };
    let mut reader = SegmentTags::new(&place(), bits, &row);
    let (mut rest, mut tags, mut all) = (input, Vec::new(), [Vec::new(), Vec::new()]);
    for length in lengths {
        let (chunk, behind) = rest.split_at(usize::try_from(length).expect("short"));
        let side = reader.chunk(chunk, &mut tags).map_err(said)?;
        let of_side = &mut all[usize::from(side == Side::Added)];
        of_side.extend(tags.iter().map(|tag| format!("{:x}", tag.0)));
        rest = behind;
    }
    assert!(
        rest.is_empty(),
        "a vector that says how long its chunks are"
    );
    reader.finish().map_err(said)?;
    let [removed, added] = all;
    Ok(json!({ "removed": removed, "added": added }))
}

fn said(error: impl std::fmt::Display) -> Value {
    json!(error.to_string())
}
