//! From what is typed to what the core signs.

use hashpact_protocol::Hash;
use hashpact_protocol::assess::{Assessor, Basis, Feature, Subject, Values};
use hashpact_protocol::centre::{Command, Member, Outcome};
use hashpact_protocol::delta::Retraction;
use hashpact_protocol::evidence::{self, Code, Draft, Field, Object, Verdict, Vote};
use hashpact_protocol::fingerprint::Algorithm;
use hashpact_protocol::limits;
use hashpact_protocol::lists::{ClosedList, Set};
use hashpact_protocol::record::Flag;

use super::super::Fault;
use super::super::server::{failed, input, no, refused};
use super::{Stated, subjects};
use crate::daemon::Handle;
use crate::subset::MemberId;

/// An attestation but for its subject.
pub(super) struct Attesting {
    assessor: Option<Assessor>,
    basis: Basis,
    values: Values,
}

impl Attesting {
    pub(super) fn read(
        assessor: Option<&str>,
        basis: &str,
        stated: &Stated,
    ) -> Result<Self, Fault> {
        let basis: Basis = listed(basis, "basis")?;
        let assessor = assessor.map(|text| {
            let mut id = [0; 16];
            match hex::decode_to_slice(text, &mut id) {
                Ok(()) if id != [0; 16] => Ok(Assessor(id)),
                Ok(()) | Err(_) => Err(input(
                    "an assessor is 32 hexadecimal digits, not all zero: `hashpact attest --new-assessor FILE` makes one".to_owned(),
                )),
            }
        });
        let assessor = assessor.transpose()?;
        if (basis == Basis::LegacyImport) != assessor.is_none() {
            return Err(input(
                "a legacy import names no assessor, and everything else names one".to_owned(),
            ));
        }
        let values = values(stated)?;
        if values == Values::default() {
            return Err(input(
                "nothing is attested: state at least one value, such as --content-class csam"
                    .to_owned(),
            ));
        }
        Ok(Self {
            assessor,
            basis,
            values,
        })
    }

    pub(super) fn draft(&self, subject: Subject) -> Draft {
        Draft::Attestation {
            subject,
            assessor: self.assessor,
            basis: self.basis,
            values: Box::new(self.values),
        }
    }
}

fn values(stated: &Stated) -> Result<Values, Fault> {
    let mut features = [Flag::Unknown; 7];
    for (name, is) in &stated.features {
        let feature: Feature = listed(name, "feature")?;
        let flag = match is {
            true => Flag::Yes,
            false => Flag::No,
        };
        if let Some(place) = features.get_mut(usize::from(feature.bit())) {
            *place = flag;
        }
    }
    Ok(Values {
        content_class: set(&stated.content_class, "content class")?,
        depiction: set(&stated.depiction, "depiction")?,
        minor_certain: stated.minor_certain,
        age_depicted: set(&stated.age_depicted, "age")?,
        pubertal_stage: set(&stated.pubertal_stage, "stage")?,
        features,
    })
}

/// The values with these names; all of them if none is named, which states nothing.
fn set<T: ClosedList>(names: &[String], what: &str) -> Result<Set<T>, Fault> {
    if names.is_empty() {
        return Ok(Set::full());
    }
    let values = names.iter().map(|name| listed(name, what));
    Ok(Set::of(&values.collect::<Result<Vec<T>, Fault>>()?))
}

fn listed<T: ClosedList>(name: &str, what: &str) -> Result<T, Fault> {
    T::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = T::VALUES.iter().map(|(_, name)| *name).collect();
        input(format!("no such {what}: it is one of {}", names.join(", ")))
    })
}

/// A reason of a retraction, as it is typed.
pub(in super::super) fn reason_code(name: &str) -> Result<Code, Fault> {
    listed(name, "reason")
}

/// A reason that contests something: not that it was stated anew.
fn contesting(name: &str) -> Result<Code, Fault> {
    let code = listed(name, "reason")?;
    match code == Code::Superseded {
        true => Err(input(
            "superseded is a reason of retractions alone".to_owned(),
        )),
        false => Ok(code),
    }
}

pub(super) fn dispute(
    handle: &Handle,
    origin: Option<&str>,
    entry: String,
    field: &str,
    reason: &str,
) -> Result<Vec<Draft>, Fault> {
    let (field, code): (Field, Code) = (listed(field, "field")?, contesting(reason)?);
    let subjects = subjects::named(handle, origin, &[entry])?;
    let own = handle.checked.origin.centre();
    if subjects
        .iter()
        .any(|subject| subject.origin.centre() == own)
    {
        return Err(no(
            "this entry is this centre's own: retract it, or state it anew".to_owned(),
        ));
    }
    let draft = |subject| Draft::Dispute {
        subject,
        field,
        code,
    };
    Ok(subjects.into_iter().map(draft).collect())
}

/// What a member says of a match.
pub(super) struct Word {
    vote: Vote,
    code: Option<Code>,
    algorithm: Option<Algorithm>,
}

