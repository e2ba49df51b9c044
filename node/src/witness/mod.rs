//! A witness: it cosigns the checkpoints of logs that only ever grow, and remembers each before it answers.
//!
//! Why: a log that shows different people different histories needs its witnesses to help, so a witness that forgets, or that
//! cosigns two histories, is worse than none. Spec: C2SP `tlog-witness`, add-checkpoint and the retrieval for monitors;
//! `docs/protocol.md`, witnesses. In scope: whose checkpoints are cosigned, what was cosigned last, HTTP, and asking other
//! witnesses. Out of scope: the rules (`hashpact_protocol::log`), and what centres cosign for each other over libp2p (the core).
//!
//! | file | answers |
//! |---|---|
//! | `logs` | which logs are cosigned, and which keys speak for them |
//! | `state` | what was cosigned last, durably |
//! | `marker` | that there is a state, and whose |
//! | `evidence` | what a refused checkpoint leaves behind |
//! | `service` | the HTTP side |
//! | `home` | the folder of `hashpact witness` |
//! | `node` | a centre's node as the witness of logs outside its network |
//! | `submit` | a log asks a witness |

mod evidence;
mod home;
mod logs;
mod marker;
mod node;
mod service;
mod state;
mod submit;
#[cfg(test)]
mod tests;

pub use home::{
    MakeHomeError, OpenHomeError, WITNESS_KEYS, WitnessConfig, WitnessHome, WitnessKeys,
};
pub use logs::{Logs, LogsError};
pub use node::{NodeWitnessError, begin_node_state, node_routes};
pub use service::WitnessService;
pub use state::{CosignError, Cosigned, LogReport, StateError, WitnessState};
pub use submit::{SubmitError, SubmitOutcome, over_http, submit};
