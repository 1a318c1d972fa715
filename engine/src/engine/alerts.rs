//! Alerts: opened by what goes wrong, closed when it is over, read and dismissed by people.
//!
//! Of one state there is one open alert. Seeing it again says nothing to anybody, whether or not it was
//! read or dismissed; only once it was over can it be news.

mod runs;
mod stale;
mod watch;

use chrono::TimeDelta;

use super::Engine;
use crate::access::scope;
use crate::catalog::Query;
use crate::catalog::records::{AlertRecord, alert, sum};
use crate::error::{Code, Error, Result};
use crate::ids::{AlertId, AlertKind as AlertIdKind};
use crate::model::{Alert, AlertCount, AlertKind, AlertList, Connection, Page, Severity, Time};
use crate::notify::{Facts, Notice, events};

/// A state that goes on is written down again this often.
const SEEN_AGAIN: TimeDelta = TimeDelta::hours(1);
/// Old alerts that one write removes.
const REMOVED_AT_ONCE: usize = 500;

/// What an alert is to say.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) kind: AlertKind,
    pub(super) severity: Severity,
    pub(super) subject: String,
    pub(super) title: String,
    pub(super) message: String,
    pub(super) facts: Facts,
}

/// What is told when such a state begins, and when it ends. Runs tell of themselves.
fn told(kind: AlertKind) -> (Option<&'static str>, Option<&'static str>) {
    match kind {
        AlertKind::RunFailed | AlertKind::CheckFailed | AlertKind::KitNotTaken => (None, None),
        AlertKind::BackupStale => (Some(events::BACKUP_STALE), None),
        AlertKind::SizeAnomaly => (Some(events::BACKUP_ANOMALY), None),
        AlertKind::DiskFilling => (Some(events::DISK_FILLING), None),
        AlertKind::RepositoryFull => (
            Some(events::REPOSITORY_FULL),
            Some(events::REPOSITORY_RECOVERED),
        ),
        AlertKind::RepositoryUnreachable => (
            Some(events::REPOSITORY_UNREACHABLE),
            Some(events::REPOSITORY_RECOVERED),
        ),
        AlertKind::ConnectionDown => (Some(events::CONNECTION_DOWN), Some(events::CONNECTION_UP)),
    }
}

impl Engine {
    /// Alerts, newest first: those that wait for a person, or all.
    pub async fn alerts(&self, list: &AlertList) -> Result<Page<Alert>> {
        let all = list.include_dismissed.unwrap_or(false);
        let query = Query::page(list.limit, list.cursor.as_deref())?
            .only(alert::KIND, list.kind)
            .only(alert::PROJECT, list.project.as_ref())
            .only(alert::WAITS, (!all).then_some(true));
        let query = within_own_projects(query);
        let slice = self.0.catalog.list::<AlertRecord>(&query)?;
        Ok(slice.page(|record| record.0))
    }

    /// How many wait for a person.
    pub async fn alert_count(&self) -> Result<AlertCount> {
        let catalog = &self.0.catalog;
        if scope::current().projects.is_some() {
            let waiting = Query::newest(usize::MAX).only(alert::WAITS, Some(true));
            let waiting = catalog.list::<AlertRecord>(&within_own_projects(waiting))?;
            let unread = |record: &&AlertRecord| record.0.read_at.is_none();
            return Ok(AlertCount {
                undismissed: waiting.records.len() as u64,
                unread: waiting.records.iter().filter(unread).count() as u64,
            });
        }
        Ok(AlertCount {
            undismissed: catalog.tally::<AlertRecord>(sum::UNDISMISSED)?,
            unread: catalog.tally::<AlertRecord>(sum::UNREAD)?,
        })
    }

    /// Notes that somebody read an alert.
    pub async fn read_alert(&self, key: &str) -> Result<Alert> {
        let now = self.now();
        let read = move |alert: &mut Alert| {
            alert.read_at.get_or_insert(now);
        };
        self.change_alert("alert.read", key, read).await
    }

