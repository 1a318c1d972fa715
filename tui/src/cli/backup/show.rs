//! `backup list`, `backup show`, `backup objects`.

use backstay_engine::model::{self, Backup, BackupObject, Page, VerifyLevel};

use super::remarks::pinned;
use super::{holds, source};
use crate::cli::args::{BackupList, BackupObjects};
use crate::cli::failure::Done;
use crate::cli::output::{Align, Paint, Table, Tone, bytes, count, duration_ms, none, time};
use crate::cli::run;
use crate::cli::session::Session;
use crate::client::path;

/// Letters of a column that may be of any length.
const COLUMN_CHARS: usize = 40;

pub(super) async fn list(session: &Session, args: BackupList) -> Done {
    let (connection, database) = match args.target {
        Some(source) => (Some(source.connection), source.database),
        None => (None, None),
    };
    let (project, environment) = crate::cli::connection::project(args.environment.as_deref());
    let query = model::BackupList {
        connection,
        database,
        repository: args.repository,
        project,
        environment,
        kind: args.kind.map(|kind| kind.parse()).transpose()?,
        backup_type: args.r#type.map(|chosen| chosen.parse()).transpose()?,
        status: args.status.map(|status| status.parse()).transpose()?,
        label: args.label,
        from: args.since,
        to: args.until,
        ..model::BackupList::default()
    };
    let target = path(&["backups"]);
    let page: Page<Backup> = session.list(&target, &query, &args.page).await?;
    session.output.list(
        &page,
        "There are no such backups; `backstay backup run CONNECTION` makes one.",
        |_, items| {
            let mut table = Table::new(&[
                ("BACKUP", Align::Left),
                ("OF", Align::Left),
                ("MADE", Align::Left),
                ("STATUS", Align::Left),
                ("HOLDS", Align::Left),
                ("VERIFIED", Align::Left),
                ("READ", Align::Right),
                ("STORED", Align::Right),
                ("LABEL", Align::Left),
            ]);
            for item in items {
                let label = item.label.clone().unwrap_or_default();
                let pin = if item.pinned_until.is_some() {
                    "pinned"
                } else {
                    ""
                };
                let remarks = [label.as_str(), pin];
                let remarks: Vec<_> = remarks
                    .into_iter()
                    .filter(|text| !text.is_empty())
                    .collect();
                table
                    .row([
                        item.id.to_string(),
                        source(item),
                        time(item.point_at.unwrap_or(item.created_at)),
                        item.status.to_string(),
                        short(holds(item)),
                        item.failed_rung.as_ref().map_or_else(
                            || item.verify_level.to_string(),
                            |failed| format!("not {}", failed.level),
                        ),
                        bytes(item.source_bytes),
                        bytes(item.stored_bytes),
                        remarks.join(", "),
                    ])
                    .tone(3, Tone::of(item.status));
                if item.failed_rung.is_some() {
                    table.tone(5, Tone::Bad);
                }
            }
            table
        },
    )
}

/// As much of a text as a column of a list takes.
fn short(text: String) -> String {
    match text.char_indices().nth(COLUMN_CHARS) {
        None => text,
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

pub(super) fn view(paint: Paint, backup: &Backup) -> String {
    let mut table = Table::facts();
    table
        .fact("backup", backup.id.to_string())
        .fact("of", source(backup))
        .fact("status", backup.status.to_string())
        .tone(1, Tone::of(backup.status))
        .fact("chosen", holds(backup))
        .fact("kind", format!("{}, {}", backup.kind, backup.backup_type))
        .maybe(
            "compared with",
            backup.base_backup_id.map(|base| base.to_string()),
        )
        .maybe("state of", backup.point_at.map(time))
        .fact("asked for", time(backup.created_at))
        .maybe("took", backup.duration_ms.map(duration_ms))
        .maybe("server", backup.server_version.clone())
        .fact("repository", backup.repository.clone())
        .fact(
            "holds",
            format!(
                "{} objects, {} tables, {} rows",
                count(backup.objects),
                count(backup.tables),
                count(backup.rows)
            ),
        )
        .fact("read", bytes(backup.source_bytes))
        .fact(
            "new",
            format!(
                "{}, stored in {}",
                bytes(backup.new_bytes),
                bytes(backup.stored_bytes)
            ),
        )
        .maybe("label", backup.label.clone())
        .maybe("note", backup.note.clone())
        .maybe("kept", backup.pinned_until.map(pinned))
        .maybe("run", backup.run_id.map(|id| id.to_string()))
        .maybe("checksum", backup.checksum.clone());
    ladder(&mut table, backup);
    run::problem(&mut table, backup.error.as_ref());
    let mut text = table.render(paint);
    text.push_str(&run::losses(
        paint,
        &backup.losses,
        backup.losses.len() as u64,
    ));
    text
}

/// The four rungs of proof, each with the date it was last climbed.
fn ladder(table: &mut Table, backup: &Backup) {
    let levels = VerifyLevel::ALL
        .iter()
        .filter(|level| **level != VerifyLevel::None);
    for level in levels {
        let climbed = backup.verified.iter().find(|rung| rung.level == *level);
        let climbed = climbed.map(|rung| time(rung.at));
        let failed = backup.failed_rung.as_ref();
        if let Some(failed) = failed.filter(|own| own.level == *level) {
            let mut text = format!("FAILED {}", time(failed.at));
            if let Some(climbed) = climbed {
                text.push_str(&format!(", last climbed {climbed}"));
            }
            if let Some(run) = failed.run_id {
                text.push_str(&format!("; see `backstay run show {run}`"));
            }
            table.fact(level.as_str(), text).tone(1, Tone::Bad);
        } else {
            let text = climbed.unwrap_or_else(|| "never".to_owned());
            table.fact(level.as_str(), text);
        }
    }
}

pub(super) async fn objects(session: &Session, args: BackupObjects) -> Done {
    let query = model::ObjectList {
        kind: args.kind,
        schema: args.schema,
        ..model::ObjectList::default()
    };
    let target = path(&["backups", &args.backup.backup, "objects"]);
    let page: Page<BackupObject> = session.list(&target, &query, &args.page).await?;
    session
        .output
        .list(&page, "The backup holds no such objects.", |_, items| {
            let mut table = Table::new(&[
                ("KIND", Align::Left),
                ("SCHEMA", Align::Left),
                ("NAME", Align::Left),
                ("ROWS", Align::Right),
                ("DATA", Align::Right),
                ("OWNER", Align::Left),
            ]);
            for item in items {
                table.row([
                    item.kind.to_lowercase(),
                    item.schema.clone().unwrap_or_else(none),
                    item.name.clone(),
                    item.rows.map_or_else(none, count),
                    item.data_bytes.map_or_else(none, bytes),
                    item.owner.clone().unwrap_or_else(none),
                ]);
            }
            table
        })
}
