//! Settings, system tasks, notification targets, jobs and drills of a document.

use std::collections::BTreeMap;

use super::super::super::exports::{Opened, put_secrets};
use super::super::super::jobs::job_from;
use super::super::super::jobs::timed::decide;
use super::super::super::lookup::References as _;
use super::super::super::notifications::{SECRET, TARGETS, URL};
use super::super::super::{names, settings};
use super::super::document::{drill_entry, job_entry, settings_entry, target_entry, task_entry};
use super::super::kind;
use super::{Planner, Weighing, other_secrets, value};
use crate::catalog::records::{
    DrillRecord, JobRecord, SETTINGS, SettingsRecord, TargetRecord, TaskRecord,
};
use crate::error::{Code, Error, Result};
use crate::ids::JobId;
use crate::model::{
    ConfigTarget, ConfigTask, DrillCreate, HookTime, JobCreate, MASK, SettingsEdit, TargetCreate,
    TargetKind,
};
use crate::secret::SecretText;

impl Planner<'_> {
    pub(super) fn settings(&mut self, wanted: SettingsEdit) -> Result<()> {
        let here = self.engine.settings();
        let wanted = settings::checked(wanted.applied((*here).clone()))?;
        if wanted == *here {
            return Ok(());
        }
        // Settings that nobody has changed are nobody's.
        let catalog = &self.engine.0.catalog;
        let is_touched = catalog.get::<SettingsRecord>(SETTINGS)?.is_some();
        let written = self.weigh(Weighing {
            untouched: !is_touched,
            ..Weighing::of(
                kind::SETTINGS,
                kind::SETTINGS,
                Some(value(&settings_entry(&here)?)?),
                value(&settings_entry(&wanted)?)?,
            )
        });
        if written.is_some() {
            self.plan.changes.settings = Some(wanted);
        }
        Ok(())
    }

    pub(super) fn task(&mut self, wanted: ConfigTask) -> Result<()> {
        let here = self.engine.find_task(wanted.id.as_str())?;
        let record = TaskRecord {
            enabled: wanted.enabled,
            cron: wanted.cron,
            time_zone: wanted.time_zone,
            handled: self.engine.now(),
            ..here.clone()
        };
        let running = TaskRecord {
            enabled: true,
            ..record.clone()
        };
        decide(&running, record.handled)?;
        let is_touched = here.cron != here.task.default_cron();
        let is_touched = is_touched || !here.enabled || here.time_zone != "UTC";
        let written = self.weigh(Weighing {
            untouched: !is_touched,
            ..Weighing::of(
                kind::TASK,
                here.task.as_str(),
                Some(value(&task_entry(&here))?),
                value(&task_entry(&record))?,
            )
        });
        if written.is_some() {
            self.plan.changes.tasks.push(record);
        }
        Ok(())
    }

    pub(super) fn target(&mut self, wanted: ConfigTarget) -> Result<()> {
        let engine = self.engine;
        names::check("notification target", &wanted.name)?;
        let here = engine.0.catalog.by_name::<TargetRecord>(&wanted.name)?;
        let given = self.secrets.of(kind::TARGET, &wanted.name);
        let wanted = create_of(wanted, given);
        let (connections, jobs) = (wanted.connections.clone(), wanted.jobs.clone());
        let mut record = engine.target_from(wanted, self, true)?;
        let given = engine.opened(record.clone())?;
        let mut known = Opened::new();
        if let Some(here) = &here {
            known = engine.opened(here.clone())?;
            let own = &mut record.target;
            own.id = here.target.id;
            own.created_at = here.target.created_at;
            own.url = own.url.take().or_else(|| here.target.url.clone());
            own.secret = own.secret.take().or_else(|| here.target.secret.clone());
            let mut all = known.clone();
            all.extend(given.clone());
            put_secrets(&mut record, &all, engine.0.catalog.vault())?;
        }
        let lacks = lacking(&record);
        let mut reason = None;
        if !lacks.is_empty() {
            record.target.enabled = false;
            reason = Some("It gets nothing until it is complete and enabled".to_owned());
        }
        self.targets
            .insert(record.target.name.clone(), record.target.clone());
        let mut shown = record.target.clone();
        (shown.connections, shown.jobs) = (connections, jobs);
        let here = here
            .map(|own| engine.shown_target(own.target))
            .transpose()?;
        let here = here.map(|own| value(&target_entry(own))).transpose()?;
        let is_new = here.is_none();
        let made = self.plan.changes.targets.made.len();
        if is_new && engine.0.catalog.all::<TargetRecord>()?.len() + made >= TARGETS {
            let text = format!("{TARGETS} notification targets are the most there can be");
            return Err(Error::new(Code::Conflict, text));
        }
        let written = self.weigh(Weighing {
            secrets: other_secrets(&given, &known),
            lacks,
            reason,
            ..Weighing::of(
                kind::TARGET,
                &record.target.name,
                here,
                value(&target_entry(shown))?,
            )
        });
        if written.is_some() {
            self.plan.changes.targets.push(record, is_new);
        }
        Ok(())
    }

    /// Gives every job of the document its id, before anything names it.
    pub(super) fn name_jobs(
        &mut self,
        jobs: &[JobCreate],
        ids: BTreeMap<String, JobId>,
    ) -> Result<()> {
        let names = jobs.iter().map(|job| &job.name).chain(ids.keys());
        for name in names {
            if self.jobs.contains_key(name) {
                continue;
            }
            let here = self.engine.0.catalog.by_name::<JobRecord>(name)?;
            let id = match here {
                Some(here) => here.job.id,
                None => self.id::<_, JobRecord>(ids.get(name).copied())?,
            };
            self.jobs.insert(name.clone(), id);
        }
        self.plan.job_ids = ids;
        Ok(())
    }

    pub(super) fn job(&mut self, mut wanted: JobCreate) -> Result<()> {
        let (engine, now) = (self.engine, self.engine.now());
        let here = engine.0.catalog.by_name::<JobRecord>(&wanted.name)?;
        if here
            .as_ref()
            .is_some_and(|own| own.job.environment_id.is_some())
        {
            let text = "The job of that name here belongs to the schedule of an environment";
            return Err(Error::new(Code::Conflict, text).hint("Give it another name"));
        }
        let mut hooks = wanted.hooks.clone();
        for hook in &mut hooks {
            hook.target = self.the_target(&hook.target)?.name;
        }
        hooks.sort_by_key(|hook| hook.when != HookTime::Before);
        let mut repositories = Vec::new();
        for key in &wanted.repositories {
            repositories.push(self.the_repository(key)?.name);
        }
        if self.paused && here.is_none() {
            wanted.enabled = Some(false);
        }
        let mut job = job_from(wanted, self, now)?;
        job.id = self.the_job(&job.name)?;
        let mut shown = job.clone();
        shown.repositories = repositories;
        shown.work.hooks = hooks;
        let mut record = JobRecord {
            job,
            handled: now,
            since: here.as_ref().map(|_| now),
            retries: Vec::new(),
        };
        if let Some(here) = &here {
            let (own, before) = (&mut record.job, &here.job);
            own.created_at = before.created_at;
            // Times that passed under another schedule, or while it was paused, stay past.
            if own.schedule == before.schedule && (before.enabled || !own.enabled) {
                record.handled = here.handled;
                record.since = here.since;
            }
        }
        let here = here.map(|own| engine.shown(own)).transpose()?;
        let here = here.map(|own| value(&job_entry(own))).transpose()?;
        let written = self.weigh(Weighing::of(
            kind::JOB,
            &record.job.name,
            here,
            value(&job_entry(shown))?,
        ));
        if let Some(is_new) = written {
            self.plan.changes.jobs.push(record, is_new);
        }
        Ok(())
    }

    pub(super) fn drill(&mut self, mut wanted: DrillCreate) -> Result<()> {
        let (engine, now) = (self.engine, self.engine.now());
        let here = engine.0.catalog.by_name::<DrillRecord>(&wanted.name)?;
        let mut reason = None;
        if let Some(key) = wanted
            .backup
            .take_if(|key| engine.restorable_backup(key).is_err())
        {
            reason = Some(format!(
                "Backup {key}, which it always restored, is not here: it restores the one it chooses"
            ));
        }
        if self.paused && here.is_none() {
            wanted.enabled = Some(false);
        }
        let repository = wanted.repository.as_deref().filter(|key| !key.is_empty());
        let repository = repository.map(|key| self.the_repository(key)).transpose()?;
        let mut drill = engine.drill_from(wanted, self, now)?;
        let mut shown = drill.clone();
        shown.repository = repository.map(|own| own.name);
        let mut handled = now;
        if let Some(here) = &here {
            drill.id = here.drill.id;
            drill.created_at = here.drill.created_at;
            let before = &here.drill;
            if drill.schedule == before.schedule && (before.enabled || !drill.enabled) {
                handled = here.handled;
            }
        }
        let here = here.map(|own| engine.shown_drill(own)).transpose()?;
        let here = here.map(|own| value(&drill_entry(own))).transpose()?;
        let written = self.weigh(Weighing {
            reason,
            ..Weighing::of(kind::DRILL, &drill.name, here, value(&drill_entry(shown))?)
        });
        if let Some(is_new) = written {
            let record = DrillRecord { drill, handled };
            self.plan.changes.drills.push(record, is_new);
        }
        Ok(())
    }
}

