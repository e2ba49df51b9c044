//! A Hashpact centre's node: how deltas travel, rest and are typed at a shell.
//!
//! What is true and what is allowed is decided in `hashpact-protocol`; this crate has the clock, the sockets, the disk and
//! the threads.
//!
//! | module | answers |
//! |---|---|
//! | [`audit`] | does a published copy of the logs hold, and how one is made |
//! | [`audit_trail`] | who used this node for what |
//! | [`cli`] | what a person types, and with which exit code it ends |
//! | [`home`], [`config`], [`armor`] | where a node's files are, and in which form |
//! | [`daemon`] | the loop that obeys the core |
//! | [`control`] | how a shell speaks with the running node |
//! | [`gateway`] | how members read their subsets over HTTP |
//! | [`hashing`] | what the hashes of files are |
//! | [`http`] | who may read the logs over HTTP, and how others are asked |
//! | [`ingest`] | how a file becomes rows that a delta can carry |
//! | [`matching`] | how lists are checked against each other without revealing them |
//! | [`near`] | which values of a list on this machine are equal to one, or close |
//! | [`net`] | how bytes travel |
//! | `dumps` | how keys in memory stay out of core files |
//! | [`policy`] | what profiles say, before anything depends on them |
//! | `page` | how a page for people is written |
//! | [`store`] | how they rest |
//! | [`subset`] | what members are given, and what each of them sees of it |
//! | [`witness`] | how logs are cosigned over HTTP, and how others are asked to |
//! | [`clock`] | what time it is |

pub mod armor;
pub mod audit;
pub mod audit_trail;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod daemon;
mod dumps;
pub mod gateway;
pub mod hashing;
pub mod home;
pub mod http;
pub mod ingest;
pub mod matching;
pub mod near;
pub mod net;
mod page;
pub mod policy;
pub mod store;
pub mod subset;
pub mod sync;
pub mod witness;
