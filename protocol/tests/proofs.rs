//! What proofs weigh: they are passed on by mail and printed in annexes, so they are held to sizes.

use hashpact_protocol::delta::RecordProof;
use hashpact_protocol::log::LogProof;
use hashpact_protocol::testing::proofs::Sample;

/// A line of a cosignature, with a witness name of ordinary length.
const COSIGNATURE_BYTES: usize = 160;

#[test]
fn proof_sizes_are_small() {
    for witnesses in [0, 4] {
        let sample = Sample::new(10_000, 10_000, witnesses);
        let leaf = sample.prove_leaf().to_text();
        assert!(
            leaf.len() < 1_024 + witnesses * COSIGNATURE_BYTES,
            "{} bytes with {witnesses} cosignatures",
            leaf.len()
        );
        let proof = LogProof::from_text(leaf.as_bytes()).unwrap();
        assert_eq!(sample.verify_leaf(&proof).unwrap().size, 10_000);
        let record = sample.prover().prove(sample.entry()).unwrap().to_bytes();
        assert!(record.len() < 2_048, "{} bytes", record.len());
        let proof = RecordProof::from_bytes(&record).unwrap();
        assert_eq!(sample.verify_record(&proof).unwrap().count, 10_000);
    }
}
