//! Drawings in SVG: the shapes, and the timeline of a log.
//!
//! Why: shapes tell what colours only repeat, so that a page printed in grey or read by somebody who does not see red says the
//! same. Spec: SVG 2. In scope: places and sizes. Places across are in hundredths of the width and heights in pixels: then a
//! drawing fits any screen and its letters keep their size. Out of scope: what is counted (`timeline`), colours
//! (`report.css`), bars and ranges (`bars`).

use super::format::{DAY, Value, date, day, month_start};
use super::html::{Attributes, Html};
use super::timeline::{Mark, Span, Timeline};
use super::words::{self, Language, Text};

/// Letters of 12 pixels are about this wide.
pub(super) const LETTER: u64 = 7;
/// Widths in pixels for which a drawing decides what it can write.
const WIDE: u64 = 900;
pub(super) const HALF: u64 = 430;
pub(super) const NARROW: u64 = 310;

const LANE_DELTAS: u64 = 16;
const LANE_RETRACTIONS: u64 = 76;
const LANE_CHECKPOINTS: u64 = 128;
const AXIS: u64 = 172;

/// Hundredths of a percent of a width.
#[derive(Clone, Copy)]
pub(super) struct Share(pub(super) u64);

impl Share {
    pub(super) const FULL: u64 = 10_000;

    pub(super) fn of(part: u64, whole: u64) -> Self {
        let share = u128::from(part) * u128::from(Self::FULL) / u128::from(whole.max(1));
        Self(u64::try_from(share).map_or(Self::FULL, |share| share.min(Self::FULL)))
    }

    fn at(at: u64, span: Span) -> Self {
        Self::of(at.saturating_sub(span.from), span.to - span.from)
    }

    pub(super) fn text(self) -> String {
        format!("{}.{:02}%", self.0 / 100, self.0 % 100)
    }
}

/// A drawing whose text alternative is the element with id `caption`.
pub(super) fn drawing(
    html: &mut Html,
    caption: &str,
    height: u64,
    content: impl FnOnce(&mut Html),
) {
    let height = height.to_string();
    let attributes: Attributes<'_> = &[
        ("role", "img"),
        ("aria-labelledby", caption),
        ("height", &height),
    ];
    html.inside("svg", attributes, content);
}

pub(super) fn line(html: &mut Html, class: &str, from: (Share, u64), to: (Share, u64)) {
    let attributes: Attributes<'_> = &[
        ("class", class),
        ("x1", &from.0.text()),
        ("y1", &from.1.to_string()),
        ("x2", &to.0.text()),
        ("y2", &to.1.to_string()),
    ];
    html.inside("line", attributes, |_| {});
}

/// A path around the origin, moved to a place.
pub(super) fn shape(
    html: &mut Html,
    class: &str,
    at: (Share, u64),
    path: &str,
    title: impl FnOnce(&mut Html),
) {
    let place: Attributes<'_> = &[
        ("x", &at.0.text()),
        ("y", &at.1.to_string()),
        ("overflow", "visible"),
    ];
    html.inside("svg", place, |html| {
        html.inside("path", &[("class", class), ("d", path)], title);
    });
}

pub(super) fn label(html: &mut Html, class: &str, anchor: &str, at: (Share, u64), text: &str) {
    let attributes: Attributes<'_> = &[
        ("class", class),
        ("x", &at.0.text()),
        ("y", &at.1.to_string()),
        ("text-anchor", anchor),
    ];
    html.element("text", attributes, text);
}

/// What a pointer that rests on a mark is told, in both languages.
fn hint(html: &mut Html, when: &str, text: Text, value: Value<'_>) {
    let said = Language::ALL.map(|language| text.fill(language, &[value]));
    html.element("title", &[], &format!("{when} · {}", said.join(" · ")));
}

pub(super) fn diamond(radius: u64) -> String {
    format!("M0-{radius}L{radius} 0L0 {radius}L-{radius} 0z")
}

/// How large a mark for `count` is: `least` for one, `step` more for each doubling, as counts span powers of ten.
fn grade(count: u64, least: u64, step: u64, most: u64) -> u64 {
    (least + u64::from(count.max(1).ilog2()) * step).min(most)
}

/// The timeline of one log. The axis is the same for every log of the page.
pub(super) fn timeline(html: &mut Html, caption: &str, line_of: &Timeline, span: Span) {
    drawing(html, caption, AXIS + 26, |html| {
        silences(html, line_of, span);
        months_axis(html, span);
        for (lane, text) in [
            (LANE_DELTAS, words::LANE_DELTAS),
            (LANE_RETRACTIONS, words::LANE_RETRACTIONS),
            (LANE_CHECKPOINTS, words::LANE_CHECKPOINTS),
        ] {
            let y = (lane - 4).to_string();
            html.each(
                "text",
                &[("x", "4"), ("y", &y), ("class", "quiet")],
                text,
                &[],
            );
        }
        grown(html, line_of, span);
        // Where they are many they are small, so that each is seen.
        let most = match line_of.retracted.len() {
            0..=24 => 14,
            25..=60 => 8,
            _ => 4,
        };
        for mark in &line_of.retracted {
            let place = (Share::at(mark.at, span), LANE_RETRACTIONS + 17);
            let path = diamond(grade(mark.count, 4, 1, most));
            // The result knows the month of a retraction, and a slice is no finer.
            let when = when(mark, line_of, 7);
            shape(html, "diamond", place, &path, |html| {
                hint(
                    html,
                    &when,
                    words::MARK_RETRACTIONS,
                    Value::Count(mark.count),
                );
            });
        }
        checkpoints(html, line_of, span);
    });
}

