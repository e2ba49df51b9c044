//! What members of this centre are given: one ledger of what is published, and what each of them sees of it.
//!
//! Why one ledger: a provider asks for what is new since it asked last, and gets exactly what policy lets it have. Writing
//! that down for each member would cost members times entries; so entries are written down once, in the order in which
//! they were published, and what a member may see of them is decided for kinds of entries.
//!
//! | file | answers |
//! |---|---|
//! | `ledger` | what is written down, durable |
//! | `publish` | when something is published, and taken back |
//! | `desk` | how it is started, woken, asked how it stands, stopped |
//! | `feed` | the words of the questions and answers |
//! | `reader`, `changes`, `packs`, `window` | what a gateway asks: all at once, by cursor, by seconds |
//! | `cursor` | how a member says up to where it has read |
//! | `sections` | what was read of the store lately |
//!
//! Spec: `docs/protocol.md`, "Subsets"; reasons: ADR 0028. In scope: what is published to whom, and when. Out of scope: HTTP
//! and other clients' formats (the gateway).

mod changes;
mod cursor;
mod desk;
mod feed;
mod ledger;
mod packs;
mod publish;
mod reader;
mod sections;
#[cfg(test)]
pub(crate) mod tests;
mod window;

pub use cursor::CursorKey;
pub(crate) use desk::Idle;
pub use desk::{Capped, Desk, Progress};
pub use feed::{
    Access, Acknowledged, Bound, Change, Cursor, FeedError, Marks, Owing, Page, SignedManifest,
    What, Window, WindowKey, WindowRow,
};
pub use hashpact_protocol::centre::MemberId;
pub use ledger::LedgerError;
pub use reader::Feed;
