//! Foreign-data wrappers, servers and user mappings. Foreign tables are among the tables.

use super::prelude::*;

pub(super) async fn read(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    wrappers(reader, out).await?;
    servers(reader, out).await?;
    user_mappings(reader, out).await
}

fn options(text: Option<&str>) -> Result<String> {
    let list = quote::foreign_options(text)?;
    Ok(if list.is_empty() {
        list
    } else {
        format!(" OPTIONS (\n    {list}\n)")
    })
}

async fn wrappers(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    let query = "SELECT oid, fdwname, fdwowner, fdwacl, fdwoptions, \
        fdwhandler::pg_catalog.regproc, fdwvalidator::pg_catalog.regproc, \
        pg_catalog.acldefault('F', fdwowner) AS acldefault \
        FROM pg_catalog.pg_foreign_data_wrapper ORDER BY oid";
    for row in reader.rows(query).await? {
        let place = catalog::row(catalog::FOREIGN_DATA_WRAPPER, row.oid("oid")?);
        let parts = reader.parts_outside(place);
        if parts.is_none() {
            continue;
        }
        let name = row.text("fdwname")?;
        let owner = Some(row.oid("fdwowner")?);
        let mut object = reader.object(ObjectKind::ForeignDataWrapper, place, None, name, owner)?;
        let quoted = ident(name);
        if parts.definition {
            let mut text = format!("CREATE FOREIGN DATA WRAPPER {quoted}");
            for (word, column) in [("HANDLER", "fdwhandler"), ("VALIDATOR", "fdwvalidator")] {
                let function = row.text(column)?;
                if function != "-" {
                    text = format!("{text} {word} {function}");
                }
            }
            object.create.push(text + &options(row.opt("fdwoptions")?)?);
            object.drop = format!("DROP FOREIGN DATA WRAPPER IF EXISTS {quoted}");
        }
        reader.describe(&mut object, parts, "FOREIGN DATA WRAPPER", &quoted);
        let grants = Grants {
            keyword: "FOREIGN DATA WRAPPER",
            name: &quoted,
            acl: row.opt("fdwacl")?,
            default: row.text("acldefault")?,
            ..Grants::default()
        };
        reader.grant(&mut object, parts, grants)?;
        reader.add(out, Draft::of(object));
    }
    Ok(())
}

async fn servers(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    let query = "SELECT s.oid, s.srvname, s.srvowner, s.srvtype, s.srvversion, s.srvacl, \
        s.srvoptions, pg_catalog.acldefault('S', s.srvowner) AS acldefault, w.fdwname \
        FROM pg_catalog.pg_foreign_server s \
        JOIN pg_catalog.pg_foreign_data_wrapper w ON w.oid = s.srvfdw ORDER BY s.oid";
    for row in reader.rows(query).await? {
        let place = catalog::row(catalog::FOREIGN_SERVER, row.oid("oid")?);
        let parts = reader.parts_outside(place);
        if parts.is_none() {
            continue;
        }
        let name = row.text("srvname")?;
        let owner = Some(row.oid("srvowner")?);
        let mut object = reader.object(ObjectKind::ForeignServer, place, None, name, owner)?;
        let quoted = ident(name);
        if parts.definition {
            let mut text = format!("CREATE SERVER {quoted}");
            for (word, column) in [("TYPE", "srvtype"), ("VERSION", "srvversion")] {
                if let Some(value) = row.opt(column)? {
                    text = format!("{text} {word} {}", literal(value));
                }
            }
            let wrapper = ident(row.text("fdwname")?);
            let options = options(row.opt("srvoptions")?)?;
            object
                .create
                .push(format!("{text} FOREIGN DATA WRAPPER {wrapper}{options}"));
            object.drop = format!("DROP SERVER IF EXISTS {quoted}");
        }
        reader.describe(&mut object, parts, "SERVER", &quoted);
        let grants = Grants {
            keyword: "FOREIGN SERVER",
            name: &quoted,
            acl: row.opt("srvacl")?,
            default: row.text("acldefault")?,
            ..Grants::default()
        };
        reader.grant(&mut object, parts, grants)?;
        reader.add(out, Draft::of(object));
    }
    Ok(())
}

async fn user_mappings(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    if !reader.whole {
        return Ok(());
    }
    // The view hides the options of others from all but superusers; the catalog itself says so.
    let query = "SELECT m.umid AS oid, m.srvid, m.srvname, m.umuser, m.usename, m.umoptions, \
        m.umoptions IS NULL AND NOT pg_catalog.has_table_privilege(\
        'pg_catalog.pg_user_mapping', 'SELECT') AS hidden \
        FROM pg_catalog.pg_user_mappings m ORDER BY m.srvname, m.usename";
    for row in reader.rows(query).await? {
        let place = catalog::row(catalog::USER_MAPPING, row.oid("oid")?);
        let server = row.text("srvname")?;
        let role = match row.oid("umuser")? {
            0 => "PUBLIC".to_owned(),
            _ => ident(row.text("usename")?),
        };
        let name = format!("{role} SERVER {server}");
        if row.bool("hidden")? {
            let reason = "the backup role may not see its options; use a superuser to save them";
            reader.lost(ObjectKind::UserMapping, &name, reason);
        }
        let mut object = reader.object(ObjectKind::UserMapping, place, None, &name, None)?;
        let identity = format!("FOR {role} SERVER {}", ident(server));
        let options = options(row.opt("umoptions")?)?;
        object
            .create
            .push(format!("CREATE USER MAPPING {identity}{options}"));
        object.drop = format!("DROP USER MAPPING IF EXISTS {identity}");
        let number = out.number_of(catalog::FOREIGN_SERVER, row.oid("srvid")?);
        object.of = number;
        let mut draft = Draft::of(object);
        draft.needs.extend(number);
        reader.add(out, draft);
    }
    Ok(())
}