impl Word {
    pub(super) fn read(
        vote: &str,
        reason: Option<&str>,
        algorithm: Option<&str>,
    ) -> Result<Self, Fault> {
        let vote: Vote = listed(vote, "vote")?;
        let code = reason.map(contesting).transpose()?;
        if (vote == Vote::Negative) != code.is_some() {
            return Err(input(
                "a negative vote has a reason, and an affirmative one has none".to_owned(),
            ));
        }
        let algorithm = algorithm.map(|name| {
            let known = Algorithm::from_name(name).filter(|it| it.code().is_some());
            known.ok_or_else(|| input("unknown algorithm".to_owned()))
        });
        Ok(Self {
            vote,
            code,
            algorithm: algorithm.transpose()?,
        })
    }
}

pub(super) fn feedback(
    handle: &Handle,
    origin: Option<&str>,
    entry: String,
    member: &str,
    word: &Word,
) -> Result<Vec<Draft>, Fault> {
    let mut known = Member::all(&*handle.store).into_iter();
    let is_known = known.any(|known| known.id == member);
    let name = member.parse().ok().filter(|_| is_known);
    let name: MemberId = name.ok_or_else(|| no(format!("{member} is no member of this centre")))?;
    let pseudonym = handle.gateway.credentials.pseudonym(&name);
    let draft = |subject| Draft::Feedback {
        subject,
        member: pseudonym,
        vote: word.vote,
        code: word.code,
        algorithm: word.algorithm.clone(),
    };
    let subjects = subjects::named(handle, origin, &[entry])?;
    Ok(subjects.into_iter().map(draft).collect())
}

/// What takes this centre's disputes of an entry back, or that one of them; only such as are not taken back already.
pub(super) fn withdrawals(
    handle: &Handle,
    origin: Option<&str>,
    entry: &str,
    of: Option<&str>,
) -> Result<Vec<Draft>, Fault> {
    let found = subjects::one(handle, origin, entry)?;
    let of = of.map(hash).transpose()?;
    let told = evidence::objects_of(&*handle.store, &found.origin, found.record.entry);
    let own = handle.checked.origin.centre();
    let ours = |told: &&evidence::Told| told.object.centre() == own;
    let mut withdrawn = Vec::new();
    for told in told.iter().filter(ours) {
        if let Object::Withdrawal(it) = &told.object {
            withdrawn.push(it.of);
        }
    }
    let drafts: Vec<Draft> = told
        .iter()
        .filter(|told| ours(told) && matches!(told.object, Object::Dispute(_)))
        .filter(|told| of.is_none_or(|of| of == told.hash) && !withdrawn.contains(&told.hash))
        .map(|told| Draft::Withdrawal { of: told.hash })
        .collect();
    match drafts.is_empty() {
        true => Err(no("this centre has no such dispute that stands".to_owned())),
        false => Ok(drafts),
    }
}

pub(super) fn answer(
    handle: &Handle,
    of: &str,
    verdict: &str,
    reason: Option<&str>,
) -> Result<Draft, Fault> {
    let of = hash(of)?;
    let verdict: Verdict = listed(verdict, "verdict")?;
    let code = reason.map(|name| listed(name, "reason")).transpose()?;
    let object = evidence::object(&*handle.store, &of);
    let about = object.as_ref().and_then(Object::entry);
    let is_ours = about.is_some_and(|(origin, ..)| *origin == handle.checked.origin);
    let is_answered = matches!(object, Some(Object::Dispute(_) | Object::Feedback(_)));
    if !is_ours || !is_answered {
        return Err(no(
            "no dispute and no feedback about an entry of this centre has this hash: `hashpact feedback list` shows them".to_owned(),
        ));
    }
    Ok(Draft::Answer { of, verdict, code })
}

/// Says why entries of this centre were retracted, after their retraction is durable.
pub(in super::super) async fn give_reasons(
    handle: &Handle,
    retracted: &[Retraction],
    code: Code,
) -> Result<usize, Fault> {
    let drafts = retracted.iter().map(|it| Draft::Reason {
        entry: it.entry,
        revision: it.revision,
        code,
    });
    Ok(issue(handle, drafts.collect()).await?.len())
}

/// Has objects signed and logged; their hashes, in order. What was signed before is what it was.
pub(super) async fn issue(handle: &Handle, drafts: Vec<Draft>) -> Result<Vec<String>, Fault> {
    let mut signed = Vec::with_capacity(drafts.len());
    for drafts in drafts.chunks(limits::DRAFTS_AT_ONCE) {
        let done = handle.command(Command::Issue(drafts.to_vec())).await;
        let Outcome::Issued { hashes } = done.map_err(refused)? else {
            return Err(failed("the node answered something else".to_owned()));
        };
        signed.extend(hashes.iter().map(hex::encode));
    }
    Ok(signed)
}

fn hash(text: &str) -> Result<Hash, Fault> {
    let mut hash = [0; 32];
    let read = hex::decode_to_slice(text, &mut hash);
    read.map_err(|_| input("a hash is 64 hexadecimal digits".to_owned()))?;
    Ok(hash)
}
