//! The query of a request, read strictly: each name once, only names that are known.

use super::problem::Problem;

/// Names and values, decoded.
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query. `known` are the names that there are.
    ///
    /// # Errors
    /// 400 for an unknown or repeated name, or an escape that is none. What was sent is not repeated.
    pub(crate) fn read(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let mut all: Vec<(String, String)> = Vec::new();
        for pair in query.unwrap_or_default().split('&') {
            if pair.is_empty() {
                continue;
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (Some(name), Some(value)) = (unescape(name), unescape(value)) else {
                return Err(Problem::bad(
                    "query",
                    "the query has an escape that is none",
                ));
            };
            if !known.contains(&name.as_str()) {
                let known = known.join(", ");
                let detail = format!("the query has a name that is not known; known are: {known}");
                return Err(Problem::bad("query", detail));
            }
            if all.iter().any(|(other, _)| *other == name) {
                return Err(Problem::bad("query", format!("`{name}` is given twice")));
            }
            all.push((name, value));
        }
        Ok(Self(all))
    }

    /// The value of a name, if it is given.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut pairs = self.0.iter();
        pairs
            .find(|(other, _)| other == name)
            .map(|(_, value)| value.as_str())
    }

    /// A number, if it is given.
    ///
    /// # Errors
    /// 400 if it is none.
    pub(crate) fn number(&self, name: &'static str) -> Result<Option<u64>, Problem> {
        let digits = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
        let read = |text: &str| Some(text).filter(digits)?.parse().ok();
        self.get(name)
            .map(|text| {
                read(text).ok_or_else(|| Problem::bad("query", format!("`{name}` is a number")))
            })
            .transpose()
    }
}

/// Percent-decoding (RFC 3986); a `+` is a blank, as in forms.
fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        rest = match (first, more) {
            (b'%', [high, low, after @ ..]) => {
                let digit = |byte: &u8| char::from(*byte).to_digit(16);
                let value = digit(high)? * 16 + digit(low)?;
                bytes.push(u8::try_from(value).ok()?);
                after
            }
            (b'%', _) => return None,
            (b'+', _) => {
                bytes.push(b' ');
                more
            }
            (byte, _) => {
                bytes.push(*byte);
                more
            }
        };
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_once_and_strictly() {
        let read = |text| Query::read(Some(text), &["from", "to"]);
        let query = read("to=2026-03-01T08%3a00%3A00Z&from=7").unwrap();
        assert_eq!(query.get("to"), Some("2026-03-01T08:00:00Z"));
        assert_eq!(query.number("from").unwrap(), Some(7));
        assert!(query.number("to").is_err());
        for wrong in [
            "from=1&from=2",
            "form=1",
            "from=%",
            "from=%4",
            "from=%zz",
            "from=%ff",
        ] {
            assert_eq!(read(wrong).err().unwrap().status, 400, "{wrong}");
        }
        assert_eq!(Query::read(None, &[]).unwrap().get("from"), None);
    }

    #[test]
    fn a_number_has_digits_alone() {
        for wrong in ["", "+1", "-1", "1e3", "99999999999999999999"] {
            let query = Query::read(Some(&format!("limit={wrong}")), &["limit"]).unwrap();
            assert!(query.number("limit").is_err(), "{wrong}");
        }
    }
}
