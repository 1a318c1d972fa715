//! A tar of the same: `restore.sql` for `psql`, beside it one file a table, which loads its rows.
//!
//! The format is POSIX ustar; sizes beyond 8 GiB are written in base 256, as GNU tar and bsdtar do.

use std::fmt::Write as _;

use super::sql::{self, LargeObjects, Script};
use super::{Out, Source};
use crate::error::{Code, Error, Result};
use crate::pipeline::archive::ArchivedTable;

const BLOCK_BYTES: usize = 512;
/// Size of each file of large objects, about.
const LARGE_OBJECTS_BYTES: usize = 8 << 20;

/// Writes the archive.
pub(super) async fn write(source: &Source<'_>, out: &mut Out<'_>) -> Result<()> {
    let mut files = Vec::new();
    let pre = section(source, Section::Definitions).await?;
    member(out, "1-definitions.sql", &pre).await?;
    for (place, table) in source.archive.tables.iter().enumerate() {
        let name = format!("rows/{place:06}.sql");
        rows(source, out, &name, table).await?;
        files.push(name);
        source.task.monitor.advance(1, 0, 0);
    }
    let mut pieces = LargeObjects::begin(source);
    let mut parts = Vec::new();
    while let Some(text) = pieces.next(LARGE_OBJECTS_BYTES).await? {
        let name = format!("large_objects/{:06}.sql", parts.len());
        member(out, &name, text.as_bytes()).await?;
        parts.push(name);
    }
    let post = section(source, Section::Rest).await?;
    member(out, "2-rest.sql", &post).await?;
    member(
        out,
        "restore.sql",
        script(source, &files, &parts).as_bytes(),
    )
    .await?;
    out.write(&[0; 2 * BLOCK_BYTES]).await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Definitions,
    Rest,
}

/// A part of the script in memory: definitions are small beside rows.
async fn section(source: &Source<'_>, which: Section) -> Result<Vec<u8>> {
    let mut text = Vec::new();
    let mut out = Out {
        out: Some(&mut text),
        written: 0,
    };
    let mut script = Script::new(source);
    match which {
        Section::Definitions => sql::definitions(source, &mut script, &mut out).await?,
        Section::Rest => sql::rest(source, &mut script, &mut out).await?,
    }
    script.flush(&mut out).await?;
    Ok(text)
}

/// One table's rows as a script of its own, as long as its header says.
async fn rows(
    source: &Source<'_>,
    out: &mut Out<'_>,
    name: &str,
    table: &ArchivedTable,
) -> Result<()> {
    let (before, after) = (format!("{};\n", table.entry.load), "\\.\n");
    let size = before.len() as u64 + table.entry.sum.data_bytes + after.len() as u64;
    out.write(&head(name, size)?).await?;
    let begun = out.written;
    out.write(before.as_bytes()).await?;
    sql::copy_text(source, table, out).await?;
    out.write(after.as_bytes()).await?;
    if out.written - begun != size {
        return Err(Error::new(
            Code::RepositoryCorrupt,
            format!("{} has another size than was recorded", table.label()),
        ));
    }
    pad(out, size).await
}

/// What `psql -f restore.sql` runs: it finds the other files beside itself.
fn script(source: &Source<'_>, files: &[String], parts: &[String]) -> String {
    let mut text = sql::header(source);
    text.push_str(&super::globals::script(source));
    text.push_str("\\ir 1-definitions.sql\n");
    for file in files.iter().chain(parts) {
        let _ = writeln!(text, "\\ir {file}");
    }
    text.push_str("\\ir 2-rest.sql\n");
    text
}

async fn member(out: &mut Out<'_>, name: &str, bytes: &[u8]) -> Result<()> {
    out.write(&head(name, bytes.len() as u64)?).await?;
    out.write(bytes).await?;
    pad(out, bytes.len() as u64).await
}

async fn pad(out: &mut Out<'_>, size: u64) -> Result<()> {
    let over = (size % BLOCK_BYTES as u64) as usize;
    if over == 0 {
        return Ok(());
    }
    out.write(&vec![0; BLOCK_BYTES - over]).await
}

/// A ustar header. <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html>
fn head(name: &str, size: u64) -> Result<[u8; BLOCK_BYTES]> {
    let mut head = [0; BLOCK_BYTES];
    let mut put = |at: usize, text: &[u8]| {
        if let Some(place) = head.get_mut(at..at + text.len()) {
            place.copy_from_slice(text);
        }
    };
    if name.len() > 100 {
        return Err(Error::internal("A file name of the export is too long"));
    }
    put(0, name.as_bytes());
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    if size < 1 << 33 {
        put(124, format!("{size:011o}\0").as_bytes());
    } else {
        put(124, &[0x80, 0, 0, 0]);
        put(128, &size.to_be_bytes());
    }
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = head.iter().map(|byte| u32::from(*byte)).sum();
    if let Some(place) = head.get_mut(148..156) {
        place.copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    //! Headers that other programs read; the whole archive is unpacked by `tar` elsewhere.

    use super::*;

    #[test]
    fn sizes_beyond_eight_gibibytes_are_written_in_base_256() {
        let small = head("a", 512).unwrap();
        assert_eq!(&small[124..136], b"00000001000\0");
        let large = head("a", 1 << 40).unwrap();
        assert_eq!(large[124], 0x80);
        assert_eq!(large[128..136], (1_u64 << 40).to_be_bytes());
    }
}
