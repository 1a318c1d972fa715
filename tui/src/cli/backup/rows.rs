//! `backup rows`.

use backstay_engine::model::{self, RowColumn, RowsRequest};

use crate::cli::args::BackupRows;
use crate::cli::failure::Done;
use crate::cli::output::{Align, Table, bytes, clean, count, none};
use crate::cli::session::Session;
use crate::client::{path, with_query};

/// Types whose values are numbers, as the server begins their names.
const NUMBERS: &[&str] = &[
    "smallint", "integer", "bigint", "numeric", "real", "double", "oid", "money",
];

pub(super) async fn rows(session: &Session, args: &BackupRows) -> Done {
    let request = RowsRequest {
        object: args.table.clone(),
        limit: Some(args.limit),
    };
    let target = path(&["backups", &args.backup.backup, "rows"]);
    let client = session.engine().await?;
    let rows: model::BackupRows = client.get(&with_query(&target, &request)?).await?;
    let output = session.output;
    if output.json {
        return output.document(&rows);
    }
    if rows.total_rows.is_some() {
        let table = table(&rows).render(output.paint);
        if !table.is_empty() {
            output.text(&table)?;
        }
        output.note(&summary(&rows));
    }
    for cut in &rows.cut {
        let column = usize::try_from(cut.column).ok();
        let column = column.and_then(|place| rows.columns.get(place));
        let name = column.map_or_else(String::new, |column| clean(&column.name).into_owned());
        let whole = bytes(cut.bytes);
        output.note(&format!(
            "{name} of row {} is cut: it has {whole}",
            cut.row + 1
        ));
    }
    if !rows.computed_columns.is_empty() {
        let names = rows.computed_columns.join(", ");
        let names = clean(&names);
        output.note(&format!(
            "A restore computes {names}: a backup does not hold generated columns"
        ));
    }
    if let Some(note) = &rows.note {
        output.warn(&clean(note));
    }
    Ok(())
}

fn table(rows: &model::BackupRows) -> Table {
    let columns = rows.columns.iter();
    let mut table = Table::named(columns.map(|own| (own.name.as_str(), align(own))));
    for row in &rows.rows {
        let values = row.iter().map(|value| value.clone().unwrap_or_else(none));
        table.cells(values.collect());
    }
    table
}

fn align(column: &RowColumn) -> Align {
    let text = column.r#type.as_deref().unwrap_or_default();
    let is_number = NUMBERS.iter().any(|begin| text.starts_with(begin)) && !text.ends_with(']');
    if is_number { Align::Right } else { Align::Left }
}

fn summary(rows: &model::BackupRows) -> String {
    let (shown, all) = (rows.rows.len() as u64, rows.total_rows.unwrap_or_default());
    if rows.truncated {
        format!("{} of {} rows", count(shown), count(all))
    } else {
        format!("{} rows", count(shown))
    }
}
