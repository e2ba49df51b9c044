//! Vectors of private matching: tags, chunks, labels, manifests, frames, records.

use hashpact_keys::{Context, KeyUse, NetworkId, Timestamp, cose};
use hashpact_protocol::assess::Severity;
use hashpact_protocol::labels::{ClassId, Depiction, Purpose, State};
use hashpact_protocol::limits;
use hashpact_protocol::lists::Set;
use hashpact_protocol::policy::{Asker, MatchMode};
use hashpact_protocol::psi::{
    Answer, Artifact, Ask, Batch, Chunk, Epoch, Group, GroupId, Label, Manifest, OpenAsk, Opened,
    Points, RefusalCode, Role, SegmentAsk, SegmentRow, SessionId, SessionRecord, Tag, TagBits,
    encode as segment,
};
use hashpact_protocol::testing::keys::{CentreSetup, START};
use serde_json::{Value, json};

use super::{Maker, item, turned};
use crate::matching::place;

const BITS: u64 = 62;
const ITEM: [u8; 32] = [9; 32];

pub(super) fn make(maker: &mut Maker) {
    tags(maker);
    chunks(maker);
    labels(maker);
    manifests(maker);
    frames(maker);
    records(maker);
}

fn tags(maker: &mut Maker) {
    maker.spec("protocol.md#items-and-tags");
    maker.context(json!({ "read": "tag", "bits": BITS }));
    maker.good("match_tag_of_62_bits", &ITEM);
    maker.context(json!({ "read": "tag", "bits": 80, "session": hex::encode([7; 16]) }));
    maker.good("match_tag_of_80_bits_in_a_session", &ITEM);
    maker.context(json!({ "read": "tag", "bits": 81 }));
    maker.bad(
        "match_tag_of_81_bits",
        &ITEM,
        json!("tags have 1 to 80 bits, got 81"),
    );
}

fn chunks(maker: &mut Maker) {
    maker.spec("protocol.md#segments");
    let bits = TagBits::new(BITS).expect("62");
    let spread = |from: u128, count: u128| -> Vec<Tag> {
        (0..count).map(|n| Tag(from + n * n * (1 << 51))).collect()
    };
    let (added, removed) = (spread(5, 9), spread(77, 3));
    let made = segment(&place(), bits, &added, &removed).expect("sorted");
    let context = |lengths: &[usize], root: &[u8], added: u64| json!({ "read": "chunks", "bits": BITS, "lengths": lengths, "added": added, "removed": 3, "root": hex::encode(root) });
    let lengths: Vec<_> = made.chunks.iter().map(Vec::len).collect();
    let (first, last) = (made.chunks[0].clone(), made.chunks[1].clone());
    let root = made.row.root;
    maker.context(context(&lengths, &root, 9));
    maker.good("match_segment_of_two_lists", &made.chunks.concat());
    let mut bad = |name, chunks: &[Vec<u8>], added, error: &str| {
        let lengths: Vec<_> = chunks.iter().map(Vec::len).collect();
        maker.context(context(&lengths, &root, added));
        maker.bad(name, &chunks.concat(), json!(error));
    };
    let bent = |at: usize, to: u8| {
        let mut chunk = last.clone();
        chunk[at] = to;
        [first.clone(), chunk]
    };
    let order = [last.clone(), first.clone()];
    let text = "chunk 1: removed tags behind added ones";
    bad("match_segment_lists_swapped", &order, 9, text);
    let text = "chunk 1: the first tag does not follow the last one of the chunk before";
    bad(
        "match_segment_chunk_twice",
        &[first.clone(), first.clone()],
        9,
        text,
    );
    let text = "chunk 1: the bits end after 9 of 10 tags";
    bad("match_segment_count_above", &bent(5, 10), 9, text);
    let text = "chunk 1: there is more behind the last of 8 tags";
    bad("match_segment_count_below", &bent(5, 8), 9, text);
    let text = "chunk 1: Rice parameter 62 for tags of 62 bits";
    bad("match_segment_parameter", &bent(1, 62), 9, text);
    let text = "chunk 1: list 2 is neither removed nor added tags";
    bad("match_segment_third_list", &bent(0, 2), 9, text);
    let trailing = [first.clone(), [&last[..], &[0]].concat()];
    let text = "chunk 1: there is more behind the last of 9 tags";
    bad("match_segment_byte_behind", &trailing, 9, text);
    let counts = made.chunks.clone();
    let text = "[9, 3] tags added and removed, expected [10, 3]";
    bad("match_segment_fewer_than_said", &counts, 10, text);
    let other = [first.clone(), {
        let mut chunk = last.clone();
        chunk[15] ^= 1;
        chunk
    }];
    let text = "the chunks are not those of the root";
    bad("match_segment_of_another_root", &other, 9, text);
}

