//! What is read off the disk to answer other centres' bulk requests.

use std::io;
use std::sync::Arc;

use hashpact_keys::Origin;
use hashpact_protocol::delta::Seq;
use hashpact_protocol::serve::{self, Answer};
use hashpact_protocol::wire::{BulkRefusal, BulkRequest};

use super::peers::Directory;
use crate::clock;
use crate::net::{BulkRead, BulkSource, PeerId, limits::MAX_CHUNK};
use crate::store::{ServedBody, Store};

/// Answers bulk requests from the store, as far as roster and policy allow.
pub struct Library {
    store: Arc<Store>,
    directory: Directory,
    own: Origin,
}

impl Library {
    /// Answers for the centre that writes `own`, to whom the directory knows.
    #[must_use]
    pub fn new(store: Arc<Store>, directory: Directory, own: Origin) -> Self {
        Self {
            store,
            directory,
            own,
        }
    }

    fn answer(&self, peer: PeerId, request: &[u8]) -> Result<Box<dyn BulkRead>, BulkRefusal> {
        let request = BulkRequest::from_bytes(request).map_err(|_| BulkRefusal::Malformed)?;
        let asker = self
            .directory
            .centre(&peer)
            .ok_or(BulkRefusal::NotOnRoster)?;
        let roster = self.directory.roster().ok_or(BulkRefusal::NotOnRoster)?;
        let (now, store) = (clock::now(), &*self.store);
        let answer = serve::may_answer(&request, &asker, &self.own, &roster, now, store)?;
        match request {
            BulkRequest::Suffix { origin, from, to } => {
                let bytes = serve::suffix(&*self.store, &origin, from, to)?;
                Ok(Box::new(Whole { bytes, at: 0 }))
            }
            BulkRequest::Proof { origin, from, to } => {
                let bytes = serve::proof(&*self.store, &origin, from, to)?;
                Ok(Box::new(Whole { bytes, at: 0 }))
            }
            BulkRequest::Body {
                origin,
                seq,
                section,
                offset,
                ..
            } => Ok(Box::new(self.body(
                &origin,
                seq,
                (section, offset),
                &answer,
            )?)),
        }
    }

    fn body(
        &self,
        origin: &Origin,
        seq: Seq,
        (section, offset): (u32, u64),
        answer: &Answer,
    ) -> Result<Sections, BulkRefusal> {
        let body = match answer {
            Answer::Whole => self.store.served_body(origin, seq),
            Answer::Classes(keep) => self.store.serve_body(origin, seq, keep),
        };
        let body = body.map_err(|_| BulkRefusal::Store)?;
        let body = body.ok_or(BulkRefusal::NotFound)?;
        let todo = body
            .sections()
            .into_iter()
            .filter(|class| *class >= section)
            .rev()
            .collect();
        Ok(Sections {
            body,
            todo,
            skip: offset,
            current: Whole {
                bytes: Vec::new(),
                at: 0,
            },
        })
    }
}

impl BulkSource for Library {
    fn open(&self, peer: PeerId, request: &[u8]) -> Result<Box<dyn BulkRead>, u8> {
        self.answer(peer, request).map_err(|refusal| {
            tracing::debug!(%refusal, "bulk request refused");
            refusal as u8
        })
    }
}

/// Bytes that are in memory.
struct Whole {
    bytes: Vec<u8>,
    at: usize,
}

impl BulkRead for Whole {
    fn next_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty());
        let chunk = rest.map(|rest| rest[..rest.len().min(MAX_CHUNK)].to_vec());
        self.at += chunk.as_ref().map_or(0, Vec::len);
        Ok(chunk)
    }
}

/// A body's sections, read and unsealed one at a time.
struct Sections {
    body: ServedBody,
    /// Still to send, the next one last.
    todo: Vec<u32>,
    /// Bytes of the first section that the asker has already.
    skip: u64,
    current: Whole,
}

impl BulkRead for Sections {
    fn next_chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(chunk) = self.current.next_chunk()? {
                return Ok(Some(chunk));
            }
            let Some(class) = self.todo.pop() else {
                return Ok(None);
            };
            let bytes = self.body.section(class).map_err(io::Error::other)?;
            let at = usize::try_from(std::mem::take(&mut self.skip)).unwrap_or(usize::MAX);
            self.current = Whole { bytes, at };
        }
    }
}
