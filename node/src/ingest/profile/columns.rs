//! The container of a list and its columns with hashes.

use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::limits;
use toml::Spanned;

use super::raw::{RawColumns, RawProfile, RawSums};
use super::{Format, Problem};
use crate::ingest::sums::bsd_name;

/// A problem and the byte at which it stands.
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) problem: Problem,
}

pub(super) type Compiled<T> = Result<T, Fault>;

pub(super) fn fault<T>(at: usize, problem: Problem) -> Compiled<T> {
    Err(Fault { at, problem })
}

/// The columns that a profile reads, each once.
pub(super) struct Columns {
    pub(super) names: Vec<String>,
    /// Whether the container has columns.
    pub(super) allowed: bool,
}

impl Columns {
    /// The number of a column.
    pub(super) fn find(&mut self, name: &Spanned<String>) -> Compiled<usize> {
        if !self.allowed {
            return fault(name.span().start, Problem::NoColumns);
        }
        let text = name.get_ref().trim();
        if text.is_empty() {
            let allowed = "the header of a column".to_owned();
            return fault(
                name.span().start,
                Problem::Value {
                    name: "column",
                    allowed,
                },
            );
        }
        let found = self.names.iter().position(|known| known == text);
        Ok(found.unwrap_or_else(|| {
            self.names.push(text.to_owned());
            self.names.len() - 1
        }))
    }
}

/// What is read, and the columns with hashes.
pub(super) type Container = (Format, Vec<(Algorithm, usize)>);

pub(super) fn container(raw: &RawProfile, columns: &mut Columns) -> Compiled<Container> {
    let format = &raw.source.format;
    let at = format.span().start;
    let bad = |name, allowed: &str| Problem::Value {
        name,
        allowed: allowed.to_owned(),
    };
    match (format.get_ref().as_str(), &raw.columns, &raw.sums) {
        ("csv", Some(stated), None) => {
            let delimiter = match &raw.source.delimiter {
                None => b',',
                Some(text) => match text.get_ref().as_bytes() {
                    [c] if c.is_ascii() && !matches!(c, b'"' | b'\r' | b'\n') => *c,
                    _ => {
                        let allowed = "one ASCII character, such as \",\", \";\" or \"\\t\"";
                        return fault(text.span().start, bad("delimiter", allowed));
                    }
                },
            };
            Ok((Format::Csv { delimiter }, hash_columns(stated, columns)?))
        }
        ("sums", None, Some(stated)) => {
            if let Some(delimiter) = &raw.source.delimiter {
                return fault(delimiter.span().start, bad("delimiter", "it for csv only"));
            }
            let algorithm = sums_algorithm(stated.get_ref())?;
            columns.names.push("digest".to_owned());
            columns.allowed = false;
            Ok((
                Format::Sums {
                    algorithm: algorithm.clone(),
                },
                vec![(algorithm, 0)],
            ))
        }
        ("csv", _, _) => fault(
            at,
            Problem::Table {
                format: "csv",
                needs: "columns",
                excludes: "sums",
            },
        ),
        ("sums", _, _) => fault(
            at,
            Problem::Table {
                format: "sums",
                needs: "sums",
                excludes: "columns",
            },
        ),
        _ => fault(at, bad("format", "\"csv\" or \"sums\"")),
    }
}

fn sums_algorithm(raw: &RawSums) -> Compiled<Algorithm> {
    let known = Algorithm::from_name(raw.algorithm.get_ref());
    known
        .filter(|algorithm| bsd_name(algorithm).is_some())
        .ok_or_else(|| {
            let allowed = "\"md5\", \"sha1\", \"sha256\" or \"blake3\"".to_owned();
            Fault {
                at: raw.algorithm.span().start,
                problem: Problem::Value {
                    name: "algorithm",
                    allowed,
                },
            }
        })
}

/// In the order of a record: known algorithms by code, then the others by name.
fn hash_columns(
    raw: &Spanned<RawColumns>,
    columns: &mut Columns,
) -> Compiled<Vec<(Algorithm, usize)>> {
    let at = raw.span().start;
    let raw = raw.get_ref();
    let known = [
        (Algorithm::Md5, &raw.md5),
        (Algorithm::Sha1, &raw.sha1),
        (Algorithm::Sha256, &raw.sha256),
        (Algorithm::Blake3, &raw.blake3),
        (Algorithm::Pdq, &raw.pdq),
        (Algorithm::PhotoDna, &raw.photodna),
    ];
    let mut hashes = Vec::new();
    for (algorithm, name) in known {
        if let Some(name) = name {
            hashes.push((algorithm, hash_column(&hashes, columns, name)?));
        }
    }
    for (name, header) in &raw.opaque {
        match Algorithm::from_name(name) {
            Some(algorithm @ Algorithm::Other(_)) => {
                hashes.push((algorithm, hash_column(&hashes, columns, header)?));
            }
            Some(_) | None => {
                return fault(header.span().start, Problem::Opaque { name: name.clone() });
            }
        }
    }
    let max = limits::FINGERPRINTS_PER_ENTRY;
    if hashes.is_empty() || hashes.len() > max {
        return fault(
            at,
            Problem::Hashes {
                got: hashes.len(),
                max,
            },
        );
    }
    Ok(hashes)
}

fn hash_column(
    others: &[(Algorithm, usize)],
    columns: &mut Columns,
    name: &Spanned<String>,
) -> Compiled<usize> {
    let column = columns.find(name)?;
    if others.iter().any(|(_, other)| *other == column) {
        return fault(name.span().start, Problem::Guess);
    }
    Ok(column)
}
