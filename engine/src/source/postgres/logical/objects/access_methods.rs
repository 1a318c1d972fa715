//! Access methods, for tables and for indexes.

use super::prelude::*;

pub(super) async fn read(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    let query = format!(
        "SELECT oid, amname, amtype, amhandler FROM pg_catalog.pg_am \
        WHERE oid >= {FIRST_NORMAL_OID} ORDER BY oid"
    );
    for row in reader.rows(&query).await? {
        let place = catalog::row(catalog::ACCESS_METHOD, row.oid("oid")?);
        let parts = reader.parts_outside(place);
        if !parts.definition {
            continue;
        }
        let name = row.text("amname")?;
        let mut object = reader.object(ObjectKind::AccessMethod, place, None, name, None)?;
        let quoted = ident(name);
        let kind = match row.char("amtype")? {
            'i' => "INDEX",
            't' => "TABLE",
            other => {
                let reason = format!("its type {other:?} is not known; use a newer Backstay");
                reader.lost(ObjectKind::AccessMethod, name, reason);
                continue;
            }
        };
        let handler = row.text("amhandler")?;
        object.create.push(format!(
            "CREATE ACCESS METHOD {quoted} TYPE {kind} HANDLER {handler}"
        ));
        object.drop = format!("DROP ACCESS METHOD IF EXISTS {quoted}");
        reader.describe(&mut object, parts, "ACCESS METHOD", &quoted);
        reader.add(out, Draft::of(object));
    }
    Ok(())
}
