//! Objects beside deltas: who hears of them, which are refused, what two people order, and how errors and retractions
//! travel.
#![cfg(feature = "testing")]

mod chance;
mod errors;
mod flood;
mod network;
mod orders;
mod refused;
mod reissue;
mod retractions;
mod travel;
