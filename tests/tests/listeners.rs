//! Where the API is served: TCP, TLS, sockets of a service manager; and what clients may not do.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use backstay_tests::certificates::{Authority, exchange, get, plain, secured, shown};
use backstay_tests::engine::{Home, binary};
use backstay_tests::process::{Background, wait_for};
use rustix::process::Signal;
use rustls::ALL_VERSIONS;
use rustls::version::{TLS12, TLS13};

const WAIT: Duration = Duration::from_mins(1);
const ANY: &str = "127.0.0.1:0";

fn listening(home: Home) -> (Home, SocketAddr) {
    let mut home = home;
    home.serve();
    let address = home.addresses()[0];
    (home, address)
}

/// A home with a certificate in it, and its files.
fn with_tls(authority: &Authority) -> (Home, PathBuf, PathBuf) {
    let home = Home::new();
    let (cert, key) = (home.folder().join("tls.crt"), home.folder().join("tls.key"));
    authority.issue().write(&cert, &key);
    let home = home
        .with("BACKSTAY_LISTEN", ANY)
        .with("BACKSTAY_TLS_CERT", cert.to_str().unwrap())
        .with("BACKSTAY_TLS_KEY", key.to_str().unwrap());
    (home, cert, key)
}

#[track_caller]
fn status(answer: &str, expected: u16) {
    let line = answer.lines().next().unwrap_or_default();
    assert!(line.contains(&format!(" {expected} ")), "{answer}");
}

