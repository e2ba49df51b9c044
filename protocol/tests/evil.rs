//! Logs that an evil origin signs: every leaf that it commits to is checked, and a bad one ends the mirroring of its log.
#![cfg(feature = "testing")]

use hashpact_keys::cose::CoseError;
use hashpact_keys::roster::{KeyLookupError, Revocation};
use hashpact_keys::{KeyUse, NetworkId, RosterVersion, Timestamp};
use hashpact_protocol::centre::{Event, Reason};
use hashpact_protocol::delta::{
    ClassEntry, ClassTable, Header, HeaderError, RetractionEntry, Seq, TableError,
};
use hashpact_protocol::labels::{ClassId, Labels, LabelsError};
use hashpact_protocol::limits;
use hashpact_protocol::log::{Leaf, LeafError, SignedCheckpoint, TreeError};
use hashpact_protocol::testing::forge::Forge;
use hashpact_protocol::testing::keys::{CentreSetup, START};
use hashpact_protocol::testing::sim::{Sim, Violation, class_labels};
use hashpact_protocol::verify::{LeafFault, SuffixError};
use hashpact_protocol::view::View as _;
use hashpact_protocol::wire::{BulkRequest, Message, Suffix, WireError};

type Done = Result<(), Violation>;

/// A network of three in which centre 0 is evil, with the log that it is going to show.
fn evil() -> Result<(Sim, Forge), Violation> {
    let sim = Sim::new(1, 3, true)?;
    let forge = Forge::new(sim.setup(0), sim.roster());
    Ok((sim, forge))
}

/// Centre 0 shows its log to centre 1, as itself or by way of the relay 2.
fn show(sim: &mut Sim, forge: &Forge, by: usize, counter: u64) -> Done {
    sim.puppet(by, forge.memory().clone())?;
    sim.connect(by, 1)?;
    let head = forge.memory().log(&sim.setup(0).origin).head;
    let notes = head.iter().map(|head| head.note().to_vec()).collect();
    sim.inject(
        by,
        1,
        &Message::Heads {
            session: 9,
            counter,
            notes,
        },
    );
    sim.drain().map(drop)
}

/// A table of nothing but class 0 with one record.
fn table() -> ClassTable {
    let classes = vec![ClassEntry {
        class: ClassId(0),
        count: 1,
        root: [1; 32],
    }];
    ClassTable {
        classes,
        retractions: RetractionEntry {
            count: 0,
            root: [2; 32],
        },
    }
}

fn labels(sim: &Sim) -> Vec<Labels> {
    vec![class_labels(sim.setup(0), 1)]
}

/// What centre 1 says of a log that begins with a good class definition and goes on with these leaves.
fn fault(leaves: impl FnOnce(&Sim, &Forge) -> Vec<Vec<u8>>) -> Result<LeafFault, Violation> {
    let (mut sim, mut forge) = evil()?;
    let definitions = forge.definitions(0, &labels(&sim));
    let good = forge.define(&definitions, &forge.signer(KeyUse::Delta));
    forge.extend(&[good]);
    show(&mut sim, &forge, 0, 1)?;
    let held = sim.memory(1).log(&sim.setup(0).origin);
    assert_eq!(
        (held.size, held.next_class),
        (1, 1),
        "the good part is taken"
    );
    assert_eq!(sim.drops(), []);
    forge.extend(&leaves(&sim, &forge));
    show(&mut sim, &forge, 0, 2)?;
    sim.run_for(200)?;
    let refused = sim.events().iter().find_map(|(_, event)| {
        let Event::LeafRefused { error, .. } = event else {
            return None;
        };
        let SuffixError::Leaf { index, source } = error else {
            return None;
        };
        Some((*index, source.clone()))
    });
    let (index, fault) = refused.ok_or(Violation::Rule {
        centre: 1,
        rule: "took it",
    })?;
    let size = sim.memory(1).log(&sim.setup(0).origin).size;
    assert!(size <= index, "nothing is stored from the bad leaf on");
    Ok(fault)
}

