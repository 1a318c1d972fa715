//! The body of a change: what is left out stays, and `null` clears what can be cleared.

use axum::extract::{FromRequest, Request};
use backstay_engine::error::FieldError;
use backstay_engine::model::{Cleared, Edit};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{BODY_MAX_BYTES, decode, object, refuse};
use crate::problem::Problem;

/// A change in JSON; an empty body stands for `{}`.
#[derive(Debug)]
pub(crate) struct Change<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Edit> FromRequest<S> for Change<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let mut value = object(request, BODY_MAX_BYTES).await?;
        // What is no field at all is named first.
        decode::<T>(value.clone())?;
        clear::<T>(&mut value)?;
        decode(value).map(Self)
    }
}

/// Puts what clears a field in place of its `null`.
fn clear<T: Edit>(value: &mut Value) -> Result<(), Problem> {
    let Some(members) = value.as_object_mut() else {
        return Ok(());
    };
    let mut refused = Vec::new();
    let mut cleared = Vec::new();
    for (name, member) in &*members {
        if member.is_null() {
            match T::CLEARED.iter().find(|(field, _)| field == name) {
                Some((field, how)) => cleared.push((*field, *how)),
                None => refused.push(name.clone()),
            }
        }
        let group = member.as_object().filter(|_| T::IS_GROUPED);
        let nulls = group.into_iter().flatten().filter(|(_, it)| it.is_null());
        refused.extend(nulls.map(|(field, _)| format!("{name}.{field}")));
    }
    if !refused.is_empty() {
        let errors = refused.into_iter().map(|field| FieldError {
            field,
            message: "cannot be null; leave it out to keep it".to_owned(),
        });
        return Err(refuse(errors.collect()));
    }
    for (field, how) in cleared {
        match how {
            Cleared::As(json) => {
                let empty = serde_json::from_str(json).unwrap_or_default();
                members.insert(field.to_owned(), empty);
            }
            Cleared::By(other) => {
                members.remove(field);
                members.insert(other.to_owned(), Value::Bool(true));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use backstay_engine::model::{
        ApiKeyEdit, BackupEdit, ConnectionEdit, DrillEdit, EnvironmentEdit, GroupEdit, JobEdit,
        ProjectEdit, RepositoryEdit, SettingsEdit, SystemTaskEdit, TargetEdit, UserEdit,
    };
    use serde_json::json;
    use utoipa::PartialSchema;

    use super::*;

    async fn changed<T: DeserializeOwned + Edit>(body: Value) -> Result<T, Vec<String>> {
        let request = Request::new(Body::from(body.to_string()));
        let read = Change::<T>::from_request(request, &()).await;
        read.map(|Change(edit)| edit).map_err(|problem| {
            let errors = problem.field_errors().iter();
            errors.map(|error| error.field.clone()).collect()
        })
    }

    /// Every field of a change is cleared by `null` or refused by name, and what clears one is understood.
    async fn check<T: DeserializeOwned + Edit + serde::Serialize + PartialSchema>() {
        let schema = serde_json::to_value(T::schema()).unwrap();
        let fields = schema["properties"].as_object().unwrap();
        for (name, how) in T::CLEARED {
            assert!(fields.contains_key(*name), "{name}");
            let edit: T = changed(json!({ *name: null })).await.unwrap();
            let said = serde_json::to_value(&edit).unwrap();
            match how {
                Cleared::As(json) => {
                    assert_eq!(said[name], serde_json::from_str::<Value>(json).unwrap());
                }
                Cleared::By(other) => assert_eq!(said, json!({ *other: true })),
            }
        }
        for name in fields.keys() {
            let is_cleared = T::CLEARED.iter().any(|(field, _)| field == name);
            let changed = changed::<T>(json!({ name: null })).await;
            assert_eq!(changed.err(), (!is_cleared).then(|| vec![name.clone()]));
        }
    }

    #[tokio::test]
    async fn null_clears_a_field_or_is_refused_by_name() {
        check::<ApiKeyEdit>().await;
        check::<BackupEdit>().await;
        check::<ConnectionEdit>().await;
        check::<DrillEdit>().await;
        check::<EnvironmentEdit>().await;
        check::<GroupEdit>().await;
        check::<JobEdit>().await;
        check::<ProjectEdit>().await;
        check::<RepositoryEdit>().await;
        check::<SettingsEdit>().await;
        check::<SystemTaskEdit>().await;
        check::<TargetEdit>().await;
        check::<UserEdit>().await;
    }

    #[tokio::test]
    async fn nulls_inside_groups_are_refused_and_unknown_fields_first() {
        let body = json!({"rate_limits": {"enabled": null}, "metrics": null});
        let mut named = changed::<SettingsEdit>(body).await.unwrap_err();
        named.sort();
        assert_eq!(named, ["metrics", "rate_limits.enabled"]);
        let body = json!({"colour": null, "name": null});
        assert_eq!(
            changed::<RepositoryEdit>(body).await.unwrap_err(),
            ["colour"]
        );
    }
}
