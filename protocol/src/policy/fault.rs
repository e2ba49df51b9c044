//! What is wrong with a policy document, and where.

use std::fmt;

/// One fault. A document with any fault is refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{kind}", Place(self))]
pub struct PolicyFault {
    /// The file; empty if it is about the document.
    pub file: String,
    /// The line from 1; 0 if it is about the whole file.
    pub line: u32,
    /// The column from 1, in characters; 0 if it is about the whole file.
    pub column: u32,
    /// What it is.
    pub kind: FaultKind,
}

struct Place<'a>(&'a PolicyFault);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PolicyFault {
            file, line, column, ..
        } = self.0;
        match (file.is_empty(), *line) {
            (true, _) => Ok(()),
            (false, 0) => write!(f, "{file}: "),
            (false, _) => write!(f, "{file}:{line}:{column}: "),
        }
    }
}

/// What a fault is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    /// More bytes than a document may have.
    #[error("a policy document has at most {max} bytes, this one has {got}")]
    TooLong {
        /// The limit.
        max: usize,
        /// The length of all files.
        got: usize,
    },
    /// More files than a document may have.
    #[error("a policy document has at most {max} files, this one has {got}")]
    TooManyFiles {
        /// The limit.
        max: usize,
        /// The number.
        got: usize,
    },
    /// A file name of another form.
    #[error("a file is profile.toml or has a name of a-z, 0-9 and '-' that ends in .cedar")]
    FileName,
    /// Two files of one name.
    #[error("there are two files of this name")]
    RepeatedFile,
    /// No facts, or no policies.
    #[error("the document has no {expected}")]
    Missing {
        /// What is not there.
        expected: &'static str,
    },
    /// `profile.toml` is not what it should be, in the words of its reader.
    #[error("{said}")]
    Facts {
        /// What the reader says.
        said: String,
    },
    /// A value of `profile.toml` that its place does not allow.
    #[error("expected {expected}")]
    Value {
        /// What the place allows.
        expected: &'static str,
    },
    /// A grant that ends before it opens, skew included.
    #[error("a grant is open from a day after `from` to a day before `until`: this one never is")]
    NeverOpen,
    /// Two grants of one id.
    #[error("there are two grants with this id")]
    RepeatedGrant,
    /// Counsel signed off, and a policy still asks for it.
    #[error("counsel signed off the profile, and this policy still says that counsel must confirm")]
    NotConfirmed,
    /// Cedar cannot read it, in Cedar's words.
    #[error("{said}")]
    Syntax {
        /// What Cedar says.
        said: String,
    },
    /// It does not fit the schema, in Cedar's words.
    #[error("{said}")]
    Schema {
        /// What Cedar says.
        said: String,
    },
    /// More policies than a document may have.
    #[error("a policy document has at most {max} policies")]
    TooManyPolicies {
        /// The limit.
        max: usize,
    },
    /// A policy that is nested too deep or too long to be evaluated safely.
    #[error(
        "a policy has at most {} words and signs and {} nested brackets",
        crate::limits::POLICY_TOKENS,
        crate::limits::POLICY_DEPTH
    )]
    TooComplex,
    /// A template: it has no principal or resource of its own.
    #[error("templates (?principal, ?resource) are not allowed")]
    Template,
    /// A missing or malformed annotation.
    #[error("expected @{name}({expected})")]
    Annotation {
        /// Its name.
        name: &'static str,
        /// What it should hold.
        expected: &'static str,
    },
    /// An annotation that means nothing here.
    #[error("@{name} is not known: there are @id, @basis and @counsel")]
    UnknownAnnotation {
        /// Its name.
        name: String,
    },
    /// Two policies of one id.
    #[error("there are two policies with the id {id}")]
    RepeatedId {
        /// The id.
        id: String,
    },
    /// An uncertain label in a form that would not hold for every value that it could have.
    #[error("{0}")]
    Form(FormFault),
    /// A text that the list of what is compared with it does not have.
    #[error("{got:?} is not {list}")]
    Word {
        /// The text.
        got: String,
        /// The list.
        list: &'static str,
    },
}

/// Why a condition is not in an accepted form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormFault {
    /// A label that must hold for every value.
    #[error(
        "here an uncertain label must hold for every value that it could have: [..].containsAll(resource.maybe.x), or !resource.maybe.x.containsAny([..])"
    )]
    All,
    /// A label of which any value counts.
    #[error(
        "here any value that an uncertain label could have counts: resource.maybe.x.containsAny([..]), or ![..].containsAll(resource.maybe.x)"
    )]
    Any,
    /// A granted set where unknown would allow.
    #[error(
        "a granted set is asked only where its absence denies: resource.granted.x.contains(..) in `permit when` or `forbid unless`, or negated in the others"
    )]
    Granted,
    /// Neither of the accepted forms.
    #[error("an uncertain or granted label stands only in the accepted forms")]
    Other,
    /// Time in a condition.
    #[error(
        "dates stand in grants, which open and end with the allowed clock skew: conditions do not read context.now"
    )]
    Now,
    /// A test that needs a list to compare with.
    #[error("labels are compared with ==, !=, contains, containsAll or containsAny")]
    Like,
    /// Two different lists compared with each other.
    #[error("these are values of two different lists and never equal")]
    Lists,
}

impl PolicyFault {
    pub(super) fn document(kind: FaultKind) -> Self {
        Self::file("", kind)
    }

    pub(super) fn file(file: &str, kind: FaultKind) -> Self {
        Self {
            file: file.to_owned(),
            line: 0,
            column: 0,
            kind,
        }
    }

    /// A fault at a byte offset of a file's text.
    pub(super) fn at(file: &str, text: &str, offset: usize, kind: FaultKind) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let lines = before.split('\n').count();
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        Self {
            file: file.to_owned(),
            line: u32::try_from(lines).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
            kind,
        }
    }
}
