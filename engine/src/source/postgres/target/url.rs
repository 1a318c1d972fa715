//! Connection URLs, read and written.
//!
//! Written by hand because general URL parsers refuse what PostgreSQL allows: a user before an
//! empty host (`postgres://me@/db?host=/run/postgresql`) and socket folders as hosts.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::ssh::{parse_port, split_host_port};
use super::{Address, DEFAULT_CONNECT_TIMEOUT, DEFAULT_PORT, Target, TlsMode, TlsOptions};
use crate::error::{Error, Result};
use crate::secret::SecretText;

/// Longer texts are not URLs that a person wrote.
const URL_LENGTH_MAX: usize = 16 * 1024;

/// What a URL may carry unencoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The parts as they were written, before their meanings are put together.
#[derive(Default)]
struct Parts {
    user: Option<String>,
    password: Option<String>,
    host: Option<String>,
    port: Option<u16>,
    database: Option<String>,
    tls: TlsOptions,
    application_name: Option<String>,
    options: Option<String>,
    connect_timeout: Option<Duration>,
}

fn wrong(why: impl std::fmt::Display) -> Error {
    Error::invalid(format!("The connection URL cannot be used: {why}"))
        .hint("Write postgres://USER[:PASSWORD]@HOST[:PORT]/[DATABASE][?sslmode=MODE&…]")
}

pub(super) fn parse(text: &str) -> Result<Target> {
    if text.len() > URL_LENGTH_MAX {
        return Err(wrong("it is too long"));
    }
    let rest = ["postgres://", "postgresql://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme))
        .ok_or_else(|| wrong("it does not begin with postgres://"))?;
    if rest.contains('#') {
        return Err(wrong("a # must be written as %23"));
    }
    let (rest, query) = match rest.split_once('?') {
        Some((rest, query)) => (rest, Some(query)),
        None => (rest, None),
    };
    let (authority, database) = match rest.split_once('/') {
        Some((authority, database)) => (authority, Some(database)),
        None => (rest, None),
    };
    let mut parts = Parts::default();
    let place = match authority.rsplit_once('@') {
        Some((identity, place)) => {
            read_identity(identity, &mut parts)?;
            place
        }
        None => authority,
    };
    read_place(place, &mut parts)?;
    if let Some(name) = database.filter(|name| !name.is_empty()) {
        parts.database = Some(decode(name, "database name")?);
    }
    for pair in query
        .unwrap_or_default()
        .split('&')
        .filter(|p| !p.is_empty())
    {
        read_parameter(pair, &mut parts)?;
    }
    assemble(parts)
}

fn decode(text: &str, what: &str) -> Result<String> {
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        let digits = rest.as_bytes().get(at + 1..at + 3);
        if !digits.is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit)) {
            return Err(wrong(format!("the {what} has a % without two hex digits")));
        }
        rest = rest.get(at + 3..).unwrap_or_default();
    }
    let decoded = percent_decode_str(text)
        .decode_utf8()
        .map_err(|e| wrong(format!("the {what} is not UTF-8")).because(e))?;
    if decoded.contains('\0') {
        return Err(wrong(format!("the {what} contains a NUL byte")));
    }
    Ok(decoded.into_owned())
}

fn read_identity(identity: &str, parts: &mut Parts) -> Result<()> {
    let (user, password) = match identity.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (identity, None),
    };
    if !user.is_empty() {
        parts.user = Some(decode(user, "user")?);
    }
    if let Some(password) = password {
        parts.password = Some(decode(password, "password")?);
    }
    Ok(())
}

fn read_place(place: &str, parts: &mut Parts) -> Result<()> {
    if place.contains(',') {
        return Err(wrong(
            "it names several hosts; add one connection per server",
        ));
    }
    let (host, port) = split_host_port(place).map_err(wrong)?;
    if !host.is_empty() {
        parts.host = Some(decode(&host, "host")?);
    }
    parts.port = port;
    Ok(())
}

