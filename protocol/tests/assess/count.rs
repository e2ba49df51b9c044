//! Who counts: every subset of eight attestations, and who says what when.

use std::num::NonZeroU8;

use hashpact_protocol::assess::{Attestation, Attested, Basis, Count, Quorum, count};
use hashpact_protocol::labels::{ContentClass, Depiction};
use hashpact_protocol::lists::Set;
use hashpact_protocol::record::{AgeBand, Flag, PubertalStage};
use hashpact_protocol::testing::attestations::{DAY, assessor};

use super::{Entry, by, centre, opened};

fn imported(n: usize) -> Attestation {
    let mut import = by(n, 1);
    (import.assessor, import.basis) = (None, Basis::LegacyImport);
    import
}

fn counted(attested: &[Attested]) -> (usize, usize, usize) {
    let Count {
        assessors,
        centres,
        countries,
    } = count(&Entry::of_the_baseline().stated(), attested);
    (assessors, centres, countries)
}

#[test]
fn people_centres_and_countries_count_once_each_whatever_is_signed() {
    // (centre, country, person): x4 is in the EU, and number 5 is signed twice. A person of "-" is nobody.
    let all = [
        ("eu", "EU", "eu1", by(0, 1)),
        ("eu", "EU", "eu2", by(0, 2)),
        ("us", "US", "us1", by(1, 1)),
        ("ca", "CA", "ca1", by(2, 1)),
        ("x4", "EU", "x41", by(4, 1)),
        ("eu", "EU", "eu1", by(0, 1)),
        ("us", "US", "-", imported(1)),
        ("au", "AU", "-", imported(3)),
    ];
    let attested = all.each_ref().map(|row| opened(&row.3));
    for subset in 0..1_u16 << all.len() {
        let chosen: Vec<_> = (0..all.len()).filter(|n| subset & (1 << n) != 0).collect();
        let distinct =
            |of: fn(&(&'static str, &'static str, &'static str, Attestation)) -> &'static str| {
                let mut names: Vec<_> = chosen
                    .iter()
                    .map(|n| of(&all[*n]))
                    .filter(|name| *name != "-")
                    .collect();
                names.sort_unstable();
                names.dedup();
                names.len()
            };
        let expected = (
            distinct(|row| row.2),
            distinct(|row| row.0),
            distinct(|row| row.1),
        );
        let given: Vec<_> = chosen.iter().map(|n| attested[*n].clone()).collect();
        assert_eq!(counted(&given), expected, "{subset:08b}");
        for least in 0..27_u8 {
            let [n, m, k] = [least % 3 + 1, least / 3 % 3 + 1, least / 9 + 1];
            let [assessors, centres, countries] =
                [n, m, k].map(|n| NonZeroU8::new(n).expect("not 0"));
            let quorum = Quorum {
                assessors,
                centres,
                countries,
            };
            let (a, c, l) = expected;
            let is_met = !(a < n.into() || c < m.into() || l < k.into());
            assert_eq!(
                quorum.is_met_by(count(&Entry::of_the_baseline().stated(), &given)),
                is_met
            );
        }
    }
}

#[test]
fn a_pseudonym_that_another_centre_copied_is_no_second_person() {
    let mut copied = by(1, 1);
    copied.assessor = Some(assessor(centre(0), 1));
    assert_eq!(counted(&[opened(&by(0, 1)), opened(&copied)]), (1, 2, 2));
}

#[test]
fn an_attestation_of_another_record_counts_for_nothing() {
    let bends: [fn(&mut Attestation); 4] = [
        |one| one.subject.leaf[0] ^= 1,
        |one| one.subject.revision.0 = 2,
        |one| one.subject.entry.0[0] ^= 1,
        |one| one.subject.origin = centre(1).origin.clone(),
    ];
    for bend in bends {
        let mut other = by(1, 1);
        bend(&mut other);
        assert_eq!(counted(&[opened(&by(0, 1)), opened(&other)]), (1, 1, 1));
    }
}

#[test]
fn who_contradicts_the_origin_does_not_count() {
    let mut entry = Entry::of_the_baseline();
    entry.labels.minor_certain = true;
    entry.labels.content_class = Set::of(&[ContentClass::Csam]);
    entry.fields.age_depicted = Set::of(&[AgeBand::To6, AgeBand::To10]);
    entry.fields.features[4] = Flag::No;
    let of = |change: fn(&mut Attestation)| {
        let mut one = by(1, 1);
        change(&mut one);
        count(&entry.stated(), &[opened(&one)]).assessors
    };
    let contradictions: [fn(&mut Attestation); 7] = [
        |one| one.values.content_class = Set::of(&[ContentClass::RelatedHarmful]),
        |one| one.values.depiction = Set::of(&[Depiction::AiRealistic, Depiction::Manipulated]),
        |one| one.values.minor_certain = Some(false),
        |one| one.values.age_depicted = Set::of(&[AgeBand::To13, AgeBand::To17]),
        |one| one.values.pubertal_stage = Set::of(&[PubertalStage::Pubertal]),
        |one| one.values.features[0] = Flag::No,
        |one| one.values.features[4] = Flag::Yes,
    ];
    for (n, change) in contradictions.into_iter().enumerate() {
        assert_eq!(of(change), 0, "contradiction {n}");
    }
    let agreements: [fn(&mut Attestation); 5] = [
        |_| (),
        |one| one.values.depiction = Set::of(&[Depiction::Real, Depiction::Manipulated]),
        |one| one.values.minor_certain = Some(true),
        |one| one.values.age_depicted = Set::of(&[AgeBand::To10, AgeBand::To13]),
        |one| one.values.features[1] = Flag::Yes,
    ];
    for (n, change) in agreements.into_iter().enumerate() {
        assert_eq!(of(change), 1, "agreement {n}");
    }
}

#[test]
fn the_last_word_of_an_assessor_stands_and_two_words_of_one_day_are_none() {
    let agrees = by(1, 1);
    let mut differs = agrees.clone();
    differs.values.depiction = Set::of(&[Depiction::VirtualDrawn]);
    let on = |one: &Attestation, day| opened(&Attestation { day, ..one.clone() });
    let of = |given: &[Attested]| {
        let mut reversed = given.to_vec();
        reversed.reverse();
        assert_eq!(
            counted(given),
            counted(&reversed),
            "no order of arrival matters"
        );
        counted(given).0
    };
    assert_eq!(of(&[on(&agrees, DAY), on(&differs, DAY + 1)]), 0);
    assert_eq!(of(&[on(&differs, DAY), on(&agrees, DAY + 1)]), 1);
    assert_eq!(of(&[on(&agrees, DAY + 1), on(&differs, DAY + 1)]), 0);
    assert_eq!(
        of(&[
            on(&agrees, DAY + 1),
            on(&differs, DAY + 1),
            on(&agrees, DAY + 1)
        ]),
        0
    );
    assert_eq!(
        of(&[on(&agrees, DAY), on(&differs, DAY), on(&agrees, DAY + 1)]),
        1
    );
    // Another centre's people do not take it back.
    let mut stranger = differs.clone();
    (stranger.centre, stranger.country) = (centre(2).id.clone(), centre(2).jurisdiction.clone());
    assert_eq!(of(&[on(&agrees, DAY), on(&stranger, DAY + 1)]), 1);
}
