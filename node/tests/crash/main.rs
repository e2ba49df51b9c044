//! What a node acknowledged survives the end of its process, whenever that comes.
//!
//! `HASHPACT_KILLS=n` kills more often than 20 times, `HASHPACT_SEED=n` repeats the choices of a run; when the kill comes
//! is drawn from the seed, what it hits is up to the machine. Hundreds of kills outlast nextest's patience: `cargo test`.
//!
//! | file | answers |
//! |---|---|
//! | `killed` | SIGKILL at random moments, at the origin and at a mirror |
//! | `stopped` | a commit that fails at each of its steps |
//! | `ledger` | what was asked, and what was acknowledged |
//! | `watcher` | what a stranger sees of the log meanwhile |

#[path = "../common/mod.rs"]
mod common;
mod killed;
mod ledger;
mod stopped;
mod watcher;
