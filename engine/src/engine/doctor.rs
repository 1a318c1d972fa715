//! The doctor: looks at everything and says what to do.

use super::{Engine, not_yet};
use crate::error::Result;
use crate::model::DoctorReport;

impl Engine {
    /// Checks catalog, keys, repositories, connections, space and clocks.
    pub async fn doctor(&self) -> Result<DoctorReport> {
        not_yet()
    }
}
