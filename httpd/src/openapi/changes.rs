//! What `null` says in the bodies of changes.

use backstay_engine::model::{
    ApiKeyEdit, BackupEdit, ConnectionEdit, DrillEdit, Edit, EnvironmentEdit, GroupEdit, JobEdit,
    ProjectEdit, RepositoryEdit, SettingsEdit, SystemTaskEdit, TargetEdit, UserEdit,
};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::values_of;

/// Says of each field of a change whether `null` clears it.
pub(super) fn apply(document: &mut Value) {
    let schemas = &mut document["components"]["schemas"];
    change::<ApiKeyEdit>(schemas);
    change::<BackupEdit>(schemas);
    change::<ConnectionEdit>(schemas);
    change::<DrillEdit>(schemas);
    change::<EnvironmentEdit>(schemas);
    change::<GroupEdit>(schemas);
    change::<JobEdit>(schemas);
    change::<ProjectEdit>(schemas);
    change::<RepositoryEdit>(schemas);
    change::<SettingsEdit>(schemas);
    change::<SystemTaskEdit>(schemas);
    change::<TargetEdit>(schemas);
    change::<UserEdit>(schemas);
}

fn change<T: Edit + ToSchema>(schemas: &mut Value) {
    let Some(fields) = schemas[&*T::name()]["properties"].as_object_mut() else {
        return;
    };
    let mut groups = Vec::new();
    for (name, schema) in fields {
        if T::CLEARED.iter().any(|(field, _)| field == name) {
            let before = schema["description"].as_str().unwrap_or_default();
            schema["description"] = json!(format!("{before} `null` clears it.").trim());
            continue;
        }
        never_null(schema);
        groups.extend(group_of(schema).filter(|_| T::IS_GROUPED));
    }
    for group in groups {
        values_of(&mut schemas[&group]["properties"]).for_each(never_null);
    }
}

/// The schema that a field refers to.
fn group_of(schema: &Value) -> Option<String> {
    let name = schema["$ref"].as_str()?.rsplit('/').next()?;
    Some(name.to_owned())
}

fn never_null(schema: &mut Value) {
    if let Some(types) = schema["type"].as_array() {
        let rest: Vec<_> = types.iter().filter(|it| *it != "null").cloned().collect();
        schema["type"] = match &rest[..] {
            [one] => one.clone(),
            _ => Value::Array(rest),
        };
    }
    let choices = schema["oneOf"].as_array();
    let rest = choices.and_then(|all| all.iter().find(|it| it["type"] != "null").cloned());
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    if members.get("default").is_some_and(Value::is_null) {
        members.remove("default");
    }
    if let Some(Value::Object(rest)) = rest {
        members.remove("oneOf");
        members.extend(rest);
    }
}
