//! TLS as strict as the URL asks, against certificates as people make them.

use std::path::PathBuf;

use backstay_engine::Code;
use backstay_engine::source::postgres::Target;
use backstay_tests::places::Scratch;
use backstay_tests::postgres::Server;
use backstay_tests::process::Program;

use super::target;

/// Certificates made by the openssl program.
struct Authority(Scratch);

impl Authority {
    fn new() -> Self {
        let authority = Self(Scratch::new("tls"));
        authority.self_signed("ca", "/CN=TestAuthority");
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn pem(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    fn openssl(&self, line: &str) {
        let words = line
            .split_whitespace()
            .map(|word| match word.strip_prefix('@') {
                Some(name) => self.path(name).display().to_string(),
                None => word.to_owned(),
            });
        Program::new("openssl").args(words).run();
    }

    /// Marked as an authority of its own, as `openssl req -x509` does by default.
    fn self_signed(&self, name: &str, subject: &str) {
        self.openssl(&format!(
            "req -x509 -newkey rsa:2048 -nodes -days 2 -subj {subject} -keyout @{name}.key -out @{name}.crt"
        ));
    }

    /// Signed by the authority; without extensions it is of version 1.
    fn signed(&self, name: &str, subject: &str, key: &str, extensions: Option<&str>) {
        self.openssl(&format!(
            "req -newkey {key} -nodes -subj {subject} -keyout @{name}.key -out @{name}.csr"
        ));
        let mut line = format!(
            "x509 -req -in @{name}.csr -CA @ca.crt -CAkey @ca.key -CAcreateserial -days 2 -out @{name}.crt"
        );
        if let Some(extensions) = extensions {
            std::fs::write(self.path("extensions"), extensions).unwrap();
            line.push_str(" -extfile @extensions");
        }
        self.openssl(&line);
    }

    fn server(&self, version: u32, name: &str) -> Server {
        let server = Server::build(version)
            .set("ssl", "on")
            .set("ssl_ca_file", "root.crt")
            .file("server.crt", &self.pem(&format!("{name}.crt")))
            .file("server.key", &self.pem(&format!("{name}.key")))
            .file("root.crt", &self.pem("ca.crt"))
            .hba(
                "local all all trust\n\
                 hostssl all certified all cert\n\
                 hostssl all salted all scram-sha-256\n\
                 hostssl all sealed all trust\n\
                 hostnossl all open all trust\n\
                 host all postgres all trust\n",
            )
            .start();
        server.sql(
            "postgres",
            "CREATE ROLE certified LOGIN; CREATE ROLE sealed LOGIN; CREATE ROLE open LOGIN;
             CREATE ROLE salted LOGIN PASSWORD 'secret';",
        );
        server
    }
}

/// Whether both kinds of sessions are encrypted; they must agree, also in how they fail.
async fn encrypted(target: &Target) -> Result<bool, Code> {
    let question = "SELECT ssl FROM pg_catalog.pg_stat_ssl WHERE pid = pg_catalog.pg_backend_pid()";
    let sql = target.sql("postgres").await;
    let wire = target.wire("postgres").await;
    match (sql, wire) {
        (Ok(sql), Ok(mut wire)) => {
            let row = sql.row(question).await.unwrap();
            assert_eq!(wire.query(question).await.unwrap()[0], row);
            assert_eq!(row.bool("ssl").unwrap(), sql.encrypted());
            Ok(sql.encrypted())
        }
        (Err(sql), Err(wire)) => {
            assert_eq!(
                sql.code(),
                wire.code(),
                "{} / {}",
                sql.report(),
                wire.report()
            );
            println!("{}", wire.report());
            assert!(wire.hint_text().is_some());
            Err(wire.code())
        }
        (sql, wire) => panic!("one was let in: {sql:?} / {wire:?}"),
    }
}

fn url(server: &Server, user: &str, host: &str, parameters: &str) -> Target {
    target(&format!(
        "postgres://{user}@{host}:{}/postgres?{parameters}",
        server.port()
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn modes_mean_what_they_mean_to_libpq() {
    let authority = Authority::new();
    let names = "subjectAltName=DNS:localhost,DNS:db.example";
    authority.signed("server", "/CN=whatever", "rsa:2048", Some(names));
    let server = authority.server(15, "server");
    let root = format!("sslrootcert={}", authority.path("ca.crt").display());
    let cases = [
        // Who is let in how: in the clear, encrypted.
        ("open", "sslmode=disable", Ok(false)),
        ("sealed", "sslmode=disable", Err(Code::ConnectionAuth)),
        ("open", "sslmode=allow", Ok(false)),
        ("sealed", "sslmode=allow", Ok(true)),
        ("sealed", "sslmode=prefer", Ok(true)),
        ("open", "sslmode=prefer", Ok(false)),
        ("sealed", "", Ok(true)),
        ("sealed", "sslmode=require", Ok(true)),
        ("open", "sslmode=require", Err(Code::ConnectionAuth)),
        ("salted:secret", "sslmode=require", Ok(true)),
        ("salted:wrong", "sslmode=require", Err(Code::ConnectionAuth)),
        // The system does not know the test's authority.
        ("sealed", "sslmode=verify-ca", Err(Code::ConnectionTls)),
        ("sealed", "sslmode=verify-full", Err(Code::ConnectionTls)),
    ];
    for (user, parameters, expected) in cases {
        let here = url(&server, user, "127.0.0.1", parameters);
        assert_eq!(encrypted(&here).await, expected, "{user} {parameters}");
    }
    for (host, mode, expected) in [
        ("127.0.0.1", "require", Ok(true)),
        ("127.0.0.1", "verify-ca", Ok(true)),
        ("127.0.0.1", "verify-full", Err(Code::ConnectionTls)),
        ("localhost", "verify-full", Ok(true)),
    ] {
        let here = url(&server, "sealed", host, &format!("sslmode={mode}&{root}"));
        assert_eq!(encrypted(&here).await, expected, "{host} {mode}");
    }
    // Another authority's root is looked at as soon as it is named.
    authority.self_signed("other", "/CN=OtherAuthority");
    let other = format!("sslrootcert={}", authority.path("other.crt").display());
    for mode in ["require", "verify-ca"] {
        let here = url(
            &server,
            "sealed",
            "localhost",
            &format!("sslmode={mode}&{other}"),
        );
        assert_eq!(encrypted(&here).await, Err(Code::ConnectionTls), "{mode}");
    }
    let here = url(
        &server,
        "sealed",
        "localhost",
        "sslmode=require&sslrootcert=/nowhere",
    );
    assert_eq!(encrypted(&here).await, Err(Code::ConnectionTls));
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_browsers_refuse() {
    let authority = Authority::new();
    authority.self_signed("itself", "/CN=localhost");
    authority.signed("old", "/CN=localhost", "rsa:2048", None);
    authority.signed(
        "curve",
        "/CN=localhost",
        "ec -pkeyopt ec_paramgen_curve:P-384",
        None,
    );
    for (name, root) in [("itself", "itself"), ("old", "ca"), ("curve", "ca")] {
        let server = authority.server(15, name);
        let root = format!(
            "sslrootcert={}",
            authority.path(&format!("{root}.crt")).display()
        );
        for (host, parameters, expected) in [
            ("127.0.0.1", "sslmode=require".to_owned(), Ok(true)),
            ("127.0.0.1", format!("sslmode=verify-ca&{root}"), Ok(true)),
            ("localhost", format!("sslmode=verify-full&{root}"), Ok(true)),
            (
                "127.0.0.1",
                format!("sslmode=verify-full&{root}"),
                Err(Code::ConnectionTls),
            ),
        ] {
            let here = url(&server, "salted:secret", host, &parameters);
            assert_eq!(
                encrypted(&here).await,
                expected,
                "{name} {host} {parameters}"
            );
        }
        // TLS 1.2 signs differently.
        server.sql(
            "postgres",
            "ALTER SYSTEM SET ssl_max_protocol_version = 'TLSv1.2'",
        );
        server.sql("postgres", "SELECT pg_reload_conf()");
        let here = url(
            &server,
            "salted:secret",
            "127.0.0.1",
            &format!("sslmode=verify-ca&{root}"),
        );
        assert_eq!(encrypted(&here).await, Ok(true), "{name} over TLS 1.2");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn client_certificates() {
    let authority = Authority::new();
    authority.signed(
        "server",
        "/CN=localhost",
        "rsa:2048",
        Some("subjectAltName=DNS:localhost"),
    );
    authority.signed(
        "client",
        "/CN=certified",
        "rsa:2048",
        Some("extendedKeyUsage=clientAuth"),
    );
    authority.signed(
        "other",
        "/CN=somebody",
        "rsa:2048",
        Some("extendedKeyUsage=clientAuth"),
    );
    let server = authority.server(15, "server");
    let with = |name: &str| {
        format!(
            "sslmode=require&sslcert={}&sslkey={}",
            authority.path(&format!("{name}.crt")).display(),
            authority.path(&format!("{name}.key")).display()
        )
    };
    let here = |parameters: &str| url(&server, "certified", "localhost", parameters);
    assert_eq!(encrypted(&here(&with("client"))).await, Ok(true));
    assert_eq!(
        encrypted(&here(&with("other"))).await,
        Err(Code::ConnectionAuth)
    );
    assert_eq!(
        encrypted(&here("sslmode=require")).await,
        Err(Code::ConnectionAuth)
    );
    assert_eq!(
        encrypted(&here(&with("missing"))).await,
        Err(Code::ConnectionTls)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_and_bulk_rows_work_inside_tls() {
    let authority = Authority::new();
    authority.signed("server", "/CN=localhost", "rsa:2048", None);
    let server = authority.server(15, "server");
    let here = url(&server, "sealed", "localhost", "sslmode=require");
    let mut wire = here.wire("postgres").await.unwrap();
    let statement = "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 20000)) TO STDOUT";
    let mut copy = wire.copy_out(statement, None).await.unwrap();
    let mut bytes = 0;
    while let Some(block) = copy.next().await.unwrap() {
        bytes += block.len();
    }
    assert_eq!(bytes, 20_000 * 1001);
    drop(copy);

    wire.run("CREATE TEMP TABLE t (v text)").await.unwrap();
    let mut copy = wire.copy_in("COPY t FROM STDIN").await.unwrap();
    copy.send("row\n".repeat(1_000_000).into()).await.unwrap();
    assert_eq!(copy.finish().await.unwrap(), 1_000_000);

    let sql = here.sql("postgres").await.unwrap();
    let (ours, theirs) = (sql.cancel_token(), wire.canceller());
    let cancel = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        ours.cancel().await.unwrap();
        theirs.cancel().await.unwrap();
    };
    let (one, two, ()) = tokio::join!(
        sql.run("SELECT pg_sleep(600)"),
        wire.run("SELECT pg_sleep(600)"),
        cancel
    );
    assert_eq!(one.expect_err("cancelled").sqlstate(), Some("57014"));
    assert_eq!(two.expect_err("cancelled").sqlstate(), Some("57014"));
}
