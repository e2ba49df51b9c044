//! Transfers under policy: what reaches whom, what both sides write down, and what a hostile side gains.
#![cfg(feature = "testing")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot read what it checks is wrong, and it looks for one message among many"
)]

use std::collections::BTreeSet;

use hashpact_keys::{KeyUse, Origin, Timestamp};
use hashpact_protocol::centre::{Event, Reason, TermsError};
use hashpact_protocol::delta::{Body, Expected, Header, Seq};
use hashpact_protocol::labels::{ClassId, Labels, Purpose};
use hashpact_protocol::limits;
use hashpact_protocol::log::{Leaf, read_leaves};
use hashpact_protocol::record::Record;
use hashpact_protocol::serve::{self, Answer};
use hashpact_protocol::testing::documents::{self, ALL};
use hashpact_protocol::testing::rng::Seeded;
use hashpact_protocol::testing::sim::{Fuse, Sim, Violation, class_labels};
use hashpact_protocol::transfer::{ChainError, Given, Opening, Statement, Withholder};
use hashpact_protocol::view::{Held, Shelf, View as _};
use hashpact_protocol::wire::{BulkRefusal, BulkRequest, Decline, Message, Proposal};

type Done = Result<(), Violation>;
type Rules<'a> = Vec<(&'a str, &'a str)>;

const SHARE: &str = "permit (principal is Centre, action == Action::\"share\", resource);";
const ADMIT: &str = "permit (principal is Centre, action == Action::\"admit\", resource);";
const SHARE_TRIAGE: &str = "permit (principal is Centre, action == Action::\"share\", resource) when { resource.granted.purposes.contains(\"triage\") };";
const SHARE_DETECT: &str = "permit (principal is Centre, action == Action::\"share\", resource) when { resource.granted.purposes.contains(\"detect\") };";
const ADMIT_DETECT: &str = "permit (principal is Centre, action == Action::\"admit\", resource) when { resource.granted.purposes.contains(\"detect\") };";

#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs the test says which schedules"
)]
fn env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Everybody starts, meets everybody and logs its policy.
fn network(seed: u64, rules: &[Rules<'_>]) -> Result<Sim, Violation> {
    let mut sim = Sim::governed(seed, rules.len())?;
    sim.connect_all()?;
    sim.run_for(10)?;
    for (n, rules) in rules.iter().enumerate() {
        apply(&mut sim, n, rules)?;
    }
    sim.run_for(10)?;
    Ok(sim)
}

fn apply(sim: &mut Sim, n: usize, rules: &[(&str, &str)]) -> Done {
    let files = documents::files(&sim.setup(n).jurisdiction, "", rules);
    sim.apply_policy(n, files)
}

fn all() -> Rules<'static> {
    vec![("all", ALL)]
}

fn origin(sim: &Sim, n: usize) -> Origin {
    sim.setup(n).origin.clone()
}

/// The statements that a centre keeps and logged, checked against the leaves of its log.
fn logged(sim: &Sim, n: usize) -> Vec<Statement> {
    let memory = sim.memory(n);
    let own = origin(sim, n);
    let size = memory.log(&own).size;
    let files = |path: &str| memory.log_file(&own, path);
    let leaves = read_leaves(&files, size, 0, size).unwrap();
    let mut sealed = BTreeSet::new();
    for leaf in leaves {
        if let Leaf::Disclosure { commitment } = Leaf::from_bytes(&leaf).unwrap() {
            assert!(sealed.insert(commitment), "no commitment stands twice");
        }
    }
    let kept = memory.shelf(Shelf::Statement, &[]);
    let openings = kept
        .iter()
        .map(|(_, kept)| Opening::from_bytes(kept).unwrap());
    let openings: Vec<_> = openings.filter(|opening| opening.salt.is_some()).collect();
    let opened: BTreeSet<_> = openings.iter().filter_map(Opening::commitment).collect();
    assert_eq!(
        opened, sealed,
        "every record has its opening, and every opening its record"
    );
    let roster = sim.roster().roster();
    let open = |opening: &Opening| Statement::open(&opening.signed, roster).unwrap();
    openings.iter().map(open).collect()
}

