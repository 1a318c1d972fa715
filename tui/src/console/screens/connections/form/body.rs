//! What the forms send: a URL or the parts of one, a tunnel.

use serde_json::{Map, Value, json};
use url::Url;

use super::Wrong;
use crate::console::text::shell;
use crate::console::widgets::form::Filled;

/// What both forms send.
pub(super) fn common(filled: &Filled<'_>) -> Result<Map<String, Value>, Wrong> {
    let mut body = Map::new();
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            body.insert(name.to_owned(), value);
        }
    };
    put("name", filled.maybe("name"));
    put("url", filled.maybe("url"));
    put("password", filled.maybe("password"));
    put("ssh", tunnel(filled)?);
    let place = filled.text("environment");
    let (project, environment) = place.split_once('/').unwrap_or((&place, ""));
    for (name, value) in [("project", project), ("environment", environment)] {
        if !value.is_empty() {
            put(name, json!(value));
        }
    }
    put(
        "include_new_databases",
        json!(filled.is_on("include_new_databases")),
    );
    put("test", json!(filled.is_on("test")));
    Ok(body)
}

pub(super) fn create(filled: &Filled<'_>) -> Result<Value, Wrong> {
    let mut body = common(filled)?;
    if !body.contains_key("url") {
        body.insert("url".to_owned(), json!(url_of_parts(filled)?));
    }
    Ok(Value::Object(body))
}

/// The URL that the parts make.
fn url_of_parts(filled: &Filled<'_>) -> Result<String, Wrong> {
    let host = filled.text("host");
    if host.is_empty() {
        return Err(("url", "It needs a URL, or a host".to_owned()));
    }
    let port = match filled.text("port").as_str() {
        "" => None,
        text => match text.parse::<u16>() {
            Ok(port) if port > 0 => Some(port),
            _ => return Err(("port", format!("{text} is no port: 1 to 65535"))),
        },
    };
    let socket = host.starts_with('/');
    let named = match &host {
        host if socket || host.starts_with('[') => host.clone(),
        host if host.contains(':') => format!("[{host}]"),
        host => host.clone(),
    };
    let wrong = || ("host", format!("{host} is no host name and no address"));
    let base = if socket { "localhost" } else { &named };
    let mut url = Url::parse(&format!("postgres://{base}")).map_err(|_| wrong())?;
    if url.host_str().is_none_or(str::is_empty) || url.port().is_some() || url.path().len() > 1 {
        return Err(wrong());
    }
    let set = url
        .set_username(&filled.text("user"))
        .and_then(|()| url.set_port(port));
    set.map_err(|()| wrong())?;
    let database = filled.text("database");
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.clear().push(&database);
    }
    let mut query = url.query_pairs_mut();
    query.append_pair("sslmode", &filled.text("tls"));
    if socket {
        query.append_pair("host", &host);
    }
    drop(query);
    Ok(url.to_string())
}

/// `user@host:port` with its key or password; null where there is none.
fn tunnel(filled: &Filled<'_>) -> Result<Value, Wrong> {
    let text = filled.text("ssh");
    if text.is_empty() {
        return Ok(Value::Null);
    }
    let Some((user, place)) = text
        .split_once('@')
        .filter(|(user, host)| !user.is_empty() && !host.is_empty())
    else {
        return Err((
            "ssh",
            "It is written user@host or user@host:port".to_owned(),
        ));
    };
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            let port: u16 = port
                .parse()
                .map_err(|_| ("ssh", format!("{port} is no port")))?;
            (host, Some(port))
        }
        _ => (place, None),
    };
    let mut ssh = json!({ "user": user, "host": host.trim_matches(['[', ']']) });
    if let Some(port) = port {
        ssh["port"] = json!(port);
    }
    let key = filled.text("ssh.private_key");
    let password = filled.text("ssh.password");
    if !key.is_empty() {
        // The file is read where the request is sent.
        ssh["private_key"] = json!({ "$file": key });
    }
    if !password.is_empty() {
        let what = if key.is_empty() {
            "password"
        } else {
            "passphrase"
        };
        ssh[what] = json!(password);
    }
    Ok(ssh)
}

/// The rest of the command line that does the same; secrets it asks for.
pub(super) fn command_tail(body: &Value) -> String {
    let mut words = vec![shell(&without_password(
        body["url"].as_str().unwrap_or_default(),
    ))];
    let ssh = &body["ssh"];
    if let (Some(user), Some(host)) = (ssh["user"].as_str(), ssh["host"].as_str()) {
        let port = ssh["port"]
            .as_u64()
            .map(|port| format!(":{port}"))
            .unwrap_or_default();
        words.push(format!("--ssh {}", shell(&format!("{user}@{host}{port}"))));
    }
    if let Some(key) = ssh["private_key"]["$file"].as_str() {
        words.push(format!("--ssh-key {}", shell(key)));
    }
    words.join(" ")
}

/// No command line holds a secret.
fn without_password(url: &str) -> String {
    let Ok(mut parsed) = Url::parse(url) else {
        return url.to_owned();
    };
    if parsed.password().is_none() || parsed.set_password(None).is_err() {
        return url.to_owned();
    }
    parsed.to_string()
}
