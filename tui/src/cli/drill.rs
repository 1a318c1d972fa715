//! `drill …`

mod show;

use backstay_engine::model::{self, Drill, DrillCheck, DrillReport, Page, Started};
use backstay_engine::{Error, Result};
use serde_json::json;

use super::args::{DrillAdd, DrillCommand, DrillEdit, DrillOptions, DrillRun};
use super::failure::Done;
use super::job::schedule;
use super::session::Session;
use super::{confirm, progress, run};
use crate::client::path;

/// Does what `drill …` says.
pub(crate) async fn drill(session: &Session, command: DrillCommand) -> Done {
    match command {
        DrillCommand::Add(args) => add(session, args).await,
        DrillCommand::List(args) => show::list(session, args).await,
        DrillCommand::Show(name) => {
            let drill = find(session, &name.drill).await?;
            session.output.record(&drill, show::view)
        }
        DrillCommand::Edit(args) => edit(session, args).await,
        DrillCommand::Run(args) => run_drill(session, &args).await,
        DrillCommand::Reports(args) => show::reports(session, args).await,
        DrillCommand::Remove(name) => remove(session, &name.drill).await,
    }
}

async fn find(session: &Session, name: &str) -> Result<Drill> {
    session.engine().await?.get(&path(&["drills", name])).await
}

async fn add(session: &Session, args: DrillAdd) -> Done {
    let options = args.options;
    let create = model::DrillCreate {
        name: args.name,
        connection: args.source.connection,
        database: args.source.database,
        enabled: args.paused.then_some(false),
        schedule: schedule(&options.when, None)?,
        choose: choice(&options)?,
        checks: checks(&options)?,
        repository: options.repository,
        backup: options.backup,
        scratch_connection: options.scratch,
        objects: options.object,
        no_owner: options.no_owner,
        no_privileges: options.no_privileges,
        max_runtime_seconds: options.max_runtime,
    };
    let client = session.engine().await?;
    let drill: Drill = client.post(&path(&["drills"]), &create).await?;
    session.output.record(&drill, show::view)
}

async fn edit(session: &Session, args: DrillEdit) -> Done {
    let before = find(session, &args.drill.drill).await?;
    let options = args.options;
    let checks = checks(&options)?;
    let edit = model::DrillEdit {
        name: args.name,
        enabled: (args.pause || args.resume).then_some(args.resume),
        database: args.database,
        schedule: schedule(&options.when, before.schedule.as_ref())?,
        unschedule: args.no_schedule.then_some(true),
        choose: choice(&options)?,
        checks: (args.no_checks || !checks.is_empty()).then_some(checks),
        objects: (args.all_objects || !options.object.is_empty()).then_some(options.object),
        repository: options.repository,
        backup: options.backup,
        scratch_connection: options.scratch,
        no_owner: options.no_owner,
        no_privileges: options.no_privileges,
        max_runtime_seconds: options.max_runtime,
    };
    let target = path(&["drills", &before.id.to_string()]);
    let drill: Drill = session.client().patch(&target, &edit).await?;
    session.output.record(&drill, show::view)
}

fn choice(options: &DrillOptions) -> Result<Option<model::DrillChoice>> {
    options.choose.as_deref().map(str::parse).transpose()
}

fn checks(options: &DrillOptions) -> Result<Vec<DrillCheck>> {
    if options.check.len() != options.expect.len() {
        return Err(Error::invalid(format!(
            "{} queries have {} answers",
            options.check.len(),
            options.expect.len()
        ))
        .hint("Give each --check its --expect"));
    }
    let pairs = options.check.iter().zip(&options.expect);
    Ok(pairs
        .map(|(sql, expect)| DrillCheck {
            sql: sql.clone(),
            expect: expect.clone(),
        })
        .collect())
}

async fn run_drill(session: &Session, args: &DrillRun) -> Done {
    let drill = find(session, &args.drill.drill).await?;
    let target = path(&["drills", &drill.id.to_string(), "run"]);
    let started: Started = session.client().post(&target, &json!({})).await?;
    if args.detach {
        return progress::detached(session, &started);
    }
    let runs = progress::follow(session, &started).await?;
    if session.output.json {
        for run in &runs {
            session.output.record(run, run::conclusion)?;
        }
    } else {
        let target = path(&["drills", &drill.id.to_string(), "reports"]);
        let page: Page<DrillReport> = session.client().get(&target).await?;
        let ours = page
            .items
            .iter()
            .filter(|report| runs.iter().any(|run| run.id == report.run_id));
        for report in ours {
            session
                .output
                .text(&show::report(session.output.paint, report))?;
        }
    }
    progress::conclude(session, &runs).await
}

async fn remove(session: &Session, name: &str) -> Done {
    let drill = find(session, name).await?;
    let question = format!("Remove the drill {}?", drill.name);
    confirm::agree(&session.global, &question)?;
    let target = path(&["drills", &drill.id.to_string()]);
    let () = session.client().delete(&target).await?;
    session
        .output
        .record(&drill, |_, drill| format!("Removed {}", drill.name))
}
