//! The stable names of errors: the variant, and its fields if it has any. Written out, so that renaming a variant or its
//! Debug form does not change a vector.

use hashpact_keys::canonical::CanonicalError;
use hashpact_keys::chain::RosterError;
use hashpact_keys::cose::CoseError;
use hashpact_keys::roster::{KeyLookupError, RosterPayloadError};
use hashpact_protocol::delta::{BodyError, HeaderError, StreamError, TableError};
use hashpact_protocol::fingerprint::FingerprintError;
use hashpact_protocol::log::{CheckpointError, LeafError, NoteError};
use hashpact_protocol::record::RecordError;
use hashpact_protocol::wire::{BulkRefusal, WireError};
use serde_json::{Value, json};

pub(crate) fn canonical(error: &CanonicalError) -> Value {
    use CanonicalError as E;
    let (name, at) = match error {
        E::Truncated { at } => ("Truncated", at),
        E::NotShortest { at } => ("NotShortest", at),
        E::Indefinite { at } => ("Indefinite", at),
        E::Reserved { at } => ("Reserved", at),
        E::Depth { at } => ("Depth", at),
        E::KeyOrder { at } => ("KeyOrder", at),
        E::KeyRepeated { at } => ("KeyRepeated", at),
        E::Utf8 { at } => ("Utf8", at),
        E::Tag { at } => ("Tag", at),
        E::Float { at } => ("Float", at),
        E::Simple { at } => ("Simple", at),
        E::Trailing { at } => ("Trailing", at),
    };
    json!({ name: { "at": at } })
}

pub(crate) fn fingerprint(error: &FingerprintError) -> Value {
    use FingerprintError as E;
    match error {
        E::Length { expected, got } => json!({ "Length": { "expected": expected, "got": got } }),
        E::TextLength { expected, got } => {
            json!({ "TextLength": { "expected": expected, "got": got } })
        }
        E::Alphabet {
            chars,
            bad,
            alphabet,
        } => {
            json!({ "Alphabet": { "chars": chars, "bad": bad, "alphabet": alphabet } })
        }
        E::Guarded { what } => json!({ "Guarded": { "what": what } }),
        E::LowInformation { bits } => json!({ "LowInformation": { "bits": bits } }),
    }
}

pub(crate) fn record(error: &RecordError) -> Value {
    use RecordError as E;
    match error {
        E::Canonical(source) => json!({ "Canonical": canonical(source) }),
        E::Shape { key } => json!({ "Shape": { "key": key } }),
        E::TooLarge { got } => json!({ "TooLarge": { "got": got } }),
        E::UnknownKey { key } => json!({ "UnknownKey": { "key": key } }),
        E::Version { schema, taxonomy } => {
            json!({ "Version": { "schema": schema, "taxonomy": taxonomy } })
        }
        E::Value { key } => json!({ "Value": { "key": key } }),
        E::Default { key } => json!({ "Default": { "key": key } }),
        E::Count { key, got, max } => json!({ "Count": { "key": key, "got": got, "max": max } }),
        E::Fingerprint { index, source } => {
            json!({ "Fingerprint": { "index": index, "source": fingerprint(source) } })
        }
        E::Repeated { index } => json!({ "Repeated": { "index": index } }),
        E::Revision => json!("Revision"),
    }
}

pub(crate) fn body(error: &BodyError) -> Value {
    use BodyError as E;
    match error {
        E::TooLarge { got } => json!({ "TooLarge": { "got": got } }),
        E::Shape { section } => json!({ "Shape": { "section": section } }),
        E::Class {
            section,
            expected,
            got,
        } => {
            json!({ "Class": { "section": section, "expected": expected, "got": got } })
        }
        E::Count {
            class,
            expected,
            got,
        } => {
            json!({ "Count": { "class": class.0, "expected": expected, "got": got } })
        }
        E::Root { class } => json!({ "Root": { "class": class.0 } }),
        E::RetractionRoot => json!("RetractionRoot"),
        E::RetractionOrder { index } => json!({ "RetractionOrder": { "index": index } }),
        E::Record {
            class,
            index,
            source,
        } => {
            json!({ "Record": { "class": class.0, "index": index, "source": record(source) } })
        }
        E::RecordOrder { class, index } => {
            json!({ "RecordOrder": { "class": class.0, "index": index } })
        }
        E::Classifier { class, index } => {
            json!({ "Classifier": { "class": class.0, "index": index } })
        }
        E::RepeatedEntry => json!("RepeatedEntry"),
        E::Stream { class, source } => {
            json!({ "Stream": { "class": class.0, "source": stream(source) } })
        }
        E::Opened {
            class,
            expected,
            got,
        } => {
            json!({ "Opened": { "class": class.0, "expected": expected, "got": got } })
        }
        E::Trailing { got } => json!({ "Trailing": { "got": got } }),
    }
}

