//! `repository …`

mod days;
mod key;
mod kit;
mod private;

use std::path::Path;

use backstay_engine::model::{
    self, Backup, Deletion, Page, PageRequest, Repository, RepositoryCreate, RepositoryCreated,
    RepositoryStats, RepositoryTest as Tested, Run, Started,
};
use backstay_engine::secret::SecretText;
use backstay_engine::{Code, Error, Result};
use serde::Serialize;
use serde_json::{Value, json};

use super::args::{
    RepositoryAdd, RepositoryCommand, RepositoryRebuild, RepositoryTest, RepositoryTrash,
};
use super::failure::{Done, Failure};
use super::output::{Align, Table, Tone, bytes, clean, count, none, time};
use super::session::Session;
use super::{confirm, progress, run, secrets};
use crate::client::path;

/// Does what `repository …` says.
pub(crate) async fn repository(session: &Session, command: RepositoryCommand) -> Done {
    match command {
        RepositoryCommand::Add(args) => add(session, args).await,
        RepositoryCommand::List(args) => {
            let target = path(&["repositories"]);
            let page = session
                .list(&target, &PageRequest::default(), &args.page)
                .await?;
            print_list(session, &page)
        }
        RepositoryCommand::Show(name) => show(session, &name.name).await,
        RepositoryCommand::Trends(args) => days::trends(session, args).await,
        RepositoryCommand::Edit(args) => {
            let target = path(&["repositories", &args.repository.name]);
            let edit = model::RepositoryEdit {
                name: Some(args.new_name),
            };
            let repository: Repository = session.engine().await?.patch(&target, &edit).await?;
            session
                .output
                .record(&repository, |_, own| format!("Changed {}", own.name))
        }
        RepositoryCommand::SetDefault(name) => {
            let client = session.engine().await?;
            let target = path(&["repositories", &name.name, "set-default"]);
            let repository: Repository = client.post(&target, &json!({})).await?;
            session.output.record(&repository, |_, repository| {
                format!("New backups go to {} now", repository.name)
            })
        }
        RepositoryCommand::Test(args) => test(session, args).await,
        RepositoryCommand::Check(args) => {
            let request = model::CheckRequest {
                read_data_percent: args.read_data,
            };
            long(
                session,
                &["repositories", &args.repository.name, "check"],
                &request,
                args.detach,
            )
            .await
        }
        RepositoryCommand::Prune(args) => {
            let request = model::PruneRequest {
                dry_run: args.dry_run,
            };
            long(
                session,
                &["repositories", &args.repository.name, "prune"],
                &request,
                args.detach,
            )
            .await
        }
        RepositoryCommand::Repair(args) => {
            let target = ["repositories", &args.repository.name, "repair"];
            long(session, &target, &json!({}), args.detach).await
        }
        RepositoryCommand::Rebuild(args) => rebuild(session, args).await,
        RepositoryCommand::RecoveryKit(args) => kit::recovery_kit(session, &args).await,
        RepositoryCommand::Key(command) => key::key(session, command).await,
        RepositoryCommand::Trash(args) => trash(session, &args).await,
        RepositoryCommand::Remove(name) => remove(session, &name.name).await,
    }
}

/// A folder is meant from where the command runs, not from where the engine does.
fn location(text: &str) -> String {
    if text.contains("://") {
        return text.to_owned();
    }
    std::path::absolute(text).map_or_else(|_| text.to_owned(), |path| path.display().to_string())
}

/// The recovery code: a line of its own, or the one the kit's text names.
fn recovery_code(file: &Path) -> Result<SecretText> {
    secrets::first_line(file, "recovery code")
}

