//! The gateway: how members read their subsets over HTTP, through their own programs or the clients that they already run.
//!
//! Why: a provider will not learn a new protocol to protect children faster. Each gets exactly what policy grants, signed,
//! with retractions that are proven to arrive. Spec: `docs/providers.md`; RFC 9110, RFC 9457. In scope: who asks, how much,
//! and in which form it is answered. Out of scope: what a member may have (`subset`), what is a near match (`near`).
//!
//! | file | answers |
//! |---|---|
//! | `config` | where it listens |
//! | `token`, `credentials` | who may ask, and how that ends |
//! | `caller` | the layer that admits a request, and `Caller`, what routes know of who asks |
//! | `address` | from where a request comes, behind proxies too |
//! | `allowance` | rates, quotas and streams |
//! | `audit`, `record`, `unnamed` | one line for each request of a member, one a minute for all others |
//! | `problem`, `query` | how a request is refused and how it is read |
//! | `vote`, `pseudonym` | what a member says of an entry, and under which name others learn it |
//! | `members` | the register, shared |
//! | `ncmec` | the shape of NCMEC Hash Sharing v2, below `/hashsharing` |
//! | `shield`, `nearby` | `/v1/pdq/` of Arachnid Shield, and near matches |
//! | `desk` | the gateway as the rest of the node sees it |
//! | `serve` | routes, layers, certificates, start and end |

mod address;
mod allowance;
pub(crate) mod audit;
pub(crate) mod caller;
pub(crate) mod config;
pub(crate) mod credentials;
mod describe;
pub(crate) mod desk;
#[cfg(test)]
mod made;
pub(crate) mod members;
pub(crate) mod native;
pub(crate) mod ncmec;
mod nearby;
pub(crate) mod problem;
mod pseudonym;
pub(crate) mod query;
mod record;
pub(crate) mod serve;
mod shield;
#[cfg(test)]
mod tests;
pub(crate) mod token;
mod unnamed;
pub(crate) mod vote;

pub use config::GatewayConfig;
pub use credentials::{Described, Terms};
pub use desk::GatewayStatus;
pub use serve::openapi;
