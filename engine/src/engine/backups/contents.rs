//! What is inside backups, and how two differ.

use std::collections::{BTreeMap, HashMap};

use super::super::Engine;
use crate::catalog::Query;
use crate::catalog::records::backup as facet;
use crate::error::{Code, Error, Result};
use crate::model::{
    Backup, BackupDiff, BackupObject, Change, ObjectDiff, ObjectList, Page, checked_limit,
    odd_cursor,
};
use crate::pipeline::archive::{Archive, ArchivedTable};
use crate::source::postgres::logical::object::{Object, ObjectKind, ObjectNumber};

/// Differences answered one by one.
const DIFFERENCES: usize = 10_000;

/// What tells objects of one backup apart and finds them in another: kind, schema, the object it
/// belongs to, name.
type Name = (ObjectKind, String, String, String);

impl Engine {
    /// What is inside, in the order a restore makes it.
    pub async fn backup_objects(
        &self,
        spelling: &str,
        list: &ObjectList,
    ) -> Result<Page<BackupObject>> {
        let limit = checked_limit(list.limit)?;
        let start: usize = match list.cursor.as_deref().filter(|cursor| !cursor.is_empty()) {
            None => 0,
            Some(cursor) => cursor.parse().map_err(|_| odd_cursor())?,
        };
        let backup = self.restorable_backup(spelling)?;
        let (_, archive) = self.archive(&backup).await?;
        let tables = by_number(&archive);
        let wanted = |object: &&Object| {
            let kind = list.kind.as_deref().filter(|kind| !kind.is_empty());
            let schema = list.schema.as_deref().filter(|schema| !schema.is_empty());
            kind.is_none_or(|kind| {
                object
                    .kind
                    .sql_name()
                    .eq_ignore_ascii_case(&kind.replace('_', " "))
            }) && schema.is_none_or(|schema| object.schema.as_deref() == Some(schema))
        };
        let mut rest = archive.objects.iter().filter(wanted).skip(start);
        let items: Vec<_> = rest
            .by_ref()
            .take(limit)
            .map(|object| describe(object, tables.get(&object.number).copied()))
            .collect();
        let more = rest.next().is_some();
        Ok(Page {
            next_cursor: more.then(|| (start + items.len()).to_string()),
            items,
        })
    }

    /// How `spelling` differs from the older `against`; the one before it when left out.
    pub async fn diff_backups(&self, spelling: &str, against: Option<&str>) -> Result<BackupDiff> {
        let to = self.restorable_backup(spelling)?;
        let from = match against.filter(|against| !against.is_empty()) {
            Some(against) => self.restorable_backup(against)?,
            None => self.backup_before(&to)?,
        };
        let (old_repository, old) = self.archive(&from).await?;
        let (new_repository, new) = self.archive(&to).await?;
        // Rows are hashed under a key of the repository's.
        let same_hash = old_repository.row_hash_secret() == new_repository.row_hash_secret();
        Ok(compare((&from, &old), (&to, &new), same_hash))
    }

    fn backup_before(&self, backup: &Backup) -> Result<Backup> {
        let query = Query::newest(1)
            .only(facet::CONNECTION, Some(backup.connection_id))
            .only(facet::DATABASE, Some(&backup.database))
            .only(facet::REPOSITORY, Some(backup.repository_id))
            .before(backup.id.bits());
        self.first_restorable(query)?.ok_or_else(|| {
            Error::new(
                Code::BackupNotFound,
                format!(
                    "There is no backup of {}/{} in repository \"{}\" before this one",
                    backup.connection, backup.database, backup.repository
                ),
            )
            .hint("Name the one to compare with: --against BACKUP")
        })
    }
}

fn by_number(archive: &Archive) -> HashMap<ObjectNumber, &ArchivedTable> {
    archive
        .tables
        .iter()
        .map(|table| (table.entry.number, table))
        .collect()
}

fn describe(object: &Object, table: Option<&ArchivedTable>) -> BackupObject {
    let sum = table.map(|table| &table.entry.sum);
    BackupObject {
        kind: object.kind.sql_name().to_owned(),
        schema: object.schema.clone(),
        name: object.name.clone(),
        owner: object.owner.clone(),
        rows: sum.map(|sum| sum.rows),
        data_bytes: sum.map(|sum| sum.data_bytes),
        row_hash: sum.map(|sum| format!("{:032x}", sum.row_hash)),
    }
}

fn named(archive: &Archive) -> BTreeMap<Name, &Object> {
    let numbers = archive.by_number();
    let mut named = BTreeMap::new();
    for object in &archive.objects {
        let owner = object.of.and_then(|number| numbers.get(&number));
        let owner = owner.map(|owner| owner.name.clone()).unwrap_or_default();
        let schema = object.schema.clone().unwrap_or_default();
        named.insert((object.kind, schema, owner, object.name.clone()), object);
    }
    named
}

/// What `to` has changed since `from`. Rows whose hashes cannot be compared are told apart by their number.
fn compare(
    (from, old): (&Backup, &Archive),
    (to, new): (&Backup, &Archive),
    same_hash: bool,
) -> BackupDiff {
    let rows = |table: &&ArchivedTable| {
        let sum = &table.entry.sum;
        (sum.rows, same_hash.then_some(sum.row_hash))
    };
    let (old_named, new_named) = (named(old), named(new));
    let (old_tables, new_tables) = (by_number(old), by_number(new));
    let mut diff = BackupDiff {
        from: from.id,
        to: to.id,
        contents_compared: same_hash,
        unchanged: 0,
        items: Vec::new(),
        truncated: false,
    };
    let mut names: Vec<&Name> = old_named.keys().chain(new_named.keys()).collect();
    names.sort();
    names.dedup();
    for name in names {
        let (before, after) = (old_named.get(name), new_named.get(name));
        let before_rows = before.and_then(|object| old_tables.get(&object.number));
        let after_rows = after.and_then(|object| new_tables.get(&object.number));
        let definition = match (before, after) {
            (Some(before), Some(after)) => !same_definition(before, after),
            _ => true,
        };
        let data = before_rows.map(rows) != after_rows.map(rows);
        let change = match (before, after) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            _ if definition || data => Change::Changed,
            _ => {
                diff.unchanged += 1;
                continue;
            }
        };
        if diff.items.len() == DIFFERENCES {
            diff.truncated = true;
            break;
        }
        diff.items.push(ObjectDiff {
            change,
            kind: name.0.sql_name().to_owned(),
            schema: Some(name.1.clone()).filter(|schema| !schema.is_empty()),
            name: name.3.clone(),
            definition,
            data,
            rows_before: before_rows.map(|table| table.entry.sum.rows),
            rows_after: after_rows.map(|table| table.entry.sum.rows),
        });
    }
    diff
}

fn same_definition(before: &Object, after: &Object) -> bool {
    before.create == after.create
        && before.owner == after.owner
        && before.attachments == after.attachments
        && before.tablespace == after.tablespace
        && before.access_method == after.access_method
}
