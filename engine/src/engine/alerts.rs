//! Alerts: opened by what goes wrong, closed when it is over, read and dismissed by people.
//!
//! Of one state there is one open alert. Seeing it again says nothing to anybody, whether or not it was
//! read or dismissed; only once it was over can it be news.

mod runs;
mod stale;
mod watch;

use chrono::TimeDelta;

use super::Engine;
use super::notifications::queued;
use crate::access::scope;
use crate::catalog::records::{AlertRecord, alert, sum};
use crate::catalog::{Query, Tx};
use crate::error::{Code, Error, Result};
use crate::ids::{AlertId, AlertKind as AlertIdKind};
use crate::model::{
    Alert, AlertCount, AlertKind, AlertList, Connection, Delivery, Page, Severity, Time,
};
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
        AlertKind::TargetSilent => (Some(events::NOTIFICATION_SILENT), None),
        AlertKind::RetentionRefused => (Some(events::JOB_RETENTION_REFUSED), None),
        AlertKind::CatalogFailed => (Some(events::CATALOG_RECOVERED), None),
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
            Error::new(Code::AlertNotFound, format!("There is no alert \"{key}\""))
                .hint("`backstay alert list --all` shows them")
        };
        let found = self.find::<AlertRecord, AlertIdKind>(key)?;
        let AlertRecord(before) = found.ok_or_else(missing)?;
        let (id, action) = (before.id, action.to_owned());
        let changed = self.audited(move |tx, scribe| {
            let Some(AlertRecord(before)) = tx.get(id.bits())? else {
                return Ok(None);
            };
            let mut after = before.clone();
            change(&mut after);
            let is_other = after != before;
            if is_other {
                tx.put(&mut AlertRecord(after.clone()))?;
                scribe.note(tx, &action, id, Some(&before), Some(&after))?;
            }
            Ok(Some((after, is_other)))
        });
        let (after, is_other) = changed.await?.ok_or_else(missing)?;
        if is_other {
            self.publish("alert.changed", id, &after);
        }
        Ok(after)
    }

    /// Opens an alert, or notes that its state was seen again. Answers whether it is new.
    pub(super) async fn raise_alert(&self, draft: Draft) -> Result<bool> {
        self.raise_alert_with(draft, None).await
    }

    /// As [`Self::raise_alert`]; what else is told of a new one goes out with it.
    pub(super) async fn raise_alert_with(
        &self,
        draft: Draft,
        also: Option<Notice>,
    ) -> Result<bool> {
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
        let event = told(draft.kind).0;
        let notice = event.map(|event| told_of(&proposed, event, draft.facts, now));
        let notices: Vec<Notice> = notice.into_iter().chain(also).collect();
        let written = self
            .0
            .catalog
            .write(move |tx| raised(tx, &proposed, &notices));
        let (alert, news) = written.await?;
        let Some(queued) = news else {
            self.publish("alert.changed", alert.id, &alert);
            return Ok(false);
        };
        tracing::warn!(alert = %alert.id, kind = %alert.kind, "{}", alert.title);
        self.publish("alert.raised", alert.id, &alert);
        self.take_up(queued).await;
        Ok(true)
    }

    /// Closes the alert of a state that is over, if there is one.
    pub(super) async fn close_alert(&self, kind: AlertKind, subject: &str) -> Result<()> {
        let key = AlertRecord::key(kind, subject);
        if self.0.catalog.by_name::<AlertRecord>(&key)?.is_none() {
            return Ok(());
        }
        let now = self.now();
        let closed = self.0.catalog.write(move |tx| {
            let Some(AlertRecord(mut alert)) = tx.by_name::<AlertRecord>(&key)? else {
                return Ok(None);
            };
            alert.closed_at = Some(now);
            tx.put(&mut AlertRecord(alert.clone()))?;
            let queued = match told(alert.kind).1 {
                Some(event) => queued(tx, &told_over(&alert, event, now), now)?,
                None => Vec::new(),
            };
            Ok(Some((alert, queued)))
        });
        if let Some((alert, queued)) = closed.await? {
            self.publish("alert.closed", alert.id, &alert);
            self.take_up(queued).await;
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
pub(super) fn within_own_projects(alerts: Query) -> Query {
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

/// The alert as it is now and, where it is new, what was queued of it in the same write.
fn raised(
    tx: &Tx<'_>,
    proposed: &Alert,
    notices: &[Notice],
) -> Result<(Alert, Option<Vec<Delivery>>)> {
    let (key, now) = (
        AlertRecord::key(proposed.kind, &proposed.subject),
        proposed.seen_at,
    );
    let Some(AlertRecord(mut known)) = tx.by_name::<AlertRecord>(&key)? else {
        let mut record = AlertRecord(proposed.clone());
        tx.put(&mut record)?;
        let mut all = Vec::new();
        for notice in notices {
            all.extend(queued(tx, notice, now)?);
        }
        return Ok((record.0, Some(all)));
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
    Ok((known, None))
}

/// What is told when the state of an alert is over.
fn told_over(alert: &Alert, event: &str, at: Time) -> Notice {
    let facts = Facts {
        project: alert.project.clone(),
        connection: alert.connection.clone(),
        connection_id: alert.subject.parse().ok(),
        repository: alert.repository.clone(),
        repository_id: alert.subject.parse().ok(),
        ..Facts::default()
    };
    let mut over = alert.clone();
    let began = alert.opened_at.format("%Y-%m-%d %H:%M:%S UTC");
    over.message = format!("It began at {began}: {}", alert.message);
    over.title = format!("Over: {}", alert.title);
    told_of(&over, event, facts, at)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::catalog::records::DeliveryRecord;
    use crate::clock::SystemClock;
    use crate::config::Config;

    #[tokio::test]
    async fn an_alert_and_what_is_told_of_it_are_one_write() {
        let home = tempfile::tempdir().unwrap();
        let config = Config::in_home(home.path());
        let engine = Engine::open(config, Arc::new(SystemClock)).await.unwrap();
        let hook = r#"{"name":"hook","kind":"webhook","url":"http://127.0.0.1:1/"}"#;
        let hook = serde_json::from_str(hook).unwrap();
        engine.add_target(hook).await.unwrap();
        let draft = Draft {
            kind: AlertKind::DiskFilling,
            severity: Severity::Critical,
            subject: "here".to_owned(),
            title: "t".to_owned(),
            message: "m".to_owned(),
            facts: Facts::default(),
        };
        let now = engine.now();
        let alert = new_alert(&draft, now);
        let notices = [told_of(&alert, events::DISK_FILLING, draft.facts, now)];
        let catalog = &engine.0.catalog;
        let there = || {
            let alert = catalog.get::<AlertRecord>(alert.id.bits()).unwrap();
            let told = Query::newest(10).only(
                crate::catalog::records::delivery::EVENT,
                Some(events::DISK_FILLING),
            );
            let told = catalog.list::<DeliveryRecord>(&told).unwrap().records;
            (alert.is_some(), told.len())
        };
        for fails in [true, false] {
            let (alert, notices) = (alert.clone(), notices.clone());
            let written = catalog.write(move |tx| {
                raised(tx, &alert, &notices)?;
                if fails {
                    return Err(Error::invalid("As asked"));
                }
                Ok(())
            });
            assert_eq!(written.await.is_err(), fails);
            assert_eq!(there(), if fails { (false, 0) } else { (true, 1) });
        }
        engine.stop(&crate::model::StopRequest { now: true });
        engine.stopped().await;
    }
}
