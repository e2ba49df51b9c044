use hashpact_keys::{KeyUse, Timestamp};
use hashpact_protocol::delta::{
    Body, ClassEntry, ClassSection, ClassTable, Draft, Header, Retraction, RetractionEntry, Sealed,
    Seq, withheld_section,
};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::limits;
use hashpact_protocol::log::Leaf;
use hashpact_protocol::record::{EntryId, Record, Revision};
use hashpact_protocol::testing::keys::{self, CentreSetup};
use hashpact_protocol::testing::{self, rng::Seeded};
use serde_json::{Value, json};

use super::{Maker, item, replaced, turned};

const SEQ: Seq = Seq(3);

fn retractions() -> Vec<Retraction> {
    [1, 2]
        .map(|n| Retraction {
            entry: EntryId([n; 16]),
            revision: Revision(u32::from(n)),
        })
        .to_vec()
}

/// Two records in class 0 and one in class 7, with two retractions.
fn sealed(seq: Seq) -> Sealed {
    let records: Vec<_> = (0..3).map(testing::record).collect();
    let bytes: Vec<_> = records.iter().map(|record| record.to_bytes()).collect();
    let classes = [0, 0, 7].map(ClassId);
    let items = records.iter().zip(&bytes).zip(classes);
    let items = items.map(|((record, bytes), class)| (class, record.entry, bytes.as_slice()));
    let draft = Draft::new(items, retractions(), &mut Seeded::new(5)).expect("a draft");
    draft
        .seal(&CentreSetup::numbered(0).origin, seq)
        .expect("a delta")
}

fn expected(table: &ClassTable, seq: Seq) -> Value {
    let row = |entry: &ClassEntry| json!([entry.class.0, entry.count, hex::encode(entry.root)]);
    json!({
        "origin": CentreSetup::numbered(0).origin.as_str(),
        "seq": seq.0,
        "classes": table.classes.iter().map(row).collect::<Value>(),
        "retractions": [table.retractions.count, hex::encode(table.retractions.root)],
        "suspected": [],
    })
}

pub(super) fn bodies(maker: &mut Maker) {
    maker.spec("protocol.md#body");
    let Sealed { table, body } = sealed(SEQ);
    maker.context(expected(&table, SEQ));
    let section = |index: usize| body.bytes()[body.sections()[index].range.clone()].to_vec();
    let last = body.bytes()[body.retraction_range()].to_vec();
    let [first, second] = [0, 1].map(section);
    let [no_first, no_second] = [0, 1].map(|index| withheld_section(&table.classes[index]));
    let body_of = |sections: &[&[u8]]| sections.concat();
    maker.good("delta_body_whole", body.bytes());
    maker.good(
        "delta_body_first_withheld",
        &body_of(&[&no_first, &second, &last]),
    );
    maker.good(
        "delta_body_all_withheld",
        &body_of(&[&no_first, &no_second, &last]),
    );
    let root = |class: u64| json!({ "Root": { "class": class } });
    let other_seed = replaced(&first, &first[6..10], &[0; 4]);
    maker.bad(
        "delta_other_seed",
        &body_of(&[&other_seed, &second, &last]),
        root(0),
    );
    let other_root = turned(&no_first, 1);
    maker.bad(
        "delta_withheld_other_root",
        &body_of(&[&other_root, &second, &last]),
        root(0),
    );
    swaps(maker, &body, &[&first, &second, &last]);
    counts(maker, &[&first, &second, &last, &no_first]);
    partial(maker, &first, &[&second, &last]);
    retraction_sections(maker, &body_of(&[&first, &second]), &last);
    maker.context(expected(&table, Seq(4)));
    maker.bad("delta_root_of_other_seq", body.bytes(), root(0));
    let mut context = expected(&table, SEQ);
    context["origin"] = json!(CentreSetup::numbered(1).origin.as_str());
    maker.context(context);
    maker.bad("delta_root_of_other_origin", body.bytes(), root(0));
    let mut other = table;
    other.classes[0].class = ClassId(1);
    maker.context(expected(&other, SEQ));
    let renamed = replaced(&first, &[0x85, 0], &[0x85, 1]);
    maker.bad(
        "delta_root_of_other_class",
        &body_of(&[&renamed, &second, &last]),
        root(1),
    );
    classifier(maker);
}

