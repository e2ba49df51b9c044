use hashpact_protocol::limits;
use hashpact_protocol::testing;
use serde_json::json;

use super::{Maker, item, replaced};

const MD5: [u8; 16] = [0x11; 16];

/// A record of these fields: (key, its value as CBOR).
fn record(fields: &[(u64, Vec<u8>)]) -> Vec<u8> {
    let head = item(|e| {
        e.array(3)?
            .bytes(&[7; 16])?
            .u32(1)?
            .map(fields.len() as u64)?;
        Ok(())
    });
    let fields = fields
        .iter()
        .map(|(key, value)| [uint(*key), value.clone()].concat());
    [vec![head], fields.collect()].concat().concat()
}

fn uint(n: u64) -> Vec<u8> {
    item(|e| e.u64(n).map(drop))
}

fn list(items: &[Vec<u8>]) -> Vec<u8> {
    let head = item(|e| e.array(items.len() as u64).map(drop));
    [head, items.concat()].concat()
}

fn text(text: &str) -> Vec<u8> {
    item(|e| e.str(text).map(drop))
}

fn bytes(bytes: &[u8]) -> Vec<u8> {
    item(|e| e.bytes(bytes).map(drop))
}

fn label(value: &str) -> Vec<u8> {
    list(&[text("synthetic"), text("1"), text("synthetic"), text(value)])
}

fn print(algorithm: u64, value: &[u8]) -> Vec<u8> {
    list(&[uint(algorithm), bytes(value)])
}

/// The least that a record states, with one field changed or added; an empty value leaves it out.
fn with(key: u64, value: Vec<u8>) -> Vec<u8> {
    let versions = list(&[uint(1), uint(1)]);
    let least = [
        (0, versions),
        (1, list(&[print(1, &MD5)])),
        (5, list(&[label("made")])),
    ];
    let mut fields: Vec<_> = least
        .into_iter()
        .filter(|(other, _)| *other != key)
        .collect();
    fields.push((key, value));
    fields.retain(|(_, value)| !value.is_empty());
    fields.sort_by_key(|(key, _)| *key);
    record(&fields)
}

/// One fingerprint and nothing else out of the ordinary.
fn of(print: Vec<u8>) -> Vec<u8> {
    with(1, list(&[print]))
}

pub(super) fn make(maker: &mut Maker) {
    maker.spec("protocol.md#record");
    maker.good("record_sample", &testing::record(1).to_bytes());
    maker.good("record_least", &of(print(1, &MD5)));
    form(maker);
    fields(maker);
    prints(maker);
    bounds(maker);
    maker.spec("protocol.md#guard");
    guarded(maker);
}

fn form(maker: &mut Maker) {
    let least = of(print(1, &MD5));
    let at = |name: &str, at: usize| json!({ "Canonical": { name: { "at": at } } });
    maker.bad("record_empty_input", &[], at("Truncated", 0));
    let long = [&least[..], &[0]].concat();
    maker.bad("record_trailing_byte", &long, at("Trailing", least.len()));
    maker.bad(
        "record_cut_short",
        &least[..least.len() - 1],
        at("Truncated", least.len() - 5),
    );
    let mut open = least.clone();
    open[0] = 0x9f;
    open.push(0xff);
    maker.bad("record_indefinite_length", &open, at("Indefinite", 0));
    let long_one = replaced(&least, &[0x50, 7], &[0x58, 16, 7]);
    maker.bad("record_long_length", &long_one, at("NotShortest", 1));
    let tagged = [&[0xc1], &least[..]].concat();
    maker.bad("record_tagged", &tagged, at("Tag", 0));
    let (one, two) = ((2, uint(7)), (0, list(&[uint(1), uint(1)])));
    maker.bad(
        "record_unsorted_map",
        &record(&[one, two.clone()]),
        at("KeyOrder", 22),
    );
    maker.bad(
        "record_key_twice",
        &record(&[two.clone(), two]),
        at("KeyRepeated", 24),
    );
    let float = with(2, vec![0xf9, 0x3c, 0x00]);
    maker.bad(
        "record_float",
        &float,
        json!({ "Canonical": { "Float": { "at": 46 } } }),
    );
    maker.bad(
        "record_no_array",
        &uint(1),
        json!({ "Shape": { "key": 255 } }),
    );
    let short_id = replaced(&least, &[0x50, 7], &[0x4f]);
    maker.bad(
        "record_entry_id_of_15_bytes",
        &short_id,
        json!({ "Shape": { "key": 255 } }),
    );
    let mut zero = least;
    zero[18] = 0;
    maker.bad("record_revision_zero", &zero, json!("Revision"));
}

