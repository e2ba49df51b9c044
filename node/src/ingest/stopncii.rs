//! Rows out of StopNCII replies: files of what `FetchHashes` answers, one after the other.
//!
//! Why so strict about time: a reply tells how far it goes, and a reply that goes less far than one before it would bring
//! back what was withdrawn since. So the mark may never go back, within a file or between two (the daemon keeps it). A
//! record is a whole statement and takes the place of an earlier one about the same hash; `Withdrawn` and `Deleted` take it
//! back. What services think of a record (`CSPFeedbacks`) and which cases it belongs to is dropped and counted; an opinion
//! with a word that nobody knows costs the opinion, not the hash. Spec: the API that threatexchange 1.2.17 reads;
//! `docs/ingest.md`. In scope: pages. Out of scope: fetching them.

use std::io::Read;

use super::FileFault;
use super::input::ReadFault;
use super::json::{Json, bad_header, malformed};
use super::parts::{Parts, Shape};
use super::report::Code;
use super::row::{Asked, Cells, Container, RowFault, Tail};
use super::value::{Part, PartFault, part};

/// What a profile can name.
pub(super) const SHAPE: Shape = Shape {
    name: "stopncii",
    parts: &["hashStatus", "media_kind", "signalType"],
    hashes: &[
        ("md5", "VideoMD5"),
        ("pdq", "ImagePDQ"),
        ("tmk-pdqf", "VideoTMK"),
    ],
    byte_length: None,
    entered_on: None,
    assessed_on: None,
    series: None,
    suspected: None,
};

/// A file of replies.
pub(super) struct StopNciiRows<R> {
    json: Json<R>,
    parts: Parts,
    /// Whether the list of records of a reply is open.
    in_records: bool,
    /// How far the replies so far go.
    cursor: Option<i64>,
    /// Whether the reply at hand has said how far it goes, and had records.
    said: (bool, bool),
    asked: Asked,
    row: u64,
    rows: u64,
    fault: Option<RowFault>,
}

impl<R: Read> StopNciiRows<R> {
    pub(super) fn open(reader: R, columns: &[String], bytes_max: u64) -> Result<Self, ReadFault> {
        let mut json = Json::new(reader, bytes_max);
        if json.peek()? != Some(b'{') {
            return Err(bad_header("no StopNCII reply: it does not begin with an object").into());
        }
        json.open(b'{')?;
        Ok(Self {
            json,
            parts: Parts::new(columns),
            in_records: false,
            cursor: None,
            said: (false, false),
            asked: Asked::Add,
            row: 0,
            rows: 0,
            fault: None,
        })
    }

    fn next_record(&mut self) -> Result<bool, ReadFault> {
        loop {
            if self.in_records {
                if self.json.has_element()? {
                    return Ok(true);
                }
                self.in_records = false;
            }
            let Some(key) = self.json.key()? else {
                if self.said != (true, true) {
                    let detail = "no StopNCII reply: it needs hashRecords and nextSetTimestamp";
                    return Err(bad_header(detail).into());
                }
                self.said = (false, false);
                match self.json.peek()? {
                    None => return Ok(false),
                    Some(_) => self.json.open(b'{')?,
                }
                continue;
            };
            match key.as_str() {
                "hashRecords" => {
                    self.json.open(b'[')?;
                    (self.in_records, self.said.1) = (true, true);
                }
                "nextSetTimestamp" => {
                    let time: Option<i64> = serde_json::from_slice(self.json.value()?).ok();
                    let time = time.ok_or_else(|| bad_header("nextSetTimestamp is no number"))?;
                    if self.cursor.is_some_and(|cursor| time < cursor) {
                        return Err(out_of_order().into());
                    }
                    (self.cursor, self.said.0) = (Some(time), true);
                }
                _ => {
                    let bytes = self.json.value()?;
                    super::media::refuse(bytes)?;
                    if part(bytes).is_err() {
                        return Err(malformed("a value").into());
                    }
                }
            }
        }
    }

    fn read(&mut self, record: &Part) -> Result<(), RowFault> {
        self.parts.clear();
        self.asked = Asked::Add;
        let text = |key: &str| record.member(key).and_then(Part::text).unwrap_or_default();
        if record
            .member("lastModtimestamp")
            .and_then(Part::text)
            .is_none()
        {
            return Err(fault(Code::BadTime, "no lastModtimestamp"));
        }
        let status = text("hashStatus");
        self.asked = match status {
            "Withdrawn" | "Deleted" => Asked::Remove,
            // A status that nobody knows yet is no reason to lose the hash: it is kept as its local label says.
            _ => Asked::Add,
        };
        let kind = text("signalType");
        let (hash, media) = match kind {
            "ImagePDQ" => ("ImagePDQ", "image"),
            "VideoMD5" => ("VideoMD5", "video"),
            "VideoTMK" => ("VideoTMK", "video"),
            _ => {
                return Err(fault(
                    Code::UnknownType,
                    "signalType is none that is carried here",
                ));
            }
        };
        self.parts.put(hash, text("hashValue").trim().as_bytes());
        self.parts.put("hashStatus", status.as_bytes());
        self.parts.put("signalType", kind.as_bytes());
        self.parts.put("media_kind", media.as_bytes());
        for dropped in ["caseNumbers", "CSPFeedbacks", "hashRegions"] {
            let says = record.member(dropped).is_some_and(|value| match value {
                Part::List(list) => !list.is_empty(),
                Part::Object(members) => !members.is_empty(),
                Part::Null => false,
                Part::Bool(_) | Part::Number(_) | Part::Text(_) => true,
            });
            if says {
                self.parts.drop_part(dropped);
            }
        }
        Ok(())
    }
}

impl<R: Read> Container for StopNciiRows<R> {
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
            Ok(record @ Part::Object(_)) => self.read(&record).err(),
            Ok(_) => Some(fault(Code::BadRow, "not an object")),
            Err(PartFault::Repeated) => Some(fault(Code::BadRow, "a key stands twice")),
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

    fn asked(&self) -> Asked {
        self.asked
    }

    fn tail(&self) -> Tail {
        Tail {
            dropped: self.parts.dropped(),
            ignored: Vec::new(),
            cursor: self.cursor,
        }
    }
}

fn out_of_order() -> FileFault {
    FileFault {
        code: Code::OutOfOrder,
        row: None,
        detail: "nextSetTimestamp goes back".to_owned(),
    }
}

fn fault(code: Code, detail: &str) -> RowFault {
    RowFault {
        column: None,
        code,
        detail: detail.to_owned(),
    }
}
