//! Who gets in: node keys of the roster, at their time, by whoever holds them.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use axum::Router;
use hashpact_keys::roster::{CentreEntry, KeyEntry, RosterDraft, WitnessEntry};
use hashpact_keys::{KeyUse, Roster, RosterVersion, Signer, Timestamp};
use rustls::client::ResolvesClientCert;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, RootCertStore, SignatureScheme, StreamOwned};
use rustls::{SupportedProtocolVersion, version};
use tempfile::TempDir;

use super::{LOG, SOON, Site};
use crate::clock;
use crate::http::tls::provider;
use crate::http::{
    Admitted, Bounds, ClientFilesError, HttpClient, HttpClientConfig, HttpError, Identity,
    TlsFault, TlsFiles, TlsFilesError, self_signed,
};

const CENTRE: [u8; 32] = [11; 32];
const AUDITOR: [u8; 32] = [12; 32];
const WITNESS: [u8; 32] = [13; 32];
/// On the roster, but not to speak with.
const COSIGNER: [u8; 32] = [14; 32];
const ENDED: [u8; 32] = [15; 32];
const EARLY: [u8; 32] = [16; 32];
const STRANGER: [u8; 32] = [17; 32];
const SERVER: [u8; 32] = [18; 32];

fn entry(seed: [u8; 32], use_: KeyUse, from: u64, until: Option<u64>) -> KeyEntry {
    KeyEntry {
        use_,
        key: Signer::from_seed(&seed).public(),
        from: Timestamp::new(from),
        until: until.map(Timestamp::new),
    }
}

fn node(seed: [u8; 32]) -> KeyEntry {
    entry(seed, KeyUse::Node, 0, None)
}

fn roster(auditor: Vec<KeyEntry>) -> Roster {
    let now = clock::now().get();
    let witness = |name: &str, keys| WitnessEntry {
        name: name.parse().unwrap(),
        keys,
    };
    Roster::from_draft(RosterDraft {
        version: RosterVersion::FIRST,
        network: None,
        issued_at: Timestamp::new(now),
        expires_at: Timestamp::new(now + 1000),
        demo: true,
        threshold: 1,
        root_keys: vec![Signer::from_seed(&[1; 32]).public()],
        centres: vec![CentreEntry {
            id: "eu".parse().unwrap(),
            jurisdiction: "EU".parse().unwrap(),
            origin: "eu.example/eu/1".parse().unwrap(),
            keys: vec![node(CENTRE)],
            addresses: Vec::new(),
        }],
        auditors: vec![witness("audit.example/a", auditor)],
        witnesses: vec![witness("witness.example/w", vec![node(WITNESS)])],
        revocations: Vec::new(),
    })
    .unwrap()
}

/// A server with TLS, what its clients trust, and whom it admits.
struct Guarded {
    site: Site,
    files: TempDir,
    admitted: Admitted,
}

impl Guarded {
    fn start() -> Self {
        let now = clock::now().get();
        let admitted = Admitted::default();
        let keys = vec![
            node(AUDITOR),
            entry(COSIGNER, KeyUse::Witness, 0, None),
            entry(ENDED, KeyUse::Node, 0, Some(now)),
            entry(EARLY, KeyUse::Node, now + 500, None),
        ];
        // As it was set at a time when no key had ended: the handshake asks the clock itself.
        admitted.set(&roster(keys), Timestamp::new(0));
        let files = TempDir::new().unwrap();
        let server = self_signed(&SERVER, "127.0.0.1").unwrap();
        let tls = TlsFiles {
            certificate: files.path().join("certificate.pem"),
            key: files.path().join("key.pem"),
        };
        fs::write(&tls.certificate, &server.certificate_pem).unwrap();
        fs::write(&tls.key, server.key_pem.as_bytes()).unwrap();
        let site = Site::start(
            Bounds::default(),
            Some(tls),
            admitted.clone(),
            Router::new(),
        );
        Self {
            site,
            files,
            admitted,
        }
    }

    fn get(&self, identity: Option<Identity>) -> Result<Vec<u8>, HttpError> {
        let config = HttpClientConfig {
            timeout: SOON,
            identity,
            roots: Some(self.files.path().join("certificate.pem")),
        };
        let client = HttpClient::new(&config).unwrap();
        let url = format!("https://{}/{LOG}/checkpoint", self.site.address());
        Ok(client.get(&url, 1000)?.body)
    }

