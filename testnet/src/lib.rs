//! Does it all hold together? Four centres and an auditor on one machine, with real processes, real lists and a real
//! adversary.
//!
//! | module | answers |
//! |---|---|
//! | [`cli`] | what may be asked of the testnet |
//! | [`scenario`] | the main job, step by step, and what is checked |
//! | `governed` | the second network: four laws, and a filter that says what they come to |
//! | [`cluster`] | how the processes are made, started, asked and stopped |
//! | [`lists`] | which lists they ingest |
//! | [`mixed`] | which synthetic lists with mixed labels |
//! | [`filter`] | what of these may go where, written a second time without the policy engine |
//! | `member` | how a provider checks its list, every byte on tape |
//! | [`needles`] | whether secrets lie in what a run leaves behind |
//! | [`watching`] | what a person sees meanwhile |
//! | [`adversary`] | a libp2p peer that lies, built on the node's library |
//! | [`outcome`] | the summary and its JSON |
//! | [`mod@bench`] | how fast it is, beside a named reference |

pub mod adversary;
pub mod bench;
pub mod cli;
pub mod cluster;
pub mod filter;
mod governed;
pub mod lists;
mod member;
pub mod mixed;
pub mod needles;
pub mod outcome;
pub mod scenario;
pub mod watching;
