//! The six profiles that come with the program: what each does with each kind of material. The tables are written here by
//! hand from the domain, so that a slip in a file shows.

use std::collections::BTreeSet;

use super::{NOW, list};
use crate::assess::EntryFacts;
use crate::labels::*;
use crate::lists::{ClosedList, Set};
use crate::policy::*;

fn names(profiles: &[(&str, Profile)]) -> Vec<String> {
    profiles
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect()
}

fn law(name: &str) -> String {
    if name == "uk" {
        "GB".to_owned()
    } else {
        name.to_ascii_uppercase()
    }
}

fn centre(name: &str) -> Principal {
    Principal::Centre {
        id: name.parse().unwrap(),
        jurisdiction: law(name).parse().unwrap(),
    }
}
