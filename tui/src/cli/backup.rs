//! `backup …`

use std::io::Write as _;
use std::path::{Path, PathBuf};

use backstay_engine::model::{
    self, Backup, BackupCreate, BackupObject, Deletion, LogLine, LogQuery, Page, Run, Started,
};
use backstay_engine::{Code, Error, Result};
use chrono::{DateTime, Utc};
use http_body_util::BodyExt as _;

use super::args::{
    BackupAnnotate, BackupCommand, BackupDelete, BackupDiff, BackupExport, BackupList,
    BackupObjects, BackupPin, BackupRun, BackupVerify, Pin,
};
use super::failure::{Done, Failure, unwritable};
use super::output::{
    Align, Output, Paint, Table, Tone, bytes, clean, count, duration_ms, none, time,
};
use super::session::Session;
use super::{confirm, progress, run};
use crate::client::{path, with_query};

/// Lines of a log asked for at once.
const LINES: u32 = 1000;

/// Does what `backup …` says.
pub(crate) async fn backup(session: &Session, command: BackupCommand) -> Done {
    match command {
        BackupCommand::Run(args) => run_backup(session, args).await,
        BackupCommand::List(args) => list(session, args).await,
        BackupCommand::Show(name) => {
            let backup = find(session, &name.backup).await?;
            session.output.record(&backup, view)
        }
        BackupCommand::Objects(args) => objects(session, args).await,
        BackupCommand::Log(name) => log(session, &name.backup).await,
        BackupCommand::Verify(args) => verify(session, &args).await,
        BackupCommand::Diff(args) => diff(session, &args).await,
        BackupCommand::Pin(args) => pin(session, &args).await,
        BackupCommand::Annotate(args) => annotate(session, args).await,
        BackupCommand::Delete(args) => delete(session, &args).await,
        BackupCommand::Export(args) => export(session, &args).await,
    }
}

async fn find(session: &Session, name: &str) -> Result<Backup> {
    session.engine().await?.get(&path(&["backups", name])).await
}

fn split(target: &str) -> (String, Option<String>) {
    match target.split_once('/') {
        Some((connection, database)) if !database.is_empty() => {
            (connection.to_owned(), Some(database.to_owned()))
        }
        Some((connection, _)) => (connection.to_owned(), None),
        None => (target.to_owned(), None),
    }
}

async fn run_backup(session: &Session, args: BackupRun) -> Done {
    let (connection, database) = split(&args.target);
    let create = BackupCreate {
        connection,
        database,
        repository: args.repository,
        label: args.label,
        note: args.note,
        schemas: args.schema,
        tables: args.table,
        exclude_tables: args.exclude_table,
        ..BackupCreate::default()
    };
    let client = session.engine().await?;
    let started: Started = client.post(&path(&["backups"]), &create).await?;
    if args.detach {
        return progress::detached(session, &started);
    }
    let runs = progress::follow(session, &started).await?;
    let backups = made(session, &runs, &started).await?;
    if session.output.json {
        progress::documents(session, backups)?;
    } else {
        for backup in &backups {
            session
                .output
                .text(&summary(session.output.paint, backup))?;
        }
    }
    progress::conclude(session, &runs)
}

/// The records of the backups that the runs made or tried to make.
async fn made(session: &Session, runs: &[Run], started: &Started) -> Result<Vec<Backup>> {
    let mut ids: Vec<_> = runs.iter().filter_map(|run| run.backup_id).collect();
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

/// One line about a backup that was just made.
fn summary(paint: Paint, backup: &Backup) -> String {
    let head = format!(
        "{}  {}  {}",
        clean(&source(backup)),
        paint.status(backup.status),
        backup.id
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

async fn list(session: &Session, args: BackupList) -> Done {
    let (connection, database) = match args.target.as_deref().map(split) {
        Some((connection, database)) => (Some(connection), database),
        None => (None, None),
    };
    let (project, environment) = super::connection::project(args.environment.as_deref());
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
                        item.verify_level.to_string(),
                        bytes(item.source_bytes),
                        bytes(item.stored_bytes),
                        remarks.join(", "),
                    ])
                    .tone(3, Tone::of(item.status));
            }
            table
        },
    )
}

fn view(paint: Paint, backup: &Backup) -> String {
    let mut table = Table::facts();
    table
        .fact("backup", backup.id.to_string())
        .fact("of", source(backup))
        .fact("status", backup.status.to_string())
        .tone(1, Tone::of(backup.status))
        .fact("kind", format!("{}, {}", backup.kind, backup.backup_type))
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
    for rung in &backup.verified {
        table.fact("verified", format!("{} at {}", rung.level, time(rung.at)));
    }
    if backup.verified.is_empty() {
        table.fact("verified", backup.verify_level.to_string());
    }
    if let Some(problem) = &backup.error {
        table
            .fact("error", problem.message.clone())
            .tone(1, Tone::Bad);
        table.maybe("hint", problem.hint.clone());
    }
    let mut text = table.render(paint);
    text.push_str(&run::losses(
        paint,
        &backup.losses,
        backup.losses.len() as u64,
    ));
    text
}

async fn objects(session: &Session, args: BackupObjects) -> Done {
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
    let client = session.engine().await?;
    let request = model::VerifyRequest {
        level: Some(args.level.name().parse()?),
    };
    let target = path(&["backups", &args.backup.backup, "verify"]);
    let started: Started = client.post(&target, &request).await?;
    if args.detach {
        return progress::detached(session, &started);
    }
    let runs = progress::follow(session, &started).await?;
    for run in &runs {
        session.output.record(run, |paint, run| {
            let mut text = format!("{}: {}", clean(&run.title), paint.status(run.status));
            if let Some(outcome) = run::outcome(run).filter(|outcome| !outcome.is_empty()) {
                text.push('\n');
                text.push_str(&outcome);
            }
            text
        })?;
    }
    progress::conclude(session, &runs)
}

