//! The memory of a process that runs: what a core file of it would hold, page for page.
//!
//! Why not a core file: nodes leave none (ADR 0022), and that is checked too. Reading
//! `/proc/<pid>/mem` of an undumpable process needs root, as a debugger does. In scope: Linux.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;

use anyhow::{Context as _, Result, ensure};

use crate::needles::{Found, Needles};

/// What was looked through.
pub(super) struct Looked {
    pub(super) bytes: u64,
    pub(super) found: Vec<Found>,
}

/// Searches all memory that a process can read itself. `None` if the system does not let us.
pub(super) fn search(pid: u32, needles: &Needles) -> Result<Option<Looked>> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"));
    let memory = File::open(format!("/proc/{pid}/mem"));
    let (maps, memory) = match (maps, memory) {
        (Ok(maps), Ok(memory)) => (maps, memory),
        (Err(error), _) | (_, Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Ok(None);
        }
        (Err(error), _) | (_, Err(error)) => return Err(error.into()),
    };
    let mut looked = Looked {
        bytes: 0,
        found: Vec::new(),
    };
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let range = words.next().and_then(|range| range.split_once('-'));
        let (from, to) = range.context("a range of memory")?;
        let readable = words.next().is_some_and(|rights| rights.starts_with('r'));
        // Pages that the kernel lends, which cannot be read from outside.
        if !readable
            || line.ends_with("[vvar]")
            || line.ends_with("[vvar_vclock]")
            || line.ends_with("[vsyscall]")
        {
            continue;
        }
        let (from, to) = (u64::from_str_radix(from, 16)?, u64::from_str_radix(to, 16)?);
        let pages = Pages {
            memory: &memory,
            at: from,
            to,
        };
        looked.found.extend(needles.find_in(pages)?);
        looked.bytes += to - from;
    }
    ensure!(looked.bytes > 1 << 20, "a process with no memory");
    Ok(Some(looked))
}

/// A range of a process's memory.
struct Pages<'a> {
    memory: &'a File,
    at: u64,
    to: u64,
}

impl Read for Pages<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.to - self.at).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        if wanted == 0 {
            return Ok(0);
        }
        match self.memory.read_at(&mut buffer[..wanted], self.at) {
            Ok(read) => {
                self.at += read as u64;
                Ok(read)
            }
            // A page behind the end of a mapped file, or a range that went meanwhile: nothing is there.
            Err(error) if error.raw_os_error() == Some(EIO) => Ok(0),
            Err(error) => Err(error),
        }
    }
}

const EIO: i32 = 5;

/// Whether the system would write no core file of a process.
pub(super) fn leaves_no_core(pid: u32) -> Result<bool> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max core file size"));
    let mut words = line.context("no limit of core files")?.split_whitespace();
    Ok(words.next() == Some("0") && words.next() == Some("0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_the_memory_of_a_process_is_found() {
        let mut child = std::process::Command::new("sleep")
            .arg("5")
            .env("PLANTED", "a secret that lies in its environment, see")
            .spawn()
            .unwrap();
        let named = |secret: &[u8]| ("planted".to_owned(), secret.to_vec());
        let planted = Needles::new([named(b"a secret that lies in its environment")]).unwrap();
        let absent = Needles::new([named(b"a secret that does not lie anywhere there")]).unwrap();
        // The child's image is there once it has run the program.
        let mut found = 0;
        for _ in 0..100 {
            let looked = search(child.id(), &planted).ok().flatten();
            found = looked.map_or(0, |looked| looked.found.len());
            if found > 0 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let none = search(child.id(), &absent).unwrap().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found > 0 && none.found.is_empty());
    }
}
