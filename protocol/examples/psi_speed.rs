//! What an item of private matching costs on one core, as multiples of one variable-base multiplication of curve25519-dalek in
//! the same build and run, and beside crate `voprf-ng` on the same batch. `docs/benchmarks.md`, "Private matching".
//!
//! `cargo run --release -p hashpact-protocol --example psi_speed [ITEMS...]`
#![expect(clippy::print_stdout, reason = "it prints its figures")]
#![expect(
    clippy::disallowed_methods,
    reason = "sizes come from the command line"
)]

use std::hint::black_box;
use std::time::Duration;

use curve25519_dalek::ristretto::RistrettoPoint;
use curve25519_dalek::scalar::Scalar;
use hashpact_protocol::psi::oprf::{Blinds, CountBlind, ServerKey, Verifier};
use rand_chacha::ChaCha20Rng;
use rand_core::{Rng as _, SeedableRng as _};
use voprf_ng::{BlindedElement, Ristretto255, VoprfClient, VoprfServer};

type Failure = Box<dyn std::error::Error>;

/// Seconds that this thread has run: what waits for a processor does not count. Linux only, and counted in steps of a
/// scheduler's tick, at most 10 ms.
fn cpu_seconds() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = told
        .split(' ')
        .next()
        .and_then(|text| text.parse::<u64>().ok());
    Duration::from_nanos(nanos.unwrap_or(0)).as_secs_f64()
}

/// Microseconds of processor time an item: the best of three rounds, each long enough that a tick does not count.
fn per_item<T>(items: usize, mut work: impl FnMut() -> T) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..3 {
        let (began, mut done, mut spent) = (cpu_seconds(), 0_u32, 0.0);
        while spent < 0.4 {
            black_box(work());
            done += 1;
            spent = cpu_seconds() - began;
        }
        best = best.min(spent / f64::from(done));
    }
    best * 1e6 / f64::from(u32::try_from(items).unwrap_or(u32::MAX))
}

struct Figures {
    unit: f64,
}

impl Figures {
    fn row(&self, name: &str, micros: f64) {
        println!("  {name:<46} {micros:>8.2} us {:>7.2}", micros / self.unit);
    }

    fn beside(&self, name: &str, ours: f64, theirs: f64) {
        self.row(name, theirs);
        println!("  {:<46} {:>11} {:>7.2}", "  times ours", "", theirs / ours);
    }
}

/// One variable-base multiplication in constant time, as dalek makes it.
fn unit(rng: &mut ChaCha20Rng) -> f64 {
    let mut pairs = Vec::new();
    for _ in 0..2_000 {
        pairs.push((RistrettoPoint::random(rng), Scalar::random(rng)));
    }
    per_item(pairs.len(), || {
        for (point, scalar) in &pairs {
            black_box(point * scalar);
        }
    })
}

fn ours(
    figures: &Figures,
    inputs: &[[u8; 33]],
    rng: &mut ChaCha20Rng,
) -> Result<(f64, f64), Failure> {
    let slices = || inputs.iter().map(<[u8; 33]>::as_slice);
    let key = ServerKey::generate(rng);
    let verifier = Verifier::new(&key.public());
    let blinds = Blinds::draw(slices(), rng);
    let evaluation = key.evaluate_proven(blinds.points(), rng)?;

    let server = per_item(inputs.len(), || key.evaluate_proven(blinds.points(), rng));
    let blind = per_item(inputs.len(), || Blinds::draw(slices(), rng));
    let finish = per_item(inputs.len(), || verifier.finish(&blinds, &evaluation));
    figures.row("server: evaluate and prove", server);
    figures.row("client: blind", blind);
    figures.row("client: check, unblind, encode", finish);
    figures.row("client: both", blind + finish);
    let count = CountBlind::draw(rng);
    let blinded = count.blind(slices());
    figures.row(
        "count, server: evaluate",
        per_item(inputs.len(), || key.evaluate(&blinded)),
    );
    figures.row(
        "count, client: blind",
        per_item(inputs.len(), || count.blind(slices())),
    );
    figures.row(
        "artifact: an item",
        per_item(inputs.len(), || key.items(slices())),
    );
    let points: Vec<_> = key.items(slices()).iter().map(|item| item.point).collect();
    let ratio = key.ratio_to(&ServerKey::generate(rng));
    figures.row(
        "artifact: an item of the next key",
        per_item(inputs.len(), || ratio.apply(&points)),
    );
    Ok((server, blind + finish))
}

