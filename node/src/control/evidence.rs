//! What the people of this centre say of entries, at the control socket: attestations, disputes, answers, reasons, orders.
//!
//! Why strings: a request is what a person typed, and each word is checked here, against the closed lists of
//! `hashpact_protocol`, so that the shell needs no node to say what is wrong. In scope: what is asked, and the way to the
//! core. Out of scope: what an object may say and where it goes (`hashpact_protocol::evidence`), words for people (`cli`).
//!
//! | file | answers |
//! |---|---|
//! | `issue` | from what is typed to what the core signs |
//! | `subjects` | which record is meant |
//! | `told` | what is known of an entry, of an order, of what waits for an answer |

mod issue;
mod subjects;
pub(super) mod told;

use hashpact_protocol::centre::{Command, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Fault;
use super::server::{failed, input, refused};
use crate::armor::Kind;
use crate::daemon::Handle;

pub(crate) use told::order as order_json;

pub(super) use issue::{give_reasons, reason_code};

/// What may be asked.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// An assessor attests records.
    Attest {
        /// Entry ids in hexadecimal.
        entries: Vec<String>,
        /// Their log; found by the ids without it.
        origin: Option<String>,
        /// 32 hexadecimal digits; none exactly for a legacy import.
        assessor: Option<String>,
        /// `viewed`, `metadata_only` or `legacy_import`.
        basis: String,
        /// What is attested.
        values: Stated,
    },
    /// Contest a record.
    Dispute {
        /// The entry id.
        entry: String,
        /// Its log; found by the id without it.
        origin: Option<String>,
        /// Which part of it.
        field: String,
        /// Why.
        reason: String,
    },
    /// Take this centre's disputes of an entry back.
    Withdraw {
        /// The entry id.
        entry: String,
        /// Its log; found by the id without it.
        origin: Option<String>,
        /// Hash of one of them; all of them without it.
        of: Option<String>,
    },
    /// A member's word on an entry that it matched, which it gave on another way than the gateway.
    Give {
        /// The entry id.
        entry: String,
        /// Its log; found by the id without it.
        origin: Option<String>,
        /// The member's name.
        member: String,
        /// `affirmative` or `negative`.
        vote: String,
        /// Why, of a negative vote.
        reason: Option<String>,
        /// Type of the fingerprint that matched.
        algorithm: Option<String>,
    },
    /// What is said of an entry, for whoever computes facts of it: attestations in base64, disputes, whether it is held.
    Of {
        /// The entry id.
        entry: String,
        /// Its log; found by the id without it.
        origin: Option<String>,
    },
    /// What is said of this centre's entries and waits for its answer.
    Waiting,
    /// Answer a dispute or feedback.
    Answer {
        /// Its hash.
        of: String,
        /// `accepted` or `declined`.
        verdict: String,
        /// Why.
        reason: Option<String>,
    },
    /// Log an order of two people.
    Order {
        /// The armored order.
        order: String,
    },
    /// The orders that are in force.
    Orders,
}

/// What an assessor states; an empty list, and nothing, attest nothing of that field.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stated {
    /// Kinds of material that it could be.
    pub content_class: Vec<String>,
    /// What could be depicted.
    pub depiction: Vec<String>,
    /// Whether the youngest person depicted is certainly a minor.
    pub minor_certain: Option<bool>,
    /// Ages that the youngest child could have.
    pub age_depicted: Vec<String>,
    /// Stages that it could have.
    pub pubertal_stage: Vec<String>,
    /// Features, each with whether it is there.
    pub features: Vec<(String, bool)>,
}

/// Answers one question.
pub(super) async fn answer(handle: &Handle, ask: Ask) -> Result<Value, Fault> {
    match ask {
        Ask::Attest {
            entries,
            origin,
            assessor,
            basis,
            values,
        } => {
            let spoken = issue::Attesting::read(assessor.as_deref(), &basis, &values)?;
            // Classes of perhaps thousands are hashed: other tasks of this thread move elsewhere meanwhile.
            let drafts = tokio::task::block_in_place(|| {
                let named = subjects::named(handle, origin.as_deref(), &entries)?;
                Ok::<_, Fault>(named.into_iter().map(|it| spoken.draft(it)).collect())
            })?;
            let hashes = issue::issue(handle, drafts).await?;
            Ok(json!({ "attested": hashes.len(), "objects": hashes }))
        }
        Ask::Dispute {
            entry,
            origin,
            field,
            reason,
        } => {
            let drafts = tokio::task::block_in_place(|| {
                issue::dispute(handle, origin.as_deref(), entry, &field, &reason)
            })?;
            let hashes = issue::issue(handle, drafts).await?;
            Ok(json!({ "dispute": hashes.first() }))
        }
        Ask::Withdraw { entry, origin, of } => {
            let drafts = tokio::task::block_in_place(|| {
                issue::withdrawals(handle, origin.as_deref(), &entry, of.as_deref())
            })?;
            let hashes = issue::issue(handle, drafts).await?;
            Ok(json!({ "withdrawn": hashes.len(), "objects": hashes }))
        }
        Ask::Give {
            entry,
            origin,
            member,
            vote,
            reason,
            algorithm,
        } => {
            let word = issue::Word::read(&vote, reason.as_deref(), algorithm.as_deref())?;
            let drafts = tokio::task::block_in_place(|| {
                issue::feedback(handle, origin.as_deref(), entry, &member, &word)
            })?;
            let hashes = issue::issue(handle, drafts).await?;
            Ok(json!({ "feedback": hashes.first() }))
        }
        Ask::Of { entry, origin } => tokio::task::block_in_place(|| {
            let found = subjects::one(handle, origin.as_deref(), &entry)?;
            Ok(told::of(handle, &found))
        }),
        Ask::Waiting => tokio::task::block_in_place(|| Ok(told::waiting(handle))),
        Ask::Answer {
            of,
            verdict,
            reason,
        } => {
            let draft = issue::answer(handle, &of, &verdict, reason.as_deref())?;
            let hashes = issue::issue(handle, vec![draft]).await?;
            Ok(json!({ "answer": hashes.first(), "of": of }))
        }
        Ask::Order { order } => apply(handle, &order).await,
        Ask::Orders => Ok(told::orders(handle)),
    }
}

async fn apply(handle: &Handle, order: &str) -> Result<Value, Fault> {
    let signed = Kind::Order.unwrap(order);
    let signed = signed.map_err(|error| input(error.to_string()))?;
    let done = handle.command(Command::Order { signed }).await;
    let Outcome::Issued { hashes } = done.map_err(refused)? else {
        return Err(failed("the node answered something else".to_owned()));
    };
    Ok(json!({ "order": hashes.first().map(hex::encode) }))
}
