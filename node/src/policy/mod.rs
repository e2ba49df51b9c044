//! Policy at a desk: reading profiles, and saying what they decide before anything depends on it.
//!
//! | module | answers |
//! |---|---|
//! | [`entry`] | what is computed of one entry: a record that is proven, and attestations of it |
//! | [`files`] | where a profile is read from: a folder, or a signed document |
//! | [`check`] | is a profile safe to rely on, and what counsel must confirm |
//! | [`class`] | the labels of a class, as a person types and reads them |
//! | [`logs`] | what a node's logs say of policy |
//! | [`key`] | the keys of the people who sign |
//! | [`matrix`] | the same of every class and everybody who could receive it, as a table and as a page |
//! | [`scene`] | which centres there are, and what each of them lets happen |
//! | [`explain`] | may a class go from one centre to another, and if not, who says no and on what basis |
//! | [`replay`] | that, written down for the stock `cedar` command line |
//! | `script` | how that is asked: one shell script for this and for audits |
//! | [`diff`] | what a change would give, take back and withhold |
//!
//! What is allowed is decided in `hashpact_protocol::policy`; here are the files and the words. Nothing here changes a node.

pub mod check;
pub mod class;
pub mod diff;
pub mod entry;
pub mod explain;
pub mod files;
pub mod key;
pub mod logs;
pub mod matrix;
pub mod replay;
pub mod scene;
pub(crate) mod script;
