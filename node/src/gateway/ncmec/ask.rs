//! What is asked of `entries`: a window of time, and where in it the reply begins.
//!
//! Why: whatever a client misunderstands about time, it repeats for ever without a word; so a window that reaches into the
//! future is an error that says why. Source: formats section 1.3, rules 10, 12 and 13. In scope: the query and `next`.
//! Out of scope: what the window holds.

use super::check::ROWS_MAX;
use super::time;

/// Seconds by which a window may end after our clock: clocks differ.
const SKEW_S: u64 = 60;
/// Bytes of a query at most; ours are below 300.
const QUERY_BYTES_MAX: usize = 1_024;

/// A window, and where to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    /// First second, Unix; before 1970 there is nothing.
    pub(super) from: u64,
    /// The second behind the last one.
    pub(super) to: u64,
    /// Rows that were served before, as the client counts.
    pub(super) start: u64,
    /// Rows of a page.
    pub(super) size: usize,
    /// The key of the row that was served last.
    pub(super) after: Option<String>,
}

/// Why a query is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum AskError {
    /// Too long, a parameter that there is not, or one that stands twice.
    #[error(
        "the query has parameters other than from, to, start, size, max and after, or one of them twice"
    )]
    Query,
    /// `from` or `to` is absent, or not of the form.
    #[error("{0} must be a time like 2026-03-01T08:15:42Z, in UTC")]
    Time(&'static str),
    /// A number that is none, or out of range.
    #[error("{0} must be a whole number within its range")]
    Number(&'static str),
    /// The window ends in the future.
    #[error(
        "the window ends {ahead_s} s in the future: the client writes its local time as if it were UTC, or its clock is wrong. Run it with TZ=UTC"
    )]
    Future {
        /// By how many seconds.
        ahead_s: u64,
    },
}

impl Ask {
    /// Reads a query, as it stands behind the `?`; `now` is Unix seconds.
    ///
    /// # Errors
    /// [`AskError`].
    pub(super) fn parse(query: &str, now: u64) -> Result<Self, AskError> {
        let values = values(query)?;
        let [from, to, start, size, max, after] = values;
        let from = from.as_deref().and_then(time::parse);
        let from = from.ok_or(AskError::Time("from"))?;
        let to = to.as_deref().and_then(time::parse);
        let to = to.ok_or(AskError::Time("to"))?;
        // A time before 1970 has no place in unsigned seconds, and nothing happened then.
        let (from, to) = (from.max(0).unsigned_abs(), to.max(0).unsigned_abs());
        if to > now.saturating_add(SKEW_S) {
            let ahead_s = to - now;
            return Err(AskError::Future { ahead_s });
        }
        let number = |name, value: Option<String>, absent: u64| match value {
            None => Ok(absent),
            Some(text) => whole(&text).ok_or(AskError::Number(name)),
        };
        let rows_max = u64::try_from(ROWS_MAX).unwrap_or(u64::MAX);
        let size = number("size", size, rows_max)?;
        let size = usize::try_from(size)
            .ok()
            .filter(|size| (1..=ROWS_MAX).contains(size));
        number("max", max, 0)?;
        Ok(Self {
            from,
            to,
            start: number("start", start, 0)?,
            size: size.ok_or(AskError::Number("size"))?,
            after,
        })
    }

    /// Where the window goes on behind the row `after`, when `start` rows were served of `max`. Nothing but this text is needed
    /// to go on, whenever and however often the node was started since.
    pub(super) fn next(&self, start: u64, max: u64, after: &str) -> String {
        let escaped = |second| time::format(second).replace(':', "%3A");
        let (from, to, size) = (escaped(self.from), escaped(self.to), self.size);
        format!("/v2/entries?from={from}&to={to}&start={start}&size={size}&max={max}&after={after}")
    }
}

fn whole(text: &str) -> Option<u64> {
    let plain =
        !text.is_empty() && text.len() < 16 && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

/// The values of `from`, `to`, `start`, `size`, `max` and `after`.
fn values(query: &str) -> Result<[Option<String>; 6], AskError> {
    const NAMES: [&str; 6] = ["from", "to", "start", "size", "max", "after"];
    if query.len() > QUERY_BYTES_MAX {
        return Err(AskError::Query);
    }
    let mut values = [const { None }; 6];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or(AskError::Query)?;
        let place = NAMES.iter().position(|known| *known == name);
        let place = place.ok_or(AskError::Query)?;
        let value = unescaped(value).ok_or(AskError::Query)?;
        if values[place].replace(value).is_some() {
            return Err(AskError::Query);
        }
    }
    Ok(values)
}

/// Resolves `%3A`. A plus is a plus: no value here has a blank.
fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let digit = |byte: u8| char::from(byte).to_digit(16);
                let (high, low) = (digit(rest.next()?)?, digit(rest.next()?)?);
                u8::try_from(high * 16 + low).ok()?
            }
            byte => byte,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok()
}
