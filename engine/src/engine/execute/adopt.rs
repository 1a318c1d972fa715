//! Backups that were committed although the catalog does not say so.

use super::Engine;
use crate::catalog::records::RunRecord;

#[allow(clippy::unused_async)]
impl Engine {
    pub(in super::super) async fn adopt_committed(&self, _: &[RunRecord]) {}
}
