//! Chosen tables under other names: what may be asked for, and where everything goes.

use std::collections::{HashMap, HashSet};

use super::choose::{Choice, Chosen, choose, is_relation};
use crate::error::{Error, Result};
use crate::source::postgres::logical::object::{Object, ObjectNumber};

/// The longest name PostgreSQL keeps, in bytes.
const NAME_BYTES_MAX: usize = 63;

/// A relation's schema and name.
pub type Place = (String, String);

/// An error when choices contradict each other or name what cannot be.
pub fn check(choices: &[Choice]) -> Result<()> {
    let mut named = HashSet::new();
    let mut taken: HashMap<Place, &Choice> = HashMap::new();
    for choice in choices {
        let own = (choice.schema.clone(), choice.name.clone());
        if !named.insert(own.clone()) {
            return Err(refused(format!("{} is chosen twice", label(&own)))
                .hint("Name each table once; restore it a second time for a second copy"));
        }
        let place = choice.new.clone().unwrap_or(own);
        if [&place.0, &place.1]
            .iter()
            .any(|name| name.len() > NAME_BYTES_MAX)
        {
            return Err(refused(format!("{} is too long a name", label(&place)))
                .hint("Use at most 63 bytes: PostgreSQL cuts longer names off"));
        }
        if let Some(other) = taken.insert(place.clone(), choice) {
            return Err(refused(format!(
                "{}.{} and {}.{} would both become {}",
                other.schema,
                other.name,
                choice.schema,
                choice.name,
                label(&place)
            ))
            .hint("Give each of them a name of its own"));
        }
    }
    for choice in choices {
        let Some(new) = &choice.new else { continue };
        let is_own = (&new.0, &new.1) == (&choice.schema, &choice.name);
        if !is_own && named.contains(new) {
            return Err(refused(format!(
                "{}.{} cannot become {}, which is chosen itself",
                choice.schema,
                choice.name,
                label(new)
            ))
            .hint("Restore them one after the other"));
        }
    }
    Ok(())
}

fn refused(message: String) -> Error {
    Error::invalid(message).field(
        "objects",
        "must be different tables with different new names",
    )
}

/// `schema.name`, for messages.
pub fn label(place: &Place) -> String {
    format!("{}.{}", place.0, place.1)
}

/// Where the relations that were asked for go, each with its partitions and sequences.
pub fn places(
    objects: &[Object],
    choices: &[Choice],
    chosen: &Chosen,
) -> Result<HashMap<ObjectNumber, Place>> {
    let asked = |chosen: &Chosen| -> Vec<&Object> {
        objects
            .iter()
            .filter(|object| {
                is_relation(object.kind)
                    && chosen.objects.contains(&object.number)
                    && !chosen.needed.contains(&object.number)
            })
            .collect()
    };
    let own = |object: &Object| {
        let schema = object.schema.clone().unwrap_or_default();
        (schema, object.name.clone())
    };
    let mut places: HashMap<ObjectNumber, Place> = asked(chosen)
        .into_iter()
        .map(|object| (object.number, own(object)))
        .collect();
    for choice in choices {
        let Some((new_schema, new_name)) = &choice.new else {
            continue;
        };
        for object in asked(&choose(objects, std::slice::from_ref(choice))?) {
            let itself = own(object) == (choice.schema.clone(), choice.name.clone());
            let name = if itself {
                new_name.clone()
            } else {
                follow(&choice.name, new_name, &object.name)
            };
            places.insert(object.number, (new_schema.clone(), name));
        }
    }
    Ok(places)
}

/// The name of a part once its table is renamed: `t_pkey` follows `t` to `new_pkey`.
pub fn follow(old: &str, new: &str, part: &str) -> String {
    match part.strip_prefix(old) {
        Some(rest) => cut(&format!("{new}{rest}")),
        None => cut(&format!("{new}_{part}")),
    }
}

/// As much of a name as PostgreSQL keeps.
pub fn cut(name: &str) -> String {
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