fn stream(error: &StreamError) -> Value {
    use StreamError as E;
    match error {
        E::Short { at } => json!({ "Short": { "at": at } }),
        E::Mark { at, got } => json!({ "Mark": { "at": at, "got": got } }),
        E::BothHidden { at } => json!({ "BothHidden": { "at": at } }),
        E::BothOpen { at } => json!({ "BothOpen": { "at": at } }),
        E::Root => json!("Root"),
        E::Trailing { got } => json!({ "Trailing": { "got": got } }),
    }
}

pub(crate) fn header(error: &HeaderError) -> Value {
    match error {
        HeaderError::Shape => json!("Shape"),
        HeaderError::Key(KeyLookupError::Unknown { .. }) => json!({ "Key": "Unknown" }),
        HeaderError::Key(KeyLookupError::WrongUse { .. }) => json!({ "Key": "WrongUse" }),
        HeaderError::Key(KeyLookupError::NotValidAt { at, .. }) => {
            json!({ "Key": { "NotValidAt": { "at": at.get() } } })
        }
        HeaderError::Signature => json!("Signature"),
    }
}

pub(crate) fn table(error: &TableError) -> Value {
    match error {
        TableError::Shape => json!("Shape"),
        TableError::Unsorted { row } => json!({ "Unsorted": { "row": row } }),
        TableError::Empty { row } => json!({ "Empty": { "row": row } }),
        TableError::TooMany { what, got, max } => {
            json!({ "TooMany": { "what": what, "got": got, "max": max } })
        }
        TableError::Nothing => json!("Nothing"),
    }
}

pub(crate) fn leaf(error: &LeafError) -> Value {
    match error {
        LeafError::TooLarge { got } => json!({ "TooLarge": { "got": got } }),
        LeafError::Shape => json!("Shape"),
        LeafError::Kind { got } => json!({ "Kind": { "got": got } }),
        LeafError::Table(source) => json!({ "Table": table(source) }),
    }
}

fn cose(error: &CoseError) -> Value {
    use CoseError as E;
    match error {
        E::TooLong { max, got } => json!({ "TooLong": { "max": max, "got": got } }),
        E::Canonical(source) => json!({ "Canonical": canonical(source) }),
        E::Shape(source) => json!({ "Shape": { "at": source.at } }),
        E::ProtectedCanonical(source) => json!({ "ProtectedCanonical": canonical(source) }),
        E::ProtectedShape(source) => json!({ "ProtectedShape": { "at": source.at } }),
        E::Algorithm { got } => json!({ "Algorithm": { "got": got } }),
        E::ContentType { expected } => json!({ "ContentType": { "expected": expected } }),
        E::Unprotected => json!("Unprotected"),
        E::SignatureLength { got } => json!({ "SignatureLength": { "got": got } }),
        E::KeyId { .. } => json!("KeyId"),
        E::Signature { .. } => json!("Signature"),
        E::NotSignedBy { .. } => json!("NotSignedBy"),
        E::SignatureOrder { .. } => json!("SignatureOrder"),
        E::RepeatedSigner { .. } => json!("RepeatedSigner"),
        E::TooManySignatures { max, got } => {
            json!({ "TooManySignatures": { "max": max, "got": got } })
        }
        E::NoSignatures => json!("NoSignatures"),
    }
}

