//! `backup diff`.

use backstay_engine::model;

use crate::cli::args::BackupDiff;
use crate::cli::failure::Done;
use crate::cli::output::{Align, Table, Tone, count, none};
use crate::cli::session::Session;
use crate::client::{path, with_query};

pub(super) async fn diff(session: &Session, args: &BackupDiff) -> Done {
    let client = session.engine().await?;
    let target = path(&["backups", &args.backup.backup, "diff"]);
    let query = serde_json::json!({"against": args.older});
    let diff: model::BackupDiff = client.get(&with_query(&target, &query)?).await?;
    session.output.record(&diff, |paint, diff| {
        let mut table = Table::new(&[
            ("CHANGE", Align::Left),
            ("KIND", Align::Left),
            ("NAME", Align::Left),
            ("WHAT", Align::Left),
            ("ROWS", Align::Left),
        ]);
        for item in &diff.items {
            let name = match &item.schema {
                Some(schema) => format!("{schema}.{}", item.name),
                None => item.name.clone(),
            };
            let what = match (item.definition, item.data) {
                (true, true) => "definition, rows",
                (true, false) => "definition",
                (false, true) => "rows",
                (false, false) => "",
            };
            let rows = match (item.rows_before, item.rows_after) {
                (Some(before), Some(after)) if before != after => {
                    format!("{} → {}", count(before), count(after))
                }
                (_, Some(rows)) | (Some(rows), None) => count(rows),
                (None, None) => none(),
            };
            let tone = match item.change {
                model::Change::Added => Tone::Good,
                model::Change::Removed => Tone::Bad,
                model::Change::Changed => Tone::Warning,
            };
            table
                .row([
                    item.change.to_string(),
                    item.kind.to_lowercase(),
                    name,
                    what.to_owned(),
                    rows,
                ])
                .tone(0, tone);
        }
        let mut text = format!("{} compared with the older {}", diff.to, diff.from);
        if !diff.items.is_empty() {
            text.push('\n');
            text.push_str(&table.render(paint));
        }
        if diff.truncated {
            text.push_str("\n… and more");
        }
        text.push_str(&format!("\n{} objects are the same", count(diff.unchanged)));
        text
    })?;
    if !diff.contents_compared {
        session.output.warn(
            "the two lie in repositories with keys of their own: of rows, only their number was compared",
        );
    }
    Ok(())
}