async fn add(session: &Session, args: RepositoryAdd) -> Done {
    let create = RepositoryCreate {
        name: args.name,
        location: location(&args.location),
        passphrase: args
            .passphrase_file
            .as_deref()
            .map(|file| secrets::first_line(file, "passphrase"))
            .transpose()?,
        recovery_code: args
            .recovery_code_file
            .as_deref()
            .map(recovery_code)
            .transpose()?,
        default: args.default,
        same_domain_as: args.same_domain_as,
    };
    let client = session.engine().await?;
    let created: RepositoryCreated = client.post(&path(&["repositories"]), &create).await?;
    session.output.record(&created, |paint, created| {
        let repository = &created.repository;
        let mut text = format!("Added {} at {}", repository.name, repository.location);
        if let Some(code) = &created.recovery_code {
            text.push_str(&format!(
                "\n\nRecovery code, shown this once: {}\nIt opens the repository when everything else is lost. Keep it away from this machine.",
                paint.strong(code)
            ));
        }
        text
    })
}

fn print_list(session: &Session, page: &Page<Repository>) -> Done {
    let empty = "There are no repositories; `backstay repository add NAME LOCATION` adds one.";
    session.output.list(page, empty, |_, items| {
        let mut table = Table::new(&[
            ("NAME", Align::Left),
            ("LOCATION", Align::Left),
            ("DEFAULT", Align::Left),
            ("KEY", Align::Left),
            ("RECOVERY KIT", Align::Left),
            ("CHECKED", Align::Left),
        ]);
        for item in items {
            let (kit, tone) = match item.kit_taken_at {
                Some(at) => (time(at), Tone::Faint),
                None => ("not taken".to_owned(), Tone::Warning),
            };
            table
                .row([
                    item.name.clone(),
                    item.location.clone(),
                    if item.is_default {
                        "yes".to_owned()
                    } else {
                        String::new()
                    },
                    item.key.as_str().replace('_', " "),
                    kit,
                    item.checked_at.map_or_else(none, time),
                ])
                .tone(4, tone);
        }
        table
    })
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    repository: Repository,
    stats: RepositoryStats,
}

async fn show(session: &Session, name: &str) -> Done {
    let client = session.engine().await?;
    let repository: Repository = client.get(&path(&["repositories", name])).await?;
    let id = repository.id.to_string();
    let stats: RepositoryStats = client.get(&path(&["repositories", &id, "stats"])).await?;
    session
        .output
        .record(&Shown { repository, stats }, |paint, shown| {
            let (repository, stats) = (&shown.repository, &shown.stats);
            let mut table = Table::facts();
            table
                .fact("name", repository.name.clone())
                .fact("id", repository.id.to_string())
                .fact("location", repository.location.clone())
                .fact("default", if repository.is_default { "yes" } else { "no" })
                .fact("opened by", repository.key.as_str().replace('_', " "))
                .fact(
                    "recovery kit",
                    repository
                        .kit_taken_at
                        .map_or_else(|| "not taken".to_owned(), time),
                )
                .fact("backups", count(stats.backups))
                .fact("read from servers", bytes(stats.source_bytes))
                .fact("stored", bytes(stats.stored_bytes))
                .fact(
                    "packs",
                    format!("{} ({})", count(stats.packs), bytes(stats.pack_bytes)),
                )
                .fact("in the trash", count(stats.trash))
                .maybe("free there", stats.free_bytes.map(bytes))
                .maybe("checked", repository.checked_at.map(time))
                .maybe("pruned", repository.pruned_at.map(time))
                .fact("added", time(repository.created_at));
            table.render(paint)
        })
}

async fn test(session: &Session, args: RepositoryTest) -> Done {
    let client = session.engine().await?;
    let tested: Tested = if args.target.contains('/') || args.target.starts_with('.') {
        let place = json!({"location": location(&args.target)});
        client
            .post(&path(&["repositories", "test"]), &place)
            .await?
    } else {
        let target = path(&["repositories", &args.target, "test"]);
        client.post(&target, &json!({})).await?
    };
    session.output.record(&tested, |paint, tested| {
        let (mark, tone) = if tested.ok {
            ("ok", Tone::Good)
        } else {
            ("failed", Tone::Bad)
        };
        let mut text = format!("{}: {}", paint.tone(tone, mark), clean(&tested.message));
        let mut table = Table::facts();
        table.maybe("hint", tested.hint.clone());
        table.fact(
            "holds",
            if tested.exists {
                "a repository"
            } else {
                "no repository yet"
            },
        );
        table.maybe("size", tested.total_bytes.map(bytes));
        table.maybe("free", tested.free_bytes.map(bytes));
        text.push('\n');
        text.push_str(&table.render(paint));
        text
    })?;
    if tested.ok {
        return Ok(());
    }
    let code = tested.code.as_deref().and_then(Code::from_name);
    Err(Failure::Exit(code.map_or(1, Code::exit)))
}

