//! Functions, procedures and window functions.

use std::fmt::Write as _;

use super::prelude::*;

pub(super) async fn read(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    for row in reader.rows(&query(reader)).await? {
        function(reader, out, &row)?;
    }
    Ok(())
}

/// All functions but those that come with something else (the constructors of a range) and the
/// built-in ones whose privileges nobody changed.
fn query(reader: &Reader<'_>) -> String {
    let kind = reader.if_since(
        11,
        "p.prokind",
        "CASE WHEN p.proiswindow THEN 'w' ELSE 'f' END",
    );
    let not_aggregate = reader.if_since(11, "p.prokind <> 'a'", "NOT p.proisagg");
    let support = reader.if_since(12, "p.prosupport", "'-'");
    let body = reader.if_since(14, "pg_catalog.pg_get_function_sqlbody(p.oid)", "NULL");
    format!(
        "SELECT p.oid, p.proname, p.pronamespace, p.proowner, p.proacl, \
        pg_catalog.acldefault('f', p.proowner) AS acldefault, {kind} AS kind, l.lanname, \
        p.provolatile, p.proisstrict, p.prosecdef, p.proleakproof, p.proparallel, p.procost, \
        p.proretset, p.prorows, {support} AS support, p.proconfig, p.prosrc, p.probin, \
        {body} AS body, pg_catalog.pg_get_function_arguments(p.oid) AS arguments, \
        pg_catalog.pg_get_function_identity_arguments(p.oid) AS identity, \
        pg_catalog.pg_get_function_result(p.oid) AS result, \
        {SIGNATURE} AS signature, \
        (SELECT pg_catalog.string_agg('FOR TYPE ' || pg_catalog.format_type(t.type, NULL), ', ' \
        ORDER BY t.place) FROM pg_catalog.unnest(p.protrftypes) WITH ORDINALITY t (type, place)) \
        AS transforms \
        FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_language l ON l.oid = p.prolang \
        LEFT JOIN pg_catalog.pg_init_privs i \
        ON i.classoid = 1255 AND i.objoid = p.oid AND i.objsubid = 0 \
        WHERE {not_aggregate} \
        AND (p.oid >= {FIRST_NORMAL_OID} OR p.proacl IS DISTINCT FROM i.initprivs) \
        AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d \
        WHERE d.classid = 1255 AND d.objid = p.oid AND d.deptype = 'i') ORDER BY p.oid",
    )
}

/// SQL for the argument types of function `p`, as a person tells functions of one name apart.
pub(super) const SIGNATURE: &str = "pg_catalog.concat('(', \
    (SELECT pg_catalog.string_agg(pg_catalog.format_type(t.type, NULL), ', ' ORDER BY t.place) \
    FROM pg_catalog.unnest(p.proargtypes) WITH ORDINALITY t (type, place)), ')')";

fn function(reader: &Reader<'_>, out: &mut Collected, row: &Row) -> Result<()> {
    let place = catalog::row(catalog::PROC, row.oid("oid")?);
    let schema = row.oid("pronamespace")?;
    let parts = reader.parts_in(place, schema);
    if parts.is_none() {
        return Ok(());
    }
    let name = row.text("proname")?;
    let shown = format!("{name}{}", row.text("signature")?);
    let owner = Some(row.oid("proowner")?);
    let mut object = reader.object(ObjectKind::Function, place, Some(schema), &shown, owner)?;
    let keyword = if row.char("kind")? == 'p' {
        "PROCEDURE"
    } else {
        "FUNCTION"
    };
    let full = qualified(reader.schema(schema)?, name);
    let identity = format!("{full}({})", row.text("identity")?);
    if parts.definition {
        let body = body_of(row)?;
        object
            .create
            .push(definition("CREATE ", keyword, &full, row, &body)?);
        object
            .create
            .extend(reader.goes_with(place, keyword, &identity));
        object.drop = format!("DROP {keyword} IF EXISTS {identity}");
    }
    reader.describe(&mut object, parts, keyword, &identity);
    let grants = Grants {
        keyword,
        name: &identity,
        acl: row.opt("proacl")?,
        default: row.text("acldefault")?,
        ..Grants::default()
    };
    reader.grant(&mut object, parts, grants)?;
    let number = reader.add(out, Draft::of(object));
    if let (Some(number), true, Some(body_text)) = (number, parts.definition, row.opt("body")?) {
        let mut body = Object::new(ObjectKind::Function, Some(reader.schema(schema)?), &shown);
        body.create = vec![definition(
            "CREATE OR REPLACE ",
            keyword,
            &full,
            row,
            body_text,
        )?];
        let stand_in = definition("CREATE ", keyword, &full, row, "AS ''")?;
        // The server does not record that a function needs itself.
        let calls_itself = body_text.contains(&format!("{full}("));
        add_body(out, number, body, stand_in, calls_itself);
    }
    Ok(())
}

