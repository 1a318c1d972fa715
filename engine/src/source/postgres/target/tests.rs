//! URLs as people write them, and back.

use proptest::prelude::*;

use super::*;
use crate::error::Code;

fn parse(url: &str) -> Target {
    Target::from_url(url).unwrap_or_else(|e| panic!("{url}: {}", e.report()))
}

fn refused(url: &str) -> String {
    let error = Target::from_url(url).expect_err(url);
    assert_eq!(error.code(), Code::Invalid, "{url}");
    error.message().to_owned()
}

fn tcp(target: &Target) -> (&str, u16) {
    match &target.address {
        Address::Tcp { host, port } => (host, *port),
        Address::Unix { .. } => panic!("not TCP: {target}"),
    }
}

#[test]
fn everything_a_url_can_say() {
    let target = parse(
        "postgresql://me%40corp:p%3A%2Fw@db.example:5433/my%20db?sslmode=verify-full\
         &sslrootcert=/ca.pem&sslcert=/c.pem&sslkey=/c.key&application_name=x%26y\
         &connect_timeout=3&options=-c%20geqo%3Doff",
    );
    assert_eq!(tcp(&target), ("db.example", 5433));
    assert_eq!(target.user, "me@corp");
    assert_eq!(
        target.password.as_ref().map(SecretText::expose),
        Some("p:/w")
    );
    assert_eq!(target.database.as_deref(), Some("my db"));
    assert_eq!(target.tls.mode, TlsMode::VerifyFull);
    assert_eq!(target.tls.root_cert, Some(PathBuf::from("/ca.pem")));
    assert_eq!(target.tls.client_cert, Some(PathBuf::from("/c.pem")));
    assert_eq!(target.tls.client_key, Some(PathBuf::from("/c.key")));
    assert_eq!(target.application_name, "x&y");
    assert_eq!(target.options.as_deref(), Some("-c geqo=off"));
    assert_eq!(target.connect_timeout, Duration::from_secs(3));
}

#[test]
fn defaults_are_those_of_libpq() {
    let target = parse("postgres://me@db");
    assert_eq!(tcp(&target), ("db", 5432));
    assert_eq!(target.tls.mode, TlsMode::Prefer);
    assert_eq!((target.database, target.password), (None, None));
    assert_eq!(tcp(&parse("postgres://me@")), ("localhost", 5432));
    assert!(
        !parse("postgres://").user.is_empty(),
        "the account's own name"
    );
}

#[test]
fn addresses() {
    assert_eq!(tcp(&parse("postgres://u@[::1]:99/")), ("::1", 99));
    assert_eq!(tcp(&parse("postgres://u@[fe80::1]/")), ("fe80::1", 5432));
    assert_eq!(tcp(&parse("postgres://u@/d?host=h&port=7")), ("h", 7));
    for url in [
        "postgres://u@%2Frun%2Fpg:5433/d",
        "postgres://u@:5433/d?host=/run/pg",
    ] {
        let target = parse(url);
        assert_eq!(
            target.socket_path(),
            Some(PathBuf::from("/run/pg/.s.PGSQL.5433"))
        );
    }
    // The password may hold an @ that was not encoded: the last one ends it.
    assert_eq!(tcp(&parse("postgres://u:p@ss@h/")), ("h", 5432));
}

#[test]
fn wrong_urls_are_refused_with_the_reason() {
    for (url, reason) in [
        ("mysql://u@h/", "does not begin"),
        ("postgres://u@h:0/", "port"),
        ("postgres://u@h:65536/", "port"),
        ("postgres://u@h:NaN/", "port"),
        ("postgres://u@h:+1/", "port"),
        ("postgres://u@::1/", "brackets"),
        ("postgres://u@[::1/", "bracket"),
        ("postgres://u@a,b/", "several hosts"),
        ("postgres://u@h/?sslmode=yes", "sslmode"),
        ("postgres://u@h/?sslmod=require", "not known"),
        ("postgres://u@h/?sslmode", "no value"),
        ("postgres://u@h/?connect_timeout=NaN", "connect_timeout"),
        ("postgres://u@h/?connect_timeout=-1", "connect_timeout"),
        ("postgres://u@h/?sslcert=/x", "both sslcert and sslkey"),
        ("postgres://u%zz@h/", "hex"),
        ("postgres://u%ff@h/", "UTF-8"),
        ("postgres://u%00@h/", "NUL"),
        ("postgres://u@h/d#x", "#"),
    ] {
        let message = refused(url);
        assert!(message.contains(reason), "{url}: {message}");
    }
}

#[test]
fn the_password_is_never_shown() {
    let target = parse("postgres://u:hunter2@h/d");
    for text in [target.to_url(), format!("{target}"), format!("{target:?}")] {
        assert!(!text.contains("hunter2"), "{text}");
        assert!(text.contains("postgres://u@h/d"), "{text}");
    }
}

#[test]
fn ssh_addresses() {
    let ssh = SshTarget::parse("ops@bastion:2222").unwrap();
    assert_eq!(
        (ssh.user.as_str(), ssh.host.as_str(), ssh.port),
        ("ops", "bastion", 2222)
    );
    assert_eq!(
        SshTarget::parse("ops@[::1]").unwrap().place(),
        "ops@[::1]:22"
    );
    for text in ["bastion", "@bastion", "ops@", "ops@h:x", "ops@h:0"] {
        assert_eq!(
            SshTarget::parse(text).expect_err(text).code(),
            Code::Invalid
        );
    }
}

proptest! {
    #[test]
    fn a_written_url_reads_back_the_same(
        user in "[^\0]{1,12}",
        database in proptest::option::of("[^\0]{1,12}"),
        host in "[a-z0-9.-]{1,20}|/[^\0]{1,20}|::1",
        port in 1u16..,
        mode in 0usize..6,
        root in proptest::option::of("[^\0]{1,20}"),
        application in "[^\0]{0,12}",
    ) {
        let address = if host.starts_with('/') {
            Address::Unix { directory: PathBuf::from(host), port }
        } else {
            Address::Tcp { host, port }
        };
        let root = root.filter(|r| r != "system").map(PathBuf::from);
        let target = Target {
            address,
            user,
            password: None,
            database,
            tls: TlsOptions { mode: TlsMode::ALL[mode], root_cert: root, ..TlsOptions::default() },
            ssh: None,
            application_name: application,
            options: None,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
        };
        prop_assert_eq!(Target::from_url(&target.to_url()).unwrap(), target);
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,60}") {
        let _ = Target::from_url(&text);
        let _ = Target::from_url(&format!("postgres://{text}"));
    }
}
