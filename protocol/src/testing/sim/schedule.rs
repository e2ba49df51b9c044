//! What happens next, by chance; and how a network that is left alone heals.

use hashpact_keys::Timestamp;

use super::{Fuse, Sim, Violation};
use crate::centre::{Input, JobResult};
use crate::view::View;

/// Rounds of mail and jobs at one moment, before it is called endless.
const ROUNDS_AT_ONCE: u64 = 2_000;
/// Seconds in which a healed network must agree: two rounds of anti-entropy and a backoff or two.
const SETTLE_S: u64 = 600;

/// How a network came to agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// Rounds of delivering all mail and ending all jobs.
    pub rounds: u64,
    /// Seconds that had to pass, because nothing was under way.
    pub waited_s: u64,
}

impl Sim {
    /// One thing happens by chance.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn act(&mut self) -> Result<(), Violation> {
        self.act_by_chance()?;
        self.check_connections()
    }

    fn act_by_chance(&mut self) -> Result<(), Violation> {
        let n = self.rng.below(self.len());
        let peer = self.rng.below(self.len());
        match self.rng.below(100) {
            0..30 => self.any_mail(Self::deliver),
            30..56 => self.any_job(Self::run),
            56..62 => self.append_some(n),
            62..66 => self.retract_some(n),
            66..68 => self.move_some(n),
            68..71 => self.any_mail(|_, _| Ok(())),
            71..73 => self.duplicate(),
            73..76 => self.any_job(|sim, flight| {
                sim.note(format!("{} fails {:?}", flight.node, flight.id));
                sim.step(flight.node, Input::JobDone(flight.id, JobResult::Failed))
            }),
            76..78 => self.crash(n),
            78..80 => {
                let fuse = self.rng.pick(&[Fuse::BeforeCommit, Fuse::AfterCommit]);
                self.nodes[n].fuse = fuse;
                Ok(())
            }
            80..84 => self.restart(n),
            84..90 => self.connect(n, peer),
            90..92 => self.disconnect(n, peer),
            92..96 => {
                let seconds = self.rng.pick(&[1, 3, 10, 40, 100]).unwrap_or(1);
                self.advance(seconds)
            }
            96..98 => self.apply_roster(n),
            98 => self.any_roster(),
            // Far: sometimes past the end of a roster.
            _ => self.advance(9 * 86_400),
        }
    }

    fn any_mail(
        &mut self,
        act: impl FnOnce(&mut Self, super::Mail) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        if self.mail.is_empty() {
            return Ok(());
        }
        let at = self.rng.below(self.mail.len());
        let mail = self.mail.remove(at);
        act(self, mail)
    }

    fn any_job(
        &mut self,
        act: impl FnOnce(&mut Self, super::Flight) -> Result<(), Violation>,
    ) -> Result<(), Violation> {
        if self.jobs.is_empty() {
            return Ok(());
        }
        let at = self.rng.below(self.jobs.len());
        let flight = self.jobs.remove(at);
        act(self, flight)
    }

    fn duplicate(&mut self) -> Result<(), Violation> {
        let at = self.rng.below(self.mail.len());
        if let Some(super::Mail { from, to, bytes }) = self.mail.get(at) {
            let mail = super::Mail {
                from: *from,
                to: *to,
                bytes: bytes.clone(),
            };
            self.mail.push(mail);
        }
        Ok(())
    }

    fn append_some(&mut self, n: usize) -> Result<(), Violation> {
        let records = 1 + self.rng.below(4) as u64;
        let classes = self.some_classes();
        self.append(n, records, &classes)
    }

    fn some_classes(&mut self) -> Vec<u8> {
        let [a, b] = [0, 1].map(|_| self.rng.below(5).to_le_bytes()[0]);
        if a == b { vec![a] } else { vec![a, b] }
    }

    fn retract_some(&mut self, n: usize) -> Result<(), Violation> {
        let live: Vec<_> = self.live(n, n).into_iter().collect();
        match self.rng.pick(&live) {
            Some(entry) => self.retract(n, &[entry]),
            None => Ok(()),
        }
    }

    /// An entry changes its class: the old revision is retracted and the next one put, in one delta.
    fn move_some(&mut self, n: usize) -> Result<(), Violation> {
        let live: Vec<_> = self.live(n, n).into_iter().collect();
        let Some((entry, revision)) = self.rng.pick(&live) else {
            return Ok(());
        };
        let mut record = super::super::record(self.records);
        self.records += 1;
        (record.entry, record.revision.0) = (entry, revision.0 + 1);
        let classes = self.some_classes();
        let ended = crate::delta::Retraction { entry, revision };
        self.publish(n, vec![record], vec![ended], &classes)
    }

    /// The roots sign a renewal, or a fifth centre.
    fn any_roster(&mut self) -> Result<(), Violation> {
        if self.rosters.len() >= 5 {
            return Ok(());
        }
        // A centre that joins has no policy yet, and where others have, nothing comes to it.
        if self.len() < 5 && !self.is_ruled && self.rng.below(2) == 0 {
            return self.join().map(drop);
        }
        self.issue_roster(|_| {});
        Ok(())
    }

    /// All mail is delivered and all jobs end, in the order in which they began; true if there was any.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn round(&mut self) -> Result<bool, Violation> {
        let (mail, jobs) = (
            std::mem::take(&mut self.mail),
            std::mem::take(&mut self.jobs),
        );
        let had_any = !mail.is_empty() || !jobs.is_empty();
        for mail in mail {
            // A connection that closed during this round lost what was on it.
            if self.is_up(mail.from, mail.to) {
                self.deliver(mail)?;
            }
        }
        for flight in jobs {
            self.run(flight)?;
        }
        Ok(had_any)
    }

    /// Delivers what is on its way to one centre, and nothing else.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn deliver_to(&mut self, n: usize) -> Result<(), Violation> {
        while let Some(at) = self.mail.iter().position(|mail| mail.to == n) {
            let mail = self.mail.remove(at);
            self.deliver(mail)?;
        }
        Ok(())
    }

    /// Everything that is possible happens, and time passes for this long.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn run_for(&mut self, seconds: u64) -> Result<(), Violation> {
        let end = Timestamp::new(self.now.get() + seconds);
        loop {
            self.drain()?;
            let next = self.next_wake().filter(|at| *at <= end);
            let Some(at) = next else {
                return self.advance(end.get() - self.now.get());
            };
            self.advance(at.get().saturating_sub(self.now.get()))?;
        }
    }

    /// Mail and jobs until there are none, at one moment.
    ///
    /// # Errors
    /// [`Violation::Livelock`] if there is no end.
    pub fn drain(&mut self) -> Result<u64, Violation> {
        for rounds in 0..ROUNDS_AT_ONCE {
            if !self.round()? {
                return Ok(rounds);
            }
        }
        Err(Violation::Livelock)
    }

    fn next_wake(&self) -> Option<Timestamp> {
        self.nodes.iter().filter_map(|node| node.wake).min()
    }

    /// Lets everything happen until every centre holds what every other does.
    ///
    /// # Errors
    /// [`Violation::NotConverged`] after ten minutes.
    pub fn settle(&mut self) -> Result<Settled, Violation> {
        let start = self.now;
        let (mut rounds, mut idle) = (0, 0);
        while let Some((centre, log)) = self.lacking() {
            let waited_s = self.now.get() - start.get();
            if waited_s > SETTLE_S {
                return Err(Violation::NotConverged {
                    waited_s,
                    centre,
                    log,
                });
            }
            if rounds + idle > ROUNDS_AT_ONCE {
                return Err(Violation::Livelock);
            }
            if self.round()? {
                rounds += 1;
                continue;
            }
            idle += 1;
            let next = self.next_wake().map_or(self.now.get() + 1, Timestamp::get);
            self.advance(next.saturating_sub(self.now.get()))?;
            // A node dials whom it lost, when it has nothing better to do.
            self.connect_all()?;
        }
        self.check_history()?;
        Ok(Settled {
            rounds,
            waited_s: self.now.get() - start.get(),
        })
    }

    /// Everybody starts, applies every roster, meets everybody and catches up.
    ///
    /// # Errors
    /// [`Violation`].
    pub fn heal(&mut self) -> Result<Settled, Violation> {
        self.note("heal".to_owned());
        self.nodes.iter_mut().for_each(|node| node.fuse = None);
        // A new roster, as the old one may have expired.
        self.issue_roster(|_| {});
        (0..self.len()).try_for_each(|n| self.restart(n))?;
        // A centre signs, and so takes a roster, once it has heard what others saw of its log; and a new centre is heard by
        // those that have the roster which names it.
        for _ in 0..2 {
            self.connect_all()?;
            self.drain()?;
            for n in 0..self.len() {
                let versions = self.rosters.len();
                (0..versions).try_for_each(|_| self.apply_roster(n))?;
            }
        }
        self.connect_all()?;
        let settled = self.settle()?;
        self.check_agreement()?;
        Ok(settled)
    }

    /// A centre that lacks something of a log, both by number.
    fn lacking(&self) -> Option<(usize, usize)> {
        let all = 0..self.len();
        let pairs = all
            .clone()
            .flat_map(|n| all.clone().map(move |log| (n, log)));
        let mut real =
            pairs.filter(|(n, log)| self.nodes[*n].is_honest && self.nodes[*log].is_honest);
        real.find(|(n, log)| {
            let origin = &self.nodes[*log].setup.origin;
            let (held, whole) = (self.memory(*n).log(origin), self.memory(*log).log(origin));
            held.size < whole.size || held.applied < whole.next_seq
        })
    }

    /// Every centre holds the same entries of every log, and the same roots.
    fn check_agreement(&self) -> Result<(), Violation> {
        for log in 0..self.len() {
            let origin = &self.nodes[log].setup.origin;
            let (root, held) = (self.memory(log).log(origin).root, self.live(log, log));
            let differs = |n: &usize| {
                let same = self.memory(*n).log(origin).root == root;
                !same || !self.agrees(&self.live(*n, log), &held)
            };
            if let Some(centre) = (0..self.len()).find(differs) {
                let rule = "healed and still holds something else than the origin";
                return Err(Violation::Rule { centre, rule });
            }
        }
        Ok(())
    }
}