fn voprf_ng(
    figures: &Figures,
    inputs: &[[u8; 33]],
    rng: &mut ChaCha20Rng,
    (our_server, our_client): (f64, f64),
) -> Result<(), Failure> {
    let server = VoprfServer::<Ristretto255>::new(rng).map_err(|_| "their server")?;
    let blind_all = |rng: &mut ChaCha20Rng| -> Result<Vec<_>, voprf_ng::Error> {
        let blind = |input: &[u8; 33]| VoprfClient::<Ristretto255>::blind(input, rng);
        inputs.iter().map(blind).collect()
    };
    let encode = |blinded: &[voprf_ng::VoprfClientBlindResult<Ristretto255>]| {
        let encoded = blinded.iter().map(|result| result.message.serialize());
        encoded.collect::<Vec<_>>()
    };
    let blinded = blind_all(rng).map_err(|_| "their client")?;
    let sent = encode(&blinded);
    let evaluate = |rng: &mut ChaCha20Rng| {
        let read = |bytes: &_| BlindedElement::<Ristretto255>::deserialize(bytes);
        let points = sent
            .iter()
            .map(|bytes| read(bytes))
            .collect::<Result<Vec<_>, _>>()?;
        let result = server.batch_blind_evaluate(rng, &points)?;
        let encoded = result
            .messages
            .iter()
            .map(voprf_ng::EvaluationElement::serialize);
        Ok::<_, voprf_ng::Error>((encoded.collect::<Vec<_>>(), result.proof))
    };
    let (answered, proof) = evaluate(rng).map_err(|_| "their evaluation")?;
    let clients: Vec<_> = blinded.into_iter().map(|result| result.state).collect();
    let finish = || {
        let read = |bytes: &_| voprf_ng::EvaluationElement::<Ristretto255>::deserialize(bytes);
        let points = answered
            .iter()
            .map(|bytes| read(bytes))
            .collect::<Result<Vec<_>, _>>()?;
        let inputs: Vec<&[u8]> = inputs.iter().map(<[u8; 33]>::as_slice).collect();
        let outputs = VoprfClient::batch_finalize(
            &inputs,
            &clients,
            &points,
            &proof,
            server.get_public_key(),
        )?;
        outputs.collect::<Result<Vec<_>, _>>()
    };
    finish().map_err(|_| "their proof")?;

    let their_server = per_item(inputs.len(), || evaluate(rng).map_err(|_| "evaluation"));
    let their_blind = per_item(inputs.len(), || {
        blind_all(rng).map(|blinded| encode(&blinded))
    });
    let their_finish = per_item(inputs.len(), finish);
    figures.beside("voprf-ng, server", our_server, their_server);
    figures.beside("voprf-ng, client", our_client, their_blind + their_finish);
    let (theirs, ours) = (
        their_server + their_blind + their_finish,
        our_server + our_client,
    );
    figures.beside("voprf-ng, both", ours, theirs);
    Ok(())
}

fn main() -> Result<(), Failure> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut sizes = Vec::new();
    for size in std::env::args().skip(1) {
        sizes.push(size.parse::<usize>()?);
    }
    if sizes.is_empty() {
        sizes = vec![1_024, 4_096, 65_535];
    }
    let flags = if cfg!(curve25519_dalek_backend = "avx512") {
        "with the AVX-512 backend, taken where the processor has it"
    } else {
        "without the AVX-512 backend"
    };
    println!(
        "built {flags}; microseconds of processor time an item, and multiples of one multiplication"
    );
    for size in sizes {
        // Measured for each size, since the speed of a machine changes from minute to minute.
        let unit = unit(&mut rng);
        let figures = Figures { unit };
        println!("batches of {size}:");
        figures.row("one variable-base multiplication of dalek", unit);
        let mut inputs = vec![[0; 33]; size];
        for input in &mut inputs {
            rng.fill_bytes(input);
        }
        let spent = ours(&figures, &inputs, &mut rng)?;
        voprf_ng(&figures, &inputs, &mut rng, spent)?;
    }
    Ok(())
}
