//! The first rows of a table, as a backup holds them.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::ids::BackupId;

/// Which rows to show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct RowsRequest {
    /// The table, `SCHEMA.TABLE`; parts in double quotes may hold dots. One without a schema lies in `public`.
    #[serde(default)]
    pub object: String,
    /// Rows wanted, 1 to 200; 50 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RowColumn {
    /// Its name.
    pub name: String,
    /// Its type as the server writes it, where the backup says it.
    pub r#type: Option<String>,
}

/// A value that is too long to show: its first 4 KiB stand in the row, with `…` behind them. Rows of very many
/// columns show less of each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CutValue {
    /// Number of its row, from 0.
    pub row: u64,
    /// Number of its column, from 0.
    pub column: u64,
    /// Bytes of the whole value.
    pub bytes: u64,
}

/// The first rows of a table, as a backup holds them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupRows {
    /// The backup.
    pub backup_id: BackupId,
    /// The table's schema.
    pub schema: String,
    /// The table.
    pub name: String,
    /// What it is, as the database names it: `TABLE`, `VIEW`.
    pub kind: String,
    /// Its columns, in the order of the values.
    pub columns: Vec<RowColumn>,
    /// Rows, each with one value per column: the text that the server sent, null where it is NULL. Bytes that are
    /// no text are written `\x` and two digits.
    pub rows: Vec<Vec<Option<String>>>,
    /// Rows that the backup holds of it; null where its rows are not in the backup.
    pub total_rows: Option<u64>,
    /// Whether it holds more rows than are shown; an answer holds 1 MiB of values at most.
    pub truncated: bool,
    /// Values of which only the beginning is shown.
    pub cut: Vec<CutValue>,
    /// Generated columns: a backup does not hold them, a restore computes them again.
    pub computed_columns: Vec<String>,
    /// What there is to know besides, in one sentence: why there are no rows, or which are missing.
    pub note: Option<String>,
}
