//! The labels that policy may look at (kind L), and the class definitions that intern them.
//!
//! Why: policy is evaluated once per class and recipient, never per record, so a class is exactly the tuple of labels
//! that a policy could treat differently. Uncertain labels are sets and never empty; granted ones are sets where unknown
//! means empty. Spec: `docs/protocol.md`, "Labels"; domain table 2.1. In scope: the tuple, its bytes, the definition that
//! an origin signs. Out of scope: deciding (`policy`), labels that policy never sees (`record`).

mod definitions;

use std::collections::BTreeSet;

use hashpact_keys::Jurisdiction;
use hashpact_keys::canonical;
use minicbor::{Decoder, Encoder};

use crate::lists::{ClosedList, Set, closed_list};

pub use definitions::ClassDefinitions;

closed_list! {
    /// What kind of file the fingerprint is of.
    MediaKind {
        /// A still or animated image.
        Image = "image",
        /// A video.
        Video = "video",
        /// Sound.
        Audio = "audio",
        /// Text.
        Text = "text",
    }
}
closed_list! {
    /// Which kind of material the entry is about.
    ContentClass {
        /// Child sexual abuse material.
        Csam = "csam",
        /// A crop, still or lead-up image that belongs to abuse but is not such material by itself.
        RelatedHarmful = "related_harmful",
    }
}
closed_list! {
    /// Where the entry stands in its life, as its origin states it. Retracted and purged entries have no class.
    State {
        /// Nobody has assessed it.
        Suspected = "suspected",
        /// A person has assessed it ("known").
        Assessed = "assessed",
        /// Its assessment is contested.
        Disputed = "disputed",
    }
}
closed_list! {
    /// What is depicted.
    Depiction {
        /// A real child.
        Real = "real",
        /// A real child's image, altered, morphed or composed.
        Manipulated = "manipulated",
        /// Computer-generated, realistic.
        AiRealistic = "ai_realistic",
        /// Drawn or otherwise virtual.
        VirtualDrawn = "virtual_drawn",
    }
}
closed_list! {
    /// Which claim about age the law of a country may look at.
    AgeClaim {
        /// The age itself.
        Actual = "actual",
        /// How old the person appears.
        Apparent = "apparent",
        /// The person is depicted as a child.
        DepictedAs = "depicted_as",
        /// The child is implied.
        Implied = "implied",
    }
}
closed_list! {
    /// The self-generated context, after the five kinds of the WePROTECT assessment of 2019.
    SelfGenerated {
        /// No indication.
        NotIndicated = "not_indicated",
        /// Between peers.
        PeerConsensual = "peer_consensual",
        /// Image-based abuse.
        ImageBasedAbuse = "image_based_abuse",
        /// For affirmation.
        SocialAffirmation = "social_affirmation",
        /// By deception.
        Deception = "deception",
        /// Under extortion.
        Sextortion = "sextortion",
    }
}
closed_list! {
    /// Circumstances that raise priority.
    ContextFlag {
        /// Extortion.
        Sextortion = "sextortion",
        /// Live streaming.
        LiveStream = "live_stream",
        /// Spreading fast.
        Viral = "viral",
    }
}
closed_list! {
    /// The kind of legal basis that the origin shares under; its document stands in a grant.
    LegalBasis {
        /// No basis stated: not shared.
        None = "none",
        /// Voluntary.
        Voluntary = "voluntary",
        /// A statute.
        Statutory = "statutory",
        /// An order.
        Order = "order",
        /// A notice.
        Notice = "notice",
        /// An agreement.
        Agreement = "agreement",
    }
}
closed_list! {
    /// Traffic Light Protocol 2.0 label. GREEN and CLEAR do not exist here: fingerprints are confidential.
    Tlp {
        /// Named recipients only.
        Red = "RED",
        /// The recipient's organisation only.
        AmberStrict = "AMBER+STRICT",
        /// The recipient's organisation and its clients.
        Amber = "AMBER",
    }
}
closed_list! {
    /// Who may receive.
    Recipient {
        /// Another centre.
        Centre = "centre",
        /// A hotline.
        Hotline = "hotline",
        /// Law enforcement.
        Le = "le",
        /// A provider.
        Provider = "provider",
        /// An intermediary.
        Intermediary = "intermediary",
        /// An observer.
        Observer = "observer",
    }
}
closed_list! {
    /// What it may be used for.
    Purpose {
        /// Detect.
        Detect = "detect",
        /// Report.
        Report = "report",
        /// Remove.
        Remove = "remove",
        /// Block.
        Block = "block",
        /// Identify victims.
        VictimId = "victim_id",
        /// Investigate.
        Investigate = "investigate",
        /// Spare people re-exposure.
        Triage = "triage",
        /// Count.
        Statistics = "statistics",
    }
}

