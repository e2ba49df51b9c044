//! Verifying a network from its published bytes and a pin: everything that an auditor needs no centre for.
//!
//! Why: whoever holds a copy of the logs must be able to say, without trusting who gave it, whether every signature holds,
//! whether each log only ever grew, whether its checkpoints were witnessed, and whether its entries are in order. The same
//! rules as in a centre decide (`verify`); but a centre stops at the first fault, and an auditor names it and goes on.
//! Spec: `docs/protocol.md`, "Verification". In scope: bytes in memory, one log at a time, in memory that does not grow
//! with the log, but for what disclosures need of it. Out of scope: files, threads and words for people (the node).
//!
//! | file | answers |
//! |---|---|
//! | `chain` | which rosters follow from the pin |
//! | `finding`, `place` | what is wrong, and where |
//! | `frontier` | the root of a tree that is read once, from left to right |
//! | `tiles` | are the files of the tree what its leaves make them |
//! | `history` | a file of notes, cut into notes |
//! | `notes` | does a checkpoint hold: key, order, root, quorum |
//! | `leaves` | does an entry hold, under the roster that fits it |
//! | `laws` | does a policy document hold: its signers, its version, its text |
//! | `matching` | do match manifests agree with each other |
//! | `body` | is a delta's body what its origin signed |
//! | `evidence` | what shows that a centre told two stories |
//! | `export` | what a centre keeps that opens its sealed leaves |
//! | `bundle`, `openings` | what opens sealed leaves, and does it hold |
//! | `ledger` | what of one log is needed to judge disclosures, and were its sealed leaves opened |
//! | `replay` | did each disclosure say what the logs say, and did every policy in force allow it |
//! | `disclosures` | who gave which classes to whom, in sums |
//! | `voices` | what was said beside deltas, in sums |
//! | `resumption` | does a log that takes the place of another say what that holds |
//! | `log` | all of it, over one log |
//! | `summary` | what a report says of a log |

mod body;
mod bundle;
mod chain;
mod disclosures;
mod evidence;
mod export;
mod finding;
mod frontier;
mod history;
mod laws;
mod leaves;
mod ledger;
mod log;
mod matching;
mod notes;
mod openings;
mod place;
mod replay;
mod resumption;
mod summary;
mod tiles;
mod voices;

pub use body::{BodySummary, verify_body};
pub use bundle::{Bundle, BundleError, Opened};
pub use chain::Chain;
pub use disclosures::{Disclosures, Gift, Given};
pub use evidence::{VerifiedFork, verify_fork};
pub use export::{Export, export_openings};
pub use finding::{
    CheckpointFault, DisclosureFault, Finding, FindingKind, MatchFault, ResumptionFault, Severity,
};
pub use history::{HistoryFault, HistoryNotes};
pub use laws::ReadPolicy;
pub use ledger::{Ledger, Seals};
pub use log::{Event, LogInput, verify_log};
pub use openings::Openings;
pub use place::Place;
pub use replay::{Decided, replay};
pub use resumption::{OtherLog, OtherLogs};
pub use summary::{Counts, Latency, LogSummary, Month, NoteSummary, WitnessSummary};
pub use voices::{Voices, voices};
