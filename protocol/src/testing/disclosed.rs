//! A network in which centres gave each other classes, as an auditor finds it: logs, and what opens their sealed leaves.
//!
//! Why: every way to give too much is a statement that two centres sign and log all the same; here they do. In scope: logs,
//! statements and openings, right or wrong. Out of scope: centres that run (`sim`), bodies.

#![expect(
    clippy::unwrap_used,
    reason = "what a test builds on is right or the test is wrong"
)]

use std::collections::BTreeMap;

use hashpact_keys::{KeyUse, Timestamp};

use super::documents;
use super::keys::START;
use super::published::{Published, table};
use crate::audit::{
    Bundle, Chain, Decided, Disclosures, Event, Finding, FindingKind, Ledger, Opened, Openings,
    Place, Seals, replay,
};
use crate::b3::Hash;
use crate::delta::{Header, Seq};
use crate::labels::{ClassId, Purpose};
use crate::log::Leaf;
use crate::psi::Manifest;
use crate::transfer::{self, Given, Statement};

/// Seconds of a day.
pub const DAY_S: u64 = 86_400;

/// A time so many seconds after the beginning.
#[must_use]
pub fn after(seconds: u64) -> Timestamp {
    Timestamp::new(START.get() + seconds)
}

/// Logs of the centres eu, us, ca and au in this order; the first has one delta of three records of class 0.
#[derive(Clone)]
pub struct Disclosed {
    /// The logs.
    pub logs: Vec<Published>,
    /// What each centre hands to the auditor.
    pub bundles: Vec<Bundle>,
    /// When the audit takes place.
    pub now: Timestamp,
    nonce: u8,
}

/// What an audit said.
pub struct Verdict {
    /// Findings: number of the log, place, kind.
    pub found: Vec<(Option<usize>, Place, FindingKind)>,
    /// Who gave what to whom.
    pub sums: Disclosures,
    /// Every decision that was made again.
    pub decided: Vec<Decided>,
    /// Sealed leaves of each log.
    pub seals: Vec<Seals>,
}

impl Disclosed {
    /// Every centre logs, as its first document, what `policies` says of it: grants, then policies by id.
    #[must_use]
    pub fn begun(policies: impl Fn(usize) -> (String, Vec<(&'static str, &'static str)>)) -> Self {
        let mut logs = Vec::new();
        for n in 0..4 {
            let mut log = Published::begun_by(n);
            let (grants, rules) = policies(n);
            let mut document = log.document(1);
            let law = &log.centres[0].jurisdiction;
            document.files = documents::files(law, &grants, &rules);
            log.append(&[documents::leaf(&log.centres[0], &document)]);
            if n == 0 {
                let table = table(3, 1);
                let mut header = log.forge.header(&table);
                header.policy_ref = Some(2);
                log.append(&[log.forge.delta(&header, &table)]);
            }
            log.publish_at(&[1, 2, 3], after(100));
            logs.push(log);
        }
        let bundle = |log: &Published| Bundle {
            network: log.rosters[0].roster().network,
            origin: log.centres[0].origin.clone(),
            leaves: 0..log.size,
            opened: Vec::new(),
            shown: Vec::new(),
        };
        Self {
            bundles: logs.iter().map(bundle).collect(),
            logs,
            now: after(20_000),
            nonce: 0,
        }
    }

    /// Everybody allows everything between centres.
    #[must_use]
    pub fn open() -> Self {
        Self::begun(|_| (String::new(), vec![("all", documents::ALL)]))
    }

    /// The statement by which one centre gives the class to another straight from eu, or passes it on.
    #[must_use]
    pub fn statement(&self, from: usize, to: usize, at: Timestamp) -> Statement {
        let origin = &self.logs[0];
        let delta = Leaf::from_bytes(&self.leaf(0, 3));
        let header = match &delta {
            Ok(Leaf::Delta { header, .. }) => Header::chain_hash(header),
            Ok(_) | Err(_) => [0; 32],
        };
        Statement {
            network: origin.rosters[0].roster().network,
            origin: origin.centres[0].origin.clone(),
            from: self.logs[from].centres[0].id.clone(),
            to: self.logs[to].centres[0].id.clone(),
            hop: u8::from(from > 0),
            purpose: Purpose::Triage,
            from_policy: Some(2),
            origin_policy: Some(2),
            to_policy: Some(2),
            deltas: vec![Given {
                seq: Seq(0),
                header,
                classes: vec![(ClassId(0), 3)],
            }],
            time: at,
            nonce: [7; 16],
            parents: Vec::new(),
        }
    }

    /// A leaf of a log.
    #[must_use]
    pub fn leaf(&self, log: usize, index: u64) -> Vec<u8> {
        let log = &self.logs[log];
        let files = |path: &str| log.files.get(path).cloned();
        let leaves = crate::log::read_leaves(&files, log.size, index, index + 1);
        leaves.unwrap().remove(0)
    }

    /// A statement under the keys of both its sides.
    #[must_use]
    pub fn sign(&self, statement: &Statement) -> Vec<u8> {
        let setup = |id| {
            let mut setups = self.logs.iter().map(|log| &log.centres[0]);
            setups.find(|setup| setup.id == id).unwrap()
        };
        let giver = setup(statement.from.clone()).signer(KeyUse::Delta);
        let taker = setup(statement.to.clone()).signer(KeyUse::Delta);
        Statement::agree(&statement.offer(&giver), &taker).unwrap()
    }

