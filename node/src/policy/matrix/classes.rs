//! A file of classes: TOML tables `[[class]]` with labels, and if one likes a name, an origin and a number of entries.
//!
//! In scope: the file. Out of scope: the text of the labels (`policy::class`).

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use hashpact_keys::CentreId;
use serde::Deserialize;
use toml::Spanned;

use super::Class;
use crate::policy::class::ClassText;
use crate::policy::scene::Scene;

/// Bytes of a file of classes: thousands of them.
const CLASSES_LEN: u64 = 4 << 20;
/// Characters of a name.
const NAME_CHARS_MAX: usize = 48;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassesFile {
    class: Vec<ClassTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassTable {
    labels: Spanned<String>,
    name: Option<Spanned<String>>,
    origin: Option<Spanned<String>>,
    entries: Option<u64>,
}

/// Why a file holds no classes.
#[derive(Debug, thiserror::Error)]
pub enum ClassesError {
    /// The system refused.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
    /// Longer than any list of classes.
    #[error("{path}: more than {CLASSES_LEN} bytes", path = path.display())]
    Length {
        /// The file.
        path: PathBuf,
    },
    /// What it says is no class.
    #[error("{path}:{line}: {said}", path = path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        said: String,
    },
}

/// Reads the classes of a file. One without an origin is asked about as each centre's of which a policy is known.
///
/// # Errors
/// [`ClassesError`] with the line.
pub fn read_classes(path: &Path, scene: &Scene) -> Result<Vec<Class>, ClassesError> {
    let io = |source| ClassesError::Io {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(io)?;
    // One byte more than allowed tells a file that is too long.
    file.take(CLASSES_LEN + 1)
        .read_to_string(&mut text)
        .map_err(io)?;
    if text.len() as u64 > CLASSES_LEN {
        let path = path.to_owned();
        return Err(ClassesError::Length { path });
    }
    classes(&text, scene).map_err(|(at, said)| ClassesError::Form {
        path: path.to_owned(),
        line: 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count(),
        said,
    })
}

/// A fault: at which byte, and what.
type Fault = (usize, String);

fn classes(text: &str, scene: &Scene) -> Result<Vec<Class>, Fault> {
    let file: ClassesFile = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        (at, error.message().to_owned())
    })?;
    let mut all = Vec::new();
    for (number, table) in (1..).zip(&file.class) {
        let at = table.labels.span().start;
        let labels: ClassText = table
            .labels
            .get_ref()
            .parse()
            .map_err(|error| (at, format!("{error}")))?;
        let name = name(table, number)?;
        for origin in origins(table, scene)? {
            let party = scene
                .party(&origin)
                .map_err(|error| (at, error.to_string()))?;
            let labels = labels.at(&party.jurisdiction);
            labels.check().map_err(|error| (at, error.to_string()))?;
            all.push(Class {
                origin,
                id: None,
                name: name.clone(),
                labels,
                entries: table.entries,
            });
        }
    }
    Ok(all)
}

fn origins(table: &ClassTable, scene: &Scene) -> Result<Vec<CentreId>, Fault> {
    let Some(origin) = &table.origin else {
        let known = scene.0.iter().filter(|(_, party)| party.law.is_some());
        return Ok(known.map(|(id, _)| id.clone()).collect());
    };
    let (at, name) = (origin.span().start, origin.get_ref());
    let id = name
        .parse()
        .map_err(|error| (at, format!("{name}: {error}")))?;
    Ok(vec![id])
}

fn name(table: &ClassTable, number: usize) -> Result<String, Fault> {
    let Some(name) = &table.name else {
        return Ok(format!("class {number}"));
    };
    let (at, name) = (name.span().start, name.get_ref());
    if name.trim().is_empty() || name.chars().count() > NAME_CHARS_MAX {
        return Err((at, format!("a name has 1 to {NAME_CHARS_MAX} characters")));
    }
    if name.chars().any(char::is_control) {
        return Err((at, "a name has no control characters".to_owned()));
    }
    Ok(name.clone())
}