/// Every class of every delta that a centre holds of another's log came by a statement that both sides logged.
fn check_disclosures(sim: &Sim) {
    let all: Vec<Vec<Statement>> = (0..sim.len()).map(|n| logged(sim, n)).collect();
    for n in 0..sim.len() {
        for log in (0..sim.len()).filter(|log| *log != n) {
            let origin = origin(sim, log);
            for seq in (0..sim.memory(n).log(&origin).applied.0).map(Seq) {
                for row in sim.memory(n).holdings(&origin, seq).unwrap() {
                    if row.held == Held::None {
                        continue;
                    }
                    let by = |statement: &&Statement| {
                        statement.to == sim.setup(n).id
                            && statement.origin == origin
                            && statement.gives(seq, row.class) == Some(row.count)
                    };
                    let logged_by_giver = |taken: &&Statement| {
                        let giver = (0..sim.len()).find(|n| sim.setup(*n).id == taken.from);
                        all[giver.unwrap()].contains(taken)
                    };
                    let mut taken = all[n].iter().filter(by).peekable();
                    assert!(taken.peek().is_some(), "the taker logged what it holds");
                    assert!(taken.any(|taken| logged_by_giver(&taken)), "and the giver");
                }
            }
        }
    }
}

#[test]
fn what_policy_allows_flows_and_both_sides_log_it() -> Done {
    let mut sim = network(1, &[all(), all(), all()])?;
    sim.append(0, 6, &[1, 2])?;
    sim.append(0, 4, &[2])?;
    sim.settle()?;
    for n in [1, 2] {
        assert_eq!(sim.live(n, 0), sim.live(0, 0));
        assert_eq!(sim.held(n, 0), BTreeSet::from([0, 1]));
        assert!(!logged(&sim, n).is_empty());
    }
    check_disclosures(&sim);
    Ok(())
}

#[test]
fn without_a_policy_in_any_log_no_statement_is_made() -> Done {
    let mut sim = Sim::governed(1, 3)?;
    sim.connect_all()?;
    sim.run_for(10)?;
    sim.append(0, 6, &[1, 2])?;
    sim.settle()?;
    for n in 0..3 {
        assert_eq!(sim.live(n, 0), sim.live(0, 0));
        assert!(logged(&sim, n).is_empty());
    }
    Ok(())
}

#[test]
fn a_class_that_is_not_shared_or_not_admitted_is_withheld_and_it_is_known_by_whom() -> Done {
    let shares = vec![
        ("admit", ADMIT),
        ("share-triage", SHARE_TRIAGE),
        ("share-detect", SHARE_DETECT),
    ];
    let admits = vec![("share", SHARE), ("admit-detect", ADMIT_DETECT)];
    let mut sim = network(2, &[shares, admits, all()])?;
    // Classes 0, 1 and 2: for statistics, for triage, for detection.
    sim.append(0, 9, &[1, 2, 4])?;
    sim.settle()?;
    assert_eq!(sim.held(1, 0), BTreeSet::from([2]));
    assert_eq!(sim.held(2, 0), BTreeSet::from([1, 2]));
    let missing = |n: usize| -> Vec<(ClassId, u64, Withholder)> {
        let rows = sim.centre(n).unwrap().missing();
        rows.map(|(_, _, row)| (row.class, row.count, row.by.clone()))
            .collect()
    };
    assert_eq!(
        missing(1),
        [
            (ClassId(0), 3, Withholder::Origin),
            (ClassId(1), 3, Withholder::Own)
        ]
    );
    assert_eq!(missing(2), [(ClassId(0), 3, Withholder::Origin)]);
    let surplus = |(_, event): &&(usize, Event)| matches!(event, Event::SurplusWithheld { .. });
    assert_eq!(sim.events().iter().find(surplus), None);
    check_disclosures(&sim);
    Ok(())
}

/// Labels of synthetic class `n` of a centre that may go this far.
fn labels(sim: &Sim, n: usize, class: u8, hops: u8) -> Labels {
    Labels {
        hops,
        ..class_labels(sim.setup(n), class)
    }
}

/// A centre publishes records in a class for triage that may go on, and in one for detection that may not.
fn publish(sim: &mut Sim, n: usize, first: u64) -> Done {
    let records = (first..first + 4).map(hashpact_protocol::testing::record);
    let classes = vec![labels(sim, n, 2, 1), labels(sim, n, 4, 0)];
    sim.publish_under(n, records.collect(), Vec::new(), classes)
}

#[test]
fn a_relay_gives_on_what_labels_allow_and_nothing_else() -> Done {
    let mut sim = network(3, &[all(), all(), all()])?;
    sim.disconnect(0, 2)?;
    publish(&mut sim, 0, 1)?;
    sim.run_for(120)?;
    assert_eq!(sim.held(1, 0), BTreeSet::from([0, 1]));
    assert_eq!(sim.held(2, 0), BTreeSet::from([0]));
    let relayed = logged(&sim, 2);
    assert!(relayed.iter().any(|statement| statement.hop == 1
        && statement.from == sim.setup(1).id
        && statement.parents.len() == 1));
    check_disclosures(&sim);
    // The origin is there again, and gives the rest.
    sim.connect(0, 2)?;
    sim.run_for(120)?;
    assert_eq!(sim.held(2, 0), BTreeSet::from([0, 1]));
    check_disclosures(&sim);
    Ok(())
}

