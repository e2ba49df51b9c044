//! Policy documents and match manifests that are logged: only those that receivers will take and that can be read.

use hashpact_keys::Timestamp;

use super::super::law::stands;
use super::super::{Centre, Outcome, Output};
use super::{CommandError, Extension};
use crate::log::Leaf;
use crate::policy::PolicyDocument;
use crate::verify::{LeafFault, Origins, Walk};
use crate::view::{View, Write};

impl Centre {
    /// Logs a match manifest that receivers will take, with the rows that go with it; the index of its leaf.
    pub(in super::super) fn extend_by_manifest(
        &mut self,
        signed: Vec<u8>,
        rows: Vec<Write>,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<u64, CommandError> {
        self.may_sign()?;
        self.would_be_taken(now)?;
        let (roster, centre) = (self.roster(), self.own_entry()?);
        let origins = Origins {
            roster,
            centre,
            now,
        };
        let mut walk = Walk::from(self.own.clone(), &origins);
        let taken = walk.manifest(self.own.size, &signed);
        taken.map_err(|fault| CommandError::ManifestLeaf(Box::new(fault)))?;
        let Walk {
            state, manifests, ..
        } = walk;
        let leaf = Leaf::MatchEpoch { manifest: signed }.to_bytes();
        let extension = Extension {
            state,
            leaves: leaf.into_iter().collect(),
            manifests,
            rows,
            ..Extension::default()
        };
        self.extend(extension, now, view, out)?;
        Ok(self.own.manifest.unwrap_or_default())
    }

    /// Logs a policy document that receivers will take and that can be read.
    pub(super) fn log_policy(
        &mut self,
        document: Vec<u8>,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<Outcome, CommandError> {
        self.may_sign()?;
        self.would_be_taken(now)?;
        let (roster, centre) = (self.roster(), self.own_entry()?);
        let refused = |fault: LeafFault| CommandError::PolicyLeaf(Box::new(fault));
        let origins = Origins {
            roster,
            centre,
            now,
        };
        let mut walk = Walk::from(self.own.clone(), &origins);
        walk.policy(self.own.size, &document).map_err(refused)?;
        let Walk {
            state, policies, ..
        } = walk;
        let opened = PolicyDocument::open(&document, centre);
        let opened = opened.map_err(|error| refused(error.into()))?;
        let profile = opened.profile().map_err(CommandError::PolicyFaults)?;
        if *profile.jurisdiction() != centre.jurisdiction {
            return Err(CommandError::PolicyLaw {
                expected: centre.jurisdiction.clone(),
                got: profile.jurisdiction().clone(),
            });
        }
        if !stands(&profile, centre, roster.demo) {
            return Err(CommandError::PolicyCounsel);
        }
        let leaf = Leaf::Policy { document }.to_bytes();
        let extension = Extension {
            state,
            leaves: leaf.into_iter().collect(),
            policies,
            ..Extension::default()
        };
        self.extend(extension, now, view, out)?;
        Ok(Outcome::PolicyLogged {
            version: opened.version,
            index: self.own.policy.unwrap_or_default(),
        })
    }
}
