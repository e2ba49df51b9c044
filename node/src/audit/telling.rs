//! How the core's findings become data that is written and read. In scope: one shape into another, within bounds. Out of
//! scope: words on a terminal (`cli`).

use std::collections::{BTreeMap, VecDeque};

use hashpact_keys::{Origin, SignedRoster, Timestamp};
use hashpact_protocol::audit::{
    Chain, Disclosures, Event, Finding, FindingKind, Gift, Given, Ledger, LogSummary, Month,
    NoteSummary, Openings, Place, ReadPolicy, Seals, Severity, Voices, WitnessSummary,
};
use hashpact_protocol::evidence::Code;
use hashpact_protocol::labels::{Labels, Purpose};
use hashpact_protocol::lists::ClosedList as _;
use hashpact_protocol::log::Standing;

use super::result::{
    AuditResult, BodiesResult, CosignedResult, DisclosuresResult, FindingLine, GivenResult,
    LabelsResult, LogResult, MonthResult, NoteResult, PolicyResult, ProfileResult, RosterResult,
    SMALL_CELL, SealedResult, SeverityName, VoicesResult, WitnessResult,
};
use super::verify::{FINDINGS_PER_LOG, GIFTS, NOTES_PER_LOG, POLICIES_PER_LOG, VerifyOptions};

/// What was found in one log while it is read.
pub(super) struct LogAudit {
    findings: Vec<Finding>,
    left_out: u64,
    failures: u64,
    notes: VecDeque<NoteSummary>,
    bodies: Option<BodiesResult>,
    summary: Option<LogSummary>,
    ledger: Option<Ledger>,
    policies: VecDeque<PolicyResult>,
    sealed: SealedResult,
}

impl LogAudit {
    pub(super) fn new(origin: &Origin, with_bodies: bool) -> Self {
        Self {
            findings: Vec::new(),
            left_out: 0,
            failures: 0,
            notes: VecDeque::new(),
            bodies: with_bodies.then(BodiesResult::default),
            summary: None,
            ledger: Some(Ledger::new(origin.clone())),
            policies: VecDeque::new(),
            sealed: SealedResult::default(),
        }
    }

    /// Keeps of an event what disclosures are judged by, and what is told of policies.
    pub(super) fn take(&mut self, event: &Event, openings: &Openings) {
        if let Event::Policy(read) = event {
            if self.policies.len() == POLICIES_PER_LOG {
                self.policies.pop_front();
            }
            self.policies.push_back(policy(read));
        }
        let mut found = Vec::new();
        if let Some(ledger) = &mut self.ledger {
            ledger.take(event, openings, &mut |finding| found.push(finding));
        }
        found.into_iter().for_each(|finding| self.found(finding));
    }

    /// The log was read.
    pub(super) fn end(&mut self, summary: LogSummary, openings: &Openings) {
        let size = summary.size;
        self.summary = Some(summary);
        let mut found = Vec::new();
        if let Some(ledger) = &mut self.ledger {
            ledger.end(size, openings, &mut |finding| found.push(finding));
            self.sealed = sealed(ledger.seals());
        }
        found.into_iter().for_each(|finding| self.found(finding));
    }

    /// The log, once it was read.
    pub(super) fn origin(&self) -> Option<&Origin> {
        self.summary.as_ref().map(|summary| &summary.origin)
    }

    /// The log and how many leaves it has, once it was read.
    pub(super) fn size(&self) -> Option<(Origin, u64)> {
        let summary = self.summary.as_ref()?;
        Some((summary.origin.clone(), summary.size))
    }

    /// What disclosures are judged by.
    pub(super) fn take_ledger(&mut self) -> Option<(Origin, Ledger)> {
        Some((self.origin()?.clone(), self.ledger.take()?))
    }

    pub(super) fn found(&mut self, finding: Finding) {
        self.failures += u64::from(finding.what.severity() == Severity::Fail);
        if self.findings.len() < FINDINGS_PER_LOG {
            self.findings.push(finding);
        } else {
            self.left_out += 1;
        }
    }

    pub(super) fn note(&mut self, note: NoteSummary) {
        if self.notes.len() == NOTES_PER_LOG {
            self.notes.pop_front();
        }
        self.notes.push_back(note);
    }

    pub(super) fn bodies(&mut self) -> &mut BodiesResult {
        self.bodies.get_or_insert_default()
    }
}

