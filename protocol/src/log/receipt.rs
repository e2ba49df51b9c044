//! The receipt that a leaf is in a log, for tools that speak COSE and no C2SP. Spec: RFC 9942 (COSE Receipts), structure
//! RFC9162_SHA256.
//!
//! ```text
//! 18([ << {1: -8, 4: key id, 395: 1} >>,                        protected: EdDSA, the log key, RFC9162_SHA256
//!      {396: {-1: [ << [tree size, leaf index, [hash, ...]] >> ]}},
//!      null,                                                    the payload is the root, which the verifier computes
//!      signature ])
//! ```
//!
//! **What is signed is the root and nothing else.** Tree size and leaf index stand in the unprotected header, as the RFC
//! has it, and some trees of other sizes lead by the same hashes to the same root. A receipt shows that the log held the
//! leaf; where it held it is shown by a checkpoint of that size and root, such as a `proof_file` has.
//!
//! The log key signs two kinds of message, and neither reads as the other: the `Sig_structure` of COSE is a CBOR array and
//! begins with 0x84, which begins no UTF-8, and the text of a checkpoint begins with an origin line, which is ASCII.
//! The keys of other COSE objects have other uses, and their protected headers hold a content type where this holds 395.
//!
//! In scope: one receipt for one leaf, in one encoding. Out of scope: consistency receipts, several proofs in one receipt,
//! CWT claims (label 15, which RFC 9943 asks of a transparency service).

use hashpact_keys::canonical::{self, Written};
use hashpact_keys::reader::{ReadError, Reader, ShapeError};
use hashpact_keys::{KeyId, PublicKey, Signer};

use super::inclusion::{PROOF_HASHES, inclusion_root, leaf_hash};
use crate::b3::Hash;

/// Bytes of a receipt at most: 63 hashes and the rest.
pub const RECEIPT_BYTES: usize = 4 * 1024;

/// Tag of a COSE_Sign1, in its one encoding.
const TAG_SIGN1: u8 = 0xd2;
const ALG: i64 = 1;
const KID: i64 = 4;
const EDDSA: i64 = -8;
const VDS: i64 = 395;
const RFC9162_SHA256: i64 = 1;
const VDP: i64 = 396;
const INCLUSION: i64 = -1;

/// What a receipt shows: a root that the log signed, and where the proof says that the leaf is below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The root, which the log signed.
    pub root: Hash,
    /// Leaves of the tree, as the proof says; not signed.
    pub size: u64,
    /// The leaf's number from 0, as the proof says; not signed.
    pub index: u64,
}

