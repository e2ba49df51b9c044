//! A result as a year of four centres gives it: some 300 deltas, two silences, a lazy witness, three findings.

use std::collections::BTreeMap;

use crate::audit::report::format::{DAY, date};
use crate::audit::result::{
    AuditResult, BodiesResult, CosignedResult, DeliveryResult, DisclosuresResult, FindingLine,
    GivenResult, LabelsResult, LogResult, MonthResult, NoteResult, PolicyResult, ProfileResult,
    RosterResult, SealedResult, SeverityName, VoicesResult, WitnessResult,
};
use crate::daemon::{LaggingStatus, OwingStatus};

/// 2025-11-03.
const START: u64 = 1_762_128_000;
const CENTRES: [(&str, &str); 4] = [("eu", "EU"), ("us", "US"), ("ca", "CA"), ("in", "IN")];
const AUDITOR: &str = "auditor.example/one";

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

pub(super) fn sample() -> AuditResult {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let roster = |version, from: u64, until: u64, centres| RosterResult {
        version,
        hash: format!("{:064x}", 0x5a17_u128.pow(3) * u128::from(version)),
        issued_at: START + from * DAY,
        expires_at: START + until * DAY,
        demo: false,
        centres,
        auditors: names(&[AUDITOR]),
        witnesses: Vec::new(),
    };
    AuditResult {
        network: "9f2d7c41".repeat(8),
        verified_at: START + 366 * DAY + 36_000,
        holds: false,
        rosters: vec![
            roster(1, 0, 200, names(&["ca", "eu", "us"])),
            roster(2, 40, 300, names(&["ca", "eu", "in", "us"])),
            roster(3, 280, 640, names(&["ca", "eu", "in", "us"])),
        ],
        logs: (0..4).map(|at| log(at, &mut Dice(at as u64 + 7))).collect(),
        voices: voices(),
        delivery: vec![delivery()],
        disclosures: Some(disclosures()),
        findings: findings(),
        findings_left_out: 0,
    }
}

fn voices() -> Vec<VoicesResult> {
    vec![VoicesResult {
        origin: "eu.example/eu/1".to_owned(),
        centre: "eu".to_owned(),
        attestations: 12,
        disputes: BTreeMap::from([("adult".to_owned(), 2)]),
        feedback_negative: 3,
        holds: None,
        lifts: Some(7),
        ..VoicesResult::default()
    }]
}

fn delivery() -> DeliveryResult {
    DeliveryResult {
        network: "9f2d7c41".repeat(8),
        centre: "eu".to_owned(),
        at: 1_766_000_000,
        lagging: vec![LaggingStatus {
            centre: "us".to_owned(),
            deltas: 2,
            since: 1_765_900_000,
            heard: None,
        }],
        members: vec![OwingStatus {
            member: "acme".to_owned(),
            count: 4,
            since: 1_765_950_000,
            acknowledged: None,
        }],
    }
}

fn disclosures() -> DisclosuresResult {
    let mut given = Vec::new();
    for (from, _) in CENTRES {
        for (to, _) in CENTRES {
            for class in 0..3_u64 {
                let relayed = from == "ca" && class == 2;
                let origin = if relayed { "eu" } else { from };
                if from == to || origin == to {
                    continue;
                }
                given.push(GivenResult {
                    origin: format!("{origin}.example/{origin}/1"),
                    from: from.to_owned(),
                    to: to.to_owned(),
                    class,
                    labels: (class < 2 || from != "in").then(|| LabelsResult {
                        state: "assessed".to_owned(),
                        content: vec!["csam".to_owned()],
                        legal_basis: "statutory".to_owned(),
                        hops: 1,
                    }),
                    purpose: "triage".to_owned(),
                    statements: 3 + class,
                    deltas: 40,
                    records: 1_900 * (class + 1),
                    hops: u64::from(relayed),
                    first: START + 20 * DAY,
                    last: START + 300 * DAY,
                    failed: u64::from(from == "us" && to == "in"),
                });
            }
        }
    }
    DisclosuresResult {
        statements: 48,
        questions: None,
        given,
        left_out: 0,
    }
}

fn findings() -> Vec<FindingLine> {
    let finding = |severity, log: &str, place: &str, kind: &str, text: &str| FindingLine {
        severity,
        log: Some(format!("{log}.example/{log}/1")),
        place_kind: "checkpoint".to_owned(),
        place: place.to_owned(),
        leaf: None,
        seq: None,
        kind: kind.to_owned(),
        text: text.to_owned(),
    };
    vec![
        finding(
            SeverityName::Fail,
            "in",
            "checkpoint of size 61",
            "quorum",
            "2 of 3 witnesses cosigned it",
        ),
        finding(
            SeverityName::Fail,
            "us",
            "leaf 41 (delta 33)",
            "policy-not-in-force",
            "released under the policy at leaf 2, in force was the one at leaf 38",
        ),
        finding(
            SeverityName::Warn,
            "ca",
            "log",
            "rolled-back",
            "a source showed an older checkpoint, of size 88",
        ),
    ]
}

