//! What each event says to a person: one sentence, without a fingerprint.

use hashpact_keys::Origin;
use hashpact_protocol::centre::Event;
use hashpact_protocol::limits;
use hashpact_protocol::lists::ClosedList as _;

use super::seen::Seen;
use crate::page::text::counted;

const LEAVES: &str = "leaf|leaves";
const RECORDS: &str = "record|records";
const RETRACTIONS: &str = "retraction|retractions";

impl Seen {
    pub(super) fn text_of(event: &Event) -> String {
        match event {
            Event::LogGrew { origin, size, head } => {
                format!("{origin}: {size} of {}", counted(*head, LEAVES))
            }
            Event::DeltaApplied {
                origin,
                seq,
                records,
                withheld,
                retractions,
            } => format!(
                "{origin}: delta {seq} applied: {}, {withheld} withheld, {}",
                counted(*records, RECORDS),
                counted(*retractions, RETRACTIONS)
            ),
            Event::RetractionsApplied {
                origin,
                seq,
                retractions,
            } => format!(
                "{origin}: {} of delta {seq} applied, its records stay closed",
                counted(*retractions, RETRACTIONS)
            ),
            Event::Rollback {
                origin,
                held,
                shown,
            } => {
                let shown = counted(*shown, LEAVES);
                format!("{origin}: its centre shows {shown} after it showed {held}: refused")
            }
            Event::Fork {
                origin,
                size,
                shown_by,
            } => format!("{origin}: {shown_by} shows another log of size {size} than the one held"),
            Event::Frozen { origin, size } => format!(
                "{origin}: shown to be forked and frozen at size {size}: beyond it nothing acts but retractions"
            ),
            Event::Witnessed { origin, size } => {
                format!("{origin}: a quorum of witnesses cosigned size {size}")
            }
            Event::OwnLogRegained { .. } | Event::KeysRetired | Event::OwnLogBehind { .. } => {
                Self::text_of_own(event)
            }
            Event::LeafRefused { .. } | Event::SuffixRefused { .. } | Event::BodyRefused { .. } => {
                Self::text_of_refusal(event)
            }
            Event::TransferLogged { .. }
            | Event::DeltaWidened { .. }
            | Event::TransferRefused { .. }
            | Event::SurplusWithheld { .. } => Self::text_of_transfer(event),
            Event::Recalled { .. }
            | Event::RecallAcknowledged { .. }
            | Event::RecallObeyed { .. }
            | Event::RecallRefused { .. } => Self::text_of_recall(event),
            Event::Closed { why } => why.to_string(),
            Event::Opened => "nothing is closed any more: bodies come again".to_owned(),
            Event::PolicyLogged {
                origin,
                index,
                readable,
            } => policy_text(origin, *index, *readable),
            Event::RosterApplied { version } => format!("roster {version} is in force"),
            Event::MemberAdmitted { .. }
            | Event::MemberRemoved { .. }
            | Event::MatchEpochLogged { .. }
            | Event::MatchGroupsLeftOut { .. }
            | Event::MatchOpened { .. }
            | Event::MatchRefused { .. } => Self::text_of_match(event),
            Event::EvidenceTaken { .. }
            | Event::EvidenceRefused { .. }
            | Event::OrderEnded { .. }
            | Event::SharersFlagged { .. }
            | Event::RetractionsAcknowledged { .. } => super::evidence::text(event),
        }
    }

    fn text_of_match(event: &Event) -> String {
        if let Event::MemberAdmitted { id } = event {
            return format!(
                "{id} is a member: the grants of this centre's policy say what it may match"
            );
        }
        if let Event::MemberRemoved { id } = event {
            return format!("{id} is no member any more, and opens nothing");
        }
        if let Event::MatchEpochLogged {
            number,
            epoch,
            groups,
        } = event
        {
            return format!(
                "match manifest {number} of epoch {epoch} is logged, with {}",
                counted(*groups, "group|groups")
            );
        }
        if let Event::MatchGroupsLeftOut { sets } = event {
            return format!(
                "policy divides the classes into more than {} sets: {sets} of them are matched by nobody",
                limits::MATCH_GROUPS
            );
        }
        if let Event::MatchOpened {
            by,
            mode,
            items,
            used,
            per_day,
        } = event
        {
            let mode = mode.name();
            return format!(
                "{by} matches {} ({mode}): {used} of {per_day} of this type are used today",
                counted(*items, "item|items")
            );
        }
        if let Event::MatchRefused { by, why } = event {
            return format!("{by}: {why}");
        }
        String::new()
    }