/// A classifier's opinion in class 0, and a record without one in class 1.
fn classifier(maker: &mut Maker) {
    let records = [testing::classified(0), testing::record(1)];
    let bytes = records.each_ref().map(Record::to_bytes);
    let items = (0..).map(ClassId).zip(&records).zip(&bytes);
    let items = items.map(|((class, record), bytes)| (class, record.entry, bytes.as_slice()));
    let draft = Draft::new(items, Vec::new(), &mut Seeded::new(6)).expect("a draft");
    let sealed = draft.seal(&CentreSetup::numbered(0).origin, SEQ);
    let Sealed { table, body } = sealed.expect("a delta");
    let mut context = expected(&table, SEQ);
    maker.context(context.clone());
    let error = json!({ "Classifier": { "class": 0, "index": 0 } });
    maker.bad("delta_classifier_on_assessed", body.bytes(), error.clone());
    context["suspected"] = json!([1]);
    maker.context(context.clone());
    maker.bad("delta_classifier_in_another_class", body.bytes(), error);
    context["suspected"] = json!([0]);
    maker.context(context);
    maker.good("delta_classifier_on_suspected", body.bytes());
}

fn swaps(maker: &mut Maker, body: &Body, [first, second, last]: &[&[u8]; 3]) {
    let class = |section: u64, expected: u64, got: u64| json!({ "Class": { "section": section, "expected": expected, "got": got } });
    maker.bad(
        "delta_sections_swapped",
        &[*second, *first, *last].concat(),
        class(0, 0, 7),
    );
    maker.bad(
        "delta_section_left_out",
        &[*first, *last].concat(),
        class(1, 7, 65_536),
    );
    maker.bad(
        "delta_section_twice",
        &[*first, *first, *second, *last].concat(),
        class(1, 7, 0),
    );
    maker.bad(
        "delta_retractions_left_out",
        &[*first, *second].concat(),
        json!({ "Shape": { "section": 2 } }),
    );
    let trailing = [body.bytes(), &[0]].concat();
    maker.bad(
        "delta_trailing_byte",
        &trailing,
        json!({ "Trailing": { "got": 1 } }),
    );
    let cut = &body.bytes()[..body.bytes().len() - 1];
    maker.bad("delta_cut_short", cut, json!({ "Shape": { "section": 2 } }));
    maker.bad(
        "delta_empty_input",
        &[],
        json!({ "Shape": { "section": 0 } }),
    );
    // The heads: [0, 0, 2, ...] is class, form and count.
    let unknown = replaced(first, &[0x85, 0, 0], &[0x85, 0, 3]);
    maker.bad(
        "delta_form_of_no_meaning",
        &[&unknown, *second, *last].concat(),
        json!({ "Shape": { "section": 0 } }),
    );
    let disguised = replaced(first, &[0x85, 0, 0], &[0x85, 0, 1]);
    maker.bad(
        "delta_disclosed_as_withheld",
        &[&disguised, *second, *last].concat(),
        json!({ "Shape": { "section": 0 } }),
    );
}

fn counts(maker: &mut Maker, [first, second, last, no_first]: &[&[u8]; 4]) {
    let count = |expected: u64, got: u64| json!({ "Count": { "class": 0, "expected": expected, "got": got } });
    let more = replaced(first, &[0x85, 0, 0, 2], &[0x85, 0, 0, 3]);
    maker.bad(
        "delta_count_mismatch",
        &[&more, *second, *last].concat(),
        count(2, 3),
    );
    let more = replaced(no_first, &[0x84, 0, 1, 2], &[0x84, 0, 1, 1]);
    maker.bad(
        "delta_withheld_count_mismatch",
        &[&more, *second, *last].concat(),
        count(2, 1),
    );
    let (head, records) = first.split_at(first.len() - records_len(first));
    let seed = &head[6..38];
    let with = |records: &[u8]| {
        let section = item(|e| {
            e.array(5)?
                .u16(0)?
                .u8(0)?
                .u64(2)?
                .bytes(seed)?
                .bytes(records)?;
            Ok(())
        });
        [&section, *second, *last].concat()
    };
    let (one, two) = records.split_at(records.len() / 2);
    maker.bad("delta_record_left_out", &with(one), count(2, 1));
    maker.bad(
        "delta_record_too_many",
        &with(&[records, two].concat()),
        count(2, 3),
    );
    let order = json!({ "RecordOrder": { "class": 0, "index": 1 } });
    maker.bad(
        "delta_records_swapped",
        &with(&[two, one].concat()),
        order.clone(),
    );
    maker.bad("delta_record_twice", &with(&[one, one].concat()), order);
    let trailing = json!({ "Canonical": { "Truncated": { "at": 0 } } });
    let cut = &records[..records.len() - 1];
    let mut error = trailing;
    error["Canonical"]["Truncated"]["at"] = json!(two.len() - 5);
    let error = json!({ "Record": { "class": 0, "index": 1, "source": error } });
    maker.bad("delta_record_cut_short", &with(cut), error);
    let mut zero = one.to_vec();
    zero[18] = 0;
    let error = json!({ "Record": { "class": 0, "index": 0, "source": "Revision" } });
    maker.bad(
        "delta_record_that_is_none",
        &with(&[&zero, two].concat()),
        error,
    );
}

