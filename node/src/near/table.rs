//! One algorithm's values, sorted, and where to begin a search among them.
//!
//! Digests are spread evenly, so their first bits say nearly where they stand: a directory of one number for about four
//! values leads to a line of the cache, where a binary search ends. Values that somebody chose to begin alike fall into one
//! piece of the directory and cost the logarithm of their number, never more. In scope: memory. Out of scope: files.

/// Values of `W` bytes, ascending, each with the entry that has it; an entry's value may stand there for several entries.
pub(super) struct Sorted<const W: usize> {
    values: Vec<[u8; W]>,
    entries: Vec<u32>,
    /// Where the values begin whose first bits are the place's number; one more at the end.
    directory: Vec<u32>,
    /// How far the first four bytes are shifted to give that number.
    shift: u32,
}

/// The values of an algorithm by their width.
pub(super) enum Table {
    Narrow(Sorted<16>),
    Middle(Sorted<20>),
    Wide(Sorted<32>),
}

impl<const W: usize> Sorted<W> {
    pub(super) fn with_capacity(count: usize) -> Self {
        Self {
            values: Vec::with_capacity(count),
            entries: Vec::with_capacity(count),
            directory: Vec::new(),
            shift: 32,
        }
    }

    /// Takes the next row; `value` has at least `W` bytes.
    fn push(&mut self, value: &[u8; 32], entry: u32) {
        if let Some(value) = value.first_chunk() {
            self.values.push(*value);
            self.entries.push(entry);
        }
    }

    /// Builds the directory, once every row is there.
    fn settle(&mut self) {
        let bits = (self.values.len() / 4).max(1).ilog2().min(26);
        self.shift = 32 - bits;
        self.directory = Vec::with_capacity((1 << bits) + 1);
        self.directory.push(0);
        for (at, value) in (0..).zip(&self.values) {
            let place = self.place(value);
            while self.directory.len() <= place {
                self.directory.push(at);
            }
        }
        let end = self.directory_end();
        self.directory.resize((1 << bits) + 1, end);
    }

    fn directory_end(&self) -> u32 {
        u32::try_from(self.values.len()).unwrap_or(u32::MAX)
    }

    fn place(&self, value: &[u8; W]) -> usize {
        let first = value.first_chunk().map_or(0, |it| u32::from_be_bytes(*it));
        first.checked_shr(self.shift).unwrap_or(0) as usize
    }

    fn find(&self, value: &[u8; W]) -> &[u32] {
        let place = self.place(value);
        let (Some(&from), Some(&to)) = (self.directory.get(place), self.directory.get(place + 1))
        else {
            return &[];
        };
        let (from, to) = (from as usize, to as usize);
        let Some(piece) = self.values.get(from..to) else {
            return &[];
        };
        let first = from + piece.partition_point(|it| it < value);
        let rest = self.values.get(first..to).unwrap_or_default();
        let equal = rest.iter().take_while(|it| *it == value).count();
        self.entries.get(first..first + equal).unwrap_or_default()
    }

    fn bytes(&self) -> usize {
        self.values.len() * (W + 4) + self.directory.len() * 4
    }
}

impl Table {
    pub(super) fn with_capacity(width: usize, count: usize) -> Self {
        match width {
            16 => Self::Narrow(Sorted::with_capacity(count)),
            20 => Self::Middle(Sorted::with_capacity(count)),
            _ => Self::Wide(Sorted::with_capacity(count)),
        }
    }

    /// Takes the next row; rows come ascending.
    pub(super) fn push(&mut self, value: &[u8; 32], entry: u32) {
        match self {
            Self::Narrow(sorted) => sorted.push(value, entry),
            Self::Middle(sorted) => sorted.push(value, entry),
            Self::Wide(sorted) => sorted.push(value, entry),
        }
    }

    pub(super) fn settle(&mut self) {
        match self {
            Self::Narrow(sorted) => sorted.settle(),
            Self::Middle(sorted) => sorted.settle(),
            Self::Wide(sorted) => sorted.settle(),
        }
    }

    /// The entries that have this value, padded as rows are. Two misses of the cache, then O(log of those that begin alike).
    pub(super) fn find(&self, value: &[u8; 32]) -> &[u32] {
        fn cut<const W: usize>(value: &[u8; 32]) -> Option<&[u8; W]> {
            value.first_chunk()
        }
        match self {
            Self::Narrow(sorted) => cut(value).map_or(&[], |value| sorted.find(value)),
            Self::Middle(sorted) => cut(value).map_or(&[], |value| sorted.find(value)),
            Self::Wide(sorted) => cut(value).map_or(&[], |value| sorted.find(value)),
        }
    }

    /// Values of 32 bytes with their entries, in order; none of a narrower table.
    pub(super) fn wide(&self) -> impl Iterator<Item = (&[u8; 32], u32)> {
        let sorted = match self {
            Self::Wide(sorted) => Some(sorted),
            Self::Narrow(_) | Self::Middle(_) => None,
        };
        sorted.into_iter().flat_map(|sorted| {
            let entries = sorted.entries.iter().copied();
            sorted.values.iter().zip(entries)
        })
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Narrow(sorted) => sorted.values.len(),
            Self::Middle(sorted) => sorted.values.len(),
            Self::Wide(sorted) => sorted.values.len(),
        }
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Narrow(sorted) => sorted.bytes(),
            Self::Middle(sorted) => sorted.bytes(),
            Self::Wide(sorted) => sorted.bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(values: &[[u8; 32]]) -> Table {
        let mut table = Table::with_capacity(32, values.len());
        for (entry, value) in (0..).zip(values) {
            table.push(value, entry);
        }
        table.settle();
        table
    }

    fn value(seed: u64) -> [u8; 32] {
        *blake3::hash(&seed.to_le_bytes()).as_bytes()
    }

    #[test]
    fn every_value_is_found_and_no_other() {
        for count in [0, 1, 2, 3, 5, 64, 1_000, 20_000] {
            let mut values: Vec<_> = (0..count).map(value).collect();
            values.sort_unstable();
            let table = table(&values);
            assert_eq!(table.len(), values.len());
            for (entry, value) in (0..).zip(&values) {
                assert_eq!(table.find(value), [entry]);
            }
            for absent in count..count + 100 {
                assert!(table.find(&value(absent)).is_empty());
            }
        }
    }

    #[test]
    fn values_that_were_chosen_to_begin_alike_are_found() {
        let alike = |last: u16| {
            let mut value = [0x5a; 32];
            value[30..].copy_from_slice(&last.to_be_bytes());
            value
        };
        let values: Vec<_> = (0..5_000).map(alike).collect();
        let table = table(&values);
        for (entry, value) in (0..).zip(&values) {
            assert_eq!(table.find(value), [entry]);
        }
        assert!(table.find(&alike(5_000)).is_empty());
    }

    #[test]
    fn a_value_of_several_entries_answers_all_of_them() {
        let values = [value(1); 3];
        assert_eq!(table(&values).find(&values[0]), [0, 1, 2]);
    }

    #[test]
    fn smallest_and_largest_values_stand_at_the_ends() {
        let (low, high) = ([0; 32], [0xff; 32]);
        let mut values: Vec<_> = (0..500).map(value).collect();
        values.extend([low, high]);
        values.sort_unstable();
        let table = table(&values);
        assert_eq!(table.find(&low), [0]);
        assert_eq!(table.find(&high), [501]);
    }
}
