//! The asking side of private matching: a list of ours against what a centre holds and may not share.
//!
//! [`run`] checks the values of one type against one centre. It needs a way to open streams to the centre ([`Opener`]), what
//! is asked ([`Order`]) and a folder of its own ([`Cache`]); it does not know whether the asker is a centre or a member.
//!
//! | file | answers |
//! |---|---|
//! | `list` | which fingerprints are asked about |
//! | `run` | from an order to an outcome: what is known, what must be asked, when it is tried again |
//! | `known` | what was evaluated before, and need not be asked |
//! | `manifest` | is what the centre publishes logged and witnessed |
//! | `cache` | what is kept of a centre: segments, evaluated items, a session under way |
//! | `question` | which items a session asks about, under which blinds |
//! | `talk` | frames on a stream |
//! | `asking` | one session with its attempts, while segments are fetched and compared |
//! | `session` | one attempt at a session of mode `items` or `labels`, all parts at once |
//! | `count` | a session of mode `count` |
//! | `download`, `segment` | an artifact's segments, brought here and read |
//! | `compare` | which of our tags are in an artifact |
//! | `answer` | an outcome for people and scripts |
//! | `record` | what both sides log of a session |

mod answer;
mod asking;
mod cache;
mod compare;
mod count;
mod download;
mod known;
pub mod list;
mod manifest;
mod order;
mod question;
mod record;
mod run;
mod segment;
mod session;
mod talk;

pub use answer::{Checked, CheckedGroup, CheckedSession, Found, ListSummary};
pub use cache::{Cache, CacheError, CacheKey, KeptRecord};
pub use download::DownloadError;
pub use manifest::{Logged, ManifestFault, Trust};
pub use order::{GroupOutcome, MatchError, Order, Outcome, Phase, Progress, SessionDone};
pub use run::{Hear, run};
pub use segment::SegmentFault;
pub use session::SessionError;
pub use talk::{Opener, Patience, TalkError};

#[cfg(test)]
mod tests;
