//! Backups: make, find, look into, prove, compare, annotate, delete, export.

mod base;
mod contents;
mod days;
mod export;
mod fresh;
mod gzip;
mod resolve;
mod rows;
mod stats;
mod trash;

pub(super) use base::remarks_on_types;
pub(super) use trash::Deleting;

pub use export::{Export, Prepared};

use super::{Engine, names};
use crate::catalog::records::{
    BackupRecord, ConnectionRecord, RepositoryRecord, RunRecord, Work, backup, kind_and_type,
};
use crate::catalog::{Query, Tx};
use crate::error::{Code, Error, Result};
use crate::ids::{BackupId, RunId};
use crate::model::{
    Backup, BackupCreate, BackupKind, BackupList, BackupType, Destination, LogLine, LogQuery, Page,
    Run, RunKind, RunStatus, Started, Stored, Trigger, VerifyLevel, VerifyRequest,
};
use crate::runs::NewRun;

/// What a backup can be restored from.
const RESTORABLE: [RunStatus; 2] = [RunStatus::Success, RunStatus::Partial];

/// The values of the one facet for both, where one of them may be left open.
fn kinds_and_types(kind: Option<BackupKind>, backup_type: Option<BackupType>) -> Vec<String> {
    let kinds = BackupKind::ALL
        .iter()
        .filter(|own| kind.is_none_or(|kind| kind == **own));
    kinds
        .flat_map(|kind| {
            BackupType::ALL
                .iter()
                .filter(|own| backup_type.is_none_or(|chosen| chosen == **own))
                .map(|own| kind_and_type(*kind, *own))
        })
        .collect()
}

impl Engine {
    /// Backups, newest first.
    pub async fn backups(&self, list: &BackupList) -> Result<Stored<Page<Backup>>> {
        let connection = self.connection_filter(list.connection.as_deref())?;
        let repository = self.repository_filter(list.repository.as_deref())?;
        let mut query = Query::page(list.limit, list.cursor.as_deref())?
            .only(backup::CONNECTION, connection)
            .only(backup::DATABASE, list.database.as_ref())
            .only(backup::JOB, self.job_filter(list.job.as_deref())?)
            .only(backup::STATUS, list.status)
            .only(backup::REPOSITORY, repository)
            .only(backup::LABEL, list.label.as_ref())
            .within(list.from, list.to);
        query = self.within_projects(query, backup::CONNECTION)?;
        if list.kind.is_some() || list.backup_type.is_some() {
            query = query.any_of(backup::TYPE, kinds_and_types(list.kind, list.backup_type));
        }
        if list.project.is_some() || list.environment.is_some() {
            let (project, environment) = (list.project.as_deref(), list.environment.as_deref());
            query = query.any_of(
                backup::CONNECTION,
                self.connections_in(project, environment)?,
            );
        }
        let found = self.0.catalog.documents::<BackupRecord>(&query)?;
        let next = found.next_cursor.as_deref();
        Ok(Stored::page(&found.records, next))
    }

    /// One backup: an id, a unique prefix of one, `CONNECTION[/DATABASE]@latest` or `…@TIME`.
    pub async fn backup(&self, spelling: &str) -> Result<Backup> {
        self.resolve_backup(spelling)
    }

    /// Queues backups: of one database, or of every selected one of a server.
    pub async fn run_backup(&self, create: BackupCreate, trigger: Trigger) -> Result<Started> {
        if create.kind == Some(BackupKind::Physical) {
            return Err(Error::invalid("This version makes logical backups only")
                .field("kind", "must be logical"));
        }
        let selection = super::execute::selection(&create);
        selection.compile()?;
        let label = names::remark("label", create.label.as_deref().unwrap_or_default())?;
        let note = names::remark("note", create.note.as_deref().unwrap_or_default())?;
        let repositories = self.chosen_repositories(&create)?;
        let (connection, databases) = self.what_to_back_up(&create).await?;
        let mut runs = Vec::new();
        for database in databases {
            let work = BackupCreate {
                database: Some(database.clone()),
                label: label.clone(),
                note: note.clone(),
                ..create.clone()
            };
            runs.push(self.new_backup(&connection, &repositories, &database, work, trigger)?);
        }
        let warnings = remarks_on_types(create.backup_type, &runs);
        let started = self.start(runs).await?;
        Ok(Started {
            warnings,
            ..started
        })
    }

    /// The log of the run that made it.
    pub async fn backup_log(&self, spelling: &str, query: &LogQuery) -> Result<Page<LogLine>> {
        match self.resolve_backup(spelling)?.run_id {
            Some(run) => self.run_log(&run.to_string(), query).await,
            None => Ok(Page::whole(Vec::new())),
        }
    }

    /// Starts a proof.
    pub async fn verify_backup(
        &self,
        spelling: &str,
        request: &VerifyRequest,
        trigger: Trigger,
    ) -> Result<Started> {
        let level = request.level.unwrap_or(VerifyLevel::Decoded);
        if matches!(level, VerifyLevel::None | VerifyLevel::Restored) {
            return Err(
                Error::invalid(format!("A verification cannot reach \"{level}\""))
                    .field("level", "must be present, checked or decoded"),
            );
        }
        let backup = self.restorable_backup(spelling)?;
        self.start(vec![self.new_verification(&backup, level, trigger)])
            .await
    }

