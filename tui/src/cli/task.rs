//! `task …`

use backstay_engine::model::{Page, SystemTask, SystemTaskEdit};
use serde_json::json;

use super::args::{TaskCommand, TaskEdit};
use super::failure::Done;
use super::output::{Align, Paint, Table, Tone, none, time};
use super::repository;
use super::session::Session;
use crate::client::path;

/// Does what `task …` says.
pub(crate) async fn task(session: &Session, command: TaskCommand) -> Done {
    match command {
        TaskCommand::List => {
            let client = session.engine().await?;
            let page: Page<SystemTask> = client.get(&path(&["system-tasks"])).await?;
            session.output.list(&page, "There are none.", table)
        }
        TaskCommand::Run(args) => {
            let target = ["system-tasks", args.task.as_str(), "run"];
            repository::long(session, &target, &json!({}), args.detach).await
        }
        TaskCommand::Edit(args) => edit(session, args).await,
    }
}

async fn edit(session: &Session, args: TaskEdit) -> Done {
    let target = path(&["system-tasks", &args.task]);
    let edit = SystemTaskEdit {
        enabled: (args.enable || args.disable).then_some(args.enable),
        cron: args.cron,
        time_zone: args.zone,
    };
    let task: SystemTask = session.engine().await?.put(&target, &edit).await?;
    session.output.record(&task, |paint, task| {
        table(paint, std::slice::from_ref(task)).render(paint)
    })
}

fn table(_: Paint, tasks: &[SystemTask]) -> Table {
    let mut table = Table::new(&[
        ("TASK", Align::Left),
        ("SCHEDULE", Align::Left),
        ("NEXT", Align::Left),
        ("LAST", Align::Left),
        ("WHAT", Align::Left),
    ]);
    for task in tasks {
        let next = match (task.enabled, task.next_run_at) {
            (false, _) => "disabled".to_owned(),
            (true, next) => next.map_or_else(none, time),
        };
        let last = task.last_run.as_ref();
        table
            .row([
                task.id.to_string(),
                format!("{} ({})", task.cron, task.time_zone),
                next,
                last.map_or_else(none, |run| {
                    format!("{}, {}", run.status, time(run.created_at))
                }),
                task.description.clone(),
            ])
            .tone(3, last.map_or(Tone::Faint, |run| Tone::of(run.status)));
    }
    table
}
