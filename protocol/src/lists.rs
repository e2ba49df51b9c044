//! Closed lists and sets of their values: the vocabulary of every label.
//!
//! Why: an unknown value must be refused, and a label that is uncertain must hold *every* value that it could have
//! (domain: "unknown means everything it could mean"). A set of a closed list is a small bit set, so that equality and
//! encoding are exact. Spec: `docs/protocol.md`, "Labels". In scope: names, bits. Out of scope: which list means what
//! (`labels`, `record`).

use std::fmt;
use std::marker::PhantomData;

/// A closed list: at most 16 values, each with a stable bit and a stable name.
pub trait ClosedList: Copy + Eq + 'static {
    /// Every value with its name, in the order of the bits from 0.
    const VALUES: &'static [(Self, &'static str)];

    /// The bit of this value, 0 to 15.
    fn bit(self) -> u8;

    /// The stable name of this value.
    fn name(self) -> &'static str {
        Self::VALUES
            .iter()
            .find(|(value, _)| *value == self)
            .map_or("", |(_, name)| name)
    }

    /// The value with this bit.
    fn from_bit(bit: u64) -> Option<Self> {
        let index = usize::try_from(bit).ok()?;
        Self::VALUES.get(index).map(|(value, _)| *value)
    }

    /// The value with this name.
    fn from_name(name: &str) -> Option<Self> {
        Self::VALUES
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(value, _)| *value)
    }
}

/// A set of values of one closed list.
#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Set<T> {
    bits: u16,
    list: PhantomData<T>,
}

impl<T> Clone for Set<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Set<T> {}

impl<T: ClosedList> Set<T> {
    /// The set of all values: what "unknown" means for a label that could be anything.
    #[must_use]
    pub fn full() -> Self {
        let bits = T::VALUES
            .iter()
            .fold(0, |bits, (value, _)| bits | 1 << value.bit());
        Self {
            bits,
            list: PhantomData,
        }
    }

    /// The empty set: what "unknown" means for something that must be granted.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            bits: 0,
            list: PhantomData,
        }
    }

    /// The set of these values.
    #[must_use]
    pub fn of(values: &[T]) -> Self {
        let bits = values.iter().fold(0, |bits, value| bits | 1 << value.bit());
        Self {
            bits,
            list: PhantomData,
        }
    }

    /// The set with these bits; `None` if a bit stands for no value.
    #[must_use]
    pub fn from_bits(bits: u64) -> Option<Self> {
        let bits = u16::try_from(bits).ok()?;
        (bits & !Self::full().bits == 0).then_some(Self {
            bits,
            list: PhantomData,
        })
    }

    /// The bits, bit `n` for the value with that number.
    #[must_use]
    pub fn bits(self) -> u16 {
        self.bits
    }

    /// Whether the value is in the set.
    #[must_use]
    pub fn contains(self, value: T) -> bool {
        self.bits & (1 << value.bit()) != 0
    }

    /// Whether no value is in the set.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.bits == 0
    }

    /// The values that are in either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            bits: self.bits | other.bits,
            list: PhantomData,
        }
    }

    /// The values that are in both sets.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self {
            bits: self.bits & other.bits,
            list: PhantomData,
        }
    }

    /// Whether no value is in both sets.
    #[must_use]
    pub fn is_disjoint(self, other: Self) -> bool {
        self.bits & other.bits == 0
    }

    /// Whether every value of this set is in the other one too.
    #[must_use]
    pub fn is_subset(self, of: Self) -> bool {
        self.bits & !of.bits == 0
    }

    /// Whether every value of the list is in the set.
    #[must_use]
    pub fn is_full(self) -> bool {
        self == Self::full()
    }

    /// The names of the values, in the order of the list.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        T::VALUES
            .iter()
            .filter(move |(value, _)| self.contains(*value))
            .map(|(_, name)| *name)
    }
}

impl<T: ClosedList> fmt::Debug for Set<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Declares a closed list: an enum whose discriminants are its bits, with the names that files and people use.
macro_rules! closed_list {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $value:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $value),+ }

        impl $crate::lists::ClosedList for $name {
            const VALUES: &'static [(Self, &'static str)] = &[$((Self::$value, $text)),+];
            fn bit(self) -> u8 { self as u8 }
        }
    };
}
pub(crate) use closed_list;

#[cfg(test)]
#[expect(unreachable_pub, reason = "the macro makes public lists")]
mod tests {
    use super::*;

    closed_list! {
        /// Three colours.
        Colour {
            /// Red.
            Red = "red",
            /// Green.
            Green = "green",
            /// Blue.
            Blue = "blue",
        }
    }

    #[test]
    fn unknown_bit_is_refused() {
        assert_eq!(Set::<Colour>::from_bits(0b1000), None);
        assert_eq!(Set::<Colour>::from_bits(1 << 40), None);
        assert_eq!(
            Set::<Colour>::from_bits(0b101),
            Some(Set::of(&[Colour::Red, Colour::Blue]))
        );
    }

    #[test]
    fn names_and_bits_agree() {
        for (bit, (value, name)) in Colour::VALUES.iter().enumerate() {
            assert_eq!(Colour::from_name(name), Some(*value));
            assert_eq!(Colour::from_bit(bit as u64), Some(*value));
            assert_eq!(value.name(), *name);
        }
        assert_eq!(Colour::from_name("Red"), None);
        let (warm, cold) = (Set::of(&[Colour::Red]), Set::of(&[Colour::Blue]));
        assert!(warm.is_disjoint(cold) && !warm.is_subset(cold));
        assert!(!warm.is_disjoint(Set::full()) && warm.is_subset(Set::full()));
        assert!(!Set::<Colour>::full().is_subset(warm) && Set::empty().is_subset(warm));
        assert!(Set::<Colour>::full().is_full());
    }
}
