//! The script: settings, definitions, rows as `COPY` blocks, large objects, the rest.

use std::fmt::Write as _;

use bytes::Bytes;

use super::{Out, Source};
use crate::error::Result;
use crate::pipeline::archive::ArchivedTable;
use crate::pipeline::restore::push_hex;
use crate::source::postgres::logical::large_objects::PieceDecoder;
use crate::source::postgres::logical::object::{Object, ObjectKind, Section};
use crate::source::postgres::logical::quote::literal;
use crate::source::postgres::logical::snapshot::VALUE_SETTINGS;

/// Text gathered before it is written.
const BLOCK_BYTES: usize = 1 << 20;

/// Writes the whole script.
pub(super) async fn write(source: &Source<'_>, out: &mut Out<'_>) -> Result<()> {
    out.write(header(source).as_bytes()).await?;
    out.write(super::globals::script(source).as_bytes()).await?;
    let mut script = Script::new(source);
    definitions(source, &mut script, out).await?;
    script.flush(out).await?;
    for table in &source.archive.tables {
        rows(source, table, out).await?;
        source.task.monitor.advance(1, 0, 0);
    }
    let mut pieces = LargeObjects::begin(source);
    while let Some(text) = pieces.next(BLOCK_BYTES).await? {
        out.write(text.as_bytes()).await?;
    }
    rest(source, &mut script, out).await?;
    script.flush(out).await?;
    out.write(b"\n-- End of the backup\n").await
}

/// What the script begins with.
pub(super) fn header(source: &Source<'_>) -> String {
    let database = &source.archive.database;
    let mut values = String::new();
    for (name, value) in VALUE_SETTINGS {
        let _ = writeln!(values, "SET {name} = {};", literal(value));
    }
    format!(
        "--\n-- Backstay: database {}, backup {}, taken {}\n-- from PostgreSQL {}\n{}--\n\n\
         SET statement_timeout = 0;\nSET lock_timeout = 0;\n\
         SET idle_in_transaction_session_timeout = 0;\nSET client_encoding = 'UTF8';\n\
         SELECT pg_catalog.set_config('search_path', '', false);\n\
         SET check_function_bodies = false;\nSET client_min_messages = warning;\n\
         SET row_security = off;\n{values}\n",
        one_line(&database.name),
        source.archive.snapshot.id,
        one_line(&database.snapshot_at),
        one_line(&database.server_version_text),
        lacks(source),
    )
}

/// What the script does not hold, as comments.
fn lacks(source: &Source<'_>) -> String {
    let mut text = String::new();
    let selection = &source.archive.database.selection;
    if !selection.is_everything() {
        let chosen = one_line(&selection.to_string());
        let _ = writeln!(text, "-- Holds only what was chosen: {chosen}");
    }
    for loss in &source.archive.facts.losses {
        let (object, reason) = (one_line(&loss.object), one_line(&loss.reason));
        let _ = writeln!(text, "-- The backup lacks {object}: {reason}");
    }
    text
}

/// Text for a comment: a name with a line break must not end it.
pub(super) fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// Gathers statements and keeps track of what is set.
pub(super) struct Script {
    text: String,
    no_owner: bool,
    tablespace: String,
    access_method: Option<String>,
}

impl Script {
    pub(super) fn new(source: &Source<'_>) -> Self {
        Self {
            text: String::new(),
            no_owner: source.options.no_owner,
            tablespace: String::new(),
            access_method: None,
        }
    }

    /// Writes what was gathered.
    pub(super) async fn flush(&mut self, out: &mut Out<'_>) -> Result<()> {
        out.write(self.text.as_bytes()).await?;
        self.text.clear();
        Ok(())
    }

    fn object(&mut self, object: &Object) {
        let _ = write!(
            self.text,
            "--\n-- {} {}{}\n--\n\n",
            object.kind.sql_name(),
            object
                .schema
                .as_ref()
                .map_or(String::new(), |schema| one_line(schema) + "."),
            one_line(&object.name),
        );
        if let Some(wanted) = &object.tablespace
            && *wanted != self.tablespace
        {
            let _ = write!(
                self.text,
                "SET default_tablespace = {};\n\n",
                literal(wanted)
            );
            self.tablespace.clone_from(wanted);
        }
        if let Some(wanted) = &object.access_method
            && self.access_method.as_ref() != Some(wanted)
        {
            let _ = write!(
                self.text,
                "SET default_table_access_method = {};\n\n",
                crate::source::postgres::logical::quote::ident(wanted)
            );
            self.access_method = Some(wanted.clone());
        }
        self.statements(&object.create);
        for newer in &object.newer {
            let statement = one_line(&newer.statement);
            let _ = write!(
                self.text,
                "-- From PostgreSQL {} on: {statement};\n\n",
                newer.since
            );
        }
        if !self.no_owner {
            self.statements(&object.attachments.owner);
        }
        self.statements(&object.attachments.comments);
        self.statements(&object.attachments.security_labels);
    }

