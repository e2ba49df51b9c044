//! The lines of one centre: its log, and those that were closed before it.
//!
//! Why: a log that was shown to be forked is closed, and its centre goes on in the next line, `eu.example/eu/2` after
//! `eu.example/eu/1`. What it put in the old one stays its duty: a retraction in a later line ends entries of every earlier
//! one. Never the other way round, as a closed log has nothing to say about what came after it. The roster gives a centre no
//! line of another domain or name (`hashpact_keys`). In scope: which log is a line of which. Out of scope: what a retraction
//! names (`places`).

use std::collections::BTreeMap;

use hashpact_keys::Origin;

/// Whether `later` is `line` itself or a line of the same centre after it.
pub(super) fn continues(later: &Origin, line: &Origin) -> bool {
    stem(later) == stem(line) && later.epoch() >= line.epoch()
}

/// Domain and centre.
fn stem(origin: &Origin) -> Option<&str> {
    Some(origin.as_str().rsplit_once('/')?.0)
}

/// The lines that the store has met, by their numbers in index rows.
#[derive(Default)]
pub(super) struct Lines {
    /// Of each log whose centre has more than one: it and all earlier ones, and it and all later ones.
    families: BTreeMap<u16, [Vec<u16>; 2]>,
}

impl Lines {
    pub(super) fn new<'o>(numbers: impl Iterator<Item = (&'o Origin, u16)>) -> Self {
        let mut by_stem: BTreeMap<_, Vec<(u32, u16)>> = BTreeMap::new();
        for (origin, number) in numbers {
            let family = by_stem.entry(stem(origin)).or_default();
            family.push((origin.epoch(), number));
        }
        let mut lines = Self::default();
        for mut family in by_stem.into_values().filter(|family| family.len() > 1) {
            family.sort_unstable();
            let family: Vec<u16> = family.into_iter().map(|(_, number)| number).collect();
            for (at, number) in family.iter().enumerate() {
                let sides = [family[..=at].to_vec(), family[at..].to_vec()];
                lines.families.insert(*number, sides);
            }
        }
        lines
    }

    /// The lines whose entries end by a retraction in this one: itself and those before it.
    pub(super) fn upto<'a>(&'a self, line: &'a u16) -> &'a [u16] {
        let family = self.families.get(line);
        family.map_or(std::slice::from_ref(line), |[upto, _]| upto)
    }

    /// The lines whose retractions end an entry of this one: itself and those after it.
    pub(super) fn from<'a>(&'a self, line: &'a u16) -> &'a [u16] {
        let family = self.families.get(line);
        family.map_or(std::slice::from_ref(line), |[_, from]| from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_centre_stand_in_the_order_of_their_epochs_and_apart_from_other_names() {
        let origins = [
            "eu.example/eu/10",
            "eu.example/us/1",
            "eu.example/eu/2",
            "us.example/eu/3",
            "eu.example/eu/9",
        ];
        let origins = origins.map(|line| line.parse::<Origin>().unwrap());
        let lines = Lines::new(origins.iter().zip(0..));
        assert_eq!((lines.upto(&4), lines.from(&4)), (&[2, 4][..], &[4, 0][..]));
        assert_eq!((lines.upto(&0), lines.from(&0)), (&[2, 4, 0][..], &[0][..]));
        for alone in [1, 3, 77] {
            assert_eq!(
                (lines.upto(&alone), lines.from(&alone)),
                (&[alone][..], &[alone][..])
            );
        }
        assert!(continues(&origins[0], &origins[4]) && continues(&origins[4], &origins[4]));
        assert!(!continues(&origins[4], &origins[0]));
        assert!(
            !continues(&origins[0], &origins[3])
                && !continues(&origins[1], &origins[1].next_epoch().unwrap())
        );
    }
}
