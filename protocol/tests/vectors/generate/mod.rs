//! Makes the vectors: the bytes from code, each error written down by hand beside the attack.

mod checkpoint;
mod delta;
mod header;
mod matching;
mod record;
mod roster;
mod wire;

use hashpact_keys::canonical::{Written, encode};
use hashpact_protocol::testing::keys::CentreSetup;
use minicbor::Encoder;
use serde_json::{Value, json};

use crate::{Driver, FILES, Vector};

type Out = Encoder<Vec<u8>>;

/// The vectors of one file.
pub(crate) fn file(name: &str) -> Vec<Vector> {
    let (_, _, driver) = FILES
        .iter()
        .find(|(file, ..)| *file == name)
        .expect("a file");
    let mut maker = Maker {
        driver: *driver,
        spec: "",
        context: Value::Null,
        made: Vec::new(),
    };
    match name {
        "record" => record::make(&mut maker),
        "delta_body" => delta::bodies(&mut maker),
        "header" => header::make(&mut maker),
        "leaf" => delta::leaves(&mut maker),
        "roster" => roster::make(&mut maker),
        "checkpoint" => checkpoint::make(&mut maker),
        "wire" => wire::make(&mut maker),
        "match" => matching::make(&mut maker),
        _ => unreachable!("a file"),
    }
    maker.made
}

#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the test says whether to write"
)]
pub(crate) fn write_is_asked_for() -> bool {
    std::env::var_os("HASHPACT_WRITE_VECTORS").is_some()
}

#[expect(clippy::disallowed_methods, reason = "only when asked for")]
pub(crate) fn write(name: &str, vectors: &[Vector]) {
    let path = format!("{}/tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let json = serde_json::to_string_pretty(vectors).expect("JSON");
    std::fs::write(path, json + "\n").expect("a folder that can be written to");
}

/// Gathers vectors under one rule and one context at a time.
struct Maker {
    driver: Driver,
    spec: &'static str,
    context: Value,
    made: Vec<Vector>,
}

impl Maker {
    fn spec(&mut self, spec: &'static str) {
        self.spec = spec;
    }

    fn context(&mut self, context: Value) {
        self.context = context;
    }

    /// Bytes that a reader must refuse with this error.
    fn bad(&mut self, name: &str, bytes: &[u8], error: Value) {
        self.push(name, bytes, error, Value::Null);
    }

    /// Bytes that a reader must take; what it finds is written down as it is found, and read by whoever commits it.
    fn good(&mut self, name: &str, bytes: &[u8]) {
        let facts = (self.driver)(bytes, &self.context).expect(name);
        self.push(name, bytes, Value::Null, facts);
    }

    fn push(&mut self, name: &str, bytes: &[u8], error: Value, facts: Value) {
        let (name, spec, hex) = (name.to_owned(), self.spec.to_owned(), hex::encode(bytes));
        let context = self.context.clone();
        self.made.push(Vector {
            name,
            spec,
            hex,
            context,
            error,
            facts,
        });
    }
}

/// One CBOR item, whatever the format says of it.
fn item(write: impl FnOnce(&mut Out) -> Written) -> Vec<u8> {
    encode(write)
}

/// The bytes with one range replaced.
fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = bytes
        .windows(old.len())
        .position(|window| window == old)
        .expect("it is there");
    [&bytes[..at], new, &bytes[at + old.len()..]].concat()
}

/// The bytes with the bit of lowest value of the byte `back` from the end turned.
fn turned(bytes: &[u8], back: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let at = bytes.len() - back;
    bytes[at] ^= 1;
    bytes
}

/// A centre for the context of headers and checkpoints.
fn centre(setup: &CentreSetup) -> Value {
    let entry = setup.entry();
    let keys = entry.keys.iter().map(|entry| {
        let until = entry.until.map(hashpact_keys::Timestamp::get);
        json!([
            entry.use_.code(),
            entry.key.to_string(),
            entry.from.get(),
            until
        ])
    });
    json!({ "origin": setup.origin.as_str(), "keys": keys.collect::<Value>() })
}
