//! Rows out of a page of NCMEC's hash sharing, version 2, as its clients read it.
//!
//! Why laxer than those clients: one element that they do not know fails their whole page, again and again, and the feed
//! stands still. Here it costs its own row. Why stricter: a fingerprint that stands twice with two values is not settled by
//! which came last. A thing is known by the member and the name that the member gave it; a later statement about it takes
//! the place of the earlier one, and `deleted…` takes it back. Votes are other members' and are not this centre's to pass on:
//! dropped and counted. Spec: `docs/ingest.md`; what threatexchange 1.2.17 reads. In scope: one page. Out of scope: asking
//! for pages.

use std::io::Read;

use super::FileFault;
use super::input::ReadFault;
use super::number::day_of_time;
use super::parts::{Parts, Shape};
use super::report::Code;
use super::row::{Asked, Cells, Container, RowFault, Tail};
use super::xml::{Element, Next, Xml, fault as file_fault, malformed, truncated};

/// What a profile can name.
pub(super) const SHAPE: Shape = Shape {
    name: "ncmec",
    parts: &["classification", "media_kind"],
    hashes: &[
        ("md5", "md5"),
        ("sha1", "sha1"),
        ("pdq", "pdq"),
        ("photodna", "pdna"),
        ("netclean", "netclean"),
        ("ssvh-pdna", "ssvh_pdna"),
        ("ssvh-safer-hash", "ssvh_safer_hash"),
        ("tmk-pdqf", "tmk_pdqf"),
        ("videntifier", "videntifier"),
    ],
    byte_length: None,
    entered_on: None,
    assessed_on: None,
    series: None,
    suspected: None,
};

/// A page that was recognised.
pub(super) struct NcmecRows<R> {
    xml: Xml<R>,
    parts: Parts,
    /// How deep it is within the root: 1 is between containers, 2 within one.
    depth: usize,
    reference: String,
    asked: Asked,
    row: u64,
    rows: u64,
    fault: Option<RowFault>,
}

impl<R: Read> NcmecRows<R> {
    pub(super) fn open(reader: R, columns: &[String], bytes_max: u64) -> Result<Self, ReadFault> {
        let mut xml = Xml::new(reader, bytes_max);
        match xml.next()? {
            Next::Open(root) if root.name == "queryResult" => Ok(Self {
                xml,
                parts: Parts::new(columns),
                depth: 1,
                reference: String::new(),
                asked: Asked::Add,
                row: 0,
                rows: 0,
                fault: None,
            }),
            Next::Open(_) => Err(file_fault(Code::BadHeader, "the root is no queryResult").into()),
            Next::Close | Next::End => Err(file_fault(Code::BadHeader, "no root").into()),
        }
    }

    /// The next child of a container.
    fn next_element(&mut self) -> Result<Option<Element>, ReadFault> {
        loop {
            self.xml.begin_row();
            match self.xml.next()? {
                Next::Open(element) if self.depth == 2 => return Ok(Some(self.xml.rest(element)?)),
                Next::Open(element) if matches!(element.name.as_str(), "images" | "videos") => {
                    self.depth = 2;
                }
                // The page that follows, and whatever else stands beside the containers.
                Next::Open(element) => {
                    self.xml.rest(element)?;
                }
                Next::Close => self.depth -= 1,
                Next::End => return Err(truncated().into()),
            }
            if self.depth == 0 {
                return match self.xml.next()? {
                    Next::End => Ok(None),
                    Next::Open(_) | Next::Close => {
                        Err(malformed("something stands behind the root").into())
                    }
                };
            }
        }
    }