    /// A proof that waits to be queued.
    pub(super) fn new_verification(
        &self,
        backup: &Backup,
        level: VerifyLevel,
        trigger: Trigger,
    ) -> NewRun {
        let title = format!("Verification of {}/{}", backup.connection, backup.database);
        let mut run = self.new_run(RunKind::Verify, title, trigger);
        run.connection_id = Some(backup.connection_id);
        run.connection = Some(backup.connection.clone());
        run.database = Some(backup.database.clone());
        run.repository_id = Some(backup.repository_id);
        run.repository = Some(backup.repository.clone());
        run.backup_id = Some(backup.id);
        NewRun {
            record: RunRecord {
                run,
                work: Work::Verify(level),
                job: None,
            },
            backups: Vec::new(),
            restore: None,
            credentials: None,
        }
    }

    /// The first backup of a list that can be restored.
    pub(super) fn first_restorable(&self, query: Query) -> Result<Option<Backup>> {
        let query = query.any_of(backup::STATUS, RESTORABLE);
        let found = self.0.catalog.list::<BackupRecord>(&query)?.records.pop();
        Ok(found.map(|record| record.0))
    }

    /// The connection and its databases a request means. A server is asked anew, so that databases
    /// made since are taken too; where it does not answer, the run that fails says so.
    pub(super) async fn what_to_back_up(
        &self,
        create: &BackupCreate,
    ) -> Result<(ConnectionRecord, Vec<String>)> {
        let named = create.connection.as_str();
        let (key, in_key) = match self.find_connection(named) {
            Ok(record) => (record, None),
            Err(error) => match named.split_once('/') {
                Some((connection, database)) => {
                    (self.find_connection(connection)?, Some(database.to_owned()))
                }
                None => return Err(error),
            },
        };
        if create.database.as_deref() == Some("") {
            return Err(Error::invalid("The name of the database is empty").field(
                "database",
                "is empty; leave it out for every selected database",
            ));
        }
        let database = create
            .database
            .clone()
            .or(in_key)
            .filter(|name| !name.is_empty());
        if let Some(database) = database {
            return Ok((key, vec![database]));
        }
        let found = super::probe::databases(&self.target(&key)?.maintenance().await?).await?;
        let known = self
            .remember_databases(&key.connection, found, None)
            .await?;
        let selected: Vec<String> = known
            .into_iter()
            .filter(|database| database.selected && database.present)
            .map(|database| database.name)
            .collect();
        if selected.is_empty() {
            return Err(Error::new(
                Code::DatabaseNotFound,
                format!("No database of \"{}\" is selected", key.connection.name),
            )
            .hint("Name one as CONNECTION/DATABASE, or select some"));
        }
        Ok((key, selected))
    }

    /// The repositories a request means: those it names, or the default one.
    fn chosen_repositories(&self, create: &BackupCreate) -> Result<Vec<RepositoryRecord>> {
        let one = create.repository.as_ref().filter(|key| !key.is_empty());
        if one.is_some() && !create.repositories.is_empty() {
            return Err(
                Error::invalid("`repository` and `repositories` say the same thing")
                    .field("repositories", "contradicts repository"),
            );
        }
        let mut chosen: Vec<RepositoryRecord> = Vec::new();
        for key in one.into_iter().chain(&create.repositories) {
            let found = self.find_repository(key)?;
            if !chosen
                .iter()
                .any(|own| own.repository.id == found.repository.id)
            {
                chosen.push(found);
            }
        }
        if chosen.is_empty() {
            chosen.push(self.chosen_repository(None)?);
        }
        refuse_too_many(chosen.len())?;
        Ok(chosen)
    }

    /// A run that makes one backup in each of `repositories`, from one read.
    pub(super) fn new_backup(
        &self,
        connection: &ConnectionRecord,
        repositories: &[RepositoryRecord],
        database: &str,
        work: BackupCreate,
        trigger: Trigger,
    ) -> Result<NewRun> {
        let connection = &connection.connection;
        let title = format!("Backup of {}/{database}", connection.name);
        let mut run = self.new_run(RunKind::Backup, title, trigger);
        run.connection_id = Some(connection.id);
        run.connection = Some(connection.name.clone());
        run.database = Some(database.to_owned());
        let selection = Some(super::execute::selection(&work)).filter(|s| !s.is_everything());
        let mut backups = Vec::with_capacity(repositories.len());
        for RepositoryRecord { repository, .. } in repositories {
            let id = BackupId::generate(run.created_at);
            let mut backup = blank_backup(id, connection, database, repository);
            backup.created_at = run.created_at;
            backup.run_id = Some(run.id);
            backup.label.clone_from(&work.label);
            backup.note.clone_from(&work.note);
            backup.selection.clone_from(&selection);
            self.choose_base(&mut backup, work.backup_type.unwrap_or(BackupType::Full))?;
            run.destinations.push(Destination {
                repository_id: repository.id,
                repository: repository.name.clone(),
                backup_id: id,
                status: RunStatus::Pending,
                error: None,
            });
            backups.push(BackupRecord(backup));
        }
        if let Some(first) = run.destinations.first() {
            run.repository_id = Some(first.repository_id);
            run.repository = Some(first.repository.clone());
            run.backup_id = Some(first.backup_id);
        }
        if run.destinations.len() < 2 {
            run.destinations.clear();
        }
        Ok(NewRun {
            record: RunRecord {
                run,
                work: Work::Backup(work),
                job: None,
            },
            backups,
            restore: None,
            credentials: None,
        })
    }