/// Adds the body of a function whose names the server resolved when it was made. Functions that
/// call each other in a circle are made without one first.
fn add_body(
    out: &mut Collected,
    number: ObjectNumber,
    mut body: Object,
    stand_in: String,
    calls_itself: bool,
) {
    body.of = Some(number);
    let whole = body.create.clone();
    let mut draft = Draft::of(body);
    draft.part = Part::Inside(number);
    let part = out.add(draft);
    if let Some(draft) = out.draft_mut(number) {
        draft.assemble = Some(Box::new(move |object, is_separate| {
            if is_separate(part) {
                object.create.splice(..1, [stand_in]);
            } else if calls_itself {
                object
                    .create
                    .splice(..1, [stand_in].into_iter().chain(whole));
            }
        }));
    }
}

/// `verb` is `CREATE` or `CREATE OR REPLACE` and a space.
fn definition(verb: &str, keyword: &str, name: &str, row: &Row, body: &str) -> Result<String> {
    let mut text = format!("{verb}{keyword} {name}({})", row.text("arguments")?);
    // A procedure has no result here, also where the server names one for its OUT arguments.
    if keyword == "FUNCTION"
        && let Some(result) = row.opt("result")?
    {
        let _ = write!(text, " RETURNS {result}");
    }
    let language = row.text("lanname")?;
    let _ = write!(text, "\n    LANGUAGE {}", ident(language));
    if let Some(transforms) = row.opt("transforms")? {
        let _ = write!(text, " TRANSFORM {transforms}");
    }
    if row.char("kind")? == 'w' {
        text.push_str(" WINDOW");
    }
    text.push_str(match row.char("provolatile")? {
        'i' => " IMMUTABLE",
        's' => " STABLE",
        _ => "",
    });
    for (column, words) in [
        ("proisstrict", " STRICT"),
        ("prosecdef", " SECURITY DEFINER"),
        ("proleakproof", " LEAKPROOF"),
    ] {
        if row.bool(column)? {
            text.push_str(words);
        }
    }
    let usual_cost = if matches!(language, "internal" | "c") {
        "1"
    } else {
        "100"
    };
    let cost = row.text("procost")?;
    if cost != "0" && cost != usual_cost {
        let _ = write!(text, " COST {cost}");
    }
    let rows = row.text("prorows")?;
    if row.bool("proretset")? && rows != "0" && rows != "1000" {
        let _ = write!(text, " ROWS {rows}");
    }
    if row.text("support")? != "-" {
        let _ = write!(text, " SUPPORT {}", row.text("support")?);
    }
    text.push_str(match row.char("proparallel")? {
        's' => " PARALLEL SAFE",
        'r' => " PARALLEL RESTRICTED",
        _ => "",
    });
    for setting in row.list("proconfig")? {
        if let Some((name, value)) = setting.split_once('=') {
            let _ = write!(
                text,
                "\n    SET {} TO {}",
                ident(name),
                quote::setting(name, value)
            );
        }
    }
    let _ = write!(text, "\n    {body}");
    Ok(text)
}

fn body_of(row: &Row) -> Result<String> {
    if let Some(body) = row.opt("body")? {
        return Ok(body.to_owned());
    }
    let source = row.text("prosrc")?;
    match row.opt("probin")?.filter(|library| !library.is_empty()) {
        Some(library) if source.is_empty() => Ok(format!("AS {}", literal(library))),
        Some(library) => Ok(format!("AS {}, {}", literal(library), literal(source))),
        None => Ok(format!("AS {}", quote::dollar(source))),
    }
}
