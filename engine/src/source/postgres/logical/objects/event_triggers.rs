//! Event triggers, with the state they are in.

use super::prelude::*;

pub(super) async fn read(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    let query = "SELECT e.oid, e.evtname, e.evtevent, e.evtowner, e.evtenabled, \
        e.evtfoid::pg_catalog.regproc AS function, \
        (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(t.tag), ', ' ORDER BY t.place) \
        FROM pg_catalog.unnest(e.evttags) WITH ORDINALITY t (tag, place)) AS tags \
        FROM pg_catalog.pg_event_trigger e ORDER BY e.oid";
    for row in reader.rows(query).await? {
        let place = catalog::row(catalog::EVENT_TRIGGER, row.oid("oid")?);
        let parts = reader.parts_outside(place);
        if !parts.definition {
            continue;
        }
        let name = row.text("evtname")?;
        let owner = Some(row.oid("evtowner")?);
        let mut object = reader.object(ObjectKind::EventTrigger, place, None, name, owner)?;
        let quoted = ident(name);
        let tags = row
            .opt("tags")?
            .map(|tags| format!("\n    WHEN TAG IN ({tags})"));
        object.create.push(format!(
            "CREATE EVENT TRIGGER {quoted} ON {}{}\n    EXECUTE {} {}()",
            ident(row.text("evtevent")?),
            tags.unwrap_or_default(),
            reader.if_since(11, "FUNCTION", "PROCEDURE"),
            row.text("function")?
        ));
        let state = match row.char("evtenabled")? {
            'D' => Some("DISABLE"),
            'A' => Some("ENABLE ALWAYS"),
            'R' => Some("ENABLE REPLICA"),
            _ => None,
        };
        object
            .create
            .extend(state.map(|state| format!("ALTER EVENT TRIGGER {quoted} {state}")));
        object.drop = format!("DROP EVENT TRIGGER IF EXISTS {quoted}");
        reader.describe(&mut object, parts, "EVENT TRIGGER", &quoted);
        reader.add(out, Draft::of(object));
    }
    Ok(())
}