/// What centre 1 says of a header that is right but for this change.
fn bent(change: impl FnOnce(&Sim, &mut Header)) -> Result<LeafFault, Violation> {
    fault(|sim, forge| {
        let mut header = forge.header(&table());
        change(sim, &mut header);
        vec![forge.delta(&header, &table())]
    })
}

#[test]
fn a_leaf_that_is_none_is_refused() -> Done {
    let leaf = fault(|_, _| vec![vec![0x82, 0x0b, 0x01]])?;
    assert_eq!(leaf, LeafFault::Leaf(LeafError::Kind { got: 11 }));
    assert_eq!(
        fault(|_, _| vec![vec![]])?,
        LeafFault::Leaf(LeafError::Shape)
    );
    let mut empty = table();
    empty.classes[0].count = 0;
    let leaf = fault(|_, forge| vec![forge.delta(&forge.header(&empty), &empty)])?;
    assert_eq!(
        leaf,
        LeafFault::Leaf(LeafError::Table(TableError::Empty { row: 0 }))
    );
    Ok(())
}

#[test]
fn a_header_of_another_network_is_refused() -> Done {
    let other = NetworkId::new([7; 32]);
    let mut expected = other;
    let got = bent(|sim, header| {
        expected = sim.roster().roster().network;
        header.network = other;
    })?;
    assert_eq!(
        got,
        LeafFault::Network {
            expected,
            got: other
        }
    );
    Ok(())
}

#[test]
fn a_header_for_another_log_is_refused() -> Done {
    let [eu, us] = [0, 1].map(|n| CentreSetup::numbered(n).origin);
    let got = bent(|_, header| header.origin = us.clone())?;
    assert_eq!(
        got,
        LeafFault::Origin {
            expected: eu,
            got: us
        }
    );
    Ok(())
}

#[test]
fn a_gap_or_a_repetition_in_the_sequence_is_refused() -> Done {
    let gap = LeafFault::Sequence {
        expected: Seq(0),
        got: Seq(1),
    };
    assert_eq!(bent(|_, header| header.seq = Seq(1))?, gap);
    let twice = fault(|_, forge| {
        let leaf = forge.delta(&forge.header(&table()), &table());
        vec![leaf.clone(), leaf]
    })?;
    assert_eq!(
        twice,
        LeafFault::Sequence {
            expected: Seq(1),
            got: Seq(0)
        }
    );
    Ok(())
}

#[test]
fn a_header_that_forgets_the_one_before_it_is_refused() -> Done {
    assert_eq!(bent(|_, header| header.prev = [1; 32])?, LeafFault::Prev);
    let second = fault(|_, forge| {
        let first = forge.header(&table());
        let second = Header {
            seq: Seq(1),
            ..first.clone()
        };
        vec![
            forge.delta(&first, &table()),
            forge.delta(&second, &table()),
        ]
    })?;
    assert_eq!(second, LeafFault::Prev);
    Ok(())
}

#[test]
fn a_table_that_the_header_does_not_commit_to_is_refused() -> Done {
    assert_eq!(bent(|_, header| header.table = [1; 32])?, LeafFault::Table);
    assert_eq!(
        bent(|_, header| header.total = 2)?,
        LeafFault::Total {
            expected: 2,
            got: 1
        }
    );
    Ok(())
}

#[test]
fn a_class_used_before_it_is_defined_is_refused() -> Done {
    let mut table = table();
    table.classes[0].class = ClassId(1);
    let got = fault(|_, forge| vec![forge.delta(&forge.header(&table), &table)])?;
    assert_eq!(got, LeafFault::UndefinedClass { class: ClassId(1) });
    Ok(())
}

#[test]
fn a_policy_that_stands_behind_its_header_is_refused() -> Done {
    let got = bent(|_, header| header.policy_ref = Some(1))?;
    assert_eq!(got, LeafFault::PolicyRef { at: 1, got: 1 });
    Ok(())
}

