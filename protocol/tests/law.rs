//! Policy documents in logs: which leaves are taken, which commands are refused, and from when on a document counts.
#![cfg(feature = "testing")]

use hashpact_keys::cose::CoseError;
use hashpact_keys::roster::{KeyLookupError, Revocation};
use hashpact_keys::{KeyUse, NetworkId, Signer, Timestamp};
use hashpact_protocol::centre::{Command, CommandError, Event, Flow};
use hashpact_protocol::labels::{ClassId, Purpose};
use hashpact_protocol::limits;
use hashpact_protocol::log::{Leaf, SignedCheckpoint};
use hashpact_protocol::policy::{Action, Closed, PolicyDocument, PolicyDocumentError};
use hashpact_protocol::testing::documents::{self, ALL};
use hashpact_protocol::testing::forge::Forge;
use hashpact_protocol::testing::keys::START;
use hashpact_protocol::testing::sim::{Sim, Violation};
use hashpact_protocol::verify::{LeafFault, SuffixError};
use hashpact_protocol::view::View as _;
use hashpact_protocol::wire::Message;

type Done = Result<(), Violation>;

const NOBODY: &str = "forbid (principal is Centre, action == Action::\"share\", resource);";

/// Files of a document of centre `n` that allows everything, but for what `more` forbids.
fn files(sim: &Sim, n: usize, more: &[&str], hours: u32) -> Vec<(String, String)> {
    let names = ["more-0", "more-1"];
    let more = names.into_iter().zip(more.iter().copied());
    let policies: Vec<_> = [("all", ALL)].into_iter().chain(more).collect();
    let files = documents::files(&sim.setup(n).jurisdiction, "", &policies);
    let delay = format!("widen_after_hours = {hours}");
    let delayed = |text: String| text.replace("widen_after_hours = 0", &delay);
    files
        .into_iter()
        .map(|(name, text)| (name, delayed(text)))
        .collect()
}

/// The first document of centre 0, that allows everything.
fn document(sim: &Sim) -> PolicyDocument {
    PolicyDocument {
        network: sim.roster().roster().network,
        origin: sim.setup(0).origin.clone(),
        version: 1,
        issued_at: START,
        files: files(sim, 0, &[], 0),
    }
}

/// What centre 1 says of an evil centre 0's policy document as these bytes.
fn fault(make: impl FnOnce(&Sim, [Signer; 2]) -> Vec<u8>) -> Result<LeafFault, Violation> {
    let (sim, refused) = shown(make)?;
    assert_eq!(sim.memory(1).policies(&sim.setup(0).origin, 9), []);
    refused.ok_or(Violation::Rule {
        centre: 1,
        rule: "took it",
    })
}

/// Centre 1 is shown a log of centre 0 with this document alone.
fn shown(
    make: impl FnOnce(&Sim, [Signer; 2]) -> Vec<u8>,
) -> Result<(Sim, Option<LeafFault>), Violation> {
    let mut sim = Sim::governed(1, 3)?;
    let document = make(&sim, documents::signers(sim.setup(0)));
    let mut forge = Forge::new(sim.setup(0), sim.roster());
    forge.extend(
        &Leaf::Policy { document }
            .to_bytes()
            .into_iter()
            .collect::<Vec<_>>(),
    );
    sim.puppet(0, forge.memory().clone())?;
    sim.connect(0, 1)?;
    let head: Option<SignedCheckpoint> = forge.memory().log(&sim.setup(0).origin).head;
    let heads = Message::Heads {
        session: 9,
        counter: 1,
        notes: head.iter().map(|head| head.note().to_vec()).collect(),
    };
    sim.inject(0, 1, &heads);
    sim.drain()?;
    let refused = sim.events().iter().find_map(|(_, event)| {
        let Event::LeafRefused { error, .. } = event else {
            return None;
        };
        let SuffixError::Leaf { source, .. } = error else {
            return None;
        };
        Some(source.clone())
    });
    Ok((sim, refused))
}

#[test]
fn a_centre_whose_bodies_wait_for_its_policy_says_when_they_wait_no_more() -> Done {
    let mut sim = Sim::governed(1, 3)?;
    sim.connect_all()?;
    sim.run_for(10)?;
    let told = |sim: &Sim| -> Vec<Event> {
        let ours = sim.events().iter().filter(|(n, _)| *n == 1);
        let told = ours.filter(|(_, event)| matches!(event, Event::Closed { .. } | Event::Opened));
        told.map(|(_, event)| event.clone()).collect()
    };
    sim.apply_policy(0, files(&sim, 0, &[], 0))?;
    sim.run_for(10)?;
    let closed = Event::Closed {
        why: Closed::NoPolicy,
    };
    assert_eq!(told(&sim), std::slice::from_ref(&closed));
    sim.apply_policy(1, files(&sim, 1, &[], 0))?;
    sim.run_for(10)?;
    assert_eq!(told(&sim), [closed, Event::Opened]);
    Ok(())
}

