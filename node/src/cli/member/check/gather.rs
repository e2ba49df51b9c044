//! What is checked: files as they are walked and hashed, or the values of a list.

use std::fs::File;
use std::io::{BufReader, IsTerminal as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hashpact_protocol::fingerprint::{Algorithm, Fingerprint};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::cli::Failure;
use crate::hashing::file::{Picture, hash};
use crate::hashing::folder::{Met, walk};
use crate::matching::client::list::Lines;

/// Faults that are told one by one; the rest is counted.
const FAULTS_TOLD: usize = 1_000;
/// Between two lines where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

/// One file, or one value of a list.
pub(super) struct Subject {
    pub(super) path: Option<PathBuf>,
    pub(super) line: Option<u32>,
    pub(super) fingerprints: Vec<Fingerprint>,
}

/// What was met on the way.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// Hashes of a list.
    pub(super) hashes: u64,
    /// Values that no list may hold.
    pub(super) guarded: u64,
    /// Pictures with a PDQ hash, and those that are too flat for one.
    pub(super) pictures: u64,
    pub(super) flat: u64,
    /// Links, pipes and the like.
    pub(super) passed: u64,
    /// Files, folders and pictures that could not be read.
    pub(super) faults: u64,
    pub(super) told: Vec<(PathBuf, String)>,
}

/// Hands each subject on as it comes.
pub(super) struct Gatherer<'a> {
    each: &'a mut dyn FnMut(Subject),
    gathered: Gathered,
    screen: Screen,
}

impl Gathered {
    pub(super) fn json(&self) -> Value {
        let faults = self.told.iter();
        let faults =
            faults.map(|(path, text)| json!({ "file": path.to_string_lossy(), "error": text }));
        json!({
            "files": self.files,
            "bytes": self.bytes,
            "hashes": self.hashes,
            "guarded": self.guarded,
            "pictures": self.pictures,
            "flat_pictures": self.flat,
            "links_passed": self.passed,
            "unreadable": self.faults,
            "faults": faults.collect::<Vec<_>>(),
        })
    }
}

impl<'a> Gatherer<'a> {
    pub(super) fn new(each: &'a mut dyn FnMut(Subject)) -> Self {
        Self {
            each,
            gathered: Gathered::default(),
            screen: Screen::new(),
        }
    }

    pub(super) fn finish(self) -> Gathered {
        if let Some(bar) = self.screen.bar {
            bar.finish_and_clear();
        }
        self.gathered
    }

    /// Walks and hashes.
    pub(super) fn files(&mut self, paths: &[PathBuf]) {
        for met in paths.iter().flat_map(|path| walk(path)) {
            match met {
                Met::File(path) => self.file(path),
                Met::Passed(_) => self.gathered.passed += 1,
                Met::Fault(path, error) => self.fault(path, error.to_string()),
            }
        }
    }

    fn file(&mut self, path: PathBuf) {
        let (screen, files) = (&mut self.screen, self.gathered.files);
        let before = self.gathered.bytes;
        let mut bytes = before;
        let hashed = hash(&path, |got| {
            bytes += got;
            screen.show(files, bytes);
            true
        });
        let hashed = match hashed {
            Ok(hashed) => hashed,
            Err(error) => return self.fault(path, error.to_string()),
        };
        self.gathered.files += 1;
        self.gathered.bytes = before + hashed.bytes;
        match hashed.picture {
            Picture::None => {}
            Picture::Hashed => self.gathered.pictures += 1,
            Picture::Flat(_) => self.gathered.flat += 1,
            Picture::Fault(error) => self.fault(path.clone(), format!("no pdq hash: {error}")),
        }
        (self.each)(Subject {
            path: Some(path),
            line: None,
            fingerprints: hashed.fingerprints,
        });
    }

    fn fault(&mut self, path: PathBuf, text: String) {
        self.gathered.faults += 1;
        if self.gathered.told.len() < FAULTS_TOLD {
            self.gathered.told.push((path, text));
        }
    }

    /// Reads a list. A line that is no fingerprint refuses it; what came before was handed on.
    pub(super) fn hashes(&mut self, list: &Path, kind: Option<&Algorithm>) -> Result<(), Failure> {
        let refused = |text: String| Failure::input(format!("{}: {text}", list.display()));
        let file = File::open(list).map_err(|error| refused(error.to_string()))?;
        let mut lines = Lines::new(BufReader::new(file));
        while let Some((line, value)) = lines
            .next(kind)
            .map_err(|error| refused(error.to_string()))?
        {
            match value {
                Ok(None) => {}
                Ok(Some(fingerprint)) => {
                    self.gathered.hashes += 1;
                    (self.each)(Subject {
                        path: None,
                        line: Some(line),
                        fingerprints: vec![fingerprint],
                    });
                }
                Err(fault) if fault.is_guarded() => self.gathered.guarded += 1,
                Err(fault) => return Err(refused(format!("line {line}: {fault}"))),
            }
        }
        Ok(())
    }
}

/// A bar on a terminal, a line now and then elsewhere.
struct Screen {
    bar: Option<ProgressBar>,
    last: Instant,
}

impl Screen {
    fn new() -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}  {elapsed}");
            let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
            ProgressBar::new_spinner().with_style(style)
        });
        Self {
            bar,
            last: Instant::now(),
        }
    }

    fn show(&mut self, files: u64, bytes: u64) {
        let every = if self.bar.is_some() {
            EVERY / 50
        } else {
            EVERY
        };
        if self.last.elapsed() < every {
            return;
        }
        self.last = Instant::now();
        let text = format!("hashing: {files} files, {}", HumanBytes(bytes));
        match &self.bar {
            Some(bar) => {
                bar.set_message(text);
                bar.tick();
            }
            None => eprintln!("{text}"),
        }
    }
}
