//! Whether text holds a file's content.
//!
//! Why: a list has hashes and labels, so an address with its data in it, or long base64, means that somebody exported
//! content by mistake, and nothing of such a file may be kept. In scope: JSON and XML before they are taken apart. Out of
//! scope: cells of CSV (`row`).

use super::FileFault;
use super::report::Code;

/// Longest run of letters and digits that a hash or a name needs: a PhotoDNA value in hexadecimal has 288, the longest
/// opaque one 2,048.
const RUN_MAX: usize = 2048;

/// Refuses a file that has content in it.
pub(super) fn refuse(bytes: &[u8]) -> Result<(), FileFault> {
    let mut run = 0;
    for byte in bytes {
        // Of either alphabet, and with the escapes that JSON allows in it.
        let is_base64 = byte.is_ascii_alphanumeric()
            || matches!(byte, b'+' | b'/' | b'=' | b'-' | b'_' | b'\\');
        run = if is_base64 { run + 1 } else { 0 };
        if run > RUN_MAX {
            return Err(content(format!("more than {RUN_MAX} characters of base64")));
        }
    }
    let is_address = |window: &[u8]| window.eq_ignore_ascii_case(b"data:");
    for (at, _) in bytes.windows(5).enumerate().filter(|(_, w)| is_address(w)) {
        let starts = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
        let rest = &bytes[at + 5..];
        let rest = &rest[..rest.len().min(128)];
        let end = rest.iter().position(|b| matches!(b, b'"' | b'<' | b' '));
        let rest = &rest[..end.unwrap_or(rest.len())];
        if starts && rest.contains(&b'/') && rest.iter().any(|b| matches!(b, b';' | b',')) {
            return Err(content("an address with its data in it".to_owned()));
        }
    }
    Ok(())
}

fn content(what: String) -> FileFault {
    FileFault {
        code: Code::MediaContent,
        row: None,
        detail: format!("{what}: a list has hashes, not content"),
    }
}
