//! A member's verified copy of its subset, kept current over the native API.
//!
//! Why: a provider matches what it is told, so it believes nobody on the way: everything is checked to the roster chain that
//! the member's home pins, before it counts. What a server does wrong, or hostile, costs one bounded request and leaves the
//! copy as it was. Spec: `docs/providers.md`, `docs/protocol.md` ("Subsets").
//!
//! | file | answers |
//! |---|---|
//! | `api` | how a serving centre is asked |
//! | `stream` | how items come out of an answer (`item`: what one says) |
//! | `verify` | is it what its origin, or the serving centre, signed (`logs`: and who saw the logs) |
//! | `copy` | how verified packs rest, and what of them is live |
//! | `folder` | which copy is in force, and since when |
//! | `index` | the index that is matched with |
//! | [`pass`] | one synchronisation from beginning to end |
//! | [`export`] | the list for programs that read something else |
//!
//! In scope: a member's own folder. Out of scope: matching with it (`near`), what a member may have (the centre's `subset`).

mod api;
mod copy;
pub mod export;
mod folder;
mod index;
mod item;
mod logs;
pub mod pass;
mod report;
mod stream;
mod verify;

#[cfg(test)]
mod tests;

pub use api::{Api, ApiConfig, ApiError};
pub use copy::CopyError;
pub use folder::{Folder, FolderError, Standing, address_of, usable};
pub use index::IndexFault;
pub use item::ItemError;
pub use logs::LogFault;
pub use pass::{Bounds, Pass, Phase, Progress, SyncError};
pub use report::{Change, ClassCount, LogSeen, Report, Withheld};
pub use stream::StreamFault;
pub use verify::{ClassFault, Trust, VerifyError};
