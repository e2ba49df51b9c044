//! Hashing files where they lie: MD5, SHA-1 and SHA-256 of any file, PDQ of a picture.
//!
//! Why: a provider checks files against a list that holds hashes only; the files never leave the machine, and nothing of
//! them is kept. Files are hostile input: links are not followed, memory and pixels are bounded, and a file that cannot be
//! read is told of and stops nothing.
//!
//! | file | answers |
//! |---|---|
//! | [`folder`] | which files lie under a path |
//! | [`digest`] | what their digests are, in one pass |
//! | [`mod@file`] | all of these of one file |
//! | [`picture`] | which pixels a picture has, if it has not too many |
//! | [`pdq`] | what the perceptual hash of pixels is |
//!
//! In scope: bytes to hashes. Out of scope: matching them (`near`), printing (`cli`). `PhotoDNA` is never computed here.

pub mod digest;
pub mod file;
pub mod folder;
pub mod pdq;
pub mod picture;
