//! The forms of repositories: adding one, and how much a check reads.

use backstay_engine::model::{Repository, RepositoryCreated, RepositoryTest};
use serde_json::{Value, json};

use crate::client::path;
use crate::console::screen::Call;
use crate::console::text::{bytes, shell};
use crate::console::theme::Role;
use crate::console::widgets::form::{Entry, Filled, Form, Step};

type Refused = (&'static str, String);

/// A form for a new repository, or one that is there already.
pub(super) fn adding(first: bool) -> Form {
    let entries = vec![
        Entry::line("name", "Name", "What it is called here", ""),
        Entry::line(
            "location",
            "Location",
            "/path on the engine's machine, s3://bucket/prefix or sftp://user@host/path",
            "",
        ),
        Entry::secret(
            "passphrase",
            "Passphrase",
            "Opens what is there already, or what is made; empty: a key file is made beside the catalog",
        ),
        Entry::secret("again", "Again", "The same passphrase once more"),
        Entry::secret(
            "recovery_code",
            "Recovery code",
            "Only for a repository that is there already: from its recovery kit",
        ),
        Entry::switch(
            "default",
            "Default",
            "Backups go there when no other is named",
            first,
        ),
    ];
    let steps = vec![
        Step {
            button: "Test",
            call: testing,
            closes: false,
            says: Some(tested),
        },
        Step {
            button: "Add",
            call: add,
            closes: true,
            says: Some(added),
        },
    ];
    Form::new("Add a repository", "", entries, steps)
}

fn place(filled: &Filled<'_>) -> Result<String, Refused> {
    match filled.text("location") {
        text if text.is_empty() => Err(("location", "It is needed".to_owned())),
        text if text.contains("://") || text.starts_with('/') => Ok(text),
        _ => Err((
            "location",
            "A folder needs its whole path, from / on".to_owned(),
        )),
    }
}

fn testing(filled: &Filled<'_>, _: &str) -> Result<Call, Refused> {
    let location = place(filled)?;
    Ok(Call {
        method: "POST",
        path: path(&["repositories", "test"]),
        body: Some(json!({ "location": location })),
        says: String::new(),
        command: format!("backstay repository test {}", shell(&location)),
        topics: &[],
        tag: 0,
    })
}

fn tested(answer: &Value) -> Vec<(String, Role)> {
    let Ok(test) = serde_json::from_value::<RepositoryTest>(answer.clone()) else {
        return Vec::new();
    };
    let role = if test.ok { Role::Good } else { Role::Bad };
    let word = if test.ok { "ok" } else { "failed" };
    let mut lines = vec![(format!("{word}: {}", test.message), role)];
    lines.extend(test.hint.map(|hint| (hint, Role::Text)));
    if test.ok {
        let holds = if test.exists {
            "A repository is there already: it is opened, not made"
        } else {
            "Nothing is there yet: a repository is made"
        };
        lines.push((holds.to_owned(), Role::Text));
    }
    if let Some(free) = test.free_bytes {
        lines.push((format!("{} are free there", bytes(free)), Role::Text));
    }
    lines
}

fn add(filled: &Filled<'_>, _: &str) -> Result<Call, Refused> {
    let name = filled.text("name");
    if name.is_empty() {
        return Err(("name", "It is needed".to_owned()));
    }
    let location = place(filled)?;
    let (passphrase, again) = (filled.maybe("passphrase"), filled.maybe("again"));
    if passphrase != again {
        return Err(("again", "The two passphrases differ".to_owned()));
    }
    let mut body = json!({
        "name": name,
        "location": location,
        "default": filled.is_on("default"),
    });
    let mut command = format!(
        "backstay repository add {} {}",
        shell(&name),
        shell(&location)
    );
    let code = filled.maybe("recovery_code");
    for (field, value, flag) in [
        ("passphrase", passphrase, "--passphrase-file"),
        ("recovery_code", code, "--recovery-code-file"),
    ] {
        if !value.is_null() {
            body[field] = value;
            command.push_str(&format!(" {flag} FILE"));
        }
    }
    if filled.is_on("default") {
        command.push_str(" --default");
    }
    Ok(Call {
        method: "POST",
        path: path(&["repositories"]),
        body: Some(body),
        says: format!("Adding the repository {name}"),
        command,
        topics: &["repository", "alert"],
        tag: 0,
    })
}

/// What is told once: the recovery code, and what to do with the kit.
fn added(answer: &Value) -> Vec<(String, Role)> {
    let Ok(created) = serde_json::from_value::<RepositoryCreated>(answer.clone()) else {
        return Vec::new();
    };
    let repository = &created.repository;
    let mut lines = vec![
        (
            format!("{} is there, at {}", repository.name, repository.location),
            Role::Good,
        ),
        (String::new(), Role::Text),
    ];
    if let Some(code) = &created.recovery_code {
        lines.extend([
            (
                "Its recovery code, which is shown only this once:".to_owned(),
                Role::Text,
            ),
            (format!("  {code}"), Role::Title),
            (String::new(), Role::Text),
        ]);
    }
    lines.extend(kit(repository));
    lines
}

/// Why the recovery kit should be stored, and how.
pub(super) fn kit(repository: &Repository) -> Vec<(String, Role)> {
    vec![
        (
            "Without its key nobody reads the backups, when this machine is lost neither do you."
                .to_owned(),
            Role::Warning,
        ),
        (
            "Store the recovery kit away from this machine, on paper or in a safe:".to_owned(),
            Role::Text,
        ),
        (
            format!(
                "  $ backstay repository recovery-kit {}",
                shell(&repository.name)
            ),
            Role::Key,
        ),
        (
            "It holds the address, the id and the recovery code; whoever has it can read all."
                .to_owned(),
            Role::Text,
        ),
    ]
}

/// How much a check reads.
pub(super) fn checking(repository: &Repository) -> Form {
    let entry = Entry::line(
        "read_data_percent",
        "Reads",
        "Percent of the data that is read, decrypted and compared; 0: only that all of it is there",
        "10",
    );
    let step = Step {
        button: "Check",
        call: check,
        closes: true,
        says: None,
    };
    let title = format!("Check the repository {}", repository.name);
    Form::new(title, &repository.name, vec![entry], vec![step])
}

fn check(filled: &Filled<'_>, name: &str) -> Result<Call, Refused> {
    let field = "read_data_percent";
    let percent: u8 = filled
        .text(field)
        .trim_end_matches('%')
        .trim()
        .parse()
        .ok()
        .filter(|percent| *percent <= 100)
        .ok_or((field, "Write a whole number from 0 to 100".to_owned()))?;
    let mut command = format!("backstay repository check {}", shell(name));
    if percent > 0 {
        command.push_str(&format!(" --read-data {percent}%"));
    }
    Ok(Call {
        method: "POST",
        path: path(&["repositories", name, "check"]),
        body: Some(json!({ "read_data_percent": percent })),
        says: format!("Starting a check of {name}"),
        command,
        topics: &["run", "repository"],
        tag: 0,
    })
}
