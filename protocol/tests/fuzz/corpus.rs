//! The files of the corpus, from code: what each reader must take, and attacks on it.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hashpact_keys::{KeyUse, SignedRoster};
use hashpact_protocol::Hash;
use hashpact_protocol::delta::{Header, Seq};
use hashpact_protocol::log::{
    AddCheckpoint, Common, ForkProof, LogProof, Receipt, SignatureKind, SignedNote, VerifierKey,
    WitnessPolicy, consistency_proof, encode_bundle, grow, inclusion_proof, log_key, root_at,
    witness_name,
};
use hashpact_protocol::testing::forge::Forge;
use hashpact_protocol::testing::keys::{CentreSetup, START, network};

use super::Files;

type Sample = (&'static str, Vec<u8>);

/// The network of `testing::fuzz`.
static NETWORK: LazyLock<(SignedRoster, Vec<CentreSetup>)> = LazyLock::new(|| network(2, false));
static ALL: LazyLock<Vec<(&'static str, Files)>> = LazyLock::new(|| {
    let files = |samples: Vec<Sample>| {
        let files = samples.into_iter();
        files
            .map(|(name, bytes)| (name.to_owned(), bytes))
            .collect()
    };
    vec![
        ("note", files(notes())),
        ("checkpoint", files(checkpoints())),
        ("log_proof", files(log_proofs())),
        ("policy_file", files(policies())),
        ("fork_proof", files(fork_proofs())),
        ("receipt", files(receipts())),
        ("verifier_key", files(verifier_keys())),
        ("bundle", files(bundles())),
        ("tile", files(tiles())),
        ("add_checkpoint", files(requests())),
    ]
});

/// The files of a target by name.
pub(crate) fn files(target: &str) -> Files {
    let found = ALL.iter().find(|(name, _)| *name == target);
    found.expect("a target").1.clone()
}

fn eu() -> &'static CentreSetup {
    &NETWORK.1[0]
}

/// Leaves of one byte each, with `mark` from `common` on.
fn leaves(size: u8, common: u8, mark: u8) -> Vec<Vec<u8>> {
    let leaf = |n: u8| if n < common { n } else { n ^ mark };
    (0..size).map(|n| vec![leaf(n)]).collect()
}

fn disk(leaves: &[Vec<u8>]) -> impl Fn(&str) -> Option<Vec<u8>> + use<> {
    let grown = grow(&|_: &str| None, 0, leaves).expect("leaves that fit a log");
    let files = grown.files.into_iter().map(|file| (file.path, file.bytes));
    let files: Files = files.collect();
    move |path: &str| files.get(path).cloned()
}

fn root(leaves: &[Vec<u8>], at: u64) -> Hash {
    root_at(&disk(leaves), leaves.len() as u64, at).expect("tiles")
}

/// The head of all these leaves, as text.
fn head(leaves: &[Vec<u8>]) -> String {
    let size = leaves.len() as u64;
    let head = Forge::new(eu(), &NETWORK.0).sign(size, root(leaves, size));
    String::from_utf8(head.note().to_vec()).expect("a note is text")
}

fn cosigned(note: &str) -> SignedNote {
    let mut note = SignedNote::parse(note.as_bytes()).expect("our own");
    let us = &NETWORK.1[1];
    let name = witness_name(&us.origin);
    let cosigned = note.cosign(&name, &us.signer(KeyUse::Witness), START);
    cosigned.expect("room for a line");
    note
}

fn replaced(text: &str, from: &str, to: &str) -> Vec<u8> {
    assert!(text.contains(from), "{from:?} is not there to be replaced");
    text.replacen(from, to, 1).into_bytes()
}