/// Starts a run and, unless it is left alone, follows it and prints how it ended.
pub(super) async fn long<B: Serialize>(
    session: &Session,
    segments: &[&str],
    request: &B,
    detach: bool,
) -> Done {
    let client = session.engine().await?;
    let started: Started = client.post(&path(segments), request).await?;
    if detach {
        return progress::detached(session, &started);
    }
    let runs = progress::follow(session, &started).await?;
    print_outcome(session, &runs)?;
    progress::conclude(session, &runs).await
}

fn print_outcome(session: &Session, runs: &[Run]) -> Done {
    for run in runs {
        session.output.record(run, run::conclusion)?;
    }
    Ok(())
}

async fn rebuild(session: &Session, args: RepositoryRebuild) -> Done {
    let mut request = model::RebuildRequest {
        location: location(&args.location),
        name: args.name,
        recovery_code: args
            .recovery_code_file
            .as_deref()
            .map(recovery_code)
            .transpose()?,
        passphrase: args
            .passphrase_file
            .as_deref()
            .map(|file| secrets::first_line(file, "passphrase"))
            .transpose()?,
        key: args
            .key_file
            .as_deref()
            .map(|file| secrets::whole(file, "key"))
            .transpose()?,
    };
    if request.recovery_code.is_none() && request.passphrase.is_none() && request.key.is_none() {
        let code = secrets::ask("Recovery code: ")?;
        request.recovery_code = Some(code.ok_or_else(|| {
            Error::invalid("Nothing was given that opens the repository")
                .hint("Give --recovery-code-file, --passphrase-file or --key-file")
        })?);
    }
    long(session, &["repositories", "rebuild"], &request, args.detach).await
}

async fn trash(session: &Session, args: &RepositoryTrash) -> Done {
    let client = session.engine().await?;
    let name = &args.repository.name;
    if let Some(backup) = &args.undo {
        let target = path(&["repositories", name, "trash", backup, "undo"]);
        let backup: Backup = client.post(&target, &json!({})).await?;
        return session.output.record(&backup, |_, backup| {
            format!(
                "Brought back {} of {}/{}",
                backup.id, backup.connection, backup.database
            )
        });
    }
    let target = path(&["repositories", name, "trash"]);
    let query = PageRequest::default();
    let page: Page<Deletion> = session.list(&target, &query, &args.page).await?;
    session
        .output
        .list(&page, "Nothing was deleted lately.", |_, items| {
            let mut table = Table::new(&[
                ("BACKUP", Align::Left),
                ("OF", Align::Left),
                ("DELETED", Align::Left),
                ("KEPT UNTIL", Align::Left),
            ]);
            for item in items {
                table.row([
                    item.backup_id.to_string(),
                    item.source.clone(),
                    time(item.deleted_at),
                    time(item.purge_after),
                ]);
            }
            table
        })
}

async fn remove(session: &Session, name: &str) -> Done {
    let client = session.engine().await?;
    let repository: Repository = client.get(&path(&["repositories", name])).await?;
    confirm::typed(
        &session.global,
        &format!(
            "This forgets the repository {} and its key; what lies at {} stays",
            repository.name, repository.location
        ),
        &repository.name,
    )?;
    let id = repository.id.to_string();
    let _: Value = client.delete(&path(&["repositories", &id])).await?;
    if session.output.json {
        return session.output.document(&repository);
    }
    session.output.text(&format!("Removed {}", repository.name))
}
