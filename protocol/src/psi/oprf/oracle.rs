//! The oblivious function of private matching, compared with another implementation of RFC 9497: crate `voprf-ng`.
//!
//! Their client takes what our server answers, proof included, and ours what theirs does, on random batches of every size.

use super::{Blinds, CountBlind, Evaluation, FinishError, Proof, ServerKey, Verifier};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use voprf_ng::{
    BlindedElement, EvaluationElement, Group as _, OprfClient, OprfServer, Ristretto255,
    VoprfClient, VoprfServer,
};

type Inputs = Vec<Vec<u8>>;

fn random_inputs(count: usize, rng: &mut ChaCha20Rng) -> Inputs {
    let lengths = [17, 21, 33, 145];
    let mut inputs = Vec::with_capacity(count);
    for index in 0..count {
        let mut input = vec![0; lengths[index % lengths.len()]];
        rng.fill_bytes(&mut input);
        inputs.push(input);
    }
    inputs
}

fn slices(inputs: &Inputs) -> impl Iterator<Item = &[u8]> {
    inputs.iter().map(Vec::as_slice)
}

fn bytes<const N: usize>(serialized: &[u8]) -> [u8; N] {
    serialized.try_into().expect("its length")
}

/// Items that differ in a batch of theirs.
const DISTINCT: usize = 4_096;

fn their_server(key: &ServerKey) -> VoprfServer<Ristretto255> {
    VoprfServer::new_with_key(key.expose().as_slice()).expect("a key")
}

/// What their client makes of our answer is what their server says of the inputs.
fn their_client_takes_our_answers(inputs: &Inputs, rng: &mut ChaCha20Rng) {
    let key = ServerKey::generate(rng);
    let theirs = their_server(&key);
    assert_eq!(
        theirs.get_public_key().compress().to_bytes(),
        *key.public().as_bytes()
    );
    // Their client draws a blind by rejection, which is slow: long batches repeat some, and a proof tells places apart.
    let (mut clients, mut blinded): (Vec<VoprfClient<Ristretto255>>, Vec<_>) = Default::default();
    for (index, input) in inputs.iter().enumerate() {
        if let Some(before) = index.checked_sub(DISTINCT) {
            clients.push(clients[before].clone());
            blinded.push(blinded[before]);
            continue;
        }
        let result = VoprfClient::<Ristretto255>::blind(input, rng).expect("blinded");
        clients.push(result.state);
        blinded.push(bytes(&result.message.serialize()));
    }
    let evaluation = key.evaluate_proven(&blinded, rng).expect("evaluated");
    let messages: Vec<_> = evaluation
        .points
        .iter()
        .map(|point| EvaluationElement::<Ristretto255>::deserialize(point).expect("a point"))
        .collect();
    let proof = voprf_ng::Proof::deserialize(&evaluation.proof.0).expect("a proof");
    let outputs =
        VoprfClient::batch_finalize(inputs, &clients, &messages, &proof, theirs.get_public_key())
            .expect("our proof holds");
    // Their server's own outputs are slow: some of them, the first and the last among them.
    let step = (inputs.len() / 100).max(1);
    for (index, (output, input)) in outputs.zip(inputs).enumerate() {
        let output = output.expect("an output");
        if index % step == 0 || index + 1 == inputs.len() {
            assert_eq!(output, theirs.evaluate(input).expect("an output"));
        }
    }
}

