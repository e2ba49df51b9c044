//! What withholding costs whoever serves: a body read off a node's disk whole, and with one class withheld.
//!
//! | figure | reference |
//! |---|---|
//! | a class of one record withheld | the same body whole, served in turn with it |
//! | a class of an eighth of the records withheld | the same a byte served |
//!
//! In scope: opening, unsealing and cutting. Out of scope: the network, whether somebody may have the class.

use anyhow::{Context as _, Result};
use hashpact_keys::Origin;
use hashpact_node::store::durable::Steps;
use hashpact_node::store::index::IndexKey;
use hashpact_node::store::sealed::SealKey;
use hashpact_node::store::{ServingCost, Store, StoreKeys};
use hashpact_protocol::delta::{Draft, Expected, Seq};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::policy::Policy;
use hashpact_protocol::testing;
use hashpact_protocol::verify::ReceivedBody;
use hashpact_protocol::view::Write;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;

/// Classes that share the records, beside the first, which has one.
const CLASSES: u16 = 8;
const ROUNDS: u32 = 30;

/// What withholding costs in a body of so many records.
#[derive(Clone, Copy, Debug)]
pub struct Serving {
    /// Records of the body.
    pub records: u64,
    /// A class of one record is withheld: as much is read as of the whole.
    pub one_record: ServingCost,
    /// A class of an eighth of the records is withheld.
    pub one_class: ServingCost,
}

impl Serving {
    /// Time of serving with a class of one record withheld, as a part of serving it whole.
    #[must_use]
    pub fn time_ratio(&self) -> f64 {
        self.one_record.narrowed.as_secs_f64() / self.one_record.whole.as_secs_f64()
    }

    /// Time a byte of serving with an eighth withheld, as a part of serving it whole.
    #[must_use]
    pub fn byte_ratio(&self) -> f64 {
        let ServingCost {
            whole_bytes,
            whole,
            narrowed_bytes,
            narrowed,
        } = self.one_class;
        let a_byte = |time: std::time::Duration, bytes: u64| time.as_secs_f64() / bytes as f64;
        a_byte(narrowed, narrowed_bytes) / a_byte(whole, whole_bytes)
    }
}

/// Measures a body of `records` synthetic records, at most
/// [`RECORDS_PER_DELTA`](hashpact_protocol::limits::RECORDS_PER_DELTA), in a store of its own.
///
/// # Errors
/// Those of the store and of its folder.
pub fn measure(records: u64) -> Result<Serving> {
    let dir = tempfile::tempdir()?;
    let origin: Origin = "eu.example/eu/1".parse()?;
    let keys = StoreKeys {
        seal: SealKey::new(&[1; 32]),
        index: IndexKey::new(&[2; 32]),
    };
    let store = Store::open(dir.path(), keys, origin.clone(), Steps::default())?;
    let classes = (0..=CLASSES).map(|class| (ClassId(class), testing::labels()));
    let defined = Write::Log {
        origin: origin.clone(),
        from: 0,
        files: Vec::new(),
        deltas: Vec::new(),
        classes: classes.collect(),
        policies: Vec::new(),
        manifests: Vec::new(),
    };
    store.commit(testing::batch(vec![defined, body(&origin, records)?]))?;
    let cost = |class| {
        let cost = store.measure_serving(&origin, Seq(0), ClassId(class), ROUNDS)?;
        cost.context("the body that was just stored")
    };
    Ok(Serving {
        records,
        one_record: cost(0)?,
        one_class: cost(1)?,
    })
}

fn body(origin: &Origin, records: u64) -> Result<Write> {
    let class_of = |n: u64| match n {
        0 => ClassId(0),
        n => ClassId(u16::try_from(n % u64::from(CLASSES)).unwrap_or(0) + 1),
    };
    let records: Vec<_> = (0..records)
        .map(|n| (class_of(n), testing::record(n)))
        .map(|(class, record)| (class, record.entry, record.to_bytes()))
        .collect();
    let items = records.iter();
    let items = items.map(|(class, entry, bytes)| (*class, *entry, &bytes[..]));
    let mut rng = ChaCha20Rng::seed_from_u64(0);
    let sealed = Draft::new(items, Vec::new(), &mut rng)?.seal(origin, Seq(0))?;
    let expected = Expected {
        origin: origin.clone(),
        seq: Seq(0),
        table: sealed.table,
        suspected: std::collections::BTreeSet::new(),
    };
    let bytes = sealed.body.bytes().to_vec();
    let admitted = Policy::DemoOpen.admit(ReceivedBody(bytes).verify(&expected)?);
    Ok(Write::Body(admitted?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_that_is_withheld_is_not_in_what_is_served() {
        let Serving {
            one_record,
            one_class,
            ..
        } = measure(900).unwrap();
        assert_eq!(one_record.whole_bytes, one_class.whole_bytes);
        let record = testing::record(0).to_bytes().len() as u64;
        // A seed and the record on the one side, a root on the other: heads differ by a byte or two.
        let less = one_record.whole_bytes - one_record.narrowed_bytes;
        assert!((record..record + 4).contains(&less), "{less}");
        let eighth = one_class.whole_bytes - one_class.narrowed_bytes;
        assert!(
            (eighth * 8).abs_diff(one_class.whole_bytes) < 4_000,
            "{eighth}"
        );
    }
}
