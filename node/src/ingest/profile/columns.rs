//! The container of a list and its columns with hashes.

use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::limits;
use toml::Spanned;

use super::raw::{RawColumns, RawProfile, RawSource, RawSums, Stated};
use super::{Format, Problem};
use crate::ingest::parts::Shape;
use crate::ingest::sums::bsd_name;
use crate::ingest::{local_file, ncmec, stopncii, table, vics};

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
    /// What the container has, where its format says so.
    pub(super) shape: Option<&'static Shape>,
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
        if let Some(shape) = self.shape.filter(|shape| !shape.parts.contains(&text)) {
            let (format, parts) = (shape.name, shape.parts.join(", "));
            return fault(name.span().start, Problem::Part { format, parts });
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
    let format = raw.source.format.as_ref();
    let at = format.map_or(0, |format| format.span().start);
    let format = format.map_or("csv", |format| format.get_ref().as_str());
    only_for(&raw.source, format)?;
    let bad = |name, allowed: &str| Problem::Value {
        name,
        allowed: allowed.to_owned(),
    };
    match (format, &raw.columns, &raw.sums) {
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
        (name, stated, sums) => {
            let Some(format) = shaped(&raw.source, name)? else {
                return fault(at, bad("format", FORMATS));
            };
            if stated.is_some() || sums.is_some() {
                return fault(at, Problem::Shaped);
            }
            let hashes = shape_hashes(format.shape(), columns);
            Ok((format, hashes))
        }
    }
}

/// Every format, for messages.
const FORMATS: &str =
    "\"csv\", \"sums\", \"local_file\", \"iwf\", \"icse\", \"vics\", \"stopncii\" or \"ncmec\"";

/// A format that knows its own columns.
fn shaped(source: &RawSource, name: &str) -> Compiled<Option<Format>> {
    Ok(Some(match name {
        "local_file" => {
            let only = source.signal_type.as_ref();
            let only = only.map(|stated| {
                let known = local_file::signal_type(stated.get_ref());
                known.ok_or_else(|| Fault {
                    at: stated.span().start,
                    problem: Problem::Value {
                        name: "signal_type",
                        allowed: "\"pdq\", \"video_md5\" or \"video_sha256\"".to_owned(),
                    },
                })
            });
            Format::LocalFile {
                only: only.transpose()?,
            }
        }
        "iwf" => Format::Table(&table::IWF),
        "icse" => Format::Table(&table::ICSE),
        "vics" => Format::Vics {
            cases: source.cases.as_ref().is_some_and(|cases| *cases.get_ref()),
        },
        "stopncii" => Format::StopNcii,
        "ncmec" => Format::Ncmec,
        _ => return Ok(None),
    }))
}

impl Format {
    /// What the format has by itself; a list whose profile names its columns has nothing.
    pub(in crate::ingest) fn shape(&self) -> Option<&'static Shape> {
        match self {
            Self::Csv { .. } | Self::Sums { .. } => None,
            Self::LocalFile { .. } => Some(&local_file::SHAPE),
            Self::Table(table) => Some(&table.shape),
            Self::Vics { .. } => Some(&vics::SHAPE),
            Self::StopNcii => Some(&stopncii::SHAPE),
            Self::Ncmec => Some(&ncmec::SHAPE),
        }
    }
}

fn shape_hashes(shape: Option<&'static Shape>, columns: &mut Columns) -> Vec<(Algorithm, usize)> {
    columns.shape = shape;
    let hashes = shape.map_or(&[][..], |shape| shape.hashes).iter();
    let known = hashes.filter_map(|(name, part)| Some((Algorithm::from_name(name)?, *part)));
    known
        .map(|(algorithm, part)| {
            columns.names.push(part.to_owned());
            (algorithm, columns.names.len() - 1)
        })
        .collect()
}

/// Keys that go with some formats only.
fn only_for(source: &RawSource, format: &str) -> Compiled<()> {
    fn at<T>(stated: &Stated<T>) -> Option<usize> {
        stated.as_ref().map(|stated| stated.span().start)
    }
    let keys: [(&'static str, Option<usize>, &[&str]); 6] = [
        ("delimiter", at(&source.delimiter), &["csv", "sums"]),
        ("header", at(&source.header), &["csv"]),
        ("national", at(&source.national), &["vics"]),
        ("cases", at(&source.cases), &["vics"]),
        ("signal_type", at(&source.signal_type), &["local_file"]),
        ("grant", at(&source.grant), &["icse"]),
    ];
    for (name, at, formats) in keys {
        if let Some(at) = at.filter(|_| !formats.contains(&format)) {
            let allowed = format!("it for {} only", formats[0]);
            return fault(at, Problem::Value { name, allowed });
        }
    }
    let encoding = source.encoding.as_ref();
    let other = |text: &&Spanned<String>| !text.get_ref().eq_ignore_ascii_case("utf-8");
    if let Some(encoding) = encoding.filter(other) {
        let (name, allowed) = ("encoding", "\"utf-8\": convert the list first".to_owned());
        return fault(encoding.span().start, Problem::Value { name, allowed });
    }
    if let Some(header) = source.header.as_ref().filter(|header| !*header.get_ref()) {
        let allowed = "true: give the list a header, so that a shifted column shows".to_owned();
        let name = "header";
        return fault(header.span().start, Problem::Value { name, allowed });
    }
    Ok(())
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
