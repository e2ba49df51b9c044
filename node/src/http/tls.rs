//! Whose certificate opens a connection: a node key that stands on the roster.
//!
//! Why: a log names who sends what to whom and how often, so only the network's parties read it. The roster is the only
//! authority: chains, names and dates in certificates are not looked at. Spec: RFC 8446, RFC 8410; `docs/protocol.md`, roster.
//! In scope: the handshake. Out of scope: what is served (`serve`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use hashpact_keys::roster::KeyEntry;
use hashpact_keys::{KeyUse, Roster, Timestamp};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs, verify_tls12_signature,
    verify_tls13_signature,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, ServerConfig,
    SignatureScheme,
};
use webpki::EndEntityCert;
use zeroize::Zeroizing;

use super::listen::TlsFiles;

/// What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410 section 4).
const ED25519_HEAD: [u8; 12] = [
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];
/// Bytes of a PEM file at most: a system's whole list of authorities has a quarter.
const PEM_LEN_MAX: u64 = 1024 * 1024;

/// The node keys that are admitted; shared by the loop, which sets them, and by every handshake.
#[derive(Clone, Debug, Default)]
pub struct Admitted {
    keys: Arc<RwLock<BTreeMap<[u8; 32], KeyEntry>>>,
}

impl Admitted {
    /// Takes a roster: the node keys of its centres, auditors and witnesses that did not end before `now`.
    ///
    /// A key that begins later or ends meanwhile is told from its own times at each handshake.
    pub fn set(&self, roster: &Roster, now: Timestamp) {
        let centres = roster.centres.iter().map(|centre| &centre.keys);
        let others = roster.auditors.iter().chain(&roster.witnesses);
        let all = centres.chain(others.map(|other| &other.keys)).flatten();
        let lives = |key: &&KeyEntry| key.until.is_none_or(|until| now < until);
        let keys = all
            .filter(|key| key.use_ == KeyUse::Node)
            .filter(lives)
            .map(|key| (*key.key.as_bytes(), key.clone()))
            .collect();
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    pub(super) fn admits(&self, key: &[u8; 32], at: Timestamp) -> bool {
        // Keys are replaced whole, so a writer that panicked left them whole.
        let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
        keys.get(key).is_some_and(|entry| entry.is_valid_at(at))
    }
}

/// Why the files of a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsFilesError {
    /// A file cannot be read.
    #[error("{path}: cannot be read: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The fault.
        source: io::Error,
    },
    /// A file holds nothing of the kind that is looked for.
    #[error("{path}: holds no {expected} in PEM", path = path.display())]
    Pem {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        expected: &'static str,
    },
    /// The key and the certificate do not fit, or are of a kind that TLS does not use.
    #[error("{path}: this certificate cannot be used with this key: {source}", path = path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// The fault.
        source: Error,
    },
}

/// The one provider of cryptography, given to everybody by hand: a process has no default.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Reads a PEM file whole, a bounded one.
pub(super) fn read_pem(path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsFilesError> {
    let read = || {
        let mut pem = Zeroizing::new(Vec::new());
        File::open(path)?
            .take(PEM_LEN_MAX + 1)
            .read_to_end(&mut pem)?;
        match pem.len() as u64 > PEM_LEN_MAX {
            true => Err(io::ErrorKind::FileTooLarge.into()),
            false => Ok(pem),
        }
    };
    read().map_err(|source| TlsFilesError::Read {
        path: path.to_owned(),
        source,
    })
}

/// The TLS of a server whose clients show no certificate.
pub(crate) fn open_config(files: &TlsFiles) -> Result<ServerConfig, TlsFilesError> {
    let (chain, key) = chain_and_key(files)?;
    let unusable = |source| TlsFilesError::Unusable {
        path: files.certificate.clone(),
        source,
    };
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

type ChainAndKey = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn chain_and_key(files: &TlsFiles) -> Result<ChainAndKey, TlsFilesError> {
    let pem = |path: &Path, expected| TlsFilesError::Pem {
        path: path.to_owned(),
        expected,
    };
    let chain = CertificateDer::pem_slice_iter(&read_pem(&files.certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or_else(|| pem(&files.certificate, "certificate"))?;
    let key = PrivateKeyDer::from_pem_slice(&read_pem(&files.key)?)
        .map_err(|_| pem(&files.key, "private key"))?;
    Ok((chain, key))
}

/// The TLS of a server that asks every client for a key of the roster.
pub(super) fn server_config(
    files: &TlsFiles,
    admitted: Admitted,
) -> Result<ServerConfig, TlsFilesError> {
    let (chain, key) = chain_and_key(files)?;
    let provider = provider();
    let clients = Arc::new(RosterClients {
        admitted,
        algorithms: provider.signature_verification_algorithms,
    });
    let unusable = |source| TlsFilesError::Unusable {
        path: files.certificate.clone(),
        source,
    };
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
        .map_err(unusable)?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    // A resumed session would skip the roster: each connection shows its key.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Accepts a certificate exactly if its key is admitted at this time.
#[derive(Debug)]
struct RosterClients {
    admitted: Admitted,
    algorithms: WebPkiSupportedAlgorithms,
}

/// The Ed25519 key of a certificate; nothing if it has another kind of key.
fn ed25519_of(certificate: &CertificateDer<'_>) -> Result<Option<[u8; 32]>, Error> {
    let malformed = |_| Error::InvalidCertificate(CertificateError::BadEncoding);
    let certificate = EndEntityCert::try_from(certificate).map_err(malformed)?;
    let info = certificate.subject_public_key_info();
    let key = info.as_ref().strip_prefix(&ED25519_HEAD);
    Ok(key.and_then(|key| key.try_into().ok()))
}

impl ClientCertVerifier for RosterClients {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let at = Timestamp::new(now.as_secs());
        let key = ed25519_of(end_entity)?;
        match key.is_some_and(|key| self.admitted.admits(&key, at)) {
            true => Ok(ClientCertVerified::assertion()),
            false => Err(Error::InvalidCertificate(
                CertificateError::ApplicationVerificationFailure,
            )),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
