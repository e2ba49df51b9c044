//! What the operator asks. Everything that is signed goes through [`Centre::extend`], which makes one batch of it.

use hashpact_keys::chain::RosterError;
use hashpact_keys::{Jurisdiction, KeyUse, Origin, RosterVersion, SignedRoster, Signer, Timestamp};
use rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};

use super::law::stands;
use super::{Centre, Command, CommandId, Event, Outcome, Output};
use crate::Hash;
use crate::delta::{ClassTable, Draft, DraftError, Header, Sealed, Seq};
use crate::labels::{ClassDefinitions, ClassId, Labels, LabelsError};
use crate::limits;
use crate::log::{AppendError, Checkpoint, Leaf, grow, root_at};
use crate::policy::{PolicyDocument, PolicyFault};
use crate::verify::{LeafFault, Origins, Walk};
use crate::view::{AdmittedBody, Batch, LogState, View, Write};

/// Why a command is refused. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// Peers hold more of our own log than we do.
    #[error(
        "peers hold {seen} leaves of this centre's log, this node only {held}: its disk is an old copy, so nothing is signed"
    )]
    Behind {
        /// Leaves held.
        held: u64,
        /// Leaves seen.
        seen: u64,
    },
    /// Not enough others have said yet how much of our log they have seen.
    #[error(
        "{have} of the {needed} witnesses needed have said how much of this centre's log they have seen: until then this node's disk might be an old copy, so nothing is signed"
    )]
    Unconfirmed {
        /// Those that did.
        have: usize,
        /// How many must.
        needed: usize,
    },
    /// Our own log was shown to be forked.
    #[error(
        "this centre's log is forked and frozen at size {size}: a new roster must give it a new origin line"
    )]
    Frozen {
        /// Leaves that both branches share.
        size: u64,
    },
    /// The draft would be refused by a receiver.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// A class that has no definition.
    #[error("class {class} is not defined")]
    UndefinedClass {
        /// The class.
        class: ClassId,
    },
    /// A classifier's opinion in a class that is not suspected: receivers would refuse it.
    #[error("class {class} is not suspected, and a record in it states a classifier's opinion")]
    Classifier {
        /// The class.
        class: ClassId,
    },
    /// Labels that may not make a class.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// All 65,535 class numbers are used.
    #[error("all class numbers are used")]
    ClassesFull,
    /// A leaf cannot be appended.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The roster is not acceptable.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// The roster does not name this centre any more, or changes its keys away from those in use.
    #[error("the roster does not hold this centre's own keys")]
    OwnKeys,
    /// A key of this centre's own may not sign now: receivers would refuse what it signed, for ever.
    #[error(
        "this centre's {0} key is not on the roster in force, has ended or is revoked: nothing is signed"
    )]
    OwnKey(KeyUse),
    /// The clock is behind what this log or the roster says.
    #[error("this machine's clock says {now}, but {since} has passed already: set the clock")]
    ClockBehind {
        /// Our time.
        now: Timestamp,
        /// What cannot be later than now.
        since: Timestamp,
    },
    /// A policy document that receivers would refuse.
    #[error(transparent)]
    PolicyLeaf(Box<LeafFault>),
    /// A policy document with faults in its files: logged, it would deny everything.
    #[error("{}", faults_text(.0))]
    PolicyFaults(Vec<PolicyFault>),
    /// A profile for another law.
    #[error("the profile is written for {got}, this centre works under {expected}")]
    PolicyLaw {
        /// The centre's, on the roster.
        expected: Jurisdiction,
        /// The profile's.
        got: Jurisdiction,
    },
    /// A profile without counsel's signature on a real network.
    #[error(
        "counsel has not signed this profile off: it may be used on a demonstration network only"
    )]
    PolicyCounsel,
    /// The log has begun already.
    #[error("this centre has begun its log already")]
    Begun,
    /// The store gave back other bytes than were written.
    #[error("the store is damaged")]
    Store,
}

/// New leaves of our own log, and what comes with them.
#[derive(Default)]
struct Extension {
    /// Where the log will stand, but for size, root and head.
    state: LogState,
    leaves: Vec<Vec<u8>>,
    deltas: Vec<(Seq, u64)>,
    classes: Vec<(ClassId, Labels)>,
    policies: Vec<(u64, Vec<u8>)>,
    body: Option<AdmittedBody>,
    rosters: Vec<SignedRoster>,
    /// Small objects that go with it.
    rows: Vec<Write>,
}

