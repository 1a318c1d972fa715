//! Through an SSH server: Debian's own, run privately.

use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use backstay_engine::secret::SecretText;
use backstay_engine::source::postgres::Target;
use backstay_engine::source::postgres::target::{HostKeys, SshKey, SshTarget};
use backstay_engine::{Code, Error};
use backstay_tests::places::Scratch;
use backstay_tests::postgres::Server;
use backstay_tests::process::{Background, Program};

use super::target;

/// An SSH server that lets in who holds one of two keys.
struct Bastion {
    _process: Background,
    scratch: Scratch,
    port: u16,
    user: String,
    fingerprint: String,
    host_key: String,
}

fn said(program: &Program) -> String {
    String::from_utf8(program.run()).unwrap().trim().to_owned()
}

impl Bastion {
    fn start() -> Self {
        let scratch = Scratch::new("ssh");
        let path = |name: &str| scratch.path().join(name);
        let keygen = |words: &[&str], file: PathBuf| {
            let line = Program::unprivileged("ssh-keygen").args(["-q"]).args(words);
            line.arg("-f").arg(file).run();
        };
        keygen(&["-t", "ed25519", "-N", ""], path("host"));
        keygen(&["-t", "ed25519", "-N", ""], path("plain"));
        keygen(
            &["-t", "rsa", "-b", "2048", "-N", "open sesame"],
            path("locked"),
        );
        keygen(&["-t", "ed25519", "-N", ""], path("stranger"));
        let public = |name: &str| std::fs::read_to_string(path(&format!("{name}.pub"))).unwrap();
        std::fs::write(path("authorized"), public("plain") + &public("locked")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let config = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {}\nAuthorizedKeysFile {}\n\
             PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\n",
            path("host").display(),
            path("authorized").display()
        );
        std::fs::write(path("config"), config).unwrap();
        let process = Program::unprivileged("/usr/sbin/sshd")
            .args(["-D", "-e", "-f"])
            .arg(path("config"))
            .start(&path("log"));
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let user = said(&Program::unprivileged("id").arg("-un"));
        let shown = said(&Program::new("ssh-keygen").arg("-lf").arg(path("host.pub")));
        let fingerprint = shown.split(' ').nth(1).unwrap().to_owned();
        let host_key = public("host");
        Self {
            _process: process,
            scratch,
            port,
            user,
            fingerprint,
            host_key,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// The key's text: its file belongs to the server's user and is closed to others.
    fn ssh(&self, key: &str, passphrase: Option<&str>, host_keys: HostKeys) -> SshTarget {
        let text = said(&Program::unprivileged("cat").arg(self.path(key)));
        SshTarget {
            key: Some(SshKey::Text(SecretText::new(text + "\n"))),
            passphrase: passphrase.map(SecretText::new),
            host_keys,
            ..SshTarget::parse(&format!("{}@127.0.0.1:{}", self.user, self.port)).unwrap()
        }
    }

    fn pinned(&self) -> HostKeys {
        HostKeys::Pinned(self.fingerprint.clone())
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

/// Both kinds of sessions, with rows through the tunnel.
async fn reach(target: &Target) -> Result<(), Error> {
    let sql = target.sql("postgres").await?;
    sql.run("SELECT 1").await?;
    let mut wire = target.wire("postgres").await?;
    let statement = "COPY (SELECT repeat('x', 1000) FROM generate_series(1, 10000)) TO STDOUT";
    let mut copy = wire.copy_out(statement, None).await?;
    let mut bytes = 0;
    while let Some(block) = copy.next().await? {
        bytes += block.len();
    }
    assert_eq!(bytes, 10_000 * 1001);
    drop(copy);
    wire.run("CREATE TEMP TABLE t (v text)").await?;
    let mut copy = wire.copy_in("COPY t FROM STDIN").await?;
    copy.send("row\n".repeat(1_000_000).into()).await?;
    assert_eq!(copy.finish().await?, 1_000_000);
    wire.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_passphrases_and_host_keys() {
    let bastion = Bastion::start();
    let server = Server::shared(15);
    let here = target(&server.url("postgres"));
    let through = |ssh: SshTarget| here.clone().through(Some(ssh));
    let pinned = bastion.pinned();
    for (key, passphrase) in [("plain", None), ("locked", Some("open sesame"))] {
        let ssh = bastion.ssh(key, passphrase, pinned.clone());
        if let Err(error) = reach(&through(ssh)).await {
            panic!("{key}: {}\n{}", error.report(), bastion.log());
        }
    }
    let socket = target(&server.socket_url("postgres"));
    reach(&socket.through(Some(bastion.ssh("plain", None, pinned.clone()))))
        .await
        .unwrap();

    let unknown = bastion.path("unknown_hosts");
    let other = HostKeys::Pinned("SHA256:somethingelse".to_owned());
    for (ssh, why) in [
        (
            bastion.ssh("stranger", None, pinned.clone()),
            "does not accept",
        ),
        (
            bastion.ssh("locked", Some("wrong"), pinned.clone()),
            "key cannot be used",
        ),
        (
            bastion.ssh("locked", None, pinned.clone()),
            "key cannot be used",
        ),
        (bastion.ssh("plain", None, other), "pinned"),
        (
            bastion.ssh("plain", None, HostKeys::Known(Some(unknown.clone()))),
            "is not known",
        ),
    ] {
        let error = reach(&through(ssh)).await.expect_err(why);
        assert_eq!(error.code(), Code::ConnectionSsh, "{}", error.report());
        assert!(error.message().contains(why), "{why}: {}", error.report());
        assert!(error.hint_text().is_some());
    }
    assert!(!unknown.exists(), "only accept-new learns");

    // Learned once, known from then on; a changed key is refused by both policies.
    let learned = bastion.path("learned_hosts");
    let learn = HostKeys::AcceptNew(Some(learned.clone()));
    reach(&through(bastion.ssh("plain", None, learn.clone())))
        .await
        .unwrap();
    let known = HostKeys::Known(Some(learned.clone()));
    reach(&through(bastion.ssh("plain", None, known.clone())))
        .await
        .unwrap();
    let body = |line: &str| line.split(' ').nth(1).unwrap().trim().to_owned();
    let stranger = std::fs::read_to_string(bastion.path("stranger.pub")).unwrap();
    let changed = std::fs::read_to_string(&learned)
        .unwrap()
        .replace(&body(&bastion.host_key), &body(&stranger));
    std::fs::write(&learned, changed).unwrap();
    for policy in [learn, known] {
        let error = reach(&through(bastion.ssh("plain", None, policy))).await;
        let error = error.expect_err("a changed key");
        assert!(
            error.message().contains("known by another"),
            "{}",
            error.report()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_behind_the_tunnel_is_told_apart_from_the_tunnel() {
    let bastion = Bastion::start();
    let server = Server::shared(15);
    let ssh = bastion.ssh("plain", None, bastion.pinned());
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let nothing = target(&format!("postgres://u@127.0.0.1:{free}/")).through(Some(ssh.clone()));
    let error = reach(&nothing).await.expect_err("nothing listens there");
    assert_eq!(error.code(), Code::ConnectionSsh, "{}", error.report());

    let nobody = target(&server.url_as("nobody_there", "postgres")).through(Some(ssh.clone()));
    let error = reach(&nobody).await.expect_err("no such role");
    assert_eq!(error.code(), Code::ConnectionAuth, "{}", error.report());

    let gone = SshTarget { port: free, ..ssh };
    let gone = target(&server.url("postgres")).through(Some(gone));
    let error = reach(&gone).await.expect_err("no bastion");
    assert_eq!(error.code(), Code::ConnectionSsh, "{}", error.report());
}
