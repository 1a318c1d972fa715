//! Whether everything is protected, in one answer: a few records and the sums of days for each database,
//! however many backups there are.

mod judged;
mod proofs;

use std::collections::{BTreeMap, HashMap};

use chrono::{Days, NaiveDate};

use super::jobs::Starts;
use super::{Engine, visible};
use crate::access::Caller;
use crate::access::scope::{self, acting_as, acting_now_as};
use crate::catalog::Query;
use crate::catalog::records::{
    AlertRecord, BackupRecord, ConnectionRecord, DrillRecord, HealthRecord, JobRecord,
    MeasureRecord, RepositoryRecord, RunRecord, alert, backup, connection, day, job, run, tally,
};
use crate::error::Result;
use crate::ids::ConnectionId;
use crate::model::{
    Alert, Connection, ConnectionOverview, DatabaseOverview, DayResults, Freshness, HealthStatus,
    Overview, OverviewList, OverviewSummary, Page, PageRequest, Protection, RepositoryOverview,
    Run, RunKind, RunStatus, Severity, Time,
};
use judged::{Facts, judged};

/// Days shown.
const DAYS: u64 = 14;
/// Runs shown.
const RUNS_SHOWN: usize = 50;
/// Runs and alerts that are counted.
const COUNTED: usize = 5000;

/// What is read once for all connections.
struct Around {
    now: Time,
    jobs: HashMap<ConnectionId, Vec<JobRecord>>,
    drills: HashMap<ConnectionId, Vec<DrillRecord>>,
    reachable: HashMap<ConnectionId, bool>,
    alerts: Option<Vec<Alert>>,
    runs: Option<Vec<Run>>,
}

impl Engine {
    /// Every connection with its databases: protected or not and why, how their backups went, what is next;
    /// and with the first page what is going on, and the repositories.
    pub async fn overview(&self, list: &OverviewList) -> Result<Overview> {
        let caller = scope::current();
        let counting = caller.doing("alerts:read").ok();
        let list = list.clone();
        let is_first = list.cursor.as_deref().is_none_or(str::is_empty);
        let mut overview = self.aside(move |engine| engine.overview_now(&list)).await?;
        if let Some(caller) = counting.filter(|_| is_first) {
            overview.alerts = Some(acting_as(caller.into(), self.alert_count()).await?);
        }
        Ok(overview)
    }

    fn overview_now(&self, list: &OverviewList) -> Result<Overview> {
        let mut connections = self.connections_with_backups(list)?;
        connections.sort_by(|one, other| one.name.cmp(&other.name));
        let request = PageRequest {
            limit: list.limit,
            cursor: list.cursor.clone(),
        };
        let is_first = list.cursor.as_deref().is_none_or(str::is_empty);
        let around = self.around()?;
        let mut summary = OverviewSummary::default();
        let page = Page::cut(connections.clone(), &request, |own| own.id)?;
        let mut items = Vec::with_capacity(page.items.len());
        for own in &page.items {
            items.push(self.overview_of(own, &around)?);
        }
        if is_first {
            for (place, own) in connections.iter().enumerate() {
                match items.get(place) {
                    Some(known) => count(&mut summary, known),
                    None => count(&mut summary, &self.overview_of(own, &around)?),
                }
            }
        }
        let shown = |mut runs: Vec<Run>| {
            runs.truncate(RUNS_SHOWN);
            runs
        };
        Ok(Overview {
            at: around.now,
            items,
            next_cursor: page.next_cursor,
            summary: is_first.then_some(summary),
            runs: around.runs.filter(|_| is_first).map(shown),
            repositories: if is_first {
                self.repositories_at_a_glance()?
            } else {
                None
            },
            alerts: None,
        })
    }

    /// The connections that the caller may see, and whose backups they may.
    fn connections_with_backups(&self, list: &OverviewList) -> Result<Vec<Connection>> {
        let reading = scope::current().doing("backups:read")?;
        let query = Query::newest(usize::MAX)
            .only(connection::PROJECT, list.project.as_ref())
            .only(connection::ENVIRONMENT, list.environment.as_ref());
        let query = visible::of_own_projects(query);
        let found = self.0.catalog.list::<ConnectionRecord>(&query)?.records;
        let all = found.into_iter().map(|record| record.connection);
        Ok(all.filter(|own| reading.sees(&own.project)).collect())
    }

