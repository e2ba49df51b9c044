//! XML read element by element, and no more of XML than lists need.
//!
//! Why so little: document types, entities and nesting are how XML is turned against its reader. A document type or an
//! entity that is not one of the five of the language is refused wherever it stands, elements nest at most [`DEPTH_MAX`]
//! deep, a text has at most [`TEXT_MAX`] bytes, and a row at most what [`Input`] allows. Only UTF-8. Spec: XML 1.0 (fifth
//! edition). In scope: elements, attributes, text. Out of scope: namespaces, which no list here needs to tell tags apart.

use std::io::{BufReader, Read};

use quick_xml::errors::IllFormedError;
use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};
use quick_xml::{Error, Reader, XmlVersion};

use super::FileFault;
use super::input::{CHUNK, Encoding, Input, ReadFault};
use super::json::RECORD_BYTES_MAX;
use super::report::Code;

/// Deepest nesting, the root included.
pub(super) const DEPTH_MAX: usize = 32;
/// Most bytes of one text or one attribute: twice the longest hash.
pub(super) const TEXT_MAX: usize = 4096;

/// One element with all in it. No Debug: it may hold hashes.
#[derive(Default)]
pub(super) struct Element {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// An attribute.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let found = self.attributes.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The children with a name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

/// What comes next between elements.
pub(super) enum Next {
    /// An element begins; it is read or gone into next.
    Open(Element),
    /// The innermost open element ends.
    Close,
    /// The document ends.
    End,
}

/// An XML file that is read once.
pub(super) struct Xml<R> {
    reader: Reader<BufReader<Input<R>>>,
    buffer: Vec<u8>,
    depth: usize,
    /// Whether an element that was just opened ends at once.
    empty: bool,
}

impl<R: Read> Xml<R> {
    pub(super) fn new(reader: R, bytes_max: u64) -> Self {
        let input = Input::new(reader, Encoding::Utf8, bytes_max, Vec::new());
        let input = BufReader::with_capacity(CHUNK, input.with_rows_of(RECORD_BYTES_MAX));
        Self {
            reader: Reader::from_reader(input),
            buffer: Vec::new(),
            depth: 0,
            empty: false,
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.reader.get_ref().get_ref().bytes()
    }

    /// Called before each row.
    pub(super) fn begin_row(&mut self) {
        self.reader.get_mut().get_mut().begin_row();
    }

    /// Goes on to the next element that begins or ends; text between them is read past.
    pub(super) fn next(&mut self) -> Result<Next, ReadFault> {
        let mut text = String::new();
        self.step(&mut text)
    }

    /// Reads the rest of an element that [`Next::Open`] gave.
    pub(super) fn rest(&mut self, mut element: Element) -> Result<Element, ReadFault> {
        loop {
            let mut text = std::mem::take(&mut element.text);
            let next = self.step(&mut text);
            element.text = text;
            match next? {
                Next::Open(child) => {
                    let child = self.rest(child)?;
                    element.children.push(child);
                }
                Next::Close => return Ok(element),
                Next::End => return Err(truncated().into()),
            }
        }
    }

    fn step(&mut self, text: &mut String) -> Result<Next, ReadFault> {
        if std::mem::take(&mut self.empty) {
            self.depth -= 1;
            return Ok(Next::Close);
        }
        loop {
            self.buffer.clear();
            let event = self.reader.read_event_into(&mut self.buffer);
            match event.map_err(read_fault)? {
                Event::Start(start) => {
                    self.depth += 1;
                    return Ok(Next::Open(opened(&start, self.depth)?));
                }
                Event::Empty(start) => {
                    self.depth += 1;
                    self.empty = true;
                    return Ok(Next::Open(opened(&start, self.depth)?));
                }
                Event::End(_) => {
                    self.depth = self.depth.saturating_sub(1);
                    return Ok(Next::Close);
                }
                Event::Text(part) => push(text, &part.xml10_content())?,
                Event::CData(part) => push(text, &part.xml10_content())?,
                Event::GeneralRef(name) => push(text, &resolved(&name)?)?,
                Event::Decl(decl) => utf8_only(&decl)?,
                Event::DocType(_) => {
                    let detail = "a document type: no list needs one, and none is read";
                    return Err(fault(Code::BadHeader, detail).into());
                }
                Event::Comment(_) | Event::PI(_) => {}
                Event::Eof if self.depth > 0 => return Err(truncated().into()),
                Event::Eof => return Ok(Next::End),
            }
        }
    }
}

fn opened(start: &BytesStart<'_>, depth: usize) -> Result<Element, FileFault> {
    if depth > DEPTH_MAX {
        let detail = format!("nested deeper than {DEPTH_MAX}");
        return Err(fault(Code::BadHeader, &detail));
    }
    let mut element = Element {
        name: start.local_name().as_ref().to_owned(),
        ..Element::default()
    };
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|_| malformed("an attribute"))?;
        let value = attribute.normalized_value(XmlVersion::Implicit1_0);
        let value = value.map_err(|_| entity())?;
        if value.len() > TEXT_MAX {
            return Err(too_long());
        }
        let name = attribute.key.local_name().as_ref().to_owned();
        element.attributes.push((name, value.into_owned()));
    }
    Ok(element)
}

fn push(text: &mut String, part: &str) -> Result<(), FileFault> {
    text.push_str(part);
    if text.len() > TEXT_MAX {
        return Err(too_long());
    }
    Ok(())
}

/// A character by its number, or one of the five of the language.
fn resolved(reference: &BytesRef<'_>) -> Result<String, FileFault> {
    let character = reference.resolve_char_ref().map_err(|_| entity())?;
    if let Some(character) = character {
        return Ok(character.to_string());
    }
    let known = resolve_xml_entity(reference);
    known.map(str::to_owned).ok_or_else(entity)
}

fn utf8_only(decl: &BytesDecl<'_>) -> Result<(), FileFault> {
    match decl.encoding() {
        None => Ok(()),
        Some(Ok(name)) if name.eq_ignore_ascii_case("utf-8") => Ok(()),
        Some(_) => Err(fault(
            Code::BadEncoding,
            "it says that it is not UTF-8: convert it first",
        )),
    }
}

fn read_fault(error: Error) -> ReadFault {
    match error {
        Error::Io(error) => match error.get_ref().and_then(|e| e.downcast_ref::<FileFault>()) {
            Some(fault) => ReadFault::File(fault.clone()),
            None => ReadFault::Io(error.kind().into()),
        },
        Error::Syntax(_) => truncated().into(),
        Error::Escape(_) | Error::IllFormed(IllFormedError::UnclosedReference) => entity().into(),
        Error::Encoding(_) => fault(Code::BadEncoding, "not UTF-8").into(),
        Error::IllFormed(_) | Error::InvalidAttr(_) | Error::Namespace(_) => {
            malformed("tags do not match").into()
        }
    }
}

pub(super) fn truncated() -> FileFault {
    fault(
        Code::Truncated,
        "the file ends within an element: is it complete?",
    )
}

fn entity() -> FileFault {
    fault(Code::BadHeader, "an entity that is not of the language")
}

fn too_long() -> FileFault {
    let detail = format!("a text of more than {TEXT_MAX} bytes: a list has none");
    fault(Code::MediaContent, &detail)
}

pub(super) fn malformed(detail: &str) -> FileFault {
    fault(Code::BadRow, &format!("not XML: {detail}"))
}

pub(super) fn fault(code: Code, detail: &str) -> FileFault {
    FileFault {
        code,
        row: None,
        detail: detail.to_owned(),
    }
}
