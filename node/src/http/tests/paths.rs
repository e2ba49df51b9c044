//! No path leads out of the logs.

use std::os::unix::fs::symlink;

use super::{LOG, SECRET, Site};
use crate::http::path::{Kind, Resource, parse};

/// Every one is 404, or 400 where it is not even HTTP, with one line and nothing of any file.
fn refused(site: &Site, target: &str) {
    let answer = site.get(target);
    assert!(
        matches!(answer.status, 400 | 404),
        "{target:?}: {}",
        answer.status
    );
    assert!(!answer.text().contains(SECRET), "{target:?}");
    assert!(answer.text().lines().count() <= 1, "{target:?}");
}

#[test]
fn traversal_in_every_spelling_is_refused() {
    let site = Site::plain();
    for way in [
        "/..",
        "/../control.redb",
        "/../bodies/eu.example_eu_1/0/0.body",
        "/eu.example_eu_1/../../control.redb",
        "/eu.example_eu_1/tile/../checkpoint",
        "/eu.example_eu_1/./checkpoint",
        "/./eu.example_eu_1/checkpoint",
        "/%2e%2e/control.redb",
        "/%2E%2E/control.redb",
        "/%252e%252e/control.redb",
        "/..%2fcontrol.redb",
        "/eu.example_eu_1%2fcheckpoint",
        "/eu.example_eu_1/%63heckpoint",
        "/..\\control.redb",
        "//control.redb",
        "//eu.example_eu_1/checkpoint",
        "/eu.example_eu_1//checkpoint",
        "/eu.example_eu_1/checkpoint/",
        "/eu.example_eu_1/checkpoint%00",
        "/eu.example_eu_1/checkpoint%00.txt",
        "/eu.example_eu_1/checkpoint?x",
        "/eu.example_eu_1/checkpoint;x",
        "/etc/passwd",
        "/rosters/../../control.redb",
        "/rosters/..",
        "*",
    ] {
        refused(&site, way);
    }
    let absolute = site.data().join("control.redb");
    refused(&site, &format!("/{}", absolute.display()));
    let nul = site.say(b"GET /eu.example_eu_1/checkpoint\0 HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(nul.map(|answer| answer.status), Some(400));
    assert_eq!(site.get(&format!("/{LOG}/checkpoint")).status, 200);
}

#[test]
fn folders_dotfiles_and_other_files_of_the_data_folder_are_not_there() {
    let site = Site::plain();
    site.write("logs/.hidden/checkpoint", SECRET.as_bytes());
    site.write(&format!("logs/{LOG}/.checkpoint"), SECRET.as_bytes());
    site.write(&format!("logs/{LOG}/tile/0/.tmp-1"), SECRET.as_bytes());
    site.write(&format!("logs/{LOG}/notes"), SECRET.as_bytes());
    site.write(&format!("logs/{LOG}/0.body"), SECRET.as_bytes());
    site.write("logs/EU.example_eu_1/checkpoint", SECRET.as_bytes());
    for path in [
        "/.hidden/checkpoint",
        "/eu.example_eu_1/.checkpoint",
        "/eu.example_eu_1/tile/0/.tmp-1",
        "/eu.example_eu_1/notes",
        "/eu.example_eu_1/0.body",
        "/EU.example_eu_1/checkpoint",
        "/eu.example_eu_1",
        "/eu.example_eu_1/",
        "/eu.example_eu_1/tile",
        "/eu.example_eu_1/tile/",
        "/eu.example_eu_1/tile/0/",
        "/eu.example_eu_1/tile/0/000.p",
        "/eu.example_eu_1/tile/0/000.p/",
        "/bodies/eu.example_eu_1/0/0.body",
        "/bodies",
        "/control.redb",
        "/rosters",
    ] {
        refused(&site, path);
    }
}

#[test]
fn symbolic_links_are_not_followed_wherever_they_lead() {
    let site = Site::plain();
    let log = site.data().join("logs").join(LOG);
    symlink(site.data().join("control.redb"), log.join("fork")).unwrap();
    symlink(site.data().join("bodies").join(LOG), log.join("tile/1")).unwrap();
    symlink(&log, site.data().join("logs/us.example_us_1")).unwrap();
    site.write(&format!("bodies/{LOG}/000"), SECRET.as_bytes());
    for path in [
        "/eu.example_eu_1/fork",
        "/eu.example_eu_1/tile/1/000",
        "/us.example_us_1/checkpoint",
    ] {
        refused(&site, path);
    }
    assert_eq!(site.get("/").text(), format!("{LOG}\n"));
}

#[test]
fn folder_or_oversized_file_in_the_place_of_a_file_is_not_served() {
    let site = Site::plain();
    site.write(&format!("logs/{LOG}/fork/x"), b"");
    refused(&site, "/eu.example_eu_1/fork");
    // One hash more than its width.
    site.write(&format!("logs/{LOG}/tile/0/000.p/2"), &[0; 3 * 32]);
    assert_eq!(site.get("/eu.example_eu_1/tile/0/000.p/2").status, 500);
}

fn kind(path: &str) -> Option<Kind> {
    match parse(path)? {
        Resource::File(item) => {
            assert_eq!(item.path().to_str(), path.strip_prefix('/'));
            Some(item.kind)
        }
        Resource::Logs | Resource::Rosters => None,
    }
}

#[test]
fn tile_has_one_path_and_its_width() {
    for (path, expected) in [
        ("/l/tile/0/000", Kind::Tile { width: 256 }),
        ("/l/tile/63/x001/x234/067", Kind::Tile { width: 256 }),
        ("/l/tile/0/x001/067.p/255", Kind::Tile { width: 255 }),
        ("/l/tile/entries/x001/000", Kind::Bundle { width: 256 }),
        ("/l/tile/entries/000.p/1", Kind::Bundle { width: 1 }),
    ] {
        assert_eq!(kind(path), Some(expected), "{path}");
    }
    for path in [
        "/l/tile/64/000",
        "/l/tile/00/000",
        "/l/tile/01/000",
        "/l/tile/-1/000",
        "/l/tile/+1/000",
        "/l/tile//000",
        "/l/tile/0",
        "/l/tile/0/0",
        "/l/tile/0/0000",
        "/l/tile/0/x000",
        "/l/tile/0/x000/001",
        "/l/tile/0/001/002",
        "/l/tile/0/x01/002",
        "/l/tile/0/x001",
        "/l/tile/0/000.p/0",
        "/l/tile/0/000.p/256",
        "/l/tile/0/000.p/01",
        "/l/tile/0/000.p/7/8",
        "/l/tile/0/000/7",
        "/l/tile/0/x001.p/067",
        "/l/tile/0/x001/x001/x001/x001/x001/x001/x001/001",
        "/l/tile/entries/0/000",
        "/l/tile/entry/000",
    ] {
        assert_eq!(kind(path), None, "{path}");
    }
}

#[test]
fn roster_is_asked_for_by_its_version_alone() {
    assert_eq!(kind("/rosters/1"), Some(Kind::Roster));
    for path in [
        "/rosters/0",
        "/rosters/01",
        "/rosters/1.",
        "/rosters/1/",
        "/rosters/18446744073709551616",
        "/rosters/checkpoint",
        "/rosters/tile/0/000",
    ] {
        assert_eq!(kind(path), None, "{path}");
    }
}