    fn statements(&mut self, statements: &[String]) {
        for statement in statements {
            self.text.push_str(statement);
            // A statement may end in a line comment.
            let tail = statement.rsplit('\n').next().unwrap_or_default();
            self.text.push_str(if tail.contains("--") {
                "\n;\n\n"
            } else {
                ";\n\n"
            });
        }
    }
}

/// What comes before the rows.
pub(super) async fn definitions(
    source: &Source<'_>,
    script: &mut Script,
    out: &mut Out<'_>,
) -> Result<()> {
    for object in &source.archive.objects {
        if object.section() == Section::Pre {
            script.object(object);
            if script.text.len() >= BLOCK_BYTES {
                script.flush(out).await?;
            }
        }
    }
    Ok(())
}

/// What comes after the rows: values of sequences, indexes, constraints, privileges, refreshes.
pub(super) async fn rest(
    source: &Source<'_>,
    script: &mut Script,
    out: &mut Out<'_>,
) -> Result<()> {
    let late = |kind: ObjectKind| {
        matches!(
            kind,
            ObjectKind::EventTrigger | ObjectKind::RefreshMaterializedView
        )
    };
    let objects = &source.archive.objects;
    for object in objects {
        let is_value = object.kind == ObjectKind::SequenceValue;
        let is_post = object.section() == Section::Post
            && object.kind != ObjectKind::DefaultAcl
            && !late(object.kind);
        if is_value || is_post {
            script.object(object);
        }
        if script.text.len() >= BLOCK_BYTES {
            script.flush(out).await?;
        }
    }
    if !source.options.no_privileges {
        for object in objects {
            script.statements(&object.attachments.privileges);
            if script.text.len() >= BLOCK_BYTES {
                script.flush(out).await?;
            }
        }
        for object in objects
            .iter()
            .filter(|object| object.kind == ObjectKind::DefaultAcl)
        {
            script.object(object);
        }
    }
    for object in objects.iter().filter(|object| late(object.kind)) {
        script.object(object);
    }
    Ok(())
}

async fn rows(source: &Source<'_>, table: &ArchivedTable, out: &mut Out<'_>) -> Result<()> {
    let name = one_line(&table.label());
    out.write(format!("--\n-- Rows of {name}\n--\n\n{};\n", table.entry.load).as_bytes())
        .await?;
    copy_text(source, table, out).await?;
    out.write(b"\\.\n\n").await
}

/// A table's rows as they were read.
pub(super) async fn copy_text(
    source: &Source<'_>,
    table: &ArchivedTable,
    out: &mut Out<'_>,
) -> Result<()> {
    if out.out.is_none() {
        out.written += table.entry.sum.data_bytes;
        return Ok(());
    }
    for range in &table.ranges {
        let mut reader = source.repository.read(&range.stream);
        let damaged = |error: crate::Error| error.context(format!("Rows of {}", table.label()));
        while let Some(block) = reader.next().await.map_err(damaged)? {
            out.write(&block).await?;
            source.task.monitor.advance(0, block.len() as u64, 0);
        }
    }
    Ok(())
}

/// The large objects as statements, a portion at a time.
pub(super) struct LargeObjects<'a> {
    source: &'a Source<'a>,
    part: usize,
    reader: Option<crate::repository::StreamReader>,
    decoder: PieceDecoder,
    at: (u32, u64),
}

impl<'a> LargeObjects<'a> {
    pub(super) fn begin(source: &'a Source<'a>) -> Self {
        Self {
            source,
            part: 0,
            reader: None,
            decoder: PieceDecoder::default(),
            at: (0, 0),
        }
    }

    /// The next portion of at least `bytes`, the last one shorter; each stands for itself.
    pub(super) async fn next(&mut self, bytes: usize) -> Result<Option<String>> {
        let mut text = String::new();
        while text.len() < bytes {
            while let Some(piece) = self.decoder.next_piece()? {
                self.put(&mut text, piece.oid, &piece.bytes);
            }
            match self.read().await? {
                Some(block) => self.decoder.feed(&block),
                None => break,
            }
        }
        Ok((!text.is_empty()).then_some(text))
    }

    fn put(&mut self, text: &mut String, oid: u32, bytes: &[u8]) {
        if bytes.is_empty() {
            self.at = (0, 0);
            return;
        }
        if self.at.0 != oid {
            self.at = (oid, 0);
        }
        let _ = write!(text, "SELECT pg_catalog.lo_put({oid}, {}, '\\x", self.at.1);
        push_hex(text, bytes);
        text.push_str("');\n");
        self.at.1 += bytes.len() as u64;
    }

    async fn read(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(reader) = &mut self.reader {
                let damaged = |error: crate::Error| error.context("The large objects");
                if let Some(block) = reader.next().await.map_err(damaged)? {
                    return Ok(Some(block));
                }
                std::mem::take(&mut self.decoder).finish()?;
                self.reader = None;
            }
            let Some(part) = self.source.archive.large_objects.get(self.part) else {
                return Ok(None);
            };
            self.part += 1;
            self.reader = Some(self.source.repository.read(&part.stream));
        }
    }
}
