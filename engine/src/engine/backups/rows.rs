//! The first rows of a table of a backup, without a restore.

use super::super::Engine;
use crate::error::{Error, Result};
use crate::model::{BackupRows, CutValue, RowColumn, RowsRequest, checked_limit};
use crate::pipeline::archive::{Archive, ArchivedTable};
use crate::pipeline::preview::{self, FirstRows, Found};
use crate::source::postgres::logical::defined::Definition;
use crate::source::postgres::logical::object::ObjectKind;
use crate::source::postgres::logical::restore::choose::Choice;

impl Engine {
    /// The first rows of a table as a backup holds them. Reads only the chunks that these take.
    pub async fn backup_rows(&self, spelling: &str, request: &RowsRequest) -> Result<BackupRows> {
        let limit = checked_limit(request.limit)?;
        let backup = self.restorable_backup(spelling)?;
        let choice = table_of(&request.object)?;
        let (repository, archive) = self.archive(&backup).await?;
        let found = preview::find(&archive, &choice.schema, &choice.name)?;
        let definition = preview::definition(&archive, found);
        let first = match found.table {
            Some(table) => preview::rows(&repository, &archive, table, limit).await?,
            None => FirstRows::default(),
        };
        let note = note(&archive, found, &definition, &first);
        let rows = BackupRows {
            backup_id: backup.id,
            schema: choice.schema,
            name: choice.name,
            kind: found
                .object
                .map_or(ObjectKind::Table, |object| object.kind)
                .sql_name()
                .to_owned(),
            columns: columns(found.table, &definition),
            total_rows: found.table.map(|table| table.entry.sum.rows),
            truncated: found
                .table
                .is_some_and(|table| table.entry.sum.rows > first.rows.len() as u64),
            cut: cut(&first),
            computed_columns: computed(found.table, &definition),
            note,
            rows: first
                .rows
                .into_iter()
                .map(|row| row.into_iter().map(|value| value.text).collect())
                .collect(),
        };
        // Whoever sees rows has what a download gives, a little of it.
        self.audit("backup.rows", backup.id, None::<&()>, Some(request))
            .await?;
        Ok(rows)
    }
}

/// What `SCHEMA.TABLE` means.
fn table_of(text: &str) -> Result<Choice> {
    let odd = |error: Error| error.field("object", "must be like shop.orders or \"shop\".\"a.b\"");
    if text.is_empty() {
        return Err(odd(Error::invalid("The request does not say which table")));
    }
    let choice = Choice::parse(text).map_err(odd)?;
    if choice.new.is_some() {
        let refused = format!("\"{text}\" does not name one table");
        return Err(odd(Error::invalid(refused)));
    }
    Ok(choice)
}

/// The columns that rows have; of what has no rows, those it is defined with.
fn columns(table: Option<&ArchivedTable>, definition: &Definition) -> Vec<RowColumn> {
    let names: Vec<&String> = if let Some(table) = table {
        table.entry.columns.iter().collect()
    } else {
        let own = definition.columns.iter().filter(|own| !own.is_generated);
        own.map(|own| &own.name).collect()
    };
    let column = |name: &String| RowColumn {
        name: name.clone(),
        r#type: preview::type_of(definition, name),
    };
    names.into_iter().map(column).collect()
}

fn computed(table: Option<&ArchivedTable>, definition: &Definition) -> Vec<String> {
    let is_saved = |name: &String| table.is_some_and(|table| table.entry.columns.contains(name));
    let all = definition.columns.iter().filter(|own| own.is_generated);
    let names = all.map(|own| own.name.clone());
    names.filter(|name| !is_saved(name)).collect()
}

fn cut(first: &FirstRows) -> Vec<CutValue> {
    let mut cut = Vec::new();
    for (row, values) in first.rows.iter().enumerate() {
        for (column, value) in values.iter().enumerate().filter(|(_, own)| own.is_cut) {
            cut.push(CutValue {
                row: row as u64,
                column: column as u64,
                bytes: value.bytes,
            });
        }
    }
    cut
}

/// What is not plain from the rows themselves.
fn note(
    archive: &Archive,
    found: Found<'_>,
    definition: &Definition,
    first: &FirstRows,
) -> Option<String> {
    let Some(table) = found.table else {
        let object = found.object?;
        return Some(preview::why_no_rows(archive, object, definition));
    };
    let label = table.label();
    if let Some(reason) = &table.entry.lost {
        return Some(format!("The backup lacks some rows of {label}: {reason}"));
    }
    first.stopped_in_row.then(|| {
        format!("A row of {label} is too long to show; `backstay backup export` writes all of them")
    })
}
