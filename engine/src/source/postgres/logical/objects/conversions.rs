//! Encoding conversions.

use super::prelude::*;

pub(super) async fn read(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    let query = format!(
        "SELECT c.oid, c.conname, c.connamespace, c.conowner, c.conproc, c.condefault, \
        pg_catalog.pg_encoding_to_char(c.conforencoding) AS source, \
        pg_catalog.pg_encoding_to_char(c.contoencoding) AS target \
        FROM pg_catalog.pg_conversion c WHERE c.oid >= {FIRST_NORMAL_OID} ORDER BY c.oid"
    );
    for row in reader.rows(&query).await? {
        let place = catalog::row(catalog::CONVERSION, row.oid("oid")?);
        let schema = row.oid("connamespace")?;
        let parts = reader.parts_in(place, schema);
        if !parts.definition {
            continue;
        }
        let name = row.text("conname")?;
        let owner = Some(row.oid("conowner")?);
        let mut object = reader.object(ObjectKind::Conversion, place, Some(schema), name, owner)?;
        let full = qualified(reader.schema(schema)?, name);
        let default = if row.bool("condefault")? {
            "DEFAULT "
        } else {
            ""
        };
        let (source, target) = (literal(row.text("source")?), literal(row.text("target")?));
        let function = row.text("conproc")?;
        object.create.push(format!(
            "CREATE {default}CONVERSION {full} FOR {source} TO {target} FROM {function}"
        ));
        object.drop = format!("DROP CONVERSION IF EXISTS {full}");
        reader.describe(&mut object, parts, "CONVERSION", &full);
        reader.add(out, Draft::of(object));
    }
    Ok(())
}
