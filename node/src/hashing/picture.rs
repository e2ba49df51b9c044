//! The PDQ hash of a picture's file, under bounds on what is decoded.
//!
//! Pictures are hostile: a few hundred bytes may declare a hundred billion pixels. So the declared size is checked before a
//! pixel is decoded, decoders have a limit of memory, and one that panics refuses its file. As the reference does, the first
//! picture of a file is taken as it is stored: transparency, colour profile and orientation are not looked at. In scope:
//! files whose first bytes are those of JPEG, PNG, GIF, WebP, BMP or TIFF; a name is no evidence.

use std::io::{self, BufRead, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::{DynamicImage, ImageDecoder as _, ImageError, ImageReader, Limits};

use super::pdq::{Luma, Pdq};

/// Bytes of a file that is decoded, at most: it is a picture, not a film.
pub const FILE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Pixels at most: those of today's largest camera sensors in common use, and memory stays below a gigabyte.
pub const PIXELS_MAX: u64 = 64_000_000;
/// Columns or rows at most: as many as a JPEG can have.
pub const SIDE_MAX: u32 = 65_535;
/// Bytes that a decoder may take: 64 million pixels of 8 bytes.
const DECODER_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// Why a picture has no hash. Nothing of the picture is repeated.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// Larger than is decoded.
    #[error("{bytes} bytes: no picture beyond {FILE_BYTES_MAX} is decoded")]
    Bytes {
        /// Its bytes.
        bytes: u64,
    },
    /// More pixels than are decoded.
    #[error(
        "{columns} x {rows} pixels: at most {PIXELS_MAX} in all, and {SIDE_MAX} a side, are decoded"
    )]
    Pixels {
        /// Its columns.
        columns: u32,
        /// Its rows.
        rows: u32,
    },
    /// It would take too much memory.
    #[error("decoding it would take more memory than it may")]
    Memory,
    /// It does not decode.
    #[error("the picture does not decode")]
    Damaged,
    /// A kind of picture within a format that is not decoded.
    #[error("a kind of picture that is not decoded")]
    Unsupported,
    /// The machine.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// Hashes the picture of a file with so many bytes; none if it is no picture of a known format.
///
/// # Errors
/// [`PictureError`].
pub fn hash(from: impl BufRead + Seek, bytes: u64) -> Result<Option<Pdq>, PictureError> {
    let mut reader = ImageReader::new(from).with_guessed_format()?;
    if reader.format().is_none() {
        return Ok(None);
    }
    if bytes > FILE_BYTES_MAX {
        return Err(PictureError::Bytes { bytes });
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_MAX);
    limits.max_image_height = Some(SIDE_MAX);
    limits.max_alloc = Some(DECODER_BYTES_MAX);
    reader.limits(limits.clone());
    // Decoders are other people's code on hostile input: a panic is that file's fault and ends nothing else.
    let decoded = catch_unwind(AssertUnwindSafe(|| decode(reader, limits)));
    let picture = decoded.map_err(|_| PictureError::Damaged)??;
    let columns = picture.width() as usize;
    // Nothing is copied of what is in this form already.
    let pixels = picture.into_rgb8();
    let luma = Luma::of_rgb(pixels.pixels().map(|it| it.0), columns);
    drop(pixels);
    Ok(Some(luma.hash()))
}

fn decode(
    reader: ImageReader<impl BufRead + Seek>,
    mut limits: Limits,
) -> Result<DynamicImage, PictureError> {
    let mut decoder = reader.into_decoder().map_err(refused)?;
    let (columns, rows) = decoder.dimensions();
    let is_large = u64::from(columns) * u64::from(rows) > PIXELS_MAX;
    if is_large || columns.max(rows) > SIDE_MAX {
        return Err(PictureError::Pixels { columns, rows });
    }
    limits.reserve(decoder.total_bytes()).map_err(refused)?;
    decoder.set_limits(limits).map_err(refused)?;
    DynamicImage::from_decoder(decoder).map_err(refused)
}

