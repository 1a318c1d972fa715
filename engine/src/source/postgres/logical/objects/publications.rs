//! Publications, their tables and their schemas.

use super::prelude::*;

pub(super) async fn read(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    publications(reader, out).await?;
    tables(reader, out).await?;
    if reader.since(15) {
        schemas(reader, out).await?;
    }
    Ok(())
}

async fn publications(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    let query = format!(
        "SELECT oid, pubname, pubowner, puballtables, pubinsert, pubupdate, pubdelete, \
        {} AS pubtruncate, {} AS pubviaroot, {} AS pubgencols \
        FROM pg_catalog.pg_publication ORDER BY oid",
        reader.if_since(11, "pubtruncate", "false"),
        reader.if_since(13, "pubviaroot", "false"),
        reader.if_since(18, "pubgencols", "'n'"),
    );
    for row in reader.rows(&query).await? {
        let place = catalog::row(catalog::PUBLICATION, row.oid("oid")?);
        let parts = reader.parts_outside(place);
        if !parts.definition {
            continue;
        }
        let name = row.text("pubname")?;
        let owner = Some(row.oid("pubowner")?);
        let mut object = reader.object(ObjectKind::Publication, place, None, name, owner)?;
        let quoted = ident(name);
        let mut published = Vec::new();
        for operation in ["insert", "update", "delete", "truncate"] {
            if row.bool(&format!("pub{operation}"))? {
                published.push(operation);
            }
        }
        let all = if row.bool("puballtables")? {
            " FOR ALL TABLES"
        } else {
            ""
        };
        let mut options = format!("publish = {}", literal(&published.join(", ")));
        if row.bool("pubviaroot")? {
            options.push_str(", publish_via_partition_root = true");
        }
        match row.char("pubgencols")? {
            's' => options.push_str(", publish_generated_columns = stored"),
            'n' => {}
            other => {
                let reason = format!("generated columns published as {other:?} are not known");
                reader.lost(ObjectKind::Publication, name, reason);
            }
        }
        object
            .create
            .push(format!("CREATE PUBLICATION {quoted}{all} WITH ({options})"));
        object.drop = format!("DROP PUBLICATION IF EXISTS {quoted}");
        reader.describe(&mut object, parts, "PUBLICATION", &quoted);
        reader.add(out, Draft::of(object));
    }
    Ok(())
}

async fn tables(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    let (columns, filter) = if reader.since(15) {
        (
            "(SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' \
            ORDER BY k.place) FROM pg_catalog.unnest(r.prattrs) WITH ORDINALITY k (number, place) \
            JOIN pg_catalog.pg_attribute a ON a.attrelid = r.prrelid AND a.attnum = k.number)",
            "pg_catalog.pg_get_expr(r.prqual, r.prrelid)",
        )
    } else {
        ("NULL", "NULL")
    };
    let query = format!(
        "SELECT r.oid, r.prpubid, r.prrelid, p.pubname, c.relname, c.relnamespace, \
        {columns} AS columns, {filter} AS filter FROM pg_catalog.pg_publication_rel r \
        JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid \
        JOIN pg_catalog.pg_class c ON c.oid = r.prrelid ORDER BY r.oid"
    );
    for row in reader.rows(&query).await? {
        let publication = row.oid("prpubid")?;
        let wanted = reader.parts_outside(catalog::row(catalog::PUBLICATION, publication));
        let (relation, schema) = (row.oid("prrelid")?, row.oid("relnamespace")?);
        let there = reader.table_parts(relation, schema).definition
            || reader.is_member(catalog::row(catalog::CLASS, relation));
        if !wanted.definition || !there {
            continue;
        }
        let place = catalog::row(catalog::PUBLICATION_REL, row.oid("oid")?);
        let (name, table) = (row.text("pubname")?, row.text("relname")?);
        let shown = format!("{name} {table}");
        let kind = ObjectKind::PublicationTable;
        let mut object = reader.object(kind, place, Some(schema), &shown, None)?;
        let mut text = format!(
            "ALTER PUBLICATION {} ADD TABLE ONLY {}",
            ident(name),
            qualified(reader.schema(schema)?, table)
        );
        if let Some(columns) = row.opt("columns")? {
            text = format!("{text} ({columns})");
        }
        if let Some(filter) = row.opt("filter")? {
            text = format!("{text} WHERE ({filter})");
        }
        object.create.push(text);
        object.of = out.number_of(catalog::PUBLICATION, publication);
        let mut draft = Draft::of(object);
        draft.needs.extend(draft.object.of);
        reader.add(out, draft);
    }
    Ok(())
}

async fn schemas(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    let query = "SELECT s.oid, s.pnpubid, s.pnnspid, p.pubname \
        FROM pg_catalog.pg_publication_namespace s \
        JOIN pg_catalog.pg_publication p ON p.oid = s.pnpubid ORDER BY s.oid";
    for row in reader.rows(query).await? {
        let publication = row.oid("pnpubid")?;
        let wanted = reader.parts_outside(catalog::row(catalog::PUBLICATION, publication));
        if !wanted.definition {
            continue;
        }
        let place = catalog::row(catalog::PUBLICATION_NAMESPACE, row.oid("oid")?);
        let schema = row.oid("pnnspid")?;
        let (name, in_schema) = (row.text("pubname")?, reader.schema(schema)?);
        let shown = format!("{name} {in_schema}");
        let kind = ObjectKind::PublicationSchema;
        let mut object = reader.object(kind, place, Some(schema), &shown, None)?;
        object.create.push(format!(
            "ALTER PUBLICATION {} ADD TABLES IN SCHEMA {}",
            ident(name),
            ident(in_schema)
        ));
        object.of = out.number_of(catalog::PUBLICATION, publication);
        let mut draft = Draft::of(object);
        draft.needs.extend(draft.object.of);
        draft
            .needs
            .extend(out.number_of(catalog::NAMESPACE, schema));
        reader.add(out, draft);
    }
    Ok(())
}
