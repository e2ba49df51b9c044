//! PDQ: a perceptual hash of 256 bits, and how much there was to hash.
//!
//! ```text
//! luminance 0.299 R + 0.587 G + 0.114 B
//!   -> two box filters along rows and columns, each as wide as a 128th of the picture (a tent together)
//!   -> 64 x 64 samples                                                   -> quality, from their differences
//!   -> 16 x 16 of the cosine transform, without its constant terms       -> bit: above the median of the 256
//! ```
//!
//! Why our own: the one crate that has it brings image decoders of 2021 ([ADR 0027](../../../docs/adr/0027-pdq.md)). Source: Meta,
//! "The TMK+PDQF video-hashing algorithm and the PDQ image-hashing algorithm" (`hashing.pdf`), sections on PDQ. Arithmetic
//! is in 32 bits as there: the vectors of PyPI `pdqhash` 0.2.8 agree in every bit
//! (`node/tests/vectors/pdq.json`). In scope: pixels. Out of scope: files (`picture`).

use hashpact_protocol::fingerprint::{Algorithm, Fingerprint};

/// Rows and columns that are sampled.
const SAMPLES: usize = 64;
/// Rows and columns of the transform that are kept.
const KEPT: usize = 16;
/// How often the box filter passes.
const PASSES: usize = 2;
/// Fewer rows or columns say nothing.
const SIDE_MIN: usize = 5;
/// Below this quality Meta's description advises not to match: flat pictures are all alike.
pub const QUALITY_MIN: u8 = 50;

/// A hash with its quality.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pdq {
    /// The first bit is the highest of the first byte.
    pub hash: [u8; 32],
    /// 0 to 100.
    pub quality: u8,
}

/// Luminance, row by row.
pub struct Luma {
    values: Vec<f32>,
    columns: usize,
    rows: usize,
}

impl Pdq {
    /// The fingerprint, if it may be matched: none of a picture that is nearly flat.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        let is_good = self.quality >= QUALITY_MIN;
        let fingerprint = Fingerprint::new(Algorithm::Pdq, &self.hash).ok();
        fingerprint.filter(|_| is_good)
    }
}

impl std::fmt::Debug for Pdq {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pdq(quality {})", self.quality)
    }
}

impl Luma {
    /// Of red, green and blue bytes, pixel by pixel, `columns` to a row.
    #[must_use]
    pub fn of_rgb(pixels: impl Iterator<Item = [u8; 3]>, columns: usize) -> Self {
        let luma = |[red, green, blue]: [u8; 3]| {
            let [red, green, blue] = [red, green, blue].map(f64::from);
            narrow(red * 0.299 + green * 0.587 + blue * 0.114)
        };
        let values: Vec<f32> = pixels.map(luma).collect();
        Self {
            rows: values.len().checked_div(columns).unwrap_or(0),
            values,
            columns,
        }
    }

    /// Hashes it. O(pixels); the picture is smoothed in place.
    #[must_use]
    pub fn hash(mut self) -> Pdq {
        if self.rows < SIDE_MIN || self.columns < SIDE_MIN {
            return Pdq {
                hash: [0; 32],
                quality: 0,
            };
        }
        for _ in 0..PASSES {
            self.smooth_rows();
            self.smooth_columns();
        }
        let samples = self.samples();
        let kept = transform(&samples);
        Pdq {
            hash: bits(&kept),
            quality: quality(&samples),
        }
    }

    fn smooth_rows(&mut self) {
        let window = window(self.columns);
        let mut before = vec![0.0; self.columns];
        for row in self.values.chunks_exact_mut(self.columns) {
            before.copy_from_slice(row);
            let mut sum = Sliding::default();
            for step in steps(self.columns, window) {
                if let Some(at) = step.enters {
                    sum.enter(before[at]);
                }
                if let Some(at) = step.leaves {
                    sum.leave(before[at]);
                }
                if let Some(at) = step.writes {
                    row[at] = sum.mean();
                }
            }
        }
    }

    /// As for rows, for all columns at once: only rows that are still in the window are kept as they were.
    fn smooth_columns(&mut self) {
        let (window, columns) = (window(self.rows), self.columns);
        let mut sums = vec![Sliding::default(); columns];
        let mut before = vec![0.0; (window + 1) * columns];
        let kept = |row: usize| row % (window + 1) * columns..(row % (window + 1) + 1) * columns;
        for step in steps(self.rows, window) {
            if let Some(row) = step.enters {
                let values = &self.values[row * columns..(row + 1) * columns];
                before[kept(row)].copy_from_slice(values);
                for (sum, value) in sums.iter_mut().zip(values) {
                    sum.enter(*value);
                }
            }
            if let Some(row) = step.leaves {
                for (sum, value) in sums.iter_mut().zip(&before[kept(row)]) {
                    sum.leave(*value);
                }
            }
            if let Some(row) = step.writes {
                let values = &mut self.values[row * columns..(row + 1) * columns];
                for (value, sum) in values.iter_mut().zip(&sums) {
                    *value = sum.mean();
                }
            }
        }
    }