fn fields(maker: &mut Maker) {
    maker.bad(
        "record_unknown_key",
        &with(20, uint(1)),
        json!({ "UnknownKey": { "key": 20 } }),
    );
    maker.bad(
        "record_no_version",
        &with(0, Vec::new()),
        json!({ "Shape": { "key": 0 } }),
    );
    let later = list(&[uint(2), uint(1)]);
    let version = json!({ "Version": { "schema": 2, "taxonomy": 1 } });
    maker.bad("record_later_schema", &with(0, later), version);
    let default = |key: u64| json!({ "Default": { "key": key } });
    let value = |key: u64| json!({ "Value": { "key": key } });
    maker.bad("record_default_stated", &with(14, uint(0)), default(14));
    maker.bad(
        "record_full_set_stated",
        &with(6, uint(0b1_1111)),
        default(6),
    );
    maker.bad(
        "record_unknown_flags_stated",
        &with(3, list(&vec![uint(2); 7])),
        default(3),
    );
    maker.bad("record_empty_set", &with(6, uint(0)), value(6));
    maker.bad(
        "record_bit_of_no_value",
        &with(6, uint(0b10_0000)),
        value(6),
    );
    maker.bad(
        "record_flag_of_no_value",
        &with(3, list(&vec![uint(3); 7])),
        value(3),
    );
    maker.bad(
        "record_day_in_seconds",
        &with(16, uint(1_800_000_000)),
        value(16),
    );
    let parent = |n: u8| list(&[bytes(&[n; 16]), uint(0)]);
    maker.good("record_derived", &with(11, list(&[parent(1), parent(2)])));
    maker.bad(
        "record_derived_unsorted",
        &with(11, list(&[parent(2), parent(1)])),
        value(11),
    );
    maker.bad(
        "record_derived_twice",
        &with(11, list(&[parent(1), parent(1)])),
        value(11),
    );
    let score = |score: u64| list(&[text("synthetic"), text("1"), uint(score), uint(1)]);
    maker.good("record_classifier", &with(15, score(10_000)));
    maker.bad(
        "record_score_above_one",
        &with(15, score(10_001)),
        value(15),
    );
    maker.bad(
        "record_picture_as_label",
        &with(5, list(&[label("a\nb")])),
        value(5),
    );
    let loud = list(&[
        text("Synthetic"),
        text("1"),
        text("synthetic"),
        text("made"),
    ]);
    maker.bad(
        "record_label_scheme_in_capitals",
        &with(5, list(&[loud])),
        value(5),
    );
    let short = list(&[text("synthetic"), text("1"), text("made")]);
    maker.bad(
        "record_label_of_three_parts",
        &with(5, list(&[short])),
        json!({ "Shape": { "key": 5 } }),
    );
}

fn prints(maker: &mut Maker) {
    let value = json!({ "Value": { "key": 1 } });
    maker.bad(
        "record_unknown_algorithm_code",
        &of(print(7, &MD5)),
        value.clone(),
    );
    let named = |name: &str, value: Vec<u8>| of(list(&[text(name), value]));
    maker.good(
        "record_unknown_algorithm_by_name",
        &named("tmk-pdqf", bytes(&[1, 2])),
    );
    maker.bad(
        "record_known_algorithm_by_name",
        &named("md5", bytes(&MD5)),
        value.clone(),
    );
    maker.bad(
        "record_algorithm_in_capitals",
        &named("MD5", bytes(&MD5)),
        value.clone(),
    );
    let apart = |length: u64| list(&[uint(length), bytes(&[9; 32])]);
    maker.good("record_value_apart", &named("tmk-pdqf", apart(1_025)));
    maker.bad(
        "record_small_value_apart",
        &named("tmk-pdqf", apart(1_024)),
        value.clone(),
    );
    let known_apart = of(list(&[uint(3), apart(1_025)]));
    maker.bad("record_known_algorithm_apart", &known_apart, value.clone());
    let length = |expected: u64, got: u64| json!({ "Fingerprint": { "index": 0, "source": { "Length": { "expected": expected, "got": got } } } });
    maker.bad(
        "record_md5_of_32_bytes",
        &of(print(1, &[0x11; 32])),
        length(16, 32),
    );
    maker.bad(
        "record_empty_value",
        &named("tmk-pdqf", bytes(&[])),
        length(1_024, 0),
    );
    let twice = with(1, list(&[print(1, &MD5), print(1, &MD5)]));
    maker.bad(
        "record_fingerprint_twice",
        &twice,
        json!({ "Repeated": { "index": 1 } }),
    );
    let extras = |algorithm: u64, value: &[u8], quality: Vec<u8>, reason: Vec<u8>| {
        of(list(&[uint(algorithm), bytes(value), quality, reason]))
    };
    let (pdq, null) = ([0b0101_0101; 32], vec![0xf6]);
    maker.good("record_quality", &extras(5, &pdq, uint(100), null.clone()));
    maker.bad(
        "record_quality_above_100",
        &extras(5, &pdq, uint(101), null.clone()),
        value.clone(),
    );
    maker.bad(
        "record_quality_of_md5",
        &extras(1, &MD5, uint(50), null.clone()),
        value.clone(),
    );
    maker.good("record_disabled", &extras(1, &MD5, null.clone(), uint(0)));
    maker.bad(
        "record_disabled_for_no_reason",
        &extras(1, &MD5, null.clone(), uint(3)),
        value,
    );
    let nothing = extras(1, &MD5, null.clone(), null);
    maker.bad(
        "record_extras_of_nothing",
        &nothing,
        json!({ "Default": { "key": 1 } }),
    );
}

