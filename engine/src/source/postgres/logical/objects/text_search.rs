//! Text search: parsers, templates, dictionaries, configurations with their mappings.

use std::collections::HashMap;

use super::prelude::*;

pub(super) async fn read(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    parsers(reader, out).await?;
    templates(reader, out).await?;
    dictionaries(reader, out).await?;
    configurations(reader, out).await
}

/// One kind of text search object: its catalog, and its words in SQL.
struct Kind {
    object: ObjectKind,
    class: u32,
    keyword: &'static str,
}

/// Adds an object of the row's `oid`, `name`, `schema`, `owner` (NULL where the kind has none),
/// with `options` between the parentheses and `more` statements after it.
fn add(
    reader: &Reader<'_>,
    out: &mut Collected,
    row: &Row,
    kind: &Kind,
    statements: impl FnOnce(&str) -> Result<(String, Vec<String>)>,
) -> Result<()> {
    let place = catalog::row(kind.class, row.oid("oid")?);
    let schema = row.oid("schema")?;
    let parts = reader.parts_in(place, schema);
    if !parts.definition {
        return Ok(());
    }
    let name = row.text("name")?;
    let owner = row.opt("owner")?.map(|_| row.oid("owner")).transpose()?;
    let mut object = reader.object(kind.object, place, Some(schema), name, owner)?;
    let full = qualified(reader.schema(schema)?, name);
    let (options, more) = statements(&full)?;
    object.create.push(format!(
        "CREATE {} {full} (\n    {options}\n)",
        kind.keyword
    ));
    object.create.extend(more);
    object.drop = format!("DROP {} IF EXISTS {full}", kind.keyword);
    reader.describe(&mut object, parts, kind.keyword, &full);
    reader.add(out, Draft::of(object));
    Ok(())
}

fn functions(row: &Row, columns: &[(&str, &str)]) -> Result<String> {
    let mut options = Vec::new();
    for (option, column) in columns {
        let function = row.text(column)?;
        if function != "-" {
            options.push(format!("{option} = {function}"));
        }
    }
    Ok(options.join(",\n    "))
}

async fn parsers(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    let kind = Kind {
        object: ObjectKind::TextSearchParser,
        class: catalog::TEXT_SEARCH_PARSER,
        keyword: "TEXT SEARCH PARSER",
    };
    let query = format!(
        "SELECT oid, prsname AS name, prsnamespace AS schema, NULL AS owner, prsstart, prstoken, \
        prsend, prsheadline, prslextype FROM pg_catalog.pg_ts_parser \
        WHERE oid >= {FIRST_NORMAL_OID} ORDER BY oid"
    );
    for row in reader.rows(&query).await? {
        let columns = [
            ("START", "prsstart"),
            ("GETTOKEN", "prstoken"),
            ("END", "prsend"),
            ("HEADLINE", "prsheadline"),
            ("LEXTYPES", "prslextype"),
        ];
        add(reader, out, &row, &kind, |_| {
            Ok((functions(&row, &columns)?, Vec::new()))
        })?;
    }
    Ok(())
}

async fn templates(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    let kind = Kind {
        object: ObjectKind::TextSearchTemplate,
        class: catalog::TEXT_SEARCH_TEMPLATE,
        keyword: "TEXT SEARCH TEMPLATE",
    };
    let query = format!(
        "SELECT oid, tmplname AS name, tmplnamespace AS schema, NULL AS owner, tmplinit, \
        tmpllexize FROM pg_catalog.pg_ts_template WHERE oid >= {FIRST_NORMAL_OID} ORDER BY oid"
    );
    for row in reader.rows(&query).await? {
        let columns = [("INIT", "tmplinit"), ("LEXIZE", "tmpllexize")];
        add(reader, out, &row, &kind, |_| {
            Ok((functions(&row, &columns)?, Vec::new()))
        })?;
    }
    Ok(())
}

