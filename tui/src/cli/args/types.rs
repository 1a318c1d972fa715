//! Reads single values, so that a wrong one is refused with a reason before anything happens.

use backstay_engine::model::RunKind;
use chrono::{DateTime, NaiveDate, Utc};
use clap::builder::{PossibleValuesParser, TypedValueParser};

/// An HTTP method.
pub(super) fn method(text: &str) -> Result<String, String> {
    let method = text.to_ascii_uppercase();
    ["GET", "POST", "PUT", "PATCH", "DELETE"]
        .contains(&method.as_str())
        .then_some(method)
        .ok_or_else(|| "expected GET, POST, PUT, PATCH or DELETE".to_owned())
}

/// `Name: value`.
pub(super) fn header(text: &str) -> Result<(String, String), String> {
    text.split_once(':')
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| "expected `Name: value`".to_owned())
}

/// RFC 3339, or a day, which begins at midnight UTC.
pub(super) fn time(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Ok(day.and_time(chrono::NaiveTime::MIN).and_utc());
    }
    DateTime::parse_from_rfc3339(text)
        .map(|time| time.with_timezone(&Utc))
        .map_err(|_| {
            "expected a time with its zone, like 2026-03-01T14:30:00Z, or a day, like 2026-03-01"
                .to_owned()
        })
}

/// A time to come: as [`time`] has it, or how long from now.
pub(super) fn expiry(text: &str) -> Result<DateTime<Utc>, String> {
    let in_a_while = backstay_engine::units::parse_duration(text).ok();
    let end = in_a_while
        .and_then(|after| Utc::now().checked_add_signed(chrono::TimeDelta::from_std(after).ok()?));
    match end {
        Some(end) => Ok(end),
        None => time(text).map_err(|reason| format!("{reason}, or a while, like 90d")),
    }
}

/// `USER@HOST[:PORT]`.
pub(super) fn ssh(text: &str) -> Result<String, String> {
    let (user, host) = text
        .split_once('@')
        .ok_or_else(|| "expected USER@HOST[:PORT]".to_owned())?;
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && !host.ends_with(':') && !port.contains(']') => {
            (host, Some(port))
        }
        _ => (host, None),
    };
    if user.is_empty() || host.is_empty() {
        return Err("expected USER@HOST[:PORT]".to_owned());
    }
    match port.map(str::parse::<u16>) {
        Some(Err(_) | Ok(0)) => Err("the port is a number from 1 to 65535".to_owned()),
        _ => Ok(text.to_owned()),
    }
}

/// `PROJECT/ENVIRONMENT`.
pub(super) fn environment(text: &str) -> Result<String, String> {
    match text.split_once('/') {
        Some((project, environment))
            if !project.is_empty() && !environment.is_empty() && !environment.contains('/') =>
        {
            Ok(text.to_owned())
        }
        _ => Err("expected PROJECT/ENVIRONMENT, like shop/production".to_owned()),
    }
}

/// A share of the data in per cent, with or without the sign.
pub(super) fn percent(text: &str) -> Result<u8, String> {
    text.strip_suffix('%')
        .unwrap_or(text)
        .parse::<u8>()
        .ok()
        .filter(|percent| (1..=100).contains(percent))
        .ok_or_else(|| "expected a whole number from 1 to 100, like 5%".to_owned())
}

/// `SCHEMA.TABLE[=NEW]`, kept as text; the engine splits it.
pub(super) fn object(text: &str) -> Result<String, String> {
    let (name, new) = match text.split_once('=') {
        Some((name, new)) => (name, Some(new)),
        None => (text, None),
    };
    if name.is_empty() || new.is_some_and(str::is_empty) {
        return Err("expected SCHEMA.TABLE or SCHEMA.TABLE=NEW".to_owned());
    }
    Ok(text.to_owned())
}

/// A kind of run.
pub(super) fn run_kind() -> impl TypedValueParser<Value = RunKind> {
    let names = RunKind::ALL.iter().map(|kind| kind.as_str());
    PossibleValuesParser::new(names).try_map(|text| text.parse::<RunKind>())
}

/// `FROM-TO`, two times of the day.
pub(super) fn window(text: &str) -> Result<(String, String), String> {
    let time = |text: &str| chrono::NaiveTime::parse_from_str(text, "%H:%M").is_ok();
    text.split_once('-')
        .filter(|(from, to)| time(from) && time(to))
        .map(|(from, to)| (from.to_owned(), to.to_owned()))
        .ok_or_else(|| "expected two times of the day, like 08:00-18:00".to_owned())
}

/// `CONNECTION[/DATABASE]`.
pub(super) fn source(text: &str) -> Result<Source, String> {
    let (connection, database) = match text.split_once('/') {
        Some((connection, database)) => (connection, Some(database)),
        None => (text, None),
    };
    if connection.is_empty() {
        return Err("expected a connection's name before the slash".to_owned());
    }
    if database.is_some_and(str::is_empty) {
        return Err(format!(
            "no database is named after the slash; leave the slash out for every database of {connection}"
        ));
    }
    Ok(Source {
        connection: connection.to_owned(),
        database: database.map(str::to_owned),
    })
}

/// A server or one database of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// The connection.
    pub(crate) connection: String,
    /// The database; all of them without.
    pub(crate) database: Option<String>,
}

/// A time until which a backup is kept, `forever`, or `none`.
pub(crate) fn pin(text: &str) -> Result<Pin, String> {
    match text {
        "forever" => Ok(Pin::Forever),
        "none" => Ok(Pin::None),
        _ => time(text)
            .map(Pin::Until)
            .map_err(|reason| format!("{reason}, or `forever`, or `none`")),
    }
}

/// How long a pin holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pin {
    /// Until it is removed.
    Forever,
    /// Until then.
    Until(DateTime<Utc>),
    /// Not at all.
    None,
}
