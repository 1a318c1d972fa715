//! `job …`

mod show;

pub(crate) use show::rules;
pub(super) use show::when;

use backstay_engine::model::{
    self, CronPreview, CronPreviewRequest, Hook, HookFailure, HookTime, Job, JobSchedule, Policy,
    RetentionPreview, Retries, Started, Tier, Window,
};
use backstay_engine::{Error, Result};
use serde_json::json;

use super::args::{JobAdd, JobCommand, JobEdit, JobKeep, JobOptions, JobPreview, JobRun, When};
use super::failure::Done;
use super::session::Session;
use super::{backup, confirm};
use crate::client::path;

/// Does what `job …` says.
pub(crate) async fn job(session: &Session, command: JobCommand) -> Done {
    match command {
        JobCommand::Add(args) => add(session, args).await,
        JobCommand::List(args) => show::list(session, args).await,
        JobCommand::Show(name) => {
            let job = find(session, &name.job).await?;
            session.output.record(&job, show::view)
        }
        JobCommand::Edit(args) => edit(session, args).await,
        JobCommand::Run(args) => run(session, &args).await,
        JobCommand::Pause(name) => switch(session, &name.job, "pause").await,
        JobCommand::Resume(name) => switch(session, &name.job, "resume").await,
        JobCommand::Preview(args) => preview(session, &args).await,
        JobCommand::Retain(name) => retain(session, &name.job).await,
        JobCommand::Clone(args) => {
            let target = path(&["jobs", &args.job.job, "clone"]);
            let clone = model::JobClone { name: args.name };
            let job: Job = session.engine().await?.post(&target, &clone).await?;
            session.output.record(&job, |_, job| {
                format!(
                    "Added {}, paused; `backstay job resume` starts it",
                    job.name
                )
            })
        }
        JobCommand::Remove(name) => remove(session, &name.job).await,
    }
}

async fn find(session: &Session, name: &str) -> Result<Job> {
    session.engine().await?.get(&path(&["jobs", name])).await
}

async fn add(session: &Session, args: JobAdd) -> Done {
    let options = args.options;
    let databases = args.target.database.into_iter().chain(args.database);
    let create = model::JobCreate {
        name: args.name,
        connection: args.target.connection,
        enabled: args.paused.then_some(false),
        databases: databases.collect(),
        schedule: schedule(&options.when, None)?,
        retention: policy(&options.keep),
        retries: retries(&options, Retries::default()),
        max_runtime_seconds: options.max_runtime,
        verify: verify(&options)?,
        hooks: hooks(&options)?.unwrap_or_default(),
        repositories: options.repository,
        schemas: options.schema,
        tables: options.table,
        exclude_tables: options.exclude_table,
        label: options.label,
        backup_type: options.r#type.map(|text| text.parse()).transpose()?,
    };
    let client = session.engine().await?;
    let job: Job = client.post(&path(&["jobs"]), &create).await?;
    session.output.record(&job, show::view)
}

async fn edit(session: &Session, args: JobEdit) -> Done {
    let before = find(session, &args.job.job).await?;
    let options = args.options;
    let given = |list: Vec<String>| Some(list).filter(|list| !list.is_empty());
    let edit = model::JobEdit {
        name: args.name,
        enabled: None,
        databases: if args.all_databases {
            Some(Vec::new())
        } else {
            given(args.database)
        },
        schedule: schedule(&options.when, before.schedule.as_ref())?,
        unschedule: args.no_schedule.then_some(true),
        retention: if args.keep_all {
            Some(Policy::default())
        } else {
            policy(&options.keep)
        },
        retries: retries(&options, before.work.retries),
        max_runtime_seconds: options.max_runtime,
        verify: verify(&options)?,
        hooks: if args.no_hooks {
            Some(Vec::new())
        } else {
            hooks(&options)?
        },
        repositories: given(options.repository),
        schemas: given(options.schema),
        tables: given(options.table),
        exclude_tables: given(options.exclude_table),
        label: options.label,
        backup_type: options.r#type.map(|text| text.parse()).transpose()?,
    };
    let target = path(&["jobs", &before.id.to_string()]);
    let job: Job = session.client().patch(&target, &edit).await?;
    session.output.record(&job, show::view)
}

/// The schedule that the flags say; what they leave open stays as it was.
pub(super) fn schedule(when: &When, before: Option<&JobSchedule>) -> Result<Option<JobSchedule>> {
    let Some(cron) = when.cron.clone() else {
        return Ok(None);
    };
    let catch_up = when.catch_up.as_deref().map(str::parse).transpose()?;
    let windows = when.blackout.iter().map(|(from, to)| Window {
        from: from.clone(),
        to: to.clone(),
        days: Vec::new(),
    });
    let mut windows: Vec<Window> = windows.collect();
    if let (true, Some(before)) = (windows.is_empty(), before) {
        windows.clone_from(&before.windows);
    }
    Ok(Some(JobSchedule {
        cron,
        time_zone: when
            .zone
            .clone()
            .or(before.map(|own| own.time_zone.clone()))
            .unwrap_or_else(|| "UTC".to_owned()),
        windows,
        jitter_seconds: when
            .jitter
            .or(before.map(|own| own.jitter_seconds))
            .unwrap_or_default(),
        catch_up: catch_up
            .or(before.map(|own| own.catch_up))
            .unwrap_or(model::CatchUp::Once),
    }))
}

