//! The database itself: read from a server, made again under any name.
//!
//! Everything is kept as values, not as statements, because a restore usually gives the database
//! another name. Settings and privileges are applied last, so that a database's own
//! `default_transaction_read_only` cannot stop its restore.

use std::fmt::Write as _;

use super::contents::{DatabaseFacts, DatabaseGrant, DatabaseSetting};
use super::quote::{ident, literal};
use super::selection::Selection;
use crate::error::Result;
use crate::source::postgres::session::Sql;

/// Parameters whose value is a list of quoted names; see `GUC_LIST_QUOTE` in PostgreSQL's sources.
const LIST_PARAMETERS: &[&str] = &[
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

/// Reads the database that `sql` is connected to.
pub async fn read(sql: &Sql, selection: &Selection) -> Result<DatabaseFacts> {
    let version = sql.version();
    let provider = if version >= 150_000 {
        "d.datlocprovider"
    } else {
        "'c'"
    };
    let locale = match version {
        170_000.. => "d.datlocale",
        150_000.. => "d.daticulocale",
        _ => "NULL",
    };
    let rules = if version >= 160_000 {
        "d.daticurules"
    } else {
        "NULL"
    };
    let row = sql
        .row(&format!(
            "SELECT d.oid, d.datname, pg_catalog.pg_encoding_to_char(d.encoding) AS encoding, \
               {provider} AS provider, d.datcollate, d.datctype, {locale} AS locale, {rules} AS rules, \
               pg_catalog.pg_get_userbyid(d.datdba) AS owner, d.datistemplate, d.datconnlimit, \
               NULLIF(t.spcname, 'pg_default') AS tablespace, \
               pg_catalog.shobj_description(d.oid, 'pg_database') AS comment, \
               pg_catalog.pg_database_size(d.oid) AS size_bytes, d.datacl IS NULL AS default_acl, \
               pg_catalog.to_char(pg_catalog.now() AT TIME ZONE 'UTC', \
                 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS snapshot_at, \
               pg_catalog.current_setting('server_version') AS server_version \
             FROM pg_catalog.pg_database d \
             LEFT JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace \
             WHERE d.datname = pg_catalog.current_database()"
        ))
        .await?;
    let oid = row.oid("oid")?;
    let locale_provider = match row.text("provider")? {
        "i" => "icu",
        "b" => "builtin",
        _ => "libc",
    };
    Ok(DatabaseFacts {
        name: row.string("datname")?,
        server_version: version,
        server_version_text: row.string("server_version")?,
        system_identifier: system_identifier(sql).await,
        snapshot_at: row.string("snapshot_at")?,
        size_bytes: row.parse("size_bytes")?,
        encoding: row.string("encoding")?,
        locale_provider: locale_provider.to_owned(),
        collate: row.string("datcollate")?,
        ctype: row.string("datctype")?,
        locale: row.opt_string("locale")?,
        icu_rules: row.opt_string("rules")?,
        owner: row.string("owner")?,
        tablespace: row.opt_string("tablespace")?,
        connection_limit: row.int("datconnlimit")?,
        is_template: row.bool("datistemplate")?,
        comment: row.opt_string("comment")?,
        settings: settings(sql, oid).await?,
        grants: if row.bool("default_acl")? {
            None
        } else {
            Some(grants(sql, oid).await?)
        },
        selection: selection.clone(),
    })
}

/// Unknown where the role may not read it; nothing depends on it.
async fn system_identifier(sql: &Sql) -> Option<String> {
    let may = sql
        .row(
            "SELECT pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') AS may",
        )
        .await
        .ok()?;
    if !may.bool("may").ok()? {
        return None;
    }
    let row = sql
        .row("SELECT system_identifier FROM pg_catalog.pg_control_system()")
        .await
        .ok()?;
    row.string("system_identifier").ok()
}

async fn settings(sql: &Sql, oid: u32) -> Result<Vec<DatabaseSetting>> {
    let rows = sql
        .rows(&format!(
            "SELECT r.rolname, c.setting \
             FROM pg_catalog.pg_db_role_setting s \
             LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole, \
               pg_catalog.unnest(s.setconfig) WITH ORDINALITY AS c(setting, place) \
             WHERE s.setdatabase = {oid} AND (s.setrole = 0 OR r.oid IS NOT NULL) \
             ORDER BY r.rolname NULLS FIRST, c.place"
        ))
        .await?;
    let mut settings = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some((name, value)) = row.text("setting")?.split_once('=') {
            settings.push(DatabaseSetting {
                role: row.opt_string("rolname")?,
                name: name.to_owned(),
                value: value.to_owned(),
            });
        }
    }
    Ok(settings)
}

async fn grants(sql: &Sql, oid: u32) -> Result<Vec<DatabaseGrant>> {
    let rows = sql
        .rows(&format!(
            "SELECT r.rolname, NULLIF(g.rolname, o.rolname) AS grantor, \
               a.privilege_type, a.is_grantable \
             FROM pg_catalog.pg_database d \
             CROSS JOIN pg_catalog.aclexplode(d.datacl) WITH ORDINALITY \
               AS a(grantor, grantee, privilege_type, is_grantable, place) \
             LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee \
             LEFT JOIN pg_catalog.pg_roles g ON g.oid = a.grantor \
             LEFT JOIN pg_catalog.pg_roles o ON o.oid = d.datdba \
             WHERE d.oid = {oid} AND (a.grantee = 0 OR r.oid IS NOT NULL) \
             ORDER BY g.rolname IS DISTINCT FROM o.rolname, a.place"
        ))
        .await?;
    rows.iter()
        .map(|row| {
            Ok(DatabaseGrant {
                grantee: row.opt_string("rolname")?,
                grantor: row.opt_string("grantor")?,
                privilege: row.string("privilege_type")?,
                grantable: row.bool("is_grantable")?,
            })
        })
        .collect()
}

