//! What a source may change: editions, names, withdrawals, and what was retracted.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::common::{List, Node, Said, text};
use crate::running;

fn count(answer: &Value, key: &str) -> Result<u64> {
    let value = answer["summary"][key].as_u64();
    value.with_context(|| format!("{key} of {answer}"))
}

fn counts<const N: usize>(answer: &Value, keys: [&str; N], expected: [u64; N]) -> Result<()> {
    for (key, expected) in keys.iter().zip(expected) {
        let got = count(answer, key)?;
        ensure!(
            got == expected,
            "{key}: {got}, expected {expected}: {answer}"
        );
    }
    Ok(())
}

/// The answer of an ingest that was taken, whatever it reported before.
fn taken(said: &Said, code: i32) -> Result<Value> {
    ensure!(
        said.code == code,
        "exit code {}, expected {code}: {said:?}",
        said.code
    );
    Ok(said.lines()?.1)
}

fn rows(list: &List, numbers: impl Iterator<Item = u64>) -> Vec<String> {
    numbers.map(|row| list.row(row)).collect()
}

/// Entry, revision and whether it is retracted, of the newest that is known of a hash.
fn known(node: &Node, sha256: &str) -> Result<Vec<(String, u64, bool)>> {
    let entries = node.lookup(sha256)?;
    let mut known = Vec::new();
    for entry in &entries {
        known.push((
            entry["entry"].as_str().context("no id")?.to_owned(),
            entry["revision"].as_u64().context("no revision")?,
            entry["retracted"] == json!(true),
        ));
    }
    known.sort_by_key(|(_, revision, _)| *revision);
    Ok(known)
}

#[test]
fn absence_from_an_edition_proposes_and_only_a_confirmed_number_retracts() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = running(folder.path())?;
    let list = List::write(folder.path(), "list", 300)?;
    let edition = |name: &str, more: &[&str]| {
        let args = [&["--edition", name], more].concat();
        node.ingest(&list, &args)
    };
    counts(
        &taken(&edition("1", &[])?, 0)?,
        ["accepted", "missing"],
        [300, 0],
    )?;

    // Two of 300: told, not done.
    list.rewrite(&rows(&list, 2..300))?;
    let said = edition("2", &[])?;
    let answer = taken(&said, 0)?;
    counts(&answer, ["unchanged", "missing", "withdrawn"], [298, 2, 0])?;
    let (lines, _) = said.lines()?;
    let entry = known(&node, &list.sha256(0))?.remove(0);
    ensure!(!entry.2 && lines.len() == 2, "{lines:?}");
    ensure!(
        lines
            .iter()
            .all(|line| line["code"] == "missing" && line["action"] == "retraction proposed")
    );
    ensure!(
        lines
            .iter()
            .any(|line| line["detail"] == format!("entry {}", entry.0))
    );
    // One confirmed, two missing: nothing.
    let said = edition("2", &["--confirm-missing", "1"])?;
    ensure!(
        said.code == 2 && !known(&node, &list.sha256(0))?[0].2,
        "{said:?}"
    );
    let answer = taken(&edition("2", &["--confirm-missing", "2"])?, 0)?;
    counts(&answer, ["missing", "withdrawn"], [2, 2])?;
    ensure!(known(&node, &list.sha256(0))?[0].2 && known(&node, &list.sha256(1))?[0].2);
    ensure!(!known(&node, &list.sha256(2))?[0].2);

    // More than one in a hundred stops the whole file, new rows too.
    list.rewrite(&rows(&list, 12..301))?;
    let said = edition("3", &[])?;
    let (_, last) = said.lines()?;
    ensure!(
        said.code == 2 && last["detail"]["stopped"] == "too_many_missing",
        "{said:?}"
    );
    ensure!(
        last["error"]
            .as_str()
            .is_some_and(|error| error.contains("10 of 298")),
        "{last}"
    );
    ensure!(
        node.lookup(&list.sha256(300))?.is_empty(),
        "a row of a stopped file was taken"
    );
    let answer = taken(&edition("3", &["--confirm-missing", "10"])?, 0)?;
    counts(&answer, ["accepted", "missing", "withdrawn"], [1, 10, 10])?;

    // An older edition would bring back what went since.
    edition("2", &[])?.refuses(2, &["out_of_order", "before 3"])?;
    counts(
        &taken(&edition("3", &[])?, 0)?,
        ["unchanged", "missing"],
        [289, 0],
    )?;
    Ok(())
}

