//! Rosters, their chain and enrolments, attacked part by part.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod chain;
mod enrolment;
mod fixture;
mod payload;
