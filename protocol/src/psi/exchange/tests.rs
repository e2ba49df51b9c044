use super::*;
use proptest::prelude::*;

fn asks() -> Vec<Ask> {
    vec![
        Ask::Manifest,
        Ask::Segment(SegmentAsk {
            epoch: Epoch(7),
            group: GroupId(2),
            kind: 3,
            mode: MatchMode::Labels,
            segment: [9; 32],
            labels: true,
            from_chunk: 4,
        }),
        Ask::Open(OpenAsk {
            session: SessionId([1; 16]),
            mode: MatchMode::Count,
            kind: 1,
            purpose: Purpose::Detect,
            items: 1_000,
            epoch: Epoch(7),
            resume_at: 0,
        }),
        Ask::Batch(Batch {
            first: 4_096,
            points: Points(vec![[3; 32], [4; 32]]),
        }),
        Ask::Finish { query: [8; 32] },
    ]
}

fn row() -> SegmentRow {
    SegmentRow {
        number: 1,
        added: 20,
        removed: 2,
        bytes: 140,
        chunks: 2,
        root: [6; 32],
        label_root: None,
    }
}

fn opened() -> Opened {
    Opened {
        groups: vec![GroupId(0), GroupId(3)],
        used: 12,
        per_day: 1_000_000,
        session_key: Some([2; 32]),
        next: 0,
    }
}

fn answers() -> Vec<Answer> {
    let points = Points(vec![[3; 32]; limits::MATCH_BATCH]);
    let index = 0;
    vec![
        Answer::Manifest {
            manifest: vec![1; limits::MANIFEST_BYTES],
            proof: vec![2; limits::MATCH_PROOF_BYTES],
            index: 77,
        },
        Answer::Chunk(Chunk {
            index,
            bytes: vec![3; limits::MATCH_CHUNK_BYTES],
        }),
        Answer::End,
        Answer::Opened(opened()),
        Answer::Refused {
            code: RefusalCode::OverQuota,
            text: "the quota of the day is used up".to_owned(),
        },
        Answer::Evaluated {
            first: 1,
            group: GroupId(4),
            points: points.clone(),
            proof: [5; 64],
        },
        Answer::Shuffled { first: 0, points },
        Answer::Artifact(row()),
        Answer::Closed { record: vec![1; 9] },
    ]
}

#[test]
fn every_message_round_trips_and_the_largest_fit_a_frame() {
    for ask in asks() {
        assert_eq!(Ask::from_bytes(&ask.to_bytes()), Ok(ask));
    }
    for answer in answers() {
        let bytes = answer.to_bytes();
        assert!(bytes.len() <= limits::MATCH_FRAME_BYTES, "{answer:?}");
        assert_eq!(Answer::from_bytes(&bytes), Ok(answer));
    }
}

#[test]
fn frame_has_its_length_before_it() {
    let framed = frame(&Ask::Manifest.to_bytes());
    assert_eq!(framed, [0, 0, 0, 2, 0x81, 1]);
    let (prefix, rest) = framed.split_first_chunk().unwrap();
    assert_eq!(frame_length(*prefix), Ok(rest.len()));
}

#[test]
fn oversized_frame_is_refused_before_it_is_read() {
    let max = u32::try_from(limits::MATCH_FRAME_BYTES).unwrap();
    assert_eq!(frame_length(max.to_be_bytes()), Ok(160 * 1024));
    let got = u64::from(max) + 1;
    let refused = Err(ExchangeError::TooLarge { got });
    assert_eq!(frame_length((max + 1).to_be_bytes()), refused);
    let bytes = vec![0; limits::MATCH_FRAME_BYTES + 1];
    let refused = ExchangeError::TooLarge { got };
    assert_eq!(Ask::from_bytes(&bytes), Err(refused.clone()));
    assert_eq!(Answer::from_bytes(&bytes), Err(refused));
}

#[test]
fn truncated_batch_is_refused() {
    let batch = |points: &[u8]| encode(|e| e.array(3)?.u8(4)?.u64(0)?.bytes(points)?.ok());
    for got in [1, 31, 33, 63] {
        let cut = ExchangeError::CutPoints { got };
        assert_eq!(Ask::from_bytes(&batch(&vec![1; got])), Err(cut));
    }
    let expected = "a batch of 1 to 4,096 points";
    let sizes = ExchangeError::Value { expected };
    assert_eq!(Ask::from_bytes(&batch(&[])), Err(sizes.clone()));
    let over = vec![1; 32 * (limits::MATCH_BATCH + 1)];
    assert_eq!(Ask::from_bytes(&batch(&over)), Err(sizes));
    let whole = batch(&[1; 64]);
    assert!(matches!(
        Ask::from_bytes(&whole[..whole.len() - 1]),
        Err(ExchangeError::Read(ReadError::Canonical(_)))
    ));
}

