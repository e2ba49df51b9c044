//! Rows out of a VICS JSON file, 1.x and 2.0.
//!
//! Why so tolerant of form: the files come from many tools, and what they disagree about is known: flags as text, numbers
//! as text, upper-case hashes, a category of 0 or null that careless readers drop as false, PhotoDNA in two places. What a
//! file says of itself besides its records (`IsPrecategorized`, `TotalMediaFiles`) contradicts them and is not read. File
//! names, EXIF, comments, tags and all that is said of offenders end here and are counted. Spec: what public readers of the
//! format handle; `docs/ingest.md`. In scope: hash sets (`#Media`), and casework (`#Cases`) where the operator asks for the
//! hashes of it. Out of scope: what a category means, which is a matter of each country (crosswalk).

use std::io::Read;

use super::FileFault;
use super::input::ReadFault;
use super::json::{Json, bad_header, malformed, truncated};
use super::number::{day_of_millis, day_of_time};
use super::parts::{Parts, Shape, flag};
use super::report::Code;
use super::row::{Cells, Container, RowFault, Tail};
use super::value::{Part, PartFault, part};

/// What a profile can name.
pub(super) const SHAPE: Shape = Shape {
    name: "vics",
    parts: &[
        "Category",
        "DateUpdated",
        "IsSuspected",
        "MediaSize",
        "SelfGenerated",
        "Series",
        "VictimIdentified",
        "media_kind",
    ],
    hashes: &[
        ("md5", "MD5"),
        ("sha1", "SHA1"),
        ("sha256", "SHA256"),
        ("pdq", "PDQ"),
        ("photodna", "PhotoDNA"),
    ],
    byte_length: Some("MediaSize"),
    entered_on: None,
    assessed_on: Some("DateUpdated"),
    series: Some("Series"),
    suspected: Some("IsSuspected"),
};

/// What is dropped, by its name in the format, and its lower-case beginning.
const DROPPED: [(&str, &str); 10] = [
    ("Exifs", "exif"),
    ("MediaFiles", "mediafile"),
    ("RelativeFilePath", "relativefilepath"),
    ("Comments", "comment"),
    ("Tags", "tag"),
    ("OffenderIdentified", "offender"),
    ("IsDistributed", "isdistributed"),
    ("Contact*", "contact"),
    ("Case*", "case"),
    ("MediaID", "mediaid"),
];

/// A VICS file whose kind was recognised.
pub(super) struct VicsRows<R> {
    json: Json<R>,
    parts: Parts,
    cases: bool,
    /// Whether the list of a case's media is open.
    in_case: bool,
    row: u64,
    rows: u64,
    fault: Option<RowFault>,
}

impl<R: Read> VicsRows<R> {
    /// Reads up to the list of records. `cases` allows casework.
    pub(super) fn open(
        reader: R,
        columns: &[String],
        cases: bool,
        bytes_max: u64,
    ) -> Result<Self, ReadFault> {
        let mut json = Json::new(reader, bytes_max);
        if json.peek()? != Some(b'{') {
            return Err(bad_header("no VICS file: it does not begin with an object").into());
        }
        json.open(b'{')?;
        let mut kind = None;
        while let Some(key) = json.key()? {
            match key.to_ascii_lowercase().as_str() {
                "odata.metadata" | "@odata.context" => {
                    let text = match part(json.value()?) {
                        Ok(Part::Text(text)) => text,
                        Ok(_) | Err(_) => return Err(bad_header("the context is no text").into()),
                    };
                    kind = Some(kind_of(&key, &text)?);
                }
                "value" => {
                    let is_cases =
                        kind.ok_or_else(|| bad_header("no VICS context before the records"))?;
                    if is_cases && !cases {
                        let detail = "casework (#Cases), not a hash set: `cases = true` in [source] takes the hashes out of it";
                        return Err(bad_header(detail).into());
                    }
                    json.open(b'[')?;
                    return Ok(Self {
                        json,
                        parts: Parts::new(columns),
                        cases: is_cases,
                        in_case: false,
                        row: 0,
                        rows: 0,
                        fault: None,
                    });
                }
                _ => well_formed(json.value()?)?,
            }
        }
        Err(bad_header("no VICS file: it has no records").into())
    }