    /// Logs a commitment of an object, witnessed at a time, and adds its opening to the log's bundle.
    pub fn seal(&mut self, log: usize, signed: &[u8], is_disclosure: bool, at: Timestamp) -> u64 {
        self.seal_as(log, signed, at, |commitment| match is_disclosure {
            true => Leaf::Disclosure { commitment },
            false => Leaf::Commitment { commitment },
        })
    }

    /// The same of one side's record of a match session.
    pub fn seal_session(&mut self, log: usize, record: &[u8], at: Timestamp) -> u64 {
        self.seal_as(log, record, at, |commitment| Leaf::MatchSession {
            commitment,
        })
    }

    /// A match manifest of a centre comes into its log, witnessed at a time.
    pub fn publish_manifest(&mut self, log: usize, manifest: &Manifest, at: Timestamp) -> u64 {
        let published = &mut self.logs[log];
        let index = published.size;
        let signer = published.centres[0].signer(KeyUse::Manifest);
        let manifest = manifest.sign(&signer).unwrap();
        published.append(&[Leaf::MatchEpoch { manifest }.to_bytes().unwrap()]);
        published.publish_at(&[1, 2, 3], at);
        index
    }

    fn seal_as(
        &mut self,
        log: usize,
        signed: &[u8],
        at: Timestamp,
        leaf: impl FnOnce(Hash) -> Leaf,
    ) -> u64 {
        self.nonce += 1;
        let salt = [self.nonce; 16];
        let sealed = leaf(transfer::commitment(&salt, signed));
        let published = &mut self.logs[log];
        let leaf = published.size;
        published.append(&[sealed.to_bytes().unwrap()]);
        published.publish_at(&[1, 2, 3], at);
        let signed = signed.to_vec();
        self.bundles[log].opened.push(Opened { leaf, salt, signed });
        self.bundles[log].leaves.end = leaf + 1;
        leaf
    }

    /// Both sides of a statement log it a second after it was signed; the taker first.
    pub fn give(&mut self, statement: &Statement) -> Vec<u8> {
        let signed = self.sign(statement);
        let at = Timestamp::new(statement.time.get() + 1);
        for side in [&statement.to, &statement.from] {
            let log = self.number(side.as_str());
            self.seal(log, &signed, true, at);
        }
        signed
    }

    /// Something else comes into a log, witnessed at a time.
    pub fn grow(&mut self, log: usize, at: Timestamp) {
        // An announcement of a kind that later versions read.
        self.logs[log].append(&[vec![0x82, 0x06, 0x01]]);
        self.logs[log].publish_at(&[1, 2, 3], at);
    }

    /// Another policy document of a centre, witnessed at a time.
    pub fn rule(&mut self, log: usize, policies: &[(&str, &str)], at: Timestamp) -> u64 {
        let published = &mut self.logs[log];
        let index = published.size;
        let mut document = published.document(2);
        document.issued_at = at;
        document.files = documents::files(&published.centres[0].jurisdiction, "", policies);
        published.append(&[documents::leaf(&published.centres[0], &document)]);
        published.publish_at(&[1, 2, 3], at);
        index
    }

    fn number(&self, id: &str) -> usize {
        let mut logs = self.logs.iter();
        logs.position(|log| log.centres[0].id.as_str() == id)
            .unwrap()
    }

    /// Audits all logs with the openings of these.
    #[must_use]
    pub fn audit(&self, opened: &[usize]) -> Verdict {
        let bundles: Vec<_> = opened.iter().map(|n| self.bundles[*n].to_bytes()).collect();
        self.audit_with(&bundles)
    }

    /// As [`Disclosed::audit`], with any bytes for openings.
    ///
    /// # Panics
    /// Never: the rosters of these logs are one chain.
    #[must_use]
    pub fn audit_with(&self, bundles: &[Vec<u8>]) -> Verdict {
        let mut findings = Vec::new();
        let first = &self.logs[0];
        let pin = first.rosters[0].roster().network;
        let rosters = first.roster_files.iter().cloned();
        let chain = Chain::open(&pin, rosters, self.now, |_| {}).unwrap();
        let files = bundles.iter().map(|bytes| ("openings", &bytes[..]));
        let openings = Openings::open(files, &chain, &mut |finding| findings.push(finding));
        let mut ledgers = BTreeMap::new();
        for log in &self.logs {
            let origin = log.centres[0].origin.clone();
            let mut ledger = Ledger::new(origin.clone());
            for event in log.audit_at(self.now).events {
                if let Event::Finding(finding) = &event {
                    findings.push(finding.clone());
                }
                ledger.take(&event, &openings, &mut |finding| findings.push(finding));
            }
            ledger.end(log.size, &openings, &mut |finding| findings.push(finding));
            ledgers.insert(origin, ledger);
        }
        let mut decided = Vec::new();
        let mut decide = |one| decided.push(one);
        let sums = replay(
            &chain,
            &ledgers,
            &openings,
            Some(&mut decide),
            &mut |finding| findings.push(finding),
        );
        let found = findings.into_iter().map(|Finding { log, place, what }| {
            let log = log.map(|log| self.number(log.centre().as_str()));
            (log, place, what)
        });
        let seals = self.logs.iter();
        Verdict {
            found: found.collect(),
            sums,
            decided,
            seals: seals
                .map(|log| ledgers[&log.centres[0].origin].seals())
                .collect(),
        }
    }
}