#[test]
fn unknown_kinds_values_and_wrong_numbers_of_fields_are_refused() {
    let ask = |bytes: &[u8]| Ask::from_bytes(bytes).unwrap_err();
    assert_eq!(ask(&[0x81, 6]), ExchangeError::Kind { got: 6 });
    let kind = Err(ExchangeError::Kind { got: 10 });
    assert_eq!(Answer::from_bytes(&[0x81, 10]), kind);
    assert_eq!(ask(&[0x82, 1, 1]), parts_error());
    assert_eq!(Answer::from_bytes(&[0x82, 3, 1]), Err(parts_error()));
    let value = |expected| Err(ExchangeError::Value { expected });
    let text = |text: &str, code| encode(|e| e.array(3)?.u8(5)?.u8(code)?.str(text)?.ok());
    let plain = "a short line of text";
    assert_eq!(Answer::from_bytes(&text("\x1b[2J", 3)), value(plain));
    assert_eq!(Answer::from_bytes(&text(&"a".repeat(257), 3)), value(plain));
    assert_eq!(Answer::from_bytes(&text("", 15)), value("a known refusal"));
    let mut unknown = asks()[2].to_bytes();
    // The mode stands behind the session's 16 bytes.
    assert_eq!(unknown[19], 2);
    unknown[19] = 3;
    let value = |expected| ExchangeError::Value { expected };
    assert_eq!(ask(&unknown), value("a mode of matching"));
    unknown[19] = 2;
    unknown[20] = 9;
    assert_eq!(ask(&unknown), value("a known fingerprint type"));
}

#[test]
fn groups_that_are_repeated_or_none_are_refused() {
    for groups in [
        vec![],
        vec![GroupId(1), GroupId(1)],
        vec![GroupId(2), GroupId(1)],
    ] {
        let opened = Opened { groups, ..opened() };
        let expected = "groups, ascending";
        assert_eq!(
            Answer::from_bytes(&Answer::Opened(opened).to_bytes()),
            Err(ExchangeError::Value { expected })
        );
    }
}

#[test]
fn row_of_a_count_that_no_segment_can_have_is_refused() {
    let change = |change: fn(&mut SegmentRow)| {
        let mut row = row();
        change(&mut row);
        Answer::from_bytes(&Answer::Artifact(row).to_bytes())
    };
    let expected = "a segment of tags in chunks that hold them";
    let refused = Err(ExchangeError::Value { expected });
    assert_eq!(change(|row| row.chunks = 0), refused);
    assert_eq!(change(|row| row.chunks = 23), refused);
    assert_eq!(change(|row| row.bytes = 1 << 40), refused);
    assert_eq!(change(|row| row.added = u64::MAX), refused);
}

#[test]
fn no_point_is_shown() {
    let points = Points(vec![[0xab; 32]; 3]);
    let batch = Ask::Batch(Batch { first: 0, points });
    let shown = format!("{batch:?}");
    assert!(
        shown.contains("Points(3)") && !shown.contains("171"),
        "{shown}"
    );
}

#[test]
fn codes_of_refusals_are_stable() {
    for code in RefusalCode::ALL {
        assert_eq!(RefusalCode::from_code(code as u64), Some(code));
    }
    assert_eq!(RefusalCode::OverQuota as u8, 3);
    assert_eq!(RefusalCode::from_code(0), None);
}

proptest! {
    #[test]
    fn what_is_read_is_what_would_be_written(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Ok(ask) = Ask::from_bytes(&bytes) {
            prop_assert_eq!(ask.to_bytes(), bytes.clone());
        }
        if let Ok(answer) = Answer::from_bytes(&bytes) {
            prop_assert_eq!(answer.to_bytes(), bytes);
        }
    }

    #[test]
    fn a_changed_message_is_refused_or_another(which in 0..5_usize, at in any::<prop::sample::Index>(), flip in 1..=255_u8) {
        let ask = &asks()[which];
        let mut bytes = ask.to_bytes();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        if let Ok(read) = Ask::from_bytes(&bytes) {
            prop_assert_ne!(&read, ask);
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }
}