    fn read(&mut self, element: &Element) -> Result<(), RowFault> {
        self.parts.clear();
        self.reference.clear();
        let (kind, asked) = match element.name.as_str() {
            "image" => ("image", Asked::Add),
            "video" => ("video", Asked::Add),
            "deletedImage" => ("image", Asked::Remove),
            "deletedVideo" => ("video", Asked::Remove),
            _ => return Err(bad("a tag that is none of image, video and deleted…")),
        };
        self.asked = asked;
        let known = [
            "member",
            "timestamp",
            "id",
            "classification",
            "fingerprints",
            "feedback",
        ];
        if element
            .children
            .iter()
            .any(|child| !known.contains(&child.name.as_str()))
        {
            return Err(bad("a tag that is not known"));
        }
        let member = only(element, "member")?
            .attribute("id")
            .unwrap_or_default()
            .trim();
        if member.is_empty() || member.len() > 20 || !member.bytes().all(|b| b.is_ascii_digit()) {
            return Err(bad("member has no number"));
        }
        let id = only(element, "id")?.text.trim();
        if id.is_empty() || id.len() > 256 {
            return Err(bad("id is empty or longer than 256"));
        }
        self.reference = format!("{member}-{id}");
        for time in element.all("timestamp") {
            if day_of_time(&time.text).is_none() {
                return Err(RowFault {
                    column: None,
                    code: Code::BadTime,
                    detail: format!("timestamp: {} chars, not a time", time.text.chars().count()),
                });
            }
        }
        self.parts.put("media_kind", kind.as_bytes());
        if let Some(label) = element.all("classification").next() {
            self.parts
                .put("classification", label.text.trim().as_bytes());
        }
        for votes in element
            .all("feedback")
            .flat_map(|feedback| &feedback.children)
        {
            self.parts.drop_part(match votes.name.as_str() {
                "affirmativeFeedback" => "affirmativeFeedback",
                "negativeFeedback" => "negativeFeedback",
                _ => "feedback",
            });
        }
        let mut prints = element
            .all("fingerprints")
            .flat_map(|prints| &prints.children);
        prints.try_for_each(|print| self.print(print))
    }

    fn print(&mut self, print: &Element) -> Result<(), RowFault> {
        let name = match print.name.as_str() {
            // One page of the programme says the one, its client the other.
            "tmk_safer_hash" => "ssvh_safer_hash",
            name => name,
        };
        let part = SHAPE.hashes.iter().find(|(_, part)| *part == name);
        let Some((_, part)) = part else {
            return Err(bad("a fingerprint of a type that is not known"));
        };
        let text = print.text.trim();
        if text.is_empty() {
            // Large types are given by address only, and nothing is fetched from where a list says.
            self.parts.drop_part("href");
            return Ok(());
        }
        // How others are written is not public: what is hexadecimal is kept, and passed on as such.
        let is_hex = text.len().is_multiple_of(2) && text.bytes().all(|b| b.is_ascii_hexdigit());
        if !matches!(*part, "md5" | "sha1" | "pdq" | "pdna") && !is_hex {
            self.parts.drop_part(part);
            return Ok(());
        }
        let before = self.parts.value(part);
        if !before.is_empty() && !before.eq_ignore_ascii_case(text.as_bytes()) {
            return Err(RowFault {
                column: None,
                code: Code::DuplicateConflict,
                detail: format!("two values of {part} in one entry"),
            });
        }
        self.parts.put(part, text.as_bytes());
        Ok(())
    }
}

fn only<'a>(element: &'a Element, name: &'static str) -> Result<&'a Element, RowFault> {
    let mut all = element.children.iter().filter(|child| child.name == name);
    match (all.next(), all.next()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) | (None, _) => Err(bad(match name {
            "id" => "not exactly one id",
            _ => "not exactly one member",
        })),
    }
}

fn bad(detail: &str) -> RowFault {
    RowFault {
        column: None,
        code: Code::BadRow,
        detail: detail.to_owned(),
    }
}

impl<R: Read> Container for NcmecRows<R> {
    const CELL_BYTES_MAX: usize = 1024;

    fn next_row(&mut self) -> Result<bool, ReadFault> {
        let row = self.rows;
        let at_row = |fault: FileFault| FileFault {
            row: fault.row.or(Some(row)),
            ..fault
        };
        let next = self.next_element().map_err(|fault| match fault {
            ReadFault::File(fault) => ReadFault::File(at_row(fault)),
            ReadFault::Io(error) => ReadFault::Io(error),
        });
        let Some(element) = next? else {
            return Ok(false);
        };
        self.row = row;
        self.rows += 1;
        self.fault = self.read(&element).err();
        Ok(true)
    }

    fn row(&self) -> u64 {
        self.row
    }

    fn bytes(&self) -> u64 {
        self.xml.bytes()
    }

    fn cells(&self) -> Result<Cells<'_>, RowFault> {
        match &self.fault {
            None => Ok(self.parts.cells()),
            Some(fault) => Err(fault.clone()),
        }
    }

    fn all_cells(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.all()
    }

    fn is_hash(&self, cell: usize, hashes: &[usize]) -> bool {
        hashes.contains(&cell)
    }

    fn asked(&self) -> Asked {
        self.asked
    }

    fn reference(&self) -> Option<&str> {
        Some(&self.reference)
    }

    fn tail(&self) -> Tail {
        Tail {
            dropped: self.parts.dropped(),
            ..Tail::default()
        }
    }
}
