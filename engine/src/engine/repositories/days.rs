//! How large a repository was day by day, as it was measured.

use super::super::Engine;
use crate::catalog::records::MeasureRecord;
use crate::error::Result;
use crate::model::{Page, PageRequest, RepositoryDay, RepositoryDays};

impl Engine {
    /// The days on which a repository was measured, oldest first. Reads what is noted; measures nothing.
    pub async fn repository_trends(
        &self,
        key: &str,
        list: &RepositoryDays,
    ) -> Result<Page<RepositoryDay>> {
        let id = self.find_repository(key)?.repository.id;
        let record = self.0.catalog.get::<MeasureRecord>(id.bits())?;
        let mut days = record.map_or_else(Vec::new, |record| record.days);
        days.retain(|day| {
            list.from.is_none_or(|from| day.date >= from) && list.to.is_none_or(|to| day.date <= to)
        });
        if list.limit.is_none() && list.cursor.is_none() {
            return Ok(Page::whole(days));
        }
        let page = PageRequest {
            limit: list.limit,
            cursor: list.cursor.clone(),
        };
        Page::cut(days, &page, |day| day.date)
    }
}
