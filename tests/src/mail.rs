//! A mail server that offers STARTTLS, lets one account in, and keeps what it takes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use parking_lot::Mutex;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A message as it was taken.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// What the sender called itself.
    pub from: String,
    /// Who it is for.
    pub to: Vec<String>,
    /// Headers and body.
    pub data: String,
    /// Whether it came through TLS.
    pub encrypted: bool,
    /// Who had logged in.
    pub user: Option<String>,
}

/// A running mail server.
#[derive(Debug)]
pub struct MailServer {
    address: SocketAddr,
    messages: Arc<Mutex<Vec<Message>>>,
}

/// What every connection knows.
struct Rules {
    tls: Arc<ServerConfig>,
    /// Whether TLS begins with the first byte.
    immediate: bool,
    account: (String, String),
    messages: Arc<Mutex<Vec<Message>>>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl MailServer {
    /// A server on a free port, for one account.
    pub fn start(tls: Arc<ServerConfig>, immediate: bool, user: &str, password: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let messages = Arc::default();
        let rules = Arc::new(Rules {
            tls,
            immediate,
            account: (user.to_owned(), password.to_owned()),
            messages: Arc::clone(&messages),
        });
        std::thread::spawn(move || {
            for tcp in listener.incoming().flatten() {
                let rules = Arc::clone(&rules);
                std::thread::spawn(move || {
                    let _ = serve(&rules, tcp);
                });
            }
        });
        Self { address, messages }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// What it took so far.
    pub fn messages(&self) -> Vec<Message> {
        self.messages.lock().clone()
    }
}

impl Stream {
    fn inner(&mut self) -> &mut dyn Read {
        match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => tls,
        }
    }

    /// A line without its end.
    fn line(&mut self) -> std::io::Result<String> {
        let mut line = Vec::new();
        loop {
            let mut byte = [0];
            self.inner().read_exact(&mut byte)?;
            match byte[0] {
                b'\n' => break,
                b'\r' => {}
                byte => line.push(byte),
            }
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    fn say(&mut self, text: &str) -> std::io::Result<()> {
        let bytes = format!("{text}\r\n");
        match self {
            Self::Plain(tcp) => tcp.write_all(bytes.as_bytes()),
            Self::Tls(tls) => {
                tls.write_all(bytes.as_bytes())?;
                tls.flush()
            }
        }
    }

    fn encrypted(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    fn upgraded(self, config: &Arc<ServerConfig>) -> Self {
        match self {
            Self::Plain(tcp) => {
                let connection = ServerConnection::new(Arc::clone(config)).unwrap();
                Self::Tls(Box::new(StreamOwned::new(connection, tcp)))
            }
            tls @ Self::Tls(_) => tls,
        }
    }
}

fn serve(rules: &Rules, tcp: TcpStream) -> std::io::Result<()> {
    let mut stream = Stream::Plain(tcp);
    if rules.immediate {
        stream = stream.upgraded(&rules.tls);
    }
    stream.say("220 test ESMTP")?;
    let mut message = Message::default();
    loop {
        let line = stream.line()?;
        let verb = line.split([' ', ':']).next().unwrap().to_uppercase();
        match verb.as_str() {
            "EHLO" => {
                stream.say("250-test")?;
                let offer = if stream.encrypted() {
                    "AUTH PLAIN"
                } else {
                    "STARTTLS"
                };
                stream.say(&format!("250-{offer}"))?;
                stream.say("250 8BITMIME")?;
            }
            "STARTTLS" => {
                stream.say("220 go on")?;
                stream = stream.upgraded(&rules.tls);
            }
            "AUTH" => {
                let given = line.rsplit(' ').next().unwrap();
                let given = BASE64_STANDARD.decode(given).unwrap_or_default();
                let (user, password) = &rules.account;
                if given == format!("\0{user}\0{password}").into_bytes() {
                    message.user = Some(user.clone());
                    stream.say("235 come in")?;
                } else {
                    stream.say("535 who are you")?;
                }
            }
            "MAIL" => {
                message.from = within(&line);
                stream.say("250 yes")?;
            }
            "RCPT" => {
                message.to.push(within(&line));
                stream.say("250 yes")?;
            }
            "DATA" => {
                stream.say("354 begin")?;
                let mut lines = Vec::new();
                loop {
                    match stream.line()?.as_str() {
                        "." => break,
                        line => lines.push(line.to_owned()),
                    }
                }
                message.data = lines.join("\n");
                message.encrypted = stream.encrypted();
                rules.messages.lock().push(message.clone());
                stream.say("250 taken")?;
            }
            "QUIT" => {
                return stream.say("221 bye");
            }
            _ => stream.say("502 what?")?,
        }
    }
}

/// What stands between `<` and `>`.
fn within(line: &str) -> String {
    let (_, rest) = line.split_once('<').unwrap();
    rest.split_once('>').unwrap().0.to_owned()
}