    fn text_of_refusal(event: &Event) -> String {
        if let Event::LeafRefused { origin, error } = event {
            return format!("{origin}: {error}");
        }
        if let Event::SuffixRefused {
            origin,
            from,
            error,
        } = event
        {
            return format!("{origin}: leaves from {from} refused: {error}");
        }
        if let Event::BodyRefused {
            origin,
            seq,
            from,
            error,
        } = event
        {
            return format!("{origin}: delta {seq} from {from} refused: {error}");
        }
        String::new()
    }

    /// Of a disk that was an old copy.
    fn text_of_own(event: &Event) -> String {
        if let Event::OwnLogRegained { size } = event {
            let leaves = counted(*size, LEAVES);
            return format!("this centre's log is back with {leaves}, and signing goes on");
        }
        if let Event::OwnLogBehind { held, seen } = event {
            let seen = counted(*seen, LEAVES);
            return format!(
                "others have seen {seen} of this centre's log, this node holds {held}: its disk is an old copy, so nothing is signed until the log is fetched back"
            );
        }
        "this node's disk was an old copy: its witness and mirror keys are retired; renew them (hashpact key renew witness mirror) and have the new ones put on the roster".to_owned()
    }

    fn text_of_recall(event: &Event) -> String {
        if let Event::Recalled {
            origin,
            to,
            classes,
        } = event
        {
            let classes = counted(*classes, "class is|classes are");
            return format!("{origin}: {classes} asked back of {to}");
        }
        if let Event::RecallAcknowledged {
            origin,
            by,
            classes,
        } = event
        {
            let classes = counted(*classes, "class is|classes are");
            return format!("{origin}: {by} says that {classes} gone there");
        }
        if let Event::RecallObeyed {
            origin,
            from,
            records,
            kept,
        } = event
        {
            return format!(
                "{origin}: {from} asked classes back: {} destroyed, {} as another gave them too",
                counted(*records, "record is|records are"),
                counted(*kept, "stays|stay")
            );
        }
        if let Event::RecallRefused { from, error } = event {
            return format!("{from}: {error}");
        }
        String::new()
    }

    fn text_of_transfer(event: &Event) -> String {
        if let Event::TransferLogged {
            origin,
            from,
            to,
            deltas,
            records,
        } = event
        {
            return format!(
                "{origin}: {from} gives {to} {} of {}: signed by both and logged here",
                counted(*records, RECORDS),
                counted(*deltas, "delta|deltas")
            );
        }
        if let Event::DeltaWidened {
            origin,
            seq,
            records,
            withheld,
        } = event
        {
            return format!(
                "{origin}: more of delta {seq} came: {}, {} withheld still",
                counted(*records, RECORDS),
                counted(*withheld, "is|are")
            );
        }
        if let Event::SurplusWithheld {
            origin,
            class,
            count,
            from,
        } = event
        {
            return format!(
                "{origin}: {from} withholds {} of class {class} that policy allows",
                counted(*count, RECORDS)
            );
        }
        if let Event::TransferRefused {
            origin,
            from,
            error,
        } = event
        {
            return format!("{origin}: what {from} offers is refused: {error}");
        }
        String::new()
    }
}

fn policy_text(origin: &Origin, index: u64, readable: bool) -> String {
    let what = match readable {
        true => "is logged; what it narrows counts now",
        false => "cannot be read here and denies everything",
    };
    format!("{origin}: the policy document at index {index} {what}")
}
