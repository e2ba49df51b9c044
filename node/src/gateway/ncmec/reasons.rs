//! The reasons of a negative vote: the codes of domain section 2.3 under GUIDs that never change.
//!
//! Why: a client stores a GUID and sends it back years later. Each is the UUID version 5 of
//! `https://hashpact.org/reason/<code>` in the URL namespace (RFC 9562). Source: formats section 1.1. In scope: the list and
//! its document. Out of scope: what becomes of a vote (`vote`).

use super::names::FingerprintType;
use super::page::document;

/// GUID, code, and the name that people choose by.
pub(super) const REASONS: [(&str, &str, &str); 7] = [
    (
        "7043fc62-3cac-54de-a2be-dfdbcdd866a6",
        "adult",
        "Shows adults only",
    ),
    (
        "795779a6-a7bc-5dc8-84a3-f404675bc414",
        "age_undetermined",
        "Age cannot be determined",
    ),
    (
        "e7ca1b7a-e2f2-5026-89de-342804f3223e",
        "not_csam",
        "Not child sexual abuse material",
    ),
    (
        "a53060a5-1c24-59ce-a8c7-0965d55050cb",
        "wrong_depiction",
        "Depiction is labelled wrongly",
    ),
    (
        "7261e11d-82fd-5e7f-a18f-ae6f511c86cf",
        "collision",
        "Fingerprint matches other content",
    ),
    (
        "8ec1e811-5668-564f-926b-52ee132ea86b",
        "rights_request",
        "Request of a person concerned",
    ),
    (
        "d679644e-9bbb-5aca-a0b3-249c3a21fd06",
        "other_law",
        "Lawful under another law",
    ),
];

/// The code of a GUID, in any case.
pub(super) fn code(guid: &str) -> Option<&'static str> {
    let known = REASONS
        .iter()
        .find(|reason| reason.0.eq_ignore_ascii_case(guid));
    known.map(|reason| reason.1)
}

/// The reply to `feedback/{TYPE}/reasons`. The list is a child of the root: the stock client does not find it as the root.
pub(super) fn to_xml(kind: FingerprintType) -> String {
    document("feedbackReasons", |writer| {
        writer
            .create_element("availableFeedbackReasons")
            .write_inner_content(|writer| {
                REASONS.iter().try_for_each(|(guid, _, name)| {
                    writer
                        .create_element("reason")
                        .with_attributes([
                            ("guid", *guid),
                            ("name", *name),
                            ("type", kind.attribute()),
                        ])
                        .write_empty()
                        .map(|_| ())
                })
            })
            .map(|_| ())
    })
}