/// The class of two records with its second one withheld, and what is not the one form of that.
fn partial(maker: &mut Maker, first: &[u8], [second, last]: &[&[u8]; 2]) {
    let (head, records) = first.split_at(first.len() - records_len(first));
    let (one, two) = records.split_at(records.len() / 2);
    let entry = EntryId(two[2..18].try_into().expect("an id"));
    let origin = CentreSetup::numbered(0).origin;
    let cut = ClassSection::read(first).expect("a section");
    let cut = cut.punctured(&origin, SEQ, &[entry].into());
    let cut = cut.expect("a section").expect("a record of it");
    maker.good("delta_partial", &[&cut, *second, *last].concat());
    let mut d = minicbor::Decoder::new(&cut);
    let stream = d
        .array()
        .and_then(|_| d.skip())
        .and_then(|()| d.skip())
        .and_then(|()| d.skip())
        .and_then(|()| d.bytes())
        .expect("a stream");
    // N, then S with a salt, then H.
    let (salt, hash) = (&stream[1..18], &stream[18..51]);
    let with = |stream: &[u8], records: &[u8]| {
        let section = item(|e| {
            e.array(5)?.u16(0)?.u8(2)?.u64(2)?;
            e.bytes(stream)?.bytes(records)?;
            Ok(())
        });
        [&section, *second, *last].concat()
    };
    assert_eq!(with(stream, one), [&cut, *second, *last].concat());
    let fault = |source: Value| json!({ "Stream": { "class": 0, "source": source } });
    let short = fault(json!({ "Short": { "at": 50 } }));
    maker.bad(
        "delta_partial_stream_cut_short",
        &with(&stream[..50], one),
        short,
    );
    let trailing = [stream, &[0]].concat();
    let got = fault(json!({ "Trailing": { "got": 1 } }));
    maker.bad("delta_partial_stream_goes_on", &with(&trailing, one), got);
    let unknown = [&[3], &stream[1..]].concat();
    let mark = fault(json!({ "Mark": { "at": 0, "got": 3 } }));
    maker.bad(
        "delta_partial_mark_of_no_meaning",
        &with(&unknown, one),
        mark,
    );
    let both = [&[0], hash, hash].concat();
    let hidden = fault(json!({ "BothHidden": { "at": 0 } }));
    maker.bad(
        "delta_partial_both_halves_withheld",
        &with(&both, &[]),
        hidden,
    );
    let both = [&[0], salt, salt].concat();
    let open = fault(json!({ "BothOpen": { "at": 0 } }));
    maker.bad(
        "delta_partial_both_halves_opened",
        &with(&both, records),
        open,
    );
    maker.bad(
        "delta_partial_all_withheld",
        &with(hash, &[]),
        fault(json!("Root")),
    );
    let whole = [&[1], &head[6..38]].concat();
    maker.bad(
        "delta_partial_all_opened",
        &with(&whole, records),
        fault(json!("Root")),
    );
    let opened = |got: u64| json!({ "Opened": { "class": 0, "expected": 1, "got": got } });
    maker.bad(
        "delta_partial_purged_record_put_back",
        &with(stream, records),
        opened(2),
    );
    maker.bad(
        "delta_partial_record_left_out",
        &with(stream, &[]),
        opened(0),
    );
    let root = json!({ "Root": { "class": 0 } });
    maker.bad(
        "delta_partial_other_record_shown",
        &with(stream, two),
        root.clone(),
    );
    let other = [&[0, 1][..], &[7; 16], hash].concat();
    maker.bad("delta_partial_other_salt", &with(&other, one), root);
}

