//! `project …` and `environment …`

use backstay_engine::model::{
    self, Environment, EnvironmentScheduleShown, Page, Project, SchedulePart, Started,
};
use backstay_engine::{Error, Result};

use super::args::{EnvironmentBackup, EnvironmentCommand, EnvironmentSchedule, ProjectCommand};
use super::failure::Done;
use super::output::{Align, Table, clean, none, time};
use super::session::Session;
use super::{backup, confirm, job};
use crate::client::path;

/// Does what `project …` says.
pub(crate) async fn project(session: &Session, command: ProjectCommand) -> Done {
    match command {
        ProjectCommand::Add(args) => {
            let create = model::ProjectCreate {
                name: args.name,
                description: args.description,
            };
            let client = session.engine().await?;
            let project: Project = client.post(&path(&["projects"]), &create).await?;
            session
                .output
                .record(&project, |_, own| format!("Added {}", own.name))
        }
        ProjectCommand::List(args) => {
            let query = model::PageRequest::default();
            let target = path(&["projects"]);
            projects(session, &session.list(&target, &query, &args.page).await?)
        }
        ProjectCommand::Show(name) => {
            let project = find(session, &name.project).await?;
            session.output.record(&project, |paint, own| {
                facts(
                    &own.id.to_string(),
                    &own.name,
                    own.description.as_deref(),
                    own.created_at,
                )
                .render(paint)
            })
        }
        ProjectCommand::Edit(args) => {
            let target = path(&["projects", &args.project.project]);
            let edit = model::ProjectEdit {
                description: Some(args.description),
            };
            let project: Project = session.engine().await?.patch(&target, &edit).await?;
            session
                .output
                .record(&project, |_, own| format!("Changed {}", own.name))
        }
        ProjectCommand::Remove(name) => {
            let project = find(session, &name.project).await?;
            let question = format!("Remove the project {}?", project.name);
            confirm::agree(&session.global, &question)?;
            let target = path(&["projects", &project.id.to_string()]);
            let () = session.client().delete(&target).await?;
            session
                .output
                .record(&project, |_, own| format!("Removed {}", own.name))
        }
    }
}

async fn find(session: &Session, name: &str) -> Result<Project> {
    let target = path(&["projects", name]);
    session.engine().await?.get(&target).await
}

fn projects(session: &Session, page: &Page<Project>) -> Done {
    session
        .output
        .list(page, "There are no projects.", |_, all| {
            let mut table = Table::new(&[("NAME", Align::Left), ("DESCRIPTION", Align::Left)]);
            for own in all {
                table.row([
                    own.name.clone(),
                    own.description.clone().unwrap_or_else(none),
                ]);
            }
            table
        })
}

fn facts(id: &str, name: &str, description: Option<&str>, made: model::Time) -> Table {
    let mut facts = Table::facts();
    facts
        .fact("name", name)
        .maybe("description", description.map(ToOwned::to_owned))
        .fact("id", id)
        .fact("made", time(made));
    facts
}

/// Does what `environment …` says.
pub(crate) async fn environment(session: &Session, command: EnvironmentCommand) -> Done {
    match command {
        EnvironmentCommand::Add(args) => {
            let (project, name) = args.environment.split_once('/').unwrap_or_default();
            let create = model::EnvironmentCreate {
                name: name.to_owned(),
                description: args.description,
            };
            let target = path(&["projects", project, "environments"]);
            let own: Environment = session.engine().await?.post(&target, &create).await?;
            session
                .output
                .record(&own, |_, own| format!("Added {}", called(own)))
        }
        EnvironmentCommand::List(args) => {
            let query = model::EnvironmentList {
                project: args.project,
                ..model::EnvironmentList::default()
            };
            let target = path(&["environments"]);
            let all = session.list(&target, &query, &args.page).await?;
            environments(session, &all)
        }
        EnvironmentCommand::Show(name) => {
            let own = find_environment(session, &name.environment).await?;
            session.output.record(&own, |paint, own| {
                facts(
                    &own.id.to_string(),
                    &called(own),
                    own.description.as_deref(),
                    own.created_at,
                )
                .render(paint)
            })
        }
        EnvironmentCommand::Edit(args) => {
            let target = path(&["environments", &args.environment.environment]);
            let edit = model::EnvironmentEdit {
                description: Some(args.description),
            };
            let own: Environment = session.engine().await?.patch(&target, &edit).await?;
            session
                .output
                .record(&own, |_, own| format!("Changed {}", called(own)))
        }
        EnvironmentCommand::Remove(name) => {
            let own = find_environment(session, &name.environment).await?;
            let question = format!("Remove the environment {}?", called(&own));
            confirm::agree(&session.global, &question)?;
            let target = path(&["environments", &own.id.to_string()]);
            let () = session.client().delete(&target).await?;
            session
                .output
                .record(&own, |_, own| format!("Removed {}", called(own)))
        }
        EnvironmentCommand::Backup(args) => back_up(session, args).await,
        EnvironmentCommand::Schedule(args) => schedule(session, args).await,
    }
}

