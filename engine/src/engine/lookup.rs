//! Finding the record a caller means: by id in either spelling, by a unique prefix of one, by name.

use super::Engine;
use crate::access::scope;
use crate::catalog::Record;
use crate::catalog::records::{
    BackupRecord, ConnectionRecord, DatabaseRecord, RepositoryRecord, RestoreRecord, RunRecord,
};
use crate::error::{Code, Error, Result};
use crate::ids::{
    BackupKind, ConnectionKind, DatabaseKind, Id, JobId, Kind, RepositoryKind, RestoreKind, RunKind,
};
use crate::model::{Connection, Repository, Target};

/// Where a request's references are looked up: in the catalog, or in a document that is being taken in.
pub(super) trait References {
    fn the_connection(&self, key: &str) -> Result<Connection>;
    fn the_repository(&self, key: &str) -> Result<Repository>;
    fn the_target(&self, key: &str) -> Result<Target>;
    fn the_job(&self, key: &str) -> Result<JobId>;
}

impl References for Engine {
    fn the_connection(&self, key: &str) -> Result<Connection> {
        Ok(self.find_connection(key)?.connection)
    }
    fn the_repository(&self, key: &str) -> Result<Repository> {
        Ok(self.find_repository(key)?.repository)
    }
    fn the_target(&self, key: &str) -> Result<Target> {
        Ok(self.find_target(key)?.target)
    }
    fn the_job(&self, key: &str) -> Result<JobId> {
        Ok(self.find_job(key)?.job.id)
    }
}

/// Records that a prefix may fit, looked at for a caller who sees some of them only.
const LOOKED_AT: usize = 200;
/// Prefixes shorter than this are taken for names.
const LEAST_PREFIX: usize = 4;

impl Engine {
    pub(super) fn find_connection(&self, key: &str) -> Result<ConnectionRecord> {
        let found = self.find::<ConnectionRecord, ConnectionKind>(key)?;
        found.ok_or_else(|| {
            Error::new(
                Code::ConnectionNotFound,
                format!("There is no connection \"{key}\""),
            )
            .hint("`backstay connection list` shows them")
        })
    }

    pub(super) fn find_repository(&self, key: &str) -> Result<RepositoryRecord> {
        let found = self.find::<RepositoryRecord, RepositoryKind>(key)?;
        found.ok_or_else(|| {
            Error::new(
                Code::RepositoryNotFound,
                format!("There is no repository \"{key}\""),
            )
            .hint("`backstay repository list` shows them")
        })
    }

    /// The repository of that name, or the default one.
    pub(super) fn chosen_repository(&self, key: Option<&str>) -> Result<RepositoryRecord> {
        if let Some(key) = key.filter(|key| !key.is_empty()) {
            return self.find_repository(key);
        }
        let all = self.0.catalog.all::<RepositoryRecord>()?;
        all.into_iter()
            .find(|record| record.repository.is_default)
            .ok_or_else(|| {
                Error::new(Code::RepositoryNotFound, "There is no default repository").hint(
                    "Add one with `backstay repository add`, or choose one with `repository set-default`",
                )
            })
    }

    pub(super) fn find_database(&self, key: &str) -> Result<DatabaseRecord> {
        let found = self.find::<DatabaseRecord, DatabaseKind>(key)?;
        found.ok_or_else(|| {
            Error::new(
                Code::DatabaseNotFound,
                format!("There is no database \"{key}\""),
            )
            .hint("`backstay connection databases CONNECTION` shows them")
        })
    }

    pub(super) fn find_run(&self, key: &str) -> Result<RunRecord> {
        let found = self.find::<RunRecord, RunKind>(key)?;
        found.ok_or_else(|| crate::runs::not_found(key))
    }

    pub(super) fn find_restore(&self, key: &str) -> Result<RestoreRecord> {
        let found = self.find::<RestoreRecord, RestoreKind>(key)?;
        found.ok_or_else(|| {
            Error::new(
                Code::RestoreNotFound,
                format!("There is no restore \"{key}\""),
            )
            .hint("`backstay restore list` shows them")
        })
    }

    pub(super) fn find_backup_by_id(&self, key: &str) -> Result<Option<BackupRecord>> {
        self.find::<BackupRecord, BackupKind>(key)
    }

    /// The record a key means, if the caller may know of it.
    pub(super) fn find<R: Record, K: Kind>(&self, key: &str) -> Result<Option<R>> {
        let catalog = &self.0.catalog;
        let named = match key.parse::<Id<K>>() {
            Ok(id) => catalog.get::<R>(id.bits())?,
            Err(_) => catalog.by_name(key)?,
        };
        if let Some(found) = named {
            return Ok(self.may_see(&found.owner())?.then_some(found));
        }
        let Some((low, high)) = prefix_range::<K>(key) else {
            return Ok(None);
        };
        let all = scope::current().projects.is_none();
        let most = if all { 2 } else { LOOKED_AT };
        let mut found = Vec::new();
        let fitting = catalog.between::<R>(low, high, most)?;
        let cut = !all && fitting.len() == most;
        for record in fitting {
            if self.may_see(&record.owner())? {
                found.push(record);
            }
        }
        if found.len() > 1 || cut {
            return Err(
                Error::invalid(format!("\"{key}\" fits more than one {}", K::NOUN))
                    .hint("Write more of its id"),
            );
        }
        Ok(found.pop())
    }
}

/// The lowest and highest id that begin like `key`, when it looks like the beginning of one.
fn prefix_range<K: Kind>(key: &str) -> Option<(u128, u128)> {
    let body = match key.split_once('_') {
        Some((prefix, body)) if prefix == K::PREFIX => body,
        Some(_) => return None,
        None => key,
    };
    if body.len() < LEAST_PREFIX || body.len() > 26 || !body.is_ascii() {
        return None;
    }
    let bound = |fill: &str| {
        let filled = format!("{body}{}", fill.repeat(26 - body.len()));
        filled.parse::<Id<K>>().ok().map(Id::bits)
    };
    Some((bound("0")?, bound("Z")?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::RunId;

    #[test]
    fn a_prefix_covers_the_ids_that_begin_with_it() {
        let id: RunId = "run_01K5ABCDEFGHJKMNPQRSTVWXYZ".parse().unwrap();
        for prefix in [
            "run_01K5",
            "01K5ABCD",
            "01k5abcd",
            "run_01K5ABCDEFGHJKMNPQRSTVWXYZ",
        ] {
            let (low, high) = prefix_range::<RunKind>(prefix).unwrap();
            assert!((low..=high).contains(&id.bits()), "{prefix}");
        }
        let (low, high) = prefix_range::<RunKind>("run_01K6").unwrap();
        assert!(!(low..=high).contains(&id.bits()));
        for other in ["01K", "bck_01K5", "01K5!", "shop-orders"] {
            assert!(prefix_range::<RunKind>(other).is_none(), "{other}");
        }
    }
}