/// Bytes of the records in a disclosed section: what is behind class, form, count, seed and the head of the bytes.
fn records_len(section: &[u8]) -> usize {
    let mut d = minicbor::Decoder::new(section);
    let behind = d
        .array()
        .and_then(|_| d.u16())
        .and_then(|_| d.u8())
        .and_then(|_| d.u64());
    let behind = behind
        .and_then(|_| d.bytes().map(drop))
        .and_then(|()| d.bytes().map(<[u8]>::len));
    behind.expect("a disclosed section")
}

fn retraction_sections(maker: &mut Maker, before: &[u8], last: &[u8]) {
    let with = |list: &[(u8, u64)]| {
        let section = item(|e| {
            e.array(2)?.u32(65_536)?.array(list.len() as u64)?;
            for (entry, revision) in list {
                e.array(2)?.bytes(&[*entry; 16])?.u64(*revision)?;
            }
            Ok(())
        });
        [before, &section].concat()
    };
    assert_eq!(with(&[(1, 1), (2, 2)]), [before, last].concat());
    maker.bad(
        "delta_retraction_left_out",
        &with(&[(1, 1)]),
        json!("RetractionRoot"),
    );
    maker.bad(
        "delta_retraction_added",
        &with(&[(1, 1), (2, 2), (3, 1)]),
        json!("RetractionRoot"),
    );
    maker.bad(
        "delta_retraction_changed",
        &with(&[(1, 1), (2, 3)]),
        json!("RetractionRoot"),
    );
    let order = json!({ "RetractionOrder": { "index": 1 } });
    maker.bad(
        "delta_retractions_swapped",
        &with(&[(2, 2), (1, 1)]),
        order.clone(),
    );
    maker.bad("delta_retraction_twice", &with(&[(1, 1), (1, 2)]), order);
    let shape = json!({ "Shape": { "section": 2 } });
    maker.bad(
        "delta_retraction_of_revision_zero",
        &with(&[(1, 0), (2, 2)]),
        shape.clone(),
    );
    maker.bad(
        "delta_retraction_of_long_revision",
        &with(&[(1, 1), (2, 1 << 32)]),
        shape,
    );
}

fn table_row(class: u16, count: u64) -> ClassEntry {
    ClassEntry {
        class: ClassId(class),
        count,
        root: [4; 32],
    }
}

fn leaf_of(classes: Vec<ClassEntry>, retractions: u64) -> Vec<u8> {
    let retractions = RetractionEntry {
        count: retractions,
        root: [5; 32],
    };
    let table = ClassTable {
        classes,
        retractions,
    };
    Leaf::Delta {
        header: vec![1],
        table,
    }
    .to_bytes()
    .expect("a delta is written")
}

pub(super) fn leaves(maker: &mut Maker) {
    maker.spec("protocol.md#log");
    let Sealed { table, .. } = sealed(Seq(0));
    let (roster, centres) = keys::network(1, true);
    let header = Header {
        network: roster.roster().network,
        origin: centres[0].origin.clone(),
        roster_version: roster.roster().version,
        seq: Seq(0),
        prev: [0; 32],
        table: table.root(),
        total: table.records(),
        issued_at: Timestamp::new(keys::START.get()),
        policy_ref: None,
    };
    let header = header.sign(&centres[0].signer(KeyUse::Delta));
    let good = Leaf::Delta { header, table }
        .to_bytes()
        .expect("a delta is written");
    maker.good("leaf_delta", &good);
    maker.good("leaf_retractions_alone", &leaf_of(vec![], 1));
    let roster = item(|e| e.array(3)?.u8(4)?.u64(9)?.bytes(&[6; 32])?.ok());
    maker.good("leaf_roster", &roster);
    let session = item(|e| e.array(2)?.u8(9)?.bytes(&[6; 32])?.ok());
    maker.good("leaf_match_session", &session);
    let epoch = item(|e| e.array(2)?.u8(8)?.bytes(&[6; 90])?.ok());
    maker.good("leaf_match_epoch", &epoch);
    let later = item(|e| e.array(2)?.u8(6)?.bytes(&[6; 32])?.ok());
    maker.good("leaf_of_a_later_version", &later);
    let kind = |kind: u64| item(|e| e.array(2)?.u64(kind)?.null()?.ok());
    for (name, got) in [
        ("leaf_unknown_kind", 11),
        ("leaf_kind_zero", 0),
        ("leaf_kind_of_64_bits", 1 << 40),
    ] {
        maker.bad(name, &kind(got), json!({ "Kind": { "got": got } }));
    }
    let shape = json!("Shape");
    maker.bad("leaf_empty_input", &[], shape.clone());
    maker.bad(
        "leaf_trailing_byte",
        &[&good[..], &[0]].concat(),
        shape.clone(),
    );
    let mut open = good.clone();
    (open[0], _) = (0x9f, open.push(0xff));
    maker.bad("leaf_indefinite_length", &open, shape.clone());
    let four = item(|e| e.array(4)?.u8(4)?.u64(9)?.bytes(&[6; 32])?.null()?.ok());
    maker.bad("leaf_roster_of_four_parts", &four, shape.clone());
    let short = item(|e| e.array(3)?.u8(4)?.u64(9)?.bytes(&[6; 31])?.ok());
    maker.bad("leaf_roster_hash_of_31_bytes", &short, shape.clone());
    let definitions = item(|e| e.array(2)?.u8(3)?.str("text")?.ok());
    maker.bad("leaf_classes_as_text", &definitions, shape.clone());
    let session = item(|e| e.array(2)?.u8(9)?.bytes(&[6; 31])?.ok());
    maker.bad("leaf_match_session_of_31_bytes", &session, shape.clone());
    let epoch = item(|e| e.array(3)?.u8(8)?.bytes(&[6; 90])?.null()?.ok());
    maker.bad("leaf_match_epoch_of_three_items", &epoch, shape);
    tables(maker);
}

