//! Files of a copy that no log calls for. Why: what is not read is not verified, so an auditor must hear of it; and a narrow
//! tile that a wider one outgrew may lie beside it, where it must agree with it. In scope: names, and those narrow tiles.
//! Out of scope: files that the size of a log calls for (`verify`).

use std::io;

use hashpact_keys::Origin;
use hashpact_protocol::audit::{Chain, Finding, FindingKind, Place};

use super::folder::{Folder, LogFolder, TileName, log_name};
use hashpact_protocol::log::LogFiles as _;

/// Bytes of a name that are told.
const NAME_LEN_MAX: usize = 80;
/// The files of a log beside its tiles.
const BESIDE: [&str; 4] = ["checkpoint", "history", "fork", "refused"];

/// What lies beside the logs and rosters of a chain.
pub(super) fn of_root<'a>(
    folder: &Folder,
    chain: &Chain,
    logs: impl Iterator<Item = &'a Origin>,
) -> io::Result<Vec<Finding>> {
    let known: Vec<String> = logs.map(log_name).collect();
    let mut found = Vec::new();
    let is_hidden = |name: &str| name.starts_with('.');
    for (name, is_folder) in folder.names("")? {
        let is_expected = !is_folder || name == "rosters" || known.contains(&name);
        if !is_expected && !is_hidden(&name) {
            found.push(stray(None, &name, FindingKind::UnknownLog));
        }
    }
    let newest = chain.newest().roster().version.get();
    // The first one that is refused is a finding of its own; what follows it was not looked at.
    let is_read = |name: &str| {
        let version = name.parse::<u64>().ok();
        version.is_some_and(|v| (1..=newest + 1).contains(&v) && v.to_string() == name)
    };
    let names = folder.names("rosters")?.into_iter();
    let unread = names.filter(|(name, _)| !is_read(name) && !is_hidden(name));
    let unread: Vec<String> = unread.map(|(name, _)| format!("rosters/{name}")).collect();
    found.extend(together(None, &unread));
    Ok(found)
}

/// What lies in a log's folder beside what its size calls for.
pub(super) fn of_log(folder: &Folder, origin: &Origin, size: u64) -> Vec<Finding> {
    let name = log_name(origin);
    let files = LogFolder::new(folder, &name);
    let mut found = Vec::new();
    let (mut first, mut others) = (None, 0_u64);
    let mut odd = |path: &str| match &first {
        None => first = Some(path.to_owned()),
        Some(_) => others += 1,
    };
    let beside = folder.names(&name).unwrap_or_default();
    for (file, is_folder) in beside {
        let is_expected = if is_folder {
            file == "tile"
        } else {
            BESIDE.contains(&file.as_str()) || file.starts_with('.')
        };
        if !is_expected {
            odd(&file);
        }
    }
    let walked = folder.walk(&name, "tile", 0, &mut |path| {
        let Some(tile) = TileName::parse(path) else {
            return odd(path);
        };
        let items = tile.items(size);
        if tile.width > items {
            odd(path);
        } else if tile.width < items {
            found.extend(outgrown(&files, origin, &tile, items));
        }
    });
    if walked.is_err() {
        found.push(stray(Some(origin), "tile", FindingKind::FileMissing));
    }
    if let Some(path) = first {
        found.push(stray(Some(origin), &path, FindingKind::Stray { others }));
    }
    found
}

/// A narrow tile beside a wider one: its items are the wider one's first.
fn outgrown(files: &LogFolder, origin: &Origin, tile: &TileName, items: u64) -> Option<Finding> {
    let wider = TileName {
        width: items,
        ..*tile
    };
    let path = tile.path();
    // A wider one that is missing or damaged is a finding already.
    let expected = tile.cut(&files.log_file(&wider.path())?)?;
    let got = files.log_file(&path)?;
    if got == expected {
        return None;
    }
    let kind = match tile.level {
        None => FindingKind::Bundle {
            expected: tile.width,
        },
        Some(_) if got.len() != expected.len() => FindingKind::TileWidth {
            expected: expected.len(),
            got: got.len(),
        },
        Some(_) => {
            let hashes = expected.chunks(32).zip(got.chunks(32));
            let at = hashes.take_while(|(a, b)| a == b).count();
            FindingKind::TileHash { at }
        }
    };
    Some(stray(Some(origin), &path, kind))
}

fn together(log: Option<&Origin>, paths: &[String]) -> Option<Finding> {
    let (first, others) = paths.split_first()?;
    let others = others.len() as u64;
    Some(stray(log, first, FindingKind::Stray { others }))
}

/// A finding about a name that came with the folder: told in visible characters, and not at any length.
fn stray(log: Option<&Origin>, path: &str, what: FindingKind) -> Finding {
    let visible = path.chars().flat_map(char::escape_default);
    let place = Place::File(visible.take(NAME_LEN_MAX).collect());
    let log = log.cloned();
    Finding { log, place, what }
}
