//! The labels of a class, for programs that do not read their CBOR.

use hashpact_protocol::labels::Labels;
use hashpact_protocol::lists::ClosedList as _;
use serde_json::{Value, json};

/// Every label, by its name in profiles. Sets are lists of names; of an uncertain label, what could be true.
pub(in crate::gateway) fn labels(labels: &Labels) -> Value {
    let countries = |illegal: bool| {
        let those = labels.legal_status.iter();
        let those = those.filter(move |status| status.illegal == illegal);
        those
            .map(|status| status.jurisdiction.as_str())
            .collect::<Vec<_>>()
    };
    let codes = |set: &std::collections::BTreeSet<hashpact_keys::Jurisdiction>| {
        set.iter()
            .map(|code| code.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    json!({
        "media_kind": labels.media_kind.names().collect::<Vec<_>>(),
        "content_class": labels.content_class.names().collect::<Vec<_>>(),
        "state": labels.state.name(),
        "depiction": labels.depiction.names().collect::<Vec<_>>(),
        "minor_certain": labels.minor_certain,
        "age_claim": labels.age_claim.names().collect::<Vec<_>>(),
        "self_generated": labels.self_generated.names().collect::<Vec<_>>(),
        "context_flags": labels.context_flags.names().collect::<Vec<_>>(),
        "legal_basis": labels.legal_basis.name(),
        "illegal_in": countries(true),
        "not_illegal_in": countries(false),
        "residency": codes(&labels.residency),
        "applicable_law": codes(&labels.applicable_law),
        "tlp": labels.tlp.name(),
        "hops": labels.hops,
        "recipients": labels.recipients.names().collect::<Vec<_>>(),
        "purposes": labels.purposes.names().collect::<Vec<_>>(),
    })
}
