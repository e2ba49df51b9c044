//! A member and a serving centre on a real socket: honest first, then not.

mod crash;
mod endless;
mod exports;
mod follows;
mod hostile;
mod scene;
mod server;
mod world;

use std::collections::BTreeSet;
use std::path::Path;

use hashpact_keys::Roster;
use hashpact_protocol::fingerprint::Fingerprint;
use hashpact_protocol::record::Record;
use zeroize::Zeroizing;

use super::*;
use crate::near::file::{FILE_NAME, Index};
use crate::store::durable::Steps;
use server::Server;
use world::{NOW, World};

/// A token as gateways give them out.
const TOKEN: &str = "hp1_0000002a_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn api(server: &Server) -> Api {
    Api::new(&ApiConfig {
        from: server.url(),
        token: Zeroizing::new(TOKEN.to_owned()),
        roots: None,
    })
    .unwrap()
}

fn pass_with(
    world: &World,
    server: &Server,
    dir: &Path,
    (roster, now, steps): (&Roster, u64, Steps),
) -> Result<Report, SyncError> {
    let centre = world.serving().id.clone();
    let from = server.url();
    Pass {
        path: dir,
        api: &api(server),
        from: &from,
        trust: Trust {
            roster,
            centre: &centre,
            now: hashpact_keys::Timestamp::new(now),
        },
        bounds: Bounds {
            packs: 1 << 30,
            idle: 4 << 20,
        },
        steps,
    }
    .run(&mut |_| {})
}

fn pass(world: &World, server: &Server, dir: &Path) -> Result<Report, SyncError> {
    pass_with(world, server, dir, (world.roster(), NOW, Steps::default()))
}

fn refused(world: &World, server: &Server, dir: &Path) -> SyncError {
    match pass(world, server, dir) {
        Err(error) => error,
        Ok(report) => panic!("taken: {report:?}"),
    }
}

/// The records among these that the index in a folder has, by their first fingerprint.
fn indexed(dir: &Path, records: &[Record]) -> BTreeSet<usize> {
    let path = dir.join(FILE_NAME);
    if !path.is_file() {
        return BTreeSet::new();
    }
    let index = Index::open(&path).unwrap();
    let has = |record: &Record| !index.find(print(record)).is_empty();
    (0..records.len()).filter(|n| has(&records[*n])).collect()
}

fn print(record: &Record) -> &Fingerprint {
    record.fields.matchable().next().unwrap()
}

/// A folder where syncing costs little, if there is one: a crash test makes thousands of durable steps.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => tempfile::tempdir_in(memory).unwrap(),
        false => tempfile::tempdir().unwrap(),
    }
}

/// Copies a folder with all that is in it.
fn copied(from: &Path) -> tempfile::TempDir {
    let to = folder();
    for item in walkdir::WalkDir::new(from).min_depth(1) {
        let item = item.unwrap();
        let path = to.path().join(item.path().strip_prefix(from).unwrap());
        match item.file_type().is_dir() {
            true => std::fs::create_dir(path).unwrap(),
            false => drop(std::fs::copy(item.path(), path).unwrap()),
        }
    }
    to
}

/// Whether some bytes stand in any file of a folder.
fn holds(dir: &Path, needle: &[u8]) -> bool {
    walkdir::WalkDir::new(dir).into_iter().any(|item| {
        let item = item.unwrap();
        item.file_type().is_file() && {
            let bytes = std::fs::read(item.path()).unwrap();
            bytes.windows(needle.len()).any(|window| window == needle)
        }
    })
}
