//! How a log grows: tiles, entry bundles, roots and consistency. Spec: C2SP tlog-tiles; RFC 6962 section 2.1.
//!
//! The files of a log are its truth: `tile/<L>/<N>[.p/<W>]` of up to 256 hashes and `tile/entries/<N>[.p/<W>]` of up to
//! 256 leaves, each with a 16-bit length. Growing reads the right edge through [`LogFiles`] and returns the files to write.
//! In scope: paths and bytes. Out of scope: writing them (`store` in the node).

use std::collections::BTreeMap;

use tlog_tiles::{HashReader, Tile, check_tree, prove_tree, stored_hash_index, tree_hash};

use crate::b3::Hash;
use crate::limits;

/// Leaves and hashes per tile: C2SP fixes the height at 8.
const WIDTH: u64 = 256;
const HEIGHT: u8 = 8;
/// Bytes of a hash in a tile.
const HASH_BYTES: u64 = 32;

/// Reads the files of one log.
pub trait LogFiles {
    /// The bytes of a file of the log, by its path below the log's folder; `None` if there is none.
    fn log_file(&self, path: &str) -> Option<Vec<u8>>;
}

impl<F: Fn(&str) -> Option<Vec<u8>>> LogFiles for F {
    fn log_file(&self, path: &str) -> Option<Vec<u8>> {
        self(path)
    }
}

/// A file of a log to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Path below the log's folder.
    pub path: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// What growing a log gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Leaves after.
    pub size: u64,
    /// Root after.
    pub root: Hash,
    /// Files to write.
    pub files: Vec<LogFile>,
}

/// Why reading a tree fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// A tile that the size calls for is missing or of the wrong length.
    #[error("log: a tile of a log of size {size} is missing or damaged")]
    Tile {
        /// The size.
        size: u64,
    },
    /// A bundle that the size calls for is missing or damaged.
    #[error("log: the bundle that holds leaf {index} is missing or damaged")]
    Bundle {
        /// The leaf.
        index: u64,
    },
    /// The sizes of a proof are out of order, or 0.
    #[error("log: no proof from size {from} to size {to}")]
    Sizes {
        /// The smaller size.
        from: u64,
        /// The larger size.
        to: u64,
    },
    /// The proof does not hold.
    #[error("log: size {to} is not shown to continue size {from}")]
    Inconsistent {
        /// The smaller size.
        from: u64,
        /// The larger size.
        to: u64,
    },
}

/// Why growing a log fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// Reading the right edge.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A leaf that no bundle can carry.
    #[error("log: a leaf of {got} bytes, at most {}", limits::LEAF_BYTES)]
    Leaf {
        /// Its length.
        got: usize,
    },
    /// The log is full.
    #[error("log: at most {} leaves", limits::LOG_LEAVES)]
    Full,
}

/// Root of the log without a leaf: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    tlog_tiles::EMPTY_HASH.0
}

/// Hashes of a stored tree of `size` leaves, with those that are being added.
pub(super) struct Hashes<'a, F: LogFiles> {
    files: &'a F,
    size: u64,
    added: BTreeMap<u64, tlog_tiles::Hash>,
}

impl<F: LogFiles> Hashes<'_, F> {
    fn read(&self, index: u64) -> Option<tlog_tiles::Hash> {
        if let Some(hash) = self.added.get(&index) {
            return Some(*hash);
        }
        let tile = Tile::from_index(HEIGHT, index);
        let widest = self.widest(&tile);
        let bytes = self.files.log_file(&tile_path(&widest))?;
        // The crate reads what it needs of a longer file: a tile has the one length that its width calls for.
        let fits = bytes.len() as u64 == u64::from(widest.width()) * HASH_BYTES;
        tile.hash_at_index(&bytes, index).ok().filter(|_| fits)
    }

    /// The tile as it is on disk: partial tiles grow, and only the widest is sure to be there.
    fn widest(&self, tile: &Tile) -> Tile {
        let hashes = self
            .size
            .checked_shr(u32::from(tile.level()) * 8)
            .unwrap_or(0);
        let here = hashes
            .saturating_sub(tile.level_index() * WIDTH)
            .clamp(1, WIDTH);
        let width = u32::try_from(here).unwrap_or(1);
        Tile::new(HEIGHT, tile.level(), tile.level_index(), width, false)
    }
}

impl<F: LogFiles> HashReader for Hashes<'_, F> {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog_tiles::Hash>, tlog_tiles::Error> {
        let read = |index: &u64| self.read(*index).ok_or(tlog_tiles::Error::InvalidTile);
        indexes.iter().map(read).collect()
    }
}

