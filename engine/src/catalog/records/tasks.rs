//! Records of system tasks, and of what they find out.

use serde::{Deserialize, Serialize};

use super::super::record::{Record, Table};
use crate::ids::RunId;
use crate::model::{ConnectionHealth, RepositoryDay, RepositoryStats, TaskId, Time};

/// When a system task runs, and how far its schedule is dealt with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// Which.
    pub task: TaskId,
    /// Its number.
    #[serde(default)]
    pub serial: u64,
    /// Whether it runs by itself.
    pub enabled: bool,
    /// When.
    pub cron: String,
    /// By which clocks.
    pub time_zone: String,
    /// Scheduled times up to here are dealt with.
    pub handled: Time,
    /// Its newest run.
    #[serde(default)]
    pub last_run: Option<RunId>,
}

impl TaskRecord {
    /// Where its record lies. The numbers are in the file: never change one.
    pub fn key(task: TaskId) -> u128 {
        match task {
            TaskId::Prune => 1,
            TaskId::Check => 2,
            TaskId::CatalogExport => 3,
            TaskId::Cleanup => 4,
            TaskId::ConnectionHealth => 5,
            TaskId::Statistics => 6,
        }
    }
}

impl Record for TaskRecord {
    const TABLE: Table = Table::SystemTasks;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        Self::key(self.task)
    }
    fn serial(&self) -> u64 {
        self.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.serial = serial;
    }
}

/// Whether a server answers; its id is the connection's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthRecord {
    /// What may be shown.
    pub health: ConnectionHealth,
    /// Its number.
    pub serial: u64,
}

impl Record for HealthRecord {
    const TABLE: Table = Table::ConnectionHealth;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        self.health.connection_id.bits()
    }
    fn serial(&self) -> u64 {
        self.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.serial = serial;
    }
}

/// What a repository measured; its id is the repository's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeasureRecord {
    /// The figures.
    pub stats: RepositoryStats,
    /// As of when.
    pub at: Time,
    /// Its number.
    pub serial: u64,
    /// What the newest measure of each day said, oldest first.
    #[serde(default)]
    pub days: Vec<RepositoryDay>,
}

/// Days that are remembered of a repository.
const DAYS_KEPT: usize = 400;

impl MeasureRecord {
    /// The first measure, or one that follows `before`.
    pub fn following(before: Option<Self>, stats: RepositoryStats, at: Time) -> Self {
        let mut days = before.map_or_else(Vec::new, |before| before.days);
        let today = RepositoryDay {
            date: at.date_naive(),
            stored_bytes: stats.stored_bytes,
            source_bytes: stats.source_bytes,
            backups: stats.backups,
            free_bytes: stats.free_bytes,
        };
        // By a clock that was wrong some may lie in the future.
        let place = days.partition_point(|day| day.date < today.date);
        match days.get_mut(place).filter(|day| day.date == today.date) {
            Some(known) => *known = today,
            None => days.insert(place, today),
        }
        let over = days.len().saturating_sub(DAYS_KEPT);
        days.drain(..over);
        Self {
            stats,
            at,
            serial: 0,
            days,
        }
    }
}

impl Record for MeasureRecord {
    const TABLE: Table = Table::Measures;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        self.stats.id.bits()
    }
    fn serial(&self) -> u64 {
        self.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.serial = serial;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RepositoryId;

    fn at(text: &str) -> Time {
        chrono::DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    fn stats(stored_bytes: u64) -> RepositoryStats {
        RepositoryStats {
            id: RepositoryId::generate(at("2026-01-01T00:00:00Z")),
            backups: 1,
            source_bytes: 10,
            stored_bytes,
            objects: 1,
            packs: 1,
            pack_bytes: 1,
            trash: 0,
            total_bytes: None,
            free_bytes: None,
        }
    }

    #[test]
    fn of_each_day_the_newest_measure_is_remembered() {
        let mut record = None;
        for (time, bytes) in [
            ("2026-03-01T01:00:00Z", 1),
            ("2026-03-01T23:59:59Z", 2),
            ("2026-03-03T00:00:00Z", 3),
            // The clock was ahead, and was put right.
            ("2026-03-09T00:00:00Z", 4),
            ("2026-03-04T00:00:00Z", 5),
        ] {
            record = Some(MeasureRecord::following(record, stats(bytes), at(time)));
        }
        let days = record.clone().unwrap().days;
        let days: Vec<_> = days
            .iter()
            .map(|day| (day.date.to_string(), day.stored_bytes))
            .collect();
        let expected = [
            ("2026-03-01", 2),
            ("2026-03-03", 3),
            ("2026-03-04", 5),
            ("2026-03-09", 4),
        ];
        assert_eq!(days, expected.map(|(date, bytes)| (date.to_owned(), bytes)));
        let mut time = at("2026-04-01T00:00:00Z");
        for _ in 0..500 {
            record = Some(MeasureRecord::following(record, stats(9), time));
            time += chrono::TimeDelta::days(1);
        }
        let days = record.unwrap().days;
        assert_eq!(days.len(), DAYS_KEPT);
        assert_eq!(
            days.last().unwrap().date,
            (time - chrono::TimeDelta::days(1)).date_naive()
        );
    }
}