#[test]
fn a_document_is_taken_and_read() -> Done {
    let (sim, refused) = shown(|sim, [a, b]| document(sim).sign(&[&a, &b]))?;
    assert_eq!(refused, None);
    let held = sim.memory(1).log(&sim.setup(0).origin);
    assert_eq!((held.policy, held.next_policy), (Some(0), 2));
    Ok(())
}

#[test]
fn a_document_under_one_key_is_refused() -> Done {
    let alone = fault(|sim, [a, _]| document(sim).sign(&[&a]))?;
    let expected = PolicyDocumentError::Signatures { got: 1 };
    assert_eq!(alone, LeafFault::Policy(expected));
    Ok(())
}

#[test]
fn a_document_under_a_key_for_another_use_is_refused() -> Done {
    let delta = fault(|sim, [a, _]| {
        let delta = sim.setup(0).signer(KeyUse::Delta);
        document(sim).sign(&[&a, &delta])
    })?;
    assert!(
        matches!(
            delta,
            LeafFault::Policy(PolicyDocumentError::Key(KeyLookupError::WrongUse { .. }))
        ),
        "{delta:?}"
    );
    let other = fault(|sim, [a, _]| {
        let [b, _] = documents::signers(sim.setup(2));
        document(sim).sign(&[&a, &b])
    })?;
    assert!(
        matches!(other, LeafFault::Policy(PolicyDocumentError::Key(_))),
        "{other:?}"
    );
    Ok(())
}

#[test]
fn a_document_that_was_changed_after_signing_is_refused() -> Done {
    let changed = fault(|sim, [a, b]| {
        let mut bytes = document(sim).sign(&[&a, &b]);
        let at = bytes.windows(5).position(|it| it == b"share").unwrap();
        bytes[at] = b'S';
        bytes
    })?;
    assert!(
        matches!(
            changed,
            LeafFault::Policy(PolicyDocumentError::Cose(CoseError::Signature { .. }))
        ),
        "{changed:?}"
    );
    Ok(())
}

#[test]
fn a_document_of_another_network_or_log_is_refused() -> Done {
    let other = NetworkId::new([7; 32]);
    let network = fault(|sim, [a, b]| {
        let network = other;
        PolicyDocument {
            network,
            ..document(sim)
        }
        .sign(&[&a, &b])
    })?;
    assert!(matches!(network, LeafFault::Network { got, .. } if got == other));
    let origin = fault(|sim, [a, b]| {
        let origin = sim.setup(2).origin.clone();
        PolicyDocument {
            origin,
            ..document(sim)
        }
        .sign(&[&a, &b])
    })?;
    assert!(matches!(
        origin,
        LeafFault::Policy(PolicyDocumentError::Origin { .. })
    ));
    Ok(())
}

#[test]
fn a_version_that_is_left_out_is_refused() -> Done {
    let got = fault(|sim, [a, b]| {
        let version = 2;
        PolicyDocument {
            version,
            ..document(sim)
        }
        .sign(&[&a, &b])
    })?;
    let expected = LeafFault::PolicyVersion {
        expected: 1,
        got: 2,
    };
    assert_eq!(got, expected);
    Ok(())
}

#[test]
fn a_document_dated_in_the_future_is_refused() -> Done {
    let at = Timestamp::new(START.get() + limits::CLOCK_SKEW_S + 3_600);
    let got = fault(|sim, [a, b]| {
        PolicyDocument {
            issued_at: at,
            ..document(sim)
        }
        .sign(&[&a, &b])
    })?;
    assert!(matches!(got, LeafFault::Future { got, .. } if got == at));
    Ok(())
}

#[test]
fn a_document_longer_than_its_bound_is_refused() -> Done {
    let got = fault(|sim, [a, b]| {
        let mut long = document(sim);
        long.files[0].1 = "// ".repeat(limits::POLICY_BYTES / 3);
        long.sign(&[&a, &b])
    })?;
    assert!(matches!(
        got,
        LeafFault::Policy(PolicyDocumentError::TooLong { .. })
    ));
    Ok(())
}

