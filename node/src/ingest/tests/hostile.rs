//! Lists that are made to exhaust whoever reads them.

use std::io::Read;

use super::*;

/// A head, then the same piece for ever, counted.
struct Endless {
    head: Vec<u8>,
    piece: Vec<u8>,
    given: u64,
}

impl Endless {
    fn new(head: &str, piece: &str) -> Self {
        Self {
            head: head.into(),
            piece: piece.into(),
            given: 0,
        }
    }
}

impl Read for Endless {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        for byte in out.iter_mut() {
            let at = usize::try_from(self.given).unwrap();
            *byte = match self.head.get(at) {
                Some(byte) => *byte,
                None => self.piece[(at - self.head.len()) % self.piece.len()],
            };
            self.given += 1;
        }
        Ok(out.len())
    }
}

/// The code that ends it, and how many bytes were read until then.
fn read(mut list: Endless, profile: &str, bytes_max: u64) -> (Code, u64) {
    let profile = Profile::from_toml(profile, "p").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let staging = folder.path().join("staging");
    let (key, own) = (index_key(), "CA".parse().unwrap());
    let mut context = StageContext::new(&key, &staging, "endless", &own);
    context.file_bytes_max = bytes_max;
    let staged = stage(&mut list, &profile, &context, &mut |_| {}, &mut |_| {});
    let Err(IngestError::File { fault, .. }) = staged else {
        panic!("an endless file was taken");
    };
    assert!(!staging.exists());
    (fault.code, list.given)
}

const VICS: &str =
    r#"{"odata.metadata":"http://github.com/ICMEC/ProjectVic/DataModels/1.3.xml#Media","value":["#;
/// A record, its bytes ahead of where they are needed, and a chunk: as far as anything may be read for one row.
const AHEAD: u64 = (1 << 20) + (256 << 10);

#[test]
fn json_text_that_never_ends_is_read_no_further_than_one_record() {
    for (head, profile) in [
        (format!(r#"{VICS}{{"MD5":""#), "vics"),
        (format!(r#"{VICS}{{"x":"\u00"#), "vics"),
        (r#"{"x":""#.to_owned(), "vics"),
        (r#"{""#.to_owned(), "vics"),
        (r#"{"hashRecords":[{"hashValue":""#.to_owned(), "stopncii"),
    ] {
        let (code, given) = read(
            Endless::new(&head, "ab "),
            example(profile).unwrap(),
            u64::MAX,
        );
        assert!(matches!(code, Code::TooLarge), "{code}");
        assert!(given < AHEAD, "{given}");
    }
    let (code, given) = read(Endless::new("{", " "), example("vics").unwrap(), u64::MAX);
    assert!(code == Code::TooLarge && given < AHEAD, "{code} {given}");
}

#[test]
fn json_that_nests_for_ever_ends_at_its_depth() {
    for (head, piece) in [(VICS, "["), (VICS, r#"{"a":"#), (r#"{"x":"#, "[")] {
        let (code, given) = read(
            Endless::new(head, piece),
            example("vics").unwrap(),
            u64::MAX,
        );
        assert!(
            code == Code::BadHeader && given <= 128 << 10,
            "{code} {given}"
        );
    }
}

#[test]
fn records_that_never_end_stop_at_the_size_of_a_file_in_constant_memory() {
    let record = format!(r#"{{"MD5":"{}"}},"#, hash(1, 16));
    let (code, given) = read(
        Endless::new(VICS, &record),
        example("vics").unwrap(),
        8 << 20,
    );
    assert!(
        code == Code::TooLarge && given < (8 << 20) + (128 << 10),
        "{code} {given}"
    );
}

#[test]
fn xml_that_never_ends_is_read_no_further_than_one_entry() {
    let head = "<queryResult><images>";
    for (head, piece) in [
        (format!("{head}<image><id>"), "ab "),
        (format!("{head}<image a=\""), "ab "),
        (format!("{head}<!--"), "ab "),
        (format!("{head}<image>"), "<id>a</id>"),
        ("<?xml ".to_owned(), "a"),
        ("<queryResult><".to_owned(), "a"),
    ] {
        let (code, given) = read(
            Endless::new(&head, piece),
            example("ncmec").unwrap(),
            u64::MAX,
        );
        assert!(
            matches!(code, Code::TooLarge | Code::MediaContent),
            "{code}: {head}"
        );
        assert!(given < AHEAD, "{given}");
    }
    let (code, given) = read(
        Endless::new(head, "<a>"),
        example("ncmec").unwrap(),
        u64::MAX,
    );
    assert!(
        code == Code::BadHeader && given <= 128 << 10,
        "{code} {given}"
    );
}

#[test]
fn a_line_or_a_header_that_never_ends_is_read_no_further_than_one_row() {
    for (head, profile) in [("pdq ", "local_file"), ("md5,", "iwf"), ("MD5;\"", "icse")] {
        let (code, given) = read(
            Endless::new(head, "ab "),
            example(profile).unwrap(),
            u64::MAX,
        );
        assert!(
            matches!(code, Code::TooLarge | Code::MediaContent),
            "{code}"
        );
        assert!(given < 512 << 10, "{given}");
    }
}