fn notes() -> Vec<Sample> {
    let note = head(&leaves(7, 7, 0));
    let many = (0..66).map(|_| "\u{2014} n AAAAAAE=\n").collect::<String>();
    vec![
        ("good-checkpoint", note.clone().into_bytes()),
        ("good-cosigned", cosigned(&note).to_bytes()),
        (
            "good-empty-lines-in-text",
            replaced(&note, "\n7\n", "\n\n\n7\n"),
        ),
        (
            "good-text-that-looks-signed",
            replaced(&note, "7\n", "7\n\n\u{2014} n AAAAAAE=\n"),
        ),
        ("bad-empty", Vec::new()),
        ("bad-no-signature", b"text\n\n".to_vec()),
        ("bad-no-text", "\n\n\u{2014} n AAAAAAE=\n".into()),
        (
            "bad-carriage-return",
            note.replace('\n', "\r\n").into_bytes(),
        ),
        ("bad-no-last-newline", note.trim_end().as_bytes().to_vec()),
        ("bad-hyphen-for-dash", replaced(&note, "\u{2014}", "-")),
        (
            "bad-dash-cut-in-half",
            note.as_bytes()[..note.len() - 107].to_vec(),
        ),
        (
            "bad-base64-trailing-bits",
            "a\n\n\u{2014} n AAAAAAF=\n".into(),
        ),
        ("bad-only-a-key-id", "a\n\n\u{2014} n AAAAAA==\n".into()),
        (
            "bad-space-of-unicode-in-name",
            "a\n\n\u{2014} n\u{a0}m AAAAAAE=\n".into(),
        ),
        ("bad-66-lines", format!("a\n\n{many}").into_bytes()),
    ]
}

fn checkpoints() -> Vec<Sample> {
    let note = head(&leaves(7, 7, 0));
    let most = note.replacen("\n7\n", "\n281474976710656\n", 1);
    vec![
        ("good-signed", note.clone().into_bytes()),
        ("good-empty-log", head(&[]).into_bytes()),
        ("good-size-2-to-the-48-unsigned", most.into_bytes()),
        (
            "bad-size-above-2-to-the-48",
            replaced(&note, "\n7\n", "\n281474976710657\n"),
        ),
        (
            "bad-size-above-u64",
            replaced(&note, "\n7\n", "\n18446744073709551616\n"),
        ),
        ("bad-size-with-zero", replaced(&note, "\n7\n", "\n07\n")),
        ("bad-size-with-plus", replaced(&note, "\n7\n", "\n+7\n")),
        (
            "bad-extension-line",
            replaced(&note, "\n\n", "\nextension\n\n"),
        ),
        ("bad-first-line-empty", format!("\n{note}").into_bytes()),
        ("bad-origin-without-epoch", replaced(&note, "eu/1", "eu")),
        (
            "bad-root-of-31-bytes",
            replaced(
                &note,
                &BASE64.encode(root(&leaves(7, 7, 0), 7)),
                &BASE64.encode([0; 31]),
            ),
        ),
    ]
}

fn log_proofs() -> Vec<Sample> {
    let leaves = leaves(7, 7, 0);
    let path = inclusion_proof(&disk(&leaves), 7, 0, 7).expect("tiles");
    let make = |extra, index, path: &[Hash]| {
        let proof = LogProof::new(extra, index, path.to_vec(), head(&leaves).as_bytes());
        proof.expect("a proof").to_text()
    };
    let text = make(None, 0, &path);
    let first = BASE64.encode(path[0]);
    let long = make(None, 0, &[[7; 32]; 63]);
    let seven = BASE64.encode([7; 32]);
    vec![
        ("good-leaf-0-of-7", text.clone().into_bytes()),
        (
            "good-extra",
            make(Some(vec![1, 2, 3]), 0, &path).into_bytes(),
        ),
        ("good-no-path", make(None, u64::MAX, &[]).into_bytes()),
        ("good-63-hashes", long.clone().into_bytes()),
        (
            "bad-64-hashes",
            replaced(&long, &seven, &format!("{seven}\n{seven}")),
        ),
        (
            "bad-index-with-zero",
            replaced(&text, "index 0", "index 00"),
        ),
        ("bad-index-negative", replaced(&text, "index 0", "index -0")),
        (
            "bad-index-above-u64",
            replaced(&text, "index 0", "index 18446744073709551616"),
        ),
        (
            "bad-index-before-extra",
            replaced(&text, "index 0\n", "index 0\nextra AA==\n"),
        ),
        ("bad-extra-empty", replaced(&text, "index", "extra \nindex")),
        ("bad-two-empty-lines", replaced(&text, "\n\n", "\n\n\n")),
        (
            "bad-hash-of-31-bytes",
            replaced(&text, &first, &BASE64.encode([0; 31])),
        ),
        (
            "bad-hash-unpadded",
            replaced(&text, &first, first.trim_end_matches('=')),
        ),
        ("bad-version", replaced(&text, "@v1", "@v2")),
        (
            "bad-no-checkpoint",
            text.split_inclusive("\n\n").next().unwrap_or("").into(),
        ),
    ]
}

