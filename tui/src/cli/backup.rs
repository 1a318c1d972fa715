//! `backup …`

mod days;
mod diff;
mod export;
mod remarks;
mod rows;
mod show;

use backstay_engine::model::{
    self, Backup, BackupCreate, Deletion, LogLine, LogQuery, Page, Run, Selection, Started,
};
use backstay_engine::{Code, Result};

pub(crate) use remarks::{forever, pinned};

use super::args::{BackupCommand, BackupDelete, BackupRun, BackupVerify, Source};
use super::failure::Done;
use super::output::{Paint, bytes, clean, count, duration_ms, time};
use super::session::Session;
use super::{confirm, progress, run};
use crate::client::{path, with_query};

/// Lines of a log asked for at once.
const LINES: u32 = 1000;

/// Does what `backup …` says.
pub(crate) async fn backup(session: &Session, command: BackupCommand) -> Done {
    match command {
        BackupCommand::Run(args) => run_backup(session, args).await,
        BackupCommand::List(args) => show::list(session, args).await,
        BackupCommand::Show(name) => {
            let backup = find(session, &name.backup).await?;
            session.output.record(&backup, show::view)
        }
        BackupCommand::Objects(args) => show::objects(session, args).await,
        BackupCommand::Rows(args) => rows::rows(session, &args).await,
        BackupCommand::Log(name) => log(session, &name.backup).await,
        BackupCommand::Verify(args) => verify(session, &args).await,
        BackupCommand::Diff(args) => diff::diff(session, &args).await,
        BackupCommand::Trends(args) => days::trends(session, args).await,
        BackupCommand::Calendar(args) => days::calendar(session, args).await,
        BackupCommand::Freshness(args) => days::freshness(session, &args.page).await,
        BackupCommand::Pin(args) => remarks::pin(session, &args).await,
        BackupCommand::Annotate(args) => remarks::annotate(session, args).await,
        BackupCommand::Delete(args) => delete(session, &args).await,
        BackupCommand::Export(args) => export::export(session, &args).await,
    }
}

async fn find(session: &Session, name: &str) -> Result<Backup> {
    session.engine().await?.get(&path(&["backups", name])).await
}

async fn run_backup(session: &Session, args: BackupRun) -> Done {
    let Source {
        connection,
        database,
    } = args.target;
    let create = BackupCreate {
        connection,
        database,
        repositories: args.repository,
        backup_type: args.r#type.map(|text| text.parse()).transpose()?,
        label: args.label,
        note: args.note,
        schemas: args.schema,
        tables: args.table,
        exclude_tables: args.exclude_table,
        ..BackupCreate::default()
    };
    let client = session.engine().await?;
    let started: Started = client.post(&path(&["backups"]), &create).await?;
    follow_backups(session, &started, args.detach).await
}

/// Shows how the runs go on and prints the backups they made.
pub(crate) async fn follow_backups(session: &Session, started: &Started, detach: bool) -> Done {
    for warning in &started.warnings {
        session.output.note(warning);
    }
    if detach {
        return progress::detached(session, started);
    }
    let runs = progress::follow(session, started).await?;
    let backups = made(session, &runs, started).await?;
    if session.output.json {
        progress::documents(session, backups)?;
    } else {
        for backup in &backups {
            session
                .output
                .text(&summary(session.output.paint, backup))?;
        }
    }
    progress::conclude(session, &runs).await
}

