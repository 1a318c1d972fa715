//! Types: base types with the shells that their functions need first, enums, composites, ranges
//! with their multiranges, and types that never got more than a name. Domains are next door.

mod domains;

use std::collections::HashMap;
use std::fmt::Write as _;

use super::prelude::*;

/// The rows that go into one type's statement: the labels of an enum, the fields of a composite.
type Members = HashMap<u32, Vec<Row>>;

pub(super) async fn read(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    let labels = "SELECT enumtypid AS owner, enumlabel FROM pg_catalog.pg_enum \
        ORDER BY enumtypid, enumsortorder";
    let labels = members(reader, labels).await?;
    let fields = format!(
        "SELECT c.reltype AS owner, a.attnum, a.attname, \
        pg_catalog.format_type(a.atttypid, a.atttypmod) AS type, \
        CASE WHEN a.attcollation <> t.typcollation THEN {} END AS collation \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid \
        LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
        WHERE c.relkind = 'c' AND c.oid >= {FIRST_NORMAL_OID} AND NOT a.attisdropped \
        AND a.attnum > 0 ORDER BY c.oid, a.attnum",
        collation_name("a.attcollation")
    );
    let fields = members(reader, &fields).await?;
    for row in reader.rows(&query(reader)).await? {
        let oid = row.oid("oid")?;
        let none = Vec::new();
        match row.char("typtype")? {
            'e' => enumeration(reader, out, &row, labels.get(&oid).unwrap_or(&none))?,
            'c' => composite(reader, out, &row, fields.get(&oid).unwrap_or(&none))?,
            'r' => range(reader, out, &row)?,
            'd' => {}
            'p' if row.bool("typisdefined")? => {}
            'p' => shell(reader, out, &row)?,
            'b' => base(reader, out, &row)?,
            other => {
                let name = row.text("typname")?;
                let reason = format!("types of type {other:?} are not known; use a newer Backstay");
                reader.lost(ObjectKind::Type, name, reason);
            }
        }
    }
    domains::read(reader, out).await
}

async fn members(reader: &Reader<'_>, query: &str) -> Result<Members> {
    let mut members = Members::new();
    for row in reader.rows(query).await? {
        members.entry(row.oid("owner")?).or_default().push(row);
    }
    Ok(members)
}

/// The types that have statements of their own: not the rows of tables, not what PostgreSQL makes
/// along with a type (arrays, multiranges), and of the built-in ones those with changed privileges.
fn query(reader: &Reader<'_>) -> String {
    let subscript = reader.if_since(14, "t.typsubscript", "'-'");
    let multirange = reader.if_since(14, "r.rngmultitypid", "0");
    format!(
        "SELECT t.oid, t.typname, t.typnamespace, t.typowner, t.typacl, \
        pg_catalog.acldefault('T', t.typowner) AS acldefault, t.typtype, t.typisdefined, \
        t.typrelid, t.typarray, t.typlen, t.typinput, t.typoutput, t.typreceive, t.typsend, \
        t.typmodin, t.typmodout, t.typanalyze, {subscript} AS typsubscript, t.typdelim, \
        t.typbyval, t.typalign, t.typstorage, t.typcategory, t.typispreferred, \
        t.typcollation <> 0 AS collatable, t.typdefault, \
        pg_catalog.pg_get_expr(t.typdefaultbin, 0) AS typdefaultbin, \
        CASE WHEN t.typelem <> 0 THEN pg_catalog.format_type(t.typelem, NULL) END AS element, \
        pg_catalog.format_type(r.rngsubtype, NULL) AS subtype, \
        CASE WHEN {multirange} <> 0 THEN pg_catalog.format_type({multirange}, NULL) END \
        AS multirange, {multirange} AS multirange_oid, m.typarray AS multirange_array, \
        CASE WHEN NOT opc.opcdefault THEN pg_catalog.quote_ident(opn.nspname) || '.' || \
        pg_catalog.quote_ident(opc.opcname) END AS opclass, r.rngcanonical, r.rngsubdiff, \
        CASE WHEN r.rngcollation <> s.typcollation THEN {collation} END AS range_collation \
        FROM pg_catalog.pg_type t \
        LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid \
        LEFT JOIN pg_catalog.pg_range r ON r.rngtypid = t.oid \
        LEFT JOIN pg_catalog.pg_type s ON s.oid = r.rngsubtype \
        LEFT JOIN pg_catalog.pg_type m ON m.oid = {multirange} \
        LEFT JOIN pg_catalog.pg_opclass opc ON opc.oid = r.rngsubopc \
        LEFT JOIN pg_catalog.pg_namespace opn ON opn.oid = opc.opcnamespace \
        LEFT JOIN pg_catalog.pg_init_privs i \
        ON i.classoid = 1247 AND i.objoid = t.oid AND i.objsubid = 0 \
        WHERE (t.oid >= {FIRST_NORMAL_OID} OR t.typacl IS DISTINCT FROM i.initprivs) \
        AND (t.typrelid = 0 OR c.relkind = 'c') AND t.typtype <> 'm' \
        AND NOT (t.typelem <> 0 AND EXISTS (SELECT 1 FROM pg_catalog.pg_type e \
        WHERE e.oid = t.typelem AND e.typarray = t.oid)) ORDER BY t.oid",
        collation = collation_name("r.rngcollation"),
    )
}

