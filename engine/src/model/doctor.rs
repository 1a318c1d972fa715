//! The doctor's report: what is well, what is not, what to do.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::choices::choices;

choices! {
    /// How a check came out.
    CheckOutcome, "check outcome" {
        /// All is well.
        Ok = "ok",
        /// Works, but a person should look.
        Warning = "warning",
        /// Does not work.
        Failed = "failed",
    }
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DoctorCheck {
    /// What was looked at: `catalog`, `repository local`, `connection shop`.
    pub name: String,
    /// How it came out.
    pub outcome: CheckOutcome,
    /// What was found.
    pub message: String,
    /// What to do.
    pub advice: Option<String>,
}

/// All checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DoctorReport {
    /// Whether nothing failed.
    pub ok: bool,
    /// In the order they were made.
    pub checks: Vec<DoctorCheck>,
}