/// What one country's law says of the entry, and who says so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegalStatus {
    /// The country.
    pub jurisdiction: Jurisdiction,
    /// Illegal there, or stated not to be.
    pub illegal: bool,
    /// The asserting body: 1 to 32 bytes of `[a-z0-9-]`.
    pub body: String,
}

/// The tuple of labels that makes a policy class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels {
    /// Uncertain; never empty.
    pub media_kind: Set<MediaKind>,
    /// Uncertain; never empty.
    pub content_class: Set<ContentClass>,
    /// The origin's statement.
    pub state: State,
    /// Uncertain; never empty.
    pub depiction: Set<Depiction>,
    /// Whether the youngest person depicted is certainly a minor.
    pub minor_certain: bool,
    /// Uncertain; never empty.
    pub age_claim: Set<AgeClaim>,
    /// Uncertain; never empty.
    pub self_generated: Set<SelfGenerated>,
    /// What is known to hold; may be empty.
    pub context_flags: Set<ContextFlag>,
    /// One basis.
    pub legal_basis: LegalBasis,
    /// Sorted by country, one statement each, at most 16.
    pub legal_status: Vec<LegalStatus>,
    /// Granted: where it may rest; the origin's own jurisdiction is always in. At most 64.
    pub residency: BTreeSet<Jurisdiction>,
    /// Laws that apply. At most 64.
    pub applicable_law: BTreeSet<Jurisdiction>,
    /// Handling.
    pub tlp: Tlp,
    /// How many further transfers are allowed, 0 to 3; 0 means no onward sharing.
    pub hops: u8,
    /// Granted; may be empty: nobody.
    pub recipients: Set<Recipient>,
    /// Granted; may be empty: not usable.
    pub purposes: Set<Purpose>,
}

/// Why a label tuple or a class definition is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelsError {
    /// Not canonical CBOR of the expected shape.
    #[error("labels: not the expected shape")]
    Shape,
    /// A value that the closed list does not have.
    #[error("labels: field {field} has a value outside its closed list")]
    UnknownValue {
        /// Number of the field in the tuple, from 0.
        field: u8,
    },
    /// An uncertain label that could be nothing.
    #[error("labels: field {field} is an uncertain label and must not be empty")]
    Empty {
        /// Number of the field in the tuple, from 0.
        field: u8,
    },
    /// More hops than 3.
    #[error("labels: {got} hops, at most 3")]
    Hops {
        /// What was given.
        got: u64,
    },
    /// A list that is too long, unsorted or repeats itself.
    #[error("labels: field {field} is too long, unsorted or repeats itself")]
    List {
        /// Number of the field in the tuple, from 0.
        field: u8,
    },
    /// The origin's own jurisdiction is missing from residency.
    #[error("labels: residency does not hold the origin's own jurisdiction")]
    Residency,
}

