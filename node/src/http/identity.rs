//! A certificate for a node key.
//!
//! Why: an auditor has an Ed25519 key on the roster, and TLS wants a certificate around it. The certificate says nothing that
//! anybody believes: the roster says whose key it is and until when. In scope: making the two PEM texts. Out of scope: who is
//! admitted (`tls`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hashpact_keys::Signer;
use rcgen::{CertificateParams, DnType, PublicKeyData, SignatureAlgorithm, SigningKey};
use rustls::pki_types::ServerName;
use zeroize::Zeroizing;

/// What stands before the 32 bytes of a seed in PKCS#8, version 1 (RFC 8410 section 7).
const PKCS8_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A certificate and its private key, as PEM. The key's memory is wiped.
#[derive(Clone)]
pub struct Identity {
    /// The certificate, followed by those that sign it, if any.
    pub certificate_pem: String,
    /// The private key: PKCS#8, SEC1 or PKCS#1.
    pub key_pem: Zeroizing<String>,
}

/// A certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[error("no certificate could be made for this name")]
pub struct IdentityError(#[from] rcgen::Error);

/// A self-signed certificate for the Ed25519 key of a 32-byte seed. `name` becomes its common name, and its alternative name
/// if it is a host's name or address.
///
/// # Errors
/// [`IdentityError`] if the name cannot stand in a certificate.
pub fn self_signed(seed: &[u8; 32], name: &str) -> Result<Identity, IdentityError> {
    let hosts = ServerName::try_from(name).ok().map(|_| name.to_owned());
    let mut params = CertificateParams::new(hosts.into_iter().collect::<Vec<_>>())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let certificate = params.self_signed(&SeedKey::new(seed))?;
    let mut pkcs8 = Zeroizing::new([0; PKCS8_HEAD.len() + 32]);
    pkcs8[..PKCS8_HEAD.len()].copy_from_slice(&PKCS8_HEAD);
    pkcs8[PKCS8_HEAD.len()..].copy_from_slice(seed);
    // 48 bytes are one line of 64 characters, which is what PEM allows.
    let base64 = Zeroizing::new(STANDARD.encode(*pkcs8));
    Ok(Identity {
        certificate_pem: certificate.pem(),
        key_pem: Zeroizing::new(format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            *base64
        )),
    })
}

/// Signs the certificate without handing the seed to anybody who would not wipe it.
struct SeedKey {
    signer: Signer,
    public: [u8; 32],
}

impl SeedKey {
    fn new(seed: &[u8; 32]) -> Self {
        let signer = Signer::from_seed(seed);
        let public = *signer.public().as_bytes();
        Self { signer, public }
    }
}

impl PublicKeyData for SeedKey {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl SigningKey for SeedKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.signer.sign(message).to_vec())
    }
}