/// Reads the hashes of a stored tree of `size` leaves.
pub(super) fn hashes<F: LogFiles>(files: &F, size: u64) -> Hashes<'_, F> {
    Hashes {
        files,
        size,
        added: BTreeMap::new(),
    }
}

/// Path of a tile below the log's folder.
fn tile_path(tile: &Tile) -> String {
    numbered(
        &tile.level().to_string(),
        tile.level_index(),
        u64::from(tile.width()),
    )
}

/// Path of the bundle of leaves `256 * number` and on, of which there are `width`.
#[must_use]
pub fn bundle_path(number: u64, width: u64) -> String {
    numbered("entries", number, width)
}

fn numbered(level: &str, number: u64, width: u64) -> String {
    let mut path = format!("{:03}", number % 1000);
    let mut rest = number / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    let partial = if width == WIDTH {
        String::new()
    } else {
        format!(".p/{width}")
    };
    format!("tile/{level}/{path}{partial}")
}

/// Grows a log of `size` leaves by `leaves`. O(leaves), and O(log size) reads of the right edge.
///
/// # Errors
/// [`AppendError`].
pub fn grow<F: LogFiles>(
    files: &F,
    size: u64,
    leaves: &[Vec<u8>],
) -> Result<Appended, AppendError> {
    let new_size = size + leaves.len() as u64;
    if new_size > limits::LOG_LEAVES {
        return Err(AppendError::Full);
    }
    let damaged = |_| TreeError::Tile { size };
    let mut tree = hashes(files, size);
    for (n, leaf) in (size..).zip(leaves) {
        if leaf.len() > limits::LEAF_BYTES {
            return Err(AppendError::Leaf { got: leaf.len() });
        }
        let hashes = tlog_tiles::stored_hashes(n, leaf, &tree).map_err(damaged)?;
        tree.added.extend((stored_hash_index(0, n)..).zip(hashes));
    }
    let root = tree_hash(new_size, &tree).map_err(damaged)?.0;
    let mut out = Vec::new();
    for tile in Tile::new_tiles(HEIGHT, size, new_size) {
        let bytes = tile.read_data(&tree).map_err(damaged)?;
        out.push(LogFile {
            path: tile_path(&tile),
            bytes,
        });
    }
    out.extend(bundles(files, size, leaves)?);
    Ok(Appended {
        size: new_size,
        root,
        files: out,
    })
}

fn bundles<F: LogFiles>(
    files: &F,
    size: u64,
    leaves: &[Vec<u8>],
) -> Result<Vec<LogFile>, AppendError> {
    let mut out = Vec::new();
    if leaves.is_empty() {
        return Ok(out);
    }
    let first = size - size % WIDTH;
    let mut bundle = read_leaves(files, size, first, size)?;
    let mut number = size / WIDTH;
    for leaf in leaves {
        bundle.push(leaf.clone());
        if bundle.len() as u64 == WIDTH {
            out.push(LogFile {
                path: bundle_path(number, WIDTH),
                bytes: encode_bundle(&bundle),
            });
            bundle.clear();
            number += 1;
        }
    }
    if !bundle.is_empty() {
        let path = bundle_path(number, bundle.len() as u64);
        out.push(LogFile {
            path,
            bytes: encode_bundle(&bundle),
        });
    }
    Ok(out)
}

