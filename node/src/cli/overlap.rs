//! `hashpact overlap`: how much centres hold in common, as a table and as a page.

use std::path::PathBuf;

use clap::Args;
use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::labels::Purpose;
use hashpact_protocol::lists::ClosedList as _;
use serde_json::json;

use super::matching::{kind, word};
use super::{Answer, Failure};
use crate::audit::report::Language;
use crate::control::Request;
use crate::control::client::Client;
use crate::home::Home;
use crate::matching::overlap::{Overlap, Row, page};
use crate::page::file::replace;

#[derive(Args)]
#[command(
    after_help = "The running node counts this centre's own values of one type against every centre that lets it count (mode count of\n`hashpact match`): a list of at least 1,000 values, charged to the quota of the day at each, four times an epoch at most.\nIt can measure its own row only; --add takes rows that other centres printed with --json.\n\nExit code 0 whatever the cells say; 1: there is nothing to count with.\n\nExamples:\n  hashpact --home ca overlap --type sha256 --json > ca.json\n  hashpact --home eu overlap --type sha256 --add ca.json --add us.json --html overlap.html"
)]
pub(super) struct OverlapArgs {
    /// The fingerprint type: md5, sha1, sha256, blake3, pdq or photodna.
    #[arg(long = "type", value_name = "TYPE", value_parser = kind)]
    kind: Algorithm,
    /// What for; policy decides by it.
    #[arg(long, default_value = "statistics", value_parser = word::<Purpose>)]
    purpose: Purpose,
    /// Fill a list that is too short up with random values. They are charged too.
    #[arg(long)]
    pad: bool,
    /// A row that another centre measured: what its `overlap --json` printed.
    #[arg(long = "add", value_name = "FILE")]
    add: Vec<PathBuf>,
    /// Write the table as one page, for a browser or a printer.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// The language in which the page opens; it holds both.
    #[arg(long, value_enum, default_value = "en")]
    language: Language,
}

pub(super) fn run(home: &Home, args: &OverlapArgs) -> Result<Answer, Failure> {
    let mut added = Vec::new();
    for file in &args.add {
        let named =
            |why: &dyn std::fmt::Display| Failure::input(format!("{}: {why}", file.display()));
        let text = std::fs::read_to_string(file).map_err(|error| named(&error))?;
        added.push(Row::from_json(&text).map_err(|error| named(&error))?);
    }
    let request = Request::Overlap {
        kind: args.kind.name().to_owned(),
        purpose: args.purpose.name().to_owned(),
        pad: args.pad,
    };
    let own = Client::connect(home)?.ask(&request, |_| {})?;
    let row: Row = serde_json::from_value(own.clone()).map_err(Failure::failed)?;
    let rows = std::iter::once(row).chain(added).collect();
    let overlap = Overlap::of(rows).map_err(Failure::input)?;
    let mut text = overlap.text();
    if let Some(path) = &args.html {
        replace(path, &page(&overlap, args.language)).map_err(Failure::failed)?;
        text.push_str(&format!("\nWritten: {}\n", path.display()));
    }
    // The row alone, so that another centre can add what this one printed.
    Ok(Answer::new(json!(own), text))
}
