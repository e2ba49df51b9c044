//! The openings of this centre's log, for whoever asks at the control socket: a bundle cut into lines.
//!
//! In scope: reading and cutting. Out of scope: what is in a bundle (`hashpact_protocol::audit`), the file (`cli`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hashpact_protocol::audit::{Bundle, BundleError, Export, export_openings};
use hashpact_protocol::limits;
use serde_json::{Value, json};
use tokio::io::AsyncWrite;

use super::server::{failed, send};
use super::{Fault, LINE_MAX, Line, chain};
use crate::daemon::{Handle, roster_in_force};
use crate::store::Store;
use hashpact_keys::Origin;

/// Bytes of a bundle in one line: with base64 and the line's own signs it stays below [`LINE_MAX`].
const PIECE: usize = LINE_MAX / 2;

/// The bundle of a store's own log from a leaf on.
///
/// # Errors
/// [`Fault`]: the store cannot be read.
pub fn export(store: &Store, origin: &Origin, from: u64) -> Result<Export, Fault> {
    let roster = roster_in_force(store).map_err(|error| failed(chain(&error)))?;
    let network = roster.roster().network;
    export_openings(store, network, origin, from).map_err(|error| failed(chain(&error)))
}

/// What is said of an export beside its bytes.
#[must_use]
pub fn described(export: &Export) -> Value {
    let Bundle {
        origin,
        leaves,
        opened,
        shown,
        ..
    } = &export.bundle;
    json!({
        "origin": origin.to_string(),
        "from": leaves.start,
        "to": leaves.end,
        "size": export.size,
        "opened": opened.len(),
        "shown": shown.len(),
        "missing": export.missing,
    })
}

/// Sends the bundle in pieces; the answer describes it.
pub(super) async fn answer(
    handle: &Handle,
    from: u64,
    write: &mut (impl AsyncWrite + Unpin),
) -> std::io::Result<Result<Value, Fault>> {
    // The log is read from one end to the other: other tasks of this thread move elsewhere meanwhile.
    let origin = &handle.checked.origin;
    let made = tokio::task::block_in_place(|| export(&handle.store, origin, from));
    let made = match made {
        Ok(made) => made,
        Err(fault) => return Ok(Err(fault)),
    };
    let bytes = made.bundle.to_bytes();
    for piece in bytes.chunks(PIECE) {
        send(write, &Line::Report(Value::String(BASE64.encode(piece)))).await?;
    }
    Ok(Ok(described(&made)))
}

/// A bundle out of its pieces, as they come.
#[derive(Default)]
pub struct Pieces {
    bytes: Vec<u8>,
    broken: bool,
}

impl Pieces {
    /// Takes one line.
    pub fn take(&mut self, line: &Line) {
        let Line::Report(Value::String(piece)) = line else {
            return;
        };
        match BASE64.decode(piece) {
            Ok(piece) if self.bytes.len() + piece.len() <= limits::OPENINGS_BYTES => {
                self.bytes.extend_from_slice(&piece);
            }
            Ok(_) | Err(_) => self.broken = true,
        }
    }

    /// The bundle.
    ///
    /// # Errors
    /// [`BundleError`] if the pieces make none.
    pub fn bundle(self) -> Result<Bundle, BundleError> {
        let bytes = if self.broken { &[][..] } else { &self.bytes };
        Bundle::from_bytes(bytes)
    }
}
