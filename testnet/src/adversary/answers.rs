//! How it answers what it is asked: with bodies of which one byte is changed, or with another branch of the log.

use hashpact_node::daemon::Library;
use hashpact_node::net::{BulkRead, BulkSource, PeerId};
use hashpact_protocol::wire::{BulkRefusal, BulkRequest};

/// Answers as the honest library does, but changes one byte in the middle of the first piece of every body.
pub(super) struct Tampering(pub(super) Library);

impl BulkSource for Tampering {
    fn open(&self, peer: PeerId, request: &[u8]) -> Result<Box<dyn BulkRead>, u8> {
        let honest = self.0.open(peer, request)?;
        match BulkRequest::from_bytes(request) {
            Ok(BulkRequest::Body { .. }) => Ok(Box::new(Flipped {
                honest,
                done: false,
            })),
            Ok(BulkRequest::Suffix { .. } | BulkRequest::Proof { .. }) | Err(_) => Ok(honest),
        }
    }
}

struct Flipped {
    honest: Box<dyn BulkRead>,
    done: bool,
}

impl BulkRead for Flipped {
    fn next_chunk(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut chunk = self.honest.next_chunk()?;
        if let Some(bytes) = chunk.as_mut().filter(|_| !self.done) {
            // Past the section's head, inside a fingerprint or the id of the entry that is retracted.
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            self.done = true;
        }
        Ok(chunk)
    }
}

/// Answers as the library of one face does, but gives no bodies: one of the wrong face would be refused, and whoever gave it
/// parted from, before it has shown its face.
pub(super) struct Branch(pub(super) Library);

impl BulkSource for Branch {
    fn open(&self, peer: PeerId, request: &[u8]) -> Result<Box<dyn BulkRead>, u8> {
        match BulkRequest::from_bytes(request) {
            Ok(BulkRequest::Body { .. }) => Err(BulkRefusal::NotFound as u8),
            Ok(BulkRequest::Suffix { .. } | BulkRequest::Proof { .. }) | Err(_) => {
                self.0.open(peer, request)
            }
        }
    }
}
