//! The one record of settings.

use serde::{Deserialize, Serialize};

use super::super::record::{Record, Table};
use crate::model::Settings;

/// Where the one record lies.
pub const SETTINGS: u128 = 1;

/// The settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SettingsRecord(pub Settings);

impl Record for SettingsRecord {
    const TABLE: Table = Table::Settings;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        SETTINGS
    }
    fn serial(&self) -> u64 {
        1
    }
    fn set_serial(&mut self, _: u64) {}
}
