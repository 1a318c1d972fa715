//! Records of downloads that were promised.

use serde::{Deserialize, Serialize};

use super::super::record::{Facet, Record, Table};
use crate::ids::{ApiKeyId, BackupId, DownloadId, UserId};
use crate::model::{ExportRequest, Time};

/// Facet numbers of downloads.
pub mod download {
    /// SHA-256 of the token.
    pub const HASH: u8 = 0;
}

/// Who promised a download over the network; it lasts no longer than they may make it themselves.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Maker {
    /// A key, with the secret that it had then.
    Key(ApiKeyId, Time),
    /// A user.
    User(UserId),
}

/// A download that was promised and not made yet.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DownloadRecord {
    /// Its id.
    pub id: DownloadId,
    /// Its number.
    pub serial: u64,
    /// SHA-256 of the token, hex.
    pub hash: String,
    /// Of which backup.
    pub backup_id: BackupId,
    /// In which form.
    pub request: ExportRequest,
    /// Who asked for it, as the audit log names them.
    pub made_by: String,
    /// Who that is; nothing for the engine's own user.
    #[serde(default)]
    pub maker: Option<Maker>,
    /// When it was promised.
    pub created_at: Time,
    /// Until when it may begin.
    pub expires_at: Time,
}

impl Record for DownloadRecord {
    const TABLE: Table = Table::Downloads;
    const VERSION: u8 = 1;
    fn id(&self) -> u128 {
        self.id.bits()
    }
    fn serial(&self) -> u64 {
        self.serial
    }
    fn set_serial(&mut self, serial: u64) {
        self.serial = serial;
    }
    fn facets(&self) -> Vec<Facet> {
        vec![(download::HASH, self.hash.clone())]
    }
}
