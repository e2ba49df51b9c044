//! What a centre is asked to say; who says it and when is filled in by the core.

use hashpact_keys::Signer;

use super::{
    Answer, By, Code, Dispute, EvidenceError, Feedback, Field, Member, Object, Reason, Verdict,
    Vote, Withdrawal,
};
use crate::Hash;
use crate::assess::{Assessor, Attestation, Basis, Subject, Values};
use crate::fingerprint::Algorithm;
use crate::record::{EntryId, Revision};

/// An object in the making.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Draft {
    /// An assessor attests.
    Attestation {
        /// What it is about.
        subject: Subject,
        /// Who attests; nobody exactly if it is a legacy import.
        assessor: Option<Assessor>,
        /// What it rests on.
        basis: Basis,
        /// What is attested.
        values: Box<Values>,
    },
    /// Contest a record.
    Dispute {
        /// What.
        subject: Subject,
        /// Which part of it.
        field: Field,
        /// Why.
        code: Code,
    },
    /// Take a dispute of ours back.
    Withdrawal {
        /// Its hash.
        of: Hash,
    },
    /// What a member of ours says of a match.
    Feedback {
        /// What it is about.
        subject: Subject,
        /// Whose word it is.
        member: Member,
        /// What it says.
        vote: Vote,
        /// Why, of a negative vote.
        code: Option<Code>,
        /// Type of the fingerprint that matched.
        algorithm: Option<Algorithm>,
    },
    /// Answer a dispute or feedback about an entry of ours.
    Answer {
        /// Its hash.
        of: Hash,
        /// What comes of it.
        verdict: Verdict,
        /// Why.
        code: Option<Code>,
    },
    /// Why an entry of ours was retracted.
    Reason {
        /// The entry.
        entry: EntryId,
        /// The revision up to which it ended.
        revision: Revision,
        /// Why.
        code: Code,
    },
}

impl Draft {
    /// Signs it. `named` gives an object of our own store by its hash.
    pub(crate) fn sign(
        self,
        by: By,
        origin: &hashpact_keys::Origin,
        named: impl Fn(&Hash) -> Option<Object>,
        signer: &Signer,
    ) -> Result<Vec<u8>, EvidenceError> {
        let about = |of: &Hash| {
            let object = named(of).ok_or(EvidenceError::Unknown)?;
            let (origin, entry, revision) = object.entry().ok_or(EvidenceError::Unknown)?;
            let about = (origin.clone(), entry, revision);
            Ok::<_, EvidenceError>((object, about))
        };
        let object = match self {
            Self::Attestation {
                subject,
                assessor,
                basis,
                values,
            } => {
                let attestation = Attestation {
                    network: by.network,
                    subject,
                    centre: by.centre,
                    country: by.country,
                    assessor,
                    basis,
                    day: by.day,
                    values: *values,
                };
                return Ok(attestation.sign(signer)?);
            }
            Self::Dispute {
                subject,
                field,
                code,
            } => Object::Dispute(Dispute {
                by,
                subject,
                field,
                code,
            }),
            Self::Withdrawal { of } => match about(&of)? {
                (Object::Dispute(it), entry) if it.by.centre == by.centre => {
                    Object::Withdrawal(Withdrawal { by, entry, of })
                }
                _ => return Err(EvidenceError::Unknown),
            },
            Self::Feedback {
                subject,
                member,
                vote,
                code,
                algorithm,
            } => Object::Feedback(Feedback {
                by,
                subject,
                member,
                vote,
                code,
                algorithm,
            }),
            Self::Answer { of, verdict, code } => match about(&of)? {
                (Object::Dispute(_) | Object::Feedback(_), entry) => Object::Answer(Answer {
                    by,
                    entry,
                    of,
                    verdict,
                    code,
                }),
                _ => return Err(EvidenceError::Unknown),
            },
            Self::Reason {
                entry,
                revision,
                code,
            } => Object::Reason(Reason {
                by,
                entry: (origin.clone(), entry, revision),
                code,
            }),
        };
        object.sign(signer)
    }
}
