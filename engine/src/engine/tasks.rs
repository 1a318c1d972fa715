//! System tasks: listed, changed, run now, and run by the scheduler when their time has come.

use std::time::Duration;

use chrono::TimeDelta;

use super::Engine;
use super::jobs::timed::{dealt_with, decide};
use crate::catalog::Tx;
use crate::catalog::records::{ConnectionRecord, RepositoryRecord, RunRecord, TaskRecord, Work};
use crate::error::{Code, Error, Result};
use crate::ids::RunId;
use crate::model::{
    JobRun, Page, PageRequest, RunKind, RunStatus, Started, SystemTask, SystemTaskEdit, TaskId,
    Time, Trigger,
};
use crate::runs::NewRun;
use crate::schedule::Decision;

/// How long what reads a whole repository waits for backups and restores to end.
const PATIENCE: TimeDelta = TimeDelta::hours(6);
/// How often it looks whether they have.
const LOOK: Duration = Duration::from_secs(30);

impl TaskId {
    pub(super) fn default_cron(self) -> &'static str {
        match self {
            Self::Prune => "0 4 * * 0",
            Self::Check => "0 5 * * *",
            Self::CatalogExport => "30 3 * * *",
            Self::Cleanup => "17 * * * *",
            Self::ConnectionHealth => "*/5 * * * *",
            Self::Statistics => "47 * * * *",
        }
    }

    fn description(self) -> &'static str {
        match self {
            Self::Prune => "Frees what nothing needs any more, in every repository",
            Self::Check => {
                "Reads a slice of every repository, what was not read for the longest time first"
            }
            Self::CatalogExport => {
                "Writes the catalog into the repositories; besides, every change is written at once"
            }
            Self::Cleanup => "Removes old logs of runs, ended logins, kept answers and old runs",
            Self::ConnectionHealth => "Asks every database server whether it answers",
            Self::Statistics => "Measures every repository: sizes, packs, space that is left",
        }
    }

    /// Whether it reads so much of a repository that it should not do so beside backups.
    fn is_heavy(self) -> bool {
        matches!(self, Self::Prune | Self::Check)
    }
}

impl Engine {
    /// Makes the records of tasks that a new version brings.
    pub(super) async fn make_tasks(&self) -> Result<()> {
        let now = self.now();
        self.0
            .catalog
            .write(move |tx| {
                for &task in TaskId::ALL {
                    if tx.get::<TaskRecord>(TaskRecord::key(task))?.is_none() {
                        tx.put(&mut TaskRecord {
                            task,
                            serial: 0,
                            enabled: true,
                            cron: task.default_cron().to_owned(),
                            time_zone: "UTC".to_owned(),
                            handled: now,
                            last_run: None,
                        })?;
                    }
                }
                Ok(())
            })
            .await
    }

    /// All system tasks.
    pub async fn system_tasks(&self, page: &PageRequest) -> Result<Page<SystemTask>> {
        let tasks = TaskId::ALL
            .iter()
            .map(|task| self.shown_task(&self.find_task(task.as_str())?));
        Page::cut_short(tasks.collect::<Result<_>>()?, page, |task| task.id)
    }

    pub(super) fn find_task(&self, name: &str) -> Result<TaskRecord> {
        let missing = || {
            Error::new(
                Code::TaskNotFound,
                format!("There is no system task \"{name}\""),
            )
            .hint("`backstay task list` shows them")
        };
        let task: TaskId = name.parse().map_err(|_| missing())?;
        let found = self.0.catalog.get::<TaskRecord>(TaskRecord::key(task))?;
        found.ok_or_else(missing)
    }

    fn shown_task(&self, record: &TaskRecord) -> Result<SystemTask> {
        let last = match record.last_run {
            Some(id) => self.0.catalog.get::<RunRecord>(id.bits())?,
            None => None,
        };
        let now = self.now();
        // One that cannot be read begins nothing, of which an alert tells.
        let decision = decide(record, now).unwrap_or_else(|_| Decision::nothing(record.handled));
        // What is due has not begun yet: it waits for a moment without backups.
        let next = decision.run.map(|_| now).or(decision.next);
        Ok(SystemTask {
            id: record.task,
            description: record.task.description().to_owned(),
            enabled: record.enabled,
            cron: record.cron.clone(),
            time_zone: record.time_zone.clone(),
            next_run_at: next,
            last_run: last.map(|RunRecord { run, .. }| JobRun {
                run_id: run.id,
                status: run.status,
                created_at: run.created_at,
                finished_at: run.finished_at,
            }),
        })
    }