#[test]
fn a_class_defined_twice_or_out_of_turn_is_refused() -> Done {
    for first in [0, 2] {
        let got = fault(|sim, forge| {
            let definitions = forge.definitions(first, &labels(sim));
            vec![forge.define(&definitions, &forge.signer(KeyUse::Delta))]
        })?;
        assert_eq!(
            got,
            LeafFault::ClassOrder {
                expected: 1,
                got: first
            }
        );
    }
    Ok(())
}

#[test]
fn a_class_that_may_not_rest_at_home_is_refused() -> Done {
    let got = fault(|sim, forge| {
        let mut labels = labels(sim);
        labels[0].residency.remove(&sim.setup(0).jurisdiction);
        vec![forge.define(&forge.definitions(1, &labels), &forge.signer(KeyUse::Delta))]
    })?;
    assert_eq!(got, LeafFault::Labels(LabelsError::Residency));
    Ok(())
}

#[test]
fn definitions_under_a_wrong_key_are_refused() -> Done {
    let signed_with = |use_| {
        fault(|sim, forge| {
            vec![forge.define(&forge.definitions(1, &labels(sim)), &forge.signer(use_))]
        })
    };
    assert_eq!(signed_with(KeyUse::Log)?, LeafFault::DefinitionsKey);
    let mut kid = None;
    let forged = fault(|sim, forge| {
        let signer = forge.signer(KeyUse::Delta);
        kid = Some(signer.public().key_id());
        let mut leaf = forge.define(&forge.definitions(1, &labels(sim)), &signer);
        let last = leaf.len() - 1;
        leaf[last] ^= 1;
        vec![leaf]
    })?;
    assert_eq!(
        Some(forged),
        kid.map(|kid| LeafFault::Definitions(CoseError::Signature { kid }))
    );
    Ok(())
}

#[test]
fn definitions_for_another_log_or_network_are_refused() -> Done {
    let us = CentreSetup::numbered(1).origin;
    let got = fault(|sim, forge| {
        let mut definitions = forge.definitions(1, &labels(sim));
        definitions.origin = us.clone();
        vec![forge.define(&definitions, &forge.signer(KeyUse::Delta))]
    })?;
    assert!(matches!(got, LeafFault::Origin { got, .. } if got == us));
    let got = fault(|sim, forge| {
        let mut definitions = forge.definitions(1, &labels(sim));
        definitions.network = NetworkId::new([7; 32]);
        vec![forge.define(&definitions, &forge.signer(KeyUse::Delta))]
    })?;
    assert!(matches!(got, LeafFault::Network { .. }));
    Ok(())
}

#[test]
fn a_header_under_a_wrong_key_is_refused() -> Done {
    let signed_by = |setup: CentreSetup, use_| {
        fault(|_, forge| {
            let header = forge.header(&table()).sign(&setup.signer(use_));
            Leaf::Delta {
                header,
                table: table(),
            }
            .to_bytes()
            .into_iter()
            .collect()
        })
    };
    let key = |setup: &CentreSetup, use_| setup.signer(use_).public().key_id();
    let [eu, us] = [0, 1].map(CentreSetup::numbered);
    let wrong_use = KeyLookupError::WrongUse {
        key: key(&eu, KeyUse::Log),
        expected: KeyUse::Delta,
        got: KeyUse::Log,
    };
    assert_eq!(
        signed_by(eu, KeyUse::Log)?,
        LeafFault::Header(HeaderError::Key(wrong_use))
    );
    let unknown = KeyLookupError::Unknown {
        key: key(&us, KeyUse::Delta),
    };
    assert_eq!(
        signed_by(us, KeyUse::Delta)?,
        LeafFault::Header(HeaderError::Key(unknown))
    );
    Ok(())
}

#[test]
fn a_header_from_before_its_key_is_refused() -> Done {
    let at = Timestamp::new(START.get() - 3_601);
    let key = CentreSetup::numbered(0)
        .signer(KeyUse::Delta)
        .public()
        .key_id();
    let error = HeaderError::Key(KeyLookupError::NotValidAt { key, at });
    assert_eq!(
        bent(|_, header| header.issued_at = at)?,
        LeafFault::Header(error)
    );
    Ok(())
}

