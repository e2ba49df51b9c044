//! Against the reference implementation, over pictures that are drawn here.

use serde::Deserialize;

use super::*;

/// Made by `node/tests/vectors/pdq.py`.
const VECTORS: &str = include_str!("../../../tests/vectors/pdq.json");
/// Bits in which a hash may differ from the reference's: the order of additions may move a value over the median.
const BITS_MAX: u32 = 0;

#[derive(Deserialize)]
struct Vectors {
    pictures: Vec<Picture>,
}

#[derive(Deserialize)]
struct Picture {
    width: u64,
    height: u64,
    shapes: u64,
    noise: u64,
    seed: u64,
    hash: String,
    quality: u8,
}

struct Draws(u32);

impl Draws {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        u64::from(self.0 >> 8) % bound
    }
}

/// As `pdq.py` draws it, by whole numbers only.
fn draw(picture: &Picture) -> Vec<[u8; 3]> {
    let (width, height) = (picture.width, picture.height);
    let mut draws = Draws(u32::try_from(picture.seed).unwrap());
    let places = || (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let mut pixels = vec![[0_u64; 3]; usize::try_from(width * height).unwrap()];
    for channel in 0..3 {
        let [a, b, c, d] = std::array::from_fn(|_| draws.below(256));
        for (pixel, (x, y)) in pixels.iter_mut().zip(places()) {
            let sum = a * (width - x) * (height - y) + b * x * (height - y);
            pixel[channel] = (sum + c * (width - x) * y + d * x * y) / (width * height);
        }
    }
    for _ in 0..picture.shapes {
        let is_round = draws.below(2) == 1;
        let (left, top) = (draws.below(width), draws.below(height));
        let (across, down) = (
            draws.below(width / 2 + 1) + 1,
            draws.below(height / 2 + 1) + 1,
        );
        let colour: [u64; 3] = std::array::from_fn(|_| draws.below(256));
        for y in top.saturating_sub(down)..(top + down + 1).min(height) {
            for x in left.saturating_sub(across)..(left + across + 1).min(width) {
                let is_inside = if is_round {
                    let (dx, dy) = (x.abs_diff(left) * down, y.abs_diff(top) * across);
                    dx.pow(2) + dy.pow(2) <= (across * down).pow(2)
                } else {
                    (left..left + across).contains(&x) && (top..top + down).contains(&y)
                };
                if is_inside {
                    pixels[usize::try_from(y * width + x).unwrap()] = colour;
                }
            }
        }
    }
    for (pixel, (x, y)) in pixels.iter_mut().zip(places()) {
        for (channel, value) in (0..).zip(pixel) {
            let mixed = x * 73_856_093 + y * 19_349_663 + channel * 83_492_791;
            let mixed = (mixed + picture.seed * 2_654_435_761) & 0xffff_ffff;
            let mixed = ((mixed ^ (mixed >> 13)) * 1_274_126_177) & 0xffff_ffff;
            *value = (*value + (mixed >> 16) % (picture.noise + 1)).min(255);
        }
    }
    let narrow = |pixel: [u64; 3]| pixel.map(|value| u8::try_from(value).unwrap());
    pixels.into_iter().map(narrow).collect()
}

fn vectors() -> Vec<Picture> {
    let vectors: Vectors = serde_json::from_str(VECTORS).unwrap();
    assert_eq!(vectors.pictures.len(), 60);
    vectors.pictures
}

fn hash(picture: &Picture) -> Pdq {
    let width = usize::try_from(picture.width).unwrap();
    Luma::of_rgb(draw(picture).into_iter(), width).hash()
}

#[test]
fn hashes_and_qualities_are_those_of_the_reference() {
    let mut differing = Vec::new();
    for picture in vectors() {
        let ours = hash(&picture);
        let theirs = hex::decode(&picture.hash).unwrap();
        let pairs = ours.hash.iter().zip(&theirs);
        let bits: u32 = pairs.map(|(a, b)| (a ^ b).count_ones()).sum();
        if bits > BITS_MAX || ours.quality != picture.quality {
            let named = (picture.width, picture.height, picture.seed);
            differing.push((named, bits, ours.quality, picture.quality));
        }
    }
    assert!(differing.is_empty(), "{differing:?}");
}

#[test]
fn flat_and_tiny_pictures_have_no_fingerprint() {
    for (columns, rows) in [(0, 0), (1, 1), (4, 100), (100, 4), (64, 64), (300, 200)] {
        let pixels = std::iter::repeat_n([90, 120, 30], columns * rows);
        let pdq = Luma::of_rgb(pixels, columns).hash();
        assert_eq!(pdq.quality, 0);
        assert!(pdq.fingerprint().is_none(), "{columns} x {rows}");
    }
}

#[test]
fn debug_shows_no_bit() {
    let pdq = Pdq {
        hash: [0xab; 32],
        quality: 77,
    };
    assert_eq!(format!("{pdq:?}"), "Pdq(quality 77)");
}