pub(super) fn policy(keep: &JobKeep) -> Option<Policy> {
    let tier = |keep: Option<u32>| {
        keep.map(|keep| Tier {
            keep: Some(keep),
            days: None,
        })
    };
    let policy = Policy {
        keep_last: keep.keep_last,
        keep_within_days: keep.keep_within,
        hourly: tier(keep.keep_hourly),
        daily: tier(keep.keep_daily),
        weekly: tier(keep.keep_weekly),
        monthly: tier(keep.keep_monthly),
        yearly: tier(keep.keep_yearly),
        max_delete_percent: keep.max_delete,
        ..Policy::default()
    };
    Some(policy).filter(|policy| *policy != Policy::default())
}

fn retries(options: &JobOptions, before: Retries) -> Option<Retries> {
    (options.retries.is_some() || options.backoff.is_some()).then(|| Retries {
        attempts: options.retries.unwrap_or(before.attempts),
        backoff_seconds: options.backoff.unwrap_or(before.backoff_seconds),
    })
}

fn verify(options: &JobOptions) -> Result<Option<model::VerifyLevel>> {
    options.verify.as_deref().map(str::parse).transpose()
}

/// The hooks that the flags say; nothing when they say none.
fn hooks(options: &JobOptions) -> Result<Option<Vec<Hook>>> {
    let failure = options
        .hook_failure
        .as_deref()
        .map(str::parse)
        .transpose()?;
    let called = |targets: &[String], when: HookTime| {
        let hooks = targets.iter().map(|target| Hook {
            when,
            target: target.clone(),
            on_failure: failure.unwrap_or(HookFailure::Abort),
            timeout_seconds: options.hook_timeout.unwrap_or(30),
        });
        hooks.collect::<Vec<_>>()
    };
    let mut hooks = called(&options.hook_before, HookTime::Before);
    hooks.extend(called(&options.hook_after, HookTime::After));
    Ok(Some(hooks).filter(|hooks| !hooks.is_empty()))
}

async fn run(session: &Session, args: &JobRun) -> Done {
    let target = path(&["jobs", &args.job.job, "run"]);
    let started: Started = session.engine().await?.post(&target, &json!({})).await?;
    backup::follow_backups(session, &started, args.detach).await
}

async fn switch(session: &Session, name: &str, verb: &str) -> Done {
    let target = path(&["jobs", name, verb]);
    let job: Job = session.engine().await?.post(&target, &json!({})).await?;
    session.output.record(&job, show::view)
}

async fn preview(session: &Session, args: &JobPreview) -> Done {
    let job = find(session, &args.job.job).await?;
    let id = job.id.to_string();
    if args.retention {
        let target = path(&["jobs", &id, "retention-preview"]);
        let preview: RetentionPreview = session.client().post(&target, &json!({})).await?;
        return session.output.record(&preview, show::fates);
    }
    let Some(schedule) = job.schedule else {
        return Err(
            Error::invalid(format!("The job \"{}\" has no schedule", job.name))
                .hint("Give it one with `backstay job edit JOB --cron '0 2 * * *'`")
                .into(),
        );
    };
    let request = CronPreviewRequest {
        cron: schedule.cron,
        time_zone: Some(schedule.time_zone),
        windows: schedule.windows,
        after: None,
        count: Some(args.count),
    };
    let target = path(&["jobs", "cron-preview"]);
    let preview: CronPreview = session.client().post(&target, &request).await?;
    session.output.record(&preview, show::starts)
}

async fn retain(session: &Session, name: &str) -> Done {
    let job = find(session, name).await?;
    let id = job.id.to_string();
    let target = path(&["jobs", &id, "retention-preview"]);
    let preview: RetentionPreview = session.client().post(&target, &json!({})).await?;
    let confirm = match preview.over_limit.first_key_value() {
        None => None,
        Some((source, percent)) => {
            let what = format!("{percent} % of the backups of {source} would be deleted");
            Some(confirm::typed(&session.global, &what, &job.name)?)
        }
    };
    let target = path(&["jobs", &id, "retention"]);
    let request = model::RetentionRun { confirm };
    let done: RetentionPreview = session.client().post(&target, &request).await?;
    session.output.record(&done, |_, done| {
        format!("Deleted {} of {} backups", done.deleted, done.backups.len())
    })
}

async fn remove(session: &Session, name: &str) -> Done {
    let job = find(session, name).await?;
    confirm::agree(
        &session.global,
        &format!("Remove the job {}? Its backups stay.", job.name),
    )?;
    let target = path(&["jobs", &job.id.to_string()]);
    let () = session.client().delete(&target).await?;
    session
        .output
        .record(&job, |_, job| format!("Removed {}", job.name))
}
