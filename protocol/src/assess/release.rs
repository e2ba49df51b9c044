//! How many must have looked before an entry is released to providers.
//!
//! Why: what one centre assessed is law in its own house and an opinion elsewhere. Spec: domain 2.2, design 8. In scope: the
//! rule. Out of scope: who is among the recipients, and what else policy asks (`policy`).

use std::num::NonZeroU8;

use hashpact_keys::Jurisdiction;

use super::count::{count_where, is_human};
use super::{Attested, Basis, Quorum, Stated};

/// Whose assessment is enough for a release to providers of one centre.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseRule {
    /// Its origin's: at home, or where this centre has opted in.
    Origin,
    /// So many who looked at it, of so many centres and countries.
    Viewed(Quorum),
}

impl ReleaseRule {
    /// Two people of two centres, of one country perhaps.
    pub const TWO_CENTRES: Self = Self::Viewed(Quorum {
        assessors: TWO,
        centres: TWO,
        countries: NonZeroU8::MIN,
    });

    /// The rule for entries of an origin under a law, at a centre under its own; `opted_in` as
    /// [`evidence::opted_in`](crate::evidence::opted_in) says.
    #[must_use]
    pub fn of(own: &Jurisdiction, origins: &Jurisdiction, opted_in: bool) -> Self {
        match own == origins || opted_in {
            true => Self::Origin,
            false => Self::TWO_CENTRES,
        }
    }

    /// Whether enough have looked. What is `reissued` needs at least one person who looked at this revision, and says so: a
    /// retracted entry comes back in no other way. O(attestations log attestations).
    #[must_use]
    pub fn is_met(self, stated: &Stated<'_>, attested: &[Attested], reissued: bool) -> bool {
        let viewed = count_where(stated, attested, |one| {
            is_human(one) && one.basis == Basis::Viewed
        });
        let is_fresh = !reissued || viewed.assessors > 0;
        match self {
            Self::Origin => is_fresh,
            Self::Viewed(quorum) => is_fresh && quorum.is_met_by(viewed),
        }
    }
}

const TWO: NonZeroU8 = NonZeroU8::MIN.saturating_add(1);