fn refused(error: ImageError) -> PictureError {
    match error {
        ImageError::Limits(_) => PictureError::Memory,
        ImageError::Unsupported(_) => PictureError::Unsupported,
        ImageError::IoError(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            PictureError::Io(error)
        }
        ImageError::IoError(_)
        | ImageError::Decoding(_)
        | ImageError::Encoding(_)
        | ImageError::Parameter(_) => PictureError::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{ImageFormat, RgbImage};

    use super::*;

    fn file(format: ImageFormat, side: u32) -> Vec<u8> {
        let wave = |x: u32, y: u32| u8::try_from((x * 5 + y * y / 9 + x * y / 31) % 256).unwrap();
        let picture = RgbImage::from_fn(side, side, |x, y| {
            image::Rgb([wave(x, y), wave(y, x / 3), wave(x / 2, y)])
        });
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    }

    fn hash_of(bytes: &[u8]) -> Result<Option<Pdq>, PictureError> {
        hash(Cursor::new(bytes), bytes.len() as u64)
    }

    fn distance(a: &Pdq, b: &Pdq) -> u32 {
        let pairs = a.hash.iter().zip(&b.hash);
        pairs.map(|(a, b)| (a ^ b).count_ones()).sum()
    }

    #[test]
    fn the_same_pixels_in_any_lossless_format_have_one_hash() {
        let png = hash_of(&file(ImageFormat::Png, 150)).unwrap().unwrap();
        assert!(png.fingerprint().is_some());
        for format in [ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::WebP] {
            assert_eq!(
                hash_of(&file(format, 150)).unwrap(),
                Some(png),
                "{format:?}"
            );
        }
        let jpeg = hash_of(&file(ImageFormat::Jpeg, 150)).unwrap().unwrap();
        assert!(distance(&png, &jpeg) <= 31);
    }

    #[test]
    fn what_is_no_picture_has_no_hash_and_is_no_fault() {
        for bytes in [&b""[..], b"plain text", b"\x7fELF", b"%PDF-1.7"] {
            assert!(matches!(hash_of(bytes), Ok(None)));
        }
    }

    /// A PNG of 57 bytes that declares 4 billion pixels, and one within the sides but beyond the pixels.
    #[test]
    fn picture_bomb_is_refused_by_its_declared_size() {
        for (columns, rows) in [(65_535_u32, 65_535_u32), (4_000_000_000, 1), (8_001, 8_000)] {
            let mut png = file(ImageFormat::Png, 8);
            png[16..20].copy_from_slice(&columns.to_be_bytes());
            png[20..24].copy_from_slice(&rows.to_be_bytes());
            let crc = crc32(&png[12..29]);
            png[29..33].copy_from_slice(&crc.to_be_bytes());
            let refused = hash_of(&png);
            assert!(
                matches!(
                    refused,
                    Err(PictureError::Pixels { .. } | PictureError::Memory)
                ),
                "{columns} x {rows}: {refused:?}"
            );
        }
    }

    #[test]
    fn file_that_is_too_large_to_be_a_picture_is_not_decoded() {
        let png = file(ImageFormat::Png, 8);
        let refused = hash(Cursor::new(&png), FILE_BYTES_MAX + 1);
        assert!(matches!(refused, Err(PictureError::Bytes { .. })));
    }

    #[test]
    fn picture_that_was_cut_or_changed_anywhere_ends_nothing() {
        let files = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::WebP];
        let files = files.map(|format| file(format, 24)).into_iter();
        for bytes in files.chain([gif()]) {
            for at in (0..bytes.len()).step_by(7) {
                let _ = hash_of(&bytes[..at]);
                let mut changed = bytes.clone();
                changed[at] ^= 0x55;
                let _ = hash_of(&changed);
            }
            assert!(hash_of(&bytes[..bytes.len() / 2]).is_err());
        }
    }

    fn gif() -> Vec<u8> {
        let picture = RgbImage::from_fn(24, 24, |x, y| {
            image::Rgb([x * 9, y * 9, 0].map(|it| u8::try_from(it).unwrap()))
        });
        let mut bytes = Vec::new();
        let mut encoder = image::codecs::gif::GifEncoder::new(&mut bytes);
        let picture = DynamicImage::ImageRgb8(picture).into_rgba8();
        encoder.encode_frame(image::Frame::new(picture)).unwrap();
        drop(encoder);
        bytes
    }

    fn crc32(bytes: &[u8]) -> u32 {
        let mut crc = u32::MAX;
        for byte in bytes {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
            }
        }
        !crc
    }
}
