//! Retractions of this centre's own entries, and why they were made, for whoever asks at the control socket.
//!
//! Why in two steps: a retraction goes to everybody and says nothing but that the entry ended; its reason follows under
//! policy. If the node stops between both, the same command with the same reason goes on where it ended.

use hashpact_protocol::centre::{Command, Outcome};
use hashpact_protocol::delta::Retraction;
use hashpact_protocol::record::EntryId;
use serde_json::{Value, json};

use super::Fault;
use super::evidence::{give_reasons, reason_code};
use super::server::{failed, input, no, refused, store_failed};
use crate::daemon::Handle;

/// Entries that were asked for: those that are to be retracted, and those that were before.
struct Asked {
    live: Vec<Retraction>,
    ended: Vec<Retraction>,
}

/// The retractions of entries of this centre's own, in its log or one that was closed before it. One that cannot be
/// retracted refuses them all; one that is retracted already as well, unless it is given a reason now.
fn asked(handle: &Handle, entries: &[String], has_reason: bool) -> Result<Asked, Fault> {
    let (mut live, mut ended) = (Vec::with_capacity(entries.len()), Vec::new());
    for (number, text) in (1..).zip(entries) {
        // Not repeated: it may be a fingerprint, pasted by mistake.
        let refused = |_| input(format!("number {number} of the list is not an entry id"));
        let entry: EntryId = text.parse().map_err(refused)?;
        let found = handle.store.lookup_own_entry(entry).map_err(store_failed)?;
        let found = found.ok_or_else(|| no(format!("{entry}: no entry of this centre")))?;
        let one = Retraction {
            entry,
            revision: found.record.revision,
        };
        match found.retracted {
            true if has_reason => ended.push(one),
            true => return Err(no(format!("{entry}: retracted already"))),
            false => live.push(one),
        }
    }
    for list in [&mut live, &mut ended] {
        list.sort_unstable();
        list.dedup();
    }
    if live.is_empty() && ended.is_empty() {
        return Err(input("no entry to retract: give entry ids".to_owned()));
    }
    Ok(Asked { live, ended })
}

pub(super) async fn retract(
    handle: &Handle,
    entries: &[String],
    reason: Option<&str>,
) -> Result<Value, Fault> {
    let code = reason.map(reason_code).transpose()?;
    // A look-up for each of perhaps many thousands: other tasks of this thread move elsewhere meanwhile.
    let asked = tokio::task::block_in_place(|| asked(handle, entries, code.is_some()))?;
    let Asked { live, ended } = asked;
    let count = live.len();
    let mut delta = None;
    if !live.is_empty() {
        let done = handle.command(Command::Retract(live.clone())).await;
        let Outcome::Appended(seq) = done.map_err(refused)? else {
            return Err(failed("the node answered something else".to_owned()));
        };
        delta = Some(seq.0);
    }
    let mut answer = json!({ "retracted": count, "delta": delta });
    if let Some(code) = code {
        let all = [live, ended].concat();
        let given = give_reasons(handle, &all, code).await.map_err(|fault| {
            let text = format!(
                "{count} retracted; their reason was not given, so repeat the command: {}",
                fault.text
            );
            Fault { text, ..fault }
        })?;
        answer["reasons"] = json!(given);
    }
    Ok(answer)
}