impl Labels {
    /// Checks what the encoding alone cannot: uncertain labels are not empty, hops and lists are within bounds.
    ///
    /// # Errors
    /// [`LabelsError`] naming the field.
    pub fn check(&self) -> Result<(), LabelsError> {
        let uncertain = [
            (0, self.media_kind.is_empty()),
            (1, self.content_class.is_empty()),
            (3, self.depiction.is_empty()),
            (5, self.age_claim.is_empty()),
            (6, self.self_generated.is_empty()),
        ];
        if let Some((field, _)) = uncertain.into_iter().find(|(_, empty)| *empty) {
            return Err(LabelsError::Empty { field });
        }
        if self.hops > 3 {
            return Err(LabelsError::Hops {
                got: u64::from(self.hops),
            });
        }
        let sorted = self
            .legal_status
            .windows(2)
            .all(|w| w[0].jurisdiction < w[1].jurisdiction);
        let bodies = self
            .legal_status
            .iter()
            .all(|status| is_token(&status.body, 32));
        if !sorted || !bodies || self.legal_status.len() > 16 {
            return Err(LabelsError::List { field: 9 });
        }
        if self.residency.len() > 64 {
            return Err(LabelsError::List { field: 10 });
        }
        if self.applicable_law.len() > 64 {
            return Err(LabelsError::List { field: 11 });
        }
        Ok(())
    }

    /// Canonical CBOR of the tuple: an array of 16.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut e = Encoder::new(Vec::with_capacity(64));
        // Writing to a Vec cannot fail, so the results carry nothing.
        let _ = self.encode_into(&mut e);
        e.into_writer()
    }

    fn encode_into(
        &self,
        e: &mut Encoder<Vec<u8>>,
    ) -> Result<(), minicbor::encode::Error<std::convert::Infallible>> {
        e.array(16)?
            .u16(self.media_kind.bits())?
            .u16(self.content_class.bits())?
            .u8(self.state.bit())?
            .u16(self.depiction.bits())?
            .bool(self.minor_certain)?
            .u16(self.age_claim.bits())?
            .u16(self.self_generated.bits())?
            .u16(self.context_flags.bits())?
            .u8(self.legal_basis.bit())?
            .array(self.legal_status.len() as u64)?;
        for status in &self.legal_status {
            e.array(3)?
                .str(status.jurisdiction.as_str())?
                .bool(status.illegal)?
                .str(&status.body)?;
        }
        for codes in [&self.residency, &self.applicable_law] {
            e.array(codes.len() as u64)?;
            for code in codes {
                e.str(code.as_str())?;
            }
        }
        e.u8(self.tlp.bit())?
            .u8(self.hops)?
            .u16(self.recipients.bits())?
            .u16(self.purposes.bits())?;
        Ok(())
    }

    /// Reads the tuple back, strictly.
    ///
    /// # Errors
    /// [`LabelsError`] for anything but the one canonical encoding of an acceptable tuple.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LabelsError> {
        canonical::check(bytes).map_err(|_| LabelsError::Shape)?;
        Self::decode(&mut Decoder::new(bytes))
    }

    fn decode(d: &mut Decoder<'_>) -> Result<Self, LabelsError> {
        if d.array().map_err(|_| LabelsError::Shape)? != Some(16) {
            return Err(LabelsError::Shape);
        }
        let labels = Self {
            media_kind: set(d, 0)?,
            content_class: set(d, 1)?,
            state: one(d, 2)?,
            depiction: set(d, 3)?,
            minor_certain: d.bool().map_err(|_| LabelsError::Shape)?,
            age_claim: set(d, 5)?,
            self_generated: set(d, 6)?,
            context_flags: set(d, 7)?,
            legal_basis: one(d, 8)?,
            legal_status: statuses(d)?,
            residency: codes(d, 10)?,
            applicable_law: codes(d, 11)?,
            tlp: one(d, 12)?,
            hops: hops(d)?,
            recipients: set(d, 14)?,
            purposes: set(d, 15)?,
        };
        labels.check()?;
        Ok(labels)
    }
}

fn uint(d: &mut Decoder<'_>) -> Result<u64, LabelsError> {
    d.u64().map_err(|_| LabelsError::Shape)
}

fn set<T: ClosedList>(d: &mut Decoder<'_>, field: u8) -> Result<Set<T>, LabelsError> {
    Set::from_bits(uint(d)?).ok_or(LabelsError::UnknownValue { field })
}