impl Centre {
    pub(super) fn on_command(
        &mut self,
        id: CommandId,
        command: Command,
        now: Timestamp,
        rng: &mut impl CryptoRng,
        view: &impl View,
        out: &mut Vec<Output>,
    ) {
        let done = match command {
            Command::Define(labels) => self.define(labels, now, view, out),
            Command::Append(draft) => self.append(draft, now, view, out),
            Command::Retract(list) => {
                let draft = Draft::new([], list, rng).map_err(CommandError::from);
                draft.and_then(|draft| self.append(draft, now, view, out))
            }
            Command::Begin(chain) => self.begin(&chain, now, view, out),
            Command::Regain(chain) => self.regain_lost(&chain, now, view, out),
            Command::ApplyRoster(bytes) => self.apply_roster(&bytes, now, view, out),
            Command::Policy { document } => self.log_policy(document, now, view, out),
        };
        out.push(Output::Reply(id, done));
    }

    /// Whether receivers will take what is signed now. A leaf that they refuse can never be taken out of the log again, and
    /// everything behind it is refused too.
    fn would_be_taken(&self, now: Timestamp) -> Result<(), CommandError> {
        let since = self.own.issued_at.max(self.roster().issued_at);
        if now < since {
            return Err(CommandError::ClockBehind { now, since });
        }
        let entry = self.own_entry()?;
        for (use_, signer) in [
            (KeyUse::Delta, &self.keys.delta),
            (KeyUse::Log, &self.keys.log),
        ] {
            let kid = signer.public().key_id();
            let valid = entry.key(use_, kid, now).is_ok();
            let revoked = self.roster().revoked_from(&kid, &self.origin);
            if !valid || revoked.is_some_and(|size| self.own.size >= size) {
                return Err(CommandError::OwnKey(use_));
            }
        }
        Ok(())
    }

