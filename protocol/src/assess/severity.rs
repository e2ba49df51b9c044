//! Severity tiers, computed from the features of a record.
//!
//! Why: national scales differ and stay as local labels; one tier that everybody computes alike is what policies may compare.
//! Spec: domain 2.2. In scope: the formula. Out of scope: local scales.

use super::Feature;
use crate::lists::{Set, closed_list};
use crate::record::Flag;

closed_list! {
    /// A severity tier.
    Severity {
        /// Nudity at most: not abuse material by itself.
        S0 = "S0",
        /// Penetrative, with an animal, or with violence.
        S1 = "S1",
        /// Another activity.
        S2 = "S2",
        /// No activity, but a close-up or a pose.
        S3 = "S3",
    }
}

/// The tiers that a record with these features could have. The full set is the unknown tier, SU.
///
/// Penetration, animal and violence are forms of activity: where there is none, an unknown one of them says nothing.
#[must_use]
pub fn severity(features: &[Flag; 7]) -> Set<Severity> {
    use Feature::{Activity, Animal, Focus, Penetrative, Pose, Violence};
    let is = |feature: Feature, flag| feature.of(features) == flag;
    let grave = [Penetrative, Animal, Violence];
    let all_no = |of: &[Feature]| of.iter().all(|feature| is(*feature, Flag::No));
    if grave.iter().any(|feature| is(*feature, Flag::Yes)) {
        return Set::of(&[Severity::S1]);
    }
    match Activity.of(features) {
        Flag::Yes if all_no(&grave) => Set::of(&[Severity::S2]),
        Flag::Yes => Set::of(&[Severity::S1, Severity::S2]),
        Flag::No if is(Focus, Flag::Yes) || is(Pose, Flag::Yes) => Set::of(&[Severity::S3]),
        Flag::No if all_no(&grave) && all_no(&[Focus, Pose]) => Set::of(&[Severity::S0]),
        Flag::No | Flag::Unknown => Set::full(),
    }
}
