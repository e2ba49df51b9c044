//! Every bound of the protocol, with its reason. A number that limits what a peer can make us do stands here.

/// A leaf of a log: entry bundles carry 16-bit lengths (C2SP tlog-tiles).
pub const LEAF_BYTES: usize = 65_535;
/// Classes in one delta: its table then fits a leaf (1,024 entries of at most 42 bytes).
pub const CLASSES_PER_DELTA: usize = 1_024;
/// Records in one delta over all classes: bounds the memory that checking one delta takes.
pub const RECORDS_PER_DELTA: usize = 65_536;
/// Retractions in one delta, for the same reason.
pub const RETRACTIONS_PER_DELTA: usize = 65_536;
/// One record: 16 fingerprints of at most 1,024 bytes, 8 local labels and the rest.
pub const RECORD_BYTES: usize = 24 * 1024;
/// A delta's body: what a receiver holds in memory while it checks it; origins cut deltas to stay below.
pub const BODY_BYTES: usize = 24 * 1024 * 1024;
/// Records' bytes at which an origin cuts a delta, leaving room for section heads and a full retraction list.
pub const BODY_BYTES_CUT: usize = 20 * 1024 * 1024;
/// Class definitions in one leaf: 48 of at most 1,300 bytes fit a leaf.
pub const DEFINITIONS_PER_LEAF: usize = 48;
/// Fingerprints of one entry (domain 2.1).
pub const FINGERPRINTS_PER_ENTRY: usize = 16;
/// Bytes of a fingerprint of an algorithm that we do not know; larger ones are referred to.
pub const OPAQUE_BYTES: usize = 1_024;
/// Local labels of one entry (domain 2.1).
pub const LOCAL_LABELS: usize = 8;
/// Bytes of one local label's value: long enough for every scheme known, too short for prose.
pub const LOCAL_VALUE_BYTES: usize = 128;
/// Parents of one entry (domain 2.1).
pub const DERIVED_FROM: usize = 8;
/// Days since 1970-01-01 that a date may have: up to the year 2243, so that a time in seconds is refused.
pub const DAYS: u32 = 100_000;
/// A signed attestation: at most 260 bytes of names, ids and hash, the values, and 130 bytes of envelope.
pub const ATTESTATION_BYTES: usize = 512;
/// A signed object beside deltas: a hold of [`HOLD_NAMED`] entries, or an opt-in of [`CLASSES_PER_ORDER`] classes, fits.
pub const EVIDENCE_BYTES: usize = 16 * 1024;
/// Entries and series that one hold names: what two people can look at.
pub const HOLD_NAMED: usize = 256;
/// Seconds of a hold at most: 30 days; then two people decide again.
pub const HOLD_S: u64 = 30 * 86_400;
/// Entries and series that one centre holds at a time, here: no centre can stop what others release.
pub const HELD_PER_CENTRE: usize = 4_096;
/// Seconds of an opt-in at most: a year of 366 days; then two people decide again.
pub const OPT_IN_S: u64 = 366 * 86_400;
/// Days ahead for which a surge may be ordered.
pub const SURGE_DAYS: u64 = 7;
/// Classes that one opt-in names; who takes more takes all.
pub const CLASSES_PER_ORDER: usize = 4_096;
/// Objects of one message: their signatures take a few milliseconds.
pub const EVIDENCE_PER_MESSAGE: usize = 64;
/// Bytes of the objects of one message, unless its single first is larger: it stays within a control message.
pub const EVIDENCE_BYTES_CUT: usize = 128 * 1024;
/// Disputes of one centre about one entry, whatever the revision; so of withdrawals, and of reasons.
pub const EVIDENCE_PER_ENTRY: u64 = 64;
/// Attestations of one centre about one entry, whatever the revision; so of feedback, one standing vote a member and
/// revision, and of answers: some tens of people and a few revisions.
pub const WORDS_PER_ENTRY: u64 = 256;
/// Holds of one centre that run on one entry or series: one, its renewal, and those that were lifted and not over.
pub const HOLDS_PER_ENTRY: u64 = 4;
/// Objects of one kind of one centre in all: half a gigabyte of disk, and ten years of 270 a day.
pub const EVIDENCE_PER_CENTRE: u64 = 1_000_000;
/// Objects of one centre about what is not here: more wait at whoever sends them.
pub const UNPLACED_PER_CENTRE: usize = 1_000;
/// Seconds from which on a lift ends nothing any more: an opt-in is the longest order; and clocks.
pub const LIFT_S: u64 = OPT_IN_S + 2 * 86_400;
/// Drafts that are signed at once.
pub const DRAFTS_AT_ONCE: usize = 256;
/// Objects that are on their way to one centre at a time.
pub const EVIDENCE_IN_FLIGHT: usize = 256;
/// Seconds after which an object that was not heard of is sent again, and twice as long after each, up to an hour.
pub const EVIDENCE_AGAIN_S: u64 = 30;
/// Seconds after a change of who has what in which it is looked whether an object is missing there.
pub const EVIDENCE_SWEEP_S: u64 = 10;
/// Objects that one step looks at for that.
pub const EVIDENCE_SWEEP: usize = 512;
/// Places of one fingerprint that a flag of an error reaches.
pub const SHARERS: usize = 256;
/// A control message: fits the heads of 128 logs with ten cosignatures each.
pub const FRAME_BYTES: usize = 256 * 1024;
/// Heads in one message.
pub const HEADS_PER_MESSAGE: usize = 128;
/// A signed checkpoint: three lines, one signature and at most 64 cosignatures.
pub const NOTE_BYTES: usize = 16 * 1024;
/// Signature lines on a checkpoint.
pub const NOTE_SIGNATURES: usize = 65;
/// A fork proof: two notes and a few hundred hashes in base64.
pub const FORK_PROOF_BYTES: usize = 64 * 1024;
/// Seconds after which a witness cosigns an unchanged head again (design: hourly).
pub const RECOSIGN_S: u64 = 3_600;
/// Seconds after which a quorum's cosignatures are too old for anything new to be published or matched.
pub const COSIGNATURE_FRESH_S: u64 = 86_400;
/// Seconds that a pending checkpoint waits for its quorum before a newer one takes its place: a burst of appends then
/// costs a few rounds of cosigning and not one for each, and no missing witness holds up a retraction for longer.
pub const CANDIDATE_S: u64 = 2;
/// Seconds that a centre may show a smaller log of its own than before: one that was restored from an old copy hears of it
/// within a round trip and shows it no further.
pub const ROLLBACK_S: u64 = 10;
/// Seconds for which cosignatures that change nothing are gathered before they are written.
pub const GATHER_S: u64 = 1;
/// Leaves in one piece of a log's suffix: their checking stays far below a second.
pub const SUFFIX_LEAVES: u64 = 256;
/// Bytes of one piece of a suffix, unless its single first leaf is larger.
pub const SUFFIX_BYTES: usize = 4 * 1024 * 1024;
/// Bodies of one origin in flight at once: hides a round trip, and bounds memory at this many bodies.
pub const BODIES_IN_FLIGHT: usize = 4;
/// Bodies in flight over all origins: with [`BODY_BYTES`] the 128 MiB budget of a node.
pub const BODIES_IN_FLIGHT_ALL: usize = 5;
/// Seconds between two rounds of anti-entropy, before jitter.
pub const ANTI_ENTROPY_S: u64 = 60;
/// Seconds after which a failed transfer is tried again.
pub const RETRY_S: u64 = 2;
/// Seconds that a peer's clock may be ahead of ours before what it dates is refused: one day, as policy allows.
pub const CLOCK_SKEW_S: u64 = 86_400;
/// Leaves of a log: 2^48, far above 500,000 a day for a century, and low enough for every shift.
pub const LOG_LEAVES: u64 = 1 << 48;
/// Files of a policy document in all: with two to 64 signatures it stays within a leaf.
pub const POLICY_BYTES: usize = 56 * 1024;
/// Policy documents of one log that are read, the newest ones: each takes time and memory. Where none of them is mature,
/// nothing is allowed.
pub const POLICIES_READ: usize = 16;
/// Files of a policy document: one of facts and a few of policies.
pub const POLICY_FILES: usize = 16;
/// Bytes of a file name in a policy document.
pub const POLICY_FILE_NAME_BYTES: usize = 64;
/// Policies in a document: every one is evaluated for each decision, a few microseconds each.
pub const POLICY_COUNT: usize = 256;
/// Words and signs of one policy, texts and commas not counted: reading and evaluating recurse once for each.
pub const POLICY_TOKENS: usize = 400;
/// Nested brackets in a policy, for the same reason.
pub const POLICY_DEPTH: usize = 32;
/// Bytes of the id of a policy, a grant or a profile.
pub const POLICY_ID_BYTES: usize = 64;
/// Bytes of a text in a policy document that people read: a source, a document.
pub const POLICY_PROSE_BYTES: usize = 1_000;
/// Hours after which a wider policy acts at the latest: a year.
pub const POLICY_WIDEN_HOURS: u64 = 8_760;
/// Signatures by different `policy` keys on a policy document: no one person changes what is shared.
pub const POLICY_SIGNATURES: usize = 2;
/// A transfer statement: some two thousand rows of a delta and a class. With its chain it fits a control message.
pub const STATEMENT_BYTES: usize = 48 * 1024;
/// Bytes of rows at which a giver ends a statement, leaving room for heads, parents and signatures.
pub const STATEMENT_BYTES_CUT: usize = 40 * 1024;
/// Deltas in one transfer statement.
pub const STATEMENT_DELTAS: usize = 256;
/// Statements that one of a relay rests on directly.
pub const STATEMENT_PARENTS: usize = 16;
/// Bytes of all statements behind one of a relay: three hops of one line fit, with the statement itself, a control message.
pub const CHAIN_BYTES: usize = 192 * 1024;
/// Statements behind one of a relay in all: at most three hops of sixteen.
pub const CHAIN_STATEMENTS: usize = 48;
/// Seconds without an answer after which a message of a transfer's handshake is sent again.
pub const HANDSHAKE_S: u64 = 10;
/// Times that it is sent before the handshake has failed.
pub const HANDSHAKE_TRIES: u32 = 3;
/// Handshakes and transfers that a taker has open with one giver: one for each log, and this many logs.
pub const TRANSFERS_PER_GIVER: usize = 8;
/// Those that it has open in all: each holds a statement in memory.
pub const TRANSFERS_OPEN: usize = 64;
/// Proposals of one peer that are answered in a minute: each costs a signature and some evaluations, and may cost a leaf.
pub const PROPOSALS_A_MINUTE: u32 = 60;
/// Seconds for which bodies are served under a statement; who needs longer asks again.
pub const STATEMENT_SERVES_S: u64 = 3_600;
/// Seconds after which classes that were not given are asked for again, once; it is an alarm if policy allows them and
/// they are not given then either.
pub const SURPLUS_S: u64 = 60;
/// Seconds after which such classes are asked for again from then on.
pub const ASK_AGAIN_S: u64 = 3_600;
/// Deltas that are not applied yet and of which one proposal asks: their tables are held in memory.
pub const PROPOSAL_WINDOW: u64 = 64;
/// Bytes of rows at which a proposal ends: it fits a control message, and what it asks for fits a statement.
pub const PROPOSAL_BYTES_CUT: usize = 32 * 1024;
/// Seconds after which a recall that is not acknowledged is sent again, and twice as long after each, up to an hour.
pub const RECALL_AGAIN_S: u64 = 60;
/// Classes in one recall; further ones go into the next.
pub const CLASSES_PER_RECALL: usize = 4_096;
/// A chunk of a match segment: fits a bulk chunk, and some 12,000 tags.
pub const MATCH_CHUNK_BYTES: usize = 64 * 1024;
/// Segments of one match artifact; with more the builder makes one whole segment of them.
pub const MATCH_SEGMENTS: usize = 32;
/// Tags that one segment adds or removes: its chunks are counted by 32 bits.
pub const MATCH_SEGMENT_ITEMS: u64 = 1 << 40;
/// Match groups of a log: a client evaluates once for each.
pub const MATCH_GROUPS: usize = 64;
/// Classes in one match group.
pub const MATCH_CLASSES: usize = 16_384;
/// Tags in the segments of one type and mode that a client fetches of a centre, over all groups: 100 million items twice
/// over. A manifest that lists more would fill the disk of whoever believes it.
pub const MATCH_FETCH_TAGS: u64 = 1 << 28;
/// Bytes of those segments: [`MATCH_FETCH_TAGS`] take 1.4 GB as tags, and 5.4 GB more as labels.
pub const MATCH_FETCH_BYTES: u64 = 8 << 30;
/// Artifacts of one match group: six fingerprint types in two modes, and room for more.
pub const MATCH_ARTIFACTS: usize = 32;
/// A signed match manifest: with its head it is a leaf.
pub const MANIFEST_BYTES: usize = LEAF_BYTES - 5;
/// Match manifests of one log that a store keeps at hand, the newest ones; all of them stand in the log.
pub const MANIFESTS_KEPT: usize = 8;
/// Tags of one sample: 300 find 1 % of strangers with 95 %, a thousand find 0.3 %.
pub const MATCH_SAMPLE_TAGS: usize = 1_024;
/// A sample: a thousand records of some 10 KiB with their proofs.
pub const MATCH_SAMPLE_BYTES: usize = 16 * 1024 * 1024;
/// A frame of the match protocol: 4,096 points with their proof, or a manifest with its proof of inclusion.
pub const MATCH_FRAME_BYTES: usize = 160 * 1024;
/// The proof that a manifest is logged: 63 lines of hashes and a note, without extra data.
pub const MATCH_PROOF_BYTES: usize = 32 * 1024;
/// Bytes of the words of a refusal.
pub const MATCH_REFUSAL_BYTES: usize = 256;
/// A match session record.
pub const MATCH_RECORD_BYTES: usize = 4 * 1024;
/// Bytes of a member's name in a match session record.
pub const MATCH_ASKER_BYTES: usize = 64;
/// A bundle of openings: some ten thousand transfers; a centre with more writes several.
pub const OPENINGS_BYTES: usize = 64 * 1024 * 1024;
/// Policy documents of one log that an audit keeps to judge disclosures by.
pub const POLICIES_AUDITED: usize = 1_024;
/// Items that a grant may let a principal match in a day, of one fingerprint type: a hundred principals at this rate
/// for a whole epoch stay below [`MATCH_EVALUATIONS`].
pub const MATCH_PER_DAY: u64 = 16_000_000;
/// Items of one match session: with [`MATCH_BATCH`] a few hundred frames each way.
pub const MATCH_ITEMS: u64 = 1_000_000;
/// Items of a session at least: a question about one hash is an oracle for it. Smaller lists are padded, and charged so.
pub const MATCH_ITEMS_MIN: u64 = 100;
/// The same for a count, which tells less the longer the list is.
pub const MATCH_ITEMS_MIN_COUNT: u64 = 1_000;
/// Blinded points in one frame: 128 KiB, and a proof for each frame costs little beside them.
pub const MATCH_BATCH: usize = 4_096;
/// Sessions of one principal and fingerprint type in a UTC day: a list is checked once, and many small ones are probing.
pub const MATCH_SESSIONS_DAY: u64 = 64;
/// Count sessions of one principal and type in an epoch: two counts of lists that differ in one item tell of that item.
pub const COUNT_SESSIONS_EPOCH: u64 = 4;
/// Seconds for which a session that broke off is gone on with.
pub const MATCH_SESSION_S: u64 = 3_600;
/// Seconds after which a session is over in any case: its items were charged for one day.
pub const MATCH_SESSION_LIFE_S: u64 = 86_400;
/// Seconds of an epoch of matching: the longer a key lives, the more it has been asked (design 7).
pub const MATCH_EPOCH_S: u64 = 30 * 86_400;
/// Seconds for which the epoch before is still served.
pub const MATCH_OVERLAP_S: u64 = 48 * 3_600;
/// Evaluations under one key: 2^36 cost static Diffie-Hellman 18 bits (RFC 9497, section 7.2.3).
pub const MATCH_EVALUATIONS: u64 = 1 << 36;
/// Members of one centre: a row of each class holds all of them.
pub const MEMBERS: usize = 10_000;
/// Bytes of a member's name, and of its sector.
pub const MEMBER_BYTES: usize = 64;