    /// Puts an alert aside: it waits for nobody any more, and is no news while its state goes on.
    pub async fn dismiss_alert(&self, key: &str) -> Result<Alert> {
        let now = self.now();
        let dismiss = move |alert: &mut Alert| {
            alert.read_at.get_or_insert(now);
            alert.dismissed_at.get_or_insert(now);
        };
        self.change_alert("alert.dismiss", key, dismiss).await
    }

    async fn change_alert(
        &self,
        action: &str,
        key: &str,
        change: impl Fn(&mut Alert) + Send + 'static,
    ) -> Result<Alert> {
        let missing = || {
            Error::new(Code::NotFound, format!("There is no alert \"{key}\""))
                .hint("`backstay alert list --all` shows them")
        };
        let found = self.find::<AlertRecord, AlertIdKind>(key)?;
        let AlertRecord(before) = found.ok_or_else(missing)?;
        let id = before.id;
        let changed = self
            .0
            .catalog
            .write(move |tx| {
                tx.change::<AlertRecord>(id.bits(), |record| {
                    change(&mut record.0);
                    Ok(())
                })
            })
            .await?;
        let AlertRecord(after) = changed.ok_or_else(missing)?;
        if after != before {
            self.audit(action, id, Some(&before), Some(&after)).await?;
            self.publish("alert.changed", id, &after);
        }
        Ok(after)
    }

    /// Opens an alert, or notes that its state was seen again. Answers whether it is new.
    pub(super) async fn raise_alert(&self, draft: Draft) -> Result<bool> {
        let now = self.now();
        let key = AlertRecord::key(draft.kind, &draft.subject);
        if let Some(AlertRecord(known)) = self.0.catalog.by_name(&key)? {
            let news = draft.facts.run_id != known.run_id
                || draft.facts.project != known.project
                || draft.severity != known.severity;
            // One seen by a clock that was wrong is seen again.
            if !news && (now - known.seen_at).abs() < SEEN_AGAIN {
                return Ok(false);
            }
        }
        let proposed = new_alert(&draft, now);
        let (alert, is_new) = self
            .0
            .catalog
            .write(move |tx| {
                let Some(AlertRecord(mut known)) = tx.by_name::<AlertRecord>(&key)? else {
                    let mut record = AlertRecord(proposed.clone());
                    tx.put(&mut record)?;
                    return Ok((record.0, true));
                };
                known.severity = proposed.severity;
                known.title.clone_from(&proposed.title);
                known.message.clone_from(&proposed.message);
                known.run_id = proposed.run_id;
                known.project.clone_from(&proposed.project);
                known.connection.clone_from(&proposed.connection);
                known.job.clone_from(&proposed.job);
                known.seen_at = now;
                known.occurrences += 1;
                tx.put(&mut AlertRecord(known.clone()))?;
                Ok((known, false))
            })
            .await?;
        if !is_new {
            self.publish("alert.changed", alert.id, &alert);
            return Ok(false);
        }
        tracing::warn!(alert = %alert.id, kind = %alert.kind, "{}", alert.title);
        self.publish("alert.raised", alert.id, &alert);
        if let (Some(event), _) = told(alert.kind) {
            self.notify(told_of(&alert, event, draft.facts, now)).await;
        }
        Ok(true)
    }

