//! A running node's logs over HTTP: what is on the disk, and nothing beside it.

mod common;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use common::{List, Network, Node, Over, SOON, until};
use hashpact_keys::store::KeyFile;
use hashpact_node::http::{HttpClient, HttpClientConfig, HttpError, TlsFault, self_signed};

/// A node that serves HTTP as these lines say.
fn serving(folder: &Path, lines: &str) -> Result<Node> {
    let mut node = Node::init(folder, "eu", Over::Quic)?;
    Network::found(folder, &[&node])?;
    configure(&node, lines)?;
    node.start()?;
    Ok(node)
}

fn configure(node: &Node, lines: &str) -> Result<()> {
    let config = node.home.config();
    let text = fs::read_to_string(&config)?;
    Ok(fs::write(config, format!("{text}\n[http]\n{lines}"))?)
}

/// Where it says that it serves.
fn address(node: &Node) -> Result<SocketAddr> {
    until("the node serves HTTP", || {
        let log = node.log()?;
        let said = log
            .lines()
            .find(|line| line.contains("serving the logs over HTTP"));
        let address = said
            .and_then(|line| line.split("address=").nth(1))
            .map(|address| address.trim().parse());
        Ok(address.transpose()?)
    })
}

fn client() -> Result<HttpClient> {
    Ok(HttpClient::new(&HttpClientConfig {
        timeout: SOON,
        identity: None,
        roots: None,
    })?)
}

/// Every file below a folder, relative to it.
fn files(root: &Path, below: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => found.extend(files(root, &path)?),
            false => found.push(path),
        }
    }
    Ok(found)
}

#[test]
fn logs_are_served_as_they_lie_on_the_disk_and_bodies_never() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut node = serving(folder.path(), "listen = \"127.0.0.1:0\"\n")?;
    let list = List::write(folder.path(), "one", 20)?;
    node.ingest(&list, &[])?.ends(0)?;
    let (base, client) = (format!("http://{}", address(&node)?), client()?);
    let names = client.get(&format!("{base}/"), 1000)?.body;
    ensure!(names == b"eu.example_eu_1\n", "{names:?}");
    let data = node.home.data();
    let logs = files(&data.join("logs"), Path::new(""))?;
    ensure!(logs.iter().any(|path| path.ends_with("checkpoint")));
    ensure!(
        logs.iter()
            .any(|path| path.starts_with("eu.example_eu_1/tile/entries"))
    );
    for path in &logs {
        let served = client
            .get(&format!("{base}/{}", path.display()), 1 << 25)?
            .body;
        ensure!(
            served == fs::read(data.join("logs").join(path))?,
            "{path:?}"
        );
    }
    let all = files(&data, Path::new(""))?;
    ensure!(all.iter().any(|path| path.starts_with("bodies")));
    for path in all {
        for way in ["", "../", "eu.example_eu_1/../../", "%2e%2e/"] {
            let got = client.get(&format!("{base}/{way}{}", path.display()), 1 << 25);
            let expected = HttpError::Status { got: 404 };
            ensure!(got.as_ref() == Err(&expected), "{way}{path:?}: {got:?}");
        }
    }
    node.stop()
}

#[test]
fn node_stops_in_time_although_a_client_never_finishes() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut node = serving(folder.path(), "listen = \"127.0.0.1:0\"\n")?;
    let mut slow = TcpStream::connect(address(&node)?)?;
    slow.write_all(b"GET / HTTP/1.1\r\nX-Slow: ")?;
    slow.set_read_timeout(Some(SOON))?;
    node.stop()?;
    ensure!(
        slow.read(&mut [0; 16]).is_ok_and(|count| count == 0),
        "still open"
    );
    Ok(())
}

#[test]
fn node_with_a_certificate_serves_a_key_of_the_roster_and_no_other() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = self_signed(&[7; 32], "127.0.0.1")?;
    let mut node = Node::init(folder.path(), "eu", Over::Quic)?;
    Network::found(folder.path(), &[&node])?;
    let certificate = node.home.path().join("certificate.pem");
    fs::write(&certificate, &server.certificate_pem)?;
    fs::write(node.home.path().join("key.pem"), server.key_pem.as_bytes())?;
    let lines = "listen = \"127.0.0.1:0\"\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n";
    configure(&node, lines)?;
    node.start()?;
    let url = format!("https://{}/", address(&node)?);
    let get = |seed: &[u8; 32]| -> Result<Result<Vec<u8>, HttpError>> {
        let config = HttpClientConfig {
            timeout: SOON,
            identity: Some(self_signed(seed, "eu")?),
            roots: Some(certificate.clone()),
        };
        let got = HttpClient::new(&config)?.get(&url, 1000);
        Ok(got.map(|response| response.body))
    };
    let key = node.home.path().join("keys").join("node.key");
    let listed = KeyFile::load_node_seed(&key)?;
    ensure!(get(&listed)?.context("the key of the roster")? == b"eu.example_eu_1\n");
    let stranger = get(&[8; 32])?;
    // The server's word may be lost when it closes before it has read the request.
    let refused = [HttpError::Tls(TlsFault::Refused), HttpError::Broken];
    ensure!(
        refused.iter().any(|error| stranger.as_ref() == Err(error)),
        "{stranger:?}"
    );
    node.stop()
}

#[test]
fn plain_http_in_the_open_is_refused_before_anything_listens() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let node = Node::init(folder.path(), "eu", Over::Quic)?;
    Network::found(folder.path(), &[&node])?;
    configure(&node, "listen = \"0.0.0.0:0\"\n")?;
    let said = node.run(&["run"])?;
    ensure!(said.err.contains("would be open to others"), "{}", said.err);
    Ok(())
}