#[test]
fn what_a_wider_policy_allows_comes_later_and_what_a_narrower_one_denies_comes_no_more() -> Done {
    let closed = vec![("share-detect", SHARE_DETECT), ("admit", ADMIT)];
    let mut sim = network(4, &[closed.clone(), all()])?;
    publish(&mut sim, 0, 1)?;
    sim.settle()?;
    assert_eq!(sim.held(1, 0), BTreeSet::from([1]));
    apply(&mut sim, 0, &all())?;
    sim.run_for(120)?;
    assert_eq!(sim.held(1, 0), BTreeSet::from([0, 1]));
    assert_eq!(sim.centre(1).unwrap().missing().count(), 0);
    assert_eq!(sim.live(1, 0), sim.live(0, 0));
    apply(&mut sim, 0, &closed)?;
    publish(&mut sim, 0, 11)?;
    sim.settle()?;
    let second = sim.memory(1).holdings(&origin(&sim, 0), Seq(1)).unwrap();
    let second: Vec<_> = second.iter().map(|row| (row.class.0, row.held)).collect();
    assert_eq!(second, [(0, Held::None), (1, Held::All)]);
    check_disclosures(&sim);
    Ok(())
}

/// Whether a message belongs to a handshake.
fn is_handshake(message: &Message) -> bool {
    !matches!(message, Message::Heads { .. } | Message::Fork(_))
}

#[test]
fn a_lost_message_of_a_handshake_is_said_again_and_nothing_is_logged_twice() -> Done {
    for lost in 0..6 {
        let mut sim = network(5, &[all(), all()])?;
        let mut count = 0;
        sim.lose(move |message| {
            count += usize::from(is_handshake(message));
            is_handshake(message) && count == lost + 1
        });
        publish(&mut sim, 0, 1)?;
        sim.settle()?;
        assert_eq!(sim.live(1, 0), sim.live(0, 0), "message {lost}");
        check_disclosures(&sim);
    }
    Ok(())
}

#[test]
fn a_crash_anywhere_in_a_handshake_is_gone_on_from() -> Done {
    for who in 0..2 {
        for fuse in [Fuse::BeforeCommit, Fuse::AfterCommit] {
            for steps in 0..8 {
                let mut sim = network(6, &[all(), all()])?;
                publish(&mut sim, 0, 1)?;
                for _ in 0..steps {
                    sim.round()?;
                }
                sim.arm(who, fuse);
                sim.run_for(40)?;
                sim.restart(who)?;
                sim.connect_all()?;
                sim.settle()?;
                assert_eq!(sim.live(1, 0), sim.live(0, 0), "{who} {fuse:?} {steps}");
                check_disclosures(&sim);
            }
        }
    }
    Ok(())
}

/// A governed network of three in which centre 0 has published, centre 1 knows its log and nothing more, and centre 0 is
/// played from its own disk.
fn evil_giver() -> Result<Sim, Violation> {
    let mut sim = network(7, &[all(), all(), all()])?;
    sim.disconnect(0, 1)?;
    sim.disconnect(1, 2)?;
    publish(&mut sim, 0, 1)?;
    sim.run_for(60)?;
    let disk = sim.memory(0).clone();
    sim.puppet(0, disk)?;
    sim.lose(|message| matches!(message, Message::Terms { .. }));
    sim.connect(0, 1)?;
    sim.connect(1, 2)?;
    sim.run_for(60)?;
    sim.lose(|_| false);
    Ok(sim)
}

/// The newest proposal to the evil centre 0.
fn proposal(sim: &Sim) -> Proposal {
    let heard = sim.heard().iter().rev();
    let mut proposals = heard.filter_map(|(_, to, message)| match message {
        Message::Propose(proposal) if *to == 0 => Some(proposal.clone()),
        _ => None,
    });
    proposals.next().expect("it was asked")
}

/// The honest statement of centre 0 for what it was asked.
fn statement(sim: &Sim, asked: &Proposal) -> Statement {
    let (memory, origin) = (sim.memory(0), origin(sim, 0));
    let rows = |seq| memory.holdings(&origin, seq).unwrap();
    let [from_policy, origin_policy, to_policy] = asked.policies;
    let given = |(seq, classes): &(Seq, Vec<ClassId>)| Given {
        seq: *seq,
        header: header(sim, *seq),
        classes: rows(*seq)
            .iter()
            .filter(|row| classes.contains(&row.class))
            .map(|row| (row.class, row.count))
            .collect(),
    };
    Statement {
        network: sim.roster().roster().network,
        origin: origin.clone(),
        from: sim.setup(0).id.clone(),
        to: sim.setup(1).id.clone(),
        hop: 0,
        purpose: asked.purpose,
        from_policy,
        origin_policy,
        to_policy,
        deltas: asked.wanted.iter().map(given).collect(),
        time: sim.now(),
        nonce: [7; 16],
        parents: Vec::new(),
    }
}

