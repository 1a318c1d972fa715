//! `settings …`

use backstay_engine::model::Settings;
use backstay_engine::{Code, Error, Result};
use serde_json::{Map, Value, json};

use super::args::SettingsCommand;
use super::failure::Done;
use super::output::{Table, none};
use super::session::Session;
use crate::client::path;

/// Does what `settings …` says.
pub(crate) async fn settings(session: &Session, command: SettingsCommand) -> Done {
    let client = session.engine().await?;
    let target = path(&["settings"]);
    match command {
        SettingsCommand::Get(args) => {
            let settings: Value = client.get(&target).await?;
            let Some(key) = args.key else {
                return session
                    .output
                    .record(&settings, |paint, all| rows(all).render(paint));
            };
            let value = find(&settings, &key)?;
            session.output.record(value, |paint, value| match value {
                Value::Object(_) => rows(value).render(paint),
                value => text(value),
            })
        }
        SettingsCommand::Set(args) => {
            let known = serde_json::to_value(Settings::default())
                .map_err(|error| Error::internal("Settings are not JSON").because(error))?;
            let is_text = matches!(find(&known, &args.key)?, Value::Null | Value::String(_));
            let value = if is_text {
                Value::String(args.value)
            } else {
                serde_json::from_str(&args.value).unwrap_or(Value::String(args.value))
            };
            let edit = args
                .key
                .rsplit('.')
                .fold(value, |value, name| json!({ name: value }));
            let settings: Value = client.put(&target, &edit).await?;
            let value = find(&settings, &args.key)?;
            session
                .output
                .record(value, |_, value| format!("{} = {}", args.key, text(value)))
        }
    }
}

fn find<'a>(settings: &'a Value, key: &str) -> Result<&'a Value> {
    let found = key
        .split('.')
        .try_fold(settings, |value, name| value.get(name));
    found.ok_or_else(|| {
        Error::new(
            Code::SettingNotFound,
            format!("There is no setting \"{key}\""),
        )
        .hint("`backstay settings get` shows every key")
    })
}

fn rows(settings: &Value) -> Table {
    let mut table = Table::facts();
    for (name, value) in settings.as_object().unwrap_or(&Map::new()) {
        match value {
            Value::Object(group) => {
                for (own, value) in group {
                    table.fact(&format!("{name}.{own}"), text(value));
                }
            }
            value => {
                table.fact(name, text(value));
            }
        }
    }
    table
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => none(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}
