//! What a server is, what it holds, and what a role may do there.

use crate::error::{Code, Error, Result};

use super::session::KNOWN_MAJORS;

/// Fails for servers that Backstay does not know: an unknown version may have kinds of objects
/// that would be left out without a word.
pub fn check_version(version: u32) -> Result<()> {
    let major = version / 10_000;
    if KNOWN_MAJORS.contains(&major) {
        return Ok(());
    }
    let (first, last) = (KNOWN_MAJORS.start(), KNOWN_MAJORS.end());
    let (what, hint) = if major < *first {
        ("older", "Upgrade the server, or use its own pg_dump")
    } else {
        ("newer", "Use a newer Backstay")
    };
    Err(Error::new(
        Code::SourceVersion,
        format!("The server is PostgreSQL {major}, {what} than the versions {first} to {last} that are known"),
    )
    .hint(hint))
}
