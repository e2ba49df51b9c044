//! What people are told of objects beside deltas, and of retractions that others have applied.

use hashpact_protocol::centre::Event;
use hashpact_protocol::lists::ClosedList as _;

use crate::page::text::counted;

/// Of objects beside deltas. Hashes tell auditors which; entries are named by random ids.
pub(super) fn text(event: &Event) -> String {
    if let Event::EvidenceTaken {
        kind, by, about, ..
    } = event
    {
        let about = about.as_ref();
        let of = about.map_or_else(String::new, |(origin, _)| {
            format!(" of an entry of {origin}")
        });
        return format!("{by}: {}{of}", kind.name());
    }
    if let Event::EvidenceRefused { from, error } = event {
        return format!("an object from {from} is refused: {error}");
    }
    if let Event::OrderEnded { kind, by, .. } = event {
        return format!("{by}: its {} has ended", kind.name());
    }
    if let Event::SharersFlagged {
        origin, flagged, ..
    } = event
    {
        return format!(
            "{origin}: {} of others share a fingerprint with an entry that was retracted as an error",
            counted(*flagged, "entry|entries")
        );
    }
    if let Event::RetractionsAcknowledged { by, below } = event {
        return format!("{by} has applied every retraction below delta {below}");
    }
    String::new()
}