    /// Goes to the next record; false behind the last. Nothing may stand behind the root.
    fn next_record(&mut self) -> Result<bool, ReadFault> {
        loop {
            if !self.cases || self.in_case {
                if self.json.has_element()? {
                    return Ok(true);
                }
                if !self.cases {
                    break;
                }
                self.in_case = false;
            } else if self.json.has_element()? {
                self.json.open(b'{')?;
            } else {
                break;
            }
            self.rest_of_case()?;
        }
        while self.json.key()?.is_some() {
            well_formed(self.json.value()?)?;
        }
        match self.json.peek()? {
            None => Ok(false),
            Some(_) => Err(malformed("something stands behind the end").into()),
        }
    }

    /// Reads an open case up to its next list of media, or to its end.
    fn rest_of_case(&mut self) -> Result<(), ReadFault> {
        while let Some(key) = self.json.key()? {
            if key.eq_ignore_ascii_case("media") {
                self.json.open(b'[')?;
                self.in_case = true;
                return Ok(());
            }
            well_formed(self.json.value()?)?;
            self.parts.drop_part("Case*");
        }
        Ok(())
    }

    fn read(&mut self, record: &Part) -> Result<(), RowFault> {
        let Part::Object(members) = record else {
            return Err(bad_row("not an object"));
        };
        self.parts.clear();
        let mut category = None;
        for (key, value) in members {
            let name = key.to_ascii_lowercase();
            match name.as_str() {
                "md5" => self.hash("MD5", value)?,
                "sha1" => self.hash("SHA1", value)?,
                "photodna" => self.hash("PhotoDNA", value)?,
                "alternativehashes" => self.alternatives(value)?,
                "category" => category = value.text(),
                "mediasize" => self.text("MediaSize", value),
                "mimetype" => self.kind(value),
                "victimidentified" => self.flag("VictimIdentified", value),
                "selfgenerated" => self.flag("SelfGenerated", value),
                "issuspected" => self.flag("IsSuspected", value),
                "series" => self.text("Series", value),
                "dateupdated" => self.day(value),
                _ if value.is_null() => {}
                _ => {
                    let dropped = DROPPED.iter().find(|(_, begin)| name.starts_with(begin));
                    let odata = if name.contains("odata.") {
                        "odata.*"
                    } else {
                        "other keys"
                    };
                    self.parts
                        .drop_part(dropped.map_or(odata, |(what, _)| what));
                }
            }
        }
        // 0 and null are what the tools write for "nobody has looked": a label like any other, and no falsehood.
        self.parts
            .put("Category", category.unwrap_or("null").as_bytes());
        Ok(())
    }

    /// A hash, which may stand in two places if it is the same.
    fn hash(&mut self, part: &'static str, value: &Part) -> Result<(), RowFault> {
        let Some(text) = value.text().map(str::trim).filter(|text| !text.is_empty()) else {
            return if matches!(value, Part::List(_) | Part::Object(_)) {
                Err(bad_row("a hash that is no text"))
            } else {
                Ok(())
            };
        };
        let known = self.parts.value(part);
        if !known.is_empty() && !known.eq_ignore_ascii_case(text.as_bytes()) {
            return Err(RowFault {
                column: None,
                code: Code::DuplicateConflict,
                detail: format!("two values of {part} in one record"),
            });
        }
        self.parts.put(part, text.as_bytes());
        Ok(())
    }

    fn alternatives(&mut self, value: &Part) -> Result<(), RowFault> {
        let list = match value {
            Part::Null => return Ok(()),
            Part::List(list) => list,
            Part::Bool(_) | Part::Number(_) | Part::Text(_) | Part::Object(_) => {
                return Err(bad_row("AlternativeHashes is no list"));
            }
        };
        for item in list {
            let name = item
                .member("HashName")
                .and_then(Part::text)
                .unwrap_or_default();
            let name: String = name
                .chars()
                .filter(|c| !matches!(c, '-' | '_' | ' '))
                .collect::<String>()
                .to_ascii_lowercase();
            let part = match name.as_str() {
                "md5" => "MD5",
                "sha1" => "SHA1",
                "sha256" => "SHA256",
                "pdq" => "PDQ",
                "photodna" | "pdna" => "PhotoDNA",
                _ => {
                    self.parts.drop_part("AlternativeHashes");
                    continue;
                }
            };
            if let Some(value) = item.member("HashValue") {
                self.hash(part, value)?;
            }
        }
        Ok(())
    }

