//! Lines of a run's log.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Time;
pub use crate::monitor::Level;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// Its number within the run, from 1; give it as `after` to go on.
    pub number: u64,
    /// When.
    pub at: Time,
    /// How much it matters.
    pub level: Level,
    /// The stage the run was in.
    pub stage: Option<String>,
    /// The text.
    pub text: String,
}

/// Which lines to answer.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    /// Only lines after this number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// Lines wanted, 1 to 1000; 200 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}