    fn around(&self) -> Result<Around> {
        let catalog = &self.0.catalog;
        let mut jobs: HashMap<_, Vec<_>> = HashMap::new();
        let enabled = Query::newest(usize::MAX).only(job::ENABLED, Some(true));
        for record in catalog.list::<JobRecord>(&enabled)?.records {
            if record.job.schedule.is_some() {
                let own = jobs.entry(record.job.connection_id);
                own.or_default().push(record);
            }
        }
        let mut drills: HashMap<_, Vec<_>> = HashMap::new();
        for record in catalog.all::<DrillRecord>()? {
            let own = drills.entry(record.drill.connection_id);
            own.or_default().push(record);
        }
        let health = catalog.all::<HealthRecord>()?.into_iter();
        let reachable = health.filter_map(|own| {
            let is_up = match own.health.status {
                HealthStatus::Unknown => return None,
                HealthStatus::Up => true,
                HealthStatus::Down => false,
            };
            Some((own.health.connection_id, is_up))
        });
        let caller = scope::current();
        let waiting = Query::newest(COUNTED).only(alert::WAITS, Some(true));
        let alerts = as_one_who("alerts:read", &caller, || {
            let waiting = super::alerts::within_own_projects(waiting);
            let found = catalog.list::<AlertRecord>(&waiting)?.records;
            Ok(found.into_iter().map(|record| record.0).collect())
        })?;
        let runs = as_one_who("runs:read", &caller, || self.runs_under_way())?;
        Ok(Around {
            now: self.now(),
            jobs,
            drills,
            reachable: reachable.collect(),
            alerts,
            runs,
        })
    }

    fn runs_under_way(&self) -> Result<Vec<Run>> {
        let active = [RunStatus::Running, RunStatus::Pending];
        let query = Query::newest(COUNTED).any_of(run::STATUS, active);
        let query = self.within_projects(query, run::CONNECTION)?;
        let found = self.0.catalog.list::<RunRecord>(&query)?.records;
        let runs = found.into_iter().map(|record| record.run);
        let runs = runs.filter(|run| run.kind != RunKind::Task);
        Ok(runs.map(|run| self.0.runs.refreshed(run)).collect())
    }

    fn overview_of(&self, own: &Connection, around: &Around) -> Result<ConnectionOverview> {
        let records = around.jobs.get(&own.id).map_or(&[][..], Vec::as_slice);
        let jobs: Vec<_> = records.iter().map(|record| record.job.clone()).collect();
        let reachable = around.reachable.get(&own.id).copied();
        let mut databases = Vec::new();
        for name in self.databases_backed_up(own.id, &jobs)? {
            let fresh = self.freshness_of(own, &name, &jobs, around.now)?;
            databases.push(self.overview_of_database(own, fresh, records, around)?);
        }
        let (protection, reason) = judged::worst(&databases);
        let alerts = around.alerts.as_ref().map(|all| {
            let own = all.iter().filter(|alert| is_about(alert, own));
            own.collect::<Vec<_>>()
        });
        let critical = |all: &Vec<&Alert>| {
            let critical = all.iter().filter(|own| own.severity == Severity::Critical);
            critical.count() as u64
        };
        let running = around.runs.as_ref().map(|all| {
            let about = all.iter().filter(|run| run.connection_id == Some(own.id));
            about.count() as u64
        });
        Ok(ConnectionOverview {
            connection_id: own.id,
            connection: own.name.clone(),
            project: own.project.clone(),
            environment: own.environment.clone(),
            protection,
            reason,
            reachable,
            critical_alerts: alerts.as_ref().map(critical),
            alerts: alerts.map(|all| all.len() as u64),
            running,
            databases,
        })
    }

    fn overview_of_database(
        &self,
        own: &Connection,
        fresh: Freshness,
        jobs: &[JobRecord],
        around: &Around,
    ) -> Result<DatabaseOverview> {
        let name = &fresh.database;
        let newest = Query::newest(1)
            .only(backup::CONNECTION, Some(own.id))
            .only(backup::DATABASE, Some(name));
        let newest = self.first_restorable(newest)?;
        let damaged = newest.filter(|newest| newest.failed_rung.is_some());
        let attempt = self.last_attempt(own.id, name)?;
        let proof = self.last_proof(own.id, &fresh, around)?;
        let facts = Facts {
            fresh: &fresh,
            attempt: attempt.as_ref(),
            damaged: damaged.as_ref(),
            reachable: around.reachable.get(&own.id).copied(),
            now: around.now,
        };
        let (protection, reason) = judged(&facts);
        let days = self.days_at_a_glance(own.id, name, around.now)?;
        let covering = jobs
            .iter()
            .filter(|record| fresh.jobs.iter().any(|own| own.job_id == record.job.id));
        let next_run_at =
            covering.filter_map(|record| next_of(&self.0.starts, record, name, around.now));
        Ok(DatabaseOverview {
            protection,
            reason,
            freshness: fresh.state,
            backup_id: fresh.backup_id,
            last_good_at: fresh.last_good_at,
            age_ms: fresh.age_ms,
            goal_ms: fresh.jobs.iter().filter_map(|own| own.interval_ms).min(),
            expected_at: fresh.jobs.iter().filter_map(|own| own.expected_at).min(),
            next_run_at: next_run_at.min(),
            proof,
            damaged_backup_id: damaged.map(|own| own.id),
            days,
            database: fresh.database,
        })
    }

