//! Settings as rows: every one by its name, with its value and what it is for.

use backstay_engine::{Error, Result};
use serde_json::{Map, Value, json};

use crate::client::path;
use crate::console::difference::leaves;
use crate::console::store::{Answer, Keyed, List, Want};

/// One setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// With its group: `logs.run_days`.
    pub(super) name: String,
    /// As JSON.
    pub(super) value: Value,
}

impl Keyed for Row {
    fn key(&self) -> String {
        self.name.clone()
    }
}

impl Row {
    /// The value as people read it.
    pub(super) fn text(&self) -> String {
        match &self.value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    /// What the setting is for.
    pub(super) fn help(&self) -> &'static str {
        HELP.iter()
            .find(|(name, _)| *name == self.name)
            .map_or("", |(_, help)| help)
    }
}

const HELP: &[(&str, &str)] = &[
    (
        "public_url",
        "Where others reach this engine; in addresses that it hands out",
    ),
    (
        "rate_limits.enabled",
        "Whether anybody's requests are counted",
    ),
    (
        "rate_limits.authentication_per_minute",
        "Attempts to log in, per address and minute",
    ),
    (
        "rate_limits.reads_per_minute",
        "Requests without a key that change nothing, per address and minute",
    ),
    (
        "rate_limits.writes_per_minute",
        "Requests without a key that change something, per address and minute",
    ),
    (
        "rate_limits.free_per_hour",
        "Requests with a key of the tier free, per hour",
    ),
    (
        "rate_limits.professional_per_hour",
        "Requests with a key of the tier professional, per hour",
    ),
    ("metrics.open", "Whether /metrics answers everybody"),
    (
        "alerts.repository_full_percent",
        "A repository is nearly full from this share on",
    ),
    (
        "alerts.size_anomaly_percent",
        "A backup is of an odd size when it differs by more than this share",
    ),
    (
        "outbound.allow_metadata_addresses",
        "Whether link-local addresses of clouds may be reached",
    ),
    (
        "retention.max_delete_percent",
        "The largest share of backups that one application of rules may delete",
    ),
    ("sessions.lifetime_seconds", "How long a login lasts"),
    (
        "logs.run_days",
        "Days after which the log of a run goes; 0: never",
    ),
    ("logs.run_count", "Of how many runs logs are kept"),
    (
        "maintenance.check_read_percent",
        "How much of each repository the task check reads",
    ),
    (
        "maintenance.keep_runs_days",
        "Days after which runs go; 0: never",
    ),
];

/// The settings, one row each.
pub(super) fn rows() -> Want {
    Want::rows_of::<Row>(path(&["settings"]), read).every(60)
}

fn read(bytes: &[u8]) -> Result<Answer> {
    let document: Value = serde_json::from_slice(bytes).map_err(|error| {
        Error::internal("The engine's answer was not understood").because(error)
    })?;
    let items = flat("", &document);
    Ok(Box::new(List::new(items, None)))
}

fn flat(place: &str, value: &Value) -> Vec<Row> {
    let Value::Object(fields) = value else {
        return vec![Row {
            name: place.to_owned(),
            value: value.clone(),
        }];
    };
    let rows = fields.iter().flat_map(|(name, value)| {
        let place = if place.is_empty() {
            name.clone()
        } else {
            format!("{place}.{name}")
        };
        flat(&place, value)
    });
    rows.collect()
}

/// The document that rows were made of.
pub(super) fn document(rows: &[Row]) -> Value {
    let mut all = Value::Object(Map::new());
    for row in rows {
        let one = nested(&row.name, row.value.clone());
        merge(&mut all, one);
    }
    all
}

/// `{"logs": {"run_days": 3}}`
pub(super) fn nested(name: &str, value: Value) -> Value {
    name.rsplit('.')
        .fold(value, |value, name| json!({ name: value }))
}

fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

/// What of a document is another than in `before`; nothing when none is. What was left out stays.
pub(super) fn changed(before: &Value, text: &str) -> std::result::Result<Option<Value>, String> {
    let after: Value =
        serde_json::from_str(text).map_err(|error| format!("It is not JSON: {error}"))?;
    if !after.is_object() {
        return Err("It is not a JSON object".to_owned());
    }
    let old = leaves(before);
    let mut edit = Value::Object(Map::new());
    for row in flat("", &after) {
        let now = match &row.value {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        if old.get(&row.name) == now.as_ref() {
            continue;
        }
        let value = if row.value.is_null() {
            json!("")
        } else {
            row.value
        };
        merge(&mut edit, nested(&row.name, value));
    }
    Ok(Some(edit).filter(|edit| edit.as_object().is_some_and(|own| !own.is_empty())))
}

/// Says what is wrong with a document before it is handed on.
pub(super) fn check(text: &str) -> std::result::Result<(), String> {
    changed(&Value::Null, text).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_a_help() {
        let all = serde_json::to_value(backstay_engine::model::Settings::default()).unwrap();
        for row in flat("", &all) {
            assert!(!row.help().is_empty(), "{}", row.name);
        }
    }

    #[test]
    fn only_what_was_changed_is_sent() {
        let before = json!({"public_url": "https://a", "logs": {"run_days": 90, "run_count": 5}});
        assert_eq!(document(&flat("", &before)), before);
        let text = r#"{"public_url": null, "logs": {"run_days": 30, "run_count": 5}}"#;
        assert_eq!(
            changed(&before, text),
            Ok(Some(json!({"public_url": "", "logs": {"run_days": 30}})))
        );
        assert_eq!(changed(&before, &before.to_string()), Ok(None));
        assert!(changed(&before, "{").is_err());
        assert!(changed(&before, "3").is_err());
    }
}
