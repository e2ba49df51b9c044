//! Look-ups by people: how many each may make in a day, and the line that each leaves.
//!
//! Why: whoever may look up any value learns what is detectable, so a centre's own people are counted as members are. A
//! person is who the kernel says is at the other end of the control socket. What counts is the trail itself: after a restart
//! the day's look-ups are read back from it. A look-up whose line cannot be written is not answered. Line, in the
//! [audit trail](crate::audit_trail):
//!
//! ```text
//! {"at":"…","kind":"lookup","uid":1000,"user":"anna","asked":{"md5":1},"matched":0}
//! {"at":"…","kind":"lookup_refused","uid":1000,"user":"anna","asked":{"md5":200},"used":9900,"per_day":10000}
//! ```
//!
//! In scope: counting and telling. Out of scope: answering (`control`), members over HTTP (`gateway`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hashpact_keys::Timestamp;
use serde::{Deserialize, Serialize};

use crate::audit_trail::AuditTrail;
use crate::config::Checked;

/// Look-ups of one person in a UTC day, unless the configuration says otherwise: a long day's work by hand, and a small
/// part of any list.
pub const PER_PERSON_DAY: u64 = 10_000;
/// Bytes of `/etc/passwd` that are read for a name: some ten thousand users.
const PASSWD_BYTES: u64 = 1024 * 1024;
const DAY_S: u64 = 86_400;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Person {
    /// The number of the user, as the kernel says.
    pub uid: u32,
    /// Its name on this machine, if it has one.
    pub user: Option<String>,
}

/// Counts and tells look-ups. Clones share it.
#[derive(Clone, Debug)]
pub struct People {
    trail: AuditTrail,
    per_day: u64,
    used: Arc<Mutex<Used>>,
}

#[derive(Debug, Default)]
struct Used {
    /// UTC days since 1970; none before the first look-up of this process.
    day: Option<u64>,
    by_uid: BTreeMap<u32, u64>,
}

/// Why a person gets no answer.
#[derive(Debug, thiserror::Error)]
pub enum PersonError {
    /// The day's look-ups are used up.
    #[error(
        "{asked} look-ups asked, {used} of {per_day} made today: the rest opens at 00:00 UTC, or raise `[lookup] per_person_day` in hashpact.toml and restart"
    )]
    Quota {
        /// In this request.
        asked: u64,
        /// Before it, today.
        used: u64,
        /// The quota.
        per_day: u64,
    },
    /// The line cannot be written, so there is no answer.
    #[error("the audit trail cannot be written, so nothing is answered: {0}")]
    Trail(#[from] io::Error),
}

/// Look-ups of one request, by algorithm.
pub type Asked = BTreeMap<String, u64>;

#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    person: &'a Person,
    asked: &'a Asked,
    matched: u64,
}

#[derive(Serialize)]
struct Refused<'a> {
    #[serde(flatten)]
    person: &'a Person,
    asked: &'a Asked,
    used: u64,
    per_day: u64,
}

/// Of a line, what is counted.
#[derive(Deserialize)]
struct Counted {
    kind: String,
    uid: Option<u32>,
    asked: Option<Asked>,
}

impl Person {
    /// The user with this number.
    #[must_use]
    pub fn of(uid: u32) -> Self {
        let mut text = String::new();
        let file = File::open("/etc/passwd");
        // Without a name the number stands alone.
        let _ = file.and_then(|file| file.take(PASSWD_BYTES).read_to_string(&mut text));
        let user = name_of(&text, uid);
        Self { uid, user }
    }
}

/// The name of a user in the form of passwd(5).
fn name_of(passwd: &str, uid: u32) -> Option<String> {
    let mut lines = passwd.lines().map(|line| line.split(':'));
    lines.find_map(|mut fields| {
        let name = fields.next()?;
        let number: u32 = fields.nth(1)?.parse().ok()?;
        (number == uid && name.len() <= 64).then(|| name.to_owned())
    })
}

impl People {
    /// Counts for a node whose data lies in this folder, as its configuration says.
    #[must_use]
    pub fn new(data: &Path, checked: &Checked) -> Self {
        let trail = AuditTrail::new(data.join("audit"));
        Self::of(trail, checked.lookups_per_person_day)
    }

    /// Counts by this trail, up to `per_day` look-ups a person.
    #[must_use]
    pub fn of(trail: AuditTrail, per_day: u64) -> Self {
        Self {
            trail,
            per_day,
            used: Arc::default(),
        }
    }

    /// Charges a request before it is answered: whole, or not at all.
    ///
    /// # Errors
    /// [`PersonError`].
    pub fn charge(
        &self,
        person: &Person,
        asked: &Asked,
        now: Timestamp,
    ) -> Result<(), PersonError> {
        let count: u64 = asked.values().sum();
        let used = {
            let mut used = self.used(now)?;
            let of_person = used.by_uid.entry(person.uid).or_insert(0);
            let before = *of_person;
            match before.checked_add(count).filter(|it| *it <= self.per_day) {
                Some(after) => {
                    *of_person = after;
                    return Ok(());
                }
                None => before,
            }
        };
        let per_day = self.per_day;
        let refused = Refused {
            person,
            asked,
            used,
            per_day,
        };
        self.trail.write(now, "lookup_refused", &refused)?;
        Err(PersonError::Quota {
            asked: count,
            used,
            per_day,
        })
    }

