//! A writer of HTML that cannot write a text unescaped or leave an element open.
//!
//! Why: names, places and findings come from files of strangers, and the page is opened in a browser. Spec: HTML, section
//! "Serializing HTML fragments". In scope: elements, attributes, escaping. Out of scope: what a page says.

use super::format::Value;
use super::text::{Language, Text};

/// Attributes of one element: the names are the program's own, the values anybody's.
pub(crate) type Attributes<'a> = &'a [(&'static str, &'a str)];

/// Characters of one text from outside that a page shows; longer ones are cut.
const TEXT_CHARS_MAX: usize = 1_000;

/// The page while it is written.
#[derive(Default)]
pub(crate) struct Html {
    out: String,
}

impl Html {
    /// The document, its declaration first.
    pub(crate) fn document() -> Self {
        Self {
            out: "<!DOCTYPE html>\n".to_owned(),
        }
    }

    pub(crate) fn finish(self) -> String {
        self.out
    }

    /// An element and what `content` writes in it.
    pub(crate) fn inside(
        &mut self,
        tag: &'static str,
        attributes: Attributes<'_>,
        content: impl FnOnce(&mut Self),
    ) {
        self.start(tag, attributes);
        content(self);
        self.out.push_str("</");
        self.out.push_str(tag);
        self.out.push('>');
        // Lines of a bounded length for whoever reads the source; none where a space would be seen.
        if matches!(
            tag,
            "section" | "p" | "li" | "tr" | "div" | "h2" | "h3" | "svg" | "head" | "header"
        ) {
            self.out.push('\n');
        }
    }

    /// An element without content or end, such as `meta`.
    pub(crate) fn void(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.start(tag, attributes);
    }

    /// An element with one text that is the same in every language.
    pub(crate) fn element(&mut self, tag: &'static str, attributes: Attributes<'_>, text: &str) {
        self.inside(tag, attributes, |html| html.text(text));
    }

    /// Words in every language, of which the style shows one. A date in them is not broken over two lines.
    pub(crate) fn say(&mut self, text: Text, values: &[Value<'_>]) {
        let say = |html: &mut Self, language| {
            text.pieces(language, values, |piece, value| match value {
                Some(Value::Day(_) | Value::Time(_)) => {
                    let (day, hour) = piece.split_at_checked(10).unwrap_or((piece, ""));
                    html.element("span", &[("class", "nowrap")], day);
                    html.text(hour);
                }
                Some(Value::Count(_) | Value::Length(_) | Value::Name(_)) | None => {
                    html.text(piece)
                }
            });
        };
        if is_one(text, values) {
            return say(self, Language::English);
        }
        for language in Language::ALL {
            let attributes = [("lang", language.code())];
            self.inside("span", &attributes, |html| say(html, language));
        }
    }

    /// An element with words in every language.
    pub(crate) fn said(
        &mut self,
        tag: &'static str,
        attributes: Attributes<'_>,
        text: Text,
        values: &[Value<'_>],
    ) {
        self.inside(tag, attributes, |html| html.say(text, values));
    }

    /// One element a language; one alone where the languages do not differ.
    pub(crate) fn each(
        &mut self,
        tag: &'static str,
        attributes: Attributes<'_>,
        text: Text,
        values: &[Value<'_>],
    ) {
        if is_one(text, values) {
            return self.element(tag, attributes, &text.fill(Language::English, values));
        }
        for language in Language::ALL {
            let mut all = vec![("lang", language.code())];
            all.extend_from_slice(attributes);
            self.element(tag, &all, &text.fill(language, values));
        }
    }

    /// A text from anywhere.
    pub(crate) fn text(&mut self, text: &str) {
        escape(text, &mut self.out);
    }

    /// A style sheet of the program's own. It holds no `<`.
    pub(crate) fn style(&mut self, css: &'static str) {
        self.out.push_str("<style>");
        self.out.push_str(css);
        self.out.push_str("</style>\n");
    }

    fn start(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.out.push('<');
        self.out.push_str(tag);
        for (name, value) in attributes {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            escape(value, &mut self.out);
            self.out.push('"');
        }
        self.out.push('>');
    }
}

/// Whether every language says the same.
fn is_one(text: Text, values: &[Value<'_>]) -> bool {
    let [first, rest @ ..] = Language::ALL.map(|language| text.fill(language, values));
    rest.iter().all(|other| *other == first)
}

/// Writes `text` so that it means nothing but itself, in an element or an attribute.
///
/// Characters that are not seen or that turn the order of letters are written as their number: a name must not pass for
/// another one in front of a reader's eyes.
pub(crate) fn escape(text: &str, out: &mut String) {
    for (at, character) in text.chars().enumerate() {
        if at == TEXT_CHARS_MAX {
            out.push('…');
            return;
        }
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            hidden if is_hidden(hidden) => {
                out.push_str(&format!("[U+{:04X}]", u32::from(hidden)));
            }
            plain => out.push(plain),
        }
    }
}

/// Control characters, marks of direction and spaces of no width. U+202F is the narrow space of French numbers.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