fn labels(maker: &mut Maker) {
    maker.spec("protocol.md#segments");
    let label = Label {
        severity: Set::of(&[Severity::S1, Severity::S2]),
        depiction: Set::of(&[Depiction::Real]),
        state: Set::of(&[State::Assessed]),
        minor_certain: true,
    };
    let sealed = label.seal(&place(), Tag(5), &ITEM).0;
    let context = |tag: u64, doubled: [u8; 32]| json!({ "read": "label", "tag": tag, "doubled": hex::encode(doubled) });
    let error = "the label is not that of this item in this segment, or says nothing that this version reads";
    maker.context(context(5, ITEM));
    maker.good("match_label", &sealed);
    maker.bad("match_label_changed", &turned(&sealed, 20), json!(error));
    maker.context(context(6, ITEM));
    maker.bad("match_label_of_another_tag", &sealed, json!(error));
    maker.context(context(5, [8; 32]));
    maker.bad("match_label_of_another_item", &sealed, json!(error));
}

fn row(number: u32, added: u64, removed: u64) -> SegmentRow {
    SegmentRow {
        number,
        added,
        removed,
        bytes: 6 * (added + removed),
        chunks: 1,
        root: [6; 32],
        label_root: None,
    }
}

fn manifest() -> Manifest {
    let artifact = |key, mode, segments| Artifact {
        kind: 3,
        mode,
        key: [key; 32],
        items: 12,
        segments,
    };
    let labelled = SegmentRow {
        label_root: Some([7; 32]),
        ..row(0, 12, 0)
    };
    let group = Group {
        group: GroupId(1),
        classes: vec![ClassId(0), ClassId(4)],
        artifacts: vec![
            artifact(1, MatchMode::Items, vec![row(0, 10, 0), row(1, 3, 1)]),
            artifact(2, MatchMode::Labels, vec![labelled]),
        ],
    };
    Manifest {
        network: NetworkId::new([1; 32]),
        origin: "eu.example/eu/1".parse().expect("an origin"),
        number: 4,
        epoch: Epoch(2),
        log_size: 90,
        issued_at: START,
        from: START,
        until: Timestamp::new(START.get() + limits::MATCH_EPOCH_S),
        bits: TagBits::of(12),
        groups: vec![group],
    }
}

