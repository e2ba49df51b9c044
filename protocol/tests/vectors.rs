//! The formats by what they refuse: `vectors/*.json`, one runner, a driver for each format.
//!
//! A vector is `{ name, spec, hex, context, error, facts }`: bytes, what they are read under, and either the exact error or
//! what a reader must find in them. With the feature `testing`, `generate` makes the same vectors from code; run with
//! `HASHPACT_WRITE_VECTORS=1` it writes the files, which is a change of format.
#![expect(
    clippy::expect_used,
    reason = "a vector that does not read is a failure of the test"
)]
#![cfg_attr(
    feature = "testing",
    expect(clippy::too_many_lines, reason = "a list of attacks is read as one")
)]

#[path = "vectors/drivers.rs"]
mod drivers;
#[path = "vectors/errors.rs"]
mod errors;
#[cfg(feature = "testing")]
#[path = "vectors/generate/mod.rs"]
mod generate;
#[path = "vectors/matching.rs"]
mod matching;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One vector.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    /// Named after the attack.
    name: String,
    /// Where the rule stands.
    spec: String,
    /// The bytes.
    hex: String,
    /// What they are read under.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    context: Value,
    /// The error, or null.
    error: Value,
    /// What a reader finds, if there is no error.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    facts: Value,
}

/// Reads the bytes under the context: facts, or an error.
type Driver = fn(&[u8], &Value) -> Result<Value, Value>;

const FILES: [(&str, &str, Driver); 8] = [
    (
        "record",
        include_str!("vectors/record.json"),
        drivers::record,
    ),
    (
        "delta_body",
        include_str!("vectors/delta_body.json"),
        drivers::delta_body,
    ),
    (
        "header",
        include_str!("vectors/header.json"),
        drivers::header,
    ),
    ("leaf", include_str!("vectors/leaf.json"), drivers::leaf),
    (
        "roster",
        include_str!("vectors/roster.json"),
        drivers::roster,
    ),
    (
        "checkpoint",
        include_str!("vectors/checkpoint.json"),
        drivers::checkpoint,
    ),
    ("wire", include_str!("vectors/wire.json"), drivers::wire),
    (
        "match",
        include_str!("vectors/match.json"),
        matching::matching,
    ),
];

fn read(json: &str) -> Vec<Vector> {
    serde_json::from_str(json).expect("a list of vectors")
}

#[test]
fn every_vector_gives_what_it_says() {
    let mut wrong = Vec::new();
    for (file, json, driver) in FILES {
        for vector in read(json) {
            let bytes = hex::decode(&vector.hex).expect("hexadecimal digits");
            let (facts, error) = match driver(&bytes, &vector.context) {
                Ok(facts) => (facts, Value::Null),
                Err(error) => (Value::Null, error),
            };
            if (&error, &facts) != (&vector.error, &vector.facts) {
                wrong.push(format!("{file}: {} gave {error} {facts}", vector.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn vectors_are_named_once_and_cite_their_rule() {
    let mut names = BTreeSet::new();
    let mut invalid = 0;
    for (file, json, _) in FILES {
        for vector in read(json) {
            assert!(vector.spec.starts_with("protocol.md#"), "{}", vector.name);
            assert!(
                vector
                    .name
                    .starts_with(file.split('_').next().unwrap_or(file)),
                "{}",
                vector.name
            );
            invalid += usize::from(!vector.error.is_null());
            assert!(
                names.insert(vector.name.clone()),
                "{} stands twice",
                vector.name
            );
        }
    }
    assert!(
        invalid * 2 > names.len(),
        "a format is defined by what it refuses"
    );
}

#[cfg(feature = "testing")]
#[test]
fn the_vectors_are_those_that_this_code_makes() {
    for (file, json, _) in FILES {
        let made = generate::file(file);
        if generate::write_is_asked_for() {
            generate::write(file, &made);
        } else {
            assert_eq!(read(json), made, "{file}: the format changed");
        }
    }
}