#[test]
fn an_edition_that_says_something_new_of_an_entry_raises_its_revision() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = running(folder.path())?;
    let list = List::write(folder.path(), "list", 5)?;
    taken(&node.ingest(&list, &["--edition", "1"])?, 0)?;
    let before = known(&node, &list.sha256(0))?;
    let changed = list.row(0).replace("image", "video");
    let mut lines = rows(&list, 1..5);
    lines.push(changed);
    list.rewrite(&lines)?;
    // Without an edition a row does not change what stands.
    counts(
        &taken(&node.ingest(&list, &[])?, 1)?,
        ["updated", "refused"],
        [0, 1],
    )?;
    let answer = taken(&node.ingest(&list, &["--edition", "2"])?, 0)?;
    counts(&answer, ["updated", "unchanged", "missing"], [1, 4, 0])?;
    let after = known(&node, &list.sha256(0))?;
    let expected = [
        (before[0].0.clone(), 1, true),
        (before[0].0.clone(), 2, false),
    ];
    ensure!(after == expected, "{after:?}");
    counts(
        &taken(&node.ingest(&list, &["--edition", "2"])?, 0)?,
        ["updated", "unchanged"],
        [0, 5],
    )?;
    Ok(())
}

#[test]
fn a_source_does_not_change_or_miss_entries_of_another() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = running(folder.path())?;
    let list = List::write(folder.path(), "list", 4)?;
    taken(&node.ingest(&list, &["--edition", "1"])?, 0)?;
    let other = folder.path().join("other.toml");
    let profile = fs::read_to_string(&list.profile)?;
    fs::write(
        &other,
        profile.replace("issuer = \"synthetic\"", "issuer = \"another\""),
    )?;
    let file = text(&list.file);
    let ingest = |edition| {
        node.run(&[
            "ingest",
            &file,
            "--profile",
            &text(&other),
            "--edition",
            edition,
        ])
    };
    // The same hashes with another label are in conflict, and none of the first source's is missing.
    let answer = taken(&ingest("1")?, 1)?;
    counts(&answer, ["updated", "refused", "missing"], [0, 4, 0])?;
    list.rewrite(&rows(&list, 10..11))?;
    counts(&taken(&ingest("2")?, 0)?, ["accepted", "missing"], [1, 0])?;
    ensure!(!known(&node, &list.sha256(0))?[0].2);
    Ok(())
}

#[test]
fn what_was_retracted_comes_back_only_by_the_operators_word_under_a_higher_revision() -> Result<()>
{
    let folder = tempfile::tempdir()?;
    let (node, _network) = running(folder.path())?;
    let list = List::write(folder.path(), "list", 3)?;
    taken(&node.ingest(&list, &[])?, 0)?;
    let entry = known(&node, &list.sha256(1))?.remove(0).0;
    node.run(&["retract", &entry])?.ends(0)?;
    for args in [&[][..], &["--edition", "1"]] {
        let answer = taken(&node.ingest(&list, args)?, 1)?;
        counts(&answer, ["retracted", "accepted", "reissued"], [1, 0, 0])?;
    }
    ensure!(known(&node, &list.sha256(1))? == [(entry.clone(), 1, true)]);
    let answer = taken(&node.ingest(&list, &["--reissue"])?, 0)?;
    counts(&answer, ["reissued", "unchanged", "retracted"], [1, 2, 0])?;
    let expected = [(entry.clone(), 1, true), (entry.clone(), 2, false)];
    ensure!(known(&node, &list.sha256(1))? == expected);
    // Once more, with other content: the third revision, of the same entry.
    node.run(&["retract", &entry])?.ends(0)?;
    list.rewrite(&[list.row(1).replace("video", "text")])?;
    taken(&node.ingest(&list, &["--reissue"])?, 0)?;
    let after = known(&node, &list.sha256(1))?;
    ensure!(after.last() == Some(&(entry, 3, false)), "{after:?}");
    Ok(())
}

/// An example profile of a format, in the folder.
fn example(folder: &Path, format: &str) -> Result<String> {
    let path = folder.join(format!("{format}.toml"));
    fs::write(
        &path,
        hashpact_node::ingest::example(format).context("no example")?,
    )?;
    Ok(text(&path))
}

fn sha1(n: u8) -> String {
    let digest = <sha2::Sha256 as sha2::Digest>::digest([n]);
    hex::encode(&digest[..20])
}

