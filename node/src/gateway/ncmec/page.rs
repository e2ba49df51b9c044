//! One reply to `entries`, and how it is written.
//!
//! Source: formats sections 1.2 and 1.3. In scope: the document. Out of scope: which rows it holds (`window`), that it is one
//! which the stock client can read (`check`).

use quick_xml::Writer;
use quick_xml::events::BytesText;

use super::names::NAMESPACE;
use super::time;

/// Who put an entry in: an origin's log, by the number that this node gave it for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// The number.
    pub(super) id: u64,
    /// Its name; never empty.
    pub(super) name: String,
}

/// A row of a page.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// Whose it is.
    pub(super) member: Member,
    /// Its id, of `[A-Za-z0-9._-]`: clients put it into a path as it stands.
    pub(super) id: String,
    /// The second in which it became visible to this member on this node, Unix.
    pub(super) second: u64,
    /// What is said of it.
    pub(super) what: What,
}

/// What a row says.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum What {
    /// It is there, in this state.
    Live {
        /// A Tech Coalition label that the entry carries.
        classification: Option<&'static str>,
        /// Element and value, each element once.
        fingerprints: Vec<(&'static str, String)>,
    },
    /// It is gone, or this member may have it no longer.
    Deleted,
}

/// A reply.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Page {
    /// Rows of images.
    pub(super) images: Vec<Item>,
    /// Rows of videos.
    pub(super) videos: Vec<Item>,
    /// Where the window goes on: path and query, from `/v2/` on.
    pub(super) next: Option<String>,
}

impl Page {
    /// The document, with its declaration.
    pub(super) fn to_xml(&self) -> String {
        document("queryResult", |writer| {
            container(writer, ("images", "image", "deletedImage"), &self.images)?;
            container(writer, ("videos", "video", "deletedVideo"), &self.videos)?;
            if let Some(next) = &self.next {
                writer
                    .create_element("paging")
                    .write_inner_content(|writer| text(writer, "next", next))?;
            }
            Ok(())
        })
    }
}

type Write = Writer<Vec<u8>>;

/// A document with this root, in the namespace of the shape.
pub(super) fn document(
    root: &str,
    content: impl FnOnce(&mut Write) -> std::io::Result<()>,
) -> String {
    let declaration = r#"<?xml version="1.0" encoding="UTF-8"?>"#;
    let mut writer = Writer::new(declaration.as_bytes().to_vec());
    // Writing to a Vec cannot fail, so the result carries nothing.
    let _ = writer
        .create_element(root)
        .with_attribute(("xmlns", NAMESPACE))
        .write_inner_content(content);
    String::from_utf8(writer.into_inner()).unwrap_or_default()
}

fn text(writer: &mut Write, name: &str, value: &str) -> std::io::Result<()> {
    let value = BytesText::new(value);
    writer
        .create_element(name)
        .write_text_content(value)
        .map(|_| ())
}

/// `<member id="41">Centre North</member>`.
pub(super) fn member(writer: &mut Write, member: &Member) -> std::io::Result<()> {
    writer
        .create_element("member")
        .with_attribute(("id", member.id.to_string().as_str()))
        .write_text_content(BytesText::new(&member.name))
        .map(|_| ())
}

/// Images or videos: names of the container, of a live row and of a deleted one.
fn container(
    writer: &mut Write,
    (name, live, deleted): (&str, &str, &str),
    items: &[Item],
) -> std::io::Result<()> {
    let count = items.len().to_string();
    let element = writer
        .create_element(name)
        .with_attribute(("count", count.as_str()));
    let Some(newest) = items.iter().map(|item| item.second).max() else {
        return element.write_empty().map(|_| ());
    };
    element
        .with_attribute(("maxTimestamp", time::format(newest).as_str()))
        .write_inner_content(|writer| {
            items.iter().try_for_each(|item| {
                let name = match item.what {
                    What::Live { .. } => live,
                    What::Deleted => deleted,
                };
                writer
                    .create_element(name)
                    .write_inner_content(|writer| row(writer, item))
                    .map(|_| ())
            })
        })
        .map(|_| ())
}

fn row(writer: &mut Write, item: &Item) -> std::io::Result<()> {
    member(writer, &item.member)?;
    let second = time::format(item.second);
    match &item.what {
        What::Deleted => {
            text(writer, "id", &item.id)?;
            text(writer, "timestamp", &second)
        }
        What::Live {
            classification,
            fingerprints,
        } => {
            text(writer, "timestamp", &second)?;
            text(writer, "id", &item.id)?;
            if let Some(label) = classification {
                text(writer, "classification", label)?;
            }
            let mut fingerprints = fingerprints.iter();
            writer
                .create_element("fingerprints")
                .write_inner_content(|writer| {
                    fingerprints.try_for_each(|(tag, value)| text(writer, tag, value))
                })
                .map(|_| ())
        }
    }
}