/// Everything together; findings in order of log and place, whichever thread was first.
pub(super) fn result(
    options: &VerifyOptions,
    chain: Option<&Chain>,
    findings: Vec<Finding>,
    audits: Vec<LogAudit>,
) -> AuditResult {
    let of_chain = findings
        .iter()
        .any(|finding| finding.what.severity() == Severity::Fail);
    let mut lines: Vec<FindingLine> = findings.iter().map(line).collect();
    let mut holds = chain.is_some() && !of_chain;
    let mut left_out = 0;
    let mut logs = Vec::new();
    for mut audit in audits {
        holds &= audit.failures == 0;
        left_out += audit.left_out;
        audit.findings.sort_by(|a, b| a.place.cmp(&b.place));
        lines.extend(audit.findings.iter().map(line));
        logs.extend(log(audit));
    }
    let rosters = chain.map_or(&[][..], Chain::rosters);
    AuditResult {
        network: options.trust.network().to_string(),
        verified_at: options.now.get(),
        holds,
        rosters: rosters.iter().map(roster).collect(),
        logs,
        disclosures: None,
        voices: Vec::new(),
        delivery: Vec::new(),
        findings: lines,
        findings_left_out: left_out,
    }
}

fn roster(signed: &SignedRoster) -> RosterResult {
    let roster = signed.roster();
    let names = |list: &[hashpact_keys::roster::WitnessEntry]| {
        let names = list.iter().map(|witness| witness.name.as_str().to_owned());
        names.collect()
    };
    let centres = roster.centres.iter();
    RosterResult {
        version: roster.version.get(),
        hash: hex::encode(signed.hash()),
        issued_at: roster.issued_at.get(),
        expires_at: roster.expires_at.get(),
        demo: roster.demo,
        centres: centres
            .map(|centre| centre.id.as_str().to_owned())
            .collect(),
        auditors: names(&roster.auditors),
        witnesses: names(&roster.witnesses),
    }
}

fn log(audit: LogAudit) -> Option<LogResult> {
    let summary = audit.summary?;
    let receipts = summary.receipts.as_ref();
    Some(LogResult {
        origin: summary.origin.as_str().to_owned(),
        centre: summary.centre.as_str().to_owned(),
        jurisdiction: summary.jurisdiction.as_str().to_owned(),
        failures: audit.failures,
        size: summary.size,
        root: summary.root.map(hex::encode),
        deltas: summary.total.deltas,
        records: summary.total.records,
        retractions: summary.total.retractions,
        classes: summary.classes,
        roster_version: summary.roster.map(|version| version.get()),
        months: summary.months.iter().map(month).collect(),
        first_delta_at: summary.first_delta_at.map(Timestamp::get),
        last_delta_at: summary.last_delta_at.map(Timestamp::get),
        notes: summary.notes,
        newest_notes: audit.notes.iter().map(note).collect(),
        witnesses: summary.witnesses.iter().map(witness).collect(),
        checkpoint: summary.checkpoint.as_ref().map(note),
        mirrors: receipts.map_or_else(Vec::new, cosigned),
        mirrors_missing: receipts.map_or_else(Vec::new, |receipts| receipts.missing.clone()),
        fork: summary.fork,
        bodies: audit.bodies,
        policies: audit.policies.into(),
        sealed: audit.sealed,
    })
}

fn policy(read: &ReadPolicy) -> PolicyResult {
    let profile = read.logged.profile.as_ref();
    PolicyResult {
        leaf: read.logged.index,
        version: read.version,
        issued_at: read.logged.issued_at.get(),
        profile: profile.map(|profile| ProfileResult {
            name: profile.name().to_owned(),
            jurisdiction: profile.jurisdiction().as_str().to_owned(),
            policies: profile.policies().count() as u64,
            grants: profile.grants().len() as u64,
            signed_off: profile.signed_off().is_some(),
        }),
    }
}

fn sealed(seals: Seals) -> SealedResult {
    let Seals {
        disclosures,
        commitments,
        sessions,
        orders,
        opened,
        unopened,
        beyond,
    } = seals;
    SealedResult {
        disclosures,
        commitments,
        sessions,
        orders,
        opened,
        unopened,
        beyond,
    }
}

