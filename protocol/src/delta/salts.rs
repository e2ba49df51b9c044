//! Salts of one class: the leaves of a GGM tree under the class seed.
//!
//! Why: one seed opens a whole class, and a single record can later be punctured out by keeping only the co-path
//! (Goldreich, Goldwasser and Micali, 1986). In scope: expanding. Out of scope: puncturing (`opening`).

use zeroize::Zeroize as _;

use crate::labels::ClassId;

/// The class seed: `BLAKE3.keyed(delta_secret, "hashpact/class" || u16be(class))`.
pub(super) fn class_seed(delta_secret: &[u8; 32], class: ClassId) -> [u8; 32] {
    let mut input = *b"hashpact/class\0\0";
    input[14..].copy_from_slice(&class.0.to_be_bytes());
    *blake3::keyed_hash(delta_secret, &input).as_bytes()
}

/// Calls `each` with the salt of every leaf in order: the first 16 bytes of each leaf's seed.
///
/// A node over `count` leaves splits at the largest power of two below `count`, as RFC 6962 does. O(count) hashes,
/// O(log count) memory.
pub(super) fn for_each_salt(seed: &[u8; 32], count: usize, mut each: impl FnMut(usize, [u8; 16])) {
    // Subtrees still to expand, leftmost last.
    let mut todo: Vec<([u8; 32], usize)> = Vec::with_capacity(20);
    if count > 0 {
        todo.push((*seed, count));
    }
    let mut index = 0;
    while let Some((mut seed, leaves)) = todo.pop() {
        if leaves == 1 {
            let mut salt = [0; 16];
            salt.copy_from_slice(&seed[..16]);
            each(index, salt);
            index += 1;
        } else {
            let split = split(leaves);
            let (left, right) = children(&seed);
            todo.push((right, leaves - split));
            todo.push((left, split));
        }
        seed.zeroize();
    }
}

/// `(L, R)`: the 64-byte output of `BLAKE3.keyed(seed, "G")`.
pub(super) fn children(seed: &[u8; 32]) -> ([u8; 32], [u8; 32]) {
    let mut hasher = blake3::Hasher::new_keyed(seed);
    hasher.update(b"G");
    let mut out = [0; 64];
    hasher.finalize_xof().fill(&mut out);
    let (mut left, mut right) = ([0; 32], [0; 32]);
    left.copy_from_slice(&out[..32]);
    right.copy_from_slice(&out[32..]);
    out.zeroize();
    (left, right)
}

/// The largest power of two below `leaves`, which is at least 2.
pub(super) fn split(leaves: usize) -> usize {
    1 << (usize::BITS - 1 - (leaves - 1).leading_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition, as a recursion that keeps every seed.
    fn by_definition(seed: [u8; 32], count: usize) -> Vec<[u8; 32]> {
        if count == 1 {
            return vec![seed];
        }
        let (left, right) = children(&seed);
        let mut leaves = by_definition(left, split(count));
        leaves.extend(by_definition(right, count - split(count)));
        leaves
    }

    #[test]
    fn salts_are_the_leaves_of_the_tree() {
        for count in [1, 2, 3, 5, 8, 13, 64, 100] {
            let mut got = Vec::new();
            for_each_salt(&[7; 32], count, |index, salt| {
                assert_eq!(index, got.len());
                got.push(salt);
            });
            let want = by_definition([7; 32], count);
            assert_eq!(got.len(), want.len());
            assert!(
                got.iter()
                    .zip(&want)
                    .all(|(salt, leaf)| salt[..] == leaf[..16])
            );
        }
    }

    #[test]
    fn no_leaves_no_salts() {
        for_each_salt(&[7; 32], 0, |_, _| panic!("a salt of nothing"));
    }

    #[test]
    fn classes_have_independent_seeds() {
        assert_ne!(
            class_seed(&[1; 32], ClassId(1)),
            class_seed(&[1; 32], ClassId(256))
        );
    }
}
