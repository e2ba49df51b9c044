//! Bars of months and ranges of latency, in SVG.
//!
//! In scope: places, sizes and where there is room for a number. Out of scope: what is counted (`centre`, `witnesses`), how a
//! shape is written (`chart`).

use super::chart::{HALF, LETTER, NARROW, Share, diamond, drawing, label, line, shape};
use super::format::{Value, number};
use super::html::{Attributes, Html};
use super::words::{self, Language};

/// One bar of a row.
pub(super) struct Bar<'a> {
    /// `2026-11`, or `2026` for a year.
    pub(super) name: &'a str,
    pub(super) count: u64,
}

/// A row of bars with their counts above and their names below.
pub(super) fn bars(html: &mut Html, caption: &str, class: &str, bars: &[Bar<'_>]) {
    const TOP: u64 = 18;
    const FOOT: u64 = 98;
    let most = bars.iter().map(|bar| bar.count).max().unwrap_or(0).max(1);
    let count = u64::try_from(bars.len()).unwrap_or(u64::MAX).max(1);
    let room = |width: u64| width / count / LETTER;
    let longest = u64::try_from(number(most, Language::English).len()).unwrap_or(u64::MAX);
    drawing(html, caption, FOOT + 36, |html| {
        let mut year = "";
        for (at, bar) in (0_u64..).zip(bars) {
            let middle = Share::of(2 * at + 1, 2 * count);
            let height =
                u64::try_from(u128::from(bar.count) * u128::from(FOOT - TOP) / u128::from(most))
                    .unwrap_or(0)
                    .max(u64::from(bar.count > 0));
            let attributes: Attributes<'_> = &[
                ("class", class),
                ("x", &Share::of(20 * at + 3, 20 * count).text()),
                ("y", &(FOOT - height).to_string()),
                ("width", &Share::of(14, 20 * count).text()),
                ("height", &height.to_string()),
            ];
            html.inside("rect", attributes, |_| {});
            if room(HALF) >= longest {
                let minor = if room(NARROW) >= longest { "" } else { "minor" };
                let y = (FOOT - height - 5).to_string();
                let place: Attributes<'_> = &[
                    ("x", &middle.text()),
                    ("y", &y),
                    ("text-anchor", "middle"),
                    ("class", minor),
                ];
                html.each("text", place, words::COUNT, &[Value::Count(bar.count)]);
            }
            let (of_year, month) = bar.name.split_once('-').unwrap_or((bar.name, ""));
            let every = count.div_ceil(12);
            if !month.is_empty() && at % every == 0 {
                label(html, "quiet", "middle", (middle, FOOT + 15), month);
            }
            // A year stands once, at its first bar, if its four digits have room.
            if of_year != year && (!month.is_empty() || at % every == 0) {
                let y = if month.is_empty() {
                    FOOT + 15
                } else {
                    FOOT + 30
                };
                label(html, "quiet", "middle", (middle, y), of_year);
                year = of_year;
            }
        }
        line(html, "base", (Share(0), FOOT), (Share(Share::FULL), FOOT));
    });
}

/// Latencies of one witness, in seconds.
pub(super) struct Range<'a> {
    pub(super) name: &'a str,
    pub(super) median: u64,
    pub(super) most: u64,
    pub(super) max: u64,
}

/// A line for each witness from its median to its longest latency, on a scale of powers.
pub(super) fn ranges(html: &mut Html, caption: &str, ranges: &[Range<'_>]) {
    const ROW: u64 = 40;
    const SCALE: [(u64, &str); 6] = [
        (1, "1 s"),
        (60, "1 min"),
        (3_600, "1 h"),
        (6 * 3_600, "6 h"),
        (24 * 3_600, "24 h"),
        (7 * 24 * 3_600, "168 h"),
    ];
    let max = ranges.iter().map(|range| range.max).max().unwrap_or(0);
    let end = SCALE
        .iter()
        .map(|(seconds, _)| *seconds)
        .find(|seconds| *seconds >= max)
        .unwrap_or(max)
        .max(60);
    let at = |seconds: u64| Share::of(fine_log(seconds.max(1)), fine_log(end));
    let foot = ROW * u64::try_from(ranges.len()).unwrap_or(0) + 8;
    drawing(html, caption, foot + 24, |html| {
        for (seconds, name) in SCALE.iter().filter(|(seconds, _)| *seconds <= end) {
            let share = at(*seconds);
            line(html, "grid", (share, 0), (share, foot + 5));
            let anchor = match share.0 {
                0 => "start",
                Share::FULL => "end",
                _ => "middle",
            };
            // Hours stand close together near the right end of a narrow screen.
            let close = *seconds > 3_600 && *seconds < end;
            let class = if close { "quiet minor" } else { "quiet" };
            label(
                html,
                class,
                anchor,
                (share, foot + 20),
                &name.replace(' ', "\u{a0}"),
            );
        }
        for (row, range) in (0_u64..).zip(ranges) {
            let y = row * ROW + 30;
            let place = [("x", "4"), ("y", &*(y - 14).to_string())];
            html.element("text", &place, range.name);
            let [median, most, max] = [range.median, range.most, range.max].map(at);
            line(html, "range", (median, y), (max, y));
            shape(html, "point", (median, y), "M-5-5H5V5H-5z", |_| {});
            shape(html, "range", (most, y), "M0-7V7", |_| {});
            shape(html, "hollow", (max, y), &diamond(5), |_| {});
        }
        line(html, "base", (Share(0), foot), (Share(Share::FULL), foot));
    });
}

/// A binary logarithm in 256ths, straight between powers: exact enough for a place in a drawing.
fn fine_log(value: u64) -> u64 {
    let whole = value.max(1).ilog2();
    let over = u128::from(value) - (1_u128 << whole);
    u64::from(whole) * 256 + u64::try_from((over * 256) >> whole).unwrap_or(0)
}