#[test]
fn a_header_that_was_changed_after_signing_is_refused() -> Done {
    let got = fault(|_, forge| {
        let mut header = forge.header(&table()).sign(&forge.signer(KeyUse::Delta));
        let last = header.len() - 1;
        header[last] ^= 1;
        Leaf::Delta {
            header,
            table: table(),
        }
        .to_bytes()
        .into_iter()
        .collect()
    })?;
    assert_eq!(got, LeafFault::Header(HeaderError::Signature));
    Ok(())
}

#[test]
fn a_key_revoked_from_a_log_size_on_signs_no_leaf_from_there_on() -> Done {
    for (size, taken) in [(1, false), (2, true)] {
        let (mut sim, mut forge) = evil()?;
        let origin = sim.setup(0).origin.clone();
        let key = forge.signer(KeyUse::Delta).public().key_id();
        let revoked = Revocation {
            key,
            origin: origin.clone(),
            size,
        };
        sim.issue_roster(|draft| draft.revocations.push(revoked));
        sim.apply_roster(1)?;
        let definitions = forge.definitions(0, &labels(&sim));
        let define = forge.define(&definitions, &forge.signer(KeyUse::Delta));
        forge.extend(&[define]);
        let delta = forge.delta(&forge.header(&table()), &table());
        forge.extend(&[delta]);
        show(&mut sim, &forge, 0, 1)?;
        let fault = LeafFault::Revoked { key, from: 1 };
        let error = SuffixError::Leaf {
            index: 1,
            source: fault,
        };
        let refused = Event::LeafRefused {
            origin: origin.clone(),
            error,
        };
        assert_eq!(sim.events().contains(&(1, refused)), !taken);
        assert_eq!(sim.memory(1).log(&origin).next_seq, Seq(u64::from(taken)));
    }
    Ok(())
}

#[test]
fn a_header_dated_before_its_predecessor_is_refused() -> Done {
    let (mut sim, mut forge) = evil()?;
    let origin = sim.setup(0).origin.clone();
    let signer = forge.signer(KeyUse::Delta);
    let define = forge.define(&forge.definitions(0, &labels(&sim)), &signer);
    let last = sim.now();
    let got = Timestamp::new(last.get() - 1);
    let first = Header {
        issued_at: last,
        ..forge.header(&table())
    };
    let leaf = forge.delta(&first, &table());
    forge.extend(&[define, leaf]);
    let second = Header {
        issued_at: got,
        ..forge.header(&table())
    };
    let leaf = forge.delta(&second, &table());
    forge.extend(&[leaf]);
    show(&mut sim, &forge, 0, 1)?;
    let error = SuffixError::Leaf {
        index: 2,
        source: LeafFault::Backdated { last, got },
    };
    let refused = Event::LeafRefused {
        origin: origin.clone(),
        error,
    };
    assert!(sim.events().contains(&(1, refused)));
    assert_eq!(sim.memory(1).log(&origin).next_seq, Seq(1));
    Ok(())
}

#[test]
fn a_header_from_the_future_waits_for_its_day() -> Done {
    let (mut sim, mut forge) = evil()?;
    let origin = sim.setup(0).origin.clone();
    let got = Timestamp::new(sim.now().get() + limits::CLOCK_SKEW_S + 1);
    let define = forge.define(
        &forge.definitions(0, &labels(&sim)),
        &forge.signer(KeyUse::Delta),
    );
    let header = Header {
        issued_at: got,
        ..forge.header(&table())
    };
    let delta = forge.delta(&header, &table());
    forge.extend(&[define, delta]);
    show(&mut sim, &forge, 0, 1)?;
    let source = LeafFault::Future {
        now: sim.now(),
        got,
    };
    let error = SuffixError::Leaf { index: 1, source };
    let refused = Event::LeafRefused {
        origin: origin.clone(),
        error,
    };
    assert_eq!(sim.events().last(), Some(&(1, refused)));
    assert_eq!(sim.drops(), [], "a clock may be wrong");
    sim.advance(10)?;
    show(&mut sim, &forge, 0, 2)?;
    assert_eq!(sim.memory(1).log(&origin).size, 2);
    Ok(())
}

