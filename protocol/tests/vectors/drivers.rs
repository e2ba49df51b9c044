//! One driver for each format: bytes and context in, facts or a named error out.

use hashpact_keys::roster::{CentreEntry, KeyEntry, KeyUse};
use hashpact_keys::{SignedRoster, Timestamp};
use hashpact_protocol::delta::{
    Body, ClassEntry, ClassTable, Disclosure, Expected, Header, Retraction, RetractionEntry, Seq,
};
use hashpact_protocol::labels::ClassId;
use hashpact_protocol::lists::ClosedList as _;
use hashpact_protocol::log::{Leaf, SignedCheckpoint};
use hashpact_protocol::record::{PrintValue, Record};
use hashpact_protocol::wire::{BulkRefusal, BulkRequest, Message, Suffix};
use serde_json::{Value, json};

use crate::errors;

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("a list").iter()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(text(value)).expect("hexadecimal digits")
}

pub(crate) fn fixed<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().expect("the right length")
}

pub(crate) fn record(bytes: &[u8], _: &Value) -> Result<Value, Value> {
    let record = Record::from_bytes(bytes).map_err(|error| errors::record(&error))?;
    assert_eq!(record.to_bytes(), bytes, "one encoding for one meaning");
    let prints = record.fields.prints.iter().map(|print| match &print.value {
        PrintValue::Inline(value) => json!([value.algorithm().name(), value.bytes().len()]),
        PrintValue::Apart {
            algorithm, length, ..
        } => json!([algorithm.name(), length, "apart"]),
    });
    let labels = record
        .fields
        .local_labels
        .iter()
        .map(|label| json!(label.value));
    Ok(json!({
        "entry": record.entry.to_string(),
        "revision": record.revision.0,
        "prints": prints.collect::<Value>(),
        "local_labels": labels.collect::<Value>(),
    }))
}

fn retraction(retraction: &Retraction) -> Value {
    json!([retraction.entry.to_string(), retraction.revision.0])
}

/// Context: origin, seq, classes `[[c, n, R_c]...]`, retractions `[n, R_r]`, suspected `[c...]`.
pub(crate) fn delta_body(bytes: &[u8], context: &Value) -> Result<Value, Value> {
    let class = |row: &Value| ClassEntry {
        class: ClassId(u16::try_from(number(&row[0])).expect("a class")),
        count: number(&row[1]),
        root: fixed(&row[2]),
    };
    let last = &context["retractions"];
    let retractions = RetractionEntry {
        count: number(&last[0]),
        root: fixed(&last[1]),
    };
    let expected = Expected {
        origin: text(&context["origin"]).parse().expect("an origin"),
        seq: Seq(number(&context["seq"])),
        table: ClassTable {
            classes: list(&context["classes"]).map(class).collect(),
            retractions,
        },
        suspected: list(&context["suspected"])
            .map(|class| ClassId(u16::try_from(number(class)).expect("a class")))
            .collect(),
    };
    let body = Body::verify(bytes.to_vec(), &expected).map_err(|error| errors::body(&error))?;
    let classes = body.sections().iter().map(|section| {
        let entries = body.records().filter(|(class, ..)| *class == section.class);
        let entries = entries.map(|(_, _, record)| {
            let record = Record::from_bytes(record).expect("a checked record");
            record.entry.to_string()
        });
        match section.disclosure {
            Disclosure::Disclosed(_) => json!([section.class.0, entries.collect::<Vec<_>>()]),
            Disclosure::Withheld => json!([section.class.0, "withheld", section.count]),
            Disclosure::Partial { .. } => {
                json!([
                    section.class.0,
                    entries.collect::<Vec<_>>(),
                    "withheld",
                    section.withheld()
                ])
            }
        }
    });
    Ok(json!({
        "classes": classes.collect::<Value>(),
        "retractions": body.retractions().iter().map(retraction).collect::<Value>(),
    }))
}