    fn define(
        &mut self,
        wanted: Vec<Labels>,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<Outcome, CommandError> {
        self.may_sign()?;
        let jurisdiction = &self.own_entry()?.jurisdiction;
        let mut new: Vec<(ClassId, Labels)> = Vec::new();
        let mut ids = Vec::with_capacity(wanted.len());
        for labels in wanted {
            labels.check()?;
            if !labels.residency.contains(jurisdiction) {
                return Err(LabelsError::Residency.into());
            }
            let known = self.own_classes.get(&labels).copied();
            let known = known.or_else(|| {
                new.iter()
                    .find(|(_, other)| *other == labels)
                    .map(|(class, _)| *class)
            });
            if let Some(class) = known {
                ids.push(class);
                continue;
            }
            let number = u64::from(self.own.next_class) + new.len() as u64;
            // 65,535 stays free: the number of classes then fits 16 bits.
            let number = u16::try_from(number)
                .ok()
                .filter(|number| *number < u16::MAX);
            let class = ClassId(number.ok_or(CommandError::ClassesFull)?);
            ids.push(class);
            new.push((class, labels));
        }
        if new.is_empty() {
            return Ok(Outcome::Classes(ids));
        }
        self.would_be_taken(now)?;
        let sign = |classes: &[(ClassId, Labels)]| {
            let (network, origin) = (self.roster().network, self.origin.clone());
            let definitions = ClassDefinitions {
                network,
                origin,
                classes: classes.to_vec(),
            };
            Leaf::Classes {
                definitions: definitions.sign(&self.keys.delta),
            }
            .to_bytes()
        };
        let leaves = new
            .chunks(limits::DEFINITIONS_PER_LEAF)
            .filter_map(sign)
            .collect();
        let mut state = self.own.clone();
        state.next_class += u32::try_from(new.len()).map_err(|_| CommandError::ClassesFull)?;
        let added = new.clone();
        let extension = Extension {
            state,
            leaves,
            classes: new,
            ..Extension::default()
        };
        self.extend(extension, now, view, out)?;
        self.own_classes
            .extend(added.into_iter().map(|(class, labels)| (labels, class)));
        Ok(Outcome::Classes(ids))
    }

    fn append(
        &mut self,
        draft: Draft,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<Outcome, CommandError> {
        self.may_sign()?;
        self.would_be_taken(now)?;
        let undefined = |class: &ClassId| u32::from(class.0) >= self.own.next_class;
        if let Some(class) = draft.classes().find(undefined) {
            return Err(CommandError::UndefinedClass { class });
        }
        let assessed = |class: &ClassId| !super::is_suspected(&self.origin, *class, view);
        if let Some(class) = draft.classified().find(assessed) {
            return Err(CommandError::Classifier { class });
        }
        let seq = self.own.next_seq;
        let Sealed { table, body } = draft.seal(&self.origin, seq)?;
        let header = self.sign_header(seq, &table, now);
        let index = self.own.size;
        let next = Seq(seq.0 + 1);
        let mut state = self.own.clone();
        state.prev = Header::chain_hash(&header);
        state.issued_at = now;
        (state.next_seq, state.applied, state.retracted) = (next, next, next);
        let leaf = Leaf::Delta { header, table }.to_bytes();
        let body = AdmittedBody {
            origin: self.origin.clone(),
            seq,
            body,
        };
        let extension = Extension {
            state,
            leaves: leaf.into_iter().collect(),
            deltas: vec![(seq, index)],
            body: Some(body),
            ..Extension::default()
        };
        self.extend(extension, now, view, out)?;
        Ok(Outcome::Appended(seq))
    }

    fn sign_header(&self, seq: Seq, table: &ClassTable, now: Timestamp) -> Vec<u8> {
        let header = Header {
            network: self.roster().network,
            origin: self.origin.clone(),
            roster_version: self.roster().version,
            seq,
            prev: self.own.prev,
            table: table.root(),
            total: table.records(),
            issued_at: now,
            policy_ref: self.own.policy,
        };
        header.sign(&self.keys.delta)
    }

    /// Begins the log of a new centre: its first leaves say which rosters it believes.
    fn begin(
        &mut self,
        chain: &[Vec<u8>],
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<Outcome, CommandError> {
        // Nothing of it is shown to anybody before others said that they know no longer one.
        let rosters = self.first_rosters(chain)?;
        self.put_in_force(rosters, now, view, out)
    }

    /// Stands where a log that was lost is fetched back: which leaves it began with, the others know.
    fn regain_lost(
        &mut self,
        chain: &[Vec<u8>],
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<Outcome, CommandError> {
        let rosters = self.first_rosters(chain)?;
        let done = self.put_in_force(rosters, now, view, out)?;
        // What it cosigned of others' logs is lost as well.
        self.retire(view, out);
        Ok(done)
    }

    /// The rosters that a store without any begins with.
    fn first_rosters(&self, chain: &[Vec<u8>]) -> Result<Vec<SignedRoster>, CommandError> {
        if self.own.size > 0 || self.is_behind() {
            return Err(CommandError::Begun);
        }
        let (first, later) = chain.split_first().ok_or(CommandError::OwnKeys)?;
        // Whoever started this centre compared the first roster with its pin.
        let mut rosters = vec![SignedRoster::from_store(first)?];
        for bytes in later {
            let next = rosters.last().map(|last| last.succeed(bytes)).transpose()?;
            rosters.extend(next);
        }
        Ok(rosters)
    }

    fn apply_roster(
        &mut self,
        bytes: &[u8],
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<Outcome, CommandError> {
        let next = self.roster.succeed(bytes)?;
        self.put_in_force(vec![next], now, view, out)
    }

    /// Logs and stores rosters, of which the last one comes into force.
    fn put_in_force(
        &mut self,
        rosters: Vec<SignedRoster>,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<Outcome, CommandError> {
        let last = rosters.last().cloned().ok_or(CommandError::OwnKeys)?;
        let entry = last
            .roster()
            .centre(&self.id)
            .ok_or(CommandError::OwnKeys)?;
        // A forked log is closed, and a roster that gives the centre a later line begins the next.
        let resumes = entry.origin != self.origin && self.may_resume(&entry.origin);
        if entry.origin != self.origin && !resumes {
            return Err(CommandError::OwnKeys);
        }
        let (origin, size) = (
            entry.origin.clone(),
            if resumes { 0 } else { self.own.size },
        );
        let holds = |signer: &Signer| {
            let public = signer.public();
            let revoked = last.roster().revoked_from(&public.key_id(), &origin);
            revoked.is_none_or(|cut| size < cut)
                && entry
                    .keys
                    .iter()
                    .any(|key| key.key == public && key.is_valid_at(now))
        };
        let since = self.own.issued_at;
        if now < since {
            return Err(CommandError::ClockBehind { now, since });
        }
        if !holds(&self.keys.delta) || !holds(&self.keys.log) {
            return Err(CommandError::OwnKeys);
        }
        if resumes {
            self.stand_at(origin, view);
        }
        let version = last.roster().version;
        // Who witnesses the new head, the new roster says.
        let before = std::mem::replace(&mut self.roster, last);
        self.reset_mirrors(now, view);
        // A roster counts at once, also where nothing may be signed: without it a log that was lost could not be had back.
        // It is logged once it is sure that nothing of the log is missing here, and so is the beginning of a log.
        if self.may_sign().is_ok() {
            let extension = Extension {
                state: self.own.clone(),
                rosters,
                ..Extension::default()
            };
            if let Err(error) = self.extend(extension, now, view, out) {
                self.roster = before;
                self.reset_mirrors(now, view);
                return Err(error);
            }
        } else {
            let mut batch = Batch::default();
            batch.extend(rosters.into_iter().map(Write::Roster));
            out.push(Output::Commit(batch));
        }
        // Its witnesses may be others.
        self.gathering.submissions.clear();
        out.push(Output::RosterChanged);
        let version = version.get();
        out.push(Output::Emit(Event::RosterApplied { version }));
        Ok(Outcome::RosterApplied)
    }

    /// Logs the rosters that came into force while nothing could be signed; of a new log they are the beginning.
    pub(super) fn log_rosters(&mut self, now: Timestamp, view: &impl View, out: &mut Vec<Output>) {
        let version = self.roster().version;
        let logged = self.own.roster.is_none_or(|logged| logged >= version);
        if logged || self.may_sign().is_err() || view.roster(version).is_none() {
            return;
        }
        let extension = Extension {
            state: self.own.clone(),
            ..Extension::default()
        };
        // A store that cannot be read fails at its next commit.
        let _ = self.extend(extension, now, view, out);
    }

    /// The leaves of rosters that are in force and that the log does not name yet: they come before anything that is signed
    /// under them. A log that takes the place of a forked one says so first.
    fn unlogged(
        &self,
        state: &LogState,
        given: &[SignedRoster],
        view: &impl View,
    ) -> Result<Vec<Vec<u8>>, CommandError> {
        let version = self.roster().version;
        let mut leaves: Vec<Vec<u8>> = Vec::new();
        let mut logged = state.roster;
        if self.own.size == 0
            && let Some((leaf, before)) = self.resumed(view)?
        {
            leaves.extend(leaf.to_bytes());
            logged = before;
        }
        let Some(logged) = logged.filter(|logged| *logged < version) else {
            return Ok(leaves);
        };
        let hash_of = |of: RosterVersion| {
            let given = given.iter().find(|roster| roster.roster().version == of);
            given.map(SignedRoster::hash).or_else(|| stored(of, view))
        };
        let named = (logged.get() + 1..=version.get()).map(RosterVersion::new);
        leaves.extend(roster_leaves(named, hash_of)?);
        Ok(leaves)
    }

    /// Whether a new origin line takes the place of ours: ours is forked, and the new one is the same centre's next.
    fn may_resume(&self, next: &Origin) -> bool {
        let same = next.centre() == self.origin.centre();
        self.own.frozen.is_some() && same && next.epoch() > self.origin.epoch()
    }

    /// Leaves the forked log as it is and stands at the beginning of the next. Nothing of that is signed before others said
    /// that they know no more of it either.
    fn stand_at(&mut self, next: Origin, view: &impl View) {
        self.origin = next;
        self.own = view.log(&self.origin);
        self.gathering = super::Gathering::default();
        self.reports.clear();
        self.confirmed = false;
        self.load_classes(view);
    }

    /// What the first leaf of our log says if it takes the place of a forked one, and the newest roster that that one names.
    fn resumed(
        &self,
        view: &impl View,
    ) -> Result<Option<(Leaf, Option<RosterVersion>)>, CommandError> {
        let Some(origin) = self.origin.previous_epoch() else {
            return Ok(None);
        };
        let old = view.log(&origin);
        let Some(size) = old.frozen else {
            return Ok(None);
        };
        let files = |path: &str| view.log_file(&origin, path);
        let root = root_at(&files, old.size, size).map_err(|_| CommandError::Store)?;
        let proof = view.fork(&origin).ok_or(CommandError::Store)?;
        let leaf = Leaf::Resumed {
            origin,
            size,
            root,
            proof: Sha256::digest(&proof).into(),
        };
        Ok(Some((leaf, old.roster)))
    }

    /// Logs a policy document that receivers will take and that can be read.
    fn log_policy(
        &mut self,
        document: Vec<u8>,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<Outcome, CommandError> {
        self.may_sign()?;
        self.would_be_taken(now)?;
        let (roster, centre) = (self.roster(), self.own_entry()?);
        let refused = |fault: LeafFault| CommandError::PolicyLeaf(Box::new(fault));
        let origins = Origins {
            roster,
            centre,
            now,
        };
        let mut walk = Walk::from(self.own.clone(), &origins);
        walk.policy(self.own.size, &document).map_err(refused)?;
        let Walk {
            state, policies, ..
        } = walk;
        let opened = PolicyDocument::open(&document, centre);
        let opened = opened.map_err(|error| refused(error.into()))?;
        let profile = opened.profile().map_err(CommandError::PolicyFaults)?;
        if *profile.jurisdiction() != centre.jurisdiction {
            return Err(CommandError::PolicyLaw {
                expected: centre.jurisdiction.clone(),
                got: profile.jurisdiction().clone(),
            });
        }
        if !stands(&profile, centre, roster.demo) {
            return Err(CommandError::PolicyCounsel);
        }
        let leaf = Leaf::Policy { document }.to_bytes();
        let extension = Extension {
            state,
            leaves: leaf.into_iter().collect(),
            policies,
            ..Extension::default()
        };
        self.extend(extension, now, view, out)?;
        Ok(Outcome::PolicyLogged {
            version: opened.version,
            index: self.own.policy.unwrap_or_default(),
        })
    }

    fn own_entry(&self) -> Result<&hashpact_keys::roster::CentreEntry, CommandError> {
        self.roster().centre(&self.id).ok_or(CommandError::OwnKeys)
    }

    /// Grows our own log by one batch: leaves, tree head and signature together, or nothing.
    fn extend(
        &mut self,
        extension: Extension,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<(), CommandError> {
        let Extension {
            mut state,
            leaves,
            mut deltas,
            classes,
            mut policies,
            body,
            rosters,
            rows,
        } = extension;
        let mut missing = self.unlogged(&state, &rosters, view)?;
        deltas
            .iter_mut()
            .for_each(|(_, index)| *index += missing.len() as u64);
        policies
            .iter_mut()
            .for_each(|(index, _)| *index += missing.len() as u64);
        state.policy = policies
            .last()
            .map_or(state.policy, |(index, _)| Some(*index));
        missing.extend(leaves);
        let leaves = missing;
        state.roster = state.roster.max(Some(self.roster().version));
        let (from, origin) = (self.own.size, self.origin.clone());
        let read = |path: &str| view.log_file(&origin, path);
        let grown = grow(&read, from, &leaves)?;
        let (size, root) = (grown.size, grown.root);
        let checkpoint = Checkpoint {
            origin: origin.clone(),
            size,
            root,
        };
        (state.size, state.root) = (size, root);
        let head = checkpoint.sign(&self.keys.log);
        state.head = Some(head.clone());
        // Where nobody witnesses, nothing has to be waited for.
        self.raise(&origin, &mut state, &head, view);
        self.own = state.clone();
        let mut batch = Batch::default();
        let files = grown.files;
        batch.push(Write::Log {
            origin: origin.clone(),
            from,
            files,
            deltas,
            classes,
            policies,
        });
        batch.extend(body.map(Write::Body));
        batch.extend(rosters.into_iter().map(Write::Roster));
        batch.extend(rows);
        batch.push(Write::State { origin, state });
        out.push(Output::Commit(batch));
        self.propose(now);
        Ok(())
    }

    /// Logs one leaf that seals something, with the rows that go with it.
    pub(super) fn log_leaf(
        &mut self,
        leaf: &Leaf,
        rows: Vec<Write>,
        now: Timestamp,
        view: &impl View,
        out: &mut Vec<Output>,
    ) -> Result<(), CommandError> {
        self.may_sign()?;
        self.would_be_taken(now)?;
        let extension = Extension {
            state: self.own.clone(),
            leaves: leaf.to_bytes().into_iter().collect(),
            rows,
            ..Extension::default()
        };
        self.extend(extension, now, view, out)
    }
}

/// Every fault on a line of its own.
fn faults_text(faults: &[PolicyFault]) -> String {
    let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// The hash of a roster that was in force.
fn stored(version: RosterVersion, view: &impl View) -> Option<Hash> {
    SignedRoster::hash_from_store(&view.roster(version)?).ok()
}

/// The leaves that name these rosters.
fn roster_leaves(
    named: impl Iterator<Item = RosterVersion>,
    hash_of: impl Fn(RosterVersion) -> Option<Hash>,
) -> Result<Vec<Vec<u8>>, CommandError> {
    let leaf = |version| {
        let hash = hash_of(version)?;
        Leaf::Roster { version, hash }.to_bytes()
    };
    let leaves: Option<_> = named.map(leaf).collect();
    leaves.ok_or(CommandError::Store)
}
