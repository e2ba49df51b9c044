//! Match manifests in the log of an evil origin: each rule holds although it signed them.
#![cfg(feature = "testing")]

use hashpact_keys::{KeyUse, NetworkId, Origin, Timestamp};
use hashpact_protocol::centre::Event;
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::limits;
use hashpact_protocol::log::Leaf;
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::{Artifact, Epoch, Group, GroupId, Manifest, SegmentRow, TagBits};
use hashpact_protocol::testing::forge::Forge;
use hashpact_protocol::testing::keys::{CentreSetup, START};
use hashpact_protocol::testing::sim::{Sim, Violation, class_labels};
use hashpact_protocol::verify::{LeafFault, SuffixError};
use hashpact_protocol::view::View as _;
use hashpact_protocol::wire::Message;

type Done = Result<(), Violation>;

fn manifest(sim: &Sim, number: u64) -> Manifest {
    let segment = SegmentRow {
        number: 0,
        added: 3,
        removed: 0,
        bytes: 40,
        chunks: 1,
        root: [5; 32],
        label_root: None,
    };
    let artifact = Artifact {
        kind: 3,
        mode: MatchMode::Items,
        key: [9; 32],
        items: 3,
        segments: vec![segment],
    };
    Manifest {
        network: sim.roster().roster().network,
        origin: sim.setup(0).origin.clone(),
        number,
        epoch: Epoch(2),
        log_size: 1,
        issued_at: START,
        from: START,
        until: Timestamp::new(START.get() + limits::MATCH_EPOCH_S),
        bits: TagBits::of(3),
        groups: vec![Group {
            group: GroupId(0),
            classes: vec![ClassId(0)],
            artifacts: vec![artifact],
        }],
    }
}

fn leaf(forge: &Forge, manifest: &Manifest) -> Vec<u8> {
    signed_leaf(manifest.sign(&forge.signer(KeyUse::Manifest)))
}

fn signed_leaf<E: std::fmt::Debug>(manifest: Result<Vec<u8>, E>) -> Vec<u8> {
    let manifest = manifest.unwrap_or_default();
    Leaf::MatchEpoch { manifest }.to_bytes().unwrap_or_default()
}

fn show(sim: &mut Sim, forge: &Forge, counter: u64) -> Done {
    sim.puppet(0, forge.memory().clone())?;
    sim.connect(0, 1)?;
    let head = forge.memory().log(&sim.setup(0).origin).head;
    let notes = head.iter().map(|head| head.note().to_vec()).collect();
    let session = 9;
    let heads = Message::Heads {
        session,
        counter,
        notes,
    };
    sim.inject(0, 1, &heads);
    sim.drain().map(drop)
}

/// A log that begins with a good class definition and a good manifest, and goes on with a manifest that a test bends:
/// what centre 1 says of it.
fn shown(bend: impl FnOnce(&mut Manifest)) -> Result<(Sim, Option<LeafFault>), Violation> {
    let mut sim = Sim::governed(1, 3)?;
    let mut forge = Forge::new(sim.setup(0), sim.roster());
    let definitions = forge.definitions(0, &[class_labels(sim.setup(0), 1)]);
    let classes = forge.define(&definitions, &forge.signer(KeyUse::Delta));
    let good = leaf(&forge, &manifest(&sim, 0));
    forge.extend(&[classes, good]);
    let mut next = manifest(&sim, 1);
    bend(&mut next);
    let next = leaf(&forge, &next);
    forge.extend(&[next]);
    show(&mut sim, &forge, 1)?;
    sim.run_for(200)?;
    let fault = sim.events().iter().find_map(|(_, event)| {
        let Event::LeafRefused { error, .. } = event else {
            return None;
        };
        let SuffixError::Leaf { source, .. } = error else {
            return None;
        };
        Some(source.clone())
    });
    Ok((sim, fault))
}

/// Why the bent manifest is refused; what stands before it is kept, and the good manifest is at hand.
fn refused(bend: impl FnOnce(&mut Manifest)) -> Result<LeafFault, Violation> {
    let (sim, fault) = shown(bend)?;
    let origin = sim.setup(0).origin.clone();
    let (state, held) = (
        sim.memory(1).log(&origin),
        sim.memory(1).manifests(&origin, 9),
    );
    assert_eq!((state.size, state.next_manifest), (2, 1));
    assert_eq!((state.manifest, state.match_epoch), (Some(1), Epoch(2)));
    assert_eq!(held.iter().map(|row| row.0).collect::<Vec<_>>(), [1]);
    let rule = "took it";
    fault.ok_or(Violation::Rule { centre: 1, rule })
}

#[test]
fn next_manifest_is_mirrored_and_at_hand() -> Done {
    let (sim, fault) = shown(|next| next.epoch = Epoch(3))?;
    assert_eq!(fault, None);
    let origin = sim.setup(0).origin.clone();
    let state = sim.memory(1).log(&origin);
    assert_eq!((state.size, state.next_manifest), (3, 2));
    assert_eq!((state.manifest, state.match_epoch), (Some(2), Epoch(3)));
    let newest = sim.memory(1).manifests(&origin, 1);
    let newest: Vec<_> = newest
        .iter()
        .map(|(index, signed)| (*index, Manifest::read_unverified(signed).map(|m| m.number)))
        .collect();
    assert_eq!(newest, [(2, Ok(1))]);
    Ok(())
}

#[test]
fn manifest_number_skipped_or_repeated_is_refused() -> Done {
    let expected = 1;
    for got in [0, 2] {
        let number = refused(|next| next.number = got)?;
        assert_eq!(number, LeafFault::ManifestNumber { expected, got });
    }
    Ok(())
}

#[test]
fn manifest_of_an_epoch_before_is_refused() -> Done {
    let (last, got) = (Epoch(2), Epoch(1));
    let epoch = refused(|next| next.epoch = got)?;
    assert_eq!(epoch, LeafFault::ManifestEpoch { last, got });
    Ok(())
}

#[test]
fn manifest_over_leaves_behind_it_or_undefined_classes_is_refused() -> Done {
    let size = refused(|next| next.log_size = 3)?;
    assert_eq!(size, LeafFault::ManifestSize { at: 2, got: 3 });
    let class = ClassId(1);
    let undefined = refused(|next| next.groups[0].classes.push(class))?;
    assert_eq!(undefined, LeafFault::UndefinedClass { class });
    Ok(())
}

#[test]
fn manifest_of_another_network_or_log_is_refused() -> Done {
    let other = NetworkId::new([7; 32]);
    let network = refused(|next| next.network = other)?;
    assert!(matches!(network, LeafFault::Network { got, .. } if got == other));
    let origin: Origin = CentreSetup::numbered(1).origin;
    let moved = refused(|next| next.origin = origin)?;
    assert!(
        moved.to_string().contains("expected eu.example/eu/1"),
        "{moved}"
    );
    Ok(())
}

#[test]
fn manifest_from_the_future_is_not_taken() -> Done {
    let at = START.get() + limits::CLOCK_SKEW_S + 10_000;
    let future = refused(|next| next.issued_at = Timestamp::new(at))?;
    assert!(matches!(future, LeafFault::Future { got, .. } if got.get() == at));
    Ok(())
}

#[test]
fn manifest_that_nobody_signed_is_refused() -> Done {
    // One that the centre would not sign is written as none at all.
    let group = GroupId(0);
    let unsigned = refused(|next| {
        let row = next.groups[0].clone();
        next.groups.push(row);
        assert_eq!(next.groups[1].group, group);
    })?;
    assert!(matches!(unsigned, LeafFault::Manifest(_)), "{unsigned}");
    Ok(())
}
