//! Pages for people: one file each that needs no network, no font and no program, in English and French.
//!
//! | file | answers |
//! |---|---|
//! | `frame`, `page.css` | what is around every page |
//! | `file` | how it comes to the disk |
//! | `text` | how a sentence is said in each language |
//! | `format` | how a number, a time, a length of time is written |
//! | `html` | how nothing gets out unescaped |
//!
//! In scope: what pages share. Out of scope: what they say (`audit::report`, `policy::matrix`).

#[cfg(test)]
pub(crate) mod check;
pub(crate) mod file;
pub(crate) mod format;
pub(crate) mod frame;
pub(crate) mod html;
pub(crate) mod text;
