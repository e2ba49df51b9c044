//! Each bound of `limits` that a peer can hit and that no vector shows: at the bound it passes, one over it does not.
#![cfg(feature = "testing")]

use hashpact_keys::NetworkId;
use hashpact_keys::canonical::encode;
use hashpact_protocol::centre::{Command, CommandError};
use hashpact_protocol::delta::{ClassEntry, ClassTable, RetractionEntry, TableError};
use hashpact_protocol::labels::{ClassDefinitions, ClassId, Labels, LabelsError, LegalStatus};
use hashpact_protocol::limits;
use hashpact_protocol::log::{
    AppendError, Leaf, LeafError, NoteError, SignedNote, bundle_path, decode_bundle, grow,
};
use hashpact_protocol::record::{Record, RecordError};
use hashpact_protocol::serve;
use hashpact_protocol::testing::forge::Forge;
use hashpact_protocol::testing::keys::CentreSetup;
use hashpact_protocol::testing::sim::{Sim, Violation, class_labels};
use hashpact_protocol::wire::{BulkRequest, Message, Suffix, WireError};

/// A leaf of a later version with this many bytes.
fn leaf(bytes: usize) -> Vec<u8> {
    // Array, kind, and a byte string with a head of three bytes up to 65,535 bytes.
    encode(|e| e.array(2)?.u8(8)?.bytes(&vec![1; bytes - 5])?.ok())
}

#[test]
fn a_leaf_of_65536_bytes_is_refused_everywhere() {
    let most = leaf(limits::LEAF_BYTES);
    assert_eq!(most.len(), limits::LEAF_BYTES);
    assert!(Leaf::from_bytes(&most).is_ok());
    let got = limits::LEAF_BYTES + 1;
    let over = leaf(got);
    assert_eq!(Leaf::from_bytes(&over), Err(LeafError::TooLarge { got }));
    let nothing = |_: &str| None;
    assert_eq!(grow(&nothing, 0, &[over]), Err(AppendError::Leaf { got }));
    let files = grow(&nothing, 0, std::slice::from_ref(&most))
        .map(|grown| grown.files)
        .unwrap_or_default();
    let bundle = files.iter().find(|file| file.path == bundle_path(0, 1));
    assert_eq!(
        bundle.and_then(|file| decode_bundle(&file.bytes)),
        Some(vec![most])
    );
}

fn table(classes: usize) -> Vec<u8> {
    let row = |class| ClassEntry {
        class: ClassId(class),
        count: 1,
        root: [1; 32],
    };
    let classes = (0..=u16::MAX).take(classes).map(row).collect();
    let table = ClassTable {
        classes,
        retractions: RetractionEntry {
            count: 0,
            root: [2; 32],
        },
    };
    Leaf::Delta {
        header: vec![3; 500],
        table,
    }
    .to_bytes()
    .unwrap_or_default()
}

#[test]
fn a_table_of_1025_classes_is_refused_and_the_largest_fits_a_leaf() {
    let max = limits::CLASSES_PER_DELTA;
    let most = table(max);
    assert!(most.len() < limits::LEAF_BYTES, "{} bytes", most.len());
    assert!(Leaf::from_bytes(&most).is_ok());
    let error = TableError::TooMany {
        what: "classes",
        got: 1_025,
        max,
    };
    assert_eq!(
        Leaf::from_bytes(&table(max + 1)),
        Err(LeafError::Table(error))
    );
}

#[test]
fn a_record_above_its_bound_is_refused_before_it_is_read() {
    let got = limits::RECORD_BYTES + 1;
    assert_eq!(
        Record::from_bytes(&vec![0xff; got]),
        Err(RecordError::TooLarge { got })
    );
    let read = Record::from_bytes(&vec![0xff; limits::RECORD_BYTES]);
    assert!(matches!(read, Err(RecordError::Canonical(_))));
}

/// The labels that take the most bytes.
fn widest(setup: &CentreSetup) -> Labels {
    let code = |n: u8| {
        let text = [b'A' + n / 26, b'A' + n % 26].map(char::from);
        text.iter()
            .collect::<String>()
            .parse::<hashpact_keys::Jurisdiction>()
    };
    let mut labels = class_labels(setup, 15);
    labels.legal_status = (0..16)
        .filter_map(|n| code(n).ok())
        .map(|jurisdiction| LegalStatus {
            jurisdiction,
            illegal: true,
            body: "b".repeat(32),
        })
        .collect();
    let all = (0..63).filter_map(|n| code(n).ok());
    labels.residency = all.clone().chain([setup.jurisdiction.clone()]).collect();
    labels.applicable_law = all.collect();
    labels
}

fn definitions(n: usize) -> ClassDefinitions {
    let setup = CentreSetup::numbered(0);
    let labels = class_labels(&setup, 0);
    let classes = (0..).map(ClassId).zip(vec![labels; n]).collect();
    ClassDefinitions {
        network: NetworkId::new([1; 32]),
        origin: setup.origin,
        classes,
    }
}