fn manifests(maker: &mut Maker) {
    maker.spec("protocol.md#match-manifest");
    let setup = CentreSetup::numbered(0);
    let entry = setup.entry_with(&[KeyUse::Manifest]);
    let keys = entry.keys.iter();
    let keys = keys.map(|entry| {
        json!([
            entry.use_.code(),
            entry.key.to_string(),
            entry.from.get(),
            null
        ])
    });
    maker.context(json!({ "read": "manifest", "origin": setup.origin.as_str(), "keys": keys.collect::<Value>() }));
    let signer = setup.signer(KeyUse::Manifest);
    let good = manifest().sign(&signer).expect("a good one");
    maker.good("match_manifest", &good);
    let error = "match manifest: the signature by key 36f2d0a3d9ef9ed9 does not verify";
    let kid = signer.public().key_id().to_string();
    let error = error.replace("36f2d0a3d9ef9ed9", &kid);
    maker.bad(
        "match_manifest_signature_changed",
        &turned(&good, 1),
        json!(error),
    );
    // Bytes of a payload that no code of ours would sign: the same one with a group twice.
    let envelope = cose::Sign1::parse(&good, Context::Manifest).expect("its form");
    let payload = envelope.peek();
    let resigned = |from: &[u8], to: &[u8]| {
        let payload = super::replaced(payload, from, to);
        cose::sign1(&signer, Context::Manifest, &payload)
    };
    let key = resigned(&[2; 32], &[1; 32]);
    let error = "match manifest: group 1 has a key that another artifact has";
    maker.bad("match_manifest_key_twice", &key, json!(error));
    let classes = resigned(&[0x82, 0, 4], &[0x82, 4, 4]);
    let error = "match manifest: class 4 is out of order or in two groups";
    maker.bad("match_manifest_class_twice", &classes, json!(error));
    let removed = resigned(&[0x87, 1, 3, 1], &[0x87, 1, 3, 2]);
    let error = "match manifest: an artifact of group 1 has 12 items, its segments 11";
    maker.bad("match_manifest_items", &removed, json!(error));
    let what = resigned(b"match", b"catch");
    let error = "match manifest: expected a match manifest of format 1";
    maker.bad("match_manifest_of_something_else", &what, json!(error));
}

fn frames(maker: &mut Maker) {
    maker.spec("protocol.md#sessions");
    maker.context(json!({ "read": "ask" }));
    let session = SessionId([1; 16]);
    let (epoch, group, kind) = (Epoch(7), GroupId(2), 3);
    let segment = Ask::Segment(SegmentAsk {
        epoch,
        group,
        kind,
        mode: MatchMode::Labels,
        segment: [9; 32],
        labels: true,
        from_chunk: 4,
    });
    let open = Ask::Open(OpenAsk {
        session,
        mode: MatchMode::Count,
        kind,
        purpose: Purpose::Detect,
        items: 1_000,
        epoch,
        resume_at: 0,
    });
    let points = Points(vec![[3; 32], [4; 32]]);
    let batch = Ask::Batch(Batch {
        first: 4_096,
        points: points.clone(),
    });
    maker.good("match_ask_manifest", &Ask::Manifest.to_bytes());
    maker.good("match_ask_segment", &segment.to_bytes());
    maker.good("match_ask_open", &open.to_bytes());
    maker.good("match_ask_batch", &batch.to_bytes());
    maker.good(
        "match_ask_finish",
        &Ask::Finish { query: [8; 32] }.to_bytes(),
    );
    let cut = item(|e| e.array(3)?.u8(4)?.u64(0)?.bytes(&[1; 63])?.ok());
    let error = "match frame: 63 bytes of points are not 32 for each";
    maker.bad("match_ask_batch_cut", &cut, json!(error));
    let none = item(|e| e.array(3)?.u8(4)?.u64(0)?.bytes(&[])?.ok());
    let error = "match frame: expected a batch of 1 to 4,096 points";
    maker.bad("match_ask_batch_of_nothing", &none, json!(error));
    let kind_six = item(|e| e.array(1)?.u8(6)?.ok());
    let error = "match frame: message of unknown kind 6";
    maker.bad("match_ask_unknown_kind", &kind_six, json!(error));
    maker.context(json!({ "read": "answer" }));
    let opened = Answer::Opened(Opened {
        groups: vec![GroupId(0), GroupId(3)],
        used: 12,
        per_day: 1_000_000,
        session_key: Some([2; 32]),
        next: 0,
    });
    let evaluated = Answer::Evaluated {
        first: 1,
        group,
        points: points.clone(),
        proof: [5; 64],
    };
    let refused = Answer::Refused {
        code: RefusalCode::OverQuota,
        text: "the quota of the day is used up".to_owned(),
    };
    let chunk = Answer::Chunk(Chunk {
        index: 3,
        bytes: vec![1; 20],
    });
    let first = 0;
    maker.good("match_answer_chunk", &chunk.to_bytes());
    maker.good("match_answer_end", &Answer::End.to_bytes());
    maker.good("match_answer_opened", &opened.to_bytes());
    maker.good("match_answer_refused", &refused.to_bytes());
    maker.good("match_answer_evaluated", &evaluated.to_bytes());
    maker.good(
        "match_answer_shuffled",
        &Answer::Shuffled { first, points }.to_bytes(),
    );
    maker.good(
        "match_answer_artifact",
        &Answer::Artifact(row(0, 20, 0)).to_bytes(),
    );
    let control = item(|e| e.array(3)?.u8(5)?.u8(3)?.str("\x1b[2J")?.ok());
    let error = "match frame: expected a short line of text";
    maker.bad(
        "match_answer_refused_with_control_characters",
        &control,
        json!(error),
    );
    let code = item(|e| e.array(3)?.u8(5)?.u8(0)?.str("")?.ok());
    let error = "match frame: expected a known refusal";
    maker.bad("match_answer_refused_for_nothing", &code, json!(error));
    let twice = item(|e| {
        e.array(6)?.u8(4)?.array(2)?.u8(1)?.u8(1)?;
        e.u8(0)?.u8(0)?.null()?.u8(0)?.ok()
    });
    let error = "match frame: expected groups, ascending";
    maker.bad("match_answer_opened_group_twice", &twice, json!(error));
    let huge = Answer::Artifact(row(0, u64::MAX / 8, 0));
    let error = "match frame: expected a segment of tags in chunks that hold them";
    maker.bad(
        "match_answer_artifact_too_large",
        &huge.to_bytes(),
        json!(error),
    );
}