/// `CREATE DATABASE` for a server of `version`; `tablespace` only where it exists there.
pub fn create(facts: &DatabaseFacts, name: &str, version: u32, tablespace: bool) -> String {
    let mut sql = format!(
        "CREATE DATABASE {} WITH TEMPLATE = template0 ENCODING = {}",
        ident(name),
        literal(&facts.encoding)
    );
    let mut option = |name: &str, value: &str| {
        let _ = write!(sql, " {name} = {value}");
    };
    if version >= 150_000 {
        option("LOCALE_PROVIDER", &facts.locale_provider);
    }
    option("LC_COLLATE", &literal(&facts.collate));
    option("LC_CTYPE", &literal(&facts.ctype));
    if let Some(locale) = &facts.locale {
        let keyword = if facts.locale_provider == "builtin" {
            "BUILTIN_LOCALE"
        } else {
            "ICU_LOCALE"
        };
        option(keyword, &literal(locale));
    }
    if let (Some(rules), 160_000..) = (&facts.icu_rules, version) {
        option("ICU_RULES", &literal(rules));
    }
    if let (Some(place), true) = (&facts.tablespace, tablespace) {
        option("TABLESPACE", &ident(place));
    }
    sql
}

/// The statement that gives the database a comment, or takes away the one it has.
pub fn comment(name: &str, comment: Option<&str>) -> String {
    let text = comment.map_or("NULL".to_owned(), literal);
    format!("COMMENT ON DATABASE {} IS {text}", ident(name))
}

/// The statements that give the database its limit and settings.
pub fn properties(facts: &DatabaseFacts, name: &str) -> Vec<String> {
    let name = ident(name);
    let mut statements = Vec::new();
    if facts.connection_limit >= 0 {
        let limit = facts.connection_limit;
        statements.push(format!("ALTER DATABASE {name} CONNECTION LIMIT = {limit}"));
    }
    for setting in &facts.settings {
        let value = setting_value(&setting.name, &setting.value);
        let parameter = setting
            .name
            .split('.')
            .map(ident)
            .collect::<Vec<_>>()
            .join(".");
        statements.push(match &setting.role {
            Some(role) => format!(
                "ALTER ROLE {} IN DATABASE {name} SET {parameter} TO {value}",
                ident(role)
            ),
            None => format!("ALTER DATABASE {name} SET {parameter} TO {value}"),
        });
    }
    if facts.is_template {
        statements.push(format!("ALTER DATABASE {name} IS_TEMPLATE = true"));
    }
    statements
}

/// The statement that gives the database its owner.
pub fn owner(facts: &DatabaseFacts, name: &str) -> String {
    format!(
        "ALTER DATABASE {} OWNER TO {}",
        ident(name),
        ident(&facts.owner)
    )
}

/// The statements that give the database its privileges, none when they are the built-in ones.
pub fn privileges(facts: &DatabaseFacts, name: &str) -> Vec<String> {
    let Some(grants) = &facts.grants else {
        return Vec::new();
    };
    let name = ident(name);
    let mut statements = vec![
        format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC"),
        format!("REVOKE ALL ON DATABASE {name} FROM {}", ident(&facts.owner)),
    ];
    for grant in grants {
        let grantee = grant.grantee.as_deref().map_or("PUBLIC".to_owned(), ident);
        let option = if grant.grantable {
            " WITH GRANT OPTION"
        } else {
            ""
        };
        let statement = format!(
            "GRANT {} ON DATABASE {name} TO {grantee}{option}",
            grant.privilege
        );
        match &grant.grantor {
            None => statements.push(statement),
            // As one text: where we may not speak for the grantor nothing is granted in our name.
            Some(role) => statements.push(format!(
                "SET SESSION AUTHORIZATION {}; {statement}; RESET SESSION AUTHORIZATION",
                ident(role)
            )),
        }
    }
    statements
}

/// A parameter's stored value as `SET` takes it.
fn setting_value(name: &str, value: &str) -> String {
    if !LIST_PARAMETERS.contains(&name.to_ascii_lowercase().as_str()) {
        return literal(value);
    }
    let parts: Vec<String> = list_parts(value).iter().map(|part| literal(part)).collect();
    if parts.is_empty() {
        "''".to_owned()
    } else {
        parts.join(", ")
    }
}

/// Splits `"$user", public` into its names.
fn list_parts(value: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let mut part = String::new();
    let mut quoted = false;
    let mut letters = value.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' if quoted && letters.next_if_eq(&'"').is_some() => part.push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => parts.push(std::mem::take(&mut part)),
            space if !quoted && space.is_whitespace() => {}
            other => part.push(other),
        }
    }
    if !(parts.is_empty() && part.is_empty()) {
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests;
