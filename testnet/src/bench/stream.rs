//! Raw libp2p streams between two processes over QUIC: nothing of Hashpact but the transport's windows.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder};

/// Bytes that are streamed.
const BYTES: usize = 512 << 20;
/// Bytes of one write: the largest chunk of the bulk protocol.
const CHUNK: usize = 64 << 10;
const PROTOCOL: StreamProtocol = StreamProtocol::new("/hashpact-bench/raw/1");

/// Which end this process is.
#[derive(Clone, Debug)]
pub(super) enum End {
    /// Listens, says where, and sends.
    Sender,
    /// Dials and receives.
    Receiver(Multiaddr),
}

impl FromStr for End {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "sender" => Ok(Self::Sender),
            address => address
                .parse()
                .map(Self::Receiver)
                .map_err(|error| format!("{error}")),
        }
    }
}

/// MB a second from one process to another.
pub(super) fn throughput() -> Result<f64> {
    let mut sender = Command::new(std::env::current_exe()?)
        .args(["bench", "--stream", "sender"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut said = String::new();
    let out = sender.stdout.take().context("standard output")?;
    BufReader::new(out).read_line(&mut said)?;
    let receiver = Command::new(std::env::current_exe()?)
        .args(["bench", "--stream", said.trim()])
        .output();
    // It has nothing left to do.
    let _ = sender.kill();
    let _ = sender.wait();
    let text = String::from_utf8(receiver?.stdout)?;
    let first = text
        .lines()
        .next()
        .context("the receiver says how fast it was")?;
    Ok(first.parse()?)
}

/// Plays one end.
pub(super) fn run(end: &End) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match end {
            End::Sender => send().await,
            End::Receiver(address) => receive(address.clone()).await,
        }
    })
}

fn swarm() -> Result<Swarm<libp2p_stream::Behaviour>> {
    let built = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_quic()
        .with_behaviour(|_| libp2p_stream::Behaviour::new())?
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(600)));
    Ok(built.build())
}

async fn send() -> Result<()> {
    let mut swarm = swarm()?;
    let mut incoming = swarm.behaviour().new_control().accept(PROTOCOL)?;
    swarm.listen_on("/ip4/127.0.0.1/udp/0/quic-v1".parse()?)?;
    tokio::spawn(async move {
        while let Some((_, mut stream)) = incoming.next().await {
            tokio::spawn(async move {
                let chunk = vec![7; CHUNK];
                for _ in 0..BYTES / CHUNK {
                    if stream.write_all(&chunk).await.is_err() {
                        return;
                    }
                }
                // The receiver counts; whether it saw the end does not matter here.
                let _ = stream.close().await;
            });
        }
    });
    loop {
        let event = swarm.select_next_some().await;
        if let SwarmEvent::NewListenAddr { address, .. } = event {
            let mut out = std::io::stdout();
            writeln!(out, "{address}/p2p/{}", swarm.local_peer_id())?;
            out.flush()?;
        }
    }
}

async fn receive(address: Multiaddr) -> Result<()> {
    let mut swarm = swarm()?;
    let peer = address.iter().find_map(|part| {
        if let libp2p::multiaddr::Protocol::P2p(peer) = part {
            Some(peer)
        } else {
            None
        }
    });
    let peer: PeerId = peer.context("the address names a peer")?;
    let mut control = swarm.behaviour().new_control();
    swarm.dial(address)?;
    tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut stream = loop {
        match control.open_stream(peer, PROTOCOL).await {
            Ok(stream) => break stream,
            Err(error) if Instant::now() > deadline => bail!("no stream: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    let mut buffer = vec![0; CHUNK];
    let started = Instant::now();
    let mut got = 0;
    loop {
        match stream.read(&mut buffer).await? {
            0 => break,
            n => got += n,
        }
    }
    ensure!(got == BYTES, "{got} bytes of {BYTES}");
    let seconds = started.elapsed().as_secs_f64();
    writeln!(
        std::io::stdout(),
        "{}",
        super::count(BYTES as u64) / 1e6 / seconds
    )?;
    Ok(())
}