fn bounds(maker: &mut Maker) {
    let count =
        |key: u64, got: u64, max: usize| json!({ "Count": { "key": key, "got": got, "max": max } });
    let prints: Vec<_> = (1..=17).map(|n| print(1, &[n; 16])).collect();
    maker.good("record_sixteen_fingerprints", &with(1, list(&prints[..16])));
    let max = limits::FINGERPRINTS_PER_ENTRY;
    maker.bad(
        "record_seventeen_fingerprints",
        &with(1, list(&prints)),
        count(1, 17, max),
    );
    maker.bad(
        "record_no_fingerprint",
        &with(1, Vec::new()),
        count(1, 0, max),
    );
    maker.bad(
        "record_empty_fingerprints",
        &with(1, list(&[])),
        count(1, 0, max),
    );
    let labels = vec![label("made"); 9];
    maker.good("record_eight_labels", &with(5, list(&labels[..8])));
    maker.bad(
        "record_nine_labels",
        &with(5, list(&labels)),
        count(5, 9, limits::LOCAL_LABELS),
    );
    maker.bad(
        "record_no_label",
        &with(5, Vec::new()),
        count(5, 0, limits::LOCAL_LABELS),
    );
    let value = json!({ "Value": { "key": 5 } });
    maker.good(
        "record_label_of_128_bytes",
        &with(5, list(&[label(&"a".repeat(128))])),
    );
    maker.bad(
        "record_label_of_129_bytes",
        &with(5, list(&[label(&"a".repeat(129))])),
        value.clone(),
    );
    maker.bad(
        "record_label_of_nothing",
        &with(5, list(&[label("")])),
        value,
    );
    let parents: Vec<_> = (1..=9_u8)
        .map(|n| list(&[bytes(&[n; 16]), uint(0)]))
        .collect();
    maker.good("record_eight_parents", &with(11, list(&parents[..8])));
    maker.bad(
        "record_nine_parents",
        &with(11, list(&parents)),
        count(11, 9, limits::DERIVED_FROM),
    );
    maker.bad(
        "record_no_parents_stated",
        &with(11, list(&[])),
        count(11, 0, limits::DERIVED_FROM),
    );
    let opaque = |len: usize| of(list(&[text("tmk"), bytes(&vec![3; len])]));
    maker.good("record_value_of_1024_bytes", &opaque(1_024));
    let length = json!({ "Length": { "expected": 1_024, "got": 1_025 } });
    let error = json!({ "Fingerprint": { "index": 0, "source": length } });
    maker.bad("record_value_of_1025_bytes", &opaque(1_025), error);
}

fn guarded(maker: &mut Maker) {
    let hex = |text: &str| hex::decode(text).expect("hexadecimal digits");
    let guarded = |what: &str| json!({ "Fingerprint": { "index": 0, "source": { "Guarded": { "what": what } } } });
    let md5 = hex("d41d8cd98f00b204e9800998ecf8427e");
    maker.bad(
        "record_empty_file_md5",
        &of(print(1, &md5)),
        guarded("the empty file"),
    );
    let sha1 = hex("da39a3ee5e6b4b0d3255bfef95601890afd80709");
    maker.bad(
        "record_empty_file_sha1",
        &of(print(2, &sha1)),
        guarded("the empty file"),
    );
    let sha256 = hex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    maker.bad(
        "record_empty_file_sha256",
        &of(print(3, &sha256)),
        guarded("the empty file"),
    );
    let newline = hex("68b329da9893e34099c7d8ad5cb9c940");
    maker.bad(
        "record_newline_md5",
        &of(print(1, &newline)),
        guarded("one line feed"),
    );
    let zero = hex("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    maker.bad(
        "record_zero_byte_sha256",
        &of(print(3, &zero)),
        guarded("one zero byte"),
    );
    maker.bad(
        "record_all_zeros",
        &of(print(6, &[0; 144])),
        guarded("all zeros"),
    );
    maker.bad(
        "record_all_ones",
        &of(print(4, &[0xff; 32])),
        guarded("all ones"),
    );
    let low = |bits: u64| json!({ "Fingerprint": { "index": 0, "source": { "LowInformation": { "bits": bits } } } });
    let pdq = |bits: usize| {
        let mut value = [0; 32];
        (0..bits).for_each(|bit| value[bit / 8] |= 1 << (bit % 8));
        of(print(5, &value))
    };
    maker.bad("record_flat_picture", &pdq(95), low(95));
    maker.good("record_pdq_of_96_bits", &pdq(96));
    maker.good("record_pdq_of_160_bits", &pdq(160));
    maker.bad("record_busy_picture", &pdq(161), low(161));
}
