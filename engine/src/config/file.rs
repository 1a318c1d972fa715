//! The file and the variables as they are written: every key optional, every mistake named.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error as _, Visitor};

use super::{Environment, LogFormat};
use crate::error::{Code, Error, Result};
use crate::units;

/// A configuration file larger than this is not one.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// What the process takes with one worker.
pub(super) const MEMORY_LEAST: u64 = 128 << 20;

/// The keys that are true or false.
const SWITCHES: &[&str] = &["verify_writes", "plain_http"];

macro_rules! settings {
    ($($(#[$doc:meta])* $key:ident: $type:ty,)*) => {
        /// What a file or the environment sets.
        #[derive(Debug, Default, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct Settings { $($(#[$doc])* pub(super) $key: Option<$type>,)* }

        impl Settings {
            /// Every key.
            pub(super) const KEYS: &[&str] = &[$(stringify!($key),)*];

            /// These settings, except where `top` has its own.
            pub(super) fn overlaid_by(self, top: Self) -> Self {
                Self { $($key: top.$key.or(self.$key),)* }
            }
        }
    };
}

settings! {
    data_dir: PathBuf,
    cache_dir: PathBuf,
    socket: PathBuf,
    socket_mode: Mode,
    socket_group: String,
    listen: Addresses,
    tls_cert: PathBuf,
    tls_key: PathBuf,
    tls_client_ca: PathBuf,
    plain_http: bool,
    max_clients: Count,
    client_timeout: Time,
    master_key_file: PathBuf,
    master_passphrase_file: PathBuf,
    memory: Memory,
    cpu_workers: Count,
    workers: Count,
    parallel_runs: Count,
    queued_runs: Count,
    verify_writes: bool,
    stall_timeout: Time,
    max_snapshot_age: Time,
    lock_timeout: Time,
    drain_timeout: Time,
    undo_window: Time,
    log_format: LogFormat,
    watch_interval: Time,
}

/// Permission bits, written in octal as text.
#[derive(Debug)]
pub(super) struct Mode(pub(super) u32);
/// The memory of the process in bytes, [`MEMORY_LEAST`] or more.
#[derive(Debug)]
pub(super) struct Memory(pub(super) u64);
/// A duration.
#[derive(Debug)]
pub(super) struct Time(pub(super) Duration);
/// A number of at least one.
#[derive(Debug)]
pub(super) struct Count(pub(super) usize);

/// Addresses to listen on: a list, or text with commas between them.
#[derive(Debug)]
pub(super) struct Addresses(pub(super) Vec<SocketAddr>);

/// Takes text and whole numbers alike.
struct Text;

impl Visitor<'_> for Text {
    type Value = String;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a whole number")
    }
    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }
    fn visit_i64<E>(self, number: i64) -> Result<String, E> {
        Ok(number.to_string())
    }
}

fn parsed<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    parse: impl FnOnce(&str) -> Result<T>,
) -> Result<T, D::Error> {
    let text = deserializer.deserialize_any(Text)?;
    parse(&text).map_err(|error| {
        let hint = error.hint_text().unwrap_or_default();
        D::Error::custom(format!("{}. {hint}", error.message()))
    })
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, |text| {
            u32::from_str_radix(text, 8)
                .ok()
                .filter(|mode| *mode <= 0o777)
                .map(Self)
                .ok_or_else(|| {
                    Error::invalid(format!("\"{text}\" is not a file mode"))
                        .hint("Write it in octal, for example \"0660\"")
                })
        })
    }
}

impl<'de> Deserialize<'de> for Memory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, |text| match units::parse_bytes(text)? {
            bytes @ MEMORY_LEAST.. => Ok(Self(bytes)),
            _ => Err(Error::invalid(format!(
                "{text} is too little for one worker, the least is {}MiB",
                MEMORY_LEAST >> 20
            ))),
        })
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, |text| units::parse_duration(text).map(Self))
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        parsed(deserializer, |text| {
            text.parse()
                .ok()
                .filter(|count| (1..=100_000).contains(count))
                .map(Self)
                .ok_or_else(|| Error::invalid(format!("\"{text}\" is not a number from 1 on")))
        })
    }
}

impl<'de> Deserialize<'de> for Addresses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(
            untagged,
            expecting = "expected an address with a port, or a list of them"
        )]
        enum Written {
            One(String),
            Many(Vec<String>),
        }
        let texts = match Written::deserialize(deserializer)? {
            Written::One(text) => text.split(',').map(str::to_owned).collect(),
            Written::Many(texts) => texts,
        };
        let addresses = texts.iter().map(|text| super::parse_address(text));
        addresses
            .collect::<Result<_>>()
            .map(Self)
            .map_err(|error| D::Error::custom(error.message()))
    }
}

/// Reads a file; one that is not there sets nothing, unless it was asked for by name.
pub(super) fn read(path: &Path, must_exist: bool) -> Result<Settings> {
    let failed = |error: std::io::Error| {
        Error::new(
            Code::ConfigInvalid,
            format!("Cannot read the configuration {}", path.display()),
        )
        .because(error)
    };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !must_exist => {
            return Ok(Settings::default());
        }
        Err(error) => return Err(failed(error)),
        Ok(facts) if facts.len() > MAX_FILE_BYTES => {
            return Err(failed(std::io::Error::other("it is larger than 1 MiB")));
        }
        Ok(_) => {}
    }
    parse(&std::fs::read_to_string(path).map_err(failed)?, path)
}

fn parse(text: &str, path: &Path) -> Result<Settings> {
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text[..start].matches('\n').count() + 1;
        let written = text.lines().nth(line - 1).unwrap_or_default();
        let key = written.split('=').next().unwrap_or_default().trim();
        let message = error.message().trim_end_matches(['.', ' ']);
        Error::new(
            Code::ConfigInvalid,
            format!("{} line {line}, {key}: {message}", path.display()),
        )
        .hint("backstay.example.toml documents every key")
    })
}

/// Reads `BACKSTAY_…` variables; names that are no keys belong to other parts and are left alone.
pub(super) fn from_environment(environment: &Environment) -> Result<Settings> {
    let mut settings = Settings::default();
    for key in Settings::KEYS {
        let name = format!("BACKSTAY_{}", key.to_uppercase());
        let Some(value) = environment.get(&name).filter(|value| !value.is_empty()) else {
            continue;
        };
        let value = match value.as_str() {
            "true" | "1" if SWITCHES.contains(key) => toml::Value::Boolean(true),
            "false" | "0" if SWITCHES.contains(key) => toml::Value::Boolean(false),
            text => toml::Value::String(text.to_owned()),
        };
        let table = toml::Table::from_iter([((*key).to_owned(), value)]);
        let one: Settings = table.try_into().map_err(|error: toml::de::Error| {
            let message = error.message().trim_end_matches(['.', ' ']);
            Error::new(Code::ConfigInvalid, format!("{name}: {message}"))
                .hint("backstay.example.toml documents every key")
        })?;
        settings = settings.overlaid_by(one);
    }
    Ok(settings)
}