#[test]
fn definitions_of_one_class_too_many_are_refused() {
    let signer = CentreSetup::numbered(0).signer(hashpact_keys::KeyUse::Delta);
    let read = |n| {
        let signed = definitions(n).sign(&signer);
        let envelope = ClassDefinitions::envelope(&signed)?;
        ClassDefinitions::from_payload(envelope.peek()).map(|read| read.classes.len())
    };
    let max = limits::DEFINITIONS_PER_LEAF;
    assert_eq!(read(max), Ok(max));
    assert_eq!(read(max + 1), Err(LabelsError::Shape));
    assert_eq!(read(0), Err(LabelsError::Shape));
}

#[test]
fn as_many_classes_as_a_leaf_defines_fit_it_however_wide_they_are() -> Result<(), Violation> {
    let mut sim = Sim::new(1, 1, true)?;
    let widest = widest(sim.setup(0));
    let wide = (0..4_u8).flat_map(|hops| (0..16_u8).map(move |n| (hops, n)));
    let labels = wide.map(|(hops, n)| {
        let mut labels = widest.clone();
        labels.purposes = class_labels(&CentreSetup::numbered(0), n).purposes;
        labels.hops = hops;
        labels
    });
    let reply = sim.command(0, Command::Define(labels.collect()))?;
    let error = reply.and_then(Result::err);
    assert!(!matches!(error, Some(CommandError::Append(_))), "{error:?}");
    Ok(())
}

#[test]
fn a_frame_above_its_bound_is_refused_before_it_is_read() {
    let (got, max) = (limits::FRAME_BYTES + 1, limits::FRAME_BYTES);
    assert_eq!(
        Message::from_bytes(&vec![0xff; got]),
        Err(WireError::TooLarge { got, max })
    );
    assert_eq!(Message::from_bytes(&vec![0xff; max]), Err(WireError::Shape));
    let (got, max) = (BulkRequest::BYTES_MAX + 1, BulkRequest::BYTES_MAX);
    assert_eq!(
        BulkRequest::from_bytes(&vec![0xff; got]),
        Err(WireError::TooLarge { got, max })
    );
    let (got, max) = (Suffix::BYTES_MAX + 1, Suffix::BYTES_MAX);
    assert_eq!(
        Suffix::from_bytes(&vec![0xff; got]),
        Err(WireError::TooLarge { got, max })
    );
}

#[test]
fn a_note_above_its_bound_is_refused_before_it_is_read() {
    let got = limits::NOTE_BYTES + 1;
    assert_eq!(
        SignedNote::parse(&vec![0xff; got]),
        Err(NoteError::TooLarge { got })
    );
    assert_eq!(
        SignedNote::parse(&vec![0xff; limits::NOTE_BYTES]),
        Err(NoteError::Shape)
    );
}

#[test]
fn pieces_of_a_log_are_cut_by_leaves_and_by_bytes_and_always_fit() -> Result<(), Violation> {
    let sim = Sim::new(1, 1, true)?;
    let setup = sim.setup(0);
    for (leaves, bytes, cut) in [(300, 10, 256), (80, limits::LEAF_BYTES, 63)] {
        let mut forge = Forge::new(setup, sim.roster());
        forge.extend(&vec![leaf(bytes); leaves]);
        let piece = serve::suffix(forge.memory(), &setup.origin, 0, leaves as u64);
        let piece = piece.map(|bytes| Suffix::from_bytes(&bytes).map(|piece| piece.leaves.len()));
        assert_eq!(piece, Ok(Ok(cut)));
    }
    Ok(())
}

#[test]
fn more_of_a_log_than_there_is_is_not_served() -> Result<(), Violation> {
    use hashpact_protocol::wire::BulkRefusal::NotFound;
    let sim = Sim::new(1, 1, true)?;
    let (memory, origin) = (sim.memory(0), &sim.setup(0).origin);
    let ask = |from, to| serve::suffix(memory, origin, from, to).map(|_| ());
    assert_eq!(ask(0, 1), Ok(()));
    for (from, to) in [(0, 2), (1, 1), (1, 0), (u64::MAX, 1), (0, u64::MAX)] {
        assert_eq!(ask(from, to), Err(NotFound), "{from} to {to}");
    }
    let unknown = CentreSetup::numbered(9).origin;
    assert_eq!(serve::suffix(memory, &unknown, 0, 1), Err(NotFound));
    Ok(())
}

#[test]
fn the_largest_request_fits_its_bound() {
    let id = "a".repeat(32);
    let domain = format!("{}.example", "d".repeat(60));
    let origin = format!("{domain}/{id}/4294967295")
        .parse()
        .expect("an origin of some length");
    let seq = hashpact_protocol::delta::Seq(u64::MAX);
    let request = BulkRequest::Body {
        origin,
        seq,
        section: 65_536,
        offset: u64::MAX,
        under: None,
    };
    assert!(request.to_bytes().len() <= BulkRequest::BYTES_MAX);
    assert_eq!(BulkRequest::from_bytes(&request.to_bytes()), Ok(request));
}
