//! What is still to follow from runs that have ended.

use serde::{Deserialize, Serialize};

use super::super::record::{Record, Table};
use crate::ids::{BackupId, RunId};

/// What is still to follow from the end of a run: written with the end and removed when all of it is done, so
/// that no crash in between loses a notification, an alert, another try or a proof. Its id is the run's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwedRecord {
    /// The run.
    pub run: RunId,
    /// Its number.
    pub serial: u64,
    /// Backups that the run found damaged, and nobody knew before.
    pub damaged: Vec<BackupId>,
    /// Whether the notifications of it are queued.
    pub told: bool,
}

impl OwedRecord {
    /// Everything.
    pub fn new(run: RunId, damaged: Vec<BackupId>) -> Self {
        Self {
            run,
            serial: 0,
            damaged,
            told: false,
        }
    }
}

impl Record for OwedRecord {
    const TABLE: Table = Table::Owed;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        self.run.bits()
    }
    fn serial(&self) -> u64 {
        self.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.serial = serial;
    }
}
