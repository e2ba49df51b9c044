//! Bodies for serving: what other centres are sent.
//!
//! In scope: sections as they are on the wire, classes left out. Out of scope: who may have which (the policy).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hashpact_keys::Origin;
use hashpact_protocol::delta::{RETRACTION_SECTION, Retraction, Seq, withheld_section};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::view::Holding;

use super::bodies::{self, BodyFault, DamagedBody, contents_of};
use super::control::Folder;
use super::layout::BodyKind;
use super::sealed::{BodyFile, SealedError};
use super::sections::{decode_retractions, holding};
use super::{ControlError, LookupError, Store};

/// Bytes of a section that hold its class, form and count.
const SECTION_HEAD: u64 = 32;

/// A stored body whose sections are read one at a time.
pub struct ServedBody {
    file: Arc<BodyFile>,
    /// Sections that the asker is told count and root of, and nothing else.
    withheld: BTreeMap<u32, Vec<u8>>,
}

/// What serving one stored body costs, whole and with a class withheld. Sizes in bytes of the wire, times of one serving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServingCost {
    /// The body whole.
    pub whole_bytes: u64,
    /// The shortest of the rounds.
    pub whole: Duration,
    /// The body without the class.
    pub narrowed_bytes: u64,
    /// The shortest of the rounds.
    pub narrowed: Duration,
}

impl ServedBody {
    fn whole(file: Arc<BodyFile>) -> Self {
        let withheld = BTreeMap::new();
        Self { file, withheld }
    }

    /// The classes whose sections there are, ascending; 65536 stands for the retractions.
    #[must_use]
    pub fn sections(&self) -> Vec<u32> {
        let sections = self.file.sections().iter();
        sections.map(|info| info.class).collect()
    }

    /// The plaintext of a section: the bytes that are on the wire.
    ///
    /// # Errors
    /// [`SealedError`].
    pub fn section(&self, class: u32) -> Result<Vec<u8>, SealedError> {
        if let Some(withheld) = self.withheld.get(&class) {
            return Ok(withheld.clone());
        }
        let mut bytes = self.file.read_section(class)?;
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
                Ok(Some(file)) => return Ok(Some(ServedBody::whole(Arc::new(file)))),
                // A commit that came in between has put the whole body in their place.
                Ok(None) | Err(_) if is_whole()? => {}
                Ok(None) => return Ok(None),
                Err(fault) => return Err(damaged(origin, seq, fault)),
            }
        }
        let opened = self.open_body(origin, seq);
        let file = opened.map_err(|fault| damaged(origin, seq, fault))?;
        Ok(Some(ServedBody::whole(file)))
    }

    /// A delta's body for somebody who may have the classes `keep`: of every other one count and root, about 40 bytes. The
    /// records of those are not read, nor their data keys unwrapped. Else as [`Store::served_body`].
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn serve_body(
        &self,
        origin: &Origin,
        seq: Seq,
        keep: &BTreeSet<ClassId>,
    ) -> Result<Option<ServedBody>, LookupError> {
        let Some(mut served) = self.served_body(origin, seq)? else {
            return Ok(None);
        };
        // What the origin signed for is the same in every version of a body.
        let contents = match self.control.contents(origin, seq)? {
            Some(contents) => contents,
            None => contents_of(&served.file, origin, seq).map_err(|fault| {
                let origin = origin.clone();
                DamagedBody { origin, seq, fault }
            })?,
        };
        let signed = contents.classes.iter().map(|class| &class.signed);
        let others = signed.filter(|signed| !keep.contains(&signed.class));
        served.withheld = others
            .map(|signed| (u32::from(signed.class.0), withheld_section(signed)))
            .collect();
        Ok(Some(served))
    }

    /// The plaintext of a section of a body that was opened.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn section_of(
        &self,
        origin: &Origin,
        seq: Seq,
        body: &ServedBody,
        class: u32,
    ) -> Result<Vec<u8>, LookupError> {
        let section = body.section(class);
        section.map_err(|fault| damaged(origin, seq, fault))
    }

    /// How often a stored body was rewritten.
    #[must_use]
    pub fn body_version(&self, origin: &Origin, seq: Seq) -> u32 {
        self.version(origin, seq)
    }

    /// The stored bodies that were rewritten, each with how often, and a number that changes whenever one is.
    #[must_use]
    pub fn rewritten(&self) -> (u64, BTreeMap<(Origin, Seq), u32>) {
        let live = self.live();
        (live.rewrites, live.versions.clone())
    }

    /// The number of commits that rewrote bodies.
    #[must_use]
    pub fn rewrites(&self) -> u64 {
        self.live().rewrites
    }

    /// The retractions of a stored delta; none if nothing of it is stored.
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn ended_by(&self, origin: &Origin, seq: Seq) -> Result<Vec<Retraction>, LookupError> {
        let Some(body) = self.served_body(origin, seq)? else {
            return Ok(Vec::new());
        };
        let class = RETRACTION_SECTION;
        let section = self.section_of(origin, seq, &body, class)?;
        decode_retractions(&section).ok_or_else(|| {
            let (origin, fault) = (origin.clone(), BodyFault::Section { class });
            DamagedBody { origin, seq, fault }.into()
        })
    }

    /// Serves a stored body `rounds` times whole and, in turn, as often with `class` withheld, every section read and thrown
    /// away, and measures both; `None` if no body of it is stored. For benchmarks (`testnet bench --policy`).
    ///
    /// # Errors
    /// [`LookupError`].
    pub fn measure_serving(
        &self,
        origin: &Origin,
        seq: Seq,
        class: ClassId,
        rounds: u32,
    ) -> Result<Option<ServingCost>, LookupError> {
        let Some(holdings) = self.read_holdings(origin, seq)? else {
            return Ok(None);
        };
        let classes = holdings.iter().map(|holding| holding.class);
        let rest: BTreeSet<ClassId> = classes.filter(|other| *other != class).collect();
        let open_whole = || self.served_body(origin, seq);
        let open_rest = || self.serve_body(origin, seq, &rest);
        let serve = |open: &dyn Fn() -> Result<Option<ServedBody>, LookupError>| {
            let began = Instant::now();
            let Some(served) = open()? else {
                return Ok::<_, LookupError>((0, Duration::ZERO));
            };
            let mut bytes = 0;
            for section in served.sections() {
                let read = served.section(section);
                bytes += read.map_err(|fault| damaged(origin, seq, fault))?.len() as u64;
            }
            Ok((bytes, began.elapsed()))
        };
        let mut best = [(0, Duration::MAX); 2];
        for _ in 0..rounds {
            for (served, best) in [serve(&open_whole)?, serve(&open_rest)?]
                .into_iter()
                .zip(&mut best)
            {
                *best = (served.0, best.1.min(served.1));
            }
        }
        let [(whole_bytes, whole), (narrowed_bytes, narrowed)] = best;
        Ok(Some(ServingCost {
            whole_bytes,
            whole,
            narrowed_bytes,
            narrowed,
        }))
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