    /// The newest run that should have made a backup of it and has ended.
    fn last_attempt(&self, id: ConnectionId, database: &str) -> Result<Option<Run>> {
        let ended = RunStatus::ALL.iter().filter(|status| status.is_final());
        let query = Query::newest(1)
            .only(run::KIND, Some(RunKind::Backup))
            .only(run::CONNECTION, Some(id))
            .only(run::DATABASE, Some(database))
            .any_of(run::STATUS, ended);
        let found = self.0.catalog.list::<RunRecord>(&query)?.records.pop();
        Ok(found.map(|record| record.run))
    }

    fn days_at_a_glance(
        &self,
        id: ConnectionId,
        database: &str,
        now: Time,
    ) -> Result<Vec<DayResults>> {
        let to = now.date_naive();
        let from = to.checked_sub_days(Days::new(DAYS - 1)).unwrap_or(to);
        let mut days: BTreeMap<NaiveDate, DayResults> = from
            .iter_days()
            .take_while(|date| *date <= to)
            .map(|date| {
                let day = DayResults {
                    date,
                    ..DayResults::default()
                };
                (date, day)
            })
            .collect();
        let prefix = day::prefix(Some((id, Some(database))));
        for (date, number, sum) in self.sums_between::<RunRecord>(&prefix, from, to)? {
            let Some(day) = days.get_mut(&date) else {
                continue;
            };
            match number.parse::<RunStatus>() {
                Ok(RunStatus::Success) => day.success += sum,
                Ok(RunStatus::Partial) => day.partial += sum,
                Ok(RunStatus::Cancelled) => day.cancelled += sum,
                Ok(_) => day.failed += sum,
                Err(_) => {}
            }
        }
        Ok(days.into_values().collect())
    }

    fn repositories_at_a_glance(&self) -> Result<Option<Vec<RepositoryOverview>>> {
        let caller = scope::current();
        let sees_sizes = caller
            .doing("repositories:read")
            .is_ok_and(|own| own.projects.is_none());
        as_one_who("repositories:read", &caller, || {
            let catalog = &self.0.catalog;
            let mut all = Vec::new();
            for RepositoryRecord { repository, .. } in catalog.all::<RepositoryRecord>()? {
                let id = repository.id;
                let sum = |name: &str| catalog.tally::<BackupRecord>(&tally::within(id, name));
                let measure = catalog.get::<MeasureRecord>(id.bits())?;
                let measure = measure.filter(|_| sees_sizes);
                let stats = measure.as_ref().map(|own| &own.stats);
                all.push(RepositoryOverview {
                    repository_id: id,
                    is_default: repository.is_default,
                    reachable: self.is_reachable(&id),
                    repository: repository.name,
                    backups: sees_sizes.then(|| sum(tally::BACKUPS)).transpose()?,
                    source_bytes: sees_sizes.then(|| sum(tally::SOURCE_BYTES)).transpose()?,
                    stored_bytes: stats.map(|own| own.stored_bytes),
                    total_bytes: stats.and_then(|own| own.total_bytes),
                    free_bytes: stats.and_then(|own| own.free_bytes),
                    measured_at: measure.as_ref().map(|own| own.at),
                });
            }
            all.sort_by(|one, other| one.repository.cmp(&other.repository));
            Ok(all)
        })
    }
}

/// What somebody with a permission sees, within their projects; nothing where the caller does not have it.
fn as_one_who<T>(
    permission: &str,
    caller: &Caller,
    read: impl FnOnce() -> Result<T>,
) -> Result<Option<T>> {
    match caller.doing(permission) {
        Ok(doing) => acting_now_as(doing.into(), read).map(Some),
        Err(_) => Ok(None),
    }
}

fn is_about(alert: &Alert, own: &Connection) -> bool {
    alert.connection.as_deref() == Some(&own.name) || alert.subject == own.id.to_string()
}

/// When a job backs that database up next.
fn next_of(starts: &Starts, record: &JobRecord, database: &str, now: Time) -> Option<Time> {
    let retries = record.retries.iter().filter(|own| own.database == database);
    let schedule = record.job.schedule.as_ref();
    let next = schedule.and_then(|own| starts.next(own, record.job.id.bits(), record.handled, now));
    retries.map(|own| own.at).chain(next).min()
}

fn count(summary: &mut OverviewSummary, own: &ConnectionOverview) {
    summary.connections += 1;
    summary.databases += own.databases.len() as u64;
    let each = own.databases.iter().map(|database| database.protection);
    let alone = own.databases.is_empty().then_some(own.protection);
    for protection in each.chain(alone) {
        *match protection {
            Protection::Protected => &mut summary.protected,
            Protection::AtRisk => &mut summary.at_risk,
            Protection::Unprotected => &mut summary.unprotected,
        } += 1;
    }
}