fn page(elements: &[String]) -> String {
    let elements = elements.concat();
    format!(
        "<queryResult xmlns=\"https://hashsharing.ncmec.org/hashsharing/v2\"><images count=\"1\">{elements}</images></queryResult>"
    )
}

fn image(id: &str, label: &str, hash: u8) -> String {
    format!(
        "<image><member id=\"41\">C</member><timestamp>2026-03-01T08:15:42Z</timestamp><id>{id}</id><classification>{label}</classification><fingerprints><sha1>{}</sha1></fingerprints></image>",
        sha1(hash)
    )
}

fn deleted(id: &str) -> String {
    format!(
        "<deletedImage><member id=\"41\">C</member><id>{id}</id><timestamp>2026-03-01T08:15:42Z</timestamp></deletedImage>"
    )
}

fn known_sha1(node: &Node, hash: u8) -> Result<Vec<(u64, bool)>> {
    let said = node.run(&["lookup", &format!("sha1:{}", sha1(hash))])?;
    let json = said.json()?;
    let entries = json["entries"].as_array().context("no entries")?;
    let mut known: Vec<(u64, bool)> = entries
        .iter()
        .map(|entry| {
            (
                entry["revision"].as_u64().unwrap_or(0),
                entry["retracted"] == json!(true),
            )
        })
        .collect();
    known.sort_unstable();
    Ok(known)
}

#[test]
fn a_named_thing_is_replaced_by_a_later_statement_and_taken_back_by_its_name() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = running(folder.path())?;
    let profile = example(folder.path(), "ncmec")?;
    let file = folder.path().join("page.xml");
    let ingest = |elements: &[String], more: &[&str], code| -> Result<Value> {
        fs::write(&file, page(elements))?;
        let path = text(&file);
        let args = [&["ingest", &path, "--profile", &profile], more].concat();
        taken(&node.run(&args)?, code)
    };
    let first = [
        image("a", "A1", 1),
        image("b", "A2", 2),
        image("c", "A1", 2),
    ];
    // Two members' things may have one hash: each stands by itself.
    counts(&ingest(&first, &[], 0)?, ["accepted"], [3])?;
    counts(&ingest(&first, &[], 0)?, ["accepted", "unchanged"], [0, 3])?;
    // Another hash and another label under the same name; within one page the last statement counts.
    let second = [image("a", "B1", 1), image("a", "B1", 3), deleted("b")];
    counts(
        &ingest(&second, &[], 0)?,
        ["updated", "unchanged", "removed", "withdrawn"],
        [1, 1, 1, 1],
    )?;
    ensure!(known_sha1(&node, 1)? == [(1, true)] && known_sha1(&node, 3)? == [(2, false)]);
    ensure!(
        known_sha1(&node, 2)? == [(1, false), (1, true)],
        "{:?}",
        known_sha1(&node, 2)?
    );
    // What was taken back and what never was there: nothing to do. Brought back: only by the operator's word.
    counts(
        &ingest(&[deleted("b"), deleted("z")], &[], 0)?,
        ["unchanged", "removed"],
        [2, 0],
    )?;
    counts(
        &ingest(&[image("b", "A2", 2)], &[], 1)?,
        ["retracted", "accepted"],
        [1, 0],
    )?;
    counts(
        &ingest(&[image("b", "A2", 2)], &["--reissue"], 0)?,
        ["reissued"],
        [1],
    )?;
    // A hash that was retracted and stands nowhere does not come back under another name.
    ingest(&[deleted("a")], &[], 0)?;
    counts(
        &ingest(&[image("new", "A1", 3)], &[], 1)?,
        ["retracted", "accepted"],
        [1, 0],
    )?;
    Ok(())
}