/// A centre: `{ origin, keys: [[use, key, from, until]...] }`.
pub(crate) fn centre(context: &Value) -> CentreEntry {
    let origin: hashpact_keys::Origin = text(&context["origin"]).parse().expect("an origin");
    let key = |row: &Value| KeyEntry {
        use_: KeyUse::from_code(u8::try_from(number(&row[0])).expect("a use")).expect("a use"),
        key: text(&row[1]).parse().expect("a key"),
        from: Timestamp::new(number(&row[2])),
        until: row[3].as_u64().map(Timestamp::new),
    };
    CentreEntry {
        id: origin.centre().clone(),
        jurisdiction: "EU".parse().expect("a jurisdiction"),
        keys: list(&context["keys"]).map(key).collect(),
        addresses: Vec::new(),
        origin,
    }
}

/// Context: the centre that the log belongs to.
pub(crate) fn header(bytes: &[u8], context: &Value) -> Result<Value, Value> {
    let header = Header::open(bytes, &centre(context)).map_err(|error| errors::header(&error))?;
    Ok(json!({
        "network": header.network.to_string(),
        "origin": header.origin.as_str(),
        "roster_version": header.roster_version.get(),
        "seq": header.seq.0,
        "prev": hex::encode(header.prev),
        "table": hex::encode(header.table),
        "total": header.total,
        "issued_at": header.issued_at.get(),
        "policy_ref": header.policy_ref,
        "chain_hash": hex::encode(Header::chain_hash(bytes)),
    }))
}

pub(crate) fn leaf(bytes: &[u8], _: &Value) -> Result<Value, Value> {
    let leaf = Leaf::from_bytes(bytes).map_err(|error| errors::leaf(&error))?;
    Ok(match &leaf {
        Leaf::Delta { header, table } => json!({
            "kind": 1,
            "header_bytes": header.len(),
            "classes": table.classes.iter().map(|entry| json!([entry.class.0, entry.count])).collect::<Value>(),
            "retractions": table.retractions.count,
            "table": hex::encode(table.root()),
        }),
        Leaf::Classes { definitions } => {
            json!({ "kind": 3, "definitions_bytes": definitions.len() })
        }
        Leaf::Roster { version, hash } => {
            json!({ "kind": 4, "version": version.get(), "hash": hex::encode(hash) })
        }
        Leaf::Resumed {
            origin,
            size,
            root,
            proof,
        } => json!({
            "kind": 7,
            "resumes": [origin.as_str(), size],
            "root": hex::encode(root),
            "proof": hex::encode(proof),
        }),
        Leaf::Policy { document } => json!({ "kind": 2, "document": hex::encode(document) }),
        Leaf::Disclosure { commitment } => {
            json!({ "kind": 5, "commitment": hex::encode(commitment) })
        }
        Leaf::MatchEpoch { manifest } => {
            json!({ "kind": 8, "manifest_bytes": manifest.len() })
        }
        Leaf::MatchSession { commitment } => {
            json!({ "kind": 9, "commitment": hex::encode(commitment) })
        }
        Leaf::Commitment { commitment } => {
            json!({ "kind": 10, "commitment": hex::encode(commitment) })
        }
        Leaf::Other(kind) => json!({ "kind": *kind as u64 }),
    })
}

/// Context: the pin, and the rosters before this one.
pub(crate) fn roster(bytes_: &[u8], context: &Value) -> Result<Value, Value> {
    let pin = text(&context["pin"]).parse().expect("a network id");
    let mut last: Option<SignedRoster> = None;
    for before in list(&context["chain"]) {
        let before = bytes(before);
        let opened = match &last {
            Some(last) => last.succeed(&before),
            None => SignedRoster::open_first(&before, &pin),
        };
        last = Some(opened.expect("a chain that holds"));
    }
    let opened = match &last {
        Some(last) => last.succeed(bytes_),
        None => SignedRoster::open_first(bytes_, &pin),
    };
    let opened = opened.map_err(|error| errors::roster(&error))?;
    let roster = opened.roster();
    Ok(json!({
        "version": roster.version.get(),
        "network": roster.network.to_string(),
        "demo": roster.demo,
        "threshold": roster.threshold,
        "centres": roster.centres.iter().map(|centre| json!(centre.id.as_str())).collect::<Value>(),
        "hash": hex::encode(opened.hash()),
    }))
}

