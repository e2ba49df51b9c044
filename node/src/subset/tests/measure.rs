//! How fast entries are published and read; run with `--run-ignored only` and optimisation.

use std::time::Instant;

use super::*;

#[test]
#[ignore = "measures, and proves nothing"]
#[expect(clippy::print_stderr, reason = "that is what it is for")]
fn publishing_and_snapshot_rates() {
    for count in [10_000_u64, 100_000] {
        let mut world = World::new();
        world.allow("acme", &[(eu(), 0), (eu(), 1), (eu(), 2)]);
        for n in 0..count / 10_000 {
            world.delta(&eu(), &records(n * 10_000..(n + 1) * 10_000, 4), &[]);
        }
        let began = Instant::now();
        world.round();
        let published = began.elapsed();
        let bound = Bound {
            records: 10_000,
            bytes: 1 << 22,
        };
        let (mut entries, mut bytes, mut cursor) = (0, 0, None);
        let began = Instant::now();
        loop {
            let page = world.feed.changes(&acme(), cursor.as_ref(), bound).unwrap();
            for change in &page.changes {
                if let Change::Pack {
                    section, places, ..
                } = change
                {
                    entries += places.len() as u64;
                    bytes += section.len();
                }
            }
            cursor = Some(page.cursor);
            if !page.more {
                break;
            }
        }
        let read = began.elapsed();
        assert_eq!(entries, count / 4 * 3);
        let began = Instant::now();
        for _ in 0..1_000 {
            world.feed.changes(&acme(), cursor.as_ref(), bound).unwrap();
        }
        let polls = began.elapsed();
        let rate = |count: u64, time: std::time::Duration| count as f64 / time.as_secs_f64();
        let ledger = std::fs::metadata(world.dir.path().join("subset.redb")).unwrap();
        eprintln!(
            "{count} entries: published {:.0}/s; snapshot {:.0}/s, {:.0} MB/s; polls without news {:.0}/s; ledger {} bytes",
            rate(count, published),
            rate(entries, read),
            rate(bytes as u64, read) / 1e6,
            rate(1_000, polls),
            ledger.len(),
        );
    }
}
