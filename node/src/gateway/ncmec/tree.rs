//! A strict reader of small XML: elements of one namespace, attributes and text, in a tree with named bounds.
//!
//! Why: XML from outside can declare entities that grow without end, name other files, or nest for ever; here nothing is
//! declared, nothing is fetched, and everything is counted. Spec: XML 1.0 without document types, processing instructions,
//! comments and CDATA sections, none of which a vote or a page needs. In scope: form. Out of scope: what the elements mean.

use quick_xml::NsReader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::name::ResolveResult;

use super::names::NAMESPACE;

/// How much one document may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Bytes of the document.
    pub(super) bytes: usize,
    /// Elements within each other.
    pub(super) depth: usize,
    /// Elements.
    pub(super) elements: usize,
    /// Bytes of the text of one element, and of one attribute.
    pub(super) text: usize,
}

/// Why a document is refused. Shows nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum XmlError {
    /// Not UTF-8, or declared to be something else.
    #[error("the document is not UTF-8")]
    Encoding,
    /// Not well-formed.
    #[error("the document is not well-formed XML")]
    Form,
    /// A document type, an entity, a processing instruction, a comment or a CDATA section.
    #[error("{0} is not allowed")]
    Forbidden(&'static str),
    /// An element or attribute of another namespace, or of none.
    #[error("an element or attribute is outside the namespace {NAMESPACE}")]
    Namespace,
    /// A character that XML 1.0 does not allow.
    #[error("a character is not allowed in XML")]
    Character,
    /// More than the bounds allow.
    #[error("too many {what}: at most {max}")]
    Bound {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        max: usize,
    },
}

/// One element.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// Its name without a prefix.
    pub(super) name: String,
    /// Its attributes without declarations of namespaces, in order.
    pub(super) attributes: Vec<(String, String)>,
    /// Its elements, in order.
    pub(super) children: Vec<Element>,
    /// Its own text, in one piece.
    pub(super) text: String,
}

impl Element {
    /// The value of an attribute.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The elements of this name, in order.
    pub(super) fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

/// Reads a document.
///
/// # Errors
/// [`XmlError`]: what is not allowed, and which bound was met.
pub(super) fn read(bytes: &[u8], bounds: Bounds) -> Result<Element, XmlError> {
    if bytes.len() > bounds.bytes {
        let max = bounds.bytes;
        return Err(XmlError::Bound { what: "bytes", max });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| XmlError::Encoding)?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !text.chars().all(is_allowed) {
        return Err(XmlError::Character);
    }
    let mut reader = NsReader::from_str(text);
    reader.config_mut().enable_all_checks(true);
    reader.config_mut().expand_empty_elements = true;
    let mut growing = Growing {
        bounds,
        open: Vec::new(),
        root: None,
        elements: 0,
        begun: false,
    };
    loop {
        let (resolved, event) = reader.read_resolved_event().map_err(|_| XmlError::Form)?;
        let is_ours = matches!(resolved, ResolveResult::Bound(space) if space.0 == NAMESPACE);
        if matches!(event, Event::Start(_)) && !is_ours {
            return Err(XmlError::Namespace);
        }
        let is_end = matches!(event, Event::Eof);
        growing.take(event)?;
        if is_end {
            break;
        }
    }
    match (growing.root, growing.open.is_empty()) {
        (Some(root), true) => Ok(root),
        (Some(_) | None, _) => Err(XmlError::Form),
    }
}

struct Growing {
    bounds: Bounds,
    /// Elements that are not closed, outermost first.
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
    /// Something came before: a declaration would be out of place.
    begun: bool,
}

impl Growing {
    fn take(&mut self, event: Event<'_>) -> Result<(), XmlError> {
        let is_first = !std::mem::replace(&mut self.begun, true);
        match event {
            Event::Start(start) => self.open(&start),
            Event::End(_) => self.close(),
            Event::Text(text) => self.append(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                self.append(character(&reference)?.encode_utf8(&mut [0; 4]))
            }
            Event::Decl(declaration) if is_first => {
                let named = declaration.encoding().transpose();
                let named = named.map_err(|_| XmlError::Form)?;
                let is_utf8 = named.is_none_or(|name| name.eq_ignore_ascii_case("utf-8"));
                is_utf8.then_some(()).ok_or(XmlError::Encoding)
            }
            Event::Decl(_) | Event::Empty(_) => Err(XmlError::Form),
            Event::DocType(_) => Err(XmlError::Forbidden("a document type")),
            Event::PI(_) => Err(XmlError::Forbidden("a processing instruction")),
            Event::Comment(_) => Err(XmlError::Forbidden("a comment")),
            Event::CData(_) => Err(XmlError::Forbidden("a CDATA section")),
            Event::Eof => Ok(()),
        }
    }

    fn open(&mut self, start: &BytesStart<'_>) -> Result<(), XmlError> {
        let bounds = self.bounds;
        let bound = |what, max| Err(XmlError::Bound { what, max });
        if self.root.is_some() {
            return Err(XmlError::Form);
        }
        if self.open.len() >= bounds.depth {
            return bound("elements within each other", bounds.depth);
        }
        self.elements += 1;
        if self.elements > bounds.elements {
            return bound("elements", bounds.elements);
        }
        let name = start.local_name().into_inner().to_owned();
        let mut element = Element {
            name,
            ..Element::default()
        };
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|_| XmlError::Form)?;
            let name = attribute.key.into_inner();
            let value = attribute
                .normalized_value(XmlVersion::Implicit1_0)
                .map_err(|_| XmlError::Forbidden("an entity"))?;
            if value.len() > bounds.text {
                return bound("bytes of text", bounds.text);
            }
            if name == "xmlns" || name.starts_with("xmlns:") {
                continue;
            }
            if name.contains(':') {
                return Err(XmlError::Namespace);
            }
            if !value.chars().all(is_allowed) {
                return Err(XmlError::Character);
            }
            element
                .attributes
                .push((name.to_owned(), value.into_owned()));
        }
        self.open.push(element);
        Ok(())
    }

    fn close(&mut self) -> Result<(), XmlError> {
        let element = self.open.pop().ok_or(XmlError::Form)?;
        match self.open.last_mut() {
            Some(parent) => parent.children.push(element),
            None => self.root = Some(element),
        }
        Ok(())
    }

    fn append(&mut self, text: &str) -> Result<(), XmlError> {
        let Some(element) = self.open.last_mut() else {
            // Between the declaration and the root, and behind it, there may be white space.
            let is_blank = text.bytes().all(|byte| byte.is_ascii_whitespace());
            return is_blank.then_some(()).ok_or(XmlError::Form);
        };
        if element.text.len() + text.len() > self.bounds.text {
            let max = self.bounds.text;
            return Err(XmlError::Bound {
                what: "bytes of text",
                max,
            });
        }
        element.text.push_str(text);
        Ok(())
    }
}

/// What a reference stands for: one of the five names that XML itself has, or a character by number.
fn character(reference: &BytesRef<'_>) -> Result<char, XmlError> {
    let known = match &**reference {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    };
    if let Some(known) = known {
        return Ok(known);
    }
    let numbered = reference.resolve_char_ref().map_err(|_| XmlError::Form)?;
    let numbered = numbered.ok_or(XmlError::Forbidden("an entity"))?;
    is_allowed(numbered)
        .then_some(numbered)
        .ok_or(XmlError::Character)
}

/// `Char` of XML 1.0, section 2.2.
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}
