//! Default privileges: what new objects of a role are granted.

use super::prelude::*;
use crate::source::postgres::logical::acl;

pub(super) async fn read(reader: &Reader<'_>, out: &mut Collected) -> Result<()> {
    // Within a schema the grants come on top of the role's own defaults, so they start from none.
    let query = "SELECT d.oid, d.defaclrole, d.defaclnamespace, d.defaclobjtype, d.defaclacl, \
        CASE WHEN d.defaclnamespace <> 0 THEN '{}' ELSE pg_catalog.acldefault(\
        CASE d.defaclobjtype WHEN 'S' THEN 's'::\"char\" ELSE d.defaclobjtype END, \
        d.defaclrole)::text END AS acldefault \
        FROM pg_catalog.pg_default_acl d ORDER BY d.oid";
    for row in reader.rows(query).await? {
        let place = catalog::row(catalog::DEFAULT_ACL, row.oid("oid")?);
        let schema = Some(row.oid("defaclnamespace")?).filter(|oid| *oid != 0);
        let parts = match schema {
            Some(schema) => reader.chosen_in(schema),
            None => reader.parts_outside(place),
        };
        if !parts.definition {
            continue;
        }
        let role = reader.role(row.oid("defaclrole")?);
        let keyword = match row.char("defaclobjtype")? {
            'r' => "TABLES",
            'S' => "SEQUENCES",
            'f' => "FUNCTIONS",
            'T' => "TYPES",
            'n' => "SCHEMAS",
            'L' => "LARGE OBJECTS",
            other => {
                let reason = format!("privileges on {other:?} are not known; use a newer Backstay");
                reader.lost(ObjectKind::DefaultAcl, &role, reason);
                continue;
            }
        };
        let mut prefix = format!("ALTER DEFAULT PRIVILEGES FOR ROLE {} ", ident(&role));
        if let Some(schema) = schema {
            prefix = format!("{prefix}IN SCHEMA {} ", ident(reader.schema(schema)?));
        }
        let name = format!("FOR {keyword} OF {role}");
        let owner = Some(row.oid("defaclrole")?);
        let mut object = reader.object(ObjectKind::DefaultAcl, place, schema, &name, owner)?;
        object.create = acl::privileges(&Grants {
            prefix: &prefix,
            keyword,
            owner: &role,
            acl: row.opt("defaclacl")?,
            default: row.text("acldefault")?,
            ..Grants::default()
        })?;
        reader.add(out, Draft::of(object));
    }
    Ok(())
}