#[test]
fn a_leaf_under_a_newer_roster_waits_for_it() -> Done {
    let (mut sim, mut forge) = evil()?;
    let origin = sim.setup(0).origin.clone();
    let define = forge.define(
        &forge.definitions(0, &labels(&sim)),
        &forge.signer(KeyUse::Delta),
    );
    let header = Header {
        roster_version: RosterVersion::new(2),
        ..forge.header(&table())
    };
    let delta = forge.delta(&header, &table());
    forge.extend(&[define, delta]);
    show(&mut sim, &forge, 0, 1)?;
    assert_eq!(sim.memory(1).log(&origin).next_seq, Seq(0));
    assert_eq!(sim.drops(), []);
    sim.issue_roster(|_| {});
    sim.apply_roster(1)?;
    sim.advance(10)?;
    show(&mut sim, &forge, 0, 2)?;
    assert_eq!(sim.memory(1).log(&origin).size, 2);
    Ok(())
}

#[test]
fn the_origin_is_dropped_for_a_bad_leaf_and_a_relay_is_not() -> Done {
    for (by, dropped) in [(0, true), (2, false)] {
        let (mut sim, mut forge) = evil()?;
        forge.extend(&[vec![0x82, 0x0b, 0x01]]);
        show(&mut sim, &forge, by, 1)?;
        let source = LeafFault::Leaf(LeafError::Kind { got: 11 });
        let error = SuffixError::Leaf { index: 0, source };
        let drops = [(1, sim.setup(by).id.clone(), Reason::Suffix(error))];
        assert_eq!(sim.drops(), if dropped { &drops[..] } else { &[] });
        let asked = sim.counts().jobs;
        show(&mut sim, &forge, by, 2)?;
        sim.run_for(500)?;
        assert_eq!(
            sim.counts().jobs,
            asked,
            "a bad leaf is not asked for again"
        );
    }
    Ok(())
}

/// What centre 1 drops a peer for that answers its request for the log like this.
fn answered(change: impl Fn(Suffix) -> Suffix + 'static) -> Result<Reason, Violation> {
    let (mut sim, mut forge) = evil()?;
    forge.extend(&vec![vec![0x82, 0x06, 0x01]; 300]);
    sim.tamper(move |_, request, bytes| match request {
        BulkRequest::Suffix { from: 0, .. } => {
            Some(change(Suffix::from_bytes(&bytes).ok()?).to_bytes())
        }
        BulkRequest::Suffix { .. } | BulkRequest::Proof { .. } | BulkRequest::Body { .. } => None,
    });
    show(&mut sim, &forge, 0, 1)?;
    assert_eq!(sim.memory(1).log(&sim.setup(0).origin).size, 0);
    let reason = sim.drops().first().map(|(_, _, reason)| reason.clone());
    reason.ok_or(Violation::Rule {
        centre: 1,
        rule: "took it",
    })
}

#[test]
fn a_piece_that_starts_elsewhere_runs_past_or_proves_nothing_is_refused() -> Done {
    let elsewhere = answered(|piece| Suffix { from: 1, ..piece })?;
    assert_eq!(
        elsewhere,
        Reason::Suffix(SuffixError::From {
            expected: 0,
            got: 1
        })
    );
    let unproven = answered(|piece| Suffix {
        proof: Vec::new(),
        ..piece
    })?;
    let inconsistent = TreeError::Inconsistent { from: 256, to: 300 };
    assert_eq!(
        unproven,
        Reason::Suffix(SuffixError::Tree(inconsistent.clone()))
    );
    let fewer = answered(|mut piece| {
        piece.leaves.pop();
        piece
    })?;
    let short = TreeError::Inconsistent { from: 255, to: 300 };
    assert_eq!(fewer, Reason::Suffix(SuffixError::Tree(short)));
    let more = answered(|mut piece| {
        piece.leaves.push(vec![1]);
        piece
    })?;
    assert_eq!(more, Reason::Suffix(SuffixError::Wire(WireError::Shape)));
    Ok(())
}

