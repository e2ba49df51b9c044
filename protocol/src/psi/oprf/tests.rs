//! The RFC's vectors, and what is refused.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Appendix {
    modes: Vec<ModeVectors>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ModeVectors {
    #[serde(rename = "mode")]
    mode: String,
    seed: String,
    key_info: String,
    #[serde(rename = "skSm")]
    secret: String,
    #[serde(rename = "pkSm")]
    public: Option<String>,
    #[serde(rename = "vectors")]
    vectors: Vec<Vector>,
}

/// Lists are parted by commas, as in the RFC.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Vector {
    input: String,
    blind: String,
    blinded_element: String,
    evaluation_element: String,
    proof: Option<String>,
    proof_random_scalar: Option<String>,
    output: String,
}

fn appendix() -> Vec<ModeVectors> {
    let appendix: Appendix = serde_json::from_str(include_str!("rfc9497.json")).expect("JSON");
    appendix.modes
}

fn fixed<const N: usize>(text: &str) -> [u8; N] {
    let bytes = hex::decode(text).expect("hexadecimal");
    bytes.try_into().expect("its length")
}

fn list<const N: usize>(text: &str) -> Vec<[u8; N]> {
    text.split(',').map(fixed).collect()
}

impl ModeVectors {
    fn mode(&self) -> Mode {
        match self.mode.as_str() {
            "OPRF" => Mode::Oprf,
            "VOPRF" => Mode::Voprf,
            other => panic!("mode {other}"),
        }
    }

    fn key(&self) -> ServerKey {
        let info = hex::decode(&self.key_info).expect("hexadecimal");
        ServerKey::derive_in(self.mode(), &fixed(&self.seed), &info)
    }
}

fn secret(bytes: &[u8; 32]) -> Secret {
    Secret::from_bytes(bytes).expect("reduced")
}

#[test]
fn all_vectors_of_both_modes_are_there() {
    let counts: Vec<_> = appendix().iter().map(|mode| mode.vectors.len()).collect();
    assert_eq!(counts, [2, 3]);
}

#[test]
fn rfc_9497_keys() {
    for vectors in appendix() {
        let key = vectors.key();
        assert_eq!(*key.expose(), fixed(&vectors.secret), "{}", vectors.mode);
        if let Some(public) = &vectors.public {
            assert_eq!(*key.public().as_bytes(), fixed(public));
        }
    }
}

#[test]
fn rfc_9497_blinded_elements_and_outputs() {
    for vectors in appendix() {
        let quarter = secret(&scalar(4)).inverse();
        for vector in &vectors.vectors {
            let inputs = vector.input.split(',').zip(list::<64>(&vector.output));
            let elements = list(&vector.blinded_element)
                .into_iter()
                .zip(list(&vector.evaluation_element));
            let blinds = list(&vector.blind);
            for (((input, output), (blinded, evaluated)), blind) in inputs.zip(elements).zip(blinds)
            {
                let input = hex::decode(input).expect("hexadecimal");
                // The RFC's blind, for a point that is twice the RFC's.
                let blind = CountBlind::new(secret(&blind).half(), vectors.mode());
                let ours = blind.blind([input.as_slice()].into_iter());
                assert_eq!(ours, [blinded]);
                // 4kH, and so kH, which the RFC hashes.
                let doubled = blind.unblind(&[evaluated]).expect("a point");
                let element = Points::decode(&doubled)
                    .expect("a point")
                    .times(&quarter.half())
                    .encode_doubled();
                assert_eq!(suite::output(&input, &element[0]), output);
            }
        }
    }
}

#[test]
fn rfc_9497_evaluations_and_proofs() {
    for vectors in appendix() {
        let key = vectors.key();
        for vector in &vectors.vectors {
            let blinded = list(&vector.blinded_element);
            let evaluated = list(&vector.evaluation_element);
            assert_eq!(key.evaluate(&blinded), Ok(evaluated.clone()));
            let (Some(proof), Some(nonce)) = (&vector.proof, &vector.proof_random_scalar) else {
                assert_eq!(vectors.mode(), Mode::Oprf);
                continue;
            };
            let evaluation = key
                .evaluate_with(&blinded, &secret(&fixed(nonce)))
                .expect("points");
            assert_eq!(evaluation.points, evaluated);
            assert_eq!(evaluation.proof, Proof(fixed(proof)));
            let halves = Points::decode(&blinded)
                .expect("points")
                .times(&secret(&scalar(2)).inverse());
            let verifier = Verifier::new(&key.public());
            assert!(verifier.checked(&blinded, &halves, &evaluation).is_ok());
        }
    }
}