async fn dictionaries(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    let kind = Kind {
        object: ObjectKind::TextSearchDictionary,
        class: catalog::TEXT_SEARCH_DICTIONARY,
        keyword: "TEXT SEARCH DICTIONARY",
    };
    let query = format!(
        "SELECT d.oid, d.dictname AS name, d.dictnamespace AS schema, d.dictowner AS owner, \
        d.dictinitoption, t.tmplname, n.nspname FROM pg_catalog.pg_ts_dict d \
        JOIN pg_catalog.pg_ts_template t ON t.oid = d.dicttemplate \
        JOIN pg_catalog.pg_namespace n ON n.oid = t.tmplnamespace \
        WHERE d.oid >= {FIRST_NORMAL_OID} ORDER BY d.oid"
    );
    for row in reader.rows(&query).await? {
        add(reader, out, &row, &kind, |_| {
            let template = qualified(row.text("nspname")?, row.text("tmplname")?);
            let mut options = format!("TEMPLATE = {template}");
            // The server keeps the options as the SQL they were given in.
            if let Some(given) = row.opt("dictinitoption")? {
                options = format!("{options},\n    {given}");
            }
            Ok((options, Vec::new()))
        })?;
    }
    Ok(())
}

async fn configurations(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    let kind = Kind {
        object: ObjectKind::TextSearchConfiguration,
        class: catalog::TEXT_SEARCH_CONFIGURATION,
        keyword: "TEXT SEARCH CONFIGURATION",
    };
    let mappings = format!(
        "SELECT m.mapcfg, (SELECT t.alias FROM pg_catalog.ts_token_type(c.cfgparser) t \
        WHERE t.tokid = m.maptokentype) AS token, pg_catalog.string_agg(\
        pg_catalog.format('%I.%I', n.nspname, d.dictname), ', ' ORDER BY m.mapseqno) AS dictionaries \
        FROM pg_catalog.pg_ts_config_map m JOIN pg_catalog.pg_ts_config c ON c.oid = m.mapcfg \
        JOIN pg_catalog.pg_ts_dict d ON d.oid = m.mapdict \
        JOIN pg_catalog.pg_namespace n ON n.oid = d.dictnamespace \
        WHERE m.mapcfg >= {FIRST_NORMAL_OID} \
        GROUP BY m.mapcfg, m.maptokentype, c.cfgparser ORDER BY m.mapcfg, m.maptokentype"
    );
    let mut by_configuration: HashMap<u32, Vec<Row>> = HashMap::new();
    for row in reader.rows(&mappings).await? {
        by_configuration
            .entry(row.oid("mapcfg")?)
            .or_default()
            .push(row);
    }
    let query = format!(
        "SELECT c.oid, c.cfgname AS name, c.cfgnamespace AS schema, c.cfgowner AS owner, \
        p.prsname, n.nspname FROM pg_catalog.pg_ts_config c \
        JOIN pg_catalog.pg_ts_parser p ON p.oid = c.cfgparser \
        JOIN pg_catalog.pg_namespace n ON n.oid = p.prsnamespace \
        WHERE c.oid >= {FIRST_NORMAL_OID} ORDER BY c.oid"
    );
    for row in reader.rows(&query).await? {
        let mappings = by_configuration
            .remove(&row.oid("oid")?)
            .unwrap_or_default();
        add(reader, out, &row, &kind, |full| {
            let parser = qualified(row.text("nspname")?, row.text("prsname")?);
            let mut more = Vec::new();
            for mapping in &mappings {
                let token = ident(mapping.text("token")?);
                let dictionaries = mapping.text("dictionaries")?;
                more.push(format!(
                    "ALTER TEXT SEARCH CONFIGURATION {full}\n    \
                    ADD MAPPING FOR {token} WITH {dictionaries}"
                ));
            }
            Ok((format!("PARSER = {parser}"), more))
        })?;
    }
    Ok(())
}
