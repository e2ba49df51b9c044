//! Machines suspect, people assess: no centre signs or takes a classifier's opinion for anything but a suspicion.

use std::collections::BTreeSet;

use hashpact_keys::KeyUse;
use hashpact_protocol::centre::{CommandError, Event};
use hashpact_protocol::delta::{BodyError, Draft, DraftError, Expected, Retraction, Sealed, Seq};
use hashpact_protocol::labels::{ClassId, Labels, State};
use hashpact_protocol::policy::Policy;
use hashpact_protocol::record::Record;
use hashpact_protocol::testing::forge::Forge;
use hashpact_protocol::testing::rng::Seeded;
use hashpact_protocol::testing::sim::{Sim, Violation, class_labels};
use hashpact_protocol::testing::{batch, classified, record};
use hashpact_protocol::verify::ReceivedBody;
use hashpact_protocol::view::{LogState, View as _, Write};
use hashpact_protocol::wire::Message;

type Done = Result<(), Violation>;

const STATES: [State; 3] = [State::Suspected, State::Assessed, State::Disputed];

fn labels(sim: &Sim, state: State) -> Labels {
    Labels {
        state,
        ..class_labels(sim.setup(0), 1)
    }
}

fn draft(class: ClassId, records: &[Record]) -> Result<Draft, DraftError> {
    let bytes: Vec<_> = records.iter().map(Record::to_bytes).collect();
    let items = records.iter().zip(&bytes);
    let items = items.map(|(record, bytes)| (class, record.entry, bytes.as_slice()));
    Draft::new(items, Vec::<Retraction>::new(), &mut Seeded::new(7))
}

fn rule(rule: &'static str) -> Violation {
    Violation::Rule { centre: 0, rule }
}

#[test]
fn a_centre_signs_no_classifiers_opinion_outside_its_suspected_classes() -> Done {
    for state in STATES {
        let mut sim = Sim::new(1, 2, true)?;
        let labels = labels(&sim, state);
        let publish = |sim: &mut Sim, records| {
            sim.publish_under(0, records, Vec::new(), vec![labels.clone()])
        };
        publish(&mut sim, vec![record(1)])?;
        let answer = publish(&mut sim, vec![record(2), classified(3)]);
        let expected = match state {
            State::Suspected => Ok(()),
            State::Assessed | State::Disputed => {
                let class = ClassId(0);
                let error = Box::new(CommandError::Classifier { class });
                Err(Violation::Refused { centre: 0, error })
            }
        };
        assert_eq!(answer, expected, "{state:?}");
    }
    Ok(())
}

/// What centre 1 does with a classifier's opinion that an evil centre 0 signed into its only class, and how many of the
/// deltas it applied.
fn received(state: State) -> Result<(Option<BodyError>, Seq), Violation> {
    let mut sim = Sim::new(1, 2, true)?;
    let mut forge = Forge::new(sim.setup(0), sim.roster());
    let definitions = forge.definitions(0, &[labels(&sim, state)]);
    let classes = forge.define(&definitions, &forge.signer(KeyUse::Delta));
    let origin = sim.setup(0).origin.clone();
    let sealed = draft(ClassId(0), &[record(1), classified(2)]);
    let sealed = sealed.and_then(|draft| draft.seal(&origin, Seq(0)));
    let Sealed { table, body } = sealed.map_err(|_| rule("seals nothing"))?;
    let delta = forge.delta(&forge.header(&table), &table);
    let head = forge.extend(&[classes, delta]);
    let (suspected, seq) = (BTreeSet::from([ClassId(0)]), Seq(0));
    let believed = Expected {
        origin: origin.clone(),
        seq,
        table,
        suspected,
    };
    let mut memory = forge.memory().clone();
    let verified = ReceivedBody(body.bytes().to_vec()).verify(&believed);
    let body = verified
        .ok()
        .and_then(|body| Policy::DemoOpen.admit(body).ok());
    let body = body.ok_or(rule("does not believe itself"))?;
    let state = LogState {
        applied: Seq(1),
        retracted: Seq(1),
        ..memory.log(&origin)
    };
    let its_own = vec![
        Write::Body(body),
        Write::State {
            origin: origin.clone(),
            state,
        },
    ];
    memory
        .apply(batch(its_own))
        .map_err(|_| rule("does not store its own"))?;
    sim.puppet(0, memory)?;
    sim.connect(0, 1)?;
    let notes = vec![head.note().to_vec()];
    let (session, counter) = (9, 1);
    let heads = Message::Heads {
        session,
        counter,
        notes,
    };
    sim.inject(0, 1, &heads);
    sim.run_for(100)?;
    let refused = sim.events().iter().find_map(|(_, event)| {
        let Event::BodyRefused { error, .. } = event else {
            return None;
        };
        Some(error.clone())
    });
    assert_eq!(sim.drops(), [], "its retractions are still wanted");
    Ok((refused, sim.memory(1).log(&origin).applied))
}

#[test]
fn a_record_that_only_a_classifier_speaks_for_is_refused_on_receipt_unless_suspected() -> Done {
    let mut records = [record(1), classified(2)];
    records.sort_by_key(|record| record.entry);
    let index = usize::from(records[0].fields.classifier.is_none());
    let class = ClassId(0);
    for state in STATES {
        let expected = match state {
            State::Suspected => (None, Seq(1)),
            State::Assessed | State::Disputed => {
                (Some(BodyError::Classifier { class, index }), Seq(0))
            }
        };
        assert_eq!(received(state)?, expected, "{state:?}");
    }
    Ok(())
}