async fn diff(session: &Session, args: &BackupDiff) -> Done {
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
    })
}

/// The pin that outlasts everything: the last moment RFC 3339 can write.
fn forever() -> DateTime<Utc> {
    chrono::NaiveDate::from_ymd_opt(9999, 12, 31)
        .and_then(|day| day.and_hms_opt(0, 0, 0))
        .map_or(DateTime::<Utc>::MAX_UTC, |moment| moment.and_utc())
}

fn pinned(until: DateTime<Utc>) -> String {
    if until >= forever() {
        "until the pin is removed".to_owned()
    } else {
        format!("until {}", time(until))
    }
}

async fn edit(session: &Session, name: &str, edit: &model::BackupEdit) -> Done {
    let client = session.engine().await?;
    let backup: Backup = client.patch(&path(&["backups", name]), edit).await?;
    session.output.record(&backup, view)
}

async fn pin(session: &Session, args: &BackupPin) -> Done {
    let pin = match args.until {
        Pin::Forever => model::BackupEdit {
            pinned_until: Some(forever()),
            ..model::BackupEdit::default()
        },
        Pin::Until(until) => model::BackupEdit {
            pinned_until: Some(until),
            ..model::BackupEdit::default()
        },
        Pin::None => model::BackupEdit {
            unpin: Some(true),
            ..model::BackupEdit::default()
        },
    };
    edit(session, &args.backup.backup, &pin).await
}

async fn annotate(session: &Session, args: BackupAnnotate) -> Done {
    let remarks = model::BackupEdit {
        label: args.label,
        note: args.note,
        ..model::BackupEdit::default()
    };
    edit(session, &args.backup.backup, &remarks).await
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

async fn export(session: &Session, args: &BackupExport) -> Done {
    let to_terminal = args.output == Path::new("-");
    if to_terminal && args.format.name() == "tar" && Output::prints_to_terminal() {
        return Err(Error::invalid("An archive would garble the terminal")
            .hint("Name a file with -o FILE, or pipe the output on")
            .into());
    }
    let client = session.engine().await?;
    let target = path(&["backups", &args.backup.backup, "export"]);
    let query = serde_json::json!({"format": args.format.name()});
    let response = client
        .request(hyper::Method::GET, &with_query(&target, &query)?, &[], None)
        .await?;
    let mut sink = Sink::open(session.output, &args.output)?;
    let mut body = response.into_body();
    let mut written: u64 = 0;
    loop {
        let frame = tokio::select! {
            frame = body.frame() => frame,
            _ = tokio::signal::ctrl_c() => {
                return Err(Failure::Exit(Code::Cancelled.exit()));
            }
        };
        let Some(frame) = frame else { break };
        let frame = frame.map_err(|error| {
            Error::new(
                Code::EngineUnreachable,
                "The export broke off; what was written is not whole",
            )
            .hint("The engine's log says why")
            .because(error)
        })?;
        if let Some(data) = frame.data_ref() {
            sink.write(data)?;
            written += data.len() as u64;
        }
    }
    sink.finish()?;
    if !to_terminal {
        let file = args.output.display().to_string();
        let record = serde_json::json!({"file": file, "size_bytes": written});
        session
            .output
            .record(&record, |_, _| format!("Wrote {file}, {}", bytes(written)))?;
    }
    Ok(())
}

/// Where an export goes. A file appears under its name only when it is whole.
enum Sink {
    Standard(Output),
    /// A device or a pipe, which nothing may take the place of.
    Special {
        file: std::fs::File,
        path: PathBuf,
    },
    File {
        file: std::io::BufWriter<std::fs::File>,
        temporary: PathBuf,
        path: PathBuf,
        whole: bool,
    },
}

impl Sink {
    fn open(output: Output, path: &Path) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Standard(output));
        }
        let failed = |error| unwritable(path, error);
        match std::fs::metadata(path) {
            Ok(there) if there.is_dir() => {
                return Err(failed(std::io::ErrorKind::IsADirectory.into()));
            }
            Ok(there) if !there.is_file() => {
                let file = std::fs::OpenOptions::new().write(true).open(path);
                return Ok(Self::Special {
                    file: file.map_err(failed)?,
                    path: path.to_path_buf(),
                });
            }
            _ => {}
        }
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}.part", std::process::id()));
        let temporary = PathBuf::from(temporary);
        let file = std::fs::File::create(&temporary).map_err(failed)?;
        Ok(Self::File {
            file: std::io::BufWriter::with_capacity(1 << 18, file),
            temporary,
            path: path.to_path_buf(),
            whole: false,
        })
    }

    fn write(&mut self, data: &[u8]) -> Done {
        match self {
            Self::Standard(output) => output.raw(data),
            Self::Special { file, path } => Ok(file
                .write_all(data)
                .map_err(|error| unwritable(path, error))?),
            Self::File { file, path, .. } => Ok(file
                .write_all(data)
                .map_err(|error| unwritable(path, error))?),
        }
    }

    fn finish(&mut self) -> Done {
        if let Self::File {
            file,
            temporary,
            path,
            whole,
        } = self
        {
            file.flush()
                .and_then(|()| file.get_ref().sync_all())
                .and_then(|()| std::fs::rename(&temporary, &path))
                .map_err(|error| unwritable(path, error))?;
            *whole = true;
        }
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Self::File {
            temporary,
            whole: false,
            ..
        } = self
        {
            let _ = std::fs::remove_file(temporary);
        }
    }
}
