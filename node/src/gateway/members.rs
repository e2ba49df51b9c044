//! The members in the register, as the gateway needs them: shared, and set by the loop.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use hashpact_protocol::centre::Member;

use crate::subset::MemberId;

/// Who is a member now.
#[derive(Clone, Default)]
pub(crate) struct Members {
    inner: Arc<RwLock<BTreeMap<MemberId, Member>>>,
}

impl Members {
    /// Takes the register.
    pub(crate) fn set<'m>(&self, members: impl Iterator<Item = &'m Member>) {
        // A member of the register has a name that is one.
        let named = |member: &Member| Some((member.id.parse().ok()?, member.clone()));
        let all = members.filter_map(named).collect();
        // Members are replaced whole, so a writer that panicked left them whole.
        *self.inner.write().unwrap_or_else(PoisonError::into_inner) = all;
    }

    pub(crate) fn contains(&self, id: &MemberId) -> bool {
        self.read().contains_key(id)
    }

    /// One of them.
    pub(crate) fn member(&self, id: &MemberId) -> Option<Member> {
        self.read().get(id).cloned()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<MemberId, Member>> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }
}
