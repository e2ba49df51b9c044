//! `hashpact policy` as a person meets it: what is refused and where, who denies and why, and the exit codes.
//!
//! | file | answers |
//! |---|---|
//! | here | small profiles of invented centres |
//! | `check` | is a fault told with its place |
//! | `explain` | is the one who denies named, with its basis |
//! | `diff` | what would a change give and take back |
//! | `document` | two people, a document, a running node, and what is in force there |
//! | `matrix` | every class and recipient at once |
//! | `keys` | the keys of those people |
//! | `transfer` | what flows between two running centres under policy, and what both write down |

mod check;
#[path = "../common/mod.rs"]
mod common;
mod diff;
mod document;
mod explain;
mod keys;
mod matrix;
mod transfer;

use std::fs;
use std::path::Path;

use anyhow::Result;

/// 2026-11-22.
pub(crate) const DAY: &str = "2026-11-22";

/// The facts of an invented centre, with one grant for everyone under a law.
pub(crate) fn facts(name: &str, law: &str, with: &str) -> String {
    format!(
        "schema = 1\nname = \"{name}\"\njurisdiction = \"{law}\"\npurpose = \"triage\"\nwiden_after_hours = 0\n\n\
         [[grant]]\nid = \"agreement\"\nwith = {{ jurisdiction = \"{with}\" }}\nactions = [\"share\", \"reshare\", \"admit\"]\n\
         purposes = [\"triage\", \"statistics\"]\nbasis = \"agreement\"\ndocument = \"synthetic\"\nissuer = \"synthetic\"\n\
         from = 2026-01-01\nuntil = 2027-01-01\n"
    )
}

/// Gives and takes what there is a basis for; text by itself is not given.
pub(crate) const POLICIES: &str = r#"// What this invented centre gives and takes.

@id("with-basis")
@basis("a synthetic treaty")
@counsel("confirm")
permit (principal is Centre, action in [Action::"share", Action::"reshare", Action::"admit"], resource)
when { context.bases.contains("agreement") && resource.state == "assessed" };

@id("no-text")
@basis("a synthetic law on pictures")
@counsel("confirmed")
forbid (principal, action == Action::"share", resource)
when { resource.maybe.media_kind.containsAny(["text"]) };
"#;

/// Writes a profile into a folder of its name.
pub(crate) fn profile(folder: &Path, name: &str, law: &str, with: &str, cedar: &str) -> Result<()> {
    let folder = folder.join(name);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join("profile.toml"), facts(name, law, with))?;
    fs::write(folder.join("rules.cedar"), cedar)?;
    Ok(())
}