/// Why a receipt is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// Longer than [`RECEIPT_BYTES`].
    #[error("receipt: {got} bytes, at most {RECEIPT_BYTES}")]
    TooLarge {
        /// Its length.
        got: usize,
    },
    /// Not a tagged COSE_Sign1.
    #[error("receipt: not a tagged COSE_Sign1")]
    Tag,
    /// Not canonical CBOR, or of another shape. Offsets count from behind the tag.
    #[error("receipt: the envelope is not of this format")]
    Envelope(#[source] ReadError),
    /// The protected header. Offsets count from its start.
    #[error("receipt: the protected header is not of this format")]
    Protected(#[source] ReadError),
    /// The inclusion proof. Offsets count from its start.
    #[error("receipt: the inclusion proof is not of this format")]
    Proof(#[source] ReadError),
    /// The payload is not detached: nothing would tie it to the leaf.
    #[error("receipt: the payload is not detached")]
    Attached,
    /// The proof has not the length that its size and index call for.
    #[error("receipt: the proof leads from no leaf {index} to the root of a tree of {size}")]
    Path {
        /// The leaf, from 0.
        index: u64,
        /// Leaves of the tree.
        size: u64,
    },
    /// Another key is named.
    #[error("receipt: expected a signature by key {expected}, got one by key {got}")]
    KeyId {
        /// The id of the key at hand.
        expected: KeyId,
        /// The id in the header.
        got: KeyId,
    },
    /// The key did not sign the root that the leaf leads to.
    #[error("receipt: the log did not sign the root that the leaf and the proof lead to")]
    Signature,
}

impl Receipt {
    /// Signs the receipt of leaf `index` in the tree of `size` leaves with this root. `path` is its inclusion proof, at most
    /// 63 hashes; whether it leads to the root is the caller's to know, and the verifier's to find out.
    #[must_use]
    pub fn sign(root: &Hash, size: u64, index: u64, path: &[Hash], signer: &Signer) -> Vec<u8> {
        let kid = signer.public().key_id();
        let signature = signer.sign(&signed_bytes(&protected(&kid), root));
        let path = path.to_vec();
        Envelope {
            kid,
            size,
            index,
            path,
            signature,
        }
        .to_bytes()
    }

    /// Verifies that `key` signed a root that `leaf` is below, and returns what the receipt shows.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn verify(bytes: &[u8], leaf: &[u8], key: &PublicKey) -> Result<Self, ReceiptError> {
        let envelope = Envelope::parse(bytes)?;
        let (expected, got) = (key.key_id(), envelope.kid);
        if expected != got {
            return Err(ReceiptError::KeyId { expected, got });
        }
        let (size, index) = (envelope.size, envelope.index);
        let root = inclusion_root(&envelope.path, index, size, &leaf_hash(leaf));
        let root = root.ok_or(ReceiptError::Path { index, size })?;
        key.verify(&signed_bytes(&protected(&got), &root), &envelope.signature)
            .map_err(|_| ReceiptError::Signature)?;
        Ok(Self { root, size, index })
    }
}

/// A receipt that reads; nothing is verified.
pub(crate) struct Envelope {
    kid: KeyId,
    size: u64,
    index: u64,
    path: Vec<Hash>,
    signature: [u8; 64],
}

impl Envelope {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        if bytes.len() > RECEIPT_BYTES {
            return Err(ReceiptError::TooLarge { got: bytes.len() });
        }
        let Some((&TAG_SIGN1, untagged)) = bytes.split_first() else {
            return Err(ReceiptError::Tag);
        };
        let reader = Reader::new(untagged).map_err(|e| ReceiptError::Envelope(e.into()))?;
        let (header, proof, payload, signature) =
            parts(reader).map_err(|e| ReceiptError::Envelope(e.into()))?;
        if payload.is_some() {
            return Err(ReceiptError::Attached);
        }
        let kid = read(header, key_id).map_err(ReceiptError::Protected)?;
        let (size, index, path) = read(proof, inclusion).map_err(ReceiptError::Proof)?;
        Ok(Self {
            kid,
            size,
            index,
            path,
            signature: *signature,
        })
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let proof = canonical::encode(|e| {
            e.array(3)?.u64(self.size)?.u64(self.index)?;
            e.array(self.path.len() as u64)?;
            for hash in &self.path {
                e.bytes(hash)?;
            }
            Ok(())
        });
        let envelope = canonical::encode(|e| -> Written {
            e.array(4)?.bytes(&protected(&self.kid))?;
            e.map(1)?.i64(VDP)?.map(1)?.i64(INCLUSION)?;
            e.array(1)?.bytes(&proof)?;
            e.null()?.bytes(&self.signature)?.ok()
        });
        [&[TAG_SIGN1][..], &envelope].concat()
    }
}

fn protected(kid: &KeyId) -> Vec<u8> {
    canonical::encode(|e| {
        e.map(3)?.i64(ALG)?.i64(EDDSA)?;
        e.i64(KID)?.bytes(kid.as_bytes())?;
        e.i64(VDS)?.i64(RFC9162_SHA256)?.ok()
    })
}

/// `Sig_structure` of a COSE_Sign1 (RFC 9052 section 4.4) whose payload is the root.
fn signed_bytes(protected: &[u8], root: &Hash) -> Vec<u8> {
    canonical::encode(|e| {
        e.array(4)?.str("Signature1")?;
        e.bytes(protected)?.bytes(&[])?.bytes(root)?.ok()
    })
}