/// A log goes on behind a document that nobody can read, and nothing is allowed under it.
#[test]
fn a_document_that_cannot_be_read_denies_everything() -> Done {
    let (mut sim, refused) = shown(|sim, [a, b]| {
        let files = vec![("profile.toml".to_owned(), "schema = 99".to_owned())];
        PolicyDocument {
            files,
            ..document(sim)
        }
        .sign(&[&a, &b])
    })?;
    assert_eq!(refused, None);
    sim.run_for(1)?;
    let origin = sim.setup(0).origin.clone();
    let told = Event::PolicyLogged {
        origin: origin.clone(),
        index: 0,
        readable: false,
    };
    assert!(sim.events().contains(&(1, told)));
    let standing = sim.centre(1).unwrap().policy_standing(&origin, sim.now());
    assert_eq!(standing.unreadable, [0]);
    Ok(())
}

#[expect(clippy::unwrap_used, reason = "whoever is asked is up")]
fn flow(sim: &Sim, at: usize, from: usize, to: usize) -> Flow {
    let [from, to] = [from, to].map(|n| sim.setup(n).id.clone());
    let origin = &sim.setup(0).origin;
    let centre = sim.centre(at).unwrap();
    let (now, memory) = (sim.now(), sim.memory(at));
    centre.may_flow(origin, ClassId(0), &from, &to, Purpose::Detect, now, memory)
}

fn allowed(sim: &Sim, at: usize) -> bool {
    flow(sim, at, 0, 1).allowed
}

/// Four centres with policies that allow everything; centre 0 has defined a class.
fn governed() -> Result<Sim, Violation> {
    governed_after(0)
}

/// As [`governed`], with documents that widen after some hours.
fn governed_after(hours: u32) -> Result<Sim, Violation> {
    let mut sim = Sim::governed(3, 4)?;
    sim.connect_all()?;
    sim.drain()?;
    sim.append(0, 2, &[1])?;
    sim.settle()?;
    for n in 0..4 {
        let files = files(&sim, n, &[], hours);
        sim.apply_policy(n, files)?;
    }
    sim.settle()?;
    sim.run_for(120 + u64::from(hours) * 3_600)?;
    Ok(sim)
}

#[test]
fn a_document_counts_once_it_is_witnessed_and_a_narrower_one_at_once() -> Done {
    let mut sim = governed()?;
    for at in 0..4 {
        assert!(allowed(&sim, at), "{:?}", flow(&sim, at, 0, 1));
    }
    // Nobody witnesses the next one, and yet it counts here, and where it arrives.
    sim.auditor_away(true);
    sim.crash(3)?;
    sim.disconnect(0, 2)?;
    let narrow = files(&sim, 0, &[NOBODY], 0);
    sim.apply_policy(0, narrow)?;
    sim.drain()?;
    assert!(!allowed(&sim, 0));
    sim.run_for(10)?;
    let denied = flow(&sim, 1, 0, 1);
    assert_eq!(denied.by, Some((sim.setup(0).id.clone(), Action::Share)));
    assert_eq!(denied.policies, ["more-0"]);
    assert_eq!(denied.errors, Vec::<String>::new());
    Ok(())
}

#[test]
fn what_is_wider_waits_until_it_is_witnessed_and_its_delay_is_over() -> Done {
    let mut sim = governed_after(1)?;
    assert!(allowed(&sim, 1), "{:?}", flow(&sim, 1, 0, 1));
    let narrow = files(&sim, 0, &[NOBODY], 1);
    sim.apply_policy(0, narrow)?;
    sim.run_for(120)?;
    assert!(!allowed(&sim, 1));
    // The next one has no delay of its own; that of the one before it counts.
    let wide = files(&sim, 0, &[], 0);
    sim.apply_policy(0, wide)?;
    sim.run_for(120)?;
    let denied = flow(&sim, 1, 0, 1);
    assert!(!denied.allowed);
    let matures = denied.valid_until.unwrap();
    let standing = sim.centre(1).unwrap();
    let standing = standing.policy_standing(&sim.setup(0).origin, sim.now());
    assert_eq!(standing.matures, Some(matures));
    let versions: Vec<u64> = standing
        .in_force
        .iter()
        .map(|(version, _)| *version)
        .collect();
    assert_eq!(
        versions,
        [1, 2, 3],
        "the first is mature, the next ones narrow it"
    );
    while sim.now() < matures {
        assert!(!allowed(&sim, 1));
        sim.run_for(300)?;
    }
    sim.run_for(60)?;
    assert!(allowed(&sim, 1), "{:?}", flow(&sim, 1, 0, 1));
    Ok(())
}

#[test]
fn where_one_of_the_three_has_a_policy_the_others_must_have_one() -> Done {
    let mut sim = Sim::governed(3, 4)?;
    sim.connect_all()?;
    sim.drain()?;
    sim.append(0, 2, &[1])?;
    sim.settle()?;
    // Nobody has a policy in this demonstration: everything is open.
    assert!(allowed(&sim, 1));
    let files = files(&sim, 0, &[], 0);
    sim.apply_policy(0, files)?;
    sim.run_for(120)?;
    let denied = flow(&sim, 1, 0, 1);
    assert_eq!(denied.by, Some((sim.setup(1).id.clone(), Action::Admit)));
    Ok(())
}