#[test]
fn a_piece_that_runs_past_its_checkpoint_is_refused() -> Done {
    let (mut sim, mut forge) = evil()?;
    forge.extend(&[vec![0x82, 0x06, 0x01]]);
    sim.tamper(|_, _, bytes| {
        let mut piece = Suffix::from_bytes(&bytes).ok()?;
        piece.leaves.push(vec![0x82, 0x06, 0x02]);
        Some(piece.to_bytes())
    });
    show(&mut sim, &forge, 0, 1)?;
    let reason = Reason::Suffix(SuffixError::Past {
        expected: 1,
        got: 2,
    });
    assert_eq!(sim.drops(), [(1, sim.setup(0).id.clone(), reason)]);
    Ok(())
}

#[test]
fn a_head_beyond_any_log_is_refused() -> Done {
    let (mut sim, forge) = evil()?;
    let disk = forge.memory().clone();
    sim.puppet(0, disk)?;
    sim.connect(0, 1)?;
    let head: SignedCheckpoint = forge.sign(limits::LOG_LEAVES + 1, [1; 32]);
    let notes = vec![head.note().to_vec()];
    sim.inject(
        0,
        1,
        &Message::Heads {
            session: 9,
            counter: 1,
            notes,
        },
    );
    sim.drain()?;
    assert!(matches!(sim.drops(), [(1, _, Reason::Checkpoint(_))]));
    Ok(())
}

#[test]
fn a_message_that_is_none_drops_its_sender() -> Done {
    let (mut sim, forge) = evil()?;
    let disk = forge.memory().clone();
    sim.puppet(0, disk)?;
    sim.connect(0, 1)?;
    let notes = vec![Vec::new(); limits::HEADS_PER_MESSAGE + 1];
    sim.inject(
        0,
        1,
        &Message::Heads {
            session: 9,
            counter: 1,
            notes,
        },
    );
    sim.drain()?;
    let reason = Reason::Malformed(WireError::Shape);
    assert_eq!(sim.drops(), [(1, sim.setup(0).id.clone(), reason)]);
    Ok(())
}

#[test]
fn what_is_good_before_a_bad_leaf_is_kept() -> Done {
    let (mut sim, mut forge) = evil()?;
    let origin = sim.setup(0).origin.clone();
    let good = forge.define(
        &forge.definitions(0, &labels(&sim)),
        &forge.signer(KeyUse::Delta),
    );
    forge.extend(&[good, vec![0x82, 0x0b, 0x01]]);
    show(&mut sim, &forge, 0, 1)?;
    // Where a mirror stops must not hang on how its pieces were cut.
    assert_eq!(sim.memory(1).log(&origin).size, 1);
    Ok(())
}

#[test]
fn a_log_key_revoked_from_a_size_on_signs_no_larger_head() -> Done {
    let (mut sim, mut forge) = evil()?;
    let origin = sim.setup(0).origin.clone();
    let key = forge.signer(KeyUse::Log).public().key_id();
    let revoked = Revocation {
        key,
        origin: origin.clone(),
        size: 1,
    };
    sim.issue_roster(|draft| draft.revocations.push(revoked));
    sim.apply_roster(1)?;
    forge.extend(&[vec![0x82, 0x06, 0x01]]);
    show(&mut sim, &forge, 0, 1)?;
    assert_eq!(sim.memory(1).log(&origin).size, 1);
    forge.extend(&[vec![0x82, 0x06, 0x02]]);
    show(&mut sim, &forge, 0, 2)?;
    assert_eq!(sim.memory(1).log(&origin).size, 1);
    Ok(())
}