fn scalar(value: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = value;
    bytes
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(7)
}

fn key() -> ServerKey {
    ServerKey::derive(&[3; 32], b"a test")
}

fn inputs(count: u32) -> Vec<[u8; 4]> {
    (0..count).map(u32::to_be_bytes).collect()
}

fn slices(inputs: &[[u8; 4]]) -> impl Iterator<Item = &[u8]> {
    inputs.iter().map(<[u8; 4]>::as_slice)
}

/// A batch of eight, evaluated.
fn batch() -> (Verifier, Blinds, Evaluation) {
    let (key, rng) = (key(), &mut rng());
    let blinds = Blinds::draw(slices(&inputs(8)), rng);
    let evaluation = key.evaluate_proven(blinds.points(), rng).expect("points");
    (Verifier::new(&key.public()), blinds, evaluation)
}

#[test]
fn a_client_gets_the_doubled_points_of_its_own_items() {
    let (verifier, blinds, evaluation) = batch();
    let items = key().items(slices(&inputs(8)));
    let doubled: Vec<_> = items.iter().map(|item| item.doubled).collect();
    assert_eq!(verifier.finish(&blinds, &evaluation), Ok(doubled));
}

#[test]
fn one_batch_goes_to_several_keys() {
    let (_, blinds, _) = batch();
    for seed in 0..3 {
        let key = ServerKey::derive(&[seed; 32], b"");
        let evaluation = key.evaluate_proven(blinds.points(), &mut rng());
        let got = Verifier::new(&key.public()).finish(&blinds, &evaluation.expect("points"));
        let items = key.items(slices(&inputs(8)));
        assert_eq!(got, Ok(items.iter().map(|item| item.doubled).collect()));
    }
}

#[test]
fn one_input_is_blinded_differently_each_time() {
    let rng = &mut rng();
    let twice = [[1, 2, 3, 4]; 2];
    let (a, b) = (
        Blinds::draw(slices(&twice), rng),
        Blinds::draw(slices(&twice), rng),
    );
    assert_ne!(a.points()[0], a.points()[1]);
    assert_ne!(a.points()[0], b.points()[0]);
}

#[test]
fn who_knows_the_seed_of_the_blinds_opens_the_query() {
    let inputs = inputs(8);
    let drawn = |seed| Blinds::draw(slices(&inputs), &mut ChaCha20Rng::from_seed([seed; 32]));
    assert_eq!(drawn(1).points(), drawn(1).points());
    assert_ne!(drawn(1).points(), drawn(2).points());
}

#[test]
fn a_count_session_gets_the_doubled_points_in_any_order() {
    let (key, blind) = (key(), CountBlind::draw(&mut rng()));
    let inputs = inputs(8);
    let mut evaluated = key.evaluate(&blind.blind(slices(&inputs))).expect("points");
    evaluated.reverse();
    let mut got = blind.unblind(&evaluated).expect("points");
    got.reverse();
    let items = key.items(slices(&inputs));
    assert_eq!(
        got,
        items.iter().map(|item| item.doubled).collect::<Vec<_>>()
    );
}

#[test]
fn the_ratio_of_two_keys_takes_items_to_the_next_key() {
    let (key, next) = (key(), ServerKey::generate(&mut rng()));
    let inputs = inputs(8);
    let points: Vec<_> = key
        .items(slices(&inputs))
        .iter()
        .map(|item| item.point)
        .collect();
    let moved = key.ratio_to(&next).apply(&points).expect("points");
    assert!(moved == next.items(slices(&inputs)));
    let mut damaged = points;
    damaged[5] = [0xff; 32];
    let fault = Fault::NotCanonical;
    let expected = PointError { index: 5, fault };
    assert_eq!(key.ratio_to(&next).apply(&damaged).err(), Some(expected));
}