fn when(mark: &Mark, line_of: &Timeline, letters: usize) -> String {
    let day = day(mark.at);
    match line_of.slice {
        Some(_) => format!("≈ {day}"),
        None => day.chars().take(letters).collect(),
    }
}

fn silences(html: &mut Html, line_of: &Timeline, span: Span) {
    for silence in &line_of.silences {
        let (from, to) = (
            Share::at(silence.span.from, span),
            Share::at(silence.span.to, span),
        );
        let attributes: Attributes<'_> = &[
            ("class", "silence"),
            ("x", &from.text()),
            ("y", &LANE_DELTAS.to_string()),
            ("width", &Share(to.0.saturating_sub(from.0)).text()),
            ("height", "36"),
        ];
        let length = silence.span.to.saturating_sub(silence.span.from);
        html.inside("rect", attributes, |html| {
            let days = format!("{} – {}", day(silence.span.from), day(silence.span.to));
            hint(html, &days, words::MARK_SILENCE, Value::Length(length));
        });
    }
}

fn grown(html: &mut Html, line_of: &Timeline, span: Span) {
    let foot = LANE_DELTAS + 36;
    line(html, "base", (Share(0), foot), (Share(Share::FULL), foot));
    for stretch in &line_of.stretches {
        let (from, to) = (
            Share::at(stretch.span.from, span),
            Share::at(stretch.span.to, span),
        );
        let attributes: Attributes<'_> = &[
            ("class", "stretch"),
            ("x", &from.text()),
            ("y", &(foot - 6).to_string()),
            ("width", &Share(to.0.saturating_sub(from.0)).text()),
            ("height", "6"),
        ];
        html.inside("rect", attributes, |html| {
            let month: String = day(stretch.span.from).chars().take(7).collect();
            hint(
                html,
                &month,
                words::MARK_STRETCH,
                Value::Count(stretch.deltas),
            );
        });
    }
    for mark in &line_of.grown {
        let place = (Share::at(mark.at, span), foot);
        let path = format!("M0 0V-{}", grade(mark.count, 10, 4, 34));
        shape(html, "tick", place, &path, |html| {
            hint(
                html,
                &when(mark, line_of, 10),
                words::MARK_DELTAS,
                Value::Count(mark.count),
            );
        });
    }
}

fn checkpoints(html: &mut Html, line_of: &Timeline, span: Span) {
    let middle = LANE_CHECKPOINTS + 14;
    for mark in &line_of.witnessed {
        shape(
            html,
            "seen",
            (Share::at(mark.at, span), middle),
            "M0-6V6",
            |html| {
                hint(
                    html,
                    &when(mark, line_of, 10),
                    words::MARK_WITNESSED,
                    Value::Count(mark.count),
                );
            },
        );
    }
    // Below the others, so that none is hidden by its neighbours.
    for mark in &line_of.unwitnessed {
        let place = (Share::at(mark.at, span), middle + 15);
        shape(html, "unseen", place, "M-5-5L5 5M5-5L-5 5", |html| {
            hint(
                html,
                &when(mark, line_of, 10),
                words::MARK_UNWITNESSED,
                Value::Count(mark.count),
            );
        });
    }
}

/// Lines at the starts of months, quarters or years, with a name where there is room.
fn months_axis(html: &mut Html, span: Span) {
    line(html, "base", (Share(0), AXIS), (Share(Share::FULL), AXIS));
    let months = (span.to - span.from) / (30 * DAY) + 1;
    let step = match months {
        0..=18 => 1,
        19..=54 => 3,
        55..=240 => 12,
        _ => months / 240 * 12 + 12,
    };
    // Of the lines named on a wide screen, one in `sparse` is named on a narrow one.
    let (year, month, _) = date(span.from);
    let lines = months / step + 2;
    let dense = (lines * 8 * LETTER).div_ceil(WIDE);
    let sparse = (lines * 8 * LETTER).div_ceil(NARROW);
    let first = (month - 1) / step.min(12) * step.min(12) + 1;
    for at in 0..lines {
        let start = month_start(year, first + at * step);
        if start < span.from || start >= span.to {
            continue;
        }
        let share = Share::at(start, span);
        line(html, "grid", (share, LANE_DELTAS), (share, AXIS + 6));
        // A name at the right edge would be cut.
        if at % dense != 0 && at % sparse != 0 || share.0 > 9_300 {
            continue;
        }
        let (year, month, _) = date(start);
        let name = if step < 12 {
            format!("{year}-{month:02}")
        } else {
            year.to_string()
        };
        let narrow = at % sparse == 0 && share.0 < 8_600;
        let class = if narrow { "quiet" } else { "quiet minor" };
        if narrow || at % dense == 0 {
            label(html, class, "start", (share, AXIS + 20), &name);
        }
    }
}

/// One sign of a key, drawn as in the timeline.
pub(super) fn sign(html: &mut Html, class: &str, path: &str) {
    let attributes: Attributes<'_> = &[("aria-hidden", "true"), ("viewBox", "-9 -9 18 18")];
    html.inside("svg", attributes, |html| {
        html.inside("path", &[("class", class), ("d", path)], |_| {});
    });
}

/// The sign of the verdict: a check, a cross or a bar with a point.
pub(super) fn seal(html: &mut Html, path: &str) {
    let attributes: Attributes<'_> = &[("aria-hidden", "true"), ("viewBox", "0 0 48 48")];
    html.inside("svg", attributes, |html| {
        html.inside(
            "circle",
            &[("class", "seal"), ("cx", "24"), ("cy", "24"), ("r", "21")],
            |_| {},
        );
        html.inside("path", &[("class", "seal"), ("d", path)], |_| {});
    });
}