/// What our client makes of their answer is what our server says of the inputs.
fn our_client_takes_their_answers(inputs: &Inputs, rng: &mut ChaCha20Rng) {
    let key = ServerKey::generate(rng);
    let theirs = their_server(&key);
    let blinds = Blinds::draw(slices(inputs), rng);
    let read = |point: &[u8; 32]| BlindedElement::<Ristretto255>::deserialize(point);
    let blinded: Vec<_> = blinds
        .points()
        .iter()
        .map(|point| read(point).expect("a point"))
        .collect();
    let result = theirs
        .batch_blind_evaluate(rng, &blinded)
        .expect("evaluated");
    let evaluation = Evaluation {
        points: result
            .messages
            .iter()
            .map(|message| bytes(&message.serialize()))
            .collect(),
        proof: Proof(bytes(&result.proof.serialize())),
    };
    let verifier = Verifier::new(&key.public());
    let got = verifier
        .finish(&blinds, &evaluation)
        .expect("their proof holds");
    assert_eq!(got.len(), inputs.len());
    for (got, item) in got.iter().zip(key.items(slices(inputs).take(1_000))) {
        assert_eq!(*got, item.doubled);
    }
    let last = key.items(slices(inputs).skip(inputs.len() - 1));
    assert_eq!(got.last(), Some(&last[0].doubled));
    if inputs.len() < 1_000 {
        let other = Verifier::new(&ServerKey::generate(rng).public());
        assert_eq!(other.finish(&blinds, &evaluation), Err(FinishError::Proof));
    }
}

fn both_ways(count: usize, seed: u64) {
    let rng = &mut ChaCha20Rng::seed_from_u64(seed);
    let inputs = random_inputs(count, rng);
    their_client_takes_our_answers(&inputs, rng);
    our_client_takes_their_answers(&inputs, rng);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn random_batches_agree_with_voprf_ng_both_ways(count in 1..300_usize, seed: u64) {
        both_ways(count, seed);
    }
}

/// Around the sizes at which the sums of a proof are computed in another way (190, 500 and 800 points).
#[test]
fn batches_at_the_edges_agree_with_voprf_ng_both_ways() {
    for (count, seed) in [1, 2, 189, 190, 499, 500, 799, 800].into_iter().zip(0..) {
        both_ways(count, seed);
    }
}

/// The largest batch that a proof covers.
#[test]
fn their_client_takes_our_answers_of_65_535() {
    let rng = &mut ChaCha20Rng::seed_from_u64(65_535);
    let distinct = random_inputs(DISTINCT, rng);
    let inputs = distinct.iter().cycle().take(65_535).cloned().collect();
    their_client_takes_our_answers(&inputs, rng);
}

#[test]
fn our_client_takes_their_answers_of_65_535() {
    let rng = &mut ChaCha20Rng::seed_from_u64(65_535);
    let inputs = random_inputs(65_535, rng);
    our_client_takes_their_answers(&inputs, rng);
}

/// Points of OPRF mode, which has no proof, are the same function of key and point.
#[test]
fn without_a_proof_the_points_are_those_of_voprf_ng() {
    let rng = &mut ChaCha20Rng::seed_from_u64(3);
    let key = ServerKey::generate(rng);
    let server = OprfServer::<Ristretto255>::new_with_key(key.expose().as_slice()).expect("a key");
    for input in &random_inputs(50, rng) {
        let result = OprfClient::<Ristretto255>::blind(input, rng).expect("blinded");
        let theirs = server.blind_evaluate(&result.message).serialize();
        let blinded = bytes(&result.message.serialize());
        assert_eq!(key.evaluate(&[blinded]), Ok(vec![bytes(&theirs)]));
    }
}

/// `2 * HashToGroup(x)` in mode VOPRF, blinded by one number.
#[test]
fn a_count_session_sends_the_points_of_the_inputs_times_one_number() {
    let rng = &mut ChaCha20Rng::seed_from_u64(4);
    let inputs = random_inputs(20, rng);
    let blind = CountBlind::draw(rng);
    let sent = blind.blind(slices(&inputs));
    // With the key 1, what comes back is what was sent, and what it unblinds to is twice the point of the input.
    let doubled = blind.unblind(&sent).expect("points");
    let one = Ristretto255::deserialize_scalar(&number(1)).expect("a scalar");
    let four = ServerKey::from_bytes(&number(4)).expect("a key");
    for (input, doubled) in inputs.iter().zip(doubled) {
        let hashed = VoprfClient::<Ristretto255>::deterministic_blind_unchecked(input, one);
        let point = bytes(&hashed.expect("hashed").message.serialize());
        assert_eq!(four.evaluate(&[point]), Ok(vec![doubled]));
    }
}

fn number(value: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = value;
    bytes
}
