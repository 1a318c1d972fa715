//! A whole schema, read and put in order: what a backup stores as its objects and what it copies.

use std::time::Duration;

use super::draft::{Collected, TableFacts};
use super::needed;
use super::object::{CatalogRow, Object};
use super::objects;
use super::order::{self, Edge};
use super::reader::Reader;
use super::selection::Selection;
use super::snapshot::LeaderOptions;
use crate::error::Result;
use crate::monitor::{Loss, Task};
use crate::source::postgres::Sql;

/// The objects of a database and the tables whose rows go with them.
#[derive(Debug, Default)]
pub struct Schema {
    /// Every object, in the order in which a restore makes them.
    pub objects: Vec<Object>,
    /// What data to copy, by schema and name.
    pub tables: Vec<TableFacts>,
}

impl Schema {
    /// Reads what `selection` means of the session's database. The session should be in the
    /// transaction whose snapshot the rows are copied from; the tables are locked in it against
    /// changes of their definition. What cannot be saved is reported to the task as lost.
    pub async fn read(sql: &Sql, selection: &Selection, task: &Task) -> Result<Self> {
        let timeout = LeaderOptions::default().lock_timeout;
        Self::read_within(sql, selection, task, timeout).await
    }

    /// As [`Self::read`], waiting no longer than `lock_timeout` for each batch of locks.
    pub async fn read_within(
        sql: &Sql,
        selection: &Selection,
        task: &Task,
        lock_timeout: Duration,
    ) -> Result<Self> {
        let mut reader = Reader::open(sql, selection, task).await?;
        reader.lock_timeout = lock_timeout;
        let mut collected = Collected::default();
        objects::read_all(&reader, &mut collected).await?;
        let edges = edges(&reader).await?;
        task.check()?;
        let ordered = order::sort(collected, &edges)?;
        for reason in ordered.broken_loops {
            task.monitor.lost(Loss {
                object: format!("order of objects in database {}", sql.database()),
                reason,
            });
        }
        let mut objects = ordered.objects;
        if !reader.whole {
            objects = needed::keep(objects, |schema| reader.chooses_schema(schema));
        }
        Ok(Self {
            objects,
            tables: ordered.tables,
        })
    }
}

async fn edges(reader: &Reader<'_>) -> Result<Vec<Edge>> {
    let mut edges = Vec::new();
    for row in reader.rows(order::DEPENDENCIES).await? {
        edges.push(Edge {
            from: CatalogRow {
                class: row.oid("classid")?,
                oid: row.oid("objid")?,
            },
            to: CatalogRow {
                class: row.oid("refclassid")?,
                oid: row.oid("refobjid")?,
            },
        });
    }
    Ok(edges)
}