#[test]
fn withdrawn_and_deleted_retract_and_the_cursor_never_goes_back_between_files() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = running(folder.path())?;
    let profile = example(folder.path(), "stopncii")?;
    let file = folder.path().join("reply.json");
    let md5 = |n: u8| sha1(n)[..32].to_owned();
    let ingest = |next: i64, records: &[(u8, &str)]| -> Result<Said> {
        let records: Vec<Value> = records
            .iter()
            .map(|(n, status)| json!({ "lastModtimestamp": 1, "signalType": "VideoMD5", "hashValue": md5(*n), "hashStatus": status, "caseNumbers": {} }))
            .collect();
        let reply =
            json!({ "count": records.len(), "nextSetTimestamp": next, "hashRecords": records });
        fs::write(&file, reply.to_string())?;
        node.run(&["ingest", &text(&file), "--profile", &profile])
    };
    counts(
        &taken(
            &ingest(10, &[(1, "Active"), (2, "Active"), (3, "Received")])?,
            0,
        )?,
        ["accepted"],
        [3],
    )?;
    let answer = taken(
        &ingest(
            20,
            &[
                (1, "Withdrawn"),
                (2, "Deleted"),
                (3, "Active"),
                (9, "Deleted"),
            ],
        )?,
        0,
    )?;
    counts(
        &answer,
        ["removed", "withdrawn", "updated", "unchanged"],
        [2, 2, 1, 1],
    )?;
    for (n, gone) in [(1, true), (2, true), (3, false)] {
        let said = node.run(&["lookup", &format!("md5:{}", md5(n))])?;
        ensure!(said.code == i32::from(gone), "{n}: {said:?}");
    }
    ingest(19, &[(1, "Active")])?.refuses(2, &["out_of_order", "20"])?;
    counts(
        &taken(&ingest(20, &[(1, "Active")])?, 1)?,
        ["retracted", "accepted"],
        [1, 0],
    )?;
    Ok(())
}

#[test]
fn remove_takes_back_what_the_same_source_listed_and_nothing_else() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = running(folder.path())?;
    let profile = example(folder.path(), "iwf")?;
    let other = folder.path().join("other.toml");
    fs::write(
        &other,
        fs::read_to_string(&profile)?.replace("issuer = \"iwf\"", "issuer = \"other\""),
    )?;
    let file = folder.path().join("list.csv");
    let ingest = |rows: &[(u8, &str, &str)], profile: &str, code| -> Result<Value> {
        let rows: Vec<String> = rows
            .iter()
            .map(|(n, category, action)| format!(",{},,,{category},,image,{action}", sha1(*n)))
            .collect();
        let head = "md5,sha1,sha256,photodna,category,age_band,media_kind,action";
        fs::write(&file, format!("{head}\n{}\n", rows.join("\n")))?;
        taken(
            &node.run(&["ingest", &text(&file), "--profile", profile])?,
            code,
        )
    };
    counts(
        &ingest(&[(1, "A", "add"), (2, "B", "add")], &profile, 0)?,
        ["accepted"],
        [2],
    )?;
    let foreign = ingest(&[(1, "", "remove")], &text(&other), 0)?;
    counts(&foreign, ["removed", "unchanged"], [0, 1])?;
    let answer = ingest(
        &[(1, "", "remove"), (2, "C", "add"), (7, "", "remove")],
        &profile,
        0,
    )?;
    counts(
        &answer,
        ["removed", "updated", "unchanged", "withdrawn"],
        [1, 1, 1, 1],
    )?;
    ensure!(
        known_sha1(&node, 1)? == [(1, true)] && known_sha1(&node, 2)? == [(1, true), (2, false)]
    );
    // Added and removed in one file: the last word counts.
    counts(
        &ingest(&[(5, "A", "add"), (5, "", "remove")], &profile, 0)?,
        ["accepted", "unchanged"],
        [0, 2],
    )?;
    Ok(())
}

#[test]
fn a_new_crosswalk_derives_again_from_the_label_and_an_older_one_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = running(folder.path())?;
    let list = List::write(folder.path(), "list", 4)?;
    let profile = fs::read_to_string(&list.profile)?;
    let profile = profile.replace("value = \"made\"", "value = \"made\"\ncrosswalk = true");
    let profile = profile.replace(
        "content_class = \"unknown\"",
        "content_class = \"crosswalk\"",
    );
    fs::write(&list.profile, profile)?;
    let walk = |version: u32, class: &str| -> Result<String> {
        let path = folder.path().join(format!("walk-{version}.toml"));
        fs::write(
            &path,
            format!(
                "scheme = \"synthetic\"\nversion = {version}\nsource = \"a test\"\nvalid_from = \"2026-01-01\"\ngoverns = [\"content_class\"]\n[[row]]\nvalue = \"made\"\nmark = \"L\"\nsets = {{ content_class = \"{class}\" }}\n"
            ),
        )?;
        Ok(text(&path))
    };
    let (old, new) = (walk(1, "csam")?, walk(2, "related_harmful")?);
    node.ingest(&list, &[])?.refuses(2, &["--crosswalk"])?;
    let with = |walk: &str, edition: &str| {
        node.ingest(&list, &["--crosswalk", walk, "--edition", edition])
    };
    counts(
        &taken(&with(&old, "1")?, 0)?,
        ["accepted", "unmapped"],
        [4, 0],
    )?;
    counts(&taken(&with(&old, "1")?, 0)?, ["unchanged"], [4])?;
    counts(
        &taken(&with(&new, "1")?, 0)?,
        ["updated", "unchanged"],
        [4, 0],
    )?;
    ensure!(known(&node, &list.sha256(0))?.len() == 2);
    with(&old, "1")?.refuses(2, &["version 2 was used"])?;
    Ok(())
}