/// Items are made in blocks of 1,024.
#[test]
fn a_damaged_point_of_a_later_block_is_named_by_its_place_in_all() {
    let (key, next) = (key(), ServerKey::generate(&mut rng()));
    let inputs = inputs(2_050);
    let items = key.items(slices(&inputs));
    assert_eq!(items.len(), inputs.len());
    assert!(items[2_049] == key.items(slices(&inputs[2_049..]))[0]);
    let mut points: Vec<_> = items.iter().map(|item| item.point).collect();
    let ratio = key.ratio_to(&next);
    assert!(
        ratio.apply(&points).expect("points")[2_049] == next.items(slices(&inputs[2_049..]))[0]
    );
    points[2_048] = [0; 32];
    let fault = Fault::Identity;
    let expected = PointError {
        index: 2_048,
        fault,
    };
    assert_eq!(ratio.apply(&points).err(), Some(expected));
}

#[test]
fn an_item_is_a_point_and_twice_that_point() {
    for item in key().items(slices(&inputs(4))) {
        let point = Points::decode(&[item.point]).expect("a point");
        assert_eq!(point.encode_doubled(), [item.doubled]);
    }
}

#[test]
fn an_auditor_checks_items_that_it_may_see() {
    let (key, inputs) = (key(), inputs(5));
    let opened = key.open(slices(&inputs), &mut rng()).expect("inputs");
    let verifier = Verifier::new(&key.public());
    let doubled = key
        .items(slices(&inputs))
        .iter()
        .map(|item| item.doubled)
        .collect();
    assert_eq!(verifier.check(slices(&inputs), &opened), Ok(doubled));
    let points: Vec<_> = key
        .items(slices(&inputs))
        .iter()
        .map(|item| item.point)
        .collect();
    assert_eq!(opened.points, points);
    let others = [[9; 4]; 5];
    assert_eq!(
        verifier.check(slices(&others), &opened),
        Err(FinishError::Proof)
    );
}

#[test]
fn a_key_is_kept_and_read_again() {
    let key = key();
    let again = ServerKey::from_bytes(&key.expose()).expect("reduced");
    assert_eq!(again.public(), key.public());
    assert_eq!(
        again.evaluate(&[*key.public().as_bytes()]),
        key.evaluate(&[*key.public().as_bytes()])
    );
}