    /// The middles of 64 x 64 fields.
    fn samples(&self) -> [[f32; SAMPLES]; SAMPLES] {
        let middle = |number: usize, side: usize| (2 * number + 1) * side / (2 * SAMPLES);
        std::array::from_fn(|row| {
            let first = middle(row, self.rows) * self.columns;
            std::array::from_fn(|column| self.values[first + middle(column, self.columns)])
        })
    }
}

/// A sum over a window that slides, in the order of the reference: what enters is added before what leaves is taken away.
#[derive(Clone, Copy, Default)]
struct Sliding {
    sum: f32,
    count: u16,
}

impl Sliding {
    fn enter(&mut self, value: f32) {
        self.sum += value;
        self.count += 1;
    }

    fn leave(&mut self, value: f32) {
        self.sum -= value;
        self.count -= 1;
    }

    fn mean(self) -> f32 {
        self.sum / f32::from(self.count)
    }
}

/// What a window does at one step.
struct Step {
    enters: Option<usize>,
    leaves: Option<usize>,
    writes: Option<usize>,
}

/// How a window of a width slides over a side: it grows at the beginning and shrinks at the end.
fn steps(side: usize, window: usize) -> impl Iterator<Item = Step> {
    // Values ahead of the one that is written.
    let ahead = window.midpoint(2) - 1;
    (0..side + ahead).map(move |step| Step {
        enters: (step < side).then_some(step),
        leaves: step.checked_sub(window),
        writes: step.checked_sub(ahead),
    })
}

fn window(side: usize) -> usize {
    side.div_ceil(2 * SAMPLES)
}

/// The sum of the differences of neighbours, in hundredths of the full range.
fn quality(samples: &[[f32; SAMPLES]; SAMPLES]) -> u8 {
    let step = |a: f32, b: f32| ((a - b) * 100.0 / 255.0).trunc().abs();
    let across = samples
        .iter()
        .flat_map(|row| row.windows(2).map(|it| step(it[0], it[1])));
    let down = samples.windows(2).flat_map(|rows| {
        let pairs = rows[0].iter().zip(&rows[1]);
        pairs.map(|(a, b)| step(*a, *b))
    });
    // Whole numbers, at most 8,064 times 100: exact in 32 bits.
    let sum: f32 = across.chain(down).sum();
    whole((sum / 90.0).floor().min(100.0))
}

/// 16 x 16 of the two-dimensional cosine transform of 64 x 64, from the second row and column on.
fn transform(samples: &[[f32; SAMPLES]; SAMPLES]) -> [[f32; KEPT]; KEPT] {
    let scale = (2.0_f64 / 64.0).sqrt();
    let waves: [[f32; SAMPLES]; KEPT] = std::array::from_fn(|wave| {
        std::array::from_fn(|at| {
            let turn = std::f64::consts::PI / 128.0 * real(wave + 1) * real(2 * at + 1);
            narrow(f64::from(narrow(scale)) * turn.cos())
        })
    });
    let half: [[f32; SAMPLES]; KEPT] = std::array::from_fn(|wave| {
        std::array::from_fn(|column| {
            let pairs = waves[wave].iter().zip(samples);
            pairs.fold(0.0, |sum, (wave, row)| sum + wave * row[column])
        })
    });
    std::array::from_fn(|row| {
        std::array::from_fn(|column| {
            let pairs = half[row].iter().zip(&waves[column]);
            pairs.fold(0.0, |sum, (half, wave)| sum + half * wave)
        })
    })
}

/// The last row and column come first, as the reference prints them.
fn bits(kept: &[[f32; KEPT]; KEPT]) -> [u8; 32] {
    let values = kept.as_flattened();
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let median = sorted[(KEPT * KEPT - 1) / 2];
    let mut hash = [0; 32];
    for (at, value) in values.iter().rev().enumerate() {
        if *value > median {
            hash[at / 8] |= 0x80 >> (at % 8);
        }
    }
    hash
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the reference works in 32 bits"
)]
fn narrow(value: f64) -> f32 {
    value as f32
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "0 to 100"
)]
fn whole(value: f32) -> u8 {
    value as u8
}

fn real(value: usize) -> f64 {
    u16::try_from(value).map_or(0.0, f64::from)
}

#[cfg(test)]
mod tests;
