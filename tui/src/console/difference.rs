//! What differs between two documents, in lines for people.

use std::collections::BTreeMap;

use serde_json::Value;

use super::glyph::Glyphs;
use super::theme::Role;

/// One line for each value that was added, taken away or changed; nothing where they are the same.
pub(crate) fn difference(before: &Value, after: &Value, glyphs: &Glyphs) -> Vec<(String, Role)> {
    let (old, new) = (leaves(before), leaves(after));
    let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
    names.sort();
    names.dedup();
    let lines = names
        .into_iter()
        .filter_map(|name| match (old.get(name), new.get(name)) {
            (None, Some(new)) => Some((format!("{} {name}: {new}", glyphs.add), Role::Good)),
            (Some(old), None) => Some((format!("{} {name}: {old}", glyphs.remove), Role::Bad)),
            (Some(old), Some(new)) if old != new => Some((
                format!("{} {name}: {old} {} {new}", glyphs.change, glyphs.arrow()),
                Role::Warning,
            )),
            _ => None,
        });
    lines.collect()
}

/// Every value by its place: `schedule.cron`.
pub(crate) fn leaves(value: &Value) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    collect("", value, &mut all);
    all
}

fn collect(place: &str, value: &Value, all: &mut BTreeMap<String, String>) {
    match value {
        Value::Null => {}
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let place = if place.is_empty() {
                    name.clone()
                } else {
                    format!("{place}.{name}")
                };
                collect(&place, value, all);
            }
        }
        Value::String(text) => {
            all.insert(place.to_owned(), text.clone());
        }
        other => {
            all.insert(place.to_owned(), other.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::console::glyph::ASCII;

    #[test]
    fn it_names_what_was_added_changed_and_taken_away() {
        let before = json!({"name": "nightly", "schedule": {"cron": "0 2 * * *"}, "label": "old", "same": [1]});
        let after = json!({"name": "nightly", "schedule": {"cron": "0 3 * * *"}, "verify": "decoded", "same": [1]});
        let lines: Vec<String> = difference(&before, &after, &ASCII)
            .into_iter()
            .map(|(line, _)| line)
            .collect();
        assert_eq!(
            lines,
            [
                "- label: old",
                "~ schedule.cron: 0 2 * * * -> 0 3 * * *",
                "+ verify: decoded"
            ]
        );
        assert!(difference(&after, &after, &ASCII).is_empty());
    }
}