/// Adds a type with what all types have; `create` may be empty when only privileges matter.
/// Rows of the catalogs that PostgreSQL makes along with the type are remembered as pieces of it.
fn finish(
    reader: &Reader<'_>,
    out: &mut Collected,
    row: &Row,
    keyword: &str,
    write: impl FnOnce(&str, &mut Draft) -> Result<()>,
) -> Result<Option<u32>> {
    let oid = row.oid("oid")?;
    let place = catalog::row(catalog::TYPE, oid);
    let schema = row.oid("typnamespace")?;
    let parts = reader.parts_in(place, schema);
    if parts.is_none() {
        return Ok(None);
    }
    let name = row.text("typname")?;
    let owner = Some(row.oid("typowner")?);
    let object = reader.object(ObjectKind::Type, place, Some(schema), name, owner)?;
    let quoted = qualified(reader.schema(schema)?, name);
    let mut draft = Draft::of(object);
    if parts.definition {
        draft.object.drop = format!("DROP {keyword} IF EXISTS {quoted}");
        write(&quoted, &mut draft)?;
    }
    reader.describe(&mut draft.object, parts, keyword, &quoted);
    let grants = Grants {
        keyword: "TYPE",
        name: &quoted,
        acl: row.opt("typacl")?,
        default: row.text("acldefault")?,
        ..Grants::default()
    };
    reader.grant(&mut draft.object, parts, grants)?;
    let Some(number) = reader.add(out, draft) else {
        return Ok(None);
    };
    if parts.definition {
        let array = row.oid("typarray")?;
        if array != 0 {
            out.also(catalog::row(catalog::TYPE, array), number);
        }
    }
    Ok(Some(number))
}

fn enumeration(r: &Reader<'_>, out: &mut Collected, row: &Row, labels: &[Row]) -> Result<()> {
    finish(r, out, row, "TYPE", |name, draft| {
        let labels: Vec<String> = labels
            .iter()
            .map(|label| Ok(format!("\n    {}", literal(label.text("enumlabel")?))))
            .collect::<Result<_>>()?;
        let create = format!("CREATE TYPE {name} AS ENUM ({}\n)", labels.join(","));
        draft.object.create.push(create);
        Ok(())
    })?;
    Ok(())
}

fn composite(r: &Reader<'_>, out: &mut Collected, row: &Row, fields: &[Row]) -> Result<()> {
    let relation = catalog::row(catalog::CLASS, row.oid("typrelid")?);
    let number = finish(r, out, row, "TYPE", |name, draft| {
        let mut list = Vec::new();
        for field in fields {
            let column = ident(field.text("attname")?);
            let mut text = format!("\n    {column} {}", field.text("type")?);
            if let Some(collation) = field.opt("collation")? {
                let _ = write!(text, " COLLATE {collation}");
            }
            list.push(text);
            let column = format!("{name}.{column}");
            let sub = i32::try_from(field.int("attnum")?).unwrap_or_default();
            r.describe_part(
                &mut draft.object,
                Parts::ALL,
                "COLUMN",
                &column,
                relation,
                sub,
            );
        }
        draft
            .object
            .create
            .push(format!("CREATE TYPE {name} AS ({}\n)", list.join(",")));
        Ok(())
    })?;
    if let Some(number) = number {
        out.also(relation, number);
    }
    Ok(())
}