#[test]
fn a_key_that_is_zero_or_not_reduced_is_refused() {
    assert!(ServerKey::from_bytes(&[0; 32]).is_none());
    assert!(ServerKey::from_bytes(&[0xff; 32]).is_none());
    // The order of the group.
    let order = fixed("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    assert!(ServerKey::from_bytes(&order).is_none());
}

#[test]
fn keys_of_other_seeds_and_uses_differ() {
    let publics = [
        ServerKey::derive(&[3; 32], b"a").public(),
        ServerKey::derive(&[3; 32], b"b").public(),
        ServerKey::derive(&[4; 32], b"a").public(),
        ServerKey::derive_in(Mode::Oprf, &[3; 32], b"a").public(),
    ];
    for (index, public) in publics.iter().enumerate() {
        assert!(!publics[..index].contains(public));
    }
}

/// Evaluations that a server, or who stands between, might send in the place of the right one.
#[test]
fn a_batch_that_was_truncated_is_refused() {
    let (verifier, blinds, mut evaluation) = batch();
    evaluation.points.pop();
    let expected = FinishError::Count {
        expected: 8,
        got: 7,
    };
    assert_eq!(verifier.finish(&blinds, &evaluation), Err(expected));
}

#[test]
fn a_batch_that_was_lengthened_is_refused() {
    let (verifier, blinds, mut evaluation) = batch();
    evaluation.points.push(evaluation.points[0]);
    let expected = FinishError::Count {
        expected: 8,
        got: 9,
    };
    assert_eq!(verifier.finish(&blinds, &evaluation), Err(expected));
}

#[test]
fn a_batch_with_two_points_swapped_is_refused() {
    let (verifier, blinds, mut evaluation) = batch();
    evaluation.points.swap(2, 5);
    assert_eq!(
        verifier.finish(&blinds, &evaluation),
        Err(FinishError::Proof)
    );
}

#[test]
fn a_batch_in_another_order_is_refused() {
    let (verifier, blinds, mut evaluation) = batch();
    evaluation.points.reverse();
    assert_eq!(
        verifier.finish(&blinds, &evaluation),
        Err(FinishError::Proof)
    );
}

#[test]
fn a_point_of_another_batch_is_refused() {
    let (verifier, blinds, mut evaluation) = batch();
    let other = Blinds::draw(slices(&inputs(8)), &mut ChaCha20Rng::seed_from_u64(8));
    let of_other = key()
        .evaluate_proven(other.points(), &mut rng())
        .expect("points");
    evaluation.points[3] = of_other.points[3];
    assert_eq!(
        verifier.finish(&blinds, &evaluation),
        Err(FinishError::Proof)
    );
    assert_eq!(verifier.finish(&blinds, &of_other), Err(FinishError::Proof));
}

#[test]
fn an_evaluation_under_another_key_is_refused() {
    let (verifier, blinds, _) = batch();
    let other = ServerKey::generate(&mut rng());
    let evaluation = other
        .evaluate_proven(blinds.points(), &mut rng())
        .expect("points");
    assert_eq!(
        verifier.finish(&blinds, &evaluation),
        Err(FinishError::Proof)
    );
    let of_other = Verifier::new(&other.public());
    assert!(of_other.finish(&blinds, &evaluation).is_ok());
}

/// Additions that cancel in a plain sum, which weights are there to tell.
#[test]
fn errors_that_cancel_in_the_sum_are_refused() {
    let (verifier, blinds, mut evaluation) = batch();
    let halves = Points::decode(&evaluation.points)
        .expect("points")
        .times(&secret(&scalar(2)).inverse());
    let errors = FixedBase::generator().times(&[secret(&scalar(5))]);
    let one = |index| Points::decode(&[evaluation.points[index]]).expect("a point");
    let half = || secret(&scalar(2)).inverse();
    let (more, less) = (
        one(0).times(&half()).plus(&errors),
        one(1).times(&half()).minus(&errors),
    );
    assert_eq!(halves.encode_doubled(), evaluation.points);
    evaluation.points[0] = more.encode_doubled()[0];
    evaluation.points[1] = less.encode_doubled()[0];
    assert_eq!(
        verifier.finish(&blinds, &evaluation),
        Err(FinishError::Proof)
    );
}

#[test]
fn a_proof_with_any_bit_changed_is_refused() {
    let (verifier, blinds, evaluation) = batch();
    for bit in 0..512 {
        let mut changed = evaluation.clone();
        changed.proof.0[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            verifier.finish(&blinds, &changed),
            Err(FinishError::Proof),
            "bit {bit}"
        );
    }
}

#[test]
fn a_proof_whose_numbers_are_not_reduced_is_refused() {
    let (verifier, blinds, mut evaluation) = batch();
    // The same answer, plus the order of the group.
    let order: [u8; 32] = fixed("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    let mut carry = 0;
    for (byte, more) in evaluation.proof.0[32..].iter_mut().zip(order) {
        let sum = u16::from(*byte) + u16::from(more) + carry;
        [carry, _] = sum.to_be_bytes().map(u16::from);
        [_, *byte] = sum.to_be_bytes();
    }
    assert_eq!(
        verifier.finish(&blinds, &evaluation),
        Err(FinishError::Proof)
    );
}

#[test]
fn batches_of_no_points_and_of_too_many_get_no_proof() {
    let (key, rng) = (key(), &mut rng());
    let point = *key.public().as_bytes();
    for got in [0, PROOF_ITEMS + 1] {
        let evaluation = key.evaluate_proven(&vec![point; got], rng);
        assert_eq!(evaluation, Err(BatchError::Size { got }));
    }
}

#[test]
fn the_first_bad_point_of_a_batch_is_named() {
    let (key, rng) = (key(), &mut rng());
    let mut blinded = Blinds::draw(slices(&inputs(8)), rng).points().to_vec();
    blinded[6] = [0; 32];
    let error = PointError {
        index: 6,
        fault: Fault::Identity,
    };
    assert_eq!(key.evaluate(&blinded), Err(error));
    assert_eq!(
        key.evaluate_proven(&blinded, rng),
        Err(BatchError::Point(error))
    );
    assert_eq!(CountBlind::draw(rng).unblind(&blinded), Err(error));
    let (verifier, blinds, mut evaluation) = batch();
    evaluation.points[6] = [0; 32];
    assert_eq!(
        verifier.finish(&blinds, &evaluation),
        Err(FinishError::Point(error))
    );
}

#[test]
fn nothing_secret_is_in_a_debug_output() {
    let (_, _, evaluation) = batch();
    assert_eq!(format!("{evaluation:?}"), "Evaluation(8 points)");
    let start = hex::encode(&key().public().as_bytes()[..4]);
    assert_eq!(
        format!("{:?}", key().public()),
        format!("PublicKey({start}..)")
    );
}
