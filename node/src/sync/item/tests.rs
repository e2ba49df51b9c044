use super::*;

/// An item of these fields.
fn map(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut e = minicbor::Encoder::new(Vec::new());
    e.map(fields.len() as u64).unwrap();
    for (name, value) in fields {
        e.str(name).unwrap();
        e.writer_mut().extend_from_slice(value);
    }
    e.into_writer()
}

fn text(text: &str) -> Vec<u8> {
    let mut e = minicbor::Encoder::new(Vec::new());
    e.str(text).unwrap();
    e.into_writer()
}

fn bytes(bytes: &[u8]) -> Vec<u8> {
    let mut e = minicbor::Encoder::new(Vec::new());
    e.bytes(bytes).unwrap();
    e.into_writer()
}

fn fault(item: &[u8]) -> ItemError {
    Item::read(item).err().unwrap()
}

#[test]
fn fields_that_are_missing_repeated_or_malformed_are_named() {
    let (kind, origin) = (text("delta"), text("eu.example/eu/1"));
    let header = bytes(b"header");
    let whole = [
        ("kind", &kind[..]),
        ("origin", &origin[..]),
        ("seq", &[7]),
        ("header", &header[..]),
        ("index", &[3]),
    ];
    let Item::Delta {
        seq, header, index, ..
    } = Item::read(&map(&whole)).unwrap()
    else {
        panic!("another kind");
    };
    assert_eq!((seq, &header[..], index), (Seq(7), &b"header"[..], 3));
    assert_eq!(
        fault(&map(&whole[..3])),
        ItemError::Field { field: "header" }
    );
    let twice = [&whole[..], &[("seq", &[8][..])]].concat();
    assert_eq!(fault(&map(&twice)), ItemError::Field { field: "seq" });
    let mut wrong = whole;
    wrong[2].1 = &[0x20];
    assert_eq!(fault(&map(&wrong)), ItemError::Field { field: "seq" });
}

#[test]
fn kind_that_is_not_known_is_refused_and_not_passed_over() {
    let kind = text("purge");
    assert_eq!(fault(&map(&[("kind", &kind)])), ItemError::Kind);
}

#[test]
fn cursor_that_could_reach_into_the_request_is_none() {
    for cursor in [
        "",
        "a&limit=1",
        "a b",
        "../x",
        "a\r\nHost: x",
        "é",
        &"a".repeat(513),
    ] {
        assert_eq!(Cursor::parse(cursor), None, "{cursor:?}");
    }
    assert!(Cursor::parse("Ab_-9").is_some());
    assert!(Cursor::parse(&"a".repeat(512)).is_some());
}

#[test]
fn path_longer_than_any_table_is_refused() {
    let step = bytes(&[0; 33]);
    let path = |n: u8| [vec![0x80 + n], step.repeat(usize::from(n))].concat();
    let item = |path: &[u8]| {
        let (kind, origin) = (text("retraction"), text("eu.example/eu/1"));
        let list = bytes(b"list");
        let fields = [
            ("kind", &kind[..]),
            ("origin", &origin),
            ("seq", &[0]),
            ("path", path),
        ];
        map(&[&fields[..], &[("list", &list[..])]].concat())
    };
    assert!(Item::read(&item(&path(11))).is_ok());
    for n in [12, 17] {
        assert_eq!(fault(&item(&path(n))), ItemError::Field { field: "path" });
    }
}

#[test]
fn lengths_are_told_without_believing_them() {
    // An array in an array, beyond the depth.
    assert_eq!(item_len(&[0x81; 10]), Err(ItemError::Form));
    // Four thousand million items.
    assert_eq!(
        item_len(&[0x9a, 0xff, 0xff, 0xff, 0xff]),
        Err(ItemError::TooLarge)
    );
    assert_eq!(
        item_len(&[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        Err(ItemError::TooLarge)
    );
    // Without an end, tagged, and a number with a point.
    for bytes in [&[0x9f, 0xff][..], &[0xc0, 0x00], &[0xf9, 0x00, 0x00]] {
        assert_eq!(item_len(bytes), Err(ItemError::Form), "{bytes:?}");
    }
    let whole = map(&[("kind", &text("at")), ("cursor", &text("c"))]);
    for end in 0..whole.len() {
        assert_eq!(item_len(&whole[..end]), Ok(None), "{end}");
    }
    let twice = whole.repeat(2);
    assert_eq!(item_len(&twice), Ok(Some(whole.len())));
}

#[test]
fn what_is_withdrawn_is_named_with_its_origin() {
    let (kind, origin) = (text("withdraw"), text("eu.example/eu/1"));
    let entry = bytes(&[5; 16]);
    let one = map(&[("origin", &origin), ("entry", &entry), ("rev", &[2])]);
    let list = [vec![0x81], one].concat();
    let item = Item::read(&map(&[("kind", &kind), ("entries", &list)])).unwrap();
    let Item::Withdraw(gone) = item else {
        panic!("another kind");
    };
    let expected = (
        "eu.example/eu/1".parse().unwrap(),
        EntryId([5; 16]),
        Revision(2),
    );
    assert_eq!(gone, [expected]);
}