/// The hash of a header of centre 0.
fn header(sim: &Sim, seq: Seq) -> hashpact_protocol::Hash {
    match leaf(sim, seq) {
        Leaf::Delta { header, .. } => Header::chain_hash(&header),
        _ => panic!("a delta stands there"),
    }
}

/// What the log of centre 0 says of a delta.
fn expected(sim: &Sim, seq: Seq) -> Expected {
    match leaf(sim, seq) {
        Leaf::Delta { table, .. } => Expected {
            origin: origin(sim, 0),
            seq,
            table,
            suspected: BTreeSet::new(),
        },
        _ => panic!("a delta stands there"),
    }
}

fn leaf(sim: &Sim, seq: Seq) -> Leaf {
    let (memory, origin) = (sim.memory(0), origin(sim, 0));
    let index = memory.delta_index(&origin, seq).unwrap();
    let files = |path: &str| memory.log_file(&origin, path);
    let size = memory.log(&origin).size;
    let leaves = read_leaves(&files, size, index, index + 1).unwrap();
    Leaf::from_bytes(&leaves[0]).unwrap()
}

/// What centre 1 says of these terms of an evil centre 0, and whether it holds anything then.
fn said_of(
    change: impl FnOnce(&Sim, &mut Statement) -> Vec<Vec<u8>>,
) -> Result<TermsError, Violation> {
    let mut sim = evil_giver()?;
    // Else it is had from another, once this one is parted from.
    sim.disconnect(1, 2)?;
    let asked = proposal(&sim);
    let mut offered = statement(&sim, &asked);
    let chain = change(&sim, &mut offered);
    let offer = offered.offer(&sim.setup(0).signer(KeyUse::Delta));
    let ask = asked.ask;
    let before = logged(&sim, 1).len();
    sim.inject(0, 1, &Message::Terms { ask, offer, chain });
    sim.drain()?;
    assert_eq!(logged(&sim, 1).len(), before, "nothing is logged");
    assert_eq!(sim.held(1, 0), BTreeSet::new(), "nothing is stored");
    Ok(refused(&sim))
}

/// Why centre 1 refused terms.
fn refused(sim: &Sim) -> TermsError {
    let refused = sim.events().iter().find_map(|(n, event)| match event {
        Event::TransferRefused { error, .. } if *n == 1 => Some(error.clone()),
        _ => None,
    });
    refused.expect("it is refused")
}

#[test]
fn terms_beyond_what_was_asked_are_refused() -> Done {
    let beyond = said_of(|_, offered| {
        offered.deltas[0].classes.push((ClassId(9), 1));
        Vec::new()
    })?;
    let (seq, class) = (Seq(0), ClassId(9));
    assert_eq!(beyond, TermsError::Beyond { seq, class });
    Ok(())
}

#[test]
fn terms_of_another_header_or_count_are_refused() -> Done {
    let header = said_of(|_, offered| {
        offered.deltas[0].header = [1; 32];
        Vec::new()
    })?;
    assert_eq!(header, TermsError::Header { seq: Seq(0) });
    let count = said_of(|_, offered| {
        offered.deltas[0].classes[0].1 += 1;
        Vec::new()
    })?;
    let (seq, class) = (Seq(0), ClassId(0));
    assert_eq!(count, TermsError::Count { seq, class });
    Ok(())
}

#[test]
fn terms_under_another_policy_to_another_or_at_another_time_are_refused() -> Done {
    let policies = said_of(|_, offered| {
        offered.from_policy = offered.from_policy.map(|index| index + 1);
        Vec::new()
    })?;
    assert_eq!(policies, TermsError::Policies);
    let parties = said_of(|sim, offered| {
        offered.to = sim.setup(2).id.clone();
        Vec::new()
    })?;
    assert_eq!(parties, TermsError::Parties);
    let time = said_of(|sim, offered| {
        offered.time = Timestamp::new(sim.now().get() - 2 * 86_400);
        Vec::new()
    });
    assert!(matches!(time?, TermsError::Time | TermsError::Statement(_)));
    Ok(())
}