fn records(maker: &mut Maker) {
    maker.spec("protocol.md#session-record");
    maker.context(json!({ "read": "record" }));
    let record = SessionRecord {
        network: NetworkId::new([1; 32]),
        session: SessionId([2; 16]),
        origin: "eu.example/eu/1".parse().expect("an origin"),
        asker: Asker::Member("acme".to_owned()),
        role: Role::Client,
        mode: MatchMode::Items,
        kind: 3,
        groups: vec![GroupId(0), GroupId(4)],
        epoch: Epoch(2),
        purpose: Purpose::Detect,
        items: 10_000,
        received: Some(10_000),
        matches: Some(137),
        used: 30_000,
        per_day: 1_000_000,
        from: START,
        until: Timestamp::new(START.get() + 9),
        query: Some([3; 32]),
        blinds: Some([4; 32]),
        manifest: Some(77),
        refusal: None,
    };
    maker.good("match_record", &record.to_bytes());
    let mut bad = |name, expected: &str, change: fn(&mut SessionRecord)| {
        let mut bent = record.clone();
        change(&mut bent);
        let error = format!("session record: expected {expected}");
        maker.bad(name, &bent.to_bytes(), json!(error));
    };
    let alone = "matches and blinds in the record of who asked only";
    bad("match_record_server_knows_matches", alone, |r| {
        r.role = Role::Server
    });
    let whole = "every item and the commitment to them, in a session that came to its end";
    bad("match_record_query_missing", whole, |r| r.query = None);
    let items = "no more items than were declared";
    bad("match_record_more_than_declared", items, |r| {
        r.items = 9_999
    });
    let matches = "no more matches than items";
    bad("match_record_more_matches_than_items", matches, |r| {
        r.matches = Some(10_001)
    });
    let groups = "groups by number, each once";
    bad("match_record_groups_swapped", groups, |r| {
        r.groups.swap(0, 1)
    });
    let end = "an end that is not before its beginning";
    bad("match_record_ends_before_it_begins", end, |r| {
        r.until = Timestamp::new(0)
    });
}