    /// A run that waits to be filled in.
    pub(super) fn new_run(&self, kind: RunKind, title: String, trigger: Trigger) -> Run {
        let now = self.now();
        Run::pending(RunId::generate(now), kind, trigger, title, now)
    }

    /// Queues runs that the caller asked for and says what was started.
    pub(super) async fn start(&self, runs: Vec<NewRun>) -> Result<Started> {
        let Some(first) = runs.first() else {
            return Err(Error::internal("No run was started"));
        };
        let (kind, subject) = (first.record.run.kind, asked_of(first));
        let works: Vec<_> = runs
            .iter()
            .map(|new| serde_json::json!({"title": new.record.run.title, "work": new.record.work}))
            .collect();
        let what = serde_json::json!({"runs": ids_of(&runs), "asked": works});
        let (scribe, action) = (self.scribe(), format!("{kind}.run"));
        let asked = move |tx: &Tx<'_>| scribe.note(tx, &action, &subject, None::<&()>, Some(&what));
        self.queue_with(runs, asked).await
    }

    /// Queues runs and says what was started.
    pub(super) async fn queue(&self, runs: Vec<NewRun>) -> Result<Started> {
        self.queue_with(runs, |_| Ok(())).await
    }

    /// As [`Self::queue`], and writes down in the same write that somebody asked for it.
    pub(super) async fn queue_with(
        &self,
        runs: Vec<NewRun>,
        asked: impl Fn(&Tx<'_>) -> Result<()> + Send + 'static,
    ) -> Result<Started> {
        let runs = self.0.runs.submit_with(runs, asked).await?;
        let first = runs
            .first()
            .ok_or_else(|| Error::internal("No run was started"))?;
        Ok(Started {
            run_id: first.id,
            run_ids: runs.iter().map(|run| run.id).collect(),
            backup_ids: runs
                .iter()
                .flat_map(Run::makes)
                .map(|(_, backup)| backup)
                .collect(),
            restore_id: first.restore_id,
            warnings: Vec::new(),
        })
    }
}

/// The ids that new runs will have.
pub(super) fn ids_of(runs: &[NewRun]) -> Vec<RunId> {
    runs.iter().map(|new| new.record.run.id).collect()
}

/// What a run is about: a backup, else what it works on.
fn asked_of(new: &NewRun) -> String {
    let run = &new.record.run;
    let connection = run.connection_id.map(|id| id.to_string());
    let repository = run.repository_id.map(|id| id.to_string());
    let backup = run.backup_id.filter(|_| run.kind != RunKind::Backup);
    backup
        .map(|id| id.to_string())
        .or(connection)
        .or(repository)
        .unwrap_or_default()
}

/// Repositories that one read feeds at most: each takes memory for the packs it is sent.
const REPOSITORIES_MAX: usize = 4;

/// An error when one read cannot feed so many repositories.
pub(super) fn refuse_too_many(repositories: usize) -> Result<()> {
    if repositories <= REPOSITORIES_MAX {
        return Ok(());
    }
    Err(
        Error::invalid("A backup cannot go to so many repositories at once").field(
            "repositories",
            format!("must be at most {REPOSITORIES_MAX}"),
        ),
    )
}

/// Connection and database, as people write them.
pub(super) fn source_of(backup: &Backup) -> String {
    format!("{}/{}", backup.connection, backup.database)
}

/// A backup of which nothing is known yet.
pub(super) fn blank_backup(
    id: BackupId,
    connection: &crate::model::Connection,
    database: &str,
    repository: &crate::model::Repository,
) -> Backup {
    Backup {
        id,
        serial: 0,
        connection_id: connection.id,
        connection: connection.name.clone(),
        engine: connection.engine,
        database: database.to_owned(),
        kind: BackupKind::Logical,
        backup_type: BackupType::Full,
        base_backup_id: None,
        status: RunStatus::Pending,
        repository_id: repository.id,
        repository: repository.name.clone(),
        run_id: None,
        job_id: None,
        selection: None,
        label: None,
        note: None,
        pinned_until: None,
        created_at: id.created_at(),
        started_at: None,
        finished_at: None,
        point_at: None,
        duration_ms: None,
        source_bytes: 0,
        new_bytes: 0,
        stored_bytes: 0,
        objects: 0,
        tables: 0,
        rows: 0,
        server_version: None,
        checksum: None,
        verify_level: VerifyLevel::None,
        verified: Vec::new(),
        failed_rung: None,
        losses: Vec::new(),
        error: None,
    }
}
