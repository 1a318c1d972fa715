//! Operators, operator families and operator classes.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::prelude::*;

pub(super) async fn read(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    operators(reader, out).await?;
    let members = members(reader).await?;
    families(reader, out, &members).await?;
    classes(reader, out, &members).await
}

async fn operators(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    let other = |oid: &str| {
        format!(
            "(SELECT pg_catalog.format('OPERATOR(%I.%s)', n.nspname, x.oprname) \
            FROM pg_catalog.pg_operator x JOIN pg_catalog.pg_namespace n \
            ON n.oid = x.oprnamespace WHERE x.oid = {oid})"
        )
    };
    // An operator without function was only ever mentioned by another as its commutator.
    let query = format!(
        "SELECT o.oid, o.oprname, o.oprnamespace, o.oprowner, \
        o.oprcode, o.oprrest, o.oprjoin, o.oprcanmerge, o.oprcanhash, \
        CASE WHEN o.oprleft <> 0 THEN pg_catalog.format_type(o.oprleft, NULL) END AS lefttype, \
        CASE WHEN o.oprright <> 0 THEN pg_catalog.format_type(o.oprright, NULL) END AS righttype, \
        {} AS commutator, {} AS negator FROM pg_catalog.pg_operator o \
        WHERE o.oid >= {FIRST_NORMAL_OID} AND o.oprcode <> 0 ORDER BY o.oid",
        other("o.oprcom"),
        other("o.oprnegate")
    );
    for row in reader.rows(&query).await? {
        operator(reader, out, &row)?;
    }
    Ok(())
}

fn operator(reader: &Reader<'_>, out: &mut Collected, row: &Row) -> Result<()> {
    let place = catalog::row(catalog::OPERATOR, row.oid("oid")?);
    let schema = row.oid("oprnamespace")?;
    let parts = reader.parts_in(place, schema);
    if !parts.definition {
        return Ok(());
    }
    let name = row.text("oprname")?;
    let (left, right) = (row.opt("lefttype")?, row.opt("righttype")?);
    let arguments = format!("({}, {})", left.unwrap_or("NONE"), right.unwrap_or("NONE"));
    let owner = Some(row.oid("oprowner")?);
    let shown = format!("{name}{arguments}");
    let mut object = reader.object(ObjectKind::Operator, place, Some(schema), &shown, owner)?;
    let full = format!("{}.{name}", ident(reader.schema(schema)?));
    let mut options = Vec::new();
    for (option, value) in [
        ("FUNCTION", row.opt("oprcode")?),
        ("LEFTARG", left),
        ("RIGHTARG", right),
        ("COMMUTATOR", row.opt("commutator")?),
        ("NEGATOR", row.opt("negator")?),
        ("RESTRICT", row.opt("oprrest")?),
        ("JOIN", row.opt("oprjoin")?),
    ] {
        if let Some(value) = value.filter(|value| *value != "-") {
            // Before 11 the word was PROCEDURE; newer servers take both.
            let option = if option == "FUNCTION" && !reader.since(11) {
                "PROCEDURE"
            } else {
                option
            };
            options.push(format!("{option} = {value}"));
        }
    }
    for (column, word) in [("oprcanmerge", "MERGES"), ("oprcanhash", "HASHES")] {
        if row.bool(column)? {
            options.push(word.to_owned());
        }
    }
    let options = options.join(",\n    ");
    object
        .create
        .push(format!("CREATE OPERATOR {full} (\n    {options}\n)"));
    let identity = format!("{full} {arguments}");
    object.drop = format!("DROP OPERATOR IF EXISTS {identity}");
    reader.describe(&mut object, parts, "OPERATOR", &identity);
    reader.add(out, Draft::of(object));
    Ok(())
}

/// What a class (first number `pg_opclass`) or, loosely, a family holds: `OPERATOR …`, `FUNCTION …`.
type Members = HashMap<(u32, u32), Vec<String>>;

