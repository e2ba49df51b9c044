//! Sentences in every language of a page, with places for values.
//!
//! In scope: languages, singular and plural. Out of scope: which sentences there are (`words!` makes a page's own).

use super::format::Value;

/// A language of the page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// English.
    #[default]
    #[value(name = "en")]
    English,
    /// French.
    #[value(name = "fr")]
    French,
}

impl Language {
    pub(crate) const ALL: [Self; 2] = [Self::English, Self::French];

    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::French => "fr",
        }
    }
}

/// A sentence in every language. `{0}`, `{1}` are places for values; `one|many` are its forms by the first value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text {
    pub(crate) en: &'static str,
    pub(crate) fr: &'static str,
}

impl Text {
    /// The sentence in one piece.
    pub(crate) fn fill(self, language: Language, values: &[Value<'_>]) -> String {
        let mut out = String::new();
        self.pieces(language, values, |piece, _| out.push_str(piece));
        out
    }

    /// The sentence piece by piece, each value with where it comes from. One pass: a value that looks like a place stays.
    pub(crate) fn pieces(
        self,
        language: Language,
        values: &[Value<'_>],
        mut take: impl FnMut(&str, Option<Value<'_>>),
    ) {
        let mut rest = self.form(language, values);
        while let Some((before, after)) = rest.split_once('{') {
            take(before, None);
            let (place, after) = after.split_once('}').unwrap_or((after, ""));
            if let Some(value) = place.parse::<usize>().ok().and_then(|at| values.get(at)) {
                take(&value.show(language), Some(*value));
            }
            rest = after;
        }
        take(rest, None);
    }

    fn form(self, language: Language, values: &[Value<'_>]) -> &'static str {
        let forms = match language {
            Language::English => self.en,
            Language::French => self.fr,
        };
        let (Some((one, many)), Some(Value::Count(count))) =
            (forms.split_once('|'), values.first())
        else {
            return forms;
        };
        // French counts nothing as one thing.
        let single = match language {
            Language::English => *count == 1,
            Language::French => *count < 2,
        };
        if single { one } else { many }
    }
}

/// A count with what is counted, in English, from its forms `one|many`: `1 leaf`, `2 leaves`.
pub(crate) fn counted(count: u64, forms: &str) -> String {
    let (one, many) = forms.split_once('|').unwrap_or((forms, forms));
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Names for sentences: `NAME: "English", "French";`.
macro_rules! words {
    ($($name:ident: $en:literal, $fr:literal;)*) => {
        $(pub(super) const $name: $crate::page::text::Text =
            $crate::page::text::Text { en: $en, fr: $fr };)*

        #[cfg(test)]
        pub(super) const ALL: &[(&str, $crate::page::text::Text)] = &[$((stringify!($name), $name)),*];
    };
}
pub(crate) use words;

/// Asserts that every sentence is said in both languages with the same places; `same` are those that do not differ.
#[cfg(test)]
pub(crate) fn complete(all: &[(&str, Text)], same: &[&str]) {
    let places = |text: &str| -> Vec<Vec<String>> {
        let of = |form: &str| {
            let places = form.split('{').skip(1);
            let mut places: Vec<String> = places.map(|part| part[..1].to_owned()).collect();
            places.sort();
            places
        };
        text.split('|').map(of).collect()
    };
    for (name, Text { en, fr }) in all {
        assert!(!en.trim().is_empty() && !fr.trim().is_empty(), "{name}");
        assert_eq!(en == fr, same.contains(name), "{name}");
        assert_eq!(places(en), places(fr), "{name}");
    }
}