/// Leaves with 16-bit lengths, one after the other.
#[must_use]
pub fn encode_bundle(leaves: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(leaves.iter().map(|leaf| leaf.len() + 2).sum());
    for leaf in leaves {
        // Callers have checked the length against LEAF_BYTES.
        bytes.extend_from_slice(&u16::try_from(leaf.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend_from_slice(leaf);
    }
    bytes
}

/// Reads a bundle back; `None` unless the bytes are whole leaves.
#[must_use]
pub fn decode_bundle(mut bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut leaves = Vec::new();
    while !bytes.is_empty() {
        let (len, rest) = bytes.split_first_chunk::<2>()?;
        let (leaf, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        leaves.push(leaf.to_vec());
        bytes = rest;
    }
    Some(leaves)
}

/// Leaves `from..to` of a log that has `size` of them.
///
/// # Errors
/// [`TreeError::Bundle`] naming a leaf that cannot be read.
pub fn read_leaves<F: LogFiles>(
    files: &F,
    size: u64,
    from: u64,
    to: u64,
) -> Result<Vec<Vec<u8>>, TreeError> {
    let mut leaves = Vec::new();
    let mut next = from;
    while next < to {
        let number = next / WIDTH;
        let start = number * WIDTH;
        let width = (size - start).min(WIDTH);
        let error = TreeError::Bundle { index: next };
        let bytes = files
            .log_file(&bundle_path(number, width))
            .ok_or_else(|| error.clone())?;
        let bundle = decode_bundle(&bytes).filter(|bundle| bundle.len() as u64 == width);
        let bundle = bundle.ok_or(error)?;
        let end = (start + width).min(to);
        let within = |n: u64| usize::try_from(n - start).unwrap_or(usize::MAX);
        leaves.extend_from_slice(bundle.get(within(next)..within(end)).unwrap_or_default());
        next = end;
    }
    Ok(leaves)
}

/// Root of the first `at` leaves of a log that has `size` of them.
///
/// # Errors
/// [`TreeError::Tile`].
pub fn root_at<F: LogFiles>(files: &F, size: u64, at: u64) -> Result<Hash, TreeError> {
    let root = tree_hash(at, &hashes(files, size)).map_err(|_| TreeError::Tile { size })?;
    Ok(root.0)
}

/// The partial tiles and the partial bundle that a checkpoint of size `at` calls for, out of a log that has `size` leaves
/// stored. Growing by several leaves writes those of the last size only.
///
/// # Errors
/// [`TreeError`] if a wider file is missing or damaged.
pub fn edge<F: LogFiles>(files: &F, size: u64, at: u64) -> Result<Vec<LogFile>, TreeError> {
    let (stored, mut out) = (hashes(files, size), Vec::new());
    for level in 0..8_u8 {
        let count = at >> (u32::from(level) * 8);
        let width = u32::try_from(count % WIDTH).unwrap_or(0);
        if width == 0 {
            continue;
        }
        let tile = Tile::new(HEIGHT, level, count / WIDTH, width, false);
        let wider = files.log_file(&tile_path(&stored.widest(&tile)));
        let bytes = wider.and_then(|bytes| bytes.get(..width as usize * 32).map(<[u8]>::to_vec));
        out.push(LogFile {
            path: tile_path(&tile),
            bytes: bytes.ok_or(TreeError::Tile { size })?,
        });
    }
    let first = at - at % WIDTH;
    if first < at {
        let leaves = read_leaves(files, size, first, at)?;
        out.push(LogFile {
            path: bundle_path(at / WIDTH, at - first),
            bytes: encode_bundle(&leaves),
        });
    }
    Ok(out)
}

/// Proves that the first `to` leaves of a stored log of `size` continue its first `from`. O(log size) hashes.
///
/// # Errors
/// [`TreeError`]; `from` is at least 1 and at most `to`, `to` at most `size`.
pub fn consistency_proof<F: LogFiles>(
    files: &F,
    size: u64,
    from: u64,
    to: u64,
) -> Result<Vec<Hash>, TreeError> {
    if from == 0 || from > to || to > size {
        return Err(TreeError::Sizes { from, to });
    }
    let proof = prove_tree(to, from, &hashes(files, size)).map_err(|_| TreeError::Tile { size })?;
    Ok(proof.into_iter().map(|hash| hash.0).collect())
}

/// Checks that the tree of `to` leaves with root `to_root` continues the one of `from` leaves with root `from_root`.
/// The empty tree is continued by every tree, with an empty proof.
///
/// # Errors
/// [`TreeError::Sizes`] or [`TreeError::Inconsistent`].
pub fn check_consistency(
    proof: &[Hash],
    (from, from_root): (u64, &Hash),
    (to, to_root): (u64, &Hash),
) -> Result<(), TreeError> {
    if from > to || to > limits::LOG_LEAVES || proof.len() > 64 {
        return Err(TreeError::Sizes { from, to });
    }
    let inconsistent = TreeError::Inconsistent { from, to };
    if from == 0 || from == to {
        let root_holds = if from == 0 {
            *from_root == empty_root()
        } else {
            from_root == to_root
        };
        let holds = proof.is_empty() && root_holds;
        return if holds { Ok(()) } else { Err(inconsistent) };
    }
    let proof = proof.iter().map(|hash| tlog_tiles::Hash(*hash)).collect();
    let (from_root, to_root) = (tlog_tiles::Hash(*from_root), tlog_tiles::Hash(*to_root));
    check_tree(&proof, to, to_root, from, from_root).map_err(|_| inconsistent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};
    use std::cell::RefCell;

    /// RFC 6962 section 2.1, as written there: an oracle that shares nothing with the tiles.
    fn by_definition(leaves: &[Vec<u8>]) -> Hash {
        match leaves {
            [] => Sha256::digest([]).into(),
            [leaf] => Sha256::new()
                .chain_update([0])
                .chain_update(leaf)
                .finalize()
                .into(),
            _ => {
                let split = 1 << (usize::BITS - 1 - (leaves.len() - 1).leading_zeros());
                let (left, right) = leaves.split_at(split);
                let hash = Sha256::new()
                    .chain_update([1])
                    .chain_update(by_definition(left));
                hash.chain_update(by_definition(right)).finalize().into()
            }
        }
    }

    #[derive(Default)]
    struct Disk(RefCell<BTreeMap<String, Vec<u8>>>);

    impl LogFiles for Disk {
        fn log_file(&self, path: &str) -> Option<Vec<u8>> {
            self.0.borrow().get(path).cloned()
        }
    }

    fn leaf(n: u64) -> Vec<u8> {
        n.to_be_bytes().repeat(1 + usize::try_from(n % 3).unwrap())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn growing_in_steps_equals_the_definition(steps in prop::collection::vec(0_u64..150, 1..9)) {
            let disk = Disk::default();
            let mut leaves = Vec::new();
            let mut roots = vec![(0, empty_root())];
            for step in steps {
                let size = leaves.len() as u64;
                let new: Vec<_> = (size..size + step).map(leaf).collect();
                let appended = grow(&disk, size, &new).unwrap();
                leaves.extend(new);
                prop_assert_eq!(appended.root, by_definition(&leaves));
                let files = appended.files.into_iter().map(|f| (f.path, f.bytes));
                disk.0.borrow_mut().extend(files);
                roots.push((appended.size, appended.root));
            }
            let (size, root) = *roots.last().unwrap();
            prop_assert_eq!(read_leaves(&disk, size, 0, size).unwrap(), leaves);
            for (from, from_root) in &roots[1..] {
                if *from == 0 { continue; }
                let proof = consistency_proof(&disk, size, *from, size).unwrap();
                prop_assert_eq!(check_consistency(&proof, (*from, from_root), (size, &root)), Ok(()));
                prop_assert_eq!(root_at(&disk, size, *from).unwrap(), *from_root);
                let mut other = *from_root;
                other[0] ^= 1;
                prop_assert!(check_consistency(&proof, (*from, &other), (size, &root)).is_err());
            }
        }
    }

    /// A log that grew at once has on disk, for any earlier size, what growing to that size would have written.
    #[test]
    fn the_edge_of_an_earlier_size_is_what_growing_there_writes() {
        for size in [1, 2, 200, 256, 257, 700] {
            let disk = Disk::default();
            let leaves: Vec<_> = (0..size).map(leaf).collect();
            let appended = grow(&disk, 0, &leaves).unwrap();
            let files = appended.files.into_iter().map(|f| (f.path, f.bytes));
            disk.0.borrow_mut().extend(files);
            for at in (1..=size).step_by(37) {
                let within = usize::try_from(at).unwrap();
                let grown = grow(&Disk::default(), 0, &leaves[..within]).unwrap();
                let partial = |file: &LogFile| file.path.contains(".p/");
                let wanted: Vec<_> = grown.files.into_iter().filter(partial).collect();
                let mut edge = edge(&disk, size, at).unwrap();
                edge.sort_by(|a, b| a.path.cmp(&b.path));
                let mut wanted = wanted;
                wanted.sort_by(|a, b| a.path.cmp(&b.path));
                assert_eq!(edge, wanted, "{at} of {size}");
            }
        }
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        assert_eq!(bundle_path(1_234_067, 256), "tile/entries/x001/x234/067");
        assert_eq!(tile_path(&Tile::new(8, 0, 0, 1, false)), "tile/0/000.p/1");
        assert_eq!(
            tile_path(&Tile::new(8, 2, 1000, 256, false)),
            "tile/2/x001/000"
        );
    }

    #[test]
    fn proof_of_absurd_size_is_refused_without_work() {
        let (a, b) = ([1; 32], [2; 32]);
        let sizes = |from, to| TreeError::Sizes { from, to };
        assert_eq!(check_consistency(&[], (5, &a), (3, &b)), Err(sizes(5, 3)));
        let absurd = u64::MAX;
        assert_eq!(
            check_consistency(&[], (5, &a), (absurd, &b)),
            Err(sizes(5, absurd))
        );
        assert_eq!(
            check_consistency(&vec![a; 65], (5, &a), (9, &b)),
            Err(sizes(5, 9))
        );
    }

    #[test]
    fn torn_bundle_is_refused() {
        let whole = encode_bundle(&[leaf(1), leaf(2)]);
        assert_eq!(decode_bundle(&whole).unwrap().len(), 2);
        assert_eq!(decode_bundle(&whole[..whole.len() - 1]), None);
    }
}
