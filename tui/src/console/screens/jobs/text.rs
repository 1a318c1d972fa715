//! A job as a document that can be edited, and what of it was changed.

use backstay_engine::model::{Job, JobEdit};
use serde_json::{Map, Value, json};

/// What of a job can be edited, as JSON; what is absent stands there as null.
pub(super) fn document(job: &Job) -> Value {
    let work = &job.work;
    json!({
        "name": job.name,
        "enabled": job.enabled,
        "databases": work.databases,
        "repositories": job.repositories,
        "schedule": job.schedule,
        "retention": work.retention,
        "verify": work.verify,
        "label": work.label,
        "type": work.backup_type,
        "schemas": work.schemas,
        "tables": work.tables,
        "exclude_tables": work.exclude_tables,
        "retries": work.retries,
        "max_runtime_seconds": work.max_runtime_seconds,
        "hooks": work.hooks,
    })
}

/// What was changed in a document that began as `before`; nothing when nothing was. What was left out stays.
pub(super) fn changed(before: &Value, text: &str) -> Result<Option<JobEdit>, String> {
    let after = read(text)?;
    let mut edit = Map::new();
    for (name, value) in after {
        if before.get(&name) == Some(&value) {
            continue;
        }
        match (name.as_str(), value.is_null()) {
            ("schedule", true) => {
                edit.insert("unschedule".to_owned(), json!(true));
            }
            (_, true) => {
                edit.insert(name.clone(), nothing(&name)?);
            }
            _ => {
                edit.insert(name, value);
            }
        }
    }
    if edit.is_empty() {
        return Ok(None);
    }
    let read = serde_json::from_value(Value::Object(edit));
    read.map(Some).map_err(|error| error.to_string())
}

/// Says what is wrong with a document before it is handed on.
pub(super) fn check(text: &str) -> Result<(), String> {
    changed(&Value::Null, text).map(|_| ())
}

fn read(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("It is not a JSON object".to_owned()),
        Err(error) => Err(format!("It is not JSON: {error}")),
    }
}

/// What takes a value away.
fn nothing(name: &str) -> Result<Value, String> {
    Ok(match name {
        "label" => json!(""),
        "type" => json!("full"),
        "verify" => json!("none"),
        "max_runtime_seconds" => json!(0),
        "retention" => json!({}),
        "retries" => json!({"attempts": 0, "backoff_seconds": 0}),
        "databases" | "repositories" | "schemas" | "tables" | "exclude_tables" | "hooks" => {
            json!([])
        }
        other => return Err(format!("\"{other}\" cannot be null")),
    })
}