fn log(centre: usize, dice: &mut Dice) -> LogResult {
    let (name, jurisdiction) = CENTRES[centre];
    let others: Vec<String> = CENTRES
        .iter()
        .map(|(other, _)| (*other).to_owned())
        .filter(|other| other != name)
        .chain([AUDITOR.to_owned()])
        .collect();
    let mut log = empty(name, jurisdiction);
    let mut at = START + [1, 3, 9, 46][centre] * DAY;
    let (mut size, mut late) = (3, vec![Vec::new(); others.len()]);
    while at < START + 362 * DAY {
        delta(&mut log, at, dice);
        size += 1 + dice.below(9) / 8 * dice.below(6);
        log.newest_notes
            .push(note(size, at, &others, &mut late, dice));
        // One centre is closed in August, another for three weeks in winter.
        let pause = match (centre, log.deltas) {
            (0, 66) => 33,
            (3, 12) => 22,
            _ => 0,
        };
        at += pause * DAY + 2 * DAY + dice.below(5 * DAY);
    }
    log.notes = u64::try_from(log.newest_notes.len()).unwrap();
    log.size = size;
    log.checkpoint = log.newest_notes.last().cloned();
    log.mirrors = others[..3]
        .iter()
        .map(|holder| cosigned(holder, at))
        .collect();
    log.mirrors_missing = if centre == 3 {
        vec![AUDITOR.to_owned()]
    } else {
        Vec::new()
    };
    log.witnesses = others
        .iter()
        .zip(&mut late)
        .map(|(holder, late)| witness(holder, log.notes, late))
        .collect();
    log.failures = [0, 1, 0, 1][centre];
    log
}

fn empty(name: &str, jurisdiction: &str) -> LogResult {
    LogResult {
        origin: format!("{name}.example/{name}/1"),
        centre: name.to_owned(),
        jurisdiction: jurisdiction.to_owned(),
        failures: 0,
        size: 0,
        root: Some("c0ffee11".repeat(8)),
        deltas: 0,
        records: 0,
        retractions: 0,
        classes: 8,
        roster_version: Some(3),
        months: Vec::new(),
        first_delta_at: None,
        last_delta_at: None,
        notes: 0,
        newest_notes: Vec::new(),
        witnesses: Vec::new(),
        checkpoint: None,
        mirrors: Vec::new(),
        mirrors_missing: Vec::new(),
        fork: false,
        bodies: Some(BodiesResult {
            verified: 70,
            refused: 0,
            absent: 3,
            bytes: 9_000_000,
            records: 41_000,
            withheld: 1_200,
        }),
        policies: [1, 2]
            .map(|version| PolicyResult {
                leaf: version * 2,
                version: Some(version),
                issued_at: START + version * 9 * DAY,
                profile: (name != "in" || version == 1).then(|| ProfileResult {
                    name: name.to_owned(),
                    jurisdiction: jurisdiction.to_owned(),
                    policies: 24,
                    grants: 5,
                    signed_off: version == 2,
                }),
            })
            .to_vec(),
        sealed: SealedResult {
            disclosures: 31,
            commitments: 4,
            sessions: 0,
            orders: 0,
            opened: 34,
            unopened: u64::from(name == "us"),
            beyond: 0,
        },
    }
}

/// Counts one delta of some records and now and then of retractions.
pub(super) fn delta(log: &mut LogResult, at: u64, dice: &mut impl Numbers) {
    let (year, month, _) = date(at);
    let month = format!("{year}-{month:02}");
    let (records, retractions) = (
        dice.number(9_000) + 12,
        dice.number(3) / 2 * dice.number(90),
    );
    log.deltas += 1;
    log.records += records;
    log.retractions += retractions;
    log.first_delta_at.get_or_insert(at);
    log.last_delta_at = Some(at);
    if log.months.last().is_none_or(|last| last.month != month) {
        log.months.push(MonthResult {
            month,
            deltas: 0,
            records: 0,
            retractions: 0,
        });
    }
    let last = log.months.last_mut().unwrap();
    last.deltas += 1;
    last.records += records;
    last.retractions += retractions;
}

/// Where a delta's counts come from.
pub(super) trait Numbers {
    fn number(&mut self, end: u64) -> u64;
}

impl Numbers for Dice {
    fn number(&mut self, end: u64) -> u64 {
        self.below(end)
    }
}

/// The same number always.
impl Numbers for u64 {
    fn number(&mut self, _: u64) -> u64 {
        *self
    }
}

fn note(
    size: u64,
    at: u64,
    others: &[String],
    late: &mut [Vec<u64>],
    dice: &mut Dice,
) -> NoteResult {
    let (mut cosigned_by, mut missing) = (Vec::new(), Vec::new());
    for (number, (holder, late)) in others.iter().zip(late).enumerate() {
        // The auditor comes once a day or so and sometimes not at all; the others within seconds, and one with a slow line.
        let length = match number {
            3 => 3_600 + dice.below(30 * 3_600),
            1 => 20 + dice.below(900),
            _ => 2 + dice.below(25),
        };
        if dice.below(if number == 3 { 6 } else { 25 }) == 0 {
            missing.push(holder.clone());
        } else {
            late.push(length);
            cosigned_by.push(cosigned(holder, at + length));
        }
    }
    let witnessed = cosigned_by.len() >= 3;
    NoteResult {
        size,
        roster_version: 3,
        issued_at: Some(at),
        witnessed,
        witnessed_at: witnessed.then_some(at + 900),
        quorum: 3,
        cosigned: cosigned_by,
        missing,
    }
}

fn cosigned(holder: &str, at: u64) -> CosignedResult {
    CosignedResult {
        holder: holder.to_owned(),
        at,
    }
}

fn witness(holder: &str, notes: u64, late: &mut [u64]) -> WitnessResult {
    late.sort_unstable();
    let cosigned = u64::try_from(late.len()).unwrap();
    WitnessResult {
        holder: holder.to_owned(),
        cosigned,
        missed: notes - cosigned,
        latency_median_s: late.get(late.len() / 2).copied(),
        latency_p95_s: late.get(late.len() * 95 / 100).copied(),
        latency_max_s: late.last().copied(),
    }
}
