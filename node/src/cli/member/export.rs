//! `hashpact member export`: the synchronised list for programs that read something else.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::json;

use super::super::{Answer, Failure};
use crate::clock;
use crate::page::text::counted;
use crate::sync::FolderError;
use crate::sync::export::{ExportError, Format, SignalType, export as written};

/// The file's form.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatArg {
    /// One row a value, with labels.
    Csv,
    /// ThreatExchange's: one `type value` a line.
    #[value(name = "local_file")]
    LocalFile,
    /// The sorted binary index.
    Index,
}

#[derive(Args)]
#[command(
    after_help = "Only live entries of a list in force are written, and of them only values that are not switched off. Keep the file as you\nkeep the list: fingerprints are confidential.\n\nlocal_file is add-only: ThreatExchange never forgets a value that left the file. Name the file by its edition, and give\neach edition a fresh state directory, or retracted entries go on matching there.\n\nExamples:\n  hashpact member export list --format csv list.csv\n  hashpact member export list --format local_file --type pdq --type video_md5 subset-2026-03-01.txt"
)]
pub(in super::super) struct ExportArgs {
    /// The folder that `hashpact member sync` keeps.
    dir: PathBuf,
    /// The form.
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: FormatArg,
    /// A type of local_file; repeat it for several. Without it: all of them.
    #[arg(long = "type", value_name = "TYPE", value_parser = signal)]
    types: Vec<SignalType>,
    /// The file; one that is there is replaced once the new one is whole.
    out: PathBuf,
}

fn signal(text: &str) -> Result<SignalType, String> {
    let known = SignalType::ALL.iter().find(|(_, name)| *name == text);
    let known = known.map(|(kind, _)| *kind);
    known.ok_or_else(|| "expected pdq, video_md5 or video_sha256".to_owned())
}

pub(in super::super) fn export(args: &ExportArgs) -> Result<Answer, Failure> {
    let format = match args.format {
        FormatArg::Csv => Format::Csv,
        FormatArg::LocalFile => Format::LocalFile,
        FormatArg::Index => Format::Index,
    };
    if !args.types.is_empty() && format != Format::LocalFile {
        return Err(Failure::input("--type goes with --format local_file"));
    }
    let exported =
        written(&args.dir, format, &args.types, &args.out, clock::now()).map_err(failure)?;
    let mut text = format!(
        "{} of {} in {}.",
        counted(exported.values, "value|values"),
        counted(exported.entries, "entry|entries"),
        args.out.display()
    );
    if format == Format::LocalFile {
        text.push_str(
            "\nlocal_file is add-only at its reader: give each edition a fresh state directory.",
        );
    }
    let json = json!({
        "entries": exported.entries,
        "values": exported.values,
        "file": args.out,
    });
    Ok(Answer::new(json, text))
}

fn failure(error: ExportError) -> Failure {
    match &error {
        ExportError::Folder(FolderError::NotInForce(_)) => Failure::no(error),
        ExportError::Folder(FolderError::Missing(_)) => Failure::input(error),
        ExportError::Folder(_)
        | ExportError::Copy(_)
        | ExportError::Index(_)
        | ExportError::Read(_)
        | ExportError::Io { .. } => Failure::failed(error),
    }
}