fn tables(maker: &mut Maker) {
    let table = |error: Value| json!({ "Table": error });
    let unsorted = leaf_of(vec![table_row(2, 1), table_row(1, 1)], 0);
    maker.bad(
        "leaf_unsorted_classes",
        &unsorted,
        table(json!({ "Unsorted": { "row": 1 } })),
    );
    let twice = leaf_of(vec![table_row(2, 1), table_row(2, 1)], 0);
    maker.bad(
        "leaf_class_twice",
        &twice,
        table(json!({ "Unsorted": { "row": 1 } })),
    );
    let empty = leaf_of(vec![table_row(0, 1), table_row(1, 0)], 0);
    maker.bad(
        "leaf_zero_count_class",
        &empty,
        table(json!({ "Empty": { "row": 1 } })),
    );
    maker.bad(
        "leaf_of_nothing",
        &leaf_of(vec![], 0),
        table(json!("Nothing")),
    );
    let many = |what: &str, got: u64, max: usize| {
        table(json!({ "TooMany": { "what": what, "got": got, "max": max } }))
    };
    let max = limits::RECORDS_PER_DELTA;
    maker.good(
        "leaf_most_records",
        &leaf_of(vec![table_row(0, 65_535), table_row(1, 1)], 0),
    );
    let one_over = leaf_of(vec![table_row(0, 65_535), table_row(1, 2)], 0);
    maker.bad(
        "leaf_one_record_too_many",
        &one_over,
        many("records", 65_537, max),
    );
    let wrapped = leaf_of(vec![table_row(0, u64::MAX), table_row(1, 2)], 0);
    maker.bad(
        "leaf_counts_that_wrap",
        &wrapped,
        many("records", u64::MAX, max),
    );
    let max = limits::RETRACTIONS_PER_DELTA;
    maker.good("leaf_most_retractions", &leaf_of(vec![], 65_536));
    let one_over = leaf_of(vec![], 65_537);
    maker.bad(
        "leaf_one_retraction_too_many",
        &one_over,
        many("retractions", 65_537, max),
    );
    let claimed = item(|e| {
        e.array(3)?
            .u8(1)?
            .bytes(&[1])?
            .array(2)?
            .array(1)?
            .u8(0)?
            .array(2)?
            .u8(0)?
            .bytes(&[5; 32])?
            .ok()
    });
    maker.bad(
        "leaf_class_row_of_no_array",
        &claimed,
        table(json!("Shape")),
    );
    let wide = item(|e| {
        e.array(3)?.u8(1)?.bytes(&[1])?.array(2)?.array(1)?;
        e.array(3)?
            .u32(65_536)?
            .u8(1)?
            .bytes(&[4; 32])?
            .array(2)?
            .u8(0)?
            .bytes(&[5; 32])?
            .ok()
    });
    maker.bad("leaf_class_above_65535", &wide, table(json!("Shape")));
}