#[test]
fn terms_that_come_right_after_a_policy_that_denies_them_are_refused() -> Done {
    let mut sim = evil_giver()?;
    sim.disconnect(1, 2)?;
    let asked = proposal(&sim);
    let before = logged(&sim, 1).len();
    // Nothing happens at centre 1 between its own new document, which admits nothing, and these terms under it.
    apply(&mut sim, 1, &[("share", SHARE)])?;
    let offered = Statement {
        to_policy: sim.memory(1).log(&origin(&sim, 1)).policy,
        ..statement(&sim, &asked)
    };
    let terms = Message::Terms {
        ask: asked.ask,
        offer: offered.offer(&sim.setup(0).signer(KeyUse::Delta)),
        chain: Vec::new(),
    };
    sim.inject(0, 1, &terms);
    sim.drain()?;
    assert_eq!(logged(&sim, 1).len(), before, "nothing is logged");
    let (seq, class) = (Seq(0), ClassId(0));
    assert_eq!(refused(&sim), TermsError::NotAllowed { seq, class });
    Ok(())
}

#[test]
fn terms_with_statements_behind_them_that_prove_nothing_are_refused() -> Done {
    let chain = said_of(|sim, _| {
        let kept = sim.memory(2).shelf(Shelf::Statement, &[]);
        let shown = kept
            .iter()
            .map(|(_, kept)| Opening::from_bytes(kept).unwrap().signed);
        shown.take(1).collect()
    })?;
    assert_eq!(chain, TermsError::Chain(ChainError::Unused));
    Ok(())
}

#[test]
fn a_body_that_discloses_more_than_was_agreed_is_refused_and_nothing_of_it_is_stored() -> Done {
    let closed = vec![("share-detect", SHARE_DETECT), ("admit", ADMIT)];
    let mut sim = network(8, &[closed, all(), all()])?;
    sim.expect_faults();
    let log = origin(&sim, 0);
    sim.disconnect(0, 1)?;
    publish(&mut sim, 0, 1)?;
    sim.run_for(30)?;
    let whole = sim.memory(0).body(&log, Seq(0)).unwrap();
    sim.tamper(move |server, request, answer| match request {
        BulkRequest::Body { under: Some(_), .. } if server == 0 => Some(whole.clone()),
        _ => Some(answer),
    });
    sim.connect(0, 1)?;
    sim.run_for(30)?;
    assert_eq!(sim.held(1, 0), BTreeSet::new());
    let (seq, class) = (Seq(0), ClassId(0));
    let reason = Reason::Transfer(TermsError::Body { seq, class });
    assert!(sim.drops().contains(&(1, sim.setup(0).id.clone(), reason)));
    Ok(())
}

#[test]
fn a_body_without_a_statement_is_neither_given_nor_taken() -> Done {
    let mut sim = network(9, &[all(), all(), all()])?;
    publish(&mut sim, 0, 1)?;
    sim.settle()?;
    let ask = |sim: &Sim, who: usize, under| {
        let request = BulkRequest::Body {
            origin: origin(sim, 0),
            seq: Seq(0),
            section: 0,
            offset: 0,
            under,
        };
        let (own, roster) = (origin(sim, 0), sim.roster().roster());
        let asker = &sim.setup(who).id;
        serve::may_answer(&request, asker, &own, roster, sim.now(), sim.memory(0))
    };
    let refused = Err(BulkRefusal::Statement);
    assert_eq!(ask(&sim, 1, None), refused);
    assert_eq!(ask(&sim, 1, Some([1; 32])), refused);
    let kept = sim.memory(1).shelf(Shelf::Statement, &[]);
    let of_first = kept.iter().find(|(_, kept)| {
        let signed = Opening::from_bytes(kept).unwrap().signed;
        Statement::read_unverified(&signed).unwrap().from == sim.setup(0).id
    });
    let hash: [u8; 32] = of_first.unwrap().0.clone().try_into().unwrap();
    let classes = BTreeSet::from([ClassId(0), ClassId(1)]);
    assert_eq!(ask(&sim, 1, Some(hash)), Ok(Answer::Classes(classes)));
    // Another's statement, and one that is older than a policy or an hour.
    assert_eq!(ask(&sim, 2, Some(hash)), refused);
    let disk = sim.memory(0).clone();
    apply(&mut sim, 0, &all())?;
    assert_eq!(ask(&sim, 1, Some(hash)), refused);
    let later = Timestamp::new(sim.now().get() + 3_600);
    let request = BulkRequest::Body {
        origin: origin(&sim, 0),
        seq: Seq(0),
        section: 0,
        offset: 0,
        under: Some(hash),
    };
    let (own, roster) = (origin(&sim, 0), sim.roster().roster());
    let asker = &sim.setup(1).id;
    assert_eq!(
        serve::may_answer(&request, asker, &own, roster, later, &disk),
        refused
    );
    Ok(())
}

