//! The certificate, and that it is read again.

use std::fs;
use std::path::Path;

use super::*;
use crate::http::{HttpClient, HttpClientConfig};

/// Writes a certificate for 127.0.0.1 that signs itself; its PEM file is what a client trusts.
fn write(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    fs::write(folder.join("certificate.pem"), made.cert.pem()).unwrap();
}

fn is_trusted(site: &Site, folder: &Path) -> bool {
    let client = HttpClient::new(&HttpClientConfig {
        timeout: SOON,
        identity: None,
        roots: Some(folder.join("certificate.pem")),
    });
    let url = format!("https://{}/open", site.address());
    client.unwrap().get(&url, 100).is_ok()
}

#[test]
fn certificate_that_changes_is_read_again_and_half_of_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    write(path);
    let site = Site::with(Settings {
        tls: Some(TlsFiles {
            certificate: path.join("certificate.pem"),
            key: path.join("key.pem"),
        }),
        ..Settings::default()
    });
    assert!(is_trusted(&site, path));
    let first = tempfile::tempdir().unwrap();
    let copy = first.path().join("certificate.pem");
    fs::copy(path.join("certificate.pem"), &copy).unwrap();
    // A key that fits no certificate here: the one before stays.
    fs::write(path.join("key.pem"), b"half a key").unwrap();
    std::thread::sleep(Duration::from_secs(3));
    assert!(is_trusted(&site, first.path()));
    write(path);
    let began = Instant::now();
    while !is_trusted(&site, path) {
        assert!(began.elapsed() < SOON, "the new certificate is not served");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(!is_trusted(&site, first.path()));
}
