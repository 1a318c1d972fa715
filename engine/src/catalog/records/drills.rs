//! Records of drills and their reports.

use serde::{Deserialize, Serialize};

use super::super::record::{Facet, Owner, Record, Table};
use crate::model::{Drill, DrillReport, Scratch, Time};

/// Facet numbers of drills.
pub mod drill {
    /// Connection id.
    pub const CONNECTION: u8 = 0;
    /// Whether it runs by itself.
    pub const ENABLED: u8 = 1;
}

/// Facet numbers of drills' reports.
pub mod drill_report {
    /// Drill id.
    pub const DRILL: u8 = 0;
    /// Status.
    pub const STATUS: u8 = 1;
    /// Whether a scratch database may be left.
    pub const LEFT: u8 = 2;
}

/// A drill, and how far its schedule is dealt with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillRecord {
    /// What may be shown; names, next and last run in it are filled in when it is answered.
    pub drill: Drill,
    /// Scheduled times up to here are dealt with.
    pub handled: Time,
}

/// What a run of a drill found; its id is the run's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DrillReportRecord(pub DrillReport);

impl Record for DrillRecord {
    const TABLE: Table = Table::Drills;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        self.drill.id.bits()
    }
    fn serial(&self) -> u64 {
        self.drill.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.drill.serial = serial;
    }
    fn name(&self) -> Option<String> {
        Some(self.drill.name.clone())
    }
    fn owner(&self) -> Owner {
        // What its checks ask runs on the one server, and what it brings back comes from the other.
        Owner::Both(self.drill.connection_id, self.drill.scratch_connection_id)
    }
    fn facets(&self) -> Vec<Facet> {
        vec![
            (drill::CONNECTION, self.drill.connection_id.to_string()),
            (drill::ENABLED, self.drill.enabled.to_string()),
        ]
    }
}

impl Record for DrillReportRecord {
    const TABLE: Table = Table::DrillReports;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        self.0.run_id.bits()
    }
    fn serial(&self) -> u64 {
        self.0.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.0.serial = serial;
    }
    fn facets(&self) -> Vec<Facet> {
        let left = self.0.scratch == Scratch::Left;
        vec![
            (drill_report::DRILL, self.0.drill_id.to_string()),
            (drill_report::STATUS, self.0.status.to_string()),
            (drill_report::LEFT, left.to_string()),
        ]
    }
}
