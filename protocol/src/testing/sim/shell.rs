//! What a node does with a centre, and no more: obey outputs in order, carry messages, run jobs, crash and start.

use hashpact_keys::{CentreId, Timestamp};

use super::{Flight, Fuse, Mail, Node, Sim, Violation, pair};
use crate::centre::{Centre, Command, Input, Job, JobResult, Output};
use crate::serve::{self, Answer};
use crate::verify::ReceivedBody;
use crate::view::View as _;
use crate::wire::{BulkRequest, Frame, Message};

impl Sim {
    /// One input to one centre, and everything that it asks for.
    ///
    /// # Errors
    /// [`Violation`].
    pub(super) fn step(&mut self, n: usize, input: Input) -> Result<(), Violation> {
        let now = self.clock(n);
        let node = &mut self.nodes[n];
        let Some(centre) = &mut node.centre else {
            return Ok(());
        };
        let outputs = centre.handle(input, now, &mut self.rng, &node.memory);
        let mut ends = Vec::new();
        let mut has_crashed = false;
        for output in outputs {
            if !self.obey(n, output, &mut ends)? {
                has_crashed = true;
                break;
            }
        }
        if has_crashed {
            self.crash(n)?;
        }
        self.check_node(n)?;
        ends.into_iter()
            .try_for_each(|peer| self.disconnect(n, peer))
    }

    /// Does what a centre asks; false if it dies of it. `ends` gathers the connections to close.
    fn obey(&mut self, n: usize, output: Output, ends: &mut Vec<usize>) -> Result<bool, Violation> {
        match output {
            Output::Commit(batch) => {
                let fuse = self.nodes[n].fuse.take();
                if fuse != Some(Fuse::BeforeCommit) {
                    let applied = self.nodes[n].memory.apply(batch);
                    applied.map_err(|source| Violation::Store { centre: n, source })?;
                }
                return Ok(fuse.is_none());
            }
            Output::Send(peer, message) => self.send(n, &peer, &message)?,
            Output::Spawn(id, job) => {
                self.counts.jobs += 1;
                self.note(format!("  {n} starts {id:?} {}", describe(&job)));
                self.jobs.push(Flight { node: n, id, job });
            }
            Output::Emit(event) => {
                self.note(format!("  {n} tells {event:?}"));
                self.check_event(n, &event)?;
                self.events.push((n, event));
            }
            // In the time of the network, not of its clock.
            Output::WakeAt(at) => {
                let node = &mut self.nodes[n];
                let at = at.get().saturating_add_signed(-node.skew_s);
                node.wake = Some(Timestamp::new(at));
            }
            Output::Drop(peer, reason) => {
                self.note(format!("  {n} drops {peer}: {reason}"));
                if !self.faults_expected {
                    let reason = Box::new(reason);
                    return Err(Violation::HonestDropped {
                        centre: n,
                        peer,
                        reason,
                    });
                }
                ends.extend(self.number(&peer));
                self.drops.push((n, peer, reason));
            }
            Output::Reply(_, reply) => self.nodes[n].reply = Some(reply),
            Output::MembersChanged => {}
            Output::EvidenceChanged(changed) => self.changed.push((n, changed)),
            Output::RosterChanged => {
                let others = 0..self.nodes.len();
                ends.extend(others.filter(|peer| self.is_up(n, *peer) && !self.may_meet(n, *peer)));
            }
        }
        Ok(true)
    }

    fn send(&mut self, n: usize, peer: &CentreId, message: &Message) -> Result<(), Violation> {
        let bytes = message.to_bytes();
        self.check_message(n, peer, message, &bytes)?;
        self.counts.messages += 1;
        self.counts.message_bytes += bytes.len() as u64;
        let Some(to) = self.number(peer).filter(|to| self.is_up(n, *to)) else {
            return Ok(());
        };
        let hash = blake3::hash(&bytes);
        self.note(format!(
            "  {n} sends {to} {} {} bytes {}",
            kind(message),
            bytes.len(),
            &hash.to_hex()[..8]
        ));
        if self.nodes[to].is_puppet {
            self.heard.push((n, to, message.clone()));
        }
        if self.loses.as_mut().is_some_and(|loses| loses(message)) {
            self.note("    and it is lost".to_owned());
            return Ok(());
        }
        self.mail.push(Mail { from: n, to, bytes });
        Ok(())
    }

