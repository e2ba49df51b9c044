//! Bytes and time of match segments: tags packed and read again, beside the same tags as plain bytes.
//!
//! `cargo run --release -p hashpact-protocol --example match_segments`
#![expect(
    clippy::disallowed_types,
    clippy::print_stdout,
    reason = "a measurement needs a clock and says what it found"
)]

use std::error::Error;
use std::time::Instant;

use hashpact_protocol::policy::MatchMode;
use hashpact_protocol::psi::{
    Epoch, GroupId, SegmentPlace, SegmentTags, Space, Tag, TagBits, Tagger, encode,
};

fn main() -> Result<(), Box<dyn Error>> {
    let space = Space {
        origin: "eu.example/eu/1".parse()?,
        epoch: Epoch(0),
        group: GroupId(0),
        kind: 3,
        mode: MatchMode::Items,
    };
    // An artifact of a million items, and deltas of it.
    let bits = TagBits::of(1_000_000);
    for count in [1_000_u64, 100_000, 1_000_000] {
        let mut tagger = Tagger::new(&space, None, bits);
        let began = Instant::now();
        let mut tags: Vec<Tag> = (0..count)
            .map(|n| tagger.tag(blake3::hash(&n.to_le_bytes()).as_bytes()))
            .collect();
        let tagging = began.elapsed();
        let began = Instant::now();
        tags.sort_unstable();
        tags.dedup();
        let sorting = began.elapsed();
        let place = SegmentPlace::new(&space, None, 0);
        let began = Instant::now();
        let segment = encode(&place, bits, &tags, &[])?;
        let encoding = began.elapsed();
        let mut read = Vec::with_capacity(tags.len());
        let mut chunk_tags = Vec::new();
        let began = Instant::now();
        let mut reader = SegmentTags::new(&place, bits, &segment.row);
        for chunk in &segment.chunks {
            reader.chunk(chunk, &mut chunk_tags)?;
            read.extend_from_slice(&chunk_tags);
        }
        reader.finish()?;
        let decoding = began.elapsed();
        assert!(read == tags, "what was packed is what is read");
        let each = |of: std::time::Duration| of.as_nanos() as f64 / count as f64;
        let bytes = segment.row.bytes as f64 / count as f64;
        let plain = f64::from(bits.get()) / 8.0;
        println!(
            "{count} tags of {} bits: {bytes:.3} B/item in {} chunks, plain {plain:.3}; ns/item: tag {:.0}, sort {:.0}, \
             encode and hash {:.1}, decode and hash {:.1}",
            bits.get(),
            segment.row.chunks,
            each(tagging),
            each(sorting),
            each(encoding),
            each(decoding),
        );
    }
    Ok(())
}
