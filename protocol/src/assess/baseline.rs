//! The INTERPOL baseline: what every profile may presume illegal.
//!
//! Why: it is the one class on which the laws agree, so it is computed by everybody alike and never claimed. A criterion
//! that is unknown is one that does not hold. Spec: domain 2.2, after the criteria in the WePROTECT assessment of 2019; the
//! list excludes what is morphed, drawn or computer-generated. In scope: the formula. Out of scope: who may get such entries.

use super::count::{count_where, is_human};
use super::{Attestation, Attested, Feature, Quorum, Stated};
use crate::labels::{Depiction, State};
use crate::lists::{ClosedList, Set};
use crate::record::{Flag, PubertalStage};

/// Whether an entry in this effective state is of the baseline.
///
/// Its origin must state each criterion, and two people of two centres in two countries must attest the same ones: one stage
/// and one of activity and close-up that all of them attest. Age never decides: 11 to 13 straddles the line.
#[must_use]
pub fn baseline(stated: &Stated<'_>, state: State, attested: &[Attested]) -> bool {
    let fields = stated.fields;
    let is_real = |depiction| depiction == Set::of(&[Depiction::Real]);
    let is_young =
        |stage: Set<PubertalStage>| !stage.is_empty() && !stage.contains(PubertalStage::Pubertal);
    if state != State::Assessed
        || !is_real(stated.labels.depiction)
        || !is_young(fields.pubertal_stage)
    {
        return false;
    }
    let attests = |one: &Attestation, stage, feature: Feature| {
        let values = &one.values;
        let is_shown = feature.of(&values.features) == Flag::Yes;
        let stages = values.pubertal_stage;
        is_human(one)
            && is_real(values.depiction)
            && is_young(stages)
            && stages.contains(stage)
            && is_shown
    };
    let shown = [Feature::Activity, Feature::Focus];
    let shown = shown
        .into_iter()
        .filter(|feature| feature.of(&fields.features) == Flag::Yes);
    shown.into_iter().any(|feature| {
        let mut stages = PubertalStage::VALUES.iter();
        stages.any(|(stage, _)| {
            let count = count_where(stated, attested, |one| attests(one, *stage, feature));
            fields.pubertal_stage.contains(*stage) && Quorum::TWO_OF_TWO.is_met_by(count)
        })
    })
}