/// Context: the centre that the log belongs to, and the time.
pub(crate) fn checkpoint(bytes: &[u8], context: &Value) -> Result<Value, Value> {
    let now = Timestamp::new(number(&context["now"]));
    let opened = SignedCheckpoint::open(bytes, &centre(context), now).map(|(head, _)| head);
    let opened = opened.map_err(|error| errors::checkpoint(&error))?;
    let checkpoint = opened.checkpoint();
    Ok(json!({
        "origin": checkpoint.origin.as_str(),
        "size": checkpoint.size,
        "root": hex::encode(checkpoint.root),
    }))
}

/// Context: which of the formats on the wire.
pub(crate) fn wire(bytes: &[u8], context: &Value) -> Result<Value, Value> {
    let refused = |error| errors::wire(&error);
    match text(context) {
        "message" => {
            let message = Message::from_bytes(bytes).map_err(refused)?;
            assert_eq!(message.to_bytes(), bytes, "one encoding for one meaning");
            Ok(match message {
                Message::Heads {
                    session,
                    counter,
                    notes,
                } => json!({ "session": session, "counter": counter, "notes": notes.len() }),
                Message::Fork(proof) => json!({ "fork": proof.len() }),
                Message::Propose(proposal) => json!({
                    "propose": proposal.ask,
                    "origin": proposal.origin.as_str(),
                    "purpose": proposal.purpose.name(),
                    "policies": proposal.policies,
                    "wanted": proposal
                        .wanted
                        .iter()
                        .map(|(seq, classes)| {
                            let classes = classes.iter().map(|class| json!(class.0));
                            json!([seq.0, classes.collect::<Value>()])
                        })
                        .collect::<Value>(),
                }),
                Message::Terms { ask, offer, chain } => {
                    json!({ "terms": ask, "offer": offer.len(), "chain": chain.len() })
                }
                Message::Agreed(signed) => json!({ "agreed": signed.len() }),
                Message::Recall(signed) => json!({ "recall": signed.len() }),
                Message::Acknowledged(signed) => json!({ "acknowledged": signed.len() }),
                Message::Evidence(objects) => json!({ "evidence": objects.len() }),
                Message::Heard(hashes) => json!({ "heard": hashes.len() }),
                Message::Applied { origin, below } => {
                    json!({ "applied": [origin.as_str(), below.0] })
                }
                Message::Logged(hash) => json!({ "logged": hex::encode(hash) }),
                Message::Declined {
                    ask,
                    statement,
                    why,
                } => json!({
                    "declined": ask,
                    "statement": statement.map(hex::encode),
                    "why": why as u8,
                }),
            })
        }
        "request" => {
            let request = BulkRequest::from_bytes(bytes).map_err(refused)?;
            assert_eq!(request.to_bytes(), bytes, "one encoding for one meaning");
            Ok(match request {
                BulkRequest::Suffix { origin, from, to } => {
                    json!({ "suffix": [origin.as_str(), from, to] })
                }
                BulkRequest::Proof { origin, from, to } => {
                    json!({ "proof": [origin.as_str(), from, to] })
                }
                BulkRequest::Body {
                    origin,
                    seq,
                    section,
                    offset,
                    under,
                } => {
                    let under = under.map(hex::encode);
                    json!({ "body": [origin.as_str(), seq.0, section, offset, under] })
                }
            })
        }
        "suffix" => {
            let suffix = Suffix::from_bytes(bytes).map_err(refused)?;
            assert_eq!(suffix.to_bytes(), bytes, "one encoding for one meaning");
            let Suffix {
                from,
                leaves,
                proof,
            } = suffix;
            Ok(json!({ "from": from, "leaves": leaves.len(), "proof": proof.len() }))
        }
        "refusal" => {
            let [code] = bytes else {
                return Err(json!("Shape"));
            };
            let refusal = BulkRefusal::from_code(*code).ok_or_else(|| json!("Unknown"))?;
            Ok(json!(errors::refusal(refusal)))
        }
        _ => unreachable!("a format on the wire"),
    }
}
