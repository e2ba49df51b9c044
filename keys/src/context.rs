//! What a signature is about. Why: the content type stands in the protected header of every signed object and is checked
//! before the payload is read, so that a policy's signature is never taken for a delta's. Spec: RFC 9052 section 3.1, label 3;
//! `docs/protocol.md`. In scope: the names. Out of scope: payloads.

/// The kind of a signed object. Its content type is the domain separation of every signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Context {
    /// The header of a delta.
    DeltaHeader,
    /// The definitions of policy classes.
    ClassDefinitions,
    /// A roster.
    Roster,
    /// A centre's keys on their way to the roster.
    Enrolment,
    /// One hop of a class from centre to centre.
    TransferStatement,
    /// A policy set.
    Policy,
    /// A grant: the dates and documents of a legal basis.
    Grant,
    /// The manifest of a subset or of a match epoch.
    Manifest,
    /// An attestation about an entry.
    Attestation,
    /// A hold on an entry.
    Hold,
    /// The keys of an auditor or a witness on their way to the roster.
    WitnessEnrolment,
    /// What a recipient is to drop.
    Recall,
    /// That a recipient dropped what was recalled.
    Acknowledgement,
    /// That a centre contests an entry.
    Dispute,
    /// That a dispute is taken back by who raised it.
    Withdrawal,
    /// What a member says of an entry that it matched.
    Feedback,
    /// What an origin answers to a dispute or to feedback.
    Answer,
    /// Why an entry was retracted.
    Reason,
    /// That a hold ends before its time.
    Lift,
    /// That a centre releases entries of another on its assessment.
    OptIn,
    /// That more entries of an origin are released on a day.
    Surge,
}

impl Context {
    /// Every context, in the order of their declaration.
    pub const ALL: [Self; 21] = [
        Self::DeltaHeader,
        Self::ClassDefinitions,
        Self::Roster,
        Self::Enrolment,
        Self::TransferStatement,
        Self::Policy,
        Self::Grant,
        Self::Manifest,
        Self::Attestation,
        Self::Hold,
        Self::WitnessEnrolment,
        Self::Recall,
        Self::Acknowledgement,
        Self::Dispute,
        Self::Withdrawal,
        Self::Feedback,
        Self::Answer,
        Self::Reason,
        Self::Lift,
        Self::OptIn,
        Self::Surge,
    ];

    /// The content type that stands in the protected header.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::DeltaHeader => "application/hashpact-delta+cbor",
            Self::ClassDefinitions => "application/hashpact-classes+cbor",
            Self::Roster => "application/hashpact-roster+cbor",
            Self::Enrolment => "application/hashpact-enrolment+cbor",
            Self::TransferStatement => "application/hashpact-transfer+cbor",
            Self::Policy => "application/hashpact-policy+cbor",
            Self::Grant => "application/hashpact-grant+cbor",
            Self::Manifest => "application/hashpact-manifest+cbor",
            Self::Attestation => "application/hashpact-attestation+cbor",
            Self::Hold => "application/hashpact-hold+cbor",
            Self::WitnessEnrolment => "application/hashpact-witness-enrolment+cbor",
            Self::Recall => "application/hashpact-recall+cbor",
            Self::Acknowledgement => "application/hashpact-acknowledgement+cbor",
            Self::Dispute => "application/hashpact-dispute+cbor",
            Self::Withdrawal => "application/hashpact-withdrawal+cbor",
            Self::Feedback => "application/hashpact-feedback+cbor",
            Self::Answer => "application/hashpact-answer+cbor",
            Self::Reason => "application/hashpact-reason+cbor",
            Self::Lift => "application/hashpact-lift+cbor",
            Self::OptIn => "application/hashpact-opt-in+cbor",
            Self::Surge => "application/hashpact-surge+cbor",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_two_contexts_share_a_content_type() {
        let names: BTreeSet<_> = Context::ALL
            .iter()
            .map(|context| context.content_type())
            .collect();
        let contexts: BTreeSet<_> = Context::ALL.into_iter().collect();
        assert_eq!(
            (names.len(), contexts.len()),
            (Context::ALL.len(), Context::ALL.len())
        );
    }
}