    fn get_as(&self, seed: [u8; 32]) -> Result<Vec<u8>, HttpError> {
        self.get(Some(self_signed(&seed, "audit.example/a").unwrap()))
    }

    fn is_served(&self, seed: [u8; 32]) {
        assert_eq!(self.get_as(seed).unwrap(), b"eu.example/eu/1\n7\n");
    }

    fn roots(&self) -> RootCertStore {
        let pem = fs::read(self.files.path().join("certificate.pem")).unwrap();
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(&pem).unwrap())
            .unwrap();
        roots
    }

    /// A client that shows any certificate with any key.
    fn client(
        &self,
        shown: CertifiedKey,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(self.roots())
            .with_client_cert_resolver(Arc::new(Shows(Arc::new(shown))));
        Arc::new(config)
    }

    /// What comes back on one connection; nothing if it was refused.
    fn served(&self, config: &Arc<ClientConfig>) -> Option<String> {
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
        let mut stream = StreamOwned::new(connection, self.site.connect());
        let request =
            format!("GET /{LOG}/checkpoint HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        // Servers may end TLS without a word; what counts is whether there was an answer.
        let _ = stream.read_to_string(&mut answer);
        answer.starts_with("HTTP/1.1 200").then_some(answer)
    }
}

#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// The certificate of one seed with the key of another.
fn certified(certificate: [u8; 32], key: [u8; 32]) -> CertifiedKey {
    let shown = self_signed(&certificate, "audit.example/a").unwrap();
    let held = self_signed(&key, "audit.example/a").unwrap();
    let chain = vec![CertificateDer::from_pem_slice(shown.certificate_pem.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(held.key_pem.as_bytes()).unwrap();
    CertifiedKey::new(
        chain,
        provider().key_provider.load_private_key(key).unwrap(),
    )
}

/// The server's word may be lost when it closes before it has read the request.
fn refused(answer: Result<Vec<u8>, HttpError>, who: &str) {
    let expected = [HttpError::Tls(TlsFault::Refused), HttpError::Broken];
    assert!(
        expected.iter().any(|error| answer.as_ref() == Err(error)),
        "{who}: {answer:?}"
    );
}

#[test]
fn node_keys_of_auditors_witnesses_and_centres_are_served() {
    let guarded = Guarded::start();
    for seed in [AUDITOR, WITNESS, CENTRE] {
        guarded.is_served(seed);
    }
}

#[test]
fn client_without_a_certificate_is_refused() {
    let guarded = Guarded::start();
    refused(guarded.get(None), "nobody");
    guarded.is_served(AUDITOR);
}

#[test]
fn keys_that_are_unlisted_for_another_use_ended_or_early_are_refused() {
    let guarded = Guarded::start();
    for (seed, who) in [
        (STRANGER, "stranger"),
        (COSIGNER, "key of another use"),
        (ENDED, "ended key"),
        (EARLY, "key that is still to begin"),
        (SERVER, "the server's own key"),
    ] {
        refused(guarded.get_as(seed), who);
    }
    guarded.is_served(AUDITOR);
}

#[test]
fn key_ends_to_the_second_without_a_new_roster() {
    let admitted = Admitted::default();
    let key = entry(AUDITOR, KeyUse::Node, 100, Some(200));
    let (bytes, roster) = (*key.key.as_bytes(), roster(vec![key]));
    admitted.set(&roster, Timestamp::new(50));
    for (at, expected) in [(99, false), (100, true), (199, true), (200, false)] {
        assert_eq!(
            admitted.admits(&bytes, Timestamp::new(at)),
            expected,
            "{at}"
        );
    }
    admitted.set(&roster, Timestamp::new(200));
    assert!(!admitted.admits(&bytes, Timestamp::new(199)));
}

/// Anybody has seen the certificate: it goes over the wire.
#[test]
fn certificate_of_an_auditor_without_its_key_is_refused_in_both_versions() {
    let guarded = Guarded::start();
    for versions in [[&version::TLS13], [&version::TLS12]] {
        let honest = guarded.client(certified(AUDITOR, AUDITOR), &versions);
        assert!(guarded.served(&honest).is_some(), "{versions:?}");
        let stolen = guarded.client(certified(AUDITOR, STRANGER), &versions);
        assert_eq!(guarded.served(&stolen), None, "{versions:?}");
        let stranger = guarded.client(certified(STRANGER, STRANGER), &versions);
        assert_eq!(guarded.served(&stranger), None, "{versions:?}");
    }
}

/// A session that could be resumed would outlive the key.
#[test]
fn key_that_left_the_roster_cannot_come_back_by_an_old_session() {
    let guarded = Guarded::start();
    for versions in [[&version::TLS13], [&version::TLS12]] {
        guarded
            .admitted
            .set(&roster(vec![node(AUDITOR)]), clock::now());
        let config = guarded.client(certified(AUDITOR, AUDITOR), &versions);
        assert!(guarded.served(&config).is_some(), "{versions:?}");
        guarded
            .admitted
            .set(&roster(vec![node(STRANGER)]), clock::now());
        assert_eq!(guarded.served(&config), None, "{versions:?}");
    }
}

#[test]
fn key_of_another_kind_is_refused() {
    let guarded = Guarded::start();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    let identity = Identity {
        certificate_pem: params.self_signed(&key).unwrap().pem(),
        key_pem: key.serialize_pem().into(),
    };
    refused(guarded.get(Some(identity)), "a P-256 key");
}

#[test]
fn plain_http_gets_no_answer_from_a_tls_server() {
    let guarded = Guarded::start();
    let request = format!("GET /{LOG}/checkpoint HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(guarded.site.say(request.as_bytes()).is_none());
    guarded.is_served(AUDITOR);
}

#[test]
fn handshakes_that_never_end_do_not_block_others() {
    let guarded = Guarded::start();
    let silent: Vec<TcpStream> = (0..20).map(|_| guarded.site.connect()).collect();
    guarded.is_served(AUDITOR);
    drop(silent);
}

#[test]
fn server_with_another_certificate_is_not_trusted() {
    let guarded = Guarded::start();
    let other = self_signed(&STRANGER, "127.0.0.1").unwrap();
    fs::write(
        guarded.files.path().join("certificate.pem"),
        &other.certificate_pem,
    )
    .unwrap();
    let untrusted = Err(HttpError::Tls(TlsFault::Certificate));
    assert_eq!(guarded.get_as(AUDITOR), untrusted);
}

#[test]
fn certificate_files_that_cannot_be_used_are_said() {
    let folder = TempDir::new().unwrap();
    let one = self_signed(&[1; 32], "localhost").unwrap();
    let two = self_signed(&[2; 32], "localhost").unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("certificate"), &one.certificate_pem).unwrap();
    fs::write(path("key"), one.key_pem.as_bytes()).unwrap();
    fs::write(path("other key"), two.key_pem.as_bytes()).unwrap();
    let error = |certificate: &str, key: &str| {
        let files = TlsFiles {
            certificate: path(certificate),
            key: path(key),
        };
        crate::http::tls::server_config(&files, Admitted::default()).err()
    };
    assert!(error("certificate", "key").is_none());
    assert!(matches!(
        error("missing", "key"),
        Some(TlsFilesError::Read { .. })
    ));
    assert!(matches!(
        error("key", "key"),
        Some(TlsFilesError::Pem {
            expected: "certificate",
            ..
        })
    ));
    assert!(matches!(
        error("certificate", "certificate"),
        Some(TlsFilesError::Pem {
            expected: "private key",
            ..
        })
    ));
    assert!(matches!(
        error("certificate", "other key"),
        Some(TlsFilesError::Unusable { .. })
    ));

    let client = |identity, roots: Option<&str>| {
        let config = HttpClientConfig {
            timeout: SOON,
            identity,
            roots: roots.map(path),
        };
        HttpClient::new(&config).err()
    };
    let mixed = Identity {
        certificate_pem: one.certificate_pem.clone(),
        key_pem: two.key_pem.clone(),
    };
    assert!(matches!(
        client(Some(mixed), None),
        Some(ClientFilesError::Identity)
    ));
    assert!(matches!(
        client(None, Some("key")),
        Some(ClientFilesError::Roots(TlsFilesError::Pem { .. }))
    ));
    assert!(client(Some(one), Some("certificate")).is_none());
}
