//! Whether the database servers answer.

use std::time::Duration;

use futures_util::StreamExt as _;

use super::{Engine, probe};
use crate::catalog::records::{ConnectionRecord, HealthRecord};
use crate::error::{Code, Error, Result};
use crate::model::{ConnectionHealth, HealthStatus, Level};
use crate::monitor::Task;

/// Servers asked at once.
const AT_ONCE: usize = 4;
/// A server that takes longer does not answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// Wait before a server that did not answer is asked once more: one lost packet is no outage.
const AGAIN: Duration = Duration::from_secs(2);

impl Engine {
    /// Whether a server answered when it was last asked.
    pub async fn connection_health(&self, key: &str) -> Result<ConnectionHealth> {
        let id = self.find_connection(key)?.connection.id;
        let found = self.0.catalog.get::<HealthRecord>(id.bits())?;
        Ok(found.map_or_else(
            || ConnectionHealth {
                connection_id: id,
                status: HealthStatus::Unknown,
                since: None,
                checked_at: None,
                latency_ms: None,
                server_version: None,
                message: None,
                code: None,
            },
            |record| record.health,
        ))
    }

    /// Asks all servers; answers how many do not answer.
    pub(super) async fn ask_servers(&self, task: &Task) -> Result<(u64, u64)> {
        let connections = self.0.catalog.all::<ConnectionRecord>()?;
        let all = connections.len() as u64;
        task.monitor.stage("asking servers");
        task.monitor.foresee(Some(all), None);
        let mut asked = futures_util::stream::iter(connections)
            .map(|record| async move {
                let health = self.ask_server(&record).await;
                (record, health)
            })
            .buffer_unordered(AT_ONCE);
        let mut down = 0;
        while let Some((record, health)) = asked.next().await {
            task.monitor.advance(1, 0, 0);
            down += u64::from(health.status == HealthStatus::Down);
            if let Some(message) = &health.message {
                let text = format!("{}: {message}", record.connection.name);
                task.monitor.note(Level::Warning, &text);
            }
            self.found(&record, health).await?;
        }
        Ok((all, down))
    }

    async fn ask_server(&self, record: &ConnectionRecord) -> ConnectionHealth {
        let mut answer = self.ask_once(record).await;
        if answer.is_err() {
            tokio::time::sleep(AGAIN).await;
            answer = self.ask_once(record).await;
        }
        let mut health = ConnectionHealth {
            connection_id: record.connection.id,
            status: HealthStatus::Up,
            since: None,
            checked_at: Some(self.now()),
            latency_ms: None,
            server_version: None,
            message: None,
            code: None,
        };
        match answer {
            Ok(test) => {
                health.latency_ms = test.latency_ms;
                health.server_version = test.server_version;
            }
            Err(error) => {
                health.status = HealthStatus::Down;
                health.message = Some(error.report());
                health.code = Some(error.code().name().to_owned());
            }
        }
        health
    }

    async fn ask_once(&self, record: &ConnectionRecord) -> Result<crate::model::ConnectionTest> {
        let target = self.target(record)?;
        let probing = probe::probe(&target, &self.0.clock);
        match tokio::time::timeout(PATIENCE, probing).await {
            Ok(found) => Ok(found?.test),
            Err(_) => Err(Error::new(
                Code::ConnectionUnreachable,
                format!(
                    "The server did not answer within {} seconds",
                    PATIENCE.as_secs()
                ),
            )),
        }
    }

    /// Writes down how a server is, and tells when that has changed.
    async fn found(&self, record: &ConnectionRecord, mut health: ConnectionHealth) -> Result<()> {
        let id = record.connection.id.bits();
        let before = self
            .0
            .catalog
            .write(move |tx| {
                // It may have been removed meanwhile.
                if tx.get::<ConnectionRecord>(id)?.is_none() {
                    return Ok(None);
                }
                let before = tx.get::<HealthRecord>(id)?;
                let mut next = health.clone();
                let same = before
                    .as_ref()
                    .filter(|before| before.health.status == next.status);
                next.since = same.map_or(next.checked_at, |before| before.health.since);
                if next.server_version.is_none() {
                    let known = before.as_ref().map(|before| &before.health.server_version);
                    next.server_version = known.cloned().flatten();
                }
                let serial = before.as_ref().map_or(0, |before| before.serial);
                tx.put(&mut HealthRecord {
                    health: next.clone(),
                    serial,
                })?;
                Ok(Some((before.map(|before| before.health.status), next)))
            })
            .await?;
        let Some((before, now)) = before else {
            return Ok(());
        };
        health = now;
        let down = health.status == HealthStatus::Down;
        let problem = health.message.as_deref().filter(|_| down);
        self.connection_tried(&record.connection, problem).await?;
        let kind = match (before, health.status) {
            (before, HealthStatus::Down) if before != Some(HealthStatus::Down) => "connection.down",
            (Some(HealthStatus::Down), HealthStatus::Up) => "connection.up",
            _ => return Ok(()),
        };
        let name = &record.connection.name;
        tracing::warn!(connection = name, message = health.message, "{kind}");
        let note = serde_json::json!({"connection": name, "health": health});
        self.publish(kind, health.connection_id, &note);
        Ok(())
    }
}
