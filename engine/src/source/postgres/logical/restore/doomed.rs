//! What a target loses when chosen relations in it are replaced, and what stands against it.

use super::renaming::Place;
use crate::error::{Error, Result};
use crate::source::postgres::logical::quote::{ident, literal, qualified};
use crate::source::postgres::session::Sql;
use crate::source::postgres::target::Target;

/// What dropping some relations of a database would do to it.
#[derive(Clone, Debug, Default)]
pub struct Doomed {
    /// Relations that go: kind as in `DROP`, and place.
    pub relations: Vec<(String, Place)>,
    /// What stays and needs one of them, as the server describes it, and which.
    pub needed_by: Vec<(String, String)>,
}

/// Finds what goes along with the relations at `places`, partitions and sequences, and what would not
/// let them go: foreign keys, views, functions, defaults of others.
pub async fn find(target: &Target, database: &str, places: &[Place]) -> Result<Doomed> {
    if places.is_empty() {
        return Ok(Doomed::default());
    }
    let sql = target.sql(database).await?;
    let doomed = recursion(places);
    let mut found = Doomed::default();
    let relations = format!(
        "{doomed} SELECT DISTINCT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' \
           WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END AS kind, \
           n.nspname, c.relname \
         FROM doomed d JOIN pg_catalog.pg_class c ON c.oid = d.objid \
           AND d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') OR c.relkind = 'S' AND NOT EXISTS (\
           SELECT FROM pg_catalog.pg_depend i WHERE i.classid = d.classid AND i.objid = d.objid \
           AND i.deptype = 'i') \
         ORDER BY 2, 3"
    );
    for row in sql.rows(&relations).await? {
        let place = (row.string("nspname")?, row.string("relname")?);
        found.relations.push((row.string("kind")?, place));
    }
    // A view needs a table through its rule: the view is what people know. Of a foreign key's copies
    // for partitions the one on the whole table is.
    let needed_by = format!(
        "{doomed} SELECT CASE WHEN r.oid IS NULL \
           THEN pg_catalog.pg_describe_object(n.classid, n.objid, n.objsubid) \
           ELSE pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, r.ev_class, 0) \
           END AS what, pg_catalog.min(d.root::pg_catalog.regclass::pg_catalog.text) AS needs \
         FROM doomed d JOIN pg_catalog.pg_depend n ON n.refclassid = d.classid AND n.refobjid = d.objid \
         LEFT JOIN pg_catalog.pg_rewrite r ON r.oid = n.objid \
           AND n.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass \
         WHERE n.deptype = 'n' AND NOT EXISTS (\
           SELECT FROM doomed o WHERE o.classid = n.classid AND o.objid = n.objid) \
         AND NOT EXISTS (\
           SELECT FROM pg_catalog.pg_depend p WHERE p.classid = n.classid AND p.objid = n.objid \
           AND (p.deptype IN ('P', 'I') OR p.deptype = 'i' \
             AND p.refclassid = 'pg_catalog.pg_constraint'::pg_catalog.regclass)) \
         GROUP BY 1 ORDER BY 1"
    );
    for row in sql.rows(&needed_by).await? {
        let pair = (row.string("what")?, row.string("needs")?);
        found.needed_by.push(pair);
    }
    Ok(found)
}

/// `WITH doomed(classid, objid, root)`: the relations and all that the server drops along with them.
fn recursion(places: &[Place]) -> String {
    let values: Vec<String> = places
        .iter()
        .map(|(schema, name)| format!("({}, {})", literal(schema), literal(name)))
        .collect();
    format!(
        "WITH RECURSIVE doomed(classid, objid, root) AS (\
           SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, c.oid, c.oid \
           FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
           JOIN (VALUES {}) AS v(space, name) ON v.space = n.nspname AND v.name = c.relname \
           WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') \
         UNION \
           SELECT n.classid, n.objid, d.root FROM doomed d JOIN pg_catalog.pg_depend n \
           ON n.refclassid = d.classid AND n.refobjid = d.objid \
           WHERE n.deptype IN ('a', 'i', 'I', 'P', 'S') AND n.objsubid = 0)",
        values.join(", ")
    )
}

/// Drops relations, the statements in that order, all of them or none.
pub async fn drop_all(sql: &Sql, places: &[Place], statements: &[&str]) -> Result<()> {
    sql.run("BEGIN").await?;
    let dropped = async {
        for statement in foreign_keys(sql, places).await? {
            sql.run(&statement).await?;
        }
        for statement in statements {
            sql.run(statement)
                .await
                .map_err(|error| error.context(statement))?;
        }
        sql.run("COMMIT").await.map(drop)
    };
    match dropped.await {
        Ok(()) => Ok(()),
        Err(error) => {
            // The first error is the one to report; where the session is gone, so is the transaction.
            let _ = sql.run("ROLLBACK").await;
            Err(untouched(error))
        }
    }
}

fn untouched(error: Error) -> Error {
    error.context("What is to be replaced cannot be dropped, so everything stays as it is")
}

/// Statements that drop the foreign keys among the relations: they would keep each other.
async fn foreign_keys(sql: &Sql, places: &[Place]) -> Result<Vec<String>> {
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let query = format!(
        "{} SELECT n.nspname, r.relname, c.conname FROM pg_catalog.pg_constraint c \
         JOIN pg_catalog.pg_class r ON r.oid = c.conrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace \
         WHERE c.contype = 'f' AND c.conrelid <> c.confrelid AND c.conislocal \
           AND c.conrelid IN (SELECT objid FROM doomed WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass) \
           AND c.confrelid IN (SELECT objid FROM doomed WHERE classid = 'pg_catalog.pg_class'::pg_catalog.regclass)",
        recursion(places)
    );
    let mut statements = Vec::new();
    for row in sql.rows(&query).await? {
        statements.push(format!(
            "ALTER TABLE {} DROP CONSTRAINT IF EXISTS {}",
            qualified(row.text("nspname")?, row.text("relname")?),
            ident(row.text("conname")?)
        ));
    }
    Ok(statements)
}