/// The records of the backups that the runs made or tried to make.
async fn made(session: &Session, runs: &[Run], started: &Started) -> Result<Vec<Backup>> {
    let mut ids: Vec<_> = runs.iter().flat_map(Run::makes).map(|(_, id)| id).collect();
    if ids.is_empty() {
        ids.clone_from(&started.backup_ids);
    }
    let mut backups = Vec::with_capacity(ids.len());
    for id in ids {
        let id = id.to_string();
        match session.client().get(&path(&["backups", &id])).await {
            Ok(backup) => backups.push(backup),
            // A run that failed early may have left no record.
            Err(error) if error.code() == Code::BackupNotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(backups)
}

fn source(backup: &Backup) -> String {
    format!("{}/{}", backup.connection, backup.database)
}

/// What was chosen of the database.
fn holds(backup: &Backup) -> String {
    let everything = Selection::default();
    let chosen = backup.selection.as_ref().unwrap_or(&everything);
    clean(&chosen.to_string()).into_owned()
}

/// Losses named on the terminal at most; the record has more.
const LOSSES_SHOWN: usize = 20;

/// Says again what a backup was made without.
fn warn_of_what_lacks(session: &Session, backup: &Backup) {
    if backup.selection.is_some() {
        session.output.warn(&format!(
            "{} holds only what was chosen of {}: {}",
            backup.id,
            clean(&source(backup)),
            holds(backup)
        ));
    }
    for loss in backup.losses.iter().take(LOSSES_SHOWN) {
        session.output.warn(&format!(
            "The backup lacks {}: {}",
            clean(&loss.object),
            clean(&loss.reason)
        ));
    }
    if backup.losses.len() > LOSSES_SHOWN {
        session.output.warn(&format!(
            "The backup lacks {} more; `backstay backup show {}` lists them",
            backup.losses.len() - LOSSES_SHOWN,
            backup.id
        ));
    }
}

/// One line about a backup that was just made.
fn summary(paint: Paint, backup: &Backup) -> String {
    let head = format!(
        "{}  {}  {} in {}",
        clean(&source(backup)),
        paint.status(backup.status),
        backup.id,
        backup.repository
    );
    if !backup.status.is_restorable() {
        return head;
    }
    let mut parts = vec![
        format!("{} tables", count(backup.tables)),
        format!("{} rows", count(backup.rows)),
        format!("{} read", bytes(backup.source_bytes)),
        format!("{} stored", bytes(backup.stored_bytes)),
    ];
    if let Some(ms) = backup.duration_ms {
        parts.push(duration_ms(ms));
    }
    format!("{head}  {}", parts.join(", "))
}

async fn log(session: &Session, name: &str) -> Done {
    let client = session.engine().await?;
    let target = path(&["backups", name, "log"]);
    let mut all: Vec<LogLine> = Vec::new();
    let mut after = None;
    loop {
        let query = LogQuery {
            after,
            limit: Some(LINES),
        };
        let page: Page<LogLine> = client.get(&with_query(&target, &query)?).await?;
        let Some(last) = page.items.last().map(|line| line.number) else {
            break;
        };
        if after >= Some(last) {
            break;
        }
        after = Some(last);
        if session.output.json {
            all.extend(page.items);
        } else {
            for line in &page.items {
                run::print(session.output, line)?;
            }
        }
    }
    if session.output.json {
        return session.output.document(&Page::whole(all));
    }
    Ok(())
}

async fn verify(session: &Session, args: &BackupVerify) -> Done {
    let backup = find(session, &args.backup.backup).await?;
    let client = session.client();
    let request = model::VerifyRequest {
        level: Some(args.level.name().parse()?),
    };
    let target = path(&["backups", &backup.id.to_string(), "verify"]);
    let started: Started = client.post(&target, &request).await?;
    if args.detach {
        return progress::detached(session, &started);
    }
    let runs = progress::follow(session, &started).await?;
    for run in &runs {
        session.output.record(run, run::conclusion)?;
    }
    warn_of_what_lacks(session, &backup);
    progress::conclude(session, &runs).await
}

async fn delete(session: &Session, args: &BackupDelete) -> Done {
    let backup = find(session, &args.backup.backup).await?;
    confirm::agree(
        &session.global,
        &format!(
            "Delete {} of {}, made {}?",
            backup.id,
            source(&backup),
            time(backup.created_at)
        ),
    )?;
    let request = model::BackupDelete { force: args.force };
    let id = backup.id.to_string();
    let target = with_query(&path(&["backups", &id]), &request)?;
    let deletion: Deletion = session.client().delete(&target).await?;
    session.output.record(&deletion, |_, deletion| {
        format!(
            "Deleted {}; until {} `backstay repository trash {} --undo {}` brings it back",
            deletion.backup_id,
            time(deletion.purge_after),
            confirm::shell_word(&backup.repository),
            deletion.backup_id
        )
    })
}