fn witness(n: u8) -> VerifierKey {
    let signer = hashpact_keys::Signer::from_seed(&[n; 32]);
    VerifierKey::new(
        &format!("w{n}.example"),
        SignatureKind::Cosigner,
        signer.public(),
    )
}

fn policies() -> Vec<Sample> {
    let log = log_key(&eu().origin, eu().signer(KeyUse::Log).public());
    let [a, b, c] = [1, 2, 3].map(witness);
    let known = format!("log {log}\nwitness a {a}\nwitness b {b}\nwitness c {c} https://c\n");
    let nested = format!("{known}group g 1 a b\ngroup h 2 g c\nquorum h\n");
    let demo = network(1, true);
    let of_log = WitnessPolicy::of_log(demo.0.roster(), &eu().origin).expect("a policy");
    vec![
        ("good-nested", nested.clone().into_bytes()),
        (
            "good-comments-and-tabs",
            format!("# c\n\n \t# c\n{known}\tquorum \t a\n").into_bytes(),
        ),
        ("good-of-a-log-without-witnesses", of_log.to_bytes()),
        ("good-no-quorum-asked", b"quorum none\n".to_vec()),
        (
            "good-name-not-utf8",
            [
                b"witness \xff ",
                a.to_string().as_bytes(),
                b"\nquorum \xff\n",
            ]
            .concat(),
        ),
        ("bad-empty", Vec::new()),
        (
            "bad-two-quorums",
            format!("{nested}quorum h\n").into_bytes(),
        ),
        (
            "bad-group-of-itself",
            format!("{known}group g any g\nquorum g\n").into_bytes(),
        ),
        (
            "bad-group-of-a-later-one",
            format!("{known}group g any h\ngroup h any a\nquorum g\n").into_bytes(),
        ),
        (
            "bad-member-of-two-groups",
            format!("{nested}group i any a\n").into_bytes(),
        ),
        (
            "bad-group-of-none",
            format!("{known}group g any none\nquorum g\n").into_bytes(),
        ),
        (
            "bad-witness-named-none",
            format!("witness none {a}\nquorum none\n").into_bytes(),
        ),
        (
            "bad-threshold-0",
            format!("{known}group g 0 a\nquorum g\n").into_bytes(),
        ),
        (
            "bad-threshold-above-members",
            format!("{known}group g 2 a\nquorum g\n").into_bytes(),
        ),
        (
            "bad-threshold-above-u64",
            format!("{known}group g 18446744073709551617 a\nquorum g\n").into_bytes(),
        ),
        (
            "bad-key-twice",
            format!("witness a {a}\nwitness b {a}\nquorum a\n").into_bytes(),
        ),
        (
            "bad-log-as-witness",
            format!("witness a {log}\nquorum a\n").into_bytes(),
        ),
        (
            "bad-carriage-return",
            nested.replace('\n', "\r\n").into_bytes(),
        ),
        (
            "bad-zero-byte",
            format!("{known}# \0\nquorum none\n").into_bytes(),
        ),
        ("bad-no-last-newline", b"quorum none".to_vec()),
    ]
}

/// The proof that a log of 4 leaves and one of 7 part after 3.
fn forked() -> String {
    let (one, two) = (leaves(4, 3, 0x10), leaves(7, 3, 0x20));
    let (of_one, of_two) = (disk(&one), disk(&two));
    let common = Common {
        size: 3,
        root: root(&two, 3),
        to_a: consistency_proof(&of_one, 4, 3, 4).expect("tiles"),
        to_b: consistency_proof(&of_two, 7, 3, 7).expect("tiles"),
    };
    let a_to_b = consistency_proof(&of_two, 7, 4, 7).expect("tiles");
    let at_a = Some(root(&two, 4));
    let (a, b) = (head(&one), head(&two));
    let proof = ForkProof::checkpoints(a.as_bytes(), b.as_bytes(), a_to_b, at_a, Some(common));
    let proof = proof.expect("a proof");
    let fact = proof.verify(NETWORK.0.roster(), START).expect("it holds");
    assert_eq!(fact.common, Some(3));
    proof.to_text()
}

fn two_headers() -> String {
    let roster = NETWORK.0.roster();
    let header = |total| {
        let header = Header {
            network: roster.network,
            origin: eu().origin.clone(),
            roster_version: roster.version,
            seq: Seq(3),
            prev: [1; 32],
            table: [2; 32],
            total,
            issued_at: START,
            policy_ref: None,
        };
        header.sign(&eu().signer(KeyUse::Delta))
    };
    let proof = ForkProof::headers(eu().origin.clone(), &header(1), &header(2));
    let proof = proof.expect("a proof");
    assert!(proof.verify(roster, START).is_ok());
    proof.to_text()
}