/// SQL that is true where a member of what `d` refers to is a user's. Extensions bring what they
/// added themselves: to their own families, to which users may have added what is theirs, and to
/// built-in ones. `class` and `oid` say which operator or function it is.
fn users_own(class: u32, oid: &str) -> String {
    let of_extension = |class: &str, oid: &str| {
        format!(
            "EXISTS (SELECT 1 FROM pg_catalog.pg_depend e WHERE e.classid = {class} \
            AND e.objid = {oid} AND e.deptype = 'e')"
        )
    };
    format!(
        "(d.refclassid = {} \
        OR (d.refobjid >= {FIRST_NORMAL_OID} AND NOT {family}) \
        OR ((d.refobjid < {FIRST_NORMAL_OID} OR {oid} >= {FIRST_NORMAL_OID}) AND NOT {member}))",
        catalog::OPERATOR_CLASS,
        family = of_extension("d.refclassid", "d.refobjid"),
        member = of_extension(&class.to_string(), oid),
    )
}

async fn members(reader: &Reader<'_>) -> Result<Members> {
    let mut members = Members::new();
    let query = format!(
        "SELECT DISTINCT d.refclassid, d.refobjid, o.amopstrategy, \
        o.amopopr::pg_catalog.regoperator AS operator, f.opfname, n.nspname, o.oid \
        FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_amop o ON o.oid = d.objid \
        LEFT JOIN pg_catalog.pg_opclass c ON d.refclassid = 2616 AND c.oid = d.refobjid \
        LEFT JOIN pg_catalog.pg_opfamily f ON f.oid = o.amopsortfamily \
        LEFT JOIN pg_catalog.pg_namespace n ON n.oid = f.opfnamespace \
        WHERE d.classid = 2602 AND d.objid >= {FIRST_NORMAL_OID} \
        AND d.refclassid IN (2616, 2753) AND o.amopfamily = coalesce(c.opcfamily, d.refobjid) \
        AND {} ORDER BY 1, 2, 3, o.oid",
        users_own(catalog::OPERATOR, "o.amopopr")
    );
    for row in reader.rows(&query).await? {
        let mut text = format!(
            "OPERATOR {} {}",
            row.text("amopstrategy")?,
            row.text("operator")?
        );
        if let Some(family) = row.opt("opfname")? {
            let _ = write!(
                text,
                " FOR ORDER BY {}",
                qualified(row.text("nspname")?, family)
            );
        }
        let of = (row.oid("refclassid")?, row.oid("refobjid")?);
        members.entry(of).or_default().push(text);
    }
    let query = format!(
        "SELECT DISTINCT d.refclassid, d.refobjid, p.amprocnum, \
        p.amproc::pg_catalog.regprocedure AS function, \
        pg_catalog.format_type(p.amproclefttype, NULL) AS lefttype, \
        pg_catalog.format_type(p.amprocrighttype, NULL) AS righttype, p.oid \
        FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_amproc p ON p.oid = d.objid \
        WHERE d.classid = 2603 AND d.objid >= {FIRST_NORMAL_OID} \
        AND d.refclassid IN (2616, 2753) AND {} ORDER BY 1, 2, 3, p.oid",
        users_own(catalog::PROC, "p.amproc")
    );
    for row in reader.rows(&query).await? {
        let text = format!(
            "FUNCTION {} ({}, {}) {}",
            row.text("amprocnum")?,
            row.text("lefttype")?,
            row.text("righttype")?,
            row.text("function")?
        );
        let of = (row.oid("refclassid")?, row.oid("refobjid")?);
        members.entry(of).or_default().push(text);
    }
    Ok(members)
}