fn range(r: &Reader<'_>, out: &mut Collected, row: &Row) -> Result<()> {
    let shell = shell_first(r, out, row)?;
    let number = finish(r, out, row, "TYPE", |name, draft| {
        draft.shell = shell;
        let mut options = vec![format!("subtype = {}", row.text("subtype")?)];
        for (option, column) in [
            ("multirange_type_name", "multirange"),
            ("subtype_opclass", "opclass"),
            ("collation", "range_collation"),
            ("canonical", "rngcanonical"),
            ("subtype_diff", "rngsubdiff"),
        ] {
            if let Some(value) = row.opt(column)?.filter(|value| *value != "-") {
                options.push(format!("{option} = {value}"));
            }
        }
        let options = options.join(",\n    ");
        draft
            .object
            .create
            .push(format!("CREATE TYPE {name} AS RANGE (\n    {options}\n)"));
        Ok(())
    })?;
    if let Some(number) = number {
        for column in ["multirange_oid", "multirange_array"] {
            let oid = row.oid(column)?;
            if oid != 0 {
                out.also(catalog::row(catalog::TYPE, oid), number);
            }
        }
    }
    Ok(())
}

fn shell(r: &Reader<'_>, out: &mut Collected, row: &Row) -> Result<()> {
    finish(r, out, row, "TYPE", |name, draft| {
        draft.object.create.push(format!("CREATE TYPE {name}"));
        Ok(())
    })?;
    Ok(())
}

/// The shell that functions can mention while the type itself waits for them.
fn shell_first(r: &Reader<'_>, out: &mut Collected, row: &Row) -> Result<Option<u32>> {
    let schema = row.oid("typnamespace")?;
    let place = catalog::row(catalog::TYPE, row.oid("oid")?);
    if !r.parts_in(place, schema).definition {
        return Ok(None);
    }
    let name = row.text("typname")?;
    let mut object = r.object(ObjectKind::ShellType, place, Some(schema), name, None)?;
    object.row = None;
    object.create.push(format!(
        "CREATE TYPE {}",
        qualified(r.schema(schema)?, name)
    ));
    Ok(Some(out.add(Draft::of(object))))
}

fn base(r: &Reader<'_>, out: &mut Collected, row: &Row) -> Result<()> {
    let shell = shell_first(r, out, row)?;
    finish(r, out, row, "TYPE", |name, draft| {
        draft.shell = shell;
        // The type and its functions need each other: neither can be dropped alone.
        draft.object.drop = format!("DROP TYPE IF EXISTS {name} CASCADE");
        let options = base_options(row)?.join(",\n    ");
        draft
            .object
            .create
            .push(format!("CREATE TYPE {name} (\n    {options}\n)"));
        Ok(())
    })?;
    Ok(())
}

fn base_options(row: &Row) -> Result<Vec<String>> {
    let length = match row.text("typlen")? {
        "-1" => "variable",
        length => length,
    };
    let mut options = vec![format!("INTERNALLENGTH = {length}")];
    for (option, column) in [
        ("INPUT", "typinput"),
        ("OUTPUT", "typoutput"),
        ("RECEIVE", "typreceive"),
        ("SEND", "typsend"),
        ("TYPMOD_IN", "typmodin"),
        ("TYPMOD_OUT", "typmodout"),
        ("ANALYZE", "typanalyze"),
        ("SUBSCRIPT", "typsubscript"),
        ("ELEMENT", "element"),
    ] {
        if let Some(value) = row.opt(column)?.filter(|value| *value != "-") {
            options.push(format!("{option} = {value}"));
        }
    }
    if row.bool("collatable")? {
        options.push("COLLATABLE = true".to_owned());
    }
    match (row.opt("typdefaultbin")?, row.opt("typdefault")?) {
        (Some(expression), _) => options.push(format!("DEFAULT = {expression}")),
        (None, Some(text)) => options.push(format!("DEFAULT = {}", literal(text))),
        (None, None) => {}
    }
    if row.text("typcategory")? != "U" {
        options.push(format!("CATEGORY = {}", literal(row.text("typcategory")?)));
    }
    if row.bool("typispreferred")? {
        options.push("PREFERRED = true".to_owned());
    }
    if row.text("typdelim")? != "," {
        options.push(format!("DELIMITER = {}", literal(row.text("typdelim")?)));
    }
    let alignment = match row.char("typalign")? {
        'c' => "char",
        's' => "int2",
        'i' => "int4",
        _ => "double",
    };
    options.push(format!("ALIGNMENT = {alignment}"));
    let storage = match row.char("typstorage")? {
        'p' => "plain",
        'e' => "external",
        'm' => "main",
        _ => "extended",
    };
    options.push(format!("STORAGE = {storage}"));
    if row.bool("typbyval")? {
        options.push("PASSEDBYVALUE".to_owned());
    }
    Ok(options)
}
