//! What people attest, what is computed from it, and that no machine's opinion takes its place.
#![cfg(feature = "testing")]
#![allow(
    clippy::expect_used,
    reason = "a sample that cannot be made fails its test"
)]

mod baseline;
mod classifier;
mod count;
mod life;
mod opening;
mod release;
mod severity;

use std::sync::LazyLock;

use hashpact_keys::{KeyUse, SignedRoster};
use hashpact_protocol::assess::{Attestation, Attested, Stated, Subject};
use hashpact_protocol::labels::{Depiction, Labels, State};
use hashpact_protocol::lists::Set;
use hashpact_protocol::record::{Fields, Flag, PubertalStage};
use hashpact_protocol::testing::attestations::{NOW, attestation, subject};
use hashpact_protocol::testing::keys::{CentreSetup, assessing_network};
use hashpact_protocol::testing::{labels, record};

/// Five centres: eu, us, ca, au, and x4, a second one of the EU.
static NETWORK: LazyLock<(SignedRoster, Vec<CentreSetup>)> = LazyLock::new(assessing_network);

fn centre(n: usize) -> &'static CentreSetup {
    &NETWORK.1[n]
}

/// Assessor `n` of centre `by` attests what makes the baseline of an entry of centre 0.
fn by(by: usize, n: u8) -> Attestation {
    let network = NETWORK.0.roster().network;
    attestation(network, centre(0), centre(by), n)
}

/// Signed by its centre and opened.
fn opened(attestation: &Attestation) -> Attested {
    let setup = NETWORK
        .1
        .iter()
        .find(|setup| setup.id == attestation.centre);
    let signer = setup.expect("a centre").signer(KeyUse::Attest);
    let signed = attestation.sign(&signer).expect("an attestation");
    Attestation::open(&signed, NETWORK.0.roster(), NOW).expect("an attestation")
}

/// What an origin states of an entry of the baseline.
struct Entry {
    subject: Subject,
    labels: Labels,
    fields: Fields,
}

impl Entry {
    fn of_the_baseline() -> Self {
        let mut fields = record(1).fields;
        fields.features[0] = Flag::Yes;
        fields.pubertal_stage = Set::of(&[PubertalStage::Prepubertal]);
        Self {
            subject: subject(centre(0)),
            labels: Labels {
                state: State::Assessed,
                depiction: Set::of(&[Depiction::Real]),
                ..labels()
            },
            fields,
        }
    }

    fn stated(&self) -> Stated<'_> {
        Stated {
            subject: &self.subject,
            labels: &self.labels,
            fields: &self.fields,
        }
    }
}
