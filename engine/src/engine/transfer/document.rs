//! What is here, as a document says it.

use super::super::Engine;
use super::super::exports::{Opened, Portable, opened};
use super::seal::Secrets;
use super::{BREATH, FORMAT, VERSION, kind};
use crate::catalog::records::{
    ApiKeyRecord, ConnectionRecord, DrillRecord, EnvironmentRecord, GroupRecord, JobRecord,
    ProjectRecord, RepositoryRecord, TargetRecord, TaskRecord, UserRecord,
};
use crate::error::{Error, Result};
use crate::model::{
    ApiKey, ConfigApiKey, ConfigConnection, ConfigDocument, ConfigEnvironment, ConfigRepository,
    ConfigTarget, ConfigTask, ConfigUser, Drill, DrillCreate, Group, GroupCreate, Job, JobCreate,
    Project, ProjectCreate, Settings, SettingsEdit, Target, TaskId, User,
};

/// Field of a repository's key file, among its secrets.
pub(super) const KEY: &str = "key";
/// Field of a user's password, hashed.
pub(super) const HASHED: &str = "password";
/// Fields of an API key: its hash, and how it begins.
pub(super) const HASH: &str = "hash";
pub(super) const PREFIX: &str = "prefix";

impl Engine {
    /// The whole setup, but for what is secret in it.
    pub(super) async fn document(&self) -> Result<ConfigDocument> {
        let catalog = &self.0.catalog;
        let mut document = ConfigDocument {
            format: FORMAT.to_owned(),
            version: VERSION,
            made_at: Some(self.now()),
            made_by: Some(env!("CARGO_PKG_VERSION").to_owned()),
            settings: settings_entry(&self.settings())?,
            system_tasks: Vec::new(),
            projects: each(catalog.all()?, |ProjectRecord(own)| project_entry(&own)),
            environments: Vec::new(),
            repositories: each(catalog.all()?, |own| repository_entry(&own)),
            connections: Vec::new(),
            notifications: Vec::new(),
            jobs: Vec::new(),
            job_ids: std::collections::BTreeMap::new(),
            drills: Vec::new(),
            groups: each(catalog.all()?, |GroupRecord(own)| group_entry(&own)),
            users: each(catalog.all()?, |own: UserRecord| user_entry(&own.user)),
            api_keys: each(catalog.all()?, |own: ApiKeyRecord| api_key_entry(&own.key)),
            secrets: None,
        };
        for task in TaskId::ALL {
            let record = self.find_task(task.as_str())?;
            document.system_tasks.push(task_entry(&record));
        }
        for record in catalog.all()? {
            document.environments.push(self.environment_entry(&record)?);
        }
        for record in catalog.all()? {
            document.connections.push(self.connection_entry(record)?);
        }
        for TargetRecord { target, .. } in catalog.all()? {
            let entry = target_entry(self.shown_target(target)?);
            document.notifications.push(entry);
        }
        for record in catalog.all::<JobRecord>()? {
            if document.job_ids.len().is_multiple_of(BREATH) {
                tokio::task::yield_now().await;
            }
            let job = self.shown(record)?;
            document.job_ids.insert(job.name.clone(), job.id);
            if job.environment_id.is_none() {
                document.jobs.push(job_entry(job));
            }
        }
        for record in catalog.all::<DrillRecord>()? {
            document.drills.push(drill_entry(self.shown_drill(record)?));
        }
        Ok(document)
    }

    /// Everything that must not be readable in a document.
    pub(super) fn secrets(&self) -> Result<Secrets> {
        let catalog = &self.0.catalog;
        let mut all = Secrets::default();
        for record in catalog.all::<ConnectionRecord>()? {
            let name = record.connection.name.clone();
            all.put(kind::CONNECTION, &name, self.opened(record)?);
        }
        for record in catalog.all::<TargetRecord>()? {
            let name = record.target.name.clone();
            all.put(kind::TARGET, &name, self.opened(record)?);
        }
        for record in catalog.all::<RepositoryRecord>()? {
            let (name, file) = (record.repository.name.clone(), record.key_file.clone());
            let mut own = self.opened(record)?;
            if let Some(file) = file {
                let key = crate::vault::read_private(&file)?;
                own.insert(KEY.to_owned(), key.trim().to_owned());
            }
            all.put(kind::REPOSITORY, &name, own);
        }
        for record in catalog.all::<UserRecord>()? {
            let hash = record.password.as_ref().map(|own| own.expose().to_owned());
            let own = hash.map(|hash| (HASHED.to_owned(), hash));
            all.put(
                kind::USER,
                &record.user.name,
                own.into_iter().collect::<Opened>(),
            );
        }
        for ApiKeyRecord { key, hash } in catalog.all()? {
            let own = [(HASH.to_owned(), hash), (PREFIX.to_owned(), key.prefix)];
            all.put(kind::API_KEY, &key.name, Opened::from(own));
        }
        Ok(all)
    }

    /// The secrets of a record, in clear.
    pub(super) fn opened<R: Portable>(&self, mut record: R) -> Result<Opened> {
        opened(&mut record, self.0.catalog.vault())
    }