#[test]
fn a_taker_that_agrees_to_what_was_not_offered_gets_nothing() -> Done {
    let mut sim = network(10, &[all(), all(), all()])?;
    sim.disconnect(0, 1)?;
    publish(&mut sim, 0, 1)?;
    sim.run_for(30)?;
    let disk = sim.memory(1).clone();
    sim.puppet(1, disk)?;
    sim.connect(0, 1)?;
    let before = logged(&sim, 0).len();
    let memory = sim.memory(0);
    let asked = Proposal {
        ask: 1,
        origin: origin(&sim, 0),
        purpose: Purpose::Detect,
        policies: [0, 0, 1].map(|n| memory.log(&origin(&sim, n)).policy),
        wanted: vec![(Seq(0), vec![ClassId(0), ClassId(1)])],
    };
    // Under its own signature twice, as it does not have the giver's.
    let forged = statement(&sim, &asked);
    let offer = forged.offer(&sim.setup(2).signer(KeyUse::Delta));
    let agreed = Statement::agree(&offer, &sim.setup(1).signer(KeyUse::Delta)).unwrap();
    sim.inject(1, 0, &Message::Agreed(agreed.clone()));
    sim.drain()?;
    let void = Message::Declined {
        ask: 0,
        statement: Some(Statement::hash(&agreed)),
        why: Decline::Void,
    };
    let answer = sim.heard().iter().rev().map(|(.., message)| message);
    let answer = answer.into_iter().find(|message| is_handshake(message));
    assert_eq!(answer, Some(&void));
    assert_eq!(logged(&sim, 0).len(), before);
    Ok(())
}

/// Centre 1, as a puppet, has an offer of centre 0 and agrees to it: what it would say, and how much 0 has logged.
fn agree(sim: &mut Sim) -> Result<(Vec<u8>, usize), Violation> {
    sim.disconnect(0, 1)?;
    publish(sim, 0, 1)?;
    sim.run_for(30)?;
    let disk = sim.memory(1).clone();
    sim.puppet(1, disk)?;
    sim.connect(0, 1)?;
    let memory = sim.memory(0);
    let asked = Proposal {
        ask: 1,
        origin: origin(sim, 0),
        purpose: Purpose::Detect,
        policies: [0, 0, 1].map(|n| memory.log(&origin(sim, n)).policy),
        wanted: vec![(Seq(0), vec![ClassId(0), ClassId(1)])],
    };
    sim.inject(1, 0, &Message::Propose(asked));
    sim.drain()?;
    let offer = sim.heard().iter().find_map(|(.., message)| match message {
        Message::Terms { offer, .. } => Some(offer.clone()),
        _ => None,
    });
    let agreed = Statement::agree(&offer.unwrap(), &sim.setup(1).signer(KeyUse::Delta)).unwrap();
    Ok((agreed, logged(sim, 0).len()))
}

#[test]
fn a_relay_that_cuts_a_record_out_of_a_class_has_not_given_it_and_is_told_of() -> Done {
    let mut sim = network(12, &[all(), all(), all()])?;
    sim.expect_faults();
    sim.disconnect(0, 2)?;
    sim.disconnect(1, 2)?;
    publish(&mut sim, 0, 1)?;
    sim.run_for(60)?;
    let (log, seq) = (origin(&sim, 0), Seq(0));
    let expected = expected(&sim, seq);
    sim.tamper(move |server, request, answer| match request {
        BulkRequest::Body { under: Some(_), .. } if server == 1 => {
            let body = Body::verify(answer, &expected).ok()?;
            let (_, _, first) = body.records().next()?;
            let gone = [Record::from_bytes(first).ok()?.entry].into();
            Some(body.punctured(&log, seq, &gone))
        }
        _ => Some(answer),
    });
    sim.connect(1, 2)?;
    sim.run_for(1_200)?;
    assert_eq!(sim.held(2, 0), BTreeSet::new());
    let relay = sim.setup(1).id.clone();
    let told = sim.events().iter().any(|(n, event)| {
        matches!(event, Event::SurplusWithheld { class, count, from, .. }
            if *n == 2 && *class == ClassId(0) && *count == 2 && *from == relay)
    });
    assert!(told);
    // Another gives all of it.
    sim.tamper_no_more();
    sim.connect(0, 2)?;
    sim.run_for(600)?;
    assert_eq!(sim.held(2, 0), BTreeSet::from([0, 1]));
    Ok(())
}