type Parts<'a> = (&'a [u8], &'a [u8], Option<&'a [u8]>, &'a [u8; 64]);

fn parts<'a>(mut reader: Reader<'a>) -> Result<Parts<'a>, ShapeError> {
    reader.array(4)?;
    let header = reader.bytes()?;
    reader.map(1)?;
    number(&mut reader, VDP, "label 396")?;
    reader.map(1)?;
    number(&mut reader, INCLUSION, "label -1")?;
    reader.array(1)?;
    let proof = reader.bytes()?;
    let payload = reader.optional(Reader::bytes)?;
    Ok((header, proof, payload, reader.fixed()?))
}

fn key_id(mut reader: Reader<'_>) -> Result<KeyId, ShapeError> {
    reader.map(3)?;
    number(&mut reader, ALG, "label 1")?;
    number(&mut reader, EDDSA, "algorithm -8")?;
    number(&mut reader, KID, "label 4")?;
    let kid = KeyId::new(*reader.fixed()?);
    number(&mut reader, VDS, "label 395")?;
    number(&mut reader, RFC9162_SHA256, "RFC9162_SHA256")?;
    Ok(kid)
}

fn inclusion(mut reader: Reader<'_>) -> Result<(u64, u64, Vec<Hash>), ShapeError> {
    reader.array(3)?;
    let (size, index) = (reader.u64()?, reader.u64()?);
    let hashes = reader.list(PROOF_HASHES)?;
    let path = (0..hashes).map(|_| reader.fixed().copied());
    Ok((size, index, path.collect::<Result<_, _>>()?))
}

fn read<'a, T>(
    bytes: &'a [u8],
    read: impl FnOnce(Reader<'a>) -> Result<T, ShapeError>,
) -> Result<T, ReadError> {
    Ok(read(Reader::new(bytes)?)?)
}

