use super::*;
use crate::fingerprint::FingerprintError;
use crate::testing;

#[test]
fn full_record_round_trips() {
    let mut record = testing::record(7);
    record.fields.prints.push(Print {
        value: PrintValue::Inline(Fingerprint::new(Algorithm::Pdq, &[0b0101_0101; 32]).unwrap()),
        quality: Some(88),
        disabled: Some(DisabledReason::Wrong),
    });
    record.fields.prints.push(Print {
        value: PrintValue::Apart {
            algorithm: Algorithm::Other("tmk-pdqf".to_owned()),
            length: 262_144,
            sha256: [9; 32],
        },
        quality: None,
        disabled: None,
    });
    record.fields.byte_length = Some(1 << 40);
    record.fields.features[0] = Flag::Yes;
    record.fields.activity_form = Set::of(&[ActivityForm::Of]);
    record.fields.age_depicted = Set::of(&[AgeBand::To10, AgeBand::To13]);
    record.fields.age_basis = AgeBasis::Documented;
    record.fields.age_confidence = Confidence::High;
    record.fields.pubertal_stage = Set::of(&[PubertalStage::Prepubertal]);
    record.fields.source_context = Set::of(&[SourceContext::Web]);
    record.fields.derived_from = vec![(EntryId([3; 16]), Derivation::Crop)];
    record.fields.victim_status = Set::of(&[VictimStatus::Identified]);
    record.fields.series_id = Some([4; 16]);
    record.fields.priority = Priority::SurvivorRequest;
    record.fields.classifier = Some(Classifier {
        id: "synthetic".to_owned(),
        version: "1.0".to_owned(),
        score: 9_000,
        threshold: 8_000,
    });
    record.fields.entered_on = Some(20_000);
    record.fields.assessed_on = Some(20_001);
    record.fields.review_on = Some(20_365);
    record.fields.retention = Retention::Review;
    let bytes = record.to_bytes();
    assert_eq!(Record::from_bytes(&bytes), Ok(record));
}

#[test]
fn unknown_key_is_refused() {
    let mut bytes = testing::record(1).to_bytes();
    // The last key of the sample is 5; a key 20 after it keeps the map canonical.
    let map = bytes.iter().position(|b| *b == 0xa3).unwrap();
    bytes[map] = 0xa4;
    bytes.extend_from_slice(&[0x14, 0x01]);
    assert_eq!(
        Record::from_bytes(&bytes),
        Err(RecordError::UnknownKey { key: 20 })
    );
}

#[test]
fn stated_default_is_refused() {
    let mut bytes = testing::record(1).to_bytes();
    let map = bytes.iter().position(|b| *b == 0xa3).unwrap();
    bytes[map] = 0xa4;
    bytes.extend_from_slice(&[0x0e, 0x00]); // priority normal
    assert_eq!(
        Record::from_bytes(&bytes),
        Err(RecordError::Default { key: 14 })
    );
}

#[test]
fn empty_file_digest_from_a_peer_is_refused() {
    let mut record = testing::record(1);
    let mut bytes = record.to_bytes();
    let md5 = hex::decode("d41d8cd98f00b204e9800998ecf8427e").unwrap();
    let PrintValue::Inline(value) = record.fields.prints.remove(0).value else {
        panic!()
    };
    let at = bytes.windows(16).position(|w| w == value.bytes()).unwrap();
    bytes[at..at + 16].copy_from_slice(&md5);
    assert_eq!(
        Record::from_bytes(&bytes),
        Err(RecordError::Fingerprint {
            index: 0,
            source: FingerprintError::Guarded {
                what: "the empty file"
            }
        })
    );
}

#[test]
fn same_fingerprint_twice_is_refused() {
    let mut record = testing::record(1);
    let again = record.fields.prints[0].clone();
    record.fields.prints.push(again);
    let index = record.fields.prints.len() - 1;
    assert_eq!(
        Record::from_bytes(&record.to_bytes()),
        Err(RecordError::Repeated { index })
    );
}

#[test]
fn picture_bytes_fit_in_no_field() {
    // A data URI as a local label, and a kilobyte of file bytes as an opaque value.
    let mut record = testing::record(1);
    record.fields.local_labels[0].value = format!("data:image/png;base64,{}", "A".repeat(400));
    assert_eq!(
        Record::from_bytes(&record.to_bytes()),
        Err(RecordError::Value { key: 5 })
    );
    let other = Algorithm::Other("x".to_owned());
    assert_eq!(
        Fingerprint::new(other, &[1; 1025]).unwrap_err(),
        FingerprintError::Length {
            expected: 1_024,
            got: 1_025
        }
    );
}

#[test]
fn revision_zero_is_refused() {
    let mut record = testing::record(1);
    record.revision = Revision(0);
    assert_eq!(
        Record::from_bytes(&record.to_bytes()),
        Err(RecordError::Revision)
    );
}

#[test]
fn seventeen_fingerprints_are_refused() {
    let mut record = testing::record(1);
    record.fields.prints = (0..17)
        .map(|i| Print::plain(Fingerprint::new(Algorithm::Md5, &[i + 1; 16]).unwrap()))
        .collect();
    assert_eq!(
        Record::from_bytes(&record.to_bytes()),
        Err(RecordError::Count {
            key: 1,
            got: 17,
            max: 16
        })
    );
}

#[test]
fn debug_of_a_record_shows_no_fingerprint() {
    let record = testing::record(5);
    let PrintValue::Inline(value) = &record.fields.prints[0].value else {
        panic!()
    };
    let shown = format!("{record:?}");
    let decimal = format!("{:?}", value.bytes());
    assert!(!shown.contains(&hex::encode(value.bytes())));
    assert!(!shown.contains(decimal.trim_matches(['[', ']'])));
}