fn fork_proofs() -> Vec<Sample> {
    let (text, headers) = (forked(), two_headers());
    let (one, two) = (head(&leaves(5, 0, 1)), head(&leaves(5, 0, 2)));
    let even = ForkProof::checkpoints(one.as_bytes(), two.as_bytes(), Vec::new(), None, None);
    let even = even.expect("a proof").to_text();
    let line = |field: &str| {
        let mut lines = text.split_inclusive('\n');
        lines.find(|line| line.starts_with(field)).expect("a line")
    };
    let at_a = line("b-at-a");
    let fields = |note: &str| {
        format!("hashpact fork proof v1\nkind checkpoints\ncommon 0\n\n{note}\n{note}")
    };
    let header = headers.lines().find(|line| line.starts_with("a "));
    let header = header.expect("a line").trim_start_matches("a ");
    let twice = format!(
        "hashpact fork proof v1\nkind headers\norigin {}\na {header}\nb {header}\n",
        eu().origin
    );
    vec![
        ("good-4-and-7-part-after-3", text.clone().into_bytes()),
        ("good-two-roots-of-5", even.clone().into_bytes()),
        ("good-two-headers", headers.clone().into_bytes()),
        (
            "good-hash-that-proves-nothing",
            replaced(&text, at_a, &format!("b-at-a {}\n", BASE64.encode([0; 32]))),
        ),
        ("bad-same-note-twice", fields(&one).into_bytes()),
        ("bad-same-header-twice", twice.into_bytes()),
        (
            "bad-common-0-with-a-proof",
            replaced(&text, "common 3", "common 0"),
        ),
        (
            "bad-common-beyond-a",
            replaced(&text, "common 3", "common 5"),
        ),
        (
            "bad-common-with-zero",
            replaced(&text, "common 3", "common 03"),
        ),
        ("bad-root-at-a-missing", replaced(&text, at_a, "")),
        (
            "bad-root-at-a-twice",
            replaced(&text, at_a, &at_a.repeat(2)),
        ),
        (
            "bad-64-hashes",
            replaced(&text, line("a-to-b"), &line("a-to-b").repeat(64)),
        ),
        (
            "bad-fields-out-of-order",
            replaced(&text, at_a, &format!("{}{at_a}", line("a-to-b"))),
        ),
        (
            "bad-field-unknown",
            replaced(&text, at_a, &format!("{at_a}note x\n")),
        ),
        ("bad-three-notes", format!("{text}\n{one}").into_bytes()),
        (
            "bad-one-note",
            even.as_bytes()[..even.len() - two.len()].to_vec(),
        ),
        (
            "bad-kind",
            replaced(&text, "kind checkpoints", "kind headers"),
        ),
        (
            "bad-headers-of-no-log",
            replaced(&headers, "origin eu.example/eu/1", "origin eu"),
        ),
    ]
}

fn receipts() -> Vec<Sample> {
    let leaves = leaves(7, 7, 0);
    let path = inclusion_proof(&disk(&leaves), 7, 0, 7).expect("tiles");
    let signer = eu().signer(KeyUse::Log);
    let sign = |size, path: &[Hash]| Receipt::sign(&root(&leaves, 7), size, 0, path, &signer);
    let good = sign(7, &path);
    assert!(Receipt::verify(&good, &leaves[0], &signer.public()).is_ok());
    let bent = |at: usize, from: u8, to: u8| {
        let mut bent = good.clone();
        assert_eq!(bent[at], from, "another byte stands at {at}");
        bent[at] = to;
        bent
    };
    let null = good.len() - 67;
    vec![
        ("good-leaf-0-of-7", good.clone()),
        ("good-size-above-any-log", sign(u64::MAX, &path)),
        ("good-no-path", sign(1, &[])),
        ("bad-64-hashes", sign(7, &[[7; 32]; 64])),
        ("bad-too-long", sign(7, &[[7; 32]; 120])),
        ("bad-empty", Vec::new()),
        ("bad-tag-alone", vec![0xd2]),
        ("bad-no-tag", good[1..].to_vec()),
        ("bad-tag-long-form", [&[0xd8, 0x12], &good[1..]].concat()),
        ("bad-tag-twice", [&[0xd2], &good[..]].concat()),
        ("bad-payload-attached", bent(null, 0xf6, 0x40)),
        ("bad-payload-undefined", bent(null, 0xf6, 0xf7)),
        (
            "bad-array-of-2-to-the-32",
            [&[0xd2, 0x9b, 0, 0, 0, 1, 0, 0, 0, 0], &good[2..]].concat(),
        ),
        (
            "bad-array-without-length",
            [&[0xd2, 0x9f], &good[2..], &[0xff]].concat(),
        ),
        ("bad-algorithm-es256", bent(5, 0x27, 0x26)),
        ("bad-nested-deep", [&[0xd2][..], &[0x81; 4_000]].concat()),
        ("bad-trailing-byte", [&good[..], &[0]].concat()),
    ]
}

