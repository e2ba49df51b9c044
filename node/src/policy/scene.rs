//! Which centres there are, and by which documents each of them decides.
//!
//! In scope: asking one centre's documents one question. Out of scope: which questions a transfer raises (`explain`), where
//! documents come from (`files`).

use std::collections::BTreeMap;
use std::sync::Arc;

use hashpact_keys::{CentreId, Jurisdiction};
use hashpact_protocol::policy::{InForce, Principal, Profile, Query, Ruling};

/// One document of a centre.
#[derive(Clone, Debug)]
pub struct Document {
    /// Where it was read, for a person.
    pub name: String,
    /// The index of its leaf, if it is a logged one.
    pub index: Option<u64>,
    /// What it says; nothing if it is a logged one that could not be read, and then it denies.
    pub profile: Option<Arc<Profile>>,
    /// Name and text of its files.
    pub files: Vec<(String, String)>,
}

/// By what a centre decides.
#[derive(Clone, Debug)]
pub enum Law {
    /// One profile, as if it were in force.
    Given(Document),
    /// What its log says.
    Logged {
        /// All of its documents, in order.
        documents: Vec<Document>,
        /// Which of them count.
        in_force: InForce,
    },
}

impl Law {
    /// Asks.
    #[must_use]
    pub fn decide(&self, query: &Query<'_>) -> Ruling {
        match self {
            Self::Given(document) => {
                let Some(profile) = &document.profile else {
                    return Ruling::default();
                };
                let decision = profile.decide(query);
                Ruling {
                    allowed: decision.allowed,
                    index: None,
                    policies: decision.policies,
                    valid_until: decision.valid_until,
                    errors: decision.errors,
                }
            }
            Self::Logged { in_force, .. } => in_force.decide(query),
        }
    }

    /// The document that determined a ruling; nothing where the rule for a log without documents did.
    #[must_use]
    pub fn decided_by(&self, ruling: &Ruling) -> Option<&Document> {
        match self {
            Self::Given(document) => Some(document),
            Self::Logged { documents, .. } => documents.iter().find(|it| it.index == ruling.index),
        }
        .filter(|document| document.index == ruling.index)
    }

    /// The documents that must all allow.
    #[must_use]
    pub fn in_force(&self) -> Vec<&Document> {
        match self {
            Self::Given(document) => vec![document],
            Self::Logged {
                documents,
                in_force,
            } => {
                let counts = |index| in_force.indices().any(|it| Some(it) == index);
                documents.iter().filter(|it| counts(it.index)).collect()
            }
        }
    }

    /// The newest profile that it says: of it are the facts about the centre, such as its purpose.
    #[must_use]
    pub fn newest(&self) -> Option<&Profile> {
        self.in_force().last().and_then(|it| it.profile.as_deref())
    }
}

/// A centre.
#[derive(Clone, Debug)]
pub struct Party {
    /// The law that it works under.
    pub jurisdiction: Jurisdiction,
    /// By what it decides, if that is known.
    pub law: Option<Law>,
}

/// Centres by their names.
#[derive(Clone, Debug, Default)]
pub struct Scene(pub BTreeMap<CentreId, Party>);

/// A centre that was named and is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "nothing is known of centre {id}: give its profile (--policy {id}=DIR), its law only (--centre {id}=US), or a node's --home; known: {known}"
)]
pub struct UnknownCentre {
    id: CentreId,
    known: String,
}

impl Scene {
    /// A centre.
    ///
    /// # Errors
    /// [`UnknownCentre`].
    pub fn party(&self, id: &CentreId) -> Result<&Party, UnknownCentre> {
        self.0.get(id).ok_or_else(|| {
            let known: Vec<&str> = self.0.keys().map(CentreId::as_str).collect();
            UnknownCentre {
                id: id.clone(),
                known: match known.is_empty() {
                    true => "none".to_owned(),
                    false => known.join(", "),
                },
            }
        })
    }

    /// A centre as policy sees it.
    ///
    /// # Errors
    /// [`UnknownCentre`].
    pub fn principal(&self, id: &CentreId) -> Result<Principal, UnknownCentre> {
        Ok(Principal::Centre {
            id: id.clone(),
            jurisdiction: self.party(id)?.jurisdiction.clone(),
        })
    }
}
