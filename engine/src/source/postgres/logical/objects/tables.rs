//! Tables, foreign tables and what belongs to every relation: owner, comments, privileges,
//! defaults, CHECKs and the facts for copying rows.

mod data;
mod statement;

use super::super::acl::{self, Grants};
use super::super::catalog;
use super::super::draft::{Collected, Draft, Part};
use super::super::object::{Object, ObjectKind};
use super::super::quote::ident;
use super::super::reader::Reader;
use super::relations::{self, Relation, Relations};
use super::{
    columns, constraints, indexes, large_objects, partitions, policies, rules, sequences,
    statistics, triggers, views,
};
use crate::error::Result;

pub(super) use statement::describe;

/// Reads tables and everything that belongs to one, sequences, views and large objects.
pub(super) async fn read(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    let mut relations = relations::read(reader).await?;
    reader.task.check()?;
    columns::read(reader, &mut relations).await?;
    let mut queries = views::queries(reader, &relations).await?;
    for at in 0..relations.list.len() {
        let number = match relations.list[at].kind {
            'S' => 0,
            'v' | 'm' => views::add(reader, out, &relations.list[at], &mut queries)?,
            _ => table(reader, out, &relations, at)?,
        };
        relations.list[at].number = number;
        if number != 0 {
            relations::alias(out, &relations.list[at]);
            parts(reader, out, &mut relations.list[at]);
            assemble(out, &relations, at)?;
        }
    }
    column_privileges(reader, out, &relations).await?;
    sequences::read(reader, out, &mut relations).await?;
    reader.task.check()?;
    partitions::add(reader, out, &relations).await?;
    let indexes = indexes::read(reader, out, &relations).await?;
    constraints::read(reader, out, &relations, &indexes).await?;
    statistics::read(reader, out, &relations).await?;
    reader.task.check()?;
    triggers::read(reader, out, &relations).await?;
    rules::read(reader, out, &relations).await?;
    policies::read(reader, out, &relations).await?;
    views::refreshes(reader, out, &relations).await?;
    large_objects::read(reader, out).await?;
    data::read(reader, out, &relations).await
}

/// An object for a relation, with owner, comments, labels and privileges but no statements.
pub(super) fn object(reader: &Reader<'_>, relation: &Relation) -> Result<Object> {
    let kind = relation.object_kind();
    let row = columns::row_of(relation);
    let name = relation.qualified();
    let mut object = reader.object(
        kind,
        row,
        Some(relation.schema_oid),
        &relation.name,
        Some(relation.owner),
    )?;
    reader.describe(&mut object, relation.parts, kind.sql_name(), &name);
    for column in relation.columns.iter().filter(|c| !c.dropped) {
        let name = format!("{name}.{}", ident(&column.name));
        let sub = i32::try_from(column.number).unwrap_or_default();
        reader.describe_part(&mut object, relation.parts, "COLUMN", &name, row, sub);
    }
    let grants = Grants {
        keyword: if relation.kind == 'S' {
            "SEQUENCE"
        } else {
            "TABLE"
        },
        name: &name,
        acl: relation.acl.as_deref(),
        default: &relation.acl_default,
        ..Grants::default()
    };
    reader.grant(&mut object, relation.parts, grants)?;
    if relation.defined() {
        object.drop = format!("DROP {} IF EXISTS {name}", kind.sql_name());
    }
    Ok(object)
}

/// Adds a relation's object; what is not defined by the backup may still have privileges.
pub(super) fn add(
    reader: &Reader<'_>,
    out: &mut Collected,
    relation: &Relation,
    object: Object,
) -> u32 {
    let draft = Draft::of(object);
    if relation.defined() {
        out.add(draft)
    } else {
        reader.add(out, draft).unwrap_or_default()
    }
}

fn table(
    reader: &Reader<'_>,
    out: &mut Collected,
    relations: &Relations,
    at: usize,
) -> Result<u32> {
    let table = &relations.list[at];
    let mut object = object(reader, table)?;
    if table.defined() {
        if table.kind != 'f' {
            object.tablespace = Some(table.tablespace.clone());
        }
        // That of a partitioned table is only what its partitions get by default; it is not taken
        // from a setting but said afterwards.
        if table.kind == 'r' {
            object.access_method.clone_from(&table.access_method);
        }
        if table.has_oids {
            reader.lost(
                object.kind,
                &table.qualified(),
                "the hidden OIDs of its rows (WITH OIDS) are not saved; servers since 12 have none",
            );
        }
        let named = |c: &&relations::Column| c.not_null.is_some();
        for column in table.columns.iter().filter(named) {
            let Some(not_null) = &column.not_null else {
                continue;
            };
            if let (Some(name), Some(comment)) = (&not_null.name, &not_null.comment) {
                object.attachments.comments.push(format!(
                    "COMMENT ON CONSTRAINT {} ON {} IS {}",
                    ident(name),
                    table.qualified(),
                    super::super::quote::literal(comment)
                ));
            }
        }
    }
    Ok(add(reader, out, table, object))
}

