//! How logs stand with their witnesses, in the words that an operator reads in `status`.
//!
//! In scope: what waits, for whom and since when, and what the operator can do about it. Out of scope: the table of logs.

use super::when;
use crate::daemon::{LogStatus, RecallStatus, Status};
use crate::page::text::counted;

/// One line for each thing that is not as it should be.
pub(super) fn lines(status: &Status) -> String {
    let mut text = String::new();
    if let Some((have, needed)) = status.unconfirmed {
        text.push_str(&format!(
            "NOT SIGNING YET: {have} of the {needed} witnesses needed have said how much of this centre's log they have seen.\n"
        ));
    }
    if status.retired {
        text.push_str(
            "This node cosigns nothing: its witness and mirror keys are retired. Renew them: hashpact key renew witness mirror.\n",
        );
    }
    for log in std::iter::once(&status.own).chain(&status.mirrored) {
        text.push_str(&of_log(log));
    }
    text
}

/// What was asked back and is not gone yet, as far as its holders say.
pub(super) fn recalls(status: &Status) -> String {
    let line = |recall: &RecallStatus| {
        format!(
            "{}: {} asked back of {} since {}, NOT ACKNOWLEDGED.\n",
            recall.origin,
            counted(recall.classes.len() as u64, "class|classes"),
            recall.to,
            when(recall.since)
        )
    };
    status.recalls.iter().map(line).collect()
}

/// What is matched here, and who asked today.
pub(super) fn matching(status: &Status) -> String {
    let matching = &status.matching;
    let mut text = String::new();
    if let Some(epoch) = matching.epoch {
        text.push_str(&format!(
            "Matching: epoch {epoch}, {} groups, {} members.\n",
            matching.groups, matching.members
        ));
    }
    for row in &matching.sessions {
        text.push_str(&format!(
            "Matched today by {}: {} items of {} in {} sessions.\n",
            row.by, row.items, row.kind, row.sessions
        ));
    }
    for row in &matching.refused {
        text.push_str(&format!(
            "REFUSED today to {}: {} times: {}.\n",
            row.by, row.times, row.why
        ));
    }
    text
}

/// How members are served over HTTP.
pub(super) fn gateway(status: &Status) -> String {
    let gateway = &status.gateway;
    let Some(address) = &gateway.listening else {
        return String::new();
    };
    format!(
        "Gateway: {address}, {} with {} in force; {}, {} of them refused.\n",
        counted(gateway.members, "member|members"),
        counted(gateway.credentials, "credential|credentials"),
        counted(gateway.requests, "request|requests"),
        gateway.refused
    )
}

/// Of each log with policy documents, which of them count, and what is wrong with them.
pub(super) fn policies(status: &Status) -> String {
    let logs = std::iter::once(&status.own).chain(&status.mirrored);
    logs.map(policy_of).collect()
}

fn policy_of(log: &LogStatus) -> String {
    let (centre, policy) = (&log.centre, &log.policy);
    let mut text = String::new();
    let documents = policy.in_force.iter();
    let documents = documents.map(|(version, index)| format!("{version} (log index {index})"));
    let documents: Vec<_> = documents.collect();
    if !documents.is_empty() {
        text.push_str(&format!(
            "Policy of {centre}: version {}",
            documents.join(" and ")
        ));
        if let Some(at) = policy.matures {
            text.push_str(&format!("; may widen from {}", when(at)));
        }
        text.push_str(".\n");
    }
    for index in &policy.unreadable {
        text.push_str(&format!(
            "{centre}: the policy document at log index {index} CANNOT BE READ here and denies everything.\n"
        ));
    }
    text
}

fn of_log(log: &LogStatus) -> String {
    let mut text = String::new();
    let origin = &log.origin;
    if let Some(size) = log.frozen {
        return format!(
            "{origin} is FROZEN at size {size}: it was forked, and nothing beyond acts but retractions.\n"
        );
    }
    if !log.missing.is_empty() {
        let names = log.missing.join(", ");
        let since = log
            .pending_since
            .map(|since| format!(" since {}", when(since)));
        let (witnessed, since) = (log.witnessed, since.unwrap_or_default());
        text.push_str(&match witnessed < log.head {
            true => format!(
                "{origin}: PENDING{since}, witnessed up to {witnessed} of {}; {} must cosign, not cosigned by {names}\n",
                log.head, log.quorum
            ),
            false => format!("{origin}: not cosigned by {names}\n"),
        });
    }
    if !log.fresh && log.size > 0 {
        text.push_str(&format!(
            "{origin}: no quorum has cosigned it for a day: nothing new of it may be published or matched\n"
        ));
    }
    if !log.receipts_missing.is_empty() {
        let names = log.receipts_missing.join(", ");
        text.push_str(&format!("{origin}: no delivery receipt of {names}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::PolicyStatus;

    fn log() -> LogStatus {
        LogStatus {
            centre: "eu".to_owned(),
            origin: "eu.example/eu/1".to_owned(),
            size: 5,
            head: 5,
            witnessed: 5,
            witnessed_at: Some(1),
            fresh: true,
            quorum: 2,
            missing: Vec::new(),
            pending_since: None,
            receipts_missing: Vec::new(),
            frozen: None,
            policy: PolicyStatus::default(),
            deltas: 1,
            applied: 1,
            held: 1,
            retracted: 0,
        }
    }

    #[test]
    fn what_is_as_it_should_be_takes_no_line() {
        assert_eq!(of_log(&log()), "");
    }

    #[test]
    fn pending_log_names_who_is_missing_and_since_when() {
        let missing = vec!["ca".to_owned(), "w1".to_owned()];
        let pending = LogStatus {
            witnessed: 3,
            pending_since: Some(1_700_000_000),
            missing: missing.clone(),
            ..log()
        };
        let expected = "eu.example/eu/1: PENDING since 2023-11-14T22:13:20Z, witnessed up to 3 of 5; 2 must cosign, not cosigned by ca, w1\n";
        assert_eq!(of_log(&pending), expected);
        let witnessed = LogStatus { missing, ..log() };
        let expected = "eu.example/eu/1: not cosigned by ca, w1\n";
        assert_eq!(of_log(&witnessed), expected);
    }
}
