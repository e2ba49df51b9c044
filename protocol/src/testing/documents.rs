//! Policy documents under keys from fixed seeds, small enough to read: who shares and admits is said in two lines.
//!
//! In scope: documents as bytes. Out of scope: whether they say anything sensible; real profiles are files.

use hashpact_keys::roster::{CentreEntry, KeyEntry};
use hashpact_keys::{Jurisdiction, KeyUse, NetworkId, Signer, Timestamp};

use super::keys::{CentreSetup, START};
use crate::log::Leaf;
use crate::policy::PolicyDocument;

/// Everything between centres, with no condition.
pub const ALL: &str = "permit (principal is Centre, action in [Action::\"share\", Action::\"reshare\", Action::\"admit\"], resource);";

/// The two `policy` keys of a centre.
#[must_use]
pub fn signers(setup: &CentreSetup) -> [Signer; 2] {
    [1, 2].map(|n| {
        let seed = format!("synthetic policy key {n} of {}", setup.id);
        Signer::from_seed(blake3::hash(seed.as_bytes()).as_bytes())
    })
}

/// Gives a centre's entry its two `policy` keys, valid from an hour before [`START`].
pub fn list_keys(entry: &mut CentreEntry, setup: &CentreSetup) {
    let from = Timestamp::new(START.get() - 3_600);
    entry
        .keys
        .extend(signers(setup).iter().map(|signer| KeyEntry {
            use_: KeyUse::Policy,
            key: signer.public(),
            from,
            until: None,
        }));
}

/// The files of a document that says this, each policy under an id and a basis of its own, with nothing delayed.
/// `grants` are `[[grant]]` tables.
#[must_use]
pub fn files(law: &Jurisdiction, grants: &str, policies: &[(&str, &str)]) -> Vec<(String, String)> {
    let facts = format!(
        "schema = 1\nname = \"test\"\njurisdiction = \"{law}\"\npurpose = \"detect\"\nwiden_after_hours = 0\n{grants}"
    );
    let annotated = policies.iter().map(|(id, policy)| {
        format!("@id(\"{id}\")\n@basis(\"synthetic\")\n@counsel(\"confirm\")\n{policy}\n")
    });
    vec![
        ("policy.cedar".to_owned(), annotated.collect()),
        ("profile.toml".to_owned(), facts),
    ]
}

/// A document of a centre.
#[must_use]
pub fn document(
    setup: &CentreSetup,
    network: NetworkId,
    version: u64,
    policies: &[(&str, &str)],
) -> PolicyDocument {
    PolicyDocument {
        network,
        origin: setup.origin.clone(),
        version,
        issued_at: START,
        files: files(&setup.jurisdiction, "", policies),
    }
}

/// The leaf of a document under both keys of its centre.
#[must_use]
pub fn leaf(setup: &CentreSetup, document: &PolicyDocument) -> Vec<u8> {
    let [a, b] = signers(setup);
    let document = document.sign(&[&a, &b]);
    Leaf::Policy { document }.to_bytes().unwrap_or_default()
}
