//! What other programs are given.

use hashpact_protocol::fingerprint::{Algorithm, Fingerprint};
use hashpact_protocol::record::{DisabledReason, Print};

use super::world::*;
use super::*;
use crate::sync::export::{ExportError, Format, SignalType, export};

/// A synchronised folder of three entries: the first with a PDQ too, the second with a value that is switched off.
fn synced() -> (World, Server, tempfile::TempDir, Vec<Record>) {
    let (world, dir) = (World::new(), folder());
    let mut list = records(0..3);
    let pdq = Fingerprint::new(Algorithm::Pdq, &[0xA5; 32]).unwrap();
    let mut pdq = Print::plain(pdq);
    pdq.quality = Some(80);
    list[0].fields.prints.push(pdq);
    list[1].fields.prints[1].disabled = Some(DisabledReason::Collision);
    let items = [world.delta(0, &list, &[]).items(&world), end("A", false)].concat();
    let server = Server::start(&world, &world.manifest(1, 3), items);
    pass(&world, &server, dir.path()).unwrap();
    (world, server, dir, list)
}

fn now() -> hashpact_keys::Timestamp {
    hashpact_keys::Timestamp::new(NOW)
}

fn value(record: &Record, n: usize) -> String {
    let print = &record.fields.prints[n].value;
    let hashpact_protocol::record::PrintValue::Inline(value) = print else {
        panic!("apart");
    };
    hex::encode(value.bytes())
}

#[test]
fn csv_has_a_row_for_each_value_that_may_be_matched() {
    let (_world, _server, dir, list) = synced();
    let out = dir.path().join("list.csv");
    let exported = export(dir.path(), Format::Csv, &[], &out, now()).unwrap();
    assert_eq!((exported.entries, exported.values), (3, 6));
    let mut reader = csv::Reader::from_path(&out).unwrap();
    let head = reader.headers().unwrap().clone();
    let column = |name: &str| head.iter().position(|head| head == name).unwrap();
    let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 6);
    let mut values: Vec<_> = rows
        .iter()
        .map(|row| row[column("value")].to_owned())
        .collect();
    values.sort();
    let mut expected = vec![
        value(&list[0], 0),
        value(&list[0], 1),
        value(&list[0], 2),
        value(&list[1], 0),
        value(&list[2], 0),
        value(&list[2], 1),
    ];
    expected.sort();
    assert_eq!(values, expected);
    let pdq = rows
        .iter()
        .find(|row| &row[column("algorithm")] == "pdq")
        .unwrap();
    assert_eq!(&pdq[column("quality")], "80");
    assert_eq!(pdq[column("entry")], list[0].entry.to_string());
    assert_eq!(&pdq[column("origin")], "eu.example/eu/1");
}

#[test]
fn local_file_is_what_threatexchange_reads_and_nothing_else() {
    let (_world, _server, dir, list) = synced();
    let out = dir.path().join("list.txt");
    export(dir.path(), Format::LocalFile, &[], &out, now()).unwrap();
    let text = std::fs::read_to_string(&out).unwrap();
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    let md5 = |n: usize| format!("video_md5 {}", value(&list[n], 0));
    let sha256 = |n: usize| format!("video_sha256 {}", value(&list[n], 1));
    let mut expected = vec![
        format!("pdq {}", "a5".repeat(32)),
        md5(0),
        md5(1),
        md5(2),
        sha256(0),
        sha256(2),
    ];
    expected.sort_unstable();
    assert_eq!(lines, expected);
    assert_eq!(text, text.to_lowercase());
    export(
        dir.path(),
        Format::LocalFile,
        &[SignalType::Pdq],
        &out,
        now(),
    )
    .unwrap();
    let text = std::fs::read_to_string(&out).unwrap();
    assert_eq!(text, format!("pdq {}\n", "a5".repeat(32)));
    let mode = std::os::unix::fs::PermissionsExt::mode(&out.metadata().unwrap().permissions());
    assert_eq!(mode & 0o077, 0);
}

#[test]
fn index_that_is_exported_is_the_one_in_force() {
    let (_world, _server, dir, _list) = synced();
    let out = dir.path().join("other.idx");
    export(dir.path(), Format::Index, &[], &out, now()).unwrap();
    let read = |path: &Path| std::fs::read(path).unwrap();
    assert_eq!(read(&out), read(&dir.path().join(FILE_NAME)));
    let mode = std::os::unix::fs::PermissionsExt::mode(&out.metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let beside = std::fs::read_dir(dir.path()).unwrap();
    let names = beside.map(|item| item.unwrap().file_name());
    assert!(
        !names
            .into_iter()
            .any(|name| name.to_string_lossy().contains("partial"))
    );
}

#[test]
fn folder_that_others_could_read_is_closed_before_a_list_is_in_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let (world, dir) = (World::new(), folder());
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let items = [
        world.delta(0, &records(0..4), &[]).items(&world),
        end("A", false),
    ]
    .concat();
    let server = Server::start(&world, &world.manifest(1, 4), items);
    pass(&world, &server, dir.path()).unwrap();
    assert_eq!(
        dir.path().metadata().unwrap().permissions().mode() & 0o777,
        0o700
    );
}

#[test]
fn list_that_nobody_confirmed_for_a_week_is_not_handed_on_although_its_index_lies_there() {
    let (_world, _server, dir, _list) = synced();
    let week = hashpact_keys::Timestamp::new(NOW + crate::sync::folder::GOOD_FOR_S);
    assert!(usable(dir.path(), week).is_ok());
    let later = hashpact_keys::Timestamp::new(week.get() + 1);
    let error = usable(dir.path(), later).unwrap_err();
    assert!(
        matches!(error, FolderError::NotInForce(Standing::Unheard)),
        "{error}"
    );
    let out = dir.path().join("late");
    export(dir.path(), Format::Csv, &[], &out, later).unwrap_err();
    assert!(!out.exists());
}

#[test]
fn list_whose_grant_lapsed_is_not_exported() {
    let (world, server, dir, _list) = synced();
    server.says().status = Some((403, "unpublished"));
    refused(&world, &server, dir.path());
    for format in [Format::Csv, Format::LocalFile, Format::Index] {
        let out = dir.path().join("late");
        let error = export(dir.path(), format, &[], &out, now()).unwrap_err();
        let lapsed = FolderError::NotInForce(Standing::Lapsed);
        assert_eq!(error.to_string(), ExportError::Folder(lapsed).to_string());
        assert!(!out.exists());
    }
}
