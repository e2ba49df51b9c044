//! The whole path of a file, from its bytes to new rows, on real files in a temporary folder.

mod codes;
mod crosswalks;
mod files;
mod hostile;
mod local_file;
mod ncmec;
mod policy;
mod profiles;
mod stopncii;
mod sums;
mod tables;
mod verdicts;
mod vics;

use std::sync::Arc;

use hashpact_protocol::labels::Labels;
use hashpact_protocol::record::Fields;

use super::*;
use crate::store::durable::Steps;
use crate::store::index::keys::{content_check, fingerprint_key, labels_digest};
use crate::store::index::segment::write_sorted;
use crate::store::index::{Index, IndexKey, Row, RowKind, SegmentId, Value};

/// Every kind of column once.
const FULL: &str = r#"
[source]
name = "full"
format = "csv"
[columns]
md5 = "md5"
sha1 = "sha1"
sha256 = "sha256"
pdq = "pdq"
photodna = "photodna"
opaque.tmk-pdqf = "tmk"
byte_length = "size"
pdq_quality = "quality"
entered_on = "entered"
assessed_on = "assessed"
review_on = "review"
[label]
column = "label"
scheme = "scheme"
version = "1"
issuer = "issuer"
[labels]
media_kind = { column = "kind", map = { jpg = "image", clip = ["image", "video"] } }
content_class = "csam"
state = { column = "state" }
depiction = "unknown"
minor_certain = "no"
age_claim = "unknown"
self_generated = "unknown"
context_flags = []
legal_basis = "none"
legal_status = {}
residency = "unknown"
applicable_law = []
tlp = { column = "tlp" }
hops = { column = "hops" }
recipients = "unknown"
purposes = "unknown"
[fields]
priority = { column = "priority", otherwise = "high" }
"#;

/// Two hashes and nothing else that varies, but the local label.
const PAIR: &str = r#"
[source]
name = "pair"
format = "csv"
[columns]
md5 = "md5"
sha1 = "sha1"
[label]
column = "label"
scheme = "scheme"
version = "1"
issuer = "issuer"
[labels]
media_kind = "unknown"
content_class = "unknown"
state = "suspected"
depiction = "unknown"
minor_certain = "no"
age_claim = "unknown"
self_generated = "unknown"
context_flags = []
legal_basis = "none"
legal_status = {}
residency = "unknown"
applicable_law = []
tlp = "RED"
hops = 0
recipients = "unknown"
purposes = "unknown"
"#;

const OWN: u16 = 7;

fn index_key() -> IndexKey {
    IndexKey::new(&[9; 32])
}

/// `n` as a hash of `len` bytes.
fn hash(n: u64, len: usize) -> String {
    let mut bytes = vec![0; len];
    blake3::Hasher::new()
        .update(&n.to_be_bytes())
        .finalize_xof()
        .fill(&mut bytes);
    hex::encode(bytes)
}

fn pair(md5: u64, sha1: u64, label: &str) -> String {
    let text = |n, len| if n == 0 { String::new() } else { hash(n, len) };
    format!("{},{},{label}\n", text(md5, 16), text(sha1, 20))
}

fn pairs(rows: &[(u64, u64, &str)]) -> String {
    let rows = rows
        .iter()
        .map(|(md5, sha1, label)| pair(*md5, *sha1, label));
    std::iter::once("md5,sha1,label\n".to_owned())
        .chain(rows)
        .collect()
}

/// What is set apart from a usual ingest.
#[derive(Clone, Copy, Default)]
struct Settings {
    strict: bool,
    accept_bad: Option<u64>,
    bytes_max: Option<u64>,
    buffer_bytes: Option<usize>,
    lines: Option<[OwnLine; 2]>,
}

struct Outcome {
    /// Of each report line.
    lines: Vec<(Option<u64>, Option<String>, Code)>,
    json: Vec<String>,
    result: Result<Taken, IngestError>,
}

struct Taken {
    rows: Vec<NewRow>,
    labels: Vec<Labels>,
    summary: Summary,
}

impl Outcome {
    fn codes(&self) -> Vec<(u64, Code)> {
        self.lines
            .iter()
            .map(|(row, _, code)| (row.unwrap_or(0), *code))
            .collect()
    }