    /// Changes when a task runs by itself. Times that passed under another schedule stay past.
    pub async fn edit_system_task(&self, name: &str, edit: SystemTaskEdit) -> Result<SystemTask> {
        let record = self.find_task(name)?;
        let before = self.shown_task(&record)?;
        let key = TaskRecord::key(record.task);
        let mut wanted = record;
        wanted.enabled = edit.enabled.unwrap_or(wanted.enabled);
        wanted.cron = edit.cron.unwrap_or(wanted.cron);
        wanted.time_zone = edit.time_zone.unwrap_or(wanted.time_zone);
        let now = self.now();
        let running = TaskRecord {
            enabled: true,
            ..wanted.clone()
        };
        decide(&running, now)?;
        let change = move |tx: &Tx<'_>| {
            tx.change::<TaskRecord>(key, |record| {
                record.enabled = wanted.enabled;
                record.cron.clone_from(&wanted.cron);
                record.time_zone.clone_from(&wanted.time_zone);
                record.handled = now;
                Ok(())
            })
        };
        let saved = self.audited(move |tx, scribe| {
            let Some(saved) = change(tx)? else {
                return Ok(None);
            };
            let after = SystemTask {
                enabled: saved.enabled,
                cron: saved.cron.clone(),
                time_zone: saved.time_zone.clone(),
                next_run_at: decide(&saved, now)?.next,
                ..before.clone()
            };
            scribe.note(tx, "task.edit", after.id, Some(&before), Some(&after))?;
            Ok(Some(saved))
        });
        let saved = saved.await?;
        let saved = saved.ok_or_else(|| Error::internal("A system task is gone"))?;
        let after = self.shown_task(&saved)?;
        self.0.schedule.notify_one();
        Ok(after)
    }

    /// Runs a task now.
    pub async fn run_system_task(&self, name: &str, trigger: Trigger) -> Result<Started> {
        let task = self.find_task(name)?.task;
        let runs = self.runs_of_task(task, trigger)?;
        let Some(first) = runs.first().map(|run| run.record.run.id) else {
            return Err(
                Error::new(Code::Conflict, format!("There is nothing for {task} to do"))
                    .hint("Add a connection or a repository first"),
            );
        };
        let run_ids = runs.iter().map(|run| run.record.run.id).collect();
        let scribe = self.scribe();
        let also = move |tx: &Tx<'_>| {
            scribe.note_bare(tx, "task.run", task)?;
            began(tx, task, first, None)
        };
        self.0.runs.submit_with(runs, also).await?;
        Ok(Started {
            run_id: first,
            run_ids,
            backup_ids: Vec::new(),
            restore_id: None,
            warnings: Vec::new(),
        })
    }

    /// One run for each repository, where the task is about them one by one; none without any.
    fn runs_of_task(&self, task: TaskId, trigger: Trigger) -> Result<Vec<NewRun>> {
        let catalog = &self.0.catalog;
        let work = match task {
            TaskId::Prune => Work::Prune { dry_run: false },
            TaskId::Check => Work::Check {
                read_data_percent: self.settings().maintenance.check_read_percent,
            },
            TaskId::ConnectionHealth if catalog.all::<ConnectionRecord>()?.is_empty() => {
                return Ok(Vec::new());
            }
            _ => {
                let title = format!("System task {task}");
                let run = self.new_run(RunKind::Task, title, trigger);
                return Ok(vec![NewRun::of(run, Work::Task(task))]);
            }
        };
        let (kind, verb) = match task {
            TaskId::Prune => (RunKind::Prune, "Prune"),
            _ => (RunKind::Check, "Check"),
        };
        let repositories = catalog.all::<RepositoryRecord>()?;
        let runs = repositories
            .iter()
            .map(|record| self.new_maintenance(record, kind, verb, work.clone(), trigger));
        Ok(runs.collect())
    }

    /// Does what a task's schedule asks for now.
    pub(super) async fn fire_task(&self, task: TaskId) -> Result<()> {
        let record = self.find_task(task.as_str())?;
        let decision = decide(&record, self.now())?;
        let Some(nominal) = decision.run else {
            return Ok(());
        };
        if task.is_heavy() && self.0.runs.moves_data() && self.now() - nominal < PATIENCE {
            tokio::time::sleep(LOOK).await;
            return Ok(());
        }
        let runs = if self.goes_on_already(&record)? {
            Vec::new()
        } else {
            self.runs_of_task(task, Trigger::Schedule)?
        };
        let handled = Some((record.handled, decision));
        match runs.first().map(|run| run.record.run.id) {
            None => {
                let (key, before) = (TaskRecord::key(task), record.handled);
                let write = move |tx: &Tx<'_>| dealt_with::<TaskRecord>(tx, key, before, &decision);
                self.0.catalog.write(write).await
            }
            Some(first) => {
                let also = move |tx: &Tx<'_>| began(tx, task, first, handled);
                self.0.runs.submit_with(runs, also).await.map(|_| ())
            }
        }
    }

    fn goes_on_already(&self, record: &TaskRecord) -> Result<bool> {
        let Some(id) = record.last_run else {
            return Ok(false);
        };
        let last = self.0.catalog.get::<RunRecord>(id.bits())?;
        let is_active = |status| matches!(status, RunStatus::Pending | RunStatus::Running);
        Ok(last.is_some_and(|record| is_active(record.run.status)))
    }
}

fn began(tx: &Tx<'_>, task: TaskId, run: RunId, handled: Option<(Time, Decision)>) -> Result<()> {
    let key = TaskRecord::key(task);
    if let Some((before, decision)) = handled {
        dealt_with::<TaskRecord>(tx, key, before, &decision)?;
    }
    tx.change::<TaskRecord>(key, |record| {
        record.last_run = Some(run);
        Ok(())
    })
    .map(|_| ())
}
