//! Reads the relations themselves: one query for all, then the locks that everything after needs.

use super::{Relation, Relations};
use crate::error::Result;
use crate::source::postgres::logical::catalog::{self, FIRST_NORMAL_OID};
use crate::source::postgres::logical::draft::{Collected, TableFacts};
use crate::source::postgres::logical::reader::{Parts, Reader, Row};
use crate::source::postgres::logical::snapshot;

/// Reads all relations of the database and locks the tables that are saved against changes.
pub(in super::super) async fn read(reader: &Reader<'_>) -> Result<Relations> {
    let mut list = Vec::new();
    for row in reader.rows(&query(reader)).await? {
        list.push(relation(reader, &row)?);
    }
    let mut relations = Relations::new(list);
    own_sequences(&mut relations);
    lock(reader, &relations).await?;
    parents(reader, &mut relations).await?;
    locked_facts(reader, &mut relations).await?;
    Ok(relations)
}

/// Functions that look into a relation (`pg_get_partkeydef`) are not asked here: nothing is
/// locked yet.
fn query(reader: &Reader<'_>) -> String {
    format!(
        "SELECT c.oid, c.relname, c.relnamespace, c.relkind, c.relowner, c.relpersistence, \
         c.reltype, t.typarray, c.relispopulated, c.relreplident, c.relrowsecurity, \
         c.relforcerowsecurity, c.relispartition, c.relhasindex, c.relhastriggers, c.relacl, \
         {} AS has_oids, \
         pg_catalog.acldefault(CASE WHEN c.relkind = 'S' THEN 's'::\"char\" ELSE 'r'::\"char\" END, \
           c.relowner) AS acl_default, \
         pg_catalog.array_remove(pg_catalog.array_remove(c.reloptions, 'check_option=local'), \
           'check_option=cascaded') AS options, \
         CASE WHEN 'check_option=local' = ANY (c.reloptions) THEN 'LOCAL' \
           WHEN 'check_option=cascaded' = ANY (c.reloptions) THEN 'CASCADED' END AS check_option, \
         toast.reloptions AS toast_options, toast.relpages AS toast_pages, \
         c.relpages, c.reltuples::pg_catalog.int8 AS tuples, am.amname, s.spcname, \
         d.refobjid AS owning_table, d.refobjsubid AS owning_column, \
         (d.deptype = 'i') IS TRUE AS identity, \
         CASE WHEN c.reloftype <> 0 THEN pg_catalog.format_type(c.reloftype, NULL) END AS of_type, \
         fs.srvname, ft.ftoptions \
         FROM pg_catalog.pg_class c \
         LEFT JOIN pg_catalog.pg_type t ON t.oid = c.reltype \
         LEFT JOIN pg_catalog.pg_depend d ON c.relkind = 'S' AND d.classid = {class} \
           AND d.objid = c.oid AND d.objsubid = 0 AND d.refclassid = {class} \
           AND d.deptype IN ('a', 'i') \
         LEFT JOIN pg_catalog.pg_tablespace s ON s.oid = c.reltablespace \
         LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam \
         LEFT JOIN pg_catalog.pg_class toast ON toast.oid = c.reltoastrelid \
           AND toast.relkind = 't' AND c.relkind <> 'p' \
         LEFT JOIN pg_catalog.pg_foreign_table ft ON ft.ftrelid = c.oid \
         LEFT JOIN pg_catalog.pg_foreign_server fs ON fs.oid = ft.ftserver \
         WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S') AND c.relpersistence <> 't' \
         ORDER BY c.oid",
        reader.if_since(12, "false", "c.relhasoids"),
        class = catalog::CLASS,
    )
}