    fn taken(&self) -> &Taken {
        self.result.as_ref().unwrap()
    }

    fn summary(&self) -> &Summary {
        match &self.result {
            Ok(taken) => &taken.summary,
            Err(error) => error.summary().unwrap(),
        }
    }

    /// How many rows became entries, as counted and as given.
    fn accepted(&self) -> u64 {
        assert_eq!(self.taken().rows.len() as u64, self.summary().accepted);
        self.summary().accepted
    }
}

fn ingest(text: impl AsRef<[u8]>, profile: &str, index: &Index, settings: Settings) -> Outcome {
    let profile = Profile::from_toml(profile, "test.toml").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let staging = folder.path().join("staging");
    let (key, own) = (index_key(), "CA".parse().unwrap());
    let mut context = StageContext::new(&key, &staging, "list.csv", &own);
    context.strict = settings.strict;
    context.accept_bad = settings.accept_bad;
    context.file_bytes_max = settings.bytes_max.unwrap_or(FILE_BYTES_MAX);
    context.buffer_bytes = settings.buffer_bytes.unwrap_or(1 << 20);
    let (mut lines, mut json) = (Vec::new(), Vec::new());
    let mut report = |line: &ReportLine<'_>| {
        lines.push((line.row, line.column.map(str::to_owned), line.code));
        json.push(line.to_json());
    };
    let result = stage(text.as_ref(), &profile, &context, &mut |_| {}, &mut report)
        .and_then(|staged| {
            let own = settings.lines.map(|lines| lines.to_vec().into());
            let own: OwnLines = own.unwrap_or_else(|| OWN.into());
            staged.resolve(index, own, &mut |_| {}, &mut report)
        })
        .map(|resolved| Taken {
            rows: resolved.rows().unwrap().collect::<Result<_, _>>().unwrap(),
            labels: resolved.labels().to_vec(),
            summary: resolved.summary().clone(),
        });
    assert!(!staging.exists(), "the staging folder outlives its ingest");
    if let Ok(Taken { summary, .. }) = &result {
        let kept = summary.accepted + summary.updated + summary.reissued + summary.removed;
        let sum = kept + summary.unchanged + summary.retracted + summary.refused + summary.left_out;
        assert_eq!(sum, summary.rows);
    }
    Outcome {
        lines,
        json,
        result,
    }
}

fn into_empty(text: impl AsRef<[u8]>, profile: &str) -> Outcome {
    ingest(text, profile, &Index::default(), Settings::default())
}

/// What a row became: its labels and its fields.
fn entry(taken: &Taken, at: usize) -> (&Labels, Fields) {
    let row = &taken.rows[at];
    let labels = &taken.labels[usize::from(row.labels)];
    (labels, Fields::from_bytes(&row.fields).unwrap())
}

/// No hash of `list`, in any case, may stand in a report.
fn assert_no_hash(list: &str, outcome: &Outcome) {
    let said = outcome.json.join("\n") + &outcome.summary().to_json();
    let words = list.split(|c: char| !c.is_ascii_alphanumeric() && c != '+' && c != '/');
    for word in words.filter(|word| word.len() >= 32) {
        assert!(
            !said.contains(word) && !said.contains(&word.to_lowercase()),
            "{said}"
        );
    }
}

/// The rows that a store writes for one record.
fn index_rows(row: &NewRow, origin: u16, offset: u32, kind: RowKind) -> Vec<Row> {
    let fields = Fields::from_bytes(&row.fields).unwrap();
    let value = Value {
        kind,
        origin,
        seq: 3,
        offset,
        extra: row.check,
    }
    .encode()
    .unwrap();
    fields
        .matchable()
        .map(|print| Row {
            key: fingerprint_key(&index_key(), print).unwrap(),
            value,
        })
        .collect()
}

fn index_of(mut rows: Vec<Row>) -> Index {
    if rows.is_empty() {
        return Index::default();
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("segment");
    let segment = write_sorted(&path, &mut rows, &Steps::default()).unwrap();
    Index::default()
        .with(SegmentId(1), Arc::new(segment))
        .unwrap()
}
