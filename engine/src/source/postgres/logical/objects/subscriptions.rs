//! Subscriptions, made without connecting: a restored copy must not take over the original's
//! replication slot.

use std::fmt::Write as _;

use super::prelude::*;

pub(super) async fn read(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    if !reader.whole {
        return Ok(());
    }
    let of_database = "WHERE subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())";
    let readable = "SELECT pg_catalog.has_column_privilege(\
        'pg_catalog.pg_subscription', 'subconninfo', 'SELECT') AS readable";
    let readable = reader.rows(readable).await?;
    if !readable
        .first()
        .is_some_and(|row| row.bool("readable").unwrap_or(false))
    {
        let query =
            format!("SELECT subname FROM pg_catalog.pg_subscription {of_database} ORDER BY 1");
        for row in reader.rows(&query).await? {
            let reason = "the backup role may not see its connection; use a superuser to save it";
            reader.lost(ObjectKind::Subscription, row.text("subname")?, reason);
        }
        return Ok(());
    }
    let query = format!(
        "SELECT oid, subname, subowner, subconninfo, subslotname, subsynccommit, subpublications, \
        {} AS subbinary, {} AS substream, {} AS subtwophase, {} AS subdisableonerr, \
        {} AS suborigin, {} AS subpasswordrequired, {} AS subrunasowner, {} AS subfailover \
        FROM pg_catalog.pg_subscription {of_database} ORDER BY oid",
        reader.if_since(14, "subbinary", "false"),
        reader.if_since(14, "substream::text", "NULL"),
        reader.if_since(15, "subtwophasestate <> 'd'", "false"),
        reader.if_since(15, "subdisableonerr", "false"),
        reader.if_since(16, "suborigin", "NULL"),
        reader.if_since(16, "subpasswordrequired", "true"),
        reader.if_since(16, "subrunasowner", "false"),
        reader.if_since(17, "subfailover", "false"),
    );
    for row in reader.rows(&query).await? {
        subscription(reader, out, &row)?;
    }
    Ok(())
}

fn subscription(reader: &Reader<'_>, out: &mut Collected, row: &Row) -> Result<()> {
    let place = catalog::row(catalog::SUBSCRIPTION, row.oid("oid")?);
    let parts = reader.parts_outside(place);
    if !parts.definition {
        return Ok(());
    }
    let name = row.text("subname")?;
    let owner = Some(row.oid("subowner")?);
    let mut object = reader.object(ObjectKind::Subscription, place, None, name, owner)?;
    let quoted = ident(name);
    let publications = row.list("subpublications")?;
    object.create.push(format!(
        "CREATE SUBSCRIPTION {quoted} CONNECTION {} PUBLICATION {} WITH ({})",
        literal(row.text("subconninfo")?),
        quote::idents(publications.iter().map(String::as_str)),
        options(row)?
    ));
    if !reader.since(16) {
        // Older servers apply changes as the owner; newer ones only where that is said.
        object.newer.push(Newer {
            since: 16,
            statement: format!("ALTER SUBSCRIPTION {quoted} SET (run_as_owner = true)"),
        });
    }
    object.drop = format!("DROP SUBSCRIPTION IF EXISTS {quoted}");
    reader.describe(&mut object, parts, "SUBSCRIPTION", &quoted);
    reader.add(out, Draft::of(object));
    Ok(())
}

fn options(row: &Row) -> Result<String> {
    let mut text = String::from("connect = false");
    match row.opt("subslotname")? {
        Some(slot) => {
            let _ = write!(text, ", slot_name = {}", literal(slot));
        }
        None => text.push_str(", slot_name = NONE"),
    }
    // The default changed with 18, so it is always said where the server knows the option.
    match row.opt("substream")? {
        Some("t" | "true") => text.push_str(", streaming = on"),
        Some("p") => text.push_str(", streaming = parallel"),
        Some(_) => text.push_str(", streaming = off"),
        None => {}
    }
    for (column, words) in [
        ("subbinary", "binary = true"),
        ("subtwophase", "two_phase = on"),
        ("subdisableonerr", "disable_on_error = true"),
        ("subrunasowner", "run_as_owner = true"),
        ("subfailover", "failover = true"),
    ] {
        if row.bool(column)? {
            let _ = write!(text, ", {words}");
        }
    }
    if !row.bool("subpasswordrequired")? {
        text.push_str(", password_required = false");
    }
    if row.text("subsynccommit")? != "off" {
        let _ = write!(
            text,
            ", synchronous_commit = {}",
            literal(row.text("subsynccommit")?)
        );
    }
    if let Some(origin) = row.opt("suborigin")?.filter(|origin| *origin != "any") {
        let _ = write!(text, ", origin = {}", literal(origin));
    }
    Ok(text)
}