    fn text(&mut self, part: &'static str, value: &Part) {
        self.parts
            .put(part, value.text().unwrap_or_default().as_bytes());
    }

    fn flag(&mut self, part: &'static str, value: &Part) {
        self.parts
            .put(part, flag(value.text().unwrap_or_default()).as_bytes());
    }

    /// The first half of a media type, where it is one of ours.
    fn kind(&mut self, value: &Part) {
        let text = value.text().unwrap_or_default().trim().to_ascii_lowercase();
        let kind = text.split('/').next().unwrap_or_default();
        let known = ["image", "video", "audio", "text"].contains(&kind);
        self.parts
            .put("media_kind", if known { kind } else { "" }.as_bytes());
    }

    /// A day out of an ISO date with or without time and zone, or of `/Date(ms)/`.
    fn day(&mut self, value: &Part) {
        let text = value.text().unwrap_or_default().trim();
        let millis = text
            .strip_prefix("/Date(")
            .and_then(|rest| rest.strip_suffix(")/"));
        let day = match millis {
            Some(millis) => {
                // A zone behind the number says how it was shown, not when it was.
                let end = millis.get(1..).and_then(|rest| rest.find(['+', '-']));
                let millis = end.map_or(millis, |end| &millis[..end + 1]);
                millis.parse().ok().and_then(day_of_millis)
            }
            None => day_of_time(text),
        };
        self.parts
            .put("DateUpdated", day.as_deref().unwrap_or(text).as_bytes());
    }
}

impl<R: Read> Container for VicsRows<R> {
    const CELL_BYTES_MAX: usize = 1024;

    fn next_row(&mut self) -> Result<bool, ReadFault> {
        if !self.next_record()? {
            return Ok(false);
        }
        self.row = self.rows;
        self.rows += 1;
        let bytes = self.json.value()?;
        let at_row = |fault: FileFault| FileFault {
            row: Some(self.row),
            ..fault
        };
        super::media::refuse(bytes).map_err(at_row)?;
        let record = part(bytes);
        self.fault = match record {
            Ok(record) => self.read(&record).err(),
            Err(PartFault::Repeated) => Some(bad_row("a key stands twice")),
            Err(PartFault::Malformed) => return Err(at_row(malformed("a record")).into()),
        };
        Ok(true)
    }

    fn row(&self) -> u64 {
        self.row
    }

    fn bytes(&self) -> u64 {
        self.json.bytes()
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

    fn tail(&self) -> Tail {
        Tail {
            dropped: self.parts.dropped(),
            ..Tail::default()
        }
    }
}

/// Whether a context is one of casework; an error if it is none of VICS.
fn kind_of(key: &str, context: &str) -> Result<bool, FileFault> {
    let context = context.trim().to_ascii_lowercase();
    let (begin, middle) = if key.eq_ignore_ascii_case("odata.metadata") {
        ("http://github.com/icmec/projectvic/datamodels/", ".xml#")
    } else {
        (
            "http://github.com/vicsdatamodel/projectvic/datamodels/2.0.xml/",
            "/$metadata#",
        )
    };
    let known = context
        .strip_prefix(begin)
        .and_then(|rest| rest.split_once(middle));
    match known {
        Some((version, "media")) if !version.is_empty() => Ok(false),
        Some((version, "cases")) if !version.is_empty() => Ok(true),
        Some(_) | None => Err(bad_header(
            "no VICS context of 1.x or 2.0 that is known here",
        )),
    }
}

/// Checks a value that is not read.
fn well_formed(bytes: &[u8]) -> Result<(), FileFault> {
    super::media::refuse(bytes)?;
    match serde_json::from_slice::<serde::de::IgnoredAny>(bytes) {
        Ok(_) => Ok(()),
        Err(error) if error.is_eof() => Err(truncated()),
        Err(_) => Err(malformed("a value")),
    }
}

fn bad_row(detail: &str) -> RowFault {
    RowFault {
        column: None,
        code: Code::BadRow,
        detail: detail.to_owned(),
    }
}
