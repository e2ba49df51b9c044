//! What an auditor's sample of the matched set is made of, for whoever asks at the control socket.
//!
//! In scope: the segments of an artifact and the sample, cut into lines. Out of scope: finding records (`matching`), files
//! and the drawing (`cli`).

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::limits;
use hashpact_protocol::lists::ClosedList as _;
use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::{GroupId, Manifest, Tag};
use hashpact_protocol::view::View as _;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::io::AsyncWrite;
use tokio::task::block_in_place;

use super::server::{failed, input, no, send};
use super::{Fault, LINE_MAX, Line, chain};
use crate::daemon::Handle;
use crate::matching::sample::{Logged, OpenError, Place, SegmentChunks};

/// Bytes in one line: with base64 and the line's own signs it stays below [`LINE_MAX`].
const PIECE: usize = LINE_MAX / 2;

/// An artifact of this centre's own, as it stands in a request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArtifactAsk {
    /// The match group.
    pub group: u32,
    /// The fingerprint type.
    #[serde(rename = "type")]
    pub kind: String,
    /// `items` or `labels`.
    pub mode: String,
    /// The leaf of the manifest; the newest without it.
    pub leaf: Option<u64>,
}

impl ArtifactAsk {
    /// The artifact, if its words are known ones.
    ///
    /// # Errors
    /// What is not known, in words.
    pub fn place(&self) -> Result<Place, String> {
        let kind = Algorithm::from_name(&self.kind).and_then(|kind| kind.code());
        let kind = kind.ok_or_else(|| format!("{}: no such type that is matched", self.kind))?;
        let mode = MatchMode::from_name(&self.mode).filter(|mode| *mode != MatchMode::Count);
        let mode = mode.ok_or_else(|| format!("{}: neither items nor labels", self.mode))?;
        Ok((GroupId(self.group), kind, mode))
    }
}

/// The artifact and its manifest in this centre's own log.
fn logged(handle: &Handle, ask: &ArtifactAsk) -> Result<(Logged, Place), Fault> {
    let place = ask.place().map_err(input)?;
    let store = &handle.store;
    let kept = store.manifests(store.own_origin(), limits::MANIFESTS_KEPT);
    let found = match ask.leaf {
        None => kept.into_iter().next_back(),
        Some(leaf) => kept.into_iter().find(|(index, _)| *index == leaf),
    };
    let (leaf, signed) = found.ok_or_else(|| match ask.leaf {
        None => no("nothing of this centre's is matched: no manifest is logged".to_owned()),
        Some(leaf) => no(format!("leaf {leaf} is none of the newest manifests")),
    })?;
    let manifest = Manifest::read_unverified(&signed).map_err(|error| failed(chain(&error)))?;
    let (group, kind, mode) = place;
    if manifest.artifact(group, kind, mode).is_none() {
        return Err(no(format!(
            "the manifest of leaf {leaf} has no {} of group {group} in mode {}",
            ask.kind, ask.mode
        )));
    }
    let logged = Logged {
        leaf,
        signed,
        manifest,
    };
    Ok((logged, place))
}

fn fault(error: &OpenError) -> Fault {
    let text = chain(error);
    match error {
        OpenError::Gone | OpenError::Strangers { .. } => no(text),
        OpenError::Run(_)
        | OpenError::Lookup(_)
        | OpenError::Prove(_)
        | OpenError::Evaluate(_)
        | OpenError::Sample(_) => failed(text),
    }
}

/// Sends the chunks of an artifact's segments, in order; the answer names the manifest.
pub(super) async fn segments(
    handle: &Handle,
    ask: &ArtifactAsk,
    write: &mut (impl AsyncWrite + Unpin),
) -> io::Result<Result<Value, Fault>> {
    let (logged, place) = match logged(handle, ask) {
        Ok(found) => found,
        Err(fault) => return Ok(Err(fault)),
    };
    let files = match handle.matching.segment_files(&logged.manifest, place) {
        Ok(files) => files,
        Err(error) => return Ok(Err(fault(&error))),
    };
    for (number, path) in files {
        let unread = |error: io::Error| failed(format!("segment {number}: {error}"));
        let chunks = match block_in_place(|| SegmentChunks::open(&path)) {
            Ok(chunks) => chunks,
            Err(error) => return Ok(Err(unread(error))),
        };
        for index in 0..chunks.len() {
            let chunk = match block_in_place(|| chunks.chunk(index)) {
                Ok(chunk) => chunk.unwrap_or_default(),
                Err(error) => return Ok(Err(unread(error))),
            };
            let line = json!({ "segment": number, "chunk": BASE64.encode(chunk) });
            send(write, &Line::Report(line)).await?;
        }
    }
    let signed = BASE64.encode(&logged.signed);
    Ok(Ok(json!({ "leaf": logged.leaf, "manifest": signed })))
}

/// Sends the sample that opens drawn tags, in pieces.
pub(super) async fn sample(
    handle: &Handle,
    ask: &ArtifactAsk,
    tags: &[String],
    write: &mut (impl AsyncWrite + Unpin),
) -> io::Result<Result<Value, Fault>> {
    let made = block_in_place(|| {
        let (logged, place) = logged(handle, ask)?;
        if tags.is_empty() || tags.len() > limits::MATCH_SAMPLE_TAGS {
            let most = limits::MATCH_SAMPLE_TAGS;
            return Err(input(format!(
                "{} tags, 1 to {most} are opened",
                tags.len()
            )));
        }
        let read = |tag: &String| u128::from_str_radix(tag, 16).map(Tag);
        let tags: Vec<Tag> = tags
            .iter()
            .map(read)
            .collect::<Result<_, _>>()
            .map_err(|_| input("a tag is hexadecimal".to_owned()))?;
        let sample = handle.matching.sample(&handle.store, &logged, place, &tags);
        sample.map_err(|error| fault(&error))
    });
    let sample = match made {
        Ok(sample) => sample,
        Err(fault) => return Ok(Err(fault)),
    };
    for piece in sample.to_bytes().chunks(PIECE) {
        send(write, &Line::Report(Value::String(BASE64.encode(piece)))).await?;
    }
    Ok(Ok(json!({ "opened": sample.opened.len() })))
}
