//! Bodies for serving: what other centres are sent.
//!
//! In scope: sections as they are on the wire. Out of scope: who may have which (the policy).

use std::sync::Arc;

use hashpact_keys::Origin;
use hashpact_protocol::delta::{RETRACTION_SECTION, Seq};
use hashpact_protocol::view::Holding;

use super::bodies::{self, BodyFault, DamagedBody};
use super::control::Folder;
use super::layout::BodyKind;
use super::sealed::{BodyFile, SealedError};
use super::sections::holding;
use super::{ControlError, LookupError, Store};

/// Bytes of a section that hold its class, form and count.
const SECTION_HEAD: u64 = 32;

/// A stored body whose sections are read one at a time.
pub struct ServedBody(Arc<BodyFile>);

impl ServedBody {
    /// The classes whose sections there are, ascending; 65536 stands for the retractions.
    #[must_use]
    pub fn sections(&self) -> Vec<u32> {
        self.0.sections().iter().map(|info| info.class).collect()
    }

    /// The plaintext of a section: the bytes that are on the wire.
    ///
    /// # Errors
    /// [`SealedError`].
    pub fn section(&self, class: u32) -> Result<Vec<u8>, SealedError> {
        let mut bytes = self.0.read_section(class)?;
        Ok(std::mem::take(&mut *bytes))
    }
}

impl Store {
    /// The deltas of a log whose bodies are stored, ascending.
    ///
    /// # Errors
    /// [`ControlError`].
    pub fn stored_bodies(&self, origin: &Origin) -> Result<Vec<Seq>, ControlError> {
        let (mut seqs, mut from) = (Vec::new(), 0);
        while let Some(Folder { number, files }) = self.control.next_folder(origin, from)? {
            let bodies = files.iter();
            let bodies = bodies.filter(|(_, kind)| matches!(kind, BodyKind::Body(_)));
            seqs.extend(bodies.map(|(seq, _)| *seq));
            from = number + 1;
        }
        Ok(seqs)
    }

    /// A delta's body, for serving. Where only its retractions are stored, they are its one
    /// section; `None` if nothing is stored.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn served_body(
        &self,
        origin: &Origin,
        seq: Seq,
    ) -> Result<Option<ServedBody>, LookupError> {
        let is_whole = || Ok::<_, LookupError>(self.control.body(origin, seq)?.is_some());
        if !is_whole()? {
            let open = || bodies::open(&self.layout, &self.keys.seal, origin, seq, BodyKind::Ends);
            let alone = self.control.has_ends(origin, seq)?.then(open).transpose();
            match alone {
                Ok(Some(file)) => return Ok(Some(ServedBody(Arc::new(file)))),
                // A commit that came in between has put the whole body in their place.
                Ok(None) | Err(_) if is_whole()? => {}
                Ok(None) => return Ok(None),
                Err(fault) => return Err(damaged(origin, seq, fault)),
            }
        }
        let opened = self.open_body(origin, seq);
        let file = opened.map_err(|fault| damaged(origin, seq, fault))?;
        Ok(Some(ServedBody(file)))
    }

    /// What is held of a delta, class by class; `None` if its body is not stored.
    pub(super) fn read_holdings(
        &self,
        origin: &Origin,
        seq: Seq,
    ) -> Result<Option<Vec<Holding>>, LookupError> {
        if self.control.body(origin, seq)?.is_none() {
            return Ok(None);
        }
        if let Some(contents) = self.control.contents(origin, seq)? {
            return Ok(Some(contents.holdings()));
        }
        let fail = |fault| {
            LookupError::from(DamagedBody {
                origin: origin.clone(),
                seq,
                fault,
            })
        };
        let opened = self.open_body(origin, seq);
        let file = opened.map_err(|error| fail(BodyFault::Sealed(error)))?;
        let mut held = Vec::new();
        for info in file.sections() {
            if info.class == RETRACTION_SECTION {
                continue;
            }
            // The head says all: kind, count and what follows.
            let want = u64::from(info.len).min(SECTION_HEAD);
            let head = file.read_range(info.class, 0, want);
            let head = head.map_err(|error| fail(BodyFault::Sealed(error)))?;
            let class = info.class;
            held.push(holding(&head).ok_or_else(|| fail(BodyFault::Section { class }))?);
        }
        Ok(Some(held))
    }
}

fn damaged(origin: &Origin, seq: Seq, fault: SealedError) -> LookupError {
    let (origin, fault) = (origin.clone(), BodyFault::Sealed(fault));
    DamagedBody { origin, seq, fault }.into()
}
