//! What members of this centre are given: one ledger of what is published, and what each of them sees of it.
//!
//! Why one ledger: a provider asks for what is new since it asked last, and gets exactly what policy lets it have. Writing
//! that down for each member would cost members times entries; so entries are written down once, in the order in which
//! they were published, and what a member may see of them is decided for kinds of entries.
//!
//! | file | answers |
//! |---|---|
//! | `feed` | what a gateway asks |
//! | `cursor` | how a member says up to where it has read |
//!
//! Spec: `docs/protocol.md`, "Subsets"; reasons: ADR 0022. In scope: what is published to whom, and when. Out of scope: HTTP
//! and other clients' formats (the gateway).

mod feed;
mod member;

pub use feed::{
    Access, Acknowledged, Bound, Change, Cursor, Feed, FeedError, Marks, Owing, Page,
    SignedManifest, What, Window, WindowKey, WindowRow,
};
pub use member::{MemberId, MemberIdError};
