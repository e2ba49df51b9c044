//! `hashpact audit match-sample check`: a sample against a copy of the logs, offline.
//!
//! What holds: the manifest stands in the log under a quorum; the seed draws these tags from the segments that it names; each
//! tag is that of an opened record of a class of the group, under the published key; and each record's delta stands in the log
//! before the manifest. Anything else is refused whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use hashpact_keys::{NetworkId, Origin};
use hashpact_protocol::log::{Checkpoint, Leaf, SignedCheckpoint, read_leaves};
use hashpact_protocol::psi::{Manifest, MatchSample, manifest_hash, strangers_below};
use serde_json::json;

use super::super::super::prove::{
    LOG_FILE_MAX, RosterSource, check_leaf, read_bounded, read_mirror,
};
use super::super::super::{Answer, Failure};
use super::{Seed, draws};
use crate::audit::folder::log_name;
use crate::matching::sample::{Drawn, draw};
use crate::page::text::counted;

/// Leaves read at once: a bundle.
const LEAVES_AT_ONCE: u64 = 256;

const NOT_LOGGED: &str = "the sample's manifest is in no log of this folder: if it is newer than your copy, copy the logs again and choose a new seed";

#[derive(Args)]
#[command(
    after_help = "Exit code 1: the sample does not show that the matched set is the logged one.\nGive the copy of the logs that you made before you told anybody the seed.\n\nExample:\n  hashpact audit match-sample check us-sample --logs logs --pin HASH --seed $(cat auditor.seed)"
)]
pub(in super::super::super) struct CheckArgs {
    /// The folder that the centre made.
    folder: PathBuf,
    /// A folder of mirrored logs.
    #[arg(long, value_name = "DIR")]
    logs: PathBuf,
    /// The network: the hash of its first roster, compared out of band.
    #[arg(long, value_name = "HASH")]
    pin: NetworkId,
    /// The rosters of the network from the first on, instead of those in the folder of logs.
    #[arg(long, value_name = "FILE")]
    roster: Vec<PathBuf>,
    /// Your seed.
    #[arg(long, value_name = "HEX")]
    seed: Seed,
    /// How many tags you asked for.
    #[arg(long, value_name = "N", default_value = "300", value_parser = draws)]
    draws: usize,
}

/// What a log holds of what a sample speaks of.
struct Found {
    origin: Origin,
    leaf: u64,
    signed: Vec<u8>,
    /// The newest manifest in the log.
    newest: u64,
    /// Leaves of deltas, by their header.
    headers: BTreeMap<Vec<u8>, u64>,
}

pub(super) fn run(args: &CheckArgs) -> Result<Answer, Failure> {
    let source = RosterSource {
        pin: &args.pin,
        files: &args.roster,
        mirror: Some(&args.logs),
    };
    let signed = source.load()?;
    let roster = signed.roster();
    let sample = super::read(&args.folder)?;
    let (mut found, mut fault) = (None, None);
    for centre in &roster.centres {
        match search(args, &centre.origin, &sample) {
            Ok(Some(here)) => {
                found = Some(here);
                break;
            }
            Ok(None) => {}
            // Another log may hold it all the same.
            Err(error) => fault = fault.or(Some(error)),
        }
    }
    let found = found.ok_or_else(|| fault.unwrap_or_else(|| Failure::no(NOT_LOGGED)))?;
    let centre = roster.by_origin(&found.origin);
    let centre = centre.ok_or_else(|| Failure::no("no such centre on the roster"))?;
    let is_logged = |leaf| check_leaf(roster, &read_mirror(&args.logs, &found.origin, leaf)?);
    is_logged(found.leaf)?;
    let manifest = Manifest::open(&found.signed, centre).map_err(Failure::no)?;
    let place = (sample.group, sample.kind, sample.mode);
    let (folder, seed) = (&args.folder, &args.seed.0);
    let drawn = draw(folder, &manifest, &sample.manifest, place, seed, args.draws);
    let Drawn { tags, of } = drawn.map_err(Failure::no)?;
    let records = sample.verify(&found.signed, centre, &tags);
    let records = records.map_err(Failure::no)?;
    let mut deltas = BTreeSet::new();
    for (proof, _) in &sample.opened {
        let leaf = found.headers.get(proof.header()).copied();
        let leaf = leaf.filter(|leaf| *leaf < found.leaf).ok_or_else(|| {
            Failure::no("a record's delta does not stand in the log before the manifest")
        })?;
        deltas.insert(leaf);
    }
    for leaf in &deltas {
        is_logged(*leaf)?;
    }
    Ok(answer(
        &found,
        &sample,
        records.len() as u64,
        of,
        deltas.len() as u64,
    ))
}

