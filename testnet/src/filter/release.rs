//! What a centre gives to its providers, by the same domain table: written apart from the policy engine, as the rest of the filter.

use super::{Drawn, Laws, could_be};
use crate::mixed::Case;

impl Laws {
    /// Whether `centre` may give a case to a provider under its own law, and of what another centre made only if `opted` says
    /// that it relies on that centre's assessment alone: no second centre attests anything of these lists.
    #[must_use]
    pub fn may_publish(&self, case: &Case, origin: &str, centre: &str, opted: bool) -> bool {
        let Some(law) = self.0.get(centre) else {
            return false;
        };
        let could_be_young = could_be(&case.self_generated, "peer_consensual");
        let for_some_purpose = law.publishes_for.iter().any(|purpose| {
            let young = could_be_young && law.young_refused_for.contains(purpose);
            case.purposes.contains(purpose.as_str()) && !young
        });
        let drawn = could_be(&case.depiction, "virtual_drawn") && law.gives.drawn == Drawn::Never;
        let certain = case.minor_certain && case.content_class.iter().all(|word| *word == "csam");
        let rests = origin == centre || case.residency.contains(law.jurisdiction.as_str());
        case.state == "assessed"
            && certain
            && case.tlp == "AMBER"
            && case.recipients.contains("provider")
            && rests
            && for_some_purpose
            && !drawn
            && (origin == centre || opted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_gets_what_is_certain_granted_and_assessed_at_home() {
        let laws = Laws::of(["us", "ca"]).unwrap();
        let plain = Case::plain("plain");
        assert!(laws.may_publish(&plain, "us", "us", false));
        assert!(!laws.may_publish(&plain, "ca", "us", false));
        assert!(laws.may_publish(&plain, "ca", "us", true));
        let changes: [fn(&mut Case); 8] = [
            |case| case.state = "disputed",
            |case| case.minor_certain = false,
            |case| case.tlp = "AMBER+STRICT",
            |case| case.recipients = ["centre"].into(),
            |case| case.purposes = ["investigate"].into(),
            |case| case.content_class = ["csam", "related_harmful"].into(),
            |case| case.depiction = ["real", "virtual_drawn"].into(),
            |case| case.residency = ["CA"].into(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut case = Case::plain("changed");
            change(&mut case);
            assert!(!laws.may_publish(&case, "ca", "us", true), "{number}");
        }
        // The law that works under no grant for providers gives them nothing.
        assert!(!laws.may_publish(&plain, "ca", "ca", false));
    }
}
