//! `repository key …`

use std::path::Path;

use backstay_engine::ids::SlotId;
use backstay_engine::model::{KeyCreate, KeyMade, KeySlot, Page, Repository};
use backstay_engine::secret::SecretText;
use backstay_engine::{Error, Result};
use serde::Serialize;
use serde_json::Value;

use super::private::answered_into;
use crate::cli::args::{RepositoryKeyAdd, RepositoryKeyCommand, RepositoryKeyRemove};
use crate::cli::failure::Done;
use crate::cli::output::{Align, Table, Tone, clean, none, time};
use crate::cli::session::Session;
use crate::cli::{confirm, secrets};
use crate::client::path;

/// Does what `repository key …` says.
pub(super) async fn key(session: &Session, command: RepositoryKeyCommand) -> Done {
    match command {
        RepositoryKeyCommand::List(name) => list(session, &name.name).await,
        RepositoryKeyCommand::Add(args) => add(session, args).await,
        RepositoryKeyCommand::Remove(args) => remove(session, &args).await,
    }
}

async fn list(session: &Session, name: &str) -> Done {
    let client = session.engine().await?;
    let page: Page<KeySlot> = client.get(&path(&["repositories", name, "keys"])).await?;
    let empty = "Nothing opens the repository.";
    session.output.list(&page, empty, |_, items| {
        let mut table = Table::new(&[
            ("KEY", Align::Left),
            ("OPENED BY", Align::Left),
            ("LABEL", Align::Left),
            ("MADE", Align::Left),
            ("USED BY", Align::Left),
        ]);
        for item in items {
            let kind = item.kind.map(|kind| kind.as_str().replace('_', " "));
            let label = item.label.as_deref().map(|label| clean(label).into_owned());
            let row = table.row([
                clean(&item.id).into_owned(),
                kind.unwrap_or_else(none),
                label.unwrap_or_else(none),
                item.created_at.map_or_else(none, time),
                used_by(item),
            ]);
            if item.problem.is_some() {
                row.tone(4, Tone::Bad);
            }
        }
        table
    })
}

fn used_by(slot: &KeySlot) -> String {
    if let Some(problem) = &slot.problem {
        return format!("nobody: {}", clean(problem));
    }
    match (slot.used_here, slot.in_kit) {
        (true, true) => "this engine, kit".to_owned(),
        (true, false) => "this engine".to_owned(),
        (false, true) => "kit".to_owned(),
        (false, false) => String::new(),
    }
}

/// A new passphrase: from its file, or typed twice so that it is the one that was meant.
fn new_passphrase(file: Option<&Path>) -> Result<SecretText> {
    if let Some(file) = file {
        return secrets::first_line(file, "passphrase");
    }
    let ask = |question| {
        secrets::ask(question)?.ok_or_else(|| {
            Error::invalid("Nothing was given that is to open the repository")
                .hint("Give --passphrase-file, --recovery-code or --new-key-file")
        })
    };
    let given = ask("New passphrase: ")?;
    if ask("Once more: ")? != given {
        return Err(Error::invalid("The two passphrases differ").hint("Try again"));
    }
    Ok(given)
}

/// The answer, with the file that has the key instead of the key.
#[derive(Serialize)]
struct Added {
    #[serde(flatten)]
    made: KeyMade,
    file: Option<String>,
}

async fn add(session: &Session, args: RepositoryKeyAdd) -> Done {
    let mut create = KeyCreate {
        passphrase: None,
        recovery_code: args.recovery_code,
        key_file: args.new_key_file.is_some(),
        label: args.label,
        use_here: args.use_here,
    };
    if !create.recovery_code && !create.key_file {
        create.passphrase = Some(new_passphrase(args.passphrase_file.as_deref())?);
    }
    let name = &args.repository.name;
    let target = path(&["repositories", name, "keys"]);
    let client = session.engine().await?;
    let asked = client.post::<_, KeyMade>(&target, &create);
    let mut made = match &args.new_key_file {
        None => asked.await?,
        Some(file) => {
            let key = |made: &KeyMade| {
                let key = made.key.as_deref().unwrap_or_default();
                format!("{key}\n").into_bytes()
            };
            answered_into(file, asked, key).await?
        }
    };
    if args.new_key_file.is_some() {
        made.key = None;
    }
    let file = args.new_key_file.map(|file| file.display().to_string());
    session
        .output
        .record(&Added { made, file }, |paint, added| {
            let mut text = format!("Added {} to {name}", added.made.slot.id);
            if let Some(code) = &added.made.recovery_code {
                text.push_str(&format!(
                    "\n\nRecovery code, shown this once: {}\nIt opens the repository. Keep it away from this machine.",
                    paint.strong(code)
                ));
            }
            if let Some(file) = &added.file {
                text.push_str(&format!(
                    "\nIts key is in {file}. Whoever has it can read the backups."
                ));
            }
            if added.made.slot.used_here {
                text.push_str("\nThe engine opens the repository with it from now on.");
            }
            text
        })
}

async fn remove(session: &Session, args: &RepositoryKeyRemove) -> Done {
    let wanted: SlotId = args.key.parse()?;
    let client = session.engine().await?;
    let name = &args.repository.name;
    let repository: Repository = client.get(&path(&["repositories", name])).await?;
    confirm::typed(
        &session.global,
        &format!(
            "Whoever has nothing but the key {wanted} opens {} no more",
            repository.name
        ),
        &repository.name,
    )?;
    let id = repository.id.to_string();
    let keys = path(&["repositories", &id, "keys"]);
    let before: Page<KeySlot> = client.get(&keys).await?;
    let wanted = wanted.to_string();
    let target = path(&["repositories", &id, "keys", &wanted]);
    let _: Value = client.delete(&target).await?;
    let removed = before.items.into_iter().find(|slot| slot.id == wanted);
    let now: Repository = client.get(&path(&["repositories", &id])).await?;
    let was_in_kit = repository.kit_taken_at.is_some() && now.kit_taken_at.is_none();
    session.output.record(&removed, |_, _| {
        let mut text = format!("Removed {wanted} from {}", now.name);
        if was_in_kit {
            text.push_str(&format!(
                "\nThe recovery kit opens nothing any more: `backstay repository recovery-kit {}` makes a new one.",
                now.name
            ));
        }
        text
    })
}