/// Drafts for the defaults and CHECKs of a relation, which normally lie inside its statement.
fn parts(reader: &Reader<'_>, out: &mut Collected, relation: &mut Relation) {
    if !relation.defined() {
        return;
    }
    let owner = relation.number;
    let alter = format!("ALTER {}TABLE", relation.foreign_word());
    let qualified = relation.qualified();
    let role = reader.role(relation.owner);
    for column in &mut relation.columns {
        let Some(default) = &mut column.default else {
            continue;
        };
        let name = format!("{} {}", relation.name, column.name);
        let mut object = Object::new(ObjectKind::Default, Some(&relation.schema), name);
        object.of = Some(owner);
        object.owner = Some(role.clone());
        object.row = (default.oid != 0).then(|| catalog::row(catalog::ATTRDEF, default.oid));
        // A generation expression can stand nowhere but in its table.
        if column.generated == '\0' {
            let of_column = format!("{qualified} ALTER COLUMN {}", ident(&column.name));
            object.create = vec![format!(
                "{alter} ONLY {of_column} SET DEFAULT {}",
                default.text
            )];
            object.drop = format!("{alter} {of_column} DROP DEFAULT");
        }
        let mut draft = Draft::of(object);
        draft.sort_key = vec![format!("{:05}", column.number)];
        if default.separate {
            draft.needs.push(owner);
        } else {
            draft.part = Part::Inside(owner);
        }
        default.number = out.add(draft);
    }
    for check in &mut relation.checks {
        // An invalid constraint must come after the rows that violate it; an inherited one comes
        // with its parent's.
        if !check.valid && !check.local {
            continue;
        }
        let mut object = Object::new(
            ObjectKind::CheckConstraint,
            Some(&relation.schema),
            &check.name,
        );
        let name = ident(&check.name);
        object.of = Some(owner);
        object.owner = Some(role.clone());
        let row = catalog::row(catalog::CONSTRAINT, check.oid);
        object.row = Some(row);
        object.create = vec![format!(
            "{alter} {qualified}\n    ADD CONSTRAINT {name} {}",
            check.definition
        )];
        object.drop = format!("{alter} {qualified} DROP CONSTRAINT IF EXISTS {name}");
        if check.local {
            let keyword = format!("CONSTRAINT {name} ON");
            reader.describe_part(&mut object, relation.parts, &keyword, &qualified, row, 0);
        }
        let mut draft = Draft::of(object);
        draft.sort_key = vec![relation.name.clone()];
        if check.valid {
            draft.part = Part::Inside(owner);
        } else {
            draft.needs.push(owner);
        }
        check.number = out.add(draft);
    }
}

/// Has a table's statement written once it is known which parts stand alone.
fn assemble(out: &mut Collected, relations: &Relations, at: usize) -> Result<()> {
    let table = &relations.list[at];
    if !table.defined() || !matches!(table.kind, 'r' | 'p' | 'f') {
        return Ok(());
    }
    let parents: Vec<String> = table
        .parents
        .iter()
        .filter_map(|oid| relations.get(*oid))
        .map(Relation::qualified)
        .collect();
    let text = describe(table, &parents, None)?;
    if let Some(draft) = out.draft_mut(table.number) {
        draft.assemble = Some(Box::new(move |object, is_separate| {
            object.create = text.write(is_separate);
        }));
    }
    Ok(())
}

/// Privileges on columns, those of system tables included.
async fn column_privileges(
    reader: &Reader<'_>,
    out: &mut Collected,
    relations: &Relations,
) -> Result<()> {
    let query = "SELECT a.attrelid, a.attnum, a.attname, a.attacl, i.initprivs \
         FROM pg_catalog.pg_attribute a \
         LEFT JOIN pg_catalog.pg_init_privs i ON i.classoid = 1259 AND i.objoid = a.attrelid \
           AND i.objsubid = a.attnum \
         WHERE NOT a.attisdropped AND (a.attacl IS NOT NULL OR i.initprivs IS NOT NULL) \
         ORDER BY a.attrelid, a.attnum";
    for row in reader.rows(query).await? {
        let Some(relation) = relations.get(row.oid("attrelid")?) else {
            continue;
        };
        if !relation.parts.privileges {
            continue;
        }
        let column = ident(row.text("attname")?);
        let name = relation.qualified();
        let owner = reader.role(relation.owner);
        let statements = acl::privileges(&Grants {
            keyword: "TABLE",
            name: &name,
            column: Some(&column),
            owner: &owner,
            acl: row.opt("attacl")?,
            default: "{}",
            initial: row.opt("initprivs")?,
            ..Grants::default()
        })
        .map_err(|e| e.context(format!("{name}.{column}")))?;
        if statements.is_empty() {
            continue;
        }
        if let Some(draft) = out.draft_mut(relation.number) {
            draft.object.attachments.privileges.extend(statements);
        } else {
            let mut object = object(reader, relation)?;
            object.attachments.privileges.extend(statements);
            reader.add(out, Draft::of(object));
        }
    }
    Ok(())
}
