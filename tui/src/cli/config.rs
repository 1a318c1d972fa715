//! `config …`

use std::io::{Read as _, Write as _};
use std::path::Path;

use backstay_engine::model::{
    ConfigDocument, ConfigExportRequest, ConfigImport as Imported, ConfigImportRequest, ConfigItem,
    ConfigState,
};
use backstay_engine::secret::SecretText;
use backstay_engine::{Error, Result};
use serde_json::{Value, json};

use super::args::{ConfigCommand, ConfigExport, ConfigImport};
use super::confirm;
use super::failure::{Done, Failure, create_private, unwritable};
use super::output::{Align, Paint, Table, Tone, clean, none};
use super::secrets;
use super::session::Session;
use crate::client::path;

/// The largest document that an engine takes.
const DOCUMENT_MAX_BYTES: u64 = 4 << 20;
/// A dry run that found something it cannot take in.
const REFUSED: u8 = 6;

/// Does what `config …` says.
pub(crate) async fn config(session: &Session, command: ConfigCommand) -> Done {
    match command {
        ConfigCommand::Export(args) => export(session, &args).await,
        ConfigCommand::Import(args) => import(session, &args).await,
    }
}

async fn export(session: &Session, args: &ConfigExport) -> Done {
    let request = ConfigExportRequest {
        passphrase: passphrase(args.passphrase_file.as_deref())?,
    };
    let output = args
        .output
        .as_deref()
        .filter(|file| *file != Path::new("-"));
    let client = session.engine().await?;
    let target = path(&["config", "export"]);
    let document: ConfigDocument = client.post(&target, &request).await?;
    let Some(output) = output else {
        return session.output.document(&document);
    };
    let mut text = serde_json::to_string_pretty(&document)
        .map_err(|error| Error::internal("The setup is not JSON").because(error))?;
    text.push('\n');
    let mut file = create_private(output)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|error| unwritable(output, error))?;
    let sealed = document.secrets.is_some();
    let record = json!({"file": output.display().to_string(), "with_secrets": sealed});
    session.output.record(&record, |_, _| {
        let with = if sealed {
            "with secrets, which its passphrase opens"
        } else {
            "without passwords and keys"
        };
        format!("Wrote {}, {with}", output.display())
    })
}

async fn import(session: &Session, args: &ConfigImport) -> Done {
    let document = read(&args.file)?;
    let mut given = passphrase(args.passphrase_file.as_deref())?;
    if given.is_none() && !document["secrets"].is_null() && args.file != Path::new("-") {
        let typed = secrets::ask("Passphrase (nothing leaves passwords and keys out): ")?;
        given = typed.filter(|typed| !typed.expose().is_empty());
    }
    let mut request = ConfigImportRequest {
        document,
        passphrase: given,
        dry_run: true,
        overwrite: args.overwrite,
        paused: args.paused,
    };
    let client = session.engine().await?;
    let target = path(&["config", "import"]);
    if args.dry_run {
        let plan: Imported = client.post(&target, &request).await?;
        session.output.record(&plan, shown)?;
        return match count(&plan, ConfigState::Refused) {
            0 => Ok(()),
            _ => Err(Failure::Exit(REFUSED)),
        };
    }
    if !session.global.yes {
        let plan: Imported = client.post(&target, &request).await?;
        let written = count(&plan, ConfigState::Created) + count(&plan, ConfigState::Changed);
        // What is refused is told as an error, without a question.
        if written > 0 && count(&plan, ConfigState::Refused) == 0 {
            session
                .output
                .note(&shown(session.output.paint_notes, &plan));
            let question = format!("Take in {written} things, as listed?");
            confirm::agree(&session.global, &question)?;
        }
    }
    request.dry_run = false;
    let done: Imported = client.post(&target, &request).await?;
    session.output.record(&done, shown)
}

fn passphrase(file: Option<&Path>) -> Result<Option<SecretText>> {
    file.map(|file| secrets::first_line(file, "passphrase"))
        .transpose()
}

fn read(file: &Path) -> Result<Value> {
    let name = file.display();
    let failed = |error: std::io::Error| {
        Error::invalid(format!("The document {name} could not be read")).because(error)
    };
    let mut bytes = Vec::new();
    let most = DOCUMENT_MAX_BYTES + 1;
    let read = if file == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        let file = std::fs::File::open(file).map_err(failed)?;
        file.take(most).read_to_end(&mut bytes)
    };
    if read.map_err(failed)? as u64 > DOCUMENT_MAX_BYTES {
        return Err(Error::invalid(format!(
            "{name} is larger than {DOCUMENT_MAX_BYTES} bytes, which is the most a document may have"
        )));
    }
    serde_json::from_slice(&bytes).map_err(|error| {
        Error::invalid(format!("{name} is not a document: {error}"))
            .hint("Use what `backstay config export` wrote")
    })
}

fn count(plan: &Imported, state: ConfigState) -> usize {
    let items = plan.items.iter();
    items.filter(|item| item.state == state).count()
}

fn shown(paint: Paint, plan: &Imported) -> String {
    let mut table = Table::new(&[
        ("KIND", Align::Left),
        ("NAME", Align::Left),
        ("STATE", Align::Left),
        ("WHY", Align::Left),
    ]);
    let told = |item: &&ConfigItem| item.state != ConfigState::Unchanged || item.reason.is_some();
    let mut rows = 0;
    for item in plan.items.iter().filter(told) {
        rows += 1;
        table
            .row([
                item.kind.replace('_', " "),
                item.name.clone(),
                item.state.to_string(),
                why(item),
            ])
            .tone(2, tone(item.state));
    }
    let mut text = if rows == 0 {
        String::new()
    } else {
        table.render(paint) + "\n"
    };
    let counted = ConfigState::ALL.iter().filter_map(|state| {
        let count = count(plan, *state);
        (count > 0).then(|| format!("{count} {state}"))
    });
    let counted: Vec<String> = counted.collect();
    let counted = if counted.is_empty() {
        "nothing differs".to_owned()
    } else {
        counted.join(", ")
    };
    let begin = match (plan.dry_run, count(plan, ConfigState::Refused)) {
        (true, 0) => "An import would do this",
        (true, _) => "An import would change nothing, since not all can be taken in",
        (false, _) => "Imported",
    };
    text.push_str(&format!("{begin}: {counted}"));
    text
}

fn why(item: &ConfigItem) -> String {
    let mut parts = Vec::new();
    if !item.fields.is_empty() {
        parts.push(format!("differs in {}", item.fields.join(", ")));
    }
    parts.extend(item.reason.as_deref().map(|text| clean(text).into_owned()));
    if !item.lacks.is_empty() {
        parts.push(format!("lacks its {}", item.lacks.join(", ")));
    }
    if parts.is_empty() {
        return none();
    }
    parts.join("; ")
}

fn tone(state: ConfigState) -> Tone {
    match state {
        ConfigState::Created | ConfigState::Changed => Tone::Good,
        ConfigState::Unchanged => Tone::Faint,
        ConfigState::Kept => Tone::Warning,
        ConfigState::Refused => Tone::Bad,
    }
}
