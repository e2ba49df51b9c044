//! The six profiles that come with the program: what each does with each kind of material. The tables are written here by
//! hand from the domain, so that a slip in a file shows.

use crate::testing::policies::{PROFILES, profile};

#[test]
fn every_profile_that_comes_with_the_program_is_free_of_faults() {
    for name in PROFILES {
        let profile = profile(name);
        assert_eq!(profile.name(), name);
        assert!(profile.signed_off().is_none(), "{name}: nobody signed it");
        assert!(profile.policies().all(|(_, basis)| !basis.confirmed));
        assert_eq!(profile.facts().len(), 9, "{name}: one fact per topic");
    }
}
