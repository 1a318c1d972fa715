//! When jobs run by themselves.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::choices::choices;

choices! {
    /// What happens to runs whose time passed while no engine ran.
    CatchUp, "catch-up" {
        /// One run makes up for all of them.
        Once = "once",
        /// They are left out, but for one that is at most five minutes late.
        Skip = "skip",
    }
}

/// A time of the day, on some days, in which nothing starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// When it begins, `HH:MM` in the schedule's zone.
    pub from: String,
    /// When it ends; before `from`, it ends on the next day.
    pub to: String,
    /// The days it begins on, `mon` to `sun`; every day when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<String>,
}