#[test]
fn an_offer_is_agreed_to_once_however_often_it_is_said() -> Done {
    let mut sim = network(13, &[all(), all(), all()])?;
    let (agreed, before) = agree(&mut sim)?;
    let why = |sim: &Sim| {
        let said = sim.heard().last().map(|(.., message)| message.clone());
        match said {
            Some(Message::Declined { why, .. }) => Some(why),
            _ => None,
        }
    };
    for _ in 0..3 {
        sim.inject(1, 0, &Message::Agreed(agreed.clone()));
        sim.drain()?;
        assert_eq!(logged(&sim, 0).len(), before + 1);
        assert_eq!(why(&sim), None);
    }
    // When it is over, it is over: the leaf that it has goes on to open.
    sim.run_for(limits::STATEMENT_SERVES_S + 60)?;
    sim.inject(1, 0, &Message::Agreed(agreed));
    sim.drain()?;
    assert_eq!(logged(&sim, 0).len(), before + 1);
    assert_eq!(why(&sim), Some(Decline::Void));
    Ok(())
}

#[test]
fn an_offer_that_policy_has_overtaken_is_not_logged() -> Done {
    let mut sim = network(11, &[all(), all(), all()])?;
    let (agreed, _) = agree(&mut sim)?;
    apply(&mut sim, 0, &[("admit", ADMIT)])?;
    let before = logged(&sim, 0).len();
    sim.inject(1, 0, &Message::Agreed(agreed));
    sim.drain()?;
    let why = sim
        .heard()
        .iter()
        .rev()
        .find_map(|(.., message)| match message {
            Message::Declined { why, .. } => Some(*why),
            _ => None,
        });
    assert_eq!(why, Some(Decline::Policies));
    assert_eq!(logged(&sim, 0).len(), before);
    Ok(())
}

#[test]
fn a_giver_that_withholds_what_policy_allows_is_told_of() -> Done {
    let mut sim = evil_giver()?;
    // Nobody else is asked.
    sim.disconnect(1, 2)?;
    let mut answered = 0;
    for _ in 0..400 {
        let asked = proposal(&sim).ask;
        if asked != answered {
            answered = asked;
            let declined = Message::Declined {
                ask: asked,
                statement: None,
                why: Decline::Nothing,
            };
            sim.inject(0, 1, &declined);
        }
        sim.run_for(1)?;
    }
    let surplus = sim.events().iter().filter_map(|(n, event)| match event {
        Event::SurplusWithheld {
            class, count, from, ..
        } if *n == 1 => Some((class.0, *count, from.clone())),
        _ => None,
    });
    let giver = sim.setup(0).id.clone();
    let told: Vec<_> = surplus.collect();
    assert_eq!(told, [(0, 2, giver.clone()), (1, 2, giver.clone())]);
    // The delta is applied without: its retractions do not wait.
    assert_eq!(sim.memory(1).log(&origin(&sim, 0)).applied, Seq(1));
    let rows: Vec<_> = sim
        .centre(1)
        .unwrap()
        .missing()
        .map(|(.., row)| row.by.clone())
        .collect();
    assert_eq!(rows, vec![Withholder::Surplus(giver); 2]);
    Ok(())
}

#[test]
fn a_relay_that_never_had_a_class_is_accused_of_nothing() -> Done {
    let mut sim = network(14, &[all(), all(), all()])?;
    // Both know what is in the log, and neither was given any of it.
    sim.lose(|message| matches!(message, Message::Propose(_)));
    publish(&mut sim, 0, 1)?;
    sim.run_for(30)?;
    sim.disconnect(0, 1)?;
    sim.disconnect(0, 2)?;
    sim.lose(|_| false);
    // An accusation would end this: nobody here is expected to do wrong.
    sim.run_for(2 * limits::ASK_AGAIN_S)?;
    let nothing = |line: &&String| line.contains("declined") && line.contains("nothing");
    assert!(sim.journal().iter().filter(nothing).count() > 2);
    sim.connect_all()?;
    sim.run_for(300)?;
    for n in [1, 2] {
        assert_eq!(sim.live(n, 0), sim.live(0, 0));
    }
    Ok(())
}

/// Who may share, give on and admit what, by chance: each centre for each purpose a set of centres.
#[derive(Clone, Copy)]
struct Rule {
    share: u8,
    reshare: u8,
    admit: u8,
}

const PURPOSES: [&str; 2] = ["triage", "detect"];

/// The policy of these rules, one for each purpose.
fn cedar(sim: &Sim, rules: [Rule; 2]) -> Vec<(String, String)> {
    let mut policies = Vec::new();
    for (rule, purpose) in rules.iter().zip(PURPOSES) {
        for (action, set) in [
            ("share", rule.share),
            ("reshare", rule.reshare),
            ("admit", rule.admit),
        ] {
            for n in (0..sim.len()).filter(|n| set & (1 << n) != 0) {
                let id = &sim.setup(n).id;
                policies.push((
                    format!("{action}-{purpose}-{id}"),
                    format!("permit (principal == Centre::\"{id}\", action == Action::\"{action}\", resource) when {{ resource.granted.purposes.contains(\"{purpose}\") }};"),
                ));
            }
        }
    }
    policies
}

