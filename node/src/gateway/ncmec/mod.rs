//! NCMEC Hash Sharing v2, as the clients that members already run speak it: the read side and votes.
//!
//! Why: a provider's engineer points the client that is there at a centre, and nothing else changes. Spec: formats section 1,
//! every rule of 1.3; `docs/providers.md`. The clients stop for good at one bad element and lose rows to one wrong time,
//! without a word: so each page is read by a reader of our own before it is sent, and a window of the future is refused.
//! In scope: documents, times, queries. Out of scope: the write side, which is not public; members submit nothing here.
//!
//! | file | answers |
//! |---|---|
//! | `serve` | the routes |
//! | `ask`, `time` | which window is asked for |
//! | `window` | which of its rows, and what of them, this shape can say |
//! | `page`, `members`, `reasons` | how documents are written |
//! | `check` | whether the stock client can read a page |
//! | `ballot`, `vote` | what a member says of an entry |
//! | `tree` | how XML is read |
//! | `names` | the words of the shape |

mod ask;
mod ballot;
mod check;
mod members;
mod names;
mod page;
mod reasons;
mod serve;
#[cfg(test)]
mod tests;
mod time;
mod tree;
mod vote;
mod window;

pub(crate) use serve::routes;