fn read_parameter(pair: &str, parts: &mut Parts) -> Result<()> {
    let (name, value) = pair
        .split_once('=')
        .ok_or_else(|| wrong(format!("the parameter {pair:?} has no value")))?;
    let name = decode(name, "parameter name")?;
    let value = decode(value, &name)?;
    match name.as_str() {
        "user" => parts.user = Some(value),
        "password" => parts.password = Some(value),
        "dbname" => parts.database = Some(value),
        "host" => parts.host = Some(value),
        "port" => parts.port = Some(parse_port(&value).map_err(wrong)?),
        "sslmode" => {
            parts.tls.mode = TlsMode::from_name(&value).ok_or_else(|| {
                let known = TlsMode::ALL.map(TlsMode::name).join(", ");
                wrong(format!("sslmode {value:?} is none of {known}"))
            })?;
        }
        // libpq's word for the system's own roots, which are the default here.
        "sslrootcert" if value == "system" => parts.tls.root_cert = None,
        "sslrootcert" => parts.tls.root_cert = Some(PathBuf::from(value)),
        "sslcert" => parts.tls.client_cert = Some(PathBuf::from(value)),
        "sslkey" => parts.tls.client_key = Some(PathBuf::from(value)),
        "application_name" => parts.application_name = Some(value),
        "options" => parts.options = Some(value),
        "connect_timeout" => parts.connect_timeout = read_timeout(&value)?,
        _ => {
            return Err(wrong(format!("the parameter {name:?} is not known")).hint(
                "Known are sslmode, sslrootcert, sslcert, sslkey, host, port, user, password, \
                 dbname, application_name, connect_timeout and options",
            ));
        }
    }
    Ok(())
}

/// Seconds; 0 means the default, as an unbounded wait would hide a dead server.
fn read_timeout(value: &str) -> Result<Option<Duration>> {
    match value.parse::<u64>() {
        Ok(0) => Ok(None),
        Ok(seconds @ 1..=600) => Ok(Some(Duration::from_secs(seconds))),
        _ => Err(wrong(format!(
            "connect_timeout {value:?} is not a number of seconds from 0 to 600"
        ))),
    }
}

fn assemble(parts: Parts) -> Result<Target> {
    let port = parts.port.unwrap_or(DEFAULT_PORT);
    let address = match parts.host {
        Some(folder) if folder.starts_with('/') => Address::Unix {
            directory: PathBuf::from(folder),
            port,
        },
        Some(host) if !host.is_empty() => Address::Tcp {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
        },
        _ => Address::Tcp {
            host: "localhost".to_owned(),
            port,
        },
    };
    let user = match parts.user {
        Some(user) => user,
        None => os_user().ok_or_else(|| wrong("it names no user"))?,
    };
    let target = Target {
        address,
        user,
        password: parts.password.map(SecretText::new),
        database: parts.database.filter(|name| !name.is_empty()),
        tls: parts.tls,
        ssh: None,
        application_name: parts
            .application_name
            .unwrap_or_else(|| "backstay".to_owned()),
        options: parts.options,
        connect_timeout: parts.connect_timeout.unwrap_or(DEFAULT_CONNECT_TIMEOUT),
    };
    target.check()?;
    Ok(target)
}

/// The name of the account that the engine runs as.
fn os_user() -> Option<String> {
    let id = rustix::process::geteuid().as_raw().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let listed = accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    });
    listed.or_else(|| std::env::var("USER").ok().filter(|name| !name.is_empty()))
}

pub(super) fn write(target: &Target) -> String {
    let encode = |text: &str| {
        utf8_percent_encode(text, ENCODED)
            .to_string()
            .replace('/', "%2F")
    };
    let mut url = format!("postgres://{}@", encode(&target.user));
    let mut parameters: Vec<(&str, String)> = Vec::new();
    match &target.address {
        Address::Tcp { host, port } => {
            if host.contains(':') {
                let _ = write!(url, "[{host}]");
            } else {
                url.push_str(&encode(host));
            }
            if *port != DEFAULT_PORT {
                let _ = write!(url, ":{port}");
            }
        }
        Address::Unix { directory, port } => {
            parameters.push(("host", directory.display().to_string()));
            if *port != DEFAULT_PORT {
                parameters.push(("port", port.to_string()));
            }
        }
    }
    url.push('/');
    url.push_str(&encode(target.database.as_deref().unwrap_or_default()));
    if target.tls.mode != TlsMode::default() {
        parameters.push(("sslmode", target.tls.mode.name().to_owned()));
    }
    for (name, path) in [
        ("sslrootcert", &target.tls.root_cert),
        ("sslcert", &target.tls.client_cert),
        ("sslkey", &target.tls.client_key),
    ] {
        if let Some(path) = path {
            parameters.push((name, path.display().to_string()));
        }
    }
    if target.application_name != "backstay" {
        parameters.push(("application_name", target.application_name.clone()));
    }
    if let Some(options) = &target.options {
        parameters.push(("options", options.clone()));
    }
    if target.connect_timeout != DEFAULT_CONNECT_TIMEOUT {
        let seconds = target.connect_timeout.as_secs().to_string();
        parameters.push(("connect_timeout", seconds));
    }
    for (i, (name, value)) in parameters.iter().enumerate() {
        let sign = if i == 0 { '?' } else { '&' };
        let _ = write!(url, "{sign}{name}={}", utf8_percent_encode(value, ENCODED));
    }
    url
}