    pub(super) fn deliver(&mut self, mail: Mail) -> Result<(), Violation> {
        let Mail { from, to, bytes } = mail;
        self.note(format!("{to} receives from {from}"));
        let peer = self.nodes[from].setup.id.clone();
        self.step(to, Input::Received(peer, Frame(bytes)))
    }

    /// Runs a job as a node does: ask the peer, verify the answer, hand the result back.
    pub(super) fn run(&mut self, flight: Flight) -> Result<(), Violation> {
        let Flight { node, id, job } = flight;
        let result = match job {
            Job::FetchSuffix { peer, request } => self
                .ask(node, &peer, &request)
                .map_or(JobResult::Failed, JobResult::Suffix),
            Job::CompareRoots { peer, request } => self
                .ask(node, &peer, &request)
                .map_or(JobResult::Failed, JobResult::Roots),
            Job::Submit { witness, head } => self.submit(node, &witness, &head),
            Job::FlagSharers {
                origin,
                entry,
                revision,
            } => JobResult::Sharers(self.nodes[node].memory.sharers(&origin, entry, revision)),
            Job::FetchBody {
                peer,
                request,
                expected,
            } => {
                match self
                    .ask(node, &peer, &request)
                    .map(|bytes| ReceivedBody(bytes).verify(&expected))
                {
                    Some(Ok(body)) => JobResult::Body(body),
                    Some(Err(error)) => JobResult::Bad(error),
                    None => JobResult::Failed,
                }
            }
            Job::FetchRetractions {
                peer,
                request,
                expected,
            } => {
                let answer = self.ask(node, &peer, &request);
                match answer.map(|bytes| ReceivedBody(bytes).verify_retractions(&expected)) {
                    Some(Ok(list)) => JobResult::Retractions(list),
                    Some(Err(error)) => JobResult::Bad(error),
                    None => JobResult::Failed,
                }
            }
        };
        let failed = matches!(result, JobResult::Failed);
        self.note(format!(
            "{node} ends {id:?}{}",
            if failed { ", failed" } else { "" }
        ));
        self.step(node, Input::JobDone(id, result))
    }

    fn ask(&mut self, asker: usize, peer: &CentreId, request: &BulkRequest) -> Option<Vec<u8>> {
        let server = self
            .number(peer)
            .filter(|server| self.is_up(asker, *server))?;
        let request = BulkRequest::from_bytes(&request.to_bytes()).ok()?;
        let Node {
            setup,
            memory,
            centre,
            is_puppet,
            ..
        } = &self.nodes[server];
        let answer = if *is_puppet {
            Answer::Whole
        } else {
            let now = self.clock(server);
            let (asker, roster) = (&self.nodes[asker].setup.id, centre.as_ref()?.roster());
            serve::may_answer(&request, asker, &setup.origin, roster, now, memory).ok()?
        };
        let (BulkRequest::Suffix { origin, .. }
        | BulkRequest::Proof { origin, .. }
        | BulkRequest::Body { origin, .. }) = &request;
        let branch = self.branches.get(&(server, origin.clone()));
        let bytes = branch.unwrap_or(memory).read_part(&request, &answer).ok()?;
        let bytes = match &self.tamper {
            Some(tamper) => tamper(server, &request, bytes)?,
            None => bytes,
        };
        self.counts.job_bytes += bytes.len() as u64;
        Some(bytes)
    }

    /// Whether each has the other on its roster; a puppet has everybody.
    pub(super) fn may_meet(&self, a: usize, b: usize) -> bool {
        let knows = |a: usize, b: usize| match &self.nodes[a] {
            Node {
                is_puppet: true, ..
            } => true,
            Node { centre, .. } => centre
                .as_ref()
                .is_some_and(|centre| centre.roster().centre(&self.nodes[b].setup.id).is_some()),
        };
        a != b && knows(a, b) && knows(b, a)
    }

