//! Keeps what a process has in memory out of core files: keys of signatures, of the store and of an epoch of private matching
//! are there in clear while they are used.
//!
//! Two steps: the limit of core files goes to zero for good, and on Linux the process is made undumpable, since a crash handler
//! that is a pipe is not bound by the limit; then no other process of the same user reads its memory either. In scope: core
//! files, debuggers of the same user. Out of scope: root, swap, snapshots of the machine (`docs/operating.md`).

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

/// Forbids core files of this process, and reading its memory to other processes of its user.
///
/// # Errors
/// Those of the system; then nothing secret should be loaded.
pub(crate) fn forbid() -> io::Result<()> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior, getrlimit};

    use super::*;

    #[test]
    fn neither_a_crash_nor_another_process_of_the_user_gets_the_memory() {
        forbid().unwrap();
        let limit = getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