fn create_of(wanted: ConfigTarget, mut given: Opened) -> TargetCreate {
    let clear = wanted.url.filter(|url| !url.contains(MASK));
    TargetCreate {
        name: wanted.name,
        kind: wanted.kind,
        enabled: wanted.enabled,
        url: given.remove(URL).or(clear).map(SecretText::new),
        secret: given.remove(SECRET).map(SecretText::new),
        mail: wanted.mail,
        chat_id: wanted.chat_id,
        topic: wanted.topic,
        priority: wanted.priority,
        events: wanted.events,
        connections: wanted.connections,
        jobs: wanted.jobs,
        projects: wanted.projects,
        title: wanted.title,
        body: wanted.body,
    }
}

/// What a target cannot work without and does not have.
fn lacking(record: &TargetRecord) -> Vec<String> {
    let target = &record.target;
    let logs_in = target.mail.as_ref().is_some_and(|mail| mail.user.is_some());
    let needs_secret = logs_in
        || matches!(
            target.kind,
            TargetKind::Webhook | TargetKind::Telegram | TargetKind::Gotify
        );
    let mut lacks = Vec::new();
    if target.kind != TargetKind::Email && record.url.is_none() {
        lacks.push(URL.to_owned());
    }
    if needs_secret && record.secret.is_none() {
        lacks.push(SECRET.to_owned());
    }
    lacks
}