fn one<T: ClosedList>(d: &mut Decoder<'_>, field: u8) -> Result<T, LabelsError> {
    T::from_bit(uint(d)?).ok_or(LabelsError::UnknownValue { field })
}

fn hops(d: &mut Decoder<'_>) -> Result<u8, LabelsError> {
    let got = uint(d)?;
    u8::try_from(got)
        .ok()
        .filter(|hops| *hops <= 3)
        .ok_or(LabelsError::Hops { got })
}

fn array(d: &mut Decoder<'_>, field: u8, max: u64) -> Result<u64, LabelsError> {
    let n = d
        .array()
        .map_err(|_| LabelsError::Shape)?
        .ok_or(LabelsError::Shape)?;
    if n > max {
        Err(LabelsError::List { field })
    } else {
        Ok(n)
    }
}

fn jurisdiction(d: &mut Decoder<'_>, field: u8) -> Result<Jurisdiction, LabelsError> {
    let text = d.str().map_err(|_| LabelsError::Shape)?;
    text.parse()
        .map_err(|_| LabelsError::UnknownValue { field })
}

fn codes(d: &mut Decoder<'_>, field: u8) -> Result<BTreeSet<Jurisdiction>, LabelsError> {
    let n = array(d, field, 64)?;
    let mut codes = BTreeSet::new();
    for _ in 0..n {
        let code = jurisdiction(d, field)?;
        if codes.last().is_some_and(|last| *last >= code) {
            return Err(LabelsError::List { field });
        }
        codes.insert(code);
    }
    Ok(codes)
}

fn statuses(d: &mut Decoder<'_>) -> Result<Vec<LegalStatus>, LabelsError> {
    let n = array(d, 9, 16)?;
    let mut list = Vec::new();
    for _ in 0..n {
        if d.array().map_err(|_| LabelsError::Shape)? != Some(3) {
            return Err(LabelsError::Shape);
        }
        list.push(LegalStatus {
            jurisdiction: jurisdiction(d, 9)?,
            illegal: d.bool().map_err(|_| LabelsError::Shape)?,
            body: d.str().map_err(|_| LabelsError::Shape)?.to_owned(),
        });
    }
    Ok(list)
}

/// Whether `text` is 1 to `max` bytes of `[a-z0-9-]`.
#[must_use]
pub fn is_token(text: &str, max: usize) -> bool {
    let fits = !text.is_empty() && text.len() <= max;
    fits && text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Number of a policy class at its origin, given out in order of first use and never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassId(pub u16);

impl std::fmt::Display for ClassId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn sample() -> Labels {
        crate::testing::labels()
    }

    #[test]
    fn labels_round_trip() {
        let labels = sample();
        assert_eq!(Labels::from_bytes(&labels.to_bytes()), Ok(labels));
    }

    #[test]
    fn empty_uncertain_label_is_refused() {
        let mut labels = sample();
        labels.depiction = Set::empty();
        assert_eq!(
            Labels::from_bytes(&labels.to_bytes()),
            Err(LabelsError::Empty { field: 3 })
        );
    }

    #[test]
    fn value_outside_the_closed_list_is_refused() {
        let mut bytes = sample().to_bytes();
        bytes[1] = 0x17; // media kind 0b10111: bit 4 stands for nothing
        assert_eq!(
            Labels::from_bytes(&bytes),
            Err(LabelsError::UnknownValue { field: 0 })
        );
    }

    #[test]
    fn unsorted_residency_is_refused() {
        let labels = sample();
        let mut bytes = labels.to_bytes();
        let at = bytes.windows(2).position(|w| w == b"EU").unwrap();
        bytes[at] = b'Z';
        bytes[at + 1] = b'Z';
        assert_eq!(
            Labels::from_bytes(&bytes),
            Err(LabelsError::List { field: 10 })
        );
    }

    #[test]
    fn four_hops_are_refused() {
        let mut labels = sample();
        labels.hops = 4;
        assert_eq!(
            Labels::from_bytes(&labels.to_bytes()),
            Err(LabelsError::Hops { got: 4 })
        );
    }
}