    /// Leaves the line of a request that was charged, before its answer leaves.
    ///
    /// # Errors
    /// [`PersonError::Trail`]: then do not answer.
    pub fn tell(
        &self,
        person: &Person,
        asked: &Asked,
        matched: u64,
        now: Timestamp,
    ) -> Result<(), PersonError> {
        let told = Told {
            person,
            asked,
            matched,
        };
        Ok(self.trail.write(now, "lookup", &told)?)
    }

    /// What was used on the day of `now`. A clock that goes back does not open a day again.
    fn used(&self, now: Timestamp) -> io::Result<MutexGuard<'_, Used>> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let day = now.get() / DAY_S;
        if used.day.is_some_and(|known| known >= day) {
            return Ok(used);
        }
        let mut by_uid: BTreeMap<u32, u64> = BTreeMap::new();
        self.trail.lines(now, |line| {
            // Lines of other kinds are many, and this is cheaper than reading them.
            if !line.windows(9).any(|it| it == b"\"lookup\",") {
                return;
            }
            if let Ok(Counted {
                kind,
                uid: Some(uid),
                asked: Some(asked),
            }) = serde_json::from_slice(line)
                && kind == "lookup"
            {
                let of_person = by_uid.entry(uid).or_insert(0);
                *of_person = asked
                    .values()
                    .fold(*of_person, |sum, it| sum.saturating_add(*it));
            }
        })?;
        *used = Used {
            day: Some(day),
            by_uid,
        };
        Ok(used)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp::new(1_795_376_407);

    fn person(uid: u32) -> Person {
        let user = Some("anna".to_owned());
        Person { uid, user }
    }

    fn asked(count: u64) -> Asked {
        Asked::from([("md5".to_owned(), count)])
    }

    fn people(folder: &std::path::Path, per_day: u64) -> People {
        People::of(AuditTrail::new(folder.to_owned()), per_day)
    }

    fn lines(people: &People) -> Vec<Value> {
        let mut lines = Vec::new();
        let each = |line: &[u8]| lines.push(serde_json::from_slice(line).unwrap());
        people.trail.lines(NOW, each).unwrap();
        lines
    }

    fn look_up(people: &People, uid: u32, count: u64, now: Timestamp) -> Result<(), PersonError> {
        people.charge(&person(uid), &asked(count), now)?;
        people.tell(&person(uid), &asked(count), 1, now)
    }

    #[test]
    fn beyond_the_quota_is_refused_whole_and_the_refusal_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let people = people(folder.path(), 10);
        look_up(&people, 7, 8, NOW).unwrap();
        let refused = look_up(&people, 7, 3, NOW).unwrap_err();
        assert!(matches!(
            refused,
            PersonError::Quota {
                asked: 3,
                used: 8,
                per_day: 10
            }
        ));
        look_up(&people, 7, 2, NOW).unwrap();
        look_up(&people, 8, 10, NOW).unwrap();
        assert!(look_up(&people, 7, u64::MAX, NOW).is_err());
        let lines = lines(&people);
        assert_eq!(
            lines[0],
            json!({ "at": "2026-11-22T19:40:07Z", "kind": "lookup", "uid": 7, "user": "anna",
                    "asked": { "md5": 8 }, "matched": 1 })
        );
        assert_eq!(
            (&lines[1]["kind"], &lines[1]["used"]),
            (&json!("lookup_refused"), &json!(8))
        );
    }

    #[test]
    fn a_restart_does_not_open_the_quota_again_and_midnight_does() {
        let folder = tempfile::tempdir().unwrap();
        look_up(&people(folder.path(), 10), 7, 9, NOW).unwrap();
        let again = people(folder.path(), 10);
        assert!(look_up(&again, 7, 2, NOW).is_err());
        look_up(&again, 7, 1, NOW).unwrap();
        let tomorrow = Timestamp::new(NOW.get() + DAY_S);
        look_up(&again, 7, 10, tomorrow).unwrap();
        assert!(
            look_up(&again, 7, 1, NOW).is_err(),
            "a clock that went back"
        );
    }

    #[test]
    fn without_a_trail_nothing_is_answered() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let people = people(&file.join("audit"), 10);
        assert!(matches!(
            look_up(&people, 7, 1, NOW),
            Err(PersonError::Trail(_))
        ));
    }

    #[test]
    fn lines_of_other_kinds_and_broken_ones_are_not_counted() {
        let folder = tempfile::tempdir().unwrap();
        let people = people(folder.path(), 10);
        let told = json!({ "uid": 7, "asked": { "md5": 10 } });
        people.trail.write(NOW, "request", &told).unwrap();
        people
            .trail
            .write(NOW, "lookup", &json!({ "uid": "x" }))
            .unwrap();
        look_up(&people, 7, 10, NOW).unwrap();
    }

    #[test]
    fn a_name_is_found_by_its_number() {
        let passwd =
            "root:x:0:0:root:/root:/bin/sh\nbad line\nanna:x:1000:1000::/home/anna:/bin/sh\n";
        assert_eq!(name_of(passwd, 1000).as_deref(), Some("anna"));
        assert_eq!(name_of(passwd, 0).as_deref(), Some("root"));
        assert_eq!(name_of(passwd, 5), None);
    }
}