#[test]
fn a_hash_of_a_warninglist_is_refused_and_the_list_is_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = running(folder.path())?;
    let list = List::write(folder.path(), "list", 4)?;
    let guards = node.home.path().join("data").join("guards");
    fs::create_dir_all(&guards)?;
    let guard =
        json!({ "name": "a warninglist", "version": 7, "type": "string", "list": [list.md5(1)] });
    fs::write(guards.join("list.json"), guard.to_string())?;
    let (lines, answer) = node.ingest(&list, &[])?.lines()?;
    counts(&answer, ["accepted", "refused"], [3, 1])?;
    ensure!(
        lines[0]["code"] == "guarded" && lines[0]["row"] == 2,
        "{lines:?}"
    );
    ensure!(
        lines[0]["detail"] == "guarded value: a warninglist, version 7",
        "{lines:?}"
    );
    fs::write(guards.join("list.json"), "{}")?;
    node.ingest(&list, &[])?
        .refuses(2, &["guards", "list.json"])?;
    Ok(())
}

#[test]
fn a_retracted_fingerprint_does_not_come_back_under_a_new_name_beside_one_in_force() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = running(folder.path())?;
    let profile = example(folder.path(), "ncmec")?;
    let file = folder.path().join("page.xml");
    let ingest = |elements: &[String], more: &[&str], code| -> Result<Value> {
        fs::write(&file, page(elements))?;
        let path = text(&file);
        let args = [&["ingest", &path, "--profile", &profile], more].concat();
        taken(&node.run(&args)?, code)
    };
    let with_md5 = |id: &str, hash| {
        let md5 = format!("<md5>{}</md5><sha1>", &sha1(77)[..32]);
        image(id, "A1", hash).replace("<sha1>", &md5)
    };
    let first = [with_md5("a", 1), image("b", "A1", 2)];
    counts(&ingest(&first, &[], 0)?, ["accepted"], [2])?;
    counts(&ingest(&[deleted("a")], &[], 0)?, ["withdrawn"], [1])?;
    // The md5 was retracted; the sha1 is in force under another name.
    let back = [with_md5("c", 2)];
    counts(&ingest(&back, &[], 1)?, ["retracted", "accepted"], [1, 0])?;
    ensure!(known_sha1(&node, 2)? == [(1, false)]);
    // A new name of what is in force alone is taken, and the other one by the operator's word.
    let plain = [image("d", "A1", 2)];
    counts(&ingest(&plain, &[], 0)?, ["accepted"], [1])?;
    counts(&ingest(&back, &["--reissue"], 0)?, ["accepted"], [1])
}

#[test]
fn a_bad_cell_beside_a_good_hash_does_not_make_the_entry_missing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (node, _network) = running(folder.path())?;
    let list = List::write(folder.path(), "list", 300)?;
    taken(&node.ingest(&list, &["--edition", "1"])?, 0)?;
    // A kind that nobody knows, and a bad md5 before a good sha256; the last row is missing indeed.
    let mut lines = rows(&list, 0..299);
    lines[0] = lines[0].replace("image", "imgae");
    lines[1].replace_range(..1, "x");
    list.rewrite(&lines)?;
    let said = node.ingest(&list, &["--edition", "2", "--confirm-missing", "9"])?;
    let answer = taken(&said, 1)?;
    counts(&answer, ["refused", "missing", "withdrawn"], [2, 1, 1])?;
    ensure!(!known(&node, &list.sha256(0))?[0].2 && !known(&node, &list.sha256(1))?[0].2);
    ensure!(known(&node, &list.sha256(299))?[0].2);
    // A row of which nothing can be read may be any that seems missing.
    lines[2] = "x,y,image".to_owned();
    list.rewrite(&lines)?;
    let said = node.ingest(&list, &["--edition", "3", "--confirm-missing", "9"])?;
    ensure!(
        said.code == 2 && !known(&node, &list.sha256(2))?[0].2,
        "{said:?}"
    );
    Ok(())
}
