//! `hashpact audit mirror`: makes and keeps a copy of all logs of a network.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use hashpact_keys::NetworkId;
use zeroize::Zeroizing;

use super::super::{Answer, Failure};
use super::verify::spinner;
use crate::audit::mirror::{Copied, Mirror, MirrorError};
use crate::audit::source::{FolderSource, HttpSource, Source};
use crate::clock;
use crate::http::{HttpClient, HttpClientConfig, Identity};
use crate::page::text::counted;

/// One file must come within this; the largest has 16 MiB.
const TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Args)]
#[command(
    after_help = "Run it again to copy what is new; a copy that was stopped goes on where it was. A checkpoint that does not continue the\ncopy is refused and kept beside it as evidence.\n\nExit codes: 0 copied, 1 a source showed what the copy contradicts, 2 wrong input, 3 a source or this machine failed.\n\nExamples:\n  hashpact audit mirror logs --pin <the network's hash> --from https://eu.example:8443 --ca eu.pem --identity me.pem+me.key\n  hashpact audit mirror logs --from /mnt/disk/logs"
)]
pub(in super::super) struct MirrorArgs {
    /// The folder of the copy; made if it is not there.
    dir: PathBuf,
    /// A node's URL, or a folder of logs; repeat it for several.
    #[arg(long, value_name = "SOURCE", required = true)]
    from: Vec<String>,
    /// The network's hash. Without it the first copy believes the source; `audit verify` will still want the hash.
    #[arg(long, value_name = "HASH")]
    pin: Option<NetworkId>,
    /// What to show to nodes: CERTIFICATE+KEY, or one file with both, PEM.
    #[arg(long, value_name = "FILES")]
    identity: Option<String>,
    /// The certificates that nodes are trusted by, PEM.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

pub(in super::super) fn run(args: &MirrorArgs) -> Result<Answer, Failure> {
    let client = HttpClient::new(&HttpClientConfig {
        timeout: TIMEOUT,
        identity: args.identity.as_deref().map(identity).transpose()?,
        roots: args.ca.clone(),
    });
    let client = client.map_err(Failure::input)?;
    let open = |from: &String| source(from, &client);
    let sources: Vec<Box<dyn Source>> = args.from.iter().map(open).collect::<Result<_, _>>()?;
    let bar = spinner("{spinner} {msg}  {elapsed}");
    let mirror = Mirror {
        dir: &args.dir,
        pin: args.pin,
        sources: &sources,
        now: clock::now(),
        progress: &|origin, at, to| {
            bar.set_message(format!("{origin}: {at} of {}", counted(to, "leaf|leaves")));
            bar.tick();
        },
    };
    let copied = mirror.run().map_err(|error| match error {
        MirrorError::Roster { .. } | MirrorError::NoRoster { refused: true, .. } => {
            Failure::no(error)
        }
        MirrorError::NoRoster { refused: false, .. } | MirrorError::Io { .. } => {
            Failure::failed(error)
        }
    })?;
    bar.finish_and_clear();
    let json = serde_json::to_value(&copied).map_err(Failure::failed)?;
    Ok(Answer {
        json,
        text: describe(&copied),
        code: code(&copied),
    })
}

fn source(from: &str, client: &HttpClient) -> Result<Box<dyn Source>, Failure> {
    if from.starts_with("http://") || from.starts_with("https://") {
        return Ok(Box::new(HttpSource::new(from, client.clone())));
    }
    match FolderSource::open(Path::new(from)) {
        Ok(source) => Ok(Box::new(source)),
        Err(error) => Err(Failure::input(format!("{from}: {error}"))),
    }
}

fn identity(files: &str) -> Result<Identity, Failure> {
    let (certificate, key) = files.split_once('+').unwrap_or((files, files));
    let read = |file: &str| {
        let read = std::fs::read_to_string(file);
        read.map_err(|error| Failure::input(format!("{file}: {error}")))
    };
    Ok(Identity {
        certificate_pem: read(certificate)?,
        key_pem: Zeroizing::new(read(key)?),
    })
}

fn code(copied: &Copied) -> u8 {
    let (mut refused, mut failed) = (false, !copied.failed.is_empty());
    for log in &copied.logs {
        refused |= !log.refused.is_empty();
        failed |= !log.failed.is_empty();
    }
    match (refused, failed) {
        (true, _) => 1,
        (false, true) => 3,
        (false, false) => 0,
    }
}

fn describe(copied: &Copied) -> String {
    let mut text = String::new();
    for failed in &copied.failed {
        let _ = writeln!(text, "FAILED {}: {}", failed.source, failed.why);
    }
    for log in &copied.logs {
        for refused in &log.refused {
            let _ = writeln!(
                text,
                "REFUSED {} {}: {}",
                log.origin, refused.source, refused.why
            );
        }
        for failed in &log.failed {
            let _ = writeln!(
                text,
                "FAILED {} {}: {}",
                log.origin, failed.source, failed.why
            );
        }
        let _ = writeln!(
            text,
            "{}: {} leaves, {} new",
            log.origin,
            log.to,
            log.to - log.from
        );
    }
    let _ = writeln!(
        text,
        "network {}, {} rosters",
        copied.network, copied.rosters
    );
    if !copied.pinned {
        text.push_str("The network's hash was taken from the source: compare it out of band before you believe it.\n");
    }
    text
}