    /// Opens a connection, if both are there and know each other.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn connect(&mut self, a: usize, b: usize) -> Result<(), Violation> {
        if !self.may_meet(a, b) || !self.up.insert(pair(a, b)) {
            return Ok(());
        }
        self.note(format!("{a} and {b} connect"));
        let (id_a, id_b) = (
            self.nodes[a].setup.id.clone(),
            self.nodes[b].setup.id.clone(),
        );
        self.step(a, Input::PeerUp(id_b))?;
        self.step(b, Input::PeerUp(id_a))
    }

    /// Opens every connection that can be.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn connect_all(&mut self) -> Result<(), Violation> {
        for a in 0..self.nodes.len() {
            (a + 1..self.nodes.len()).try_for_each(|b| self.connect(a, b))?;
        }
        Ok(())
    }

    /// Closes a connection; what is under way on it is lost.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn disconnect(&mut self, a: usize, b: usize) -> Result<(), Violation> {
        if !self.up.remove(&pair(a, b)) {
            return Ok(());
        }
        self.note(format!("{a} and {b} part"));
        self.mail
            .retain(|mail| pair(mail.from, mail.to) != pair(a, b));
        let (id_a, id_b) = (
            self.nodes[a].setup.id.clone(),
            self.nodes[b].setup.id.clone(),
        );
        self.step(a, Input::PeerDown(id_b))?;
        self.step(b, Input::PeerDown(id_a))
    }

    /// A centre dies: its disk stays, its memory and its jobs are gone.
    ///
    /// # Errors
    /// [`Violation`] of its peers.
    pub fn crash(&mut self, n: usize) -> Result<(), Violation> {
        let node = &mut self.nodes[n];
        (node.centre, node.fuse, node.wake) = (None, None, None);
        self.note(format!("{n} crashes"));
        self.jobs.retain(|flight| flight.node != n);
        (0..self.nodes.len()).try_for_each(|peer| self.disconnect(n, peer))
    }

    /// A centre that is down starts from its disk, and logs its first roster if its log is empty.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn restart(&mut self, n: usize) -> Result<(), Violation> {
        let node = &mut self.nodes[n];
        if node.centre.is_some() || node.is_puppet {
            return Ok(());
        }
        node.session += 1;
        let roster = node.memory.roster().unwrap_or(&node.first).clone();
        let (id, keys) = (node.setup.id.clone(), node.setup.keys());
        let version = roster.roster().version;
        let centre = Centre::new(id, keys, roster, node.session, &node.memory);
        let rule = "is not on the roster that it starts with";
        let centre = centre.map_err(|_| Violation::Rule { centre: n, rule })?;
        let is_new = centre.own_log().1.size == 0;
        node.centre = Some(centre);
        self.note(format!("{n} starts"));
        if is_new {
            let chain = self
                .rosters
                .iter()
                .filter(|roster| roster.roster().version <= version);
            let chain = chain.map(|roster| roster.bytes().to_vec()).collect();
            // Who has begun once knows it, as a home beside its data does.
            let command = match self.nodes[n].has_begun {
                true => Command::Regain(chain),
                false => Command::Begin(chain),
            };
            self.must(n, command)?;
            let node = &mut self.nodes[n];
            node.has_begun |= node.memory.log(&node.setup.origin).size > 0;
        }
        self.step(n, Input::Wake)
    }
}

fn kind(message: &Message) -> String {
    match message {
        Message::Heads { .. } => "heads".to_owned(),
        Message::Fork(_) => "fork".to_owned(),
        Message::Propose(proposal) => format!("proposal {} of {}", proposal.ask, proposal.origin),
        Message::Terms { ask, .. } => format!("terms {ask}"),
        Message::Agreed(_) => "agreed".to_owned(),
        Message::Logged(_) => "logged".to_owned(),
        Message::Evidence(objects) => format!("{} objects", objects.len()),
        Message::Heard(hashes) => format!("{} heard", hashes.len()),
        Message::Applied { origin, below } => format!("applied {origin} below {below}"),
        Message::Recall(signed) => format!("recall of {} bytes", signed.len()),
        Message::Acknowledged(signed) => format!("acknowledged, {} bytes", signed.len()),
        Message::Declined { ask, why, .. } => format!("declined {ask}: {why}"),
    }
}

fn describe(job: &Job) -> String {
    match job {
        Job::CompareRoots { peer, request } => format!("{request:?} at {peer}"),
        Job::FlagSharers { origin, .. } => format!("sharers of an entry of {origin}"),
        Job::Submit { witness, head } => format!("submit {:?} to {witness}", head.checkpoint()),
        Job::FetchSuffix { peer, request }
        | Job::FetchBody { peer, request, .. }
        | Job::FetchRetractions { peer, request, .. } => format!("{request:?} at {peer}"),
    }
}