/// Centres that a class of centre 0 may be at, by a filter that knows nothing of the code under test: whoever is reached by
/// permitted steps, the first from the origin and at most `hops` more.
fn allowed(rules: &[[Rule; 2]], purpose: usize, hops: u8) -> BTreeSet<usize> {
    let has = |set: u8, n: usize| set & (1 << n) != 0;
    let step = |from: usize, to: usize| {
        let shares = has(rules[0][purpose].share, to);
        let gives = from == 0 || has(rules[from][purpose].reshare, to);
        to != 0 && shares && gives && has(rules[to][purpose].admit, from)
    };
    let mut at = BTreeSet::from([0]);
    for _ in 0..=hops {
        let next: Vec<_> = at
            .iter()
            .flat_map(|from| (0..rules.len()).filter(|to| step(*from, *to)))
            .collect();
        at.extend(next);
    }
    at
}

fn restricted_by_chance(seed: u64) -> Done {
    let mut chance = Seeded::new(seed ^ 0xfeed);
    let mut set = || u8::try_from(chance.below(32)).unwrap();
    let rules: Vec<[Rule; 2]> = (0..5)
        .map(|_| {
            [(); 2].map(|()| Rule {
                share: set() | set(),
                reshare: set() | set(),
                admit: set() | set(),
            })
        })
        .collect();
    let mut sim = Sim::governed(seed, 5)?;
    sim.connect_all()?;
    sim.run_for(10)?;
    for (n, rules) in rules.iter().enumerate() {
        let policies = cedar(&sim, *rules);
        let policies: Vec<_> = policies
            .iter()
            .map(|(id, text)| (id.as_str(), text.as_str()))
            .collect();
        apply(&mut sim, n, &policies)?;
    }
    sim.run_for(10)?;
    // Some lines are down at first, and others later: what goes another way must not go farther.
    let lines: Vec<(usize, usize)> = (0..5)
        .flat_map(|a| (a + 1..5).map(move |b| (a, b)))
        .collect();
    for (a, b) in &lines {
        if chance.below(3) == 0 {
            sim.disconnect(*a, *b)?;
        }
    }
    let mut classes = Vec::new();
    for purpose in 0..2_u8 {
        for hops in 0..3 {
            classes.push((purpose, hops));
        }
    }
    let tuples = classes
        .iter()
        .map(|(purpose, hops)| labels(&sim, 0, 2 << purpose, *hops));
    let tuples: Vec<_> = tuples.collect();
    for round in 0..3_u64 {
        let records = (round * 12..round * 12 + 12).map(hashpact_protocol::testing::record);
        sim.publish_under(0, records.collect(), Vec::new(), tuples.clone())?;
        sim.run_for(30)?;
        let (a, b) = lines[chance.below(lines.len())];
        sim.disconnect(a, b)?;
        let n = chance.below(5);
        sim.crash(n)?;
        sim.run_for(30)?;
        sim.restart(n)?;
        let (a, b) = lines[chance.below(lines.len())];
        sim.connect(a, b)?;
    }
    sim.run_for(100)?;
    sim.settle()?;
    sim.connect_all()?;
    sim.run_for(200)?;
    for n in 1..5 {
        let here = sim.held(n, 0);
        for (class, (purpose, hops)) in classes.iter().enumerate() {
            let may = allowed(&rules, usize::from(*purpose), *hops).contains(&n);
            let is = here.contains(&u16::try_from(class).unwrap());
            // In the end everybody met, so that what may reach a centre has.
            assert_eq!(
                is, may,
                "seed {seed}: centre {n}, class {class}, hops {hops}"
            );
        }
    }
    check_disclosures(&sim);
    Ok(())
}

#[test]
fn restricted_class_never_left_its_allowed_set_by_any_path() -> Done {
    let first = env("HASHPACT_SEED").unwrap_or(0);
    let cases = env("HASHPACT_CASES").unwrap_or(6);
    (first..first + cases).try_for_each(restricted_by_chance)
}

#[test]
fn by_chance_governed_networks_agree_and_disclose_nothing_unlogged() -> Done {
    for seed in 0..4 {
        let mut sim = network(seed, &[all(), all(), all()])?;
        (0..300).try_for_each(|_| sim.act())?;
        sim.heal()?;
        check_disclosures(&sim);
    }
    Ok(())
}