fn relation(reader: &Reader<'_>, row: &Row) -> Result<Relation> {
    let oid = row.oid("oid")?;
    let schema_oid = row.oid("relnamespace")?;
    let count = |value: i64| u64::try_from(value).unwrap_or_default();
    let pages = count(row.int("relpages")?);
    let owning_table = row.oid("owning_table")?;
    let owning_column = row.opt_int("owning_column")?.unwrap_or_default();
    let mut parts = reader.table_parts(oid, schema_oid);
    if oid < FIRST_NORMAL_OID {
        parts.definition = false;
    }
    Ok(Relation {
        oid,
        row_types: [row.oid("reltype")?, row.oid("typarray")?],
        schema_oid,
        schema: reader.schema(schema_oid)?.to_owned(),
        name: row.string("relname")?,
        kind: row.char("relkind")?,
        owner: row.oid("relowner")?,
        persistence: row.char("relpersistence")?,
        populated: row.bool("relispopulated")?,
        replica_identity: row.char("relreplident")?,
        row_security: row.bool("relrowsecurity")?,
        force_row_security: row.bool("relforcerowsecurity")?,
        options: row.opt_string("options")?,
        toast_options: row.opt_string("toast_options")?,
        check_option: row.opt_string("check_option")?,
        of_type: row.opt_string("of_type")?,
        foreign: match row.opt("srvname")? {
            Some(server) => Some((server.to_owned(), row.opt_string("ftoptions")?)),
            None => None,
        },
        access_method: row.opt_string("amname")?,
        tablespace: row.opt_string("spcname")?.unwrap_or_default(),
        owned_by: (owning_table != 0).then_some((owning_table, owning_column)),
        identity: row.bool("identity")?,
        partition: row.bool("relispartition")?,
        has_index: row.bool("relhasindex")?,
        has_triggers: row.bool("relhastriggers")?,
        has_oids: row.bool("has_oids")?,
        acl: row.opt_string("relacl")?,
        acl_default: row.string("acl_default")?,
        pages: [
            pages,
            pages + count(row.opt_int("toast_pages")?.unwrap_or_default()),
        ],
        // 14 and later say -1 for never analyzed; before, 0 pages say the same.
        tuples: u64::try_from(row.int("tuples")?).ok().filter(|_| pages > 0),
        parts,
        ..Relation::default()
    })
}

/// A sequence that a column owns goes with the column's table.
fn own_sequences(relations: &mut Relations) {
    for at in 0..relations.list.len() {
        let sequence = &relations.list[at];
        let Some((table, _)) = sequence.owned_by else {
            continue;
        };
        let Some(table) = relations.get(table) else {
            continue;
        };
        let of_table = table.parts;
        let parts = if sequence.identity {
            of_table
        } else {
            let own = sequence.parts;
            Parts {
                definition: own.definition || of_table.definition,
                comments: own.comments || of_table.comments,
                privileges: own.privileges || of_table.privileges,
            }
        };
        relations.list[at].parts = parts;
    }
}

/// Keeps others from changing the definitions while the server describes them to us.
async fn lock(reader: &Reader<'_>, relations: &Relations) -> Result<()> {
    let named = |r: &Relation| TableFacts {
        number: 0,
        oid: r.oid,
        schema: r.schema.clone(),
        name: r.name.clone(),
        columns: Vec::new(),
        pages: 0,
        heap_pages: 0,
        rows: None,
        access_method: String::new(),
        filter: String::new(),
        extension: false,
        load_through: None,
        after: Vec::new(),
    };
    let tables = relations
        .list
        .iter()
        .filter(|r| r.defined() && matches!(r.kind, 'r' | 'p'));
    let with_rows = tables
        .clone()
        .filter(|r| r.kind == 'r' && reader.wants_rows(r.oid));
    let with_rows: Vec<TableFacts> = with_rows.map(named).collect();
    let all: Vec<TableFacts> = tables.map(named).collect();
    if all.is_empty() {
        return Ok(());
    }
    let timeout = reader.lock_timeout;
    let locked = snapshot::lock_definitions(reader.sql, &all, &with_rows, timeout);
    reader.task.or_cancelled(locked).await
}

async fn parents(reader: &Reader<'_>, relations: &mut Relations) -> Result<()> {
    let query =
        "SELECT inhrelid, inhparent FROM pg_catalog.pg_inherits ORDER BY inhrelid, inhseqno";
    for row in reader.rows(query).await? {
        let child = relations.place(row.oid("inhrelid")?);
        let parent = row.oid("inhparent")?;
        if let Some(child) = child {
            relations.list[child].parents.push(parent);
        }
    }
    Ok(())
}

/// What only a locked table may be asked for.
async fn locked_facts(reader: &Reader<'_>, relations: &mut Relations) -> Result<()> {
    let query = format!(
        "SELECT src.oid, pg_catalog.pg_get_partkeydef(src.oid) AS key FROM {}",
        relations.source(|r| r.defined() && r.kind == 'p')
    );
    for row in reader.rows(&query).await? {
        if let Some(at) = relations.place(row.oid("oid")?) {
            relations.list[at].partition_key = row.opt_string("key")?;
        }
    }
    Ok(())
}

/// Says which catalog rows are pieces of a relation's object: its row types.
pub(in super::super) fn alias(out: &mut Collected, relation: &Relation) {
    for oid in relation.row_types.into_iter().filter(|&oid| oid != 0) {
        out.also(catalog::row(catalog::TYPE, oid), relation.number);
    }
}