/// Who gave which classes to whom.
pub(super) fn disclosures(
    sums: &Disclosures,
    ledgers: &BTreeMap<Origin, Ledger>,
    questions: Option<usize>,
) -> DisclosuresResult {
    let row = |(gift, sum): (&Gift, &Given)| GivenResult {
        origin: gift.origin.as_str().to_owned(),
        from: gift.from.as_str().to_owned(),
        to: gift.to.as_str().to_owned(),
        class: u64::from(gift.class.0),
        labels: ledgers
            .get(&gift.origin)
            .and_then(|ledger| ledger.class(gift.class))
            .map(short),
        purpose: gift.purpose().map_or("", Purpose::name).to_owned(),
        statements: sum.statements,
        deltas: sum.deltas,
        records: sum.records,
        hops: u64::from(sum.hops),
        first: sum.first.get(),
        last: sum.last.get(),
        failed: sum.failed,
    };
    DisclosuresResult {
        statements: sums.statements,
        questions: questions.map(|count| count as u64),
        given: sums.given.iter().take(GIFTS).map(row).collect(),
        left_out: sums.given.len().saturating_sub(GIFTS) as u64,
    }
}

/// What each centre said of entries; small numbers of holds are left out.
pub(super) fn voices(sums: &BTreeMap<Origin, Voices>) -> Vec<VoicesResult> {
    fn named(sums: &BTreeMap<Code, u64>) -> BTreeMap<String, u64> {
        let sums = sums.iter();
        sums.map(|(code, count)| (code.name().to_owned(), *count))
            .collect()
    }
    let told = |count: u64| Some(count).filter(|count| *count >= SMALL_CELL);
    let row = |(origin, it): (&Origin, &Voices)| VoicesResult {
        origin: origin.to_string(),
        centre: origin.centre().to_string(),
        attestations: it.attestations,
        disputes: named(&it.disputes),
        disputes_withdrawn: it.withdrawn,
        disputes_answered: it.disputes_answered,
        feedback_affirmative: it.affirmative,
        feedback_negative: it.negative,
        feedback_answered: it.feedback_answered,
        accepted: it.accepted,
        declined: it.declined,
        reasons: named(&it.reasons),
        holds: told(it.holds),
        lifts: told(it.lifts),
        opt_ins: it.opt_ins,
        surges: it.surges,
    };
    sums.iter().map(row).collect()
}

fn short(labels: &Labels) -> LabelsResult {
    LabelsResult {
        state: labels.state.name().to_owned(),
        content: labels.content_class.names().map(str::to_owned).collect(),
        legal_basis: labels.legal_basis.name().to_owned(),
        hops: u64::from(labels.hops),
    }
}

fn month((month, counts): (&Month, &hashpact_protocol::audit::Counts)) -> MonthResult {
    MonthResult {
        month: month.to_string(),
        deltas: counts.deltas,
        records: counts.records,
        retractions: counts.retractions,
    }
}

fn witness((holder, summary): (&String, &WitnessSummary)) -> WitnessResult {
    WitnessResult {
        holder: holder.clone(),
        cosigned: summary.cosigned,
        missed: summary.missed,
        latency_median_s: summary.latency.percentile(50),
        latency_p95_s: summary.latency.percentile(95),
        latency_max_s: summary.latency.max(),
    }
}

fn note(note: &NoteSummary) -> NoteResult {
    NoteResult {
        size: note.size,
        roster_version: note.roster.get(),
        issued_at: note.issued_at.map(Timestamp::get),
        witnessed: note.standing.is_witnessed(),
        witnessed_at: note.standing.witnessed_at().map(Timestamp::get),
        quorum: note.standing.quorum as u64,
        cosigned: cosigned(&note.standing),
        missing: note.standing.missing.clone(),
    }
}

fn cosigned(standing: &Standing) -> Vec<CosignedResult> {
    let one = |(holder, at): &(String, Timestamp)| CosignedResult {
        holder: holder.clone(),
        at: at.get(),
    };
    standing.cosigned.iter().map(one).collect()
}

fn line(finding: &Finding) -> FindingLine {
    let (place_kind, leaf, seq) = match &finding.place {
        Place::Roster(_) => ("roster", None, None),
        Place::Log => ("log", None, None),
        Place::Checkpoint { .. } => ("checkpoint", None, None),
        Place::History { .. } => ("history", None, None),
        Place::Leaf { index, seq } => ("leaf", Some(*index), seq.map(|seq| seq.0)),
        Place::File(_) => ("file", None, None),
    };
    let severity = match finding.what.severity() {
        Severity::Fail => SeverityName::Fail,
        Severity::Warn => SeverityName::Warn,
    };
    FindingLine {
        severity,
        log: finding.log.as_ref().map(|log| log.as_str().to_owned()),
        place_kind: place_kind.to_owned(),
        place: finding.place.to_string(),
        leaf,
        seq,
        kind: FindingKind::name(&finding.what).to_owned(),
        text: finding.what.to_string(),
    }
}
