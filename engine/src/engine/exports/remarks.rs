//! The parts of an export: what the catalog alone knows of backups, a day of one repository each, so that
//! no more is written again than the days on which something has changed.

use std::collections::BTreeMap;

use chrono::{Days, NaiveDate, NaiveTime};
use serde::{Deserialize, Serialize};

use super::Engine;
use crate::catalog::first_id_at;
use crate::catalog::records::{BackupRecord, Remark, remarks_of};
use crate::error::{Error, Result};
use crate::ids::RepositoryId;
use crate::repository::Repository;
use crate::repository::format::records::Verbatim;

/// Backups that are looked at in one go.
const AT_ONCE: usize = 2000;
/// Begins the names of these parts; the day follows.
const PREFIX: &str = "remarks/";

/// What such a part holds.
#[derive(Serialize, Deserialize)]
struct Day {
    remarks: Vec<Remark>,
}

impl Engine {
    /// Writes the catalog into one repository: what has changed, or all of it `anew`.
    pub(super) async fn export_into(
        &self,
        repository: &Repository,
        id: RepositoryId,
        document: &Verbatim,
        anew: bool,
    ) -> Result<()> {
        let place = self.0.due.exported(repository.uid());
        // Whatever goes wrong: what is there is then looked up again.
        let mut place = place.lock().await;
        let mut exported = match place.take().filter(|_| !anew) {
            Some(exported) => exported,
            None => repository.exported(&self.identity()).await?,
        };
        let known = exported.parts();
        let mut parts = BTreeMap::new();
        for (day, mark) in self.remarked_days(id)? {
            let name = format!("{PREFIX}{day}");
            let part = match known.get(&name) {
                Some(part) if part.mark == mark && !anew => part.clone(),
                _ => {
                    let remarks = self
                        .behind(move |engine| engine.remarks_of_day(id, &day))
                        .await?;
                    repository
                        .put_export_part(&exported, &name, mark, remarks)
                        .await?
                }
            };
            parts.insert(name, part);
        }
        repository
            .put_export(&mut exported, document.clone(), parts)
            .await?;
        *place = Some(exported);
        Ok(())
    }

    /// The days on which a repository has backups that there is something to say of, each with a number
    /// that changes when that does.
    fn remarked_days(&self, id: RepositoryId) -> Result<Vec<(String, u64)>> {
        let prefix = remarks_of(id);
        self.0
            .catalog
            .tallies::<BackupRecord>(&prefix, "", "\u{10ffff}")
    }

    fn remarks_of_day(&self, id: RepositoryId, day: &str) -> Result<Verbatim> {
        let date: NaiveDate = day
            .parse()
            .map_err(|error| Error::internal("A day has no date").because(error))?;
        let start = |date: NaiveDate| date.and_time(NaiveTime::MIN).and_utc();
        let end = date
            .checked_add_days(Days::new(1))
            .map_or(u128::MAX, |next| first_id_at(start(next)));
        let (mut remarks, mut from) = (Vec::new(), first_id_at(start(date)));
        loop {
            let page =
                self.0
                    .catalog
                    .between::<BackupRecord>(from, end.saturating_sub(1), AT_ONCE)?;
            let Some(BackupRecord(last)) = page.last() else {
                break;
            };
            from = last.id.bits().saturating_add(1);
            let own = page.iter().filter(|record| record.0.repository_id == id);
            remarks.extend(own.filter_map(|record| Remark::of(&record.0)));
        }
        Ok(Verbatim::of(&Day { remarks })?)
    }
}

/// What a part of an export holds, where it is one of these.
pub(in crate::engine) fn read_part(name: &str, document: &Verbatim) -> Result<Vec<Remark>> {
    if !name.starts_with(PREFIX) {
        return Ok(Vec::new());
    }
    let day: Day = document.read().map_err(|error| {
        Error::invalid("A part of the catalog in the repository cannot be read").because(error)
    })?;
    Ok(day.remarks)
}
