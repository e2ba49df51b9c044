//! Pauses before trying again. Why: two ends, or forty streams, that failed together must not try
//! again together. In scope: jitter. Out of scope: who waits for what.

use std::time::Duration;

/// `pause`, give or take a quarter.
pub(super) fn jittered(pause: Duration) -> Duration {
    // Without randomness the pauses are merely in step.
    let random = f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX);
    pause.mul_f64(0.75 + random / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_a_quarter_and_varies() {
        let pause = Duration::from_secs(4);
        let drawn: Vec<Duration> = (0..100).map(|_| jittered(pause)).collect();
        assert!(
            drawn
                .iter()
                .all(|drawn| (Duration::from_secs(3)..=Duration::from_secs(5)).contains(drawn))
        );
        assert!(drawn.iter().any(|other| *other != drawn[0]));
    }
}
