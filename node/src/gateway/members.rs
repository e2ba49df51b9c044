//! The members in the register, as the gateway needs them: shared, and set by the loop.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use hashpact_protocol::centre::Member;

use crate::subset::MemberId;

/// Who is a member now.
#[derive(Clone, Default)]
pub(crate) struct Members {
    inner: Arc<RwLock<BTreeSet<MemberId>>>,
}

impl Members {
    /// Takes the register.
    pub(crate) fn set<'m>(&self, members: impl Iterator<Item = &'m Member>) {
        // A member of the register has a name that is one.
        let all = members.filter_map(|member| member.id.parse().ok());
        let all = all.collect();
        // Members are replaced whole, so a writer that panicked left them whole.
        *self.inner.write().unwrap_or_else(PoisonError::into_inner) = all;
    }

    pub(crate) fn contains(&self, id: &MemberId) -> bool {
        self.read().contains(id)
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeSet<MemberId>> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner)
    }
}