fn called(own: &Environment) -> String {
    format!("{}/{}", own.project, own.name)
}

async fn find_environment(session: &Session, name: &str) -> Result<Environment> {
    let target = path(&["environments", name]);
    session.engine().await?.get(&target).await
}

fn environments(session: &Session, page: &Page<Environment>) -> Done {
    session
        .output
        .list(page, "There are no environments.", |_, all| {
            let mut table =
                Table::new(&[("ENVIRONMENT", Align::Left), ("DESCRIPTION", Align::Left)]);
            for own in all {
                table.row([called(own), own.description.clone().unwrap_or_else(none)]);
            }
            table
        })
}

async fn back_up(session: &Session, args: EnvironmentBackup) -> Done {
    let create = model::EnvironmentBackup {
        backup_type: args.r#type.map(|text| text.parse()).transpose()?,
        repository: args.repository,
        label: args.label,
        note: None,
    };
    let target = path(&["environments", &args.environment.environment, "backups"]);
    let started: Started = session.engine().await?.post(&target, &create).await?;
    backup::follow_backups(session, &started, args.detach).await
}

async fn schedule(session: &Session, args: EnvironmentSchedule) -> Done {
    let name = args.environment.environment;
    let target = path(&["environments", &name, "schedule"]);
    let client = session.engine().await?;
    let retention = job::policy(&args.keep);
    if args.remove {
        let () = client.delete(&target).await?;
        let own = find_environment(session, &name).await?;
        return session.output.record(&own, |_, own| {
            format!("{} has no schedule any more; its backups stay", called(own))
        });
    }
    let shown: EnvironmentScheduleShown = match args.cron {
        None if retention.is_some() => {
            return Err(
                Error::invalid("Rules of retention are given together with a schedule")
                    .hint("Say when as well: --cron daily")
                    .into(),
            );
        }
        None => client.get(&target).await?,
        Some(cron) => {
            let schedule = model::EnvironmentSchedule {
                enabled: !args.paused,
                time_zone: args.zone.unwrap_or_else(|| "UTC".to_owned()),
                repositories: args.repository,
                db: Some(SchedulePart {
                    cron,
                    retention: retention.unwrap_or_default(),
                }),
                full: None,
            };
            client.put(&target, &schedule).await?
        }
    };
    session.output.record(&shown, |paint, own| {
        let mut facts = Table::facts();
        let part = own.schedule.db.as_ref();
        let when = part.map_or_else(none, |part| {
            format!("{} ({})", part.cron, own.schedule.time_zone)
        });
        facts
            .fact("schedule", when)
            .fact(
                "next",
                if own.schedule.enabled {
                    own.next_run_at.map_or_else(none, time)
                } else {
                    "paused".to_owned()
                },
            )
            .fact(
                "keeps",
                part.map_or_else(none, |part| job::rules(&part.retention)),
            )
            .fact(
                "into",
                match &own.schedule.repositories[..] {
                    [] => "the default one".to_owned(),
                    some => some.join(", "),
                },
            )
            .fact("jobs", clean(&own.jobs.join(", ")));
        facts.render(paint)
    })
}