fn verifier_keys() -> Vec<Sample> {
    let key = log_key(&eu().origin, eu().signer(KeyUse::Log).public());
    let text = key.to_string();
    let id = format!("{:08x}", u32::from_be_bytes(key.id()));
    let base64 = |bytes: &[u8]| format!("a+00000000+{}", BASE64.encode(bytes)).into_bytes();
    vec![
        ("good-log", text.clone().into_bytes()),
        ("good-cosigner", witness(1).to_string().into_bytes()),
        (
            "good-of-the-specification",
            b"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k".to_vec(),
        ),
        ("bad-empty", Vec::new()),
        ("bad-id-of-another-name", replaced(&text, "eu.", "au.")),
        (
            "bad-id-in-capitals",
            replaced(&text, &id, &id.to_uppercase()),
        ),
        ("bad-id-short", replaced(&text, &id, &id[1..])),
        ("bad-no-key", format!("a+{id}+").into_bytes()),
        ("bad-type-2", base64(&[2; 33])),
        (
            "bad-key-of-small-order",
            base64(&[&[1, 1], &[0; 31][..]].concat()),
        ),
        ("bad-key-of-31-bytes", base64(&[1; 32])),
        ("bad-not-utf8", vec![0xff, b'+']),
        ("bad-trailing-newline", format!("{text}\n").into_bytes()),
    ]
}

fn tiles() -> Vec<Sample> {
    let hashes = |n: usize| {
        let hash = |n: usize| [u8::try_from(n).expect("few"); 32];
        (0..n).flat_map(hash).collect::<Vec<u8>>()
    };
    vec![
        ("good-one-hash", hashes(1)),
        ("good-seven-hashes", hashes(7)),
        ("good-255-hashes", hashes(255)),
        ("bad-empty", Vec::new()),
        ("bad-torn", hashes(7)[..200].to_vec()),
        ("bad-byte-too-many", [hashes(3), vec![0]].concat()),
        ("bad-half-a-hash", vec![1; 16]),
    ]
}

fn requests() -> Vec<Sample> {
    let all = leaves(7, 7, 0);
    let path = consistency_proof(&disk(&all), 7, 3, 7).expect("tiles");
    let note = head(&all).into_bytes();
    let request = |old, proof: Vec<Hash>| {
        let note = note.clone();
        AddCheckpoint { old, proof, note }.to_bytes()
    };
    let good = request(3, path.clone());
    let text = String::from_utf8(good.clone()).expect("text");
    vec![
        ("good-first", request(0, Vec::new())),
        ("good-three-to-seven", good),
        ("bad-64-proof-lines", request(3, vec![[1; 32]; 64])),
        (
            "bad-leading-zero",
            text.replace("old 3", "old 03").into_bytes(),
        ),
        ("bad-sign", text.replace("old 3", "old +3").into_bytes()),
        (
            "bad-no-empty-line",
            text.replacen("\n\n", "\n", 1).into_bytes(),
        ),
        ("bad-short-hash", text.replacen("=\n", "\n", 1).into_bytes()),
        ("bad-empty", Vec::new()),
    ]
}

fn bundles() -> Vec<Sample> {
    vec![
        ("good-three-leaves", encode_bundle(&leaves(3, 3, 0))),
        ("good-empty", Vec::new()),
        ("good-empty-leaf", vec![0, 0]),
        ("good-leaf-of-256", encode_bundle(&[vec![7; 256]])),
        ("bad-half-a-length", vec![0]),
        ("bad-torn", encode_bundle(&leaves(3, 3, 0))[..8].to_vec()),
        ("bad-length-beyond-the-end", vec![0xff, 0xff, 1]),
    ]
}