/// Reads until the other side closes.
fn closed(mut stream: impl std::io::Read) -> bool {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[test]
fn tls_serves_what_is_public_and_logs_who_asked() {
    let authority = Authority::new();
    let (home, ..) = with_tls(&authority);
    let (mut home, address) = listening(home);
    for version in [&TLS12, &TLS13] {
        let client = authority.client(None, &[version]);
        let mut stream = secured(address, &client).unwrap();
        status(&exchange(&mut stream, &get("/api/v1/health")).unwrap(), 200);
        let mut stream = secured(address, &client).unwrap();
        let refused = exchange(&mut stream, &get("/api/v1/status?secret=1")).unwrap();
        status(&refused, 401);
        assert!(refused.to_lowercase().contains("x-request-id: req_"));
    }
    let stranger = Authority::new().client(None, ALL_VERSIONS);
    assert!(secured(address, &stranger).is_err());
    // HTTP where TLS is expected gets no answer in HTTP.
    let answer = exchange(&mut plain(address), &get("/api/v1/health")).unwrap_or_default();
    assert!(!answer.contains("HTTP/1.1"), "{answer}");
    home.terminate();
    let log = home.log();
    let line = log
        .lines()
        .find(|line| line.contains("path=/api/v1/status") && line.contains("tls=true"));
    let line = line.unwrap_or_else(|| panic!("{log}"));
    for part in [
        "INFO access: answered",
        "origin=127.0.0.1",
        "method=GET",
        "status=401",
        "bytes=",
        "duration_ms=",
        "request_id=req_",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert!(!log.contains("secret=1"));
}

#[test]
fn a_renewed_certificate_is_used_and_a_broken_one_is_not() {
    let authority = Authority::new();
    let (home, cert, key) = with_tls(&authority);
    let (home, address) = listening(home);
    let client = authority.client(None, ALL_VERSIONS);
    let first = shown(address, &client);
    let second = authority.issue();
    second.write(&cert, &key);
    wait_for("the new certificate", WAIT, || {
        (shown(address, &client) == *second.certificate.der()).then_some(())
    });
    assert_ne!(first, *second.certificate.der());
    std::fs::write(&key, "no key").unwrap();
    let said = || {
        home.log()
            .matches("The old certificate stays in use")
            .count()
    };
    wait_for("the complaint", WAIT, || {
        assert_eq!(shown(address, &client), *second.certificate.der());
        (said() > 0).then_some(())
    });
    // The files are looked at again, and it is said no more.
    let third = authority.issue();
    third.write(&cert, &key);
    wait_for("the third certificate", WAIT, || {
        (shown(address, &client) == *third.certificate.der()).then_some(())
    });
    assert!(said() <= 2, "{}", home.log());
}

#[test]
fn clients_must_show_a_certificate_when_authorities_are_given() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let (home, ..) = with_tls(&authority);
    let path = clients.write(home.folder(), "clients.crt");
    let (_home, address) = listening(home.with("BACKSTAY_TLS_CLIENT_CA", path.to_str().unwrap()));
    let ask = |own| {
        let config = authority.client(own, ALL_VERSIONS);
        let mut stream = secured(address, &config)?;
        exchange(&mut stream, &get("/api/v1/health"))
    };
    let (welcome, stranger) = (clients.issue(), authority.issue());
    status(&ask(Some(&welcome)).unwrap(), 200);
    assert!(ask(None).is_err());
    assert!(ask(Some(&stranger)).is_err());
}

#[test]
fn plain_http_leaves_this_machine_only_when_asked_by_name() {
    let (mut home, address) = listening(Home::new().with("BACKSTAY_LISTEN", ANY));
    status(
        &exchange(&mut plain(address), &get("/api/v1/health")).unwrap(),
        200,
    );
    status(
        &exchange(&mut plain(address), &get("/api/v1/backups")).unwrap(),
        401,
    );
    home.terminate();
    let refused = home.run(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(refused.code, Some(2), "{}", refused.err);
    assert!(refused.err.contains("without TLS"), "{}", refused.err);
    let (_home, address) = listening(
        Home::new()
            .with("BACKSTAY_LISTEN", "0.0.0.0:0")
            .with("BACKSTAY_PLAIN_HTTP", "true"),
    );
    let address = SocketAddr::from(([127, 0, 0, 1], address.port()));
    status(
        &exchange(&mut plain(address), &get("/api/v1/health")).unwrap(),
        200,
    );
}

#[test]
fn mistakes_in_listeners_are_explained() {
    let home = Home::new();
    let taken = TcpListener::bind(ANY).unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let nothing = home.folder().join("nothing.crt");
    let nothing = nothing.to_str().unwrap();
    for (words, code, says) in [
        (vec!["--listen", "8443"], 2, "is not an address with a port"),
        (
            vec!["--listen", ANY, "--tls-cert", nothing],
            2,
            "without tls_key",
        ),
        (
            vec!["--listen", ANY, "--tls-cert", nothing, "--tls-key", nothing],
            2,
            "Cannot read the file",
        ),
        (vec!["--listen", &taken], 6, "Could not listen on 127.0.0.1"),
    ] {
        let words: Vec<_> = std::iter::once("serve").chain(words).collect();
        let answer = home.run(&words);
        assert_eq!(answer.code, Some(code), "{words:?}: {}", answer.err);
        assert!(answer.err.contains(says), "{words:?}: {}", answer.err);
    }
}

#[test]
fn slow_clients_are_closed() {
    let authority = Authority::new();
    let (home, ..) = with_tls(&authority);
    let (_tls, secure) = listening(home.with("BACKSTAY_CLIENT_TIMEOUT", "1s"));
    assert!(closed(plain(secure)), "a handshake that never comes");
    let home = Home::new()
        .with("BACKSTAY_LISTEN", ANY)
        .with("BACKSTAY_CLIENT_TIMEOUT", "1s");
    let (home, address) = listening(home);
    assert!(closed(plain(address)), "a request that never comes");
    let mut stream = plain(address);
    stream
        .write_all(b"GET /api/v1/health HTTP/1.1\r\nHost:")
        .unwrap();
    assert!(closed(stream), "a head that never ends");
    // Whoever is let in may not dawdle either.
    let mut stream = UnixStream::connect(home.folder().join("backstay.sock")).unwrap();
    let request = "POST /api/v1/backups HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{";
    let answer = exchange(&mut stream, request).unwrap();
    status(&answer, 408);
    assert!(answer.contains("request.timeout"), "{answer}");
    status(
        &exchange(&mut plain(address), &get("/api/v1/health")).unwrap(),
        200,
    );
}

#[test]
fn heads_that_are_too_large_are_refused() {
    let (_home, address) = listening(Home::new().with("BACKSTAY_LISTEN", ANY));
    let long = format!("X-Long: {}\r\n", "x".repeat(128 << 10));
    let many = "X-Many: x\r\n".repeat(100);
    for extra in [long, many] {
        let request = format!("GET /api/v1/health HTTP/1.1\r\nHost: x\r\n{extra}\r\n");
        let answer = exchange(&mut plain(address), &request).unwrap();
        status(&answer, 431);
    }
    status(
        &exchange(&mut plain(address), &get("/api/v1/health")).unwrap(),
        200,
    );
}

#[test]
fn a_full_listener_leaves_the_others_alone() {
    let home = Home::new()
        .with("BACKSTAY_LISTEN", ANY)
        .with("BACKSTAY_MAX_CLIENTS", "2");
    let (home, address) = listening(home);
    let answer = |stream: &mut TcpStream| {
        let request = "GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            let mut block = [0; 4096];
            let length = stream.read(&mut block).unwrap();
            assert!(length > 0);
            answer.extend_from_slice(&block[..length]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    };
    // Whoever was idle for longest gives way.
    let mut held = [plain(address), plain(address)];
    held.iter_mut().for_each(answer);
    let mut next = plain(address);
    answer(&mut next);
    let [first, mut second] = held;
    assert!(closed(first));
    answer(&mut second);
    // Connections that say nothing keep nobody out, and the socket has places of its own.
    let _silent: Vec<_> = (0..50).map(|_| plain(address)).collect();
    answer(&mut plain(address));
    home.ok(&["status"]);
    assert!(
        home.log()
            .contains("All 2 connections of a listener are taken")
    );
}

#[test]
fn connections_end_with_the_engine() {
    let (mut home, address) = listening(Home::new().with("BACKSTAY_LISTEN", ANY));
    let mut idle = plain(address);
    let request = "GET /api/v1/health HTTP/1.1\r\nHost: x\r\n\r\n";
    idle.write_all(request.as_bytes()).unwrap();
    let mut start = [0; 12];
    idle.read_exact(&mut start).unwrap();
    home.engine().signal(Signal::TERM);
    assert!(closed(idle));
    home.terminate();
    assert!(TcpStream::connect(address).is_err());
}

/// Starts `backstay serve` as a service manager does, with two sockets that are open already.
fn activated(home: &Home, unix: &UnixListener, tcp: TcpListener) -> Background {
    let script = "LISTEN_PID=$$ LISTEN_FDS=2 exec \"$0\" serve 3<&0 4<&1 0</dev/null 1>&2";
    let plain = home.command(&[]);
    let mut command = Command::new("sh");
    command.args(["-c", script]).arg(binary()).env_clear();
    for (name, value) in plain.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    let log = std::fs::File::create(home.folder().join("serve.log")).unwrap();
    command
        .env("NOTIFY_SOCKET", home.folder().join("notify"))
        .stdin(Stdio::from(OwnedFd::from(unix.try_clone().unwrap())))
        .stdout(Stdio::from(OwnedFd::from(tcp)))
        .stderr(log);
    Background::spawn(command, "backstay serve, activated".into())
}

#[test]
fn a_service_manager_hands_sockets_over_and_is_told() {
    let home = Home::new();
    let path = home.folder().join("backstay.sock");
    let unix = UnixListener::bind(&path).unwrap();
    let tcp = TcpListener::bind(ANY).unwrap();
    let address = tcp.local_addr().unwrap();
    let manager = UnixDatagram::bind(home.folder().join("notify")).unwrap();
    manager.set_read_timeout(Some(WAIT)).unwrap();
    let mut engine = activated(&home, &unix, tcp);
    let told = || {
        let mut text = [0; 64];
        let length = manager
            .recv(&mut text)
            .unwrap_or_else(|error| panic!("{error}: {}", home.log()));
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    assert_eq!(told(), "READY=1");
    home.ok(&["status"]);
    status(
        &exchange(&mut plain(address), &get("/api/v1/health")).unwrap(),
        200,
    );
    assert!(engine.end(Signal::TERM).success(), "{}", home.log());
    assert_eq!(told(), "STOPPING=1");
    assert!(path.exists(), "the socket is the service manager's");
    // Clients wait for the next engine instead of being refused.
    UnixStream::connect(&path).unwrap();
}