    /// Closes the alert of a state that is over, if there is one.
    pub(super) async fn close_alert(&self, kind: AlertKind, subject: &str) -> Result<()> {
        let key = AlertRecord::key(kind, subject);
        if self.0.catalog.by_name::<AlertRecord>(&key)?.is_none() {
            return Ok(());
        }
        let now = self.now();
        let closed = self
            .0
            .catalog
            .write(move |tx| {
                let Some(AlertRecord(mut alert)) = tx.by_name::<AlertRecord>(&key)? else {
                    return Ok(None);
                };
                alert.closed_at = Some(now);
                tx.put(&mut AlertRecord(alert.clone()))?;
                Ok(Some(alert))
            })
            .await?;
        let Some(mut alert) = closed else {
            return Ok(());
        };
        self.publish("alert.closed", alert.id, &alert);
        if let (_, Some(event)) = told(alert.kind) {
            let facts = Facts {
                project: alert.project.clone(),
                connection: alert.connection.clone(),
                connection_id: alert.subject.parse().ok(),
                repository: alert.repository.clone(),
                repository_id: alert.subject.parse().ok(),
                ..Facts::default()
            };
            let began = alert.opened_at.format("%Y-%m-%d %H:%M:%S UTC");
            alert.message = format!("It began at {began}: {}", alert.message);
            alert.title = format!("Over: {}", alert.title);
            self.notify(told_of(&alert, event, facts, now)).await;
        }
        Ok(())
    }

    /// Opens or closes the alert of a database server, after somebody tried to get in.
    pub(super) async fn connection_tried(
        &self,
        connection: &Connection,
        problem: Option<&str>,
    ) -> Result<()> {
        let subject = connection.id.to_string();
        let Some(problem) = problem else {
            return self.close_alert(AlertKind::ConnectionDown, &subject).await;
        };
        self.raise_alert(Draft {
            kind: AlertKind::ConnectionDown,
            severity: Severity::Critical,
            title: format!("{} does not let the engine in", connection.name),
            message: problem.to_owned(),
            facts: Facts {
                project: Some(connection.project.clone()),
                environment: Some(connection.environment.clone()),
                connection_id: Some(connection.id),
                connection: Some(connection.name.clone()),
                ..Facts::default()
            },
            subject,
        })
        .await
        .map(|_| ())
    }

    /// Removes alerts that were over before that time. Answers how many.
    pub(super) async fn remove_old_alerts(&self, before: Time) -> Result<u64> {
        let mut removed = 0;
        loop {
            let oldest = Query::oldest(REMOVED_AT_ONCE).only(alert::OPEN, Some(false));
            let found = self.0.catalog.list::<AlertRecord>(&oldest)?.records;
            let over = |alert: &Alert| alert.closed_at.is_some_and(|closed| closed < before);
            let doomed: Vec<u128> = found
                .iter()
                .filter(|record| over(&record.0))
                .map(|record| record.0.id.bits())
                .collect();
            if doomed.is_empty() {
                return Ok(removed);
            }
            removed += doomed.len() as u64;
            self.0
                .catalog
                .write(move |tx| {
                    for id in &doomed {
                        tx.remove::<AlertRecord>(*id)?;
                    }
                    Ok(())
                })
                .await?;
        }
    }
}

/// The list of alerts within the projects the caller is limited to.
fn within_own_projects(alerts: Query) -> Query {
    match &scope::current().projects {
        None => alerts,
        Some(projects) => alerts.any_of(alert::PROJECT, projects),
    }
}

fn new_alert(draft: &Draft, now: Time) -> Alert {
    let facts = &draft.facts;
    Alert {
        id: AlertId::generate(now),
        serial: 0,
        kind: draft.kind,
        severity: draft.severity,
        subject: draft.subject.clone(),
        title: draft.title.clone(),
        message: draft.message.clone(),
        project: facts.project.clone(),
        connection: facts.connection.clone(),
        database: facts.database.clone(),
        job: facts.job.clone(),
        repository: facts.repository.clone(),
        run_id: facts.run_id,
        opened_at: now,
        seen_at: now,
        occurrences: 1,
        closed_at: None,
        read_at: None,
        dismissed_at: None,
    }
}

fn told_of(alert: &Alert, event: &str, facts: Facts, at: Time) -> Notice {
    Notice {
        event: event.to_owned(),
        at,
        subject: Some(alert.subject.clone()),
        title: alert.title.clone(),
        message: alert.message.clone(),
        facts: Facts {
            alert_id: Some(alert.id),
            ..facts
        },
    }
}
