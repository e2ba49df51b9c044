//! What is around every page: its head, its name, the choice of language and colours.
//!
//! Why: one file that a court or a colleague opens years later, offline, and that can do nothing but be read: it holds no
//! script, and its policy forbids any and every request. Spec: HTML, Content Security Policy 3, WCAG 2.2 AA.
//! In scope: all that pages share. Out of scope: what one of them says.

use super::html::Html;
use super::text::{Language, Text};

/// What the browser lets a page do: its one style sheet, nothing else.
pub(crate) const POLICY: &str =
    "default-src 'none'; style-src 'sha256-@'; base-uri 'none'; form-action 'none'";

/// What is said around a page.
pub(crate) struct Frame {
    pub(crate) title: Text,
    pub(crate) subtitle: Text,
    /// Where the first link leads, for readers who do not see the page, and its words.
    pub(crate) skip: (&'static str, Text),
    /// The style sheet, whole in the page.
    pub(crate) style: &'static str,
    /// Its SHA-256 in base64. A test of each page compares them.
    pub(crate) style_sha256: &'static str,
}

impl Frame {
    /// A page that opens in `language`.
    pub(crate) fn page(
        &self,
        language: Language,
        main: impl FnOnce(&mut Html),
        foot: impl FnOnce(&mut Html),
    ) -> String {
        let mut html = Html::document();
        html.inside("html", &[("lang", language.code())], |html| {
            self.head(html);
            html.inside("body", &[], |html| {
                let (to, skip) = self.skip;
                html.said("a", &[("class", "skip"), ("href", to)], skip, &[]);
                self.top(html, language);
                html.inside("main", &[("class", "wide")], main);
                html.inside("footer", &[("class", "wide")], foot);
            });
        });
        html.finish()
    }

    fn head(&self, html: &mut Html) {
        html.inside("head", &[], |html| {
            html.void("meta", &[("charset", "utf-8")]);
            let policy = POLICY.replace('@', self.style_sha256);
            html.void(
                "meta",
                &[
                    ("http-equiv", "Content-Security-Policy"),
                    ("content", &policy),
                ],
            );
            html.void("meta", &[("name", "referrer"), ("content", "no-referrer")]);
            html.void(
                "meta",
                &[
                    ("name", "viewport"),
                    ("content", "width=device-width, initial-scale=1"),
                ],
            );
            html.void(
                "meta",
                &[("name", "color-scheme"), ("content", "light dark")],
            );
            let both = Language::ALL.map(|language| self.title.fill(language, &[]));
            html.element("title", &[], &format!("Hashpact · {}", both.join(" · ")));
            html.style(self.style);
        });
    }

    fn top(&self, html: &mut Html, language: Language) {
        html.inside("header", &[], |html| {
            html.inside("div", &[("class", "wide")], |html| {
                html.inside("div", &[], |html| {
                    html.inside("h1", &[], |html| {
                        html.text("Hashpact · ");
                        html.say(self.title, &[]);
                    });
                    html.said("p", &[], self.subtitle, &[]);
                });
                html.inside("div", &[("class", "switches")], |html| {
                    switch(
                        html,
                        "language",
                        LANGUAGE,
                        &[
                            ("en", ENGLISH, language == Language::English),
                            ("fr", FRENCH, language == Language::French),
                        ],
                    );
                    switch(
                        html,
                        "theme",
                        THEME,
                        &[
                            ("auto", THEME_AUTO, true),
                            ("light", THEME_LIGHT, false),
                            ("dark", THEME_DARK, false),
                        ],
                    );
                });
            });
        });
    }
}

/// A choice that the style sheet reads; keyboards and screen readers know it as radio buttons.
pub(crate) fn switch(html: &mut Html, name: &str, title: Text, choices: &[(&str, Text, bool)]) {
    html.inside("fieldset", &[], |html| {
        html.said("legend", &[], title, &[]);
        for (value, text, chosen) in choices {
            html.inside("label", &[], |html| {
                let id = format!("{name}-{value}");
                let input = [("type", "radio"), ("name", name), ("id", id.as_str())];
                if *chosen {
                    html.void("input", &[input[0], input[1], input[2], ("checked", "")]);
                } else {
                    html.void("input", &input);
                }
                html.say(*text, &[]);
            });
        }
    });
}

super::text::words! {
    LANGUAGE: "Language", "Langue";
    ENGLISH: "English", "English";
    FRENCH: "Français", "Français";
    THEME: "Colours", "Couleurs";
    THEME_AUTO: "as the device", "selon l’appareil";
    THEME_LIGHT: "light", "claires";
    THEME_DARK: "dark", "sombres";
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_choices_are_said_in_both_languages() {
        crate::page::text::complete(super::ALL, &["ENGLISH", "FRENCH"]);
    }
}
