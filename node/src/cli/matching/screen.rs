//! What a person sees while a list is checked.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use crate::matching::client::{Phase, Progress};

/// Between two lines where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

/// A bar on a terminal, a line now and then elsewhere.
pub(in super::super) struct Screen {
    bar: Option<ProgressBar>,
    phase: Option<Phase>,
    last: Instant,
}

impl Screen {
    pub(in super::super) fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = "{msg:9} {wide_bar} {human_pos} of {human_len}  {per_sec}  {eta}";
            let style = ProgressStyle::with_template(style);
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self {
            bar,
            phase: None,
            last: Instant::now(),
        }
    }

    pub(in super::super) fn show(&mut self, step: &Progress) {
        // Fetching and comparing run beside asking: the bar shows what takes longest.
        let is_aside = matches!(step.phase, Phase::Fetch | Phase::Compare);
        if is_aside && self.phase == Some(Phase::Ask) {
            return;
        }
        let name = match step.phase {
            Phase::Read => "reading",
            Phase::Fetch => "fetching",
            Phase::Ask => "asking",
            Phase::Compare => "comparing",
            Phase::Retry => "again",
        };
        let is_new = self.phase.replace(step.phase) != Some(step.phase);
        if let Some(bar) = &self.bar {
            bar.set_message(name);
            bar.set_length(step.total.unwrap_or(step.done));
            bar.set_position(step.done);
        } else if is_new || self.last.elapsed() > EVERY {
            self.last = Instant::now();
            let of = step.total.map(|total| format!(" of {total}"));
            eprintln!("{name}: {}{}", step.done, of.unwrap_or_default());
        }
    }

    pub(in super::super) fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