fn number(reader: &mut Reader<'_>, expected: i64, name: &'static str) -> Result<(), ShapeError> {
    let at = reader.position();
    if reader.i64()? != expected {
        return Err(Reader::refuse(at, name));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::inclusion::tests::{disk, leaves};
    use crate::log::{inclusion_proof, root_at};

    fn signer() -> Signer {
        Signer::from_seed(&[3; 32])
    }

    fn leaf(n: u64) -> Vec<u8> {
        n.to_be_bytes().to_vec()
    }

    fn receipt(size: u64, index: u64) -> (Hash, Vec<Hash>, Vec<u8>) {
        let disk = disk(&leaves(size));
        let root = root_at(&disk, size, size).unwrap();
        let path = inclusion_proof(&disk, size, index, size).unwrap();
        let bytes = Receipt::sign(&root, size, index, &path, &signer());
        (root, path, bytes)
    }

    #[test]
    fn a_receipt_verifies_for_its_leaf_and_no_other() {
        for (size, index) in [(1, 0), (2, 1), (7, 6), (300, 17)] {
            let (root, _, bytes) = receipt(size, index);
            let key = signer().public();
            let shown = Receipt::verify(&bytes, &leaf(index), &key);
            assert_eq!(shown, Ok(Receipt { root, size, index }));
            assert_eq!(
                Receipt::verify(&bytes, &leaf(index + 1), &key),
                Err(ReceiptError::Signature)
            );
        }
    }

    #[test]
    fn a_receipt_reads_with_another_implementation_of_cose() {
        use coset::{CoseSign1, TaggedCborSerializable as _};
        let (root, path, bytes) = receipt(7, 6);
        let read = CoseSign1::from_tagged_slice(&bytes).unwrap();
        assert_eq!(read.payload, None);
        assert_eq!(
            read.protected.header.key_id,
            signer().public().key_id().as_bytes()
        );
        let verified = read.verify_detached_signature(&root, &[], |signature, signed| {
            assert_eq!(signed[0], 0x84);
            let signature = signature.try_into().unwrap();
            signer().public().verify(signed, signature)
        });
        assert_eq!(verified, Ok(()));
        let proof = format!("{:?}", read.unprotected.rest);
        assert!(proof.starts_with("[(Int(396), Map([(Integer(Integer(-1)), Array([Bytes("));
        assert_eq!(path.len(), 2);
    }

    #[test]
    fn every_flipped_bit_of_a_receipt_is_refused_unless_only_the_place_is_another() {
        let (root, _, bytes) = receipt(7, 5);
        let key = signer().public();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bent = bytes.clone();
                bent[at] ^= 1 << bit;
                if let Ok(shown) = Receipt::verify(&bent, &leaf(5), &key) {
                    assert_eq!(shown.root, root, "{at} {bit}");
                    assert_ne!((shown.size, shown.index), (7, 5));
                }
            }
        }
    }

    #[test]
    fn size_and_index_are_not_signed_but_bound_to_a_path_of_the_same_turns() {
        let (root, path, _) = receipt(7, 0);
        let key = signer().public();
        // Leaf 0 of 7 and leaf 0 of 8 have three hashes to their right.
        let moved = Receipt::sign(&root, 8, 0, &path, &signer());
        let (size, index) = (8, 0);
        assert_eq!(
            Receipt::verify(&moved, &leaf(0), &key),
            Ok(Receipt { root, size, index })
        );
        let turned = Receipt::sign(&root, 8, 1, &path, &signer());
        assert_eq!(
            Receipt::verify(&turned, &leaf(0), &key),
            Err(ReceiptError::Signature)
        );
        let (size, index) = (9, 0);
        let longer = Receipt::sign(&root, size, index, &path, &signer());
        assert_eq!(
            Receipt::verify(&longer, &leaf(0), &key),
            Err(ReceiptError::Path { index, size })
        );
    }

    #[test]
    fn a_signature_of_another_kind_or_key_is_no_receipt() {
        let (root, path, bytes) = receipt(2, 0);
        let envelope = Envelope::parse(&bytes).unwrap();
        let key = signer().public();
        for message in [&root[..], b"eu.example/eu/1\n2\n"] {
            let signature = signer().sign(message);
            let forged = Envelope {
                signature,
                path: path.clone(),
                ..envelope
            };
            assert_eq!(
                Receipt::verify(&forged.to_bytes(), &leaf(0), &key),
                Err(ReceiptError::Signature)
            );
        }
        let other = Signer::from_seed(&[4; 32]).public();
        let (expected, got) = (other.key_id(), key.key_id());
        assert_eq!(
            Receipt::verify(&bytes, &leaf(0), &other),
            Err(ReceiptError::KeyId { expected, got })
        );
    }

    #[test]
    fn receipts_of_another_shape_are_refused() {
        let (_, path, bytes) = receipt(2, 0);
        let key = signer().public();
        let verify = |bytes: &[u8]| Receipt::verify(bytes, &leaf(0), &key);
        assert_eq!(verify(&bytes[1..]), Err(ReceiptError::Tag));
        assert_eq!(verify(&[]), Err(ReceiptError::Tag));
        let mut trailing = bytes.clone();
        trailing.push(0);
        assert!(matches!(verify(&trailing), Err(ReceiptError::Envelope(_))));
        let null = bytes.len() - 67;
        assert_eq!(bytes[null], 0xf6);
        let mut attached = bytes.clone();
        attached[null] = 0x40;
        assert_eq!(verify(&attached), Err(ReceiptError::Attached));
        let most = Receipt::sign(&[0; 32], 2, 0, &[path[0]; PROOF_HASHES], &signer());
        assert!(matches!(verify(&most), Err(ReceiptError::Path { .. })));
        let over = Receipt::sign(&[0; 32], 2, 0, &[path[0]; PROOF_HASHES + 1], &signer());
        assert!(matches!(verify(&over), Err(ReceiptError::Proof(_))));
        let got = RECEIPT_BYTES + 1;
        assert_eq!(verify(&vec![0; got]), Err(ReceiptError::TooLarge { got }));
    }
}