    pub(super) fn connection_entry(&self, record: ConnectionRecord) -> Result<ConfigConnection> {
        let own = record.connection.clone();
        let databases = self.databases_of(own.id)?.into_iter();
        let databases = databases.filter(|database| database.0.present);
        Ok(ConfigConnection {
            id: Some(own.id),
            name: own.name,
            url: own.url,
            ssh: own.ssh,
            project: Some(own.project),
            environment: Some(own.environment),
            include_new_databases: Some(own.include_new_databases),
            databases: databases
                .map(|database| (database.0.name, database.0.selected))
                .collect(),
            secrets: self.opened(record)?.into_keys().collect(),
        })
    }

    pub(super) fn environment_entry(
        &self,
        record: &EnvironmentRecord,
    ) -> Result<ConfigEnvironment> {
        let own = &record.environment;
        let mut schedule = record.schedule.clone();
        if let Some(schedule) = &mut schedule {
            schedule.repositories.clear();
            for id in &record.repository_ids {
                let found = self.0.catalog.get::<RepositoryRecord>(id.bits())?;
                let name = found.map_or_else(|| id.to_string(), |found| found.repository.name);
                schedule.repositories.push(name);
            }
        }
        Ok(ConfigEnvironment {
            project: own.project.clone(),
            name: own.name.clone(),
            description: own.description.clone(),
            schedule,
        })
    }
}

fn each<R, T>(records: Vec<R>, entry: impl Fn(R) -> T) -> Vec<T> {
    records.into_iter().map(entry).collect()
}

pub(super) fn settings_entry(own: &Settings) -> Result<SettingsEdit> {
    serde_json::to_value(own)
        .and_then(serde_json::from_value)
        .map_err(|error| Error::internal("Settings are not what changes them").because(error))
}

pub(super) fn task_entry(own: &TaskRecord) -> ConfigTask {
    ConfigTask {
        id: own.task,
        enabled: own.enabled,
        cron: own.cron.clone(),
        time_zone: own.time_zone.clone(),
    }
}

pub(super) fn project_entry(own: &Project) -> ProjectCreate {
    ProjectCreate {
        name: own.name.clone(),
        description: own.description.clone(),
    }
}

pub(super) fn repository_entry(record: &RepositoryRecord) -> ConfigRepository {
    let own = &record.repository;
    ConfigRepository {
        name: own.name.clone(),
        location: own.location.clone(),
        uid: Some(own.uid.clone()),
        default: own.is_default,
    }
}

pub(super) fn group_entry(own: &Group) -> GroupCreate {
    GroupCreate {
        name: own.name.clone(),
        description: own.description.clone(),
        permissions: own.permissions.clone(),
        projects: own.projects.clone(),
    }
}

pub(super) fn user_entry(own: &User) -> ConfigUser {
    ConfigUser {
        name: own.name.clone(),
        email: own.email.clone(),
        enabled: Some(own.enabled),
        groups: own.groups.clone(),
    }
}

pub(super) fn api_key_entry(own: &ApiKey) -> ConfigApiKey {
    ConfigApiKey {
        name: own.name.clone(),
        enabled: Some(own.enabled),
        permissions: own.permissions.clone(),
        projects: own.projects.clone(),
        tier: Some(own.tier),
        expires_at: own.expires_at,
    }
}

/// A target that shows its names; what is secret in its address is masked.
pub(super) fn target_entry(own: Target) -> ConfigTarget {
    ConfigTarget {
        name: own.name,
        kind: own.kind,
        enabled: Some(own.enabled),
        url: own.url,
        mail: own.mail,
        chat_id: own.chat_id,
        topic: own.topic,
        priority: own.priority,
        events: Some(own.events),
        connections: own.connections,
        jobs: own.jobs,
        projects: own.projects,
        title: own.title,
        body: own.body,
    }
}

/// A job that shows its names, as it would be asked for.
pub(super) fn job_entry(own: Job) -> JobCreate {
    let work = own.work;
    JobCreate {
        name: own.name,
        connection: own.connection,
        enabled: Some(own.enabled),
        databases: work.databases,
        repositories: own.repositories,
        schemas: work.schemas,
        tables: work.tables,
        exclude_tables: work.exclude_tables,
        label: work.label,
        backup_type: work.backup_type,
        schedule: own.schedule,
        retention: Some(work.retention),
        retries: Some(work.retries),
        max_runtime_seconds: work.max_runtime_seconds,
        verify: work.verify,
        hooks: work.hooks,
    }
}

/// A drill that shows its names, as it would be asked for.
pub(super) fn drill_entry(own: Drill) -> DrillCreate {
    let work = own.work;
    DrillCreate {
        name: own.name,
        connection: own.connection,
        database: own.database,
        repository: own.repository,
        choose: Some(own.choose),
        backup: own.backup_id.map(|id| id.to_string()),
        scratch_connection: Some(own.scratch_connection),
        enabled: Some(own.enabled),
        objects: work.objects,
        checks: work.checks,
        no_owner: Some(work.no_owner),
        no_privileges: Some(work.no_privileges),
        max_runtime_seconds: work.max_runtime_seconds,
        schedule: own.schedule,
    }
}
