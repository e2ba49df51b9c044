//! A list that is checked against another centre by the running node, for whoever asks at the control socket.
//!
//! In scope: `progress` and `report` lines while it runs, and whose fault it is when it does not. Out of scope: the check.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::labels::Purpose;
use hashpact_protocol::lists::ClosedList as _;
use hashpact_protocol::policy::MatchMode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::AsyncWrite;
use tokio::sync::mpsc;

use super::server::{failed, input, no, send};
use super::{Fault, Line, chain};
use crate::daemon::Handle;
use crate::matching::check::{CheckError, CheckOrder, Checker};
use crate::matching::client::{Found, Hear, Opener};
use crate::net::{MatchStream, Net, OpenMatchError, PeerId};

/// Lines of an answer on their way to a slow reader.
const LINES_WAITING: usize = 256;

/// What is asked, as it stands in a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatchAsk {
    /// The centre.
    pub with: String,
    /// Absolute path of the list.
    pub file: PathBuf,
    /// The type of values without a name.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// `items`, `labels` or `count`.
    pub mode: String,
    /// What for.
    pub purpose: String,
    /// Whether a list that is too short is filled up with random items.
    pub pad: bool,
}

impl MatchAsk {
    /// The order, if its words are known ones.
    ///
    /// # Errors
    /// What is not known, in words.
    pub fn order(&self) -> Result<CheckOrder, String> {
        let unknown = |what: &str, text: &str| format!("{text}: no such {what}");
        let bare = self.kind.as_ref().map(|name| {
            let kind = Algorithm::from_name(name).filter(|kind| kind.code().is_some());
            kind.ok_or_else(|| unknown("type of fingerprint that is matched", name))
        });
        Ok(CheckOrder {
            centre: self
                .with
                .parse()
                .map_err(|error| format!("{}: {error}", self.with))?,
            file: self.file.clone(),
            bare: bare.transpose()?,
            mode: MatchMode::from_name(&self.mode).ok_or_else(|| unknown("mode", &self.mode))?,
            purpose: Purpose::from_name(&self.purpose)
                .ok_or_else(|| unknown("purpose", &self.purpose))?,
            pad: self.pad,
        })
    }
}

/// Opens match streams to one peer.
pub struct PeerOpener {
    /// The network.
    pub net: Net,
    /// The peer.
    pub peer: PeerId,
}

impl Opener for PeerOpener {
    type Stream = MatchStream;

    async fn open(&self) -> io::Result<MatchStream> {
        self.net
            .open_match(self.peer)
            .await
            .map_err(|error| match error {
                OpenMatchError::Unsupported => io::Error::new(io::ErrorKind::Unsupported, error),
                OpenMatchError::Unreachable | OpenMatchError::TimedOut => io::Error::other(error),
            })
    }
}

/// Checks a list and tells as it goes.
pub(super) async fn answer(
    handle: &Handle,
    ask: &MatchAsk,
    write: &mut (impl AsyncWrite + Unpin),
) -> io::Result<Result<Value, Fault>> {
    let order = match ask.order() {
        Ok(order) => order,
        Err(text) => return Ok(Err(input(text))),
    };
    let Some((opener, roster)) = handle.reach.to(&order.centre) else {
        let text = format!(
            "{} is not another centre of the roster in force",
            order.centre
        );
        return Ok(Err(input(text)));
    };
    let Some(_place) = handle.reach.place() else {
        let text = "another list is being checked: wait for it, then repeat the command";
        return Ok(Err(no(text.to_owned())));
    };
    let (lines_in, mut lines) = mpsc::channel::<Line>(LINES_WAITING);
    let told = lines_in.clone();
    // A line of progress that finds no room is followed by a newer one.
    let hear: Hear = Arc::new(move |step| drop(told.try_send(Line::Match(step))));
    let mut pieces = Vec::new();
    let checker = Checker {
        opener: &opener,
        roster,
        caches: &handle.reach.caches,
        node: Some(handle),
        hear,
    };
    let checked = {
        let checking = async {
            let mut found = |piece: Found| pieces.push(piece);
            let checked = checker.check(&order, &mut found).await;
            drop((checker, lines_in));
            checked
        };
        let sending = async {
            while let Some(line) = lines.recv().await {
                send(write, &line).await?;
            }
            Ok::<_, io::Error>(())
        };
        // An asker that goes away ends the check: what was evaluated is kept, and the next command goes on from it.
        let (checked, ()) = tokio::try_join!(async { Ok(checking.await) }, sending)?;
        checked
    };
    for piece in &pieces {
        send(write, &Line::Report(json!(piece))).await?;
    }
    Ok(match checked {
        Ok(report) => serde_json::to_value(report).map_err(|error| failed(error.to_string())),
        Err(error) => Err(fault(&error)),
    })
}

/// Whose fault it is that a list was not checked.
pub fn fault(error: &CheckError) -> Fault {
    let text = chain(error);
    let mut fault = match error {
        CheckError::List { .. } => input(text),
        CheckError::Match { source, .. } if source.is_no() => no(text),
        CheckError::Match { .. } | CheckError::Cache(_) | CheckError::Log(_) => failed(text),
    };
    if let CheckError::Match { before, .. } = error {
        fault.detail = Some(json!(before));
    }
    fault
}
