//! Statements for another name and another version.

use super::*;

fn facts() -> DatabaseFacts {
    DatabaseFacts {
        name: "shop".into(),
        server_version: 150_000,
        server_version_text: "15.0".into(),
        system_identifier: None,
        snapshot_at: "2026-01-01T00:00:00Z".into(),
        size_bytes: 1,
        encoding: "UTF8".into(),
        locale_provider: "icu".into(),
        collate: "C".into(),
        ctype: "C".into(),
        locale: Some("en-US".into()),
        icu_rules: None,
        owner: "o'neil".into(),
        tablespace: Some("fast".into()),
        connection_limit: -1,
        is_template: false,
        comment: Some("it's".into()),
        settings: vec![
            DatabaseSetting {
                role: None,
                name: "search_path".into(),
                value: "\"$user\", \"a \"\"b\", public".into(),
            },
            DatabaseSetting {
                role: Some("App".into()),
                name: "my.setting".into(),
                value: "a, b".into(),
            },
        ],
        grants: Some(vec![
            grant(None, None, "CONNECT"),
            grant(Some("App"), Some("chief"), "TEMPORARY"),
        ]),
        selection: Selection::default(),
    }
}

fn grant(grantee: Option<&str>, grantor: Option<&str>, privilege: &str) -> DatabaseGrant {
    DatabaseGrant {
        grantee: grantee.map(str::to_owned),
        grantor: grantor.map(str::to_owned),
        privilege: privilege.to_owned(),
        grantable: false,
    }
}

#[test]
fn a_database_is_made_with_its_locale_and_place() {
    assert_eq!(
        create(&facts(), "New", 180_000, true),
        "CREATE DATABASE \"New\" WITH TEMPLATE = template0 ENCODING = 'UTF8' LOCALE_PROVIDER = icu \
         LC_COLLATE = 'C' LC_CTYPE = 'C' ICU_LOCALE = 'en-US' TABLESPACE = fast"
    );
    let mut old = facts();
    old.locale_provider = "libc".into();
    old.locale = None;
    assert_eq!(
        create(&old, "n", 130_000, false),
        "CREATE DATABASE n WITH TEMPLATE = template0 ENCODING = 'UTF8' LC_COLLATE = 'C' LC_CTYPE = 'C'"
    );
}

#[test]
fn properties_name_the_new_database() {
    assert_eq!(
        properties(&facts(), "n"),
        [
            "ALTER DATABASE n SET search_path TO '$user', 'a \"b', 'public'",
            "ALTER ROLE \"App\" IN DATABASE n SET my.setting TO 'a, b'",
        ]
    );
    assert_eq!(
        comment("n", facts().comment.as_deref()),
        "COMMENT ON DATABASE n IS 'it''s'"
    );
    assert_eq!(comment("n", None), "COMMENT ON DATABASE n IS NULL");
    assert_eq!(owner(&facts(), "n"), "ALTER DATABASE n OWNER TO \"o'neil\"");
    assert_eq!(
        privileges(&facts(), "n"),
        [
            "REVOKE ALL ON DATABASE n FROM PUBLIC",
            "REVOKE ALL ON DATABASE n FROM \"o'neil\"",
            "GRANT CONNECT ON DATABASE n TO PUBLIC",
            "SET SESSION AUTHORIZATION chief; GRANT TEMPORARY ON DATABASE n TO \"App\"; \
             RESET SESSION AUTHORIZATION",
        ]
    );
}
