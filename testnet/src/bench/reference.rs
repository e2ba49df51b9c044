//! The references: what the machine can do at best.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Instant;

use anyhow::Result;

/// Bytes of a request and of an answer in the echo: those of a look-up.
const LINE: usize = 600;

/// Seconds to write a file's bytes to another and fsync it.
pub(super) fn plain_write(list: &Path, target: &Path) -> Result<f64> {
    let bytes = fs::read(list)?;
    let started = Instant::now();
    let mut file = File::create(target)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    let seconds = started.elapsed().as_secs_f64();
    fs::remove_file(target)?;
    Ok(seconds)
}

/// Lines a second that come back over a Unix socket from a thread that does nothing else.
pub(super) fn echo(lines: u64) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("echo");
    let listener = UnixListener::bind(&path)?;
    let server = std::thread::spawn(move || -> std::io::Result<()> {
        let (stream, _) = listener.accept()?;
        let (mut read, mut write) = (BufReader::new(stream.try_clone()?), stream);
        let mut line = Vec::new();
        while read.read_until(b'\n', &mut line)? > 0 {
            write.write_all(&line)?;
            line.clear();
        }
        Ok(())
    });
    let mut write = UnixStream::connect(&path)?;
    let mut read = BufReader::new(write.try_clone()?);
    let mut line = vec![b'x'; LINE];
    line.push(b'\n');
    let mut answer = Vec::new();
    let started = Instant::now();
    for _ in 0..lines {
        write.write_all(&line)?;
        answer.clear();
        read.read_until(b'\n', &mut answer)?;
    }
    let seconds = started.elapsed().as_secs_f64();
    write.shutdown(std::net::Shutdown::Both)?;
    drop((read, write));
    // The thread ends with the connection; how is of no interest.
    let _ = server.join();
    Ok(super::count(lines) / seconds)
}
