//! Proofs of one entry, for whoever asks at the control socket.
//!
//! In scope: what is proven, and the words for what cannot be. Out of scope: files (`cli::prove`), making proofs (`store`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hashpact_keys::{Origin, Signer};
use hashpact_protocol::log::Receipt;
use hashpact_protocol::record::EntryId;
use serde_json::{Value, json};

use super::server::{failed, input, no};
use super::{Fault, chain};
use crate::daemon::Handle;
use crate::store::{LeafProofError, LoggedLeaf};

/// Proves an entry of a log, or of this centre's own: its record, and the leaf of its delta.
///
/// The whole class of the delta is unsealed and hashed: call it where blocking is allowed.
pub(super) fn prove(
    handle: &Handle,
    entry: &str,
    origin: Option<&str>,
    receipt: bool,
) -> Result<Value, Fault> {
    // Not repeated: it may be a fingerprint, pasted by mistake.
    let entry: EntryId = entry
        .parse()
        .map_err(|error: hashpact_protocol::record::EntryIdError| input(error.to_string()))?;
    let own = &handle.checked.origin;
    let origin: Origin = match origin {
        Some(origin) => origin
            .parse()
            .map_err(|error| input(format!("{origin}: {}", chain(&error))))?,
        None => own.clone(),
    };
    if receipt && origin != *own {
        return Err(no(format!(
            "a receipt of {origin} needs the key of that log, which only {} has: ask it for one",
            origin.centre()
        )));
    }
    let stored = handle.store.record_proof(&origin, entry);
    let stored = stored.map_err(|error| failed(chain(&error)))?;
    let stored = stored.ok_or_else(|| {
        no(format!(
            "{entry}: no record of {origin} with this id is here"
        ))
    })?;
    let logged = handle.store.leaf_proof(&origin, stored.index);
    let logged = logged.map_err(|error| unproven(&error))?;
    let receipt = receipt.then(|| issue(&logged, &handle.log_signer));
    Ok(json!({
        "origin": origin.to_string(),
        "entry": entry.to_string(),
        "delta": stored.seq.0,
        "leaf": stored.index,
        "size": logged.checkpoint.size,
        "retracted": stored.retracted,
        "record_proof": BASE64.encode(stored.proof.to_bytes()),
        "leaf_bytes": BASE64.encode(&logged.leaf),
        "tlog_proof": logged.proof.to_text(),
        "receipt": receipt.map(|bytes| BASE64.encode(bytes)),
    }))
}

/// A receipt over the root of the published checkpoint, which the same key has signed.
fn issue(logged: &LoggedLeaf, signer: &Signer) -> Vec<u8> {
    let (head, proof) = (&logged.checkpoint, &logged.proof);
    Receipt::sign(&head.root, head.size, proof.index(), proof.path(), signer)
}

fn unproven(error: &LeafProofError) -> Fault {
    let text = chain(error);
    match error {
        LeafProofError::Unpublished { .. } => no(text),
        LeafProofError::Beyond { .. } => no(format!("{text}: try again once it is witnessed")),
        LeafProofError::Io { .. }
        | LeafProofError::Checkpoint(_)
        | LeafProofError::Behind { .. }
        | LeafProofError::Tree(_)
        | LeafProofError::Proof(_)
        | LeafProofError::Root { .. } => failed(text),
    }
}
