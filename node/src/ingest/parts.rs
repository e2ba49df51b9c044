//! The cells of a row whose parts have names of their own, as records of JSON and XML do.
//!
//! Why: rules count in the columns of a profile, and such a format knows its parts by name. So each name is looked up once,
//! when the file is opened. In scope: names to columns, what is dropped. Out of scope: what a format's names are.

use std::collections::BTreeMap;

use super::row::Cells;

/// What a format with named parts has, as a profile sees it.
#[derive(Debug)]
pub(super) struct Shape {
    /// What a profile's `format` says.
    pub(super) name: &'static str,
    /// Every part that a rule may name.
    pub(super) parts: &'static [&'static str],
    /// Parts with hashes: algorithm, part. In the order of a record: known algorithms by code, others by name.
    pub(super) hashes: &'static [(&'static str, &'static str)],
    /// Where the file's size is.
    pub(super) byte_length: Option<&'static str>,
    /// Where the day of entry is.
    pub(super) entered_on: Option<&'static str>,
    /// Where the day of assessment is.
    pub(super) assessed_on: Option<&'static str>,
    /// Where the source's name for a series is.
    pub(super) series: Option<&'static str>,
    /// Where it says that nobody has assessed it.
    pub(super) suspected: Option<&'static str>,
}

/// The cells of one row, by the profile's numbers of its columns; the buffers are reused.
pub(super) struct Parts {
    columns: Vec<String>,
    values: Vec<Vec<u8>>,
    dropped: BTreeMap<&'static str, u64>,
}

impl Parts {
    pub(super) fn new(columns: &[String]) -> Self {
        Self {
            columns: columns.to_vec(),
            values: vec![Vec::new(); columns.len()],
            dropped: BTreeMap::new(),
        }
    }

    /// Before each row.
    pub(super) fn clear(&mut self) {
        self.values.iter_mut().for_each(Vec::clear);
    }

    /// Sets a part, if the profile reads it.
    pub(super) fn put(&mut self, part: &str, value: &[u8]) {
        if let Some(at) = self.columns.iter().position(|column| column == part) {
            self.values[at].clear();
            self.values[at].extend_from_slice(value);
        }
    }

    /// What a part is set to.
    pub(super) fn value(&self, part: &str) -> &[u8] {
        let at = self.columns.iter().position(|column| column == part);
        at.map(|at| self.values[at].as_slice()).unwrap_or_default()
    }

    /// Counts something that no record may hold.
    pub(super) fn drop_part(&mut self, what: &'static str) {
        *self.dropped.entry(what).or_default() += 1;
    }

    pub(super) fn dropped(&self) -> BTreeMap<&'static str, u64> {
        self.dropped.clone()
    }

    pub(super) fn cells(&self) -> Cells<'_> {
        Cells::Listed(&self.values)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &[u8]> {
        self.values.iter().map(Vec::as_slice)
    }
}

/// A flag of three values as the word that rules know: `yes`, `no`, or nothing where it is not stated. Another text stays
/// what it is, and no rule knows it.
pub(super) fn flag(text: &str) -> &str {
    let text = text.trim();
    let is = |words: [&str; 4]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(["y", "yes", "t", "true"]) {
        "yes"
    } else if is(["n", "no", "f", "false"]) {
        "no"
    } else {
        text
    }
}