fn payload(error: &RosterPayloadError) -> Value {
    use RosterPayloadError as E;
    match error {
        E::Canonical(source) => json!({ "Canonical": canonical(source) }),
        E::Shape(source) => json!({ "Shape": { "at": source.at } }),
        E::Format { expected, got } => json!({ "Format": { "expected": expected, "got": got } }),
        E::VersionZero => json!("VersionZero"),
        E::NetworkField { version } => json!({ "NetworkField": { "version": version.get() } }),
        E::CentreId(_) => json!("CentreId"),
        E::Jurisdiction(_) => json!("Jurisdiction"),
        E::Origin(_) => json!("Origin"),
        E::WitnessName(_) => json!("WitnessName"),
        E::PublicKey(_) => json!("PublicKey"),
        E::KeyUse(_) => json!("KeyUse"),
        E::Empty { list } => json!({ "Empty": { "list": list } }),
        E::TooMany { list, max, got } => {
            json!({ "TooMany": { "list": list, "max": max, "got": got } })
        }
        E::Order { list, index } => json!({ "Order": { "list": list, "index": index } }),
        E::Threshold {
            threshold,
            root_keys,
        } => {
            json!({ "Threshold": { "threshold": threshold, "root_keys": root_keys } })
        }
        E::Lifetime { .. } => json!("Lifetime"),
        E::KeyLifetime { .. } => json!("KeyLifetime"),
        E::RepeatedKey { .. } => json!("RepeatedKey"),
        E::RootKeyOfHolder { .. } => json!("RootKeyOfHolder"),
        E::RepeatedName { list, index } => {
            json!({ "RepeatedName": { "list": list, "index": index } })
        }
        E::OriginOfOther { expected, got } => {
            json!({ "OriginOfOther": { "expected": expected.as_str(), "got": got.as_str() } })
        }
        E::Address { index } => json!({ "Address": { "index": index } }),
    }
}

pub(crate) fn roster(error: &RosterError) -> Value {
    use RosterError as E;
    match error {
        E::Cose(source) => json!({ "Cose": cose(source) }),
        E::Payload(source) => json!({ "Payload": payload(source) }),
        E::Pin { .. } => json!("Pin"),
        E::Version { expected, got } => {
            json!({ "Version": { "expected": expected.get(), "got": got.get() } })
        }
        E::LastVersion { last } => json!({ "LastVersion": { "last": last.get() } }),
        E::Network { .. } => json!("Network"),
        E::Threshold {
            version,
            expected,
            got,
        } => {
            json!({ "Threshold": { "version": version.get(), "expected": expected, "got": got } })
        }
        E::Stranger { .. } => json!("Stranger"),
        E::OriginChanged { expected, got } => {
            json!({ "OriginChanged": { "expected": expected.as_str(), "got": got.as_str() } })
        }
        E::KeyMoved { .. } => json!("KeyMoved"),
    }
}

pub(crate) fn checkpoint(error: &CheckpointError) -> Value {
    match error {
        CheckpointError::Note(NoteError::TooLarge { got }) => {
            json!({ "Note": { "TooLarge": { "got": got } } })
        }
        CheckpointError::Note(NoteError::Shape) => json!({ "Note": "Shape" }),
        CheckpointError::Note(NoteError::Unsigned) => json!({ "Note": "Unsigned" }),
        CheckpointError::Note(NoteError::Signature) => json!({ "Note": "Signature" }),
        CheckpointError::Note(NoteError::Full) => json!({ "Note": "Full" }),
        CheckpointError::Shape => json!("Shape"),
        CheckpointError::Origin { expected, got } => {
            json!({ "Origin": { "expected": expected.as_str(), "got": got.as_str() } })
        }
        CheckpointError::NoKey { origin } => json!({ "NoKey": { "origin": origin.as_str() } }),
    }
}

pub(crate) fn wire(error: &WireError) -> Value {
    match error {
        WireError::TooLarge { got, max } => json!({ "TooLarge": { "got": got, "max": max } }),
        WireError::Shape => json!("Shape"),
        WireError::Kind { got } => json!({ "Kind": { "got": got } }),
    }
}

pub(crate) fn refusal(refusal: BulkRefusal) -> &'static str {
    match refusal {
        BulkRefusal::Malformed => "Malformed",
        BulkRefusal::NotOnRoster => "NotOnRoster",
        BulkRefusal::NotFound => "NotFound",
        BulkRefusal::NotOrigin => "NotOrigin",
        BulkRefusal::Closed => "Closed",
        BulkRefusal::Store => "Store",
        BulkRefusal::Statement => "Statement",
    }
}