#[test]
fn a_relay_must_be_allowed_to_reshare() -> Done {
    let mut sim = governed()?;
    let not_on = "forbid (principal is Centre, action == Action::\"reshare\", resource);";
    let files = files(&sim, 2, &[not_on], 0);
    sim.apply_policy(2, files)?;
    sim.run_for(120)?;
    assert!(allowed(&sim, 1));
    let denied = flow(&sim, 1, 2, 1);
    assert_eq!(denied.by, Some((sim.setup(2).id.clone(), Action::Reshare)));
    assert!(flow(&sim, 1, 3, 1).allowed);
    Ok(())
}

/// Only so many documents are read, and what was mature before them cannot be relied on.
#[test]
fn more_documents_than_are_read_allow_nothing_until_one_of_them_is_mature() -> Done {
    let mut sim = governed_after(1)?;
    assert!(allowed(&sim, 0));
    for n in 1..=limits::POLICIES_READ {
        assert!(allowed(&sim, 0), "{n}");
        let next = files(&sim, 0, &[], 1);
        sim.apply_policy(0, next)?;
        sim.run_for(5)?;
    }
    assert!(!allowed(&sim, 0));
    sim.advance(3_600)?;
    sim.run_for(60)?;
    assert!(allowed(&sim, 0), "{:?}", flow(&sim, 0, 0, 1));
    Ok(())
}

fn refused(sim: &mut Sim, document: Vec<u8>) -> Result<CommandError, Violation> {
    let size = sim.memory(0).log(&sim.setup(0).origin).size;
    let answer = sim.command(0, Command::Policy { document })?;
    assert_eq!(sim.memory(0).log(&sim.setup(0).origin).size, size);
    match answer {
        Some(Err(error)) => Ok(error),
        Some(Ok(_)) | None => Err(Violation::Rule {
            centre: 0,
            rule: "logged it",
        }),
    }
}

#[test]
fn a_centre_logs_no_document_that_others_would_refuse_or_could_not_read() -> Done {
    let mut sim = governed()?;
    let next = PolicyDocument {
        version: 2,
        issued_at: sim.now(),
        ..document(&sim)
    };
    let [a, b] = documents::signers(sim.setup(0));
    let error = refused(&mut sim, next.sign(&[&a]))?;
    let expected = PolicyDocumentError::Signatures { got: 1 };
    assert_eq!(
        error,
        CommandError::PolicyLeaf(Box::new(LeafFault::Policy(expected)))
    );
    let again = PolicyDocument {
        version: 1,
        ..next.clone()
    };
    let error = refused(&mut sim, again.sign(&[&a, &b]))?;
    let expected = LeafFault::PolicyVersion {
        expected: 2,
        got: 1,
    };
    assert_eq!(error, CommandError::PolicyLeaf(Box::new(expected)));
    let mut typo = next.clone();
    typo.files[0].1 = typo.files[0].1.replace("permit", "premit");
    let error = refused(&mut sim, typo.sign(&[&a, &b]))?;
    let CommandError::PolicyFaults(faults) = error else {
        panic!("{error:?}");
    };
    assert_eq!(faults[0].file, "policy.cedar");
    let law = PolicyDocument {
        files: files(&sim, 1, &[], 0),
        ..next.clone()
    };
    let error = refused(&mut sim, law.sign(&[&a, &b]))?;
    assert!(matches!(error, CommandError::PolicyLaw { .. }), "{error:?}");
    let document = next.sign(&[&a, &b]);
    assert!(matches!(
        sim.command(0, Command::Policy { document })?,
        Some(Ok(_))
    ));
    Ok(())
}

#[test]
fn a_document_under_a_revoked_key_is_refused() -> Done {
    let mut sim = governed()?;
    let [a, b] = documents::signers(sim.setup(0));
    let origin = sim.setup(0).origin.clone();
    let size = sim.memory(0).log(&origin).size;
    let revoked = b.public().key_id();
    sim.issue_roster(|draft| {
        draft.revocations.push(Revocation {
            key: revoked,
            origin: origin.clone(),
            size,
        });
    });
    sim.apply_roster(0)?;
    let next = PolicyDocument {
        version: 2,
        issued_at: sim.now(),
        ..document(&sim)
    };
    let error = refused(&mut sim, next.sign(&[&a, &b]))?;
    let expected = LeafFault::Revoked {
        key: revoked,
        from: size,
    };
    assert_eq!(error, CommandError::PolicyLeaf(Box::new(expected)));
    Ok(())
}
