//! The forms that add a connection and change one.

mod body;

use backstay_engine::model::{Connection, ConnectionTest};
use serde_json::{Value, json};

use self::body::{command_tail, common, create};
use super::acts;
use crate::client::path;
use crate::console::action::{Action, Tier};
use crate::console::layers::{Confirm, Question};
use crate::console::screen::{Ask, Call, View};
use crate::console::screens::backups::backing_up;
use crate::console::text::shell;
use crate::console::theme::Role;
use crate::console::widgets::form::{Entry, Filled, Form, Step};

/// The field that is wrong, and why.
type Wrong = (&'static str, String);

const MODES: [&str; 5] = ["prefer", "disable", "require", "verify-ca", "verify-full"];

/// Adds a connection: by a URL, or by its parts.
pub(in crate::console::screens) fn add() -> Form {
    let mut entries = address_entries();
    entries.extend(tunnel_entries(""));
    entries.extend([
        Entry::line(
            "environment",
            "Project/environment",
            "Where it belongs; default/default when left out",
            "",
        ),
        Entry::switch(
            "include_new_databases",
            "New databases too",
            "Whether databases made later are backed up as well",
            true,
        ),
        Entry::switch(
            "test",
            "Test before saving",
            "A server that does not answer is not saved",
            true,
        ),
    ]);
    let steps = vec![
        Step {
            button: "Test",
            call: trying,
            closes: false,
            says: Some(tested),
        },
        Step {
            button: "Save",
            call: adding,
            closes: true,
            says: None,
        },
    ];
    Form::new("Add a connection", "", entries, steps).then(offer)
}

/// Changes a connection. What is secret stays where nothing is filled in.
pub(in crate::console::screens) fn edit(own: &Connection) -> Form {
    let ssh = own
        .ssh
        .as_ref()
        .map(|ssh| format!("{}@{}:{}", ssh.user, ssh.host, ssh.port));
    let mut entries = vec![
        Entry::line(
            "name",
            "Name",
            "What it is called here: letters, digits, . _ -",
            &own.name,
        ),
        Entry::line(
            "url",
            "URL",
            "Where another host, user or encryption stands here, the password is needed again",
            &own.url,
        ),
        Entry::secret(
            "password",
            "Password",
            "Left empty, the one that is stored stays",
        ),
    ];
    entries.extend(tunnel_entries(&ssh.unwrap_or_default()));
    entries.extend([
        Entry::line(
            "environment",
            "Project/environment",
            "Where it belongs",
            &format!("{}/{}", own.project, own.environment),
        ),
        Entry::switch(
            "include_new_databases",
            "New databases too",
            "Whether databases made later are backed up as well",
            own.include_new_databases,
        ),
        Entry::switch(
            "test",
            "Test before saving",
            "Changes after which it does not answer are not saved",
            true,
        ),
    ]);
    let steps = vec![Step {
        button: "Save",
        call: changing,
        closes: true,
        says: None,
    }];
    Form::new(format!("Edit {}", own.name), &own.name, entries, steps)
}

fn address_entries() -> Vec<Entry> {
    let modes = MODES.map(ToOwned::to_owned).to_vec();
    vec![
        Entry::line(
            "name",
            "Name",
            "What it is called here: letters, digits, . _ -",
            "",
        ),
        Entry::line(
            "url",
            "URL",
            "postgres://user@host:5432/database?sslmode=verify-full; or leave it and fill in its parts",
            "",
        ),
        Entry::line(
            "host",
            "Host",
            "Name, address, or the folder of a Unix socket; where there is no URL",
            "",
        ),
        Entry::line("port", "Port", "5432 when left out", ""),
        Entry::line(
            "user",
            "User",
            "The role it logs in as; one that may read everything",
            "",
        ),
        Entry::line(
            "database",
            "Database",
            "The one it opens first; all are found from there",
            "",
        ),
        Entry::choice(
            "tls",
            "Encryption",
            "How the session is encrypted; verify-full also proves which server it is",
            modes,
            "prefer",
        ),
        Entry::secret(
            "password",
            "Password",
            "Kept encrypted; it is never shown again",
        ),
    ]
}

fn tunnel_entries(ssh: &str) -> [Entry; 3] {
    [
        Entry::line(
            "ssh",
            "Through SSH",
            "user@host or user@host:port; left empty, directly",
            ssh,
        ),
        Entry::line(
            "ssh.private_key",
            "SSH key file",
            "The private key's file on this machine, such as ~/.ssh/id_ed25519",
            "",
        ),
        Entry::secret(
            "ssh.password",
            "SSH password",
            "The account's password, or the key's passphrase",
        ),
    ]
}

fn trying(filled: &Filled<'_>, _: &str) -> Result<Call, Wrong> {
    let body = create(filled)?;
    Ok(Call {
        method: "POST",
        path: path(&["connections", "test"]),
        command: format!("backstay connection test {}", command_tail(&body)),
        body: Some(body),
        says: String::new(),
        topics: &[],
        tag: 0,
    })
}

fn adding(filled: &Filled<'_>, _: &str) -> Result<Call, Wrong> {
    let body = create(filled)?;
    let name = filled.text("name");
    if name.is_empty() {
        return Err(("name", "It needs a name".to_owned()));
    }
    let tail = command_tail(&body);
    Ok(Call {
        method: "POST",
        path: path(&["connections"]),
        command: format!("backstay connection add {} {tail}", shell(&name)),
        body: Some(body),
        says: format!("Adding {name}"),
        topics: &["connection", "database"],
        tag: 0,
    })
}

fn changing(filled: &Filled<'_>, subject: &str) -> Result<Call, Wrong> {
    let mut body = common(filled)?;
    if filled.text("url").is_empty() {
        return Err(("url", "It needs a URL".to_owned()));
    }
    if filled.text("ssh").is_empty() {
        body.insert("remove_ssh".to_owned(), json!(true));
    }
    let body = Value::Object(body);
    let mut command = format!(
        "backstay connection edit {} --url {}",
        shell(subject),
        command_tail(&body)
    );
    let name = filled.text("name");
    if name != subject {
        command.push_str(&format!(" --name {}", shell(&name)));
    }
    Ok(Call {
        method: "PATCH",
        path: path(&["connections", subject]),
        body: Some(body),
        says: format!("Changing {subject}"),
        command,
        topics: &["connection", "database"],
        tag: 0,
    })
}

fn tested(answer: &Value) -> Vec<(String, Role)> {
    match serde_json::from_value::<ConnectionTest>(answer.clone()) {
        Ok(test) => acts::tested(&test),
        Err(_) => vec![("The answer was not understood".to_owned(), Role::Bad)],
    }
}

/// What comes after a connection was added.
fn offer(answer: &Value, view: &View<'_>) -> Vec<Ask> {
    let Some(name) = answer["name"].as_str() else {
        return Vec::new();
    };
    let known = match answer["server_version"].as_str() {
        Some(version) => format!("{} It answers, and is version {version}.", view.glyphs.ok),
        None => "It was saved without a test.".to_owned(),
    };
    let question = Question {
        title: format!("{name} was added"),
        lines: vec![
            (known, Role::Good),
            (
                "Look for its databases, and make a first backup of all of them now?".to_owned(),
                Role::Text,
            ),
        ],
        tier: Tier::Safe,
        name: String::new(),
        button: "Back up now".to_owned(),
        calls: vec![acts::discovering(name), backing_up(name, None)],
        action: Action::Add,
    };
    vec![Ask::Layer(Box::new(Confirm::new(question, view.now)))]
}
