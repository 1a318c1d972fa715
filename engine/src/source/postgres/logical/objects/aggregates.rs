//! Aggregates: plain, ordered-set and hypothetical-set, with moving and parallel modes.

use super::functions::SIGNATURE;
use super::prelude::*;

pub(super) async fn read(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    let modify = reader.if_since(11, "a.aggfinalmodify", "NULL");
    let moving_modify = reader.if_since(11, "a.aggmfinalmodify", "NULL");
    let query = format!(
        "SELECT p.oid, p.proname, p.pronamespace, p.proowner, p.proacl, p.pronargs, \
        pg_catalog.acldefault('f', p.proowner) AS acldefault, p.proparallel, \
        {SIGNATURE} AS signature, pg_catalog.pg_get_function_arguments(p.oid) AS arguments, \
        pg_catalog.pg_get_function_identity_arguments(p.oid) AS identity, a.aggkind, \
        a.aggtransfn, pg_catalog.format_type(a.aggtranstype, NULL) AS state, a.aggtransspace, \
        a.agginitval, a.aggfinalfn, a.aggfinalextra, {modify} AS modify, a.aggcombinefn, \
        a.aggserialfn, a.aggdeserialfn, a.aggmtransfn, a.aggminvtransfn, \
        CASE WHEN a.aggmtranstype <> 0 THEN pg_catalog.format_type(a.aggmtranstype, NULL) END \
        AS moving_state, a.aggmtransspace, a.aggminitval, a.aggmfinalfn, a.aggmfinalextra, \
        {moving_modify} AS moving_modify, \
        (SELECT pg_catalog.format('OPERATOR(%I.%s)', n.nspname, o.oprname) \
        FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace \
        WHERE o.oid = a.aggsortop) AS sort_operator \
        FROM pg_catalog.pg_aggregate a JOIN pg_catalog.pg_proc p ON p.oid = a.aggfnoid \
        LEFT JOIN pg_catalog.pg_init_privs i \
        ON i.classoid = 1255 AND i.objoid = p.oid AND i.objsubid = 0 \
        WHERE p.oid >= {FIRST_NORMAL_OID} OR p.proacl IS DISTINCT FROM i.initprivs \
        ORDER BY p.oid"
    );
    for row in reader.rows(&query).await? {
        aggregate(reader, out, &row)?;
    }
    Ok(())
}

fn aggregate(reader: &Reader<'_>, out: &mut Collected, row: &Row) -> Result<()> {
    let place = catalog::row(catalog::PROC, row.oid("oid")?);
    let schema = row.oid("pronamespace")?;
    let parts = reader.parts_in(place, schema);
    if parts.is_none() {
        return Ok(());
    }
    let name = row.text("proname")?;
    let signature = row.text("signature")?;
    let shown = format!("{name}{signature}");
    let owner = Some(row.oid("proowner")?);
    let mut object = reader.object(ObjectKind::Aggregate, place, Some(schema), &shown, owner)?;
    let full = qualified(reader.schema(schema)?, name);
    let alone = row.int("pronargs")? == 0;
    let with = |arguments: &str| {
        if alone {
            format!("{full}(*)")
        } else {
            format!("{full}({arguments})")
        }
    };
    let identity = with(row.text("identity")?);
    if parts.definition {
        let head = with(row.text("arguments")?);
        let options = options(row)?.join(",\n    ");
        object
            .create
            .push(format!("CREATE AGGREGATE {head} (\n    {options}\n)"));
        object.drop = format!("DROP AGGREGATE IF EXISTS {identity}");
    }
    reader.describe(&mut object, parts, "AGGREGATE", &identity);
    // There is no GRANT ON AGGREGATE; as a function it has no `*` and no ORDER BY.
    let as_function = format!("{full}{signature}");
    let grants = Grants {
        keyword: "FUNCTION",
        name: &as_function,
        acl: row.opt("proacl")?,
        default: row.text("acldefault")?,
        ..Grants::default()
    };
    reader.grant(&mut object, parts, grants)?;
    reader.add(out, Draft::of(object));
    Ok(())
}

fn options(row: &Row) -> Result<Vec<String>> {
    let set = |option: &str, column: &str, list: &mut Vec<String>| -> Result<bool> {
        let value = row
            .opt(column)?
            .filter(|value| *value != "-" && *value != "0");
        list.extend(value.map(|value| format!("{option} = {value}")));
        Ok(value.is_some())
    };
    let mut list = Vec::new();
    set("SFUNC", "aggtransfn", &mut list)?;
    set("STYPE", "state", &mut list)?;
    set("SSPACE", "aggtransspace", &mut list)?;
    if let Some(value) = row.opt("agginitval")? {
        list.push(format!("INITCOND = {}", literal(value)));
    }
    if set("FINALFUNC", "aggfinalfn", &mut list)? {
        finish(row, "FINALFUNC", "aggfinalextra", "modify", &mut list)?;
    }
    set("COMBINEFUNC", "aggcombinefn", &mut list)?;
    set("SERIALFUNC", "aggserialfn", &mut list)?;
    set("DESERIALFUNC", "aggdeserialfn", &mut list)?;
    if set("MSFUNC", "aggmtransfn", &mut list)? {
        set("MINVFUNC", "aggminvtransfn", &mut list)?;
        set("MSTYPE", "moving_state", &mut list)?;
    }
    set("MSSPACE", "aggmtransspace", &mut list)?;
    if let Some(value) = row.opt("aggminitval")? {
        list.push(format!("MINITCOND = {}", literal(value)));
    }
    if set("MFINALFUNC", "aggmfinalfn", &mut list)? {
        finish(
            row,
            "MFINALFUNC",
            "aggmfinalextra",
            "moving_modify",
            &mut list,
        )?;
    }
    set("SORTOP", "sort_operator", &mut list)?;
    if row.char("aggkind")? == 'h' {
        list.push("HYPOTHETICAL".to_owned());
    }
    match row.char("proparallel")? {
        's' => list.push("PARALLEL = safe".to_owned()),
        'r' => list.push("PARALLEL = restricted".to_owned()),
        _ => {}
    }
    Ok(list)
}

/// What goes with a final function: its extra arguments and, from 11 on, what it does to the state.
fn finish(row: &Row, name: &str, extra: &str, modify: &str, list: &mut Vec<String>) -> Result<()> {
    if row.bool(extra)? {
        list.push(format!("{name}_EXTRA"));
    }
    let usual = if row.char("aggkind")? == 'n' {
        "r"
    } else {
        "w"
    };
    let word = match row.opt(modify)?.filter(|modify| *modify != usual) {
        Some("r") => "READ_ONLY",
        Some("s") => "SHAREABLE",
        Some("w") => "READ_WRITE",
        _ => return Ok(()),
    };
    list.push(format!("{name}_MODIFY = {word}"));
    Ok(())
}
