//! Objects beside deltas as a store keeps them: signed by synthetic keys, and not opened, as what rests was opened when it came.

use hashpact_keys::Signer;

use crate::evidence::{self, EvidenceError, Object};
use crate::view::Write;

/// Signs an object that one centre makes.
///
/// # Errors
/// [`EvidenceError`] where nobody would take it.
pub fn sign(object: &Object, signer: &Signer) -> Result<Vec<u8>, EvidenceError> {
    object.sign(signer)
}

/// The rows that keep a signed object, and by which it is found.
///
/// # Errors
/// [`EvidenceError`] if it does not read.
pub fn kept(signed: &[u8]) -> Result<Vec<Write>, EvidenceError> {
    let object = Object::from_store(signed)?;
    let hash = evidence::hash(signed);
    let mut rows = vec![evidence::rows::keep(&hash, None, signed)];
    rows.extend(evidence::rows::marks(&hash, &object, true));
    Ok(rows)
}
