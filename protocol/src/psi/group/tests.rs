//! RFC 9496, appendix A.

use curve25519_dalek::ristretto::RistrettoPoint;
use proptest::prelude::*;

use super::*;

fn bytes<const N: usize>(text: &str) -> [u8; N] {
    hex::decode(text)
        .expect("hexadecimal")
        .try_into()
        .expect("its length")
}

/// Appendix A.2: refused encodings, each with what is wrong.
#[test]
fn rfc_9496_invalid_encodings_are_refused() {
    let mut refused = 0;
    let mut fault = Fault::NotOnCurve;
    for line in include_str!("rfc9496_invalid.txt").lines() {
        if let Some(heading) = line.strip_prefix("# ") {
            fault = match heading {
                "not reduced" => Fault::NotCanonical,
                "negative" => Fault::Negative,
                _ => Fault::NotOnCurve,
            };
            continue;
        }
        let encoding = bytes(line);
        assert_eq!(Point::decode(&encoding).err(), Some(fault), "{line}");
        let batch = [Point::GENERATOR.encode(), encoding];
        let error = PointError { index: 1, fault };
        assert_eq!(Points::decode(&batch).err(), Some(error), "{line}");
        refused += 1;
    }
    assert_eq!(refused, 29);
}

#[test]
fn the_neutral_element_is_refused() {
    assert_eq!(Point::decode(&[0; 32]).err(), Some(Fault::Identity));
    let error = PointError {
        index: 1,
        fault: Fault::Identity,
    };
    let batch = [Point::GENERATOR.encode(), [0; 32]];
    assert_eq!(Points::decode(&batch).err(), Some(error));
}

/// Appendix A.3: uniform bytes to points.
#[test]
fn rfc_9496_uniform_bytes() {
    let mut checked = 0;
    for line in include_str!("rfc9496_uniform.txt").lines() {
        let (uniform, point) = line.split_once(' ').expect("two columns");
        let points = Points::from_uniform([bytes(uniform)].into_iter());
        let half = Secret::from_wide(&{
            let mut two = [0; 64];
            two[0] = 2;
            two
        })
        .inverse();
        assert_eq!(points.times(&half).encode_doubled(), [bytes(point)]);
        checked += 1;
    }
    assert_eq!(checked, 11);
}

/// Appendix A.1: multiples of the generator, by addition, by the table and by reading them.
#[test]
fn rfc_9496_multiples_of_the_generator() {
    let mut sum = RistrettoPoint::default();
    for (multiple, line) in (0_u8..).zip(include_str!("rfc9496_multiples.txt").lines()) {
        let expected = bytes(line);
        assert_eq!(sum.compress().to_bytes(), expected);
        let secret = Secret::from_wide(&std::array::from_fn(
            |at| if at == 0 { multiple } else { 0 },
        ));
        let halves = Points(vec![RistrettoPoint::default()]);
        let masks = FixedBase::generator().times(&[secret.half()]);
        assert_eq!(halves.plus(&masks).encode_doubled(), [expected]);
        assert_eq!(Point::decode(&expected).is_ok(), multiple != 0);
        sum += RISTRETTO_BASEPOINT_POINT;
    }
}

proptest! {
    #[test]
    fn a_table_multiplies_as_the_point_does(base: [u8; 64], numbers: [[u8; 64]; 3]) {
        let base = Points::from_uniform([base].into_iter()).0[0];
        let table = FixedBase::new(&Point(base));
        let secrets = numbers.map(|number| Secret::from_wide(&number));
        let masks = table.times(&secrets);
        for (mask, secret) in masks.0.iter().zip(&secrets) {
            prop_assert_eq!(*mask, base * secret.0);
        }
    }

    #[test]
    fn what_is_no_encoding_is_refused_with_a_reason(encoding: [u8; 32]) {
        let theirs = CompressedRistretto(encoding).decompress();
        match Point::decode(&encoding) {
            Ok(point) => prop_assert_eq!(point.encode(), encoding),
            Err(_) => prop_assert!(theirs.is_none_or(|point| point.is_identity())),
        }
    }
}

/// Multiples whose digits are all extreme: the edges of every window of a table.
#[test]
fn a_table_multiplies_by_extreme_numbers() {
    let mut numbers = vec![[0; 64], [0xff; 64]];
    for byte in [
        0x01, 0x0f, 0x10, 0x11, 0x55, 0x77, 0x7f, 0x80, 0x88, 0xaa, 0xf0,
    ] {
        // Below 2^252, and so below the order of the group.
        numbers.push(std::array::from_fn(|at| if at < 31 { byte } else { 0 }));
    }
    let mut below_order = [0; 64];
    below_order[..32].copy_from_slice(&bytes::<32>(
        "ecd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010",
    ));
    numbers.push(below_order);
    let secrets: Vec<_> = numbers.iter().map(Secret::from_wide).collect();
    let masks = FixedBase::generator().times(&secrets);
    for (mask, secret) in masks.0.iter().zip(&secrets) {
        assert_eq!(*mask, RISTRETTO_BASEPOINT_POINT * secret.0);
    }
}

/// ADR 0020. It fails where `RUSTFLAGS` or a configuration nearer by takes the place of `.cargo/config.toml`: such a build
/// runs, at half the speed.
#[test]
#[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
fn this_target_is_built_with_the_avx512_backend() {
    let built = if cfg!(curve25519_dalek_backend = "avx512") {
        "avx512"
    } else {
        "what dalek takes by itself"
    };
    assert_eq!(built, "avx512");
}