async fn families(reader: &Reader<'_>, out: &mut Collected, members: &Members) -> Result<()> {
    let query = "SELECT f.oid, f.opfname, f.opfnamespace, f.opfowner, m.amname, \
        EXISTS (SELECT 1 FROM pg_catalog.pg_depend e WHERE e.classid = 2753 AND e.objid = f.oid \
        AND e.deptype = 'e') AS of_extension \
        FROM pg_catalog.pg_opfamily f JOIN pg_catalog.pg_am m ON m.oid = f.opfmethod ORDER BY f.oid";
    for row in reader.rows(query).await? {
        let oid = row.oid("oid")?;
        let place = catalog::row(catalog::OPERATOR_FAMILY, oid);
        let schema = row.oid("opfnamespace")?;
        let foreign = oid < FIRST_NORMAL_OID || row.bool("of_extension")?;
        let parts = if foreign {
            Parts::NONE
        } else {
            reader.parts_in(place, schema)
        };
        // What users added to a built-in family or to an extension's is theirs.
        let loose = members.get(&(catalog::OPERATOR_FAMILY, oid));
        let keeps_loose_members = foreign && loose.is_some() && reader.whole;
        if !parts.definition && !keeps_loose_members {
            continue;
        }
        let name = row.text("opfname")?;
        let owner = parts.definition.then(|| row.oid("opfowner")).transpose()?;
        let kind = ObjectKind::OperatorFamily;
        let mut object = reader.object(kind, place, Some(schema), name, owner)?;
        let (full, method) = (
            qualified(reader.schema(schema)?, name),
            ident(row.text("amname")?),
        );
        let identity = format!("{full} USING {method}");
        if parts.definition {
            object
                .create
                .push(format!("CREATE OPERATOR FAMILY {identity}"));
            object.drop = format!("DROP OPERATOR FAMILY IF EXISTS {identity}");
        }
        if let Some(loose) = loose {
            let list = loose.join(" ,\n    ");
            object
                .create
                .push(format!("ALTER OPERATOR FAMILY {identity} ADD\n    {list}"));
        }
        reader.describe(&mut object, parts, "OPERATOR FAMILY", &identity);
        let mut draft = Draft::of(object);
        draft.sort_key.push(method);
        // An extension's family comes with the extension.
        draft.needs.extend(out.number_of(place.class, place.oid));
        reader.add(out, draft);
    }
    Ok(())
}

async fn classes(reader: &Reader<'_>, out: &mut Collected, members: &Members) -> Result<()> {
    let query = format!(
        "SELECT c.oid, c.opcname, c.opcnamespace, c.opcowner, c.opcdefault, m.amname, \
        pg_catalog.format_type(c.opcintype, NULL) AS type, \
        CASE WHEN c.opckeytype <> 0 THEN pg_catalog.format_type(c.opckeytype, NULL) END AS stored, \
        f.opfname, n.nspname AS family_schema \
        FROM pg_catalog.pg_opclass c JOIN pg_catalog.pg_am m ON m.oid = c.opcmethod \
        JOIN pg_catalog.pg_opfamily f ON f.oid = c.opcfamily \
        JOIN pg_catalog.pg_namespace n ON n.oid = f.opfnamespace \
        WHERE c.oid >= {FIRST_NORMAL_OID} ORDER BY c.oid"
    );
    for row in reader.rows(&query).await? {
        let oid = row.oid("oid")?;
        let place = catalog::row(catalog::OPERATOR_CLASS, oid);
        let schema = row.oid("opcnamespace")?;
        let parts = reader.parts_in(place, schema);
        if !parts.definition {
            continue;
        }
        let name = row.text("opcname")?;
        let owner = Some(row.oid("opcowner")?);
        let kind = ObjectKind::OperatorClass;
        let mut object = reader.object(kind, place, Some(schema), name, owner)?;
        let (full, method) = (
            qualified(reader.schema(schema)?, name),
            ident(row.text("amname")?),
        );
        let ty = row.text("type")?;
        let mut list: Vec<String> = row
            .opt("stored")?
            .map(|stored| format!("STORAGE {stored}"))
            .into_iter()
            .collect();
        let of = (catalog::OPERATOR_CLASS, oid);
        list.extend(members.get(&of).into_iter().flatten().cloned());
        if list.is_empty() {
            // A class may hold nothing, but the grammar wants something.
            list.push(format!("STORAGE {ty}"));
        }
        let default = if row.bool("opcdefault")? {
            "DEFAULT "
        } else {
            ""
        };
        let family = qualified(row.text("family_schema")?, row.text("opfname")?);
        object.create.push(format!(
            "CREATE OPERATOR CLASS {full}\n    {default}FOR TYPE {ty} USING {method} \
            FAMILY {family} AS\n    {}",
            list.join(" ,\n    ")
        ));
        let identity = format!("{full} USING {method}");
        object.drop = format!("DROP OPERATOR CLASS IF EXISTS {identity}");
        reader.describe(&mut object, parts, "OPERATOR CLASS", &identity);
        let mut draft = Draft::of(object);
        draft.sort_key.push(method);
        reader.add(out, draft);
    }
    Ok(())
}