/// Reads a log of the folder for the manifest of a sample, and for the deltas of its records.
fn search(
    args: &CheckArgs,
    origin: &Origin,
    sample: &MatchSample,
) -> Result<Option<Found>, Failure> {
    let folder = args.logs.join(log_name(origin));
    let Ok(note) = read_bounded(&folder.join("checkpoint"), LOG_FILE_MAX) else {
        return Ok(None);
    };
    let head = SignedCheckpoint::from_store(&note).map_err(Failure::no)?;
    let Checkpoint { size, .. } = *head.checkpoint();
    let files = |path: &str| read_bounded(&folder.join(path), LOG_FILE_MAX).ok();
    let (mut manifest, mut newest, mut headers) = (None, 0, BTreeMap::new());
    let mut from = 0;
    while from < size {
        let to = size.min(from + LEAVES_AT_ONCE);
        let leaves = read_leaves(&files, size, from, to).map_err(Failure::no)?;
        for (index, leaf) in (from..).zip(leaves) {
            match Leaf::from_bytes(&leaf) {
                Ok(Leaf::MatchEpoch { manifest: signed }) => {
                    newest = index;
                    if manifest_hash(&signed) == sample.manifest {
                        manifest = Some((index, signed));
                    }
                }
                Ok(Leaf::Delta { header, .. }) => {
                    if sample
                        .opened
                        .iter()
                        .any(|(proof, _)| proof.header() == header)
                    {
                        headers.entry(header).or_insert(index);
                    }
                }
                Ok(_) | Err(_) => {}
            }
        }
        from = to;
    }
    Ok(manifest.map(|(leaf, signed)| Found {
        origin: origin.clone(),
        leaf,
        signed,
        newest,
        headers,
    }))
}

fn answer(found: &Found, sample: &MatchSample, draws: u64, of: u64, deltas: u64) -> Answer {
    let whole = draws == of;
    let below = strangers_below(draws);
    let says = if whole {
        "These are all of them: nothing in the artifact is a stranger.".to_owned()
    } else {
        format!(
            "With 95 % confidence fewer than {:.2} % of the artifact are strangers.",
            (below * 10_000.0).ceil() / 100.0
        )
    };
    let mut text = format!(
        "{} of {of} drawn from group {}, as the manifest in leaf {} of {} publishes it: each is of a record that the centre signed, in {} that it logged before.\n{says}\nNot shown: that all that was logged is matched; that no opened record was retracted since; other groups, types and modes. It shows nothing if the seed was known before your copy of the logs was made.",
        counted(draws, "tag|tags"),
        sample.group,
        found.leaf,
        found.origin,
        counted(deltas, "delta|deltas"),
    );
    if found.newest > found.leaf {
        text.push_str(&format!(
            "\nYour copy has a newer manifest, in leaf {}: this is about the older one.",
            found.newest
        ));
    }
    let json = json!({
        "holds": true,
        "origin": found.origin.to_string(),
        "leaf": found.leaf,
        "newest": found.newest,
        "group": sample.group.0,
        "draws": draws,
        "items": of,
        "deltas": deltas,
        "strangers_below": if whole { 0.0 } else { below },
    });
    Answer::new(json, text)
}
