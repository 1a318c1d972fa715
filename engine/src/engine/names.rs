//! What records may be called.

use crate::error::{Error, Result};

/// Longest name of a record, in bytes.
const MAX_NAME_BYTES: usize = 64;
/// Longest label, and longest note.
const MAX_LABEL_BYTES: usize = 200;
const MAX_NOTE_BYTES: usize = 4000;
/// Words that paths of the API use beside names.
const RESERVED: &[&str] = &[
    "cron-presets",
    "cron-preview",
    "databases",
    "default",
    "events",
    "rebuild",
    "test",
];

/// A name that fits into `CONNECTION/DATABASE@TIME`, into paths and into file names.
pub(super) fn check(noun: &str, name: &str) -> Result<()> {
    let why = if name.is_empty() {
        "must not be empty"
    } else if name.len() > MAX_NAME_BYTES {
        "must not be longer than 64 bytes"
    } else if !name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    {
        "must consist of letters, digits, dots, underscores and dashes"
    } else if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        "must begin with a letter or a digit"
    } else if RESERVED.contains(&name) {
        "is a word with another meaning"
    } else {
        return Ok(());
    };
    Err(Error::invalid(format!(
        "The name of a {noun} {why}, and \"{name}\" does not fit"
    ))
    .field("name", why))
}

/// A project or environment: like a name, but `default` is fine.
pub(super) fn check_group(field: &str, name: &str) -> Result<()> {
    if name == "default" {
        return Ok(());
    }
    check(field, name)
}

/// A label or note that may be kept; empty text means none.
pub(super) fn remark(field: &str, text: &str) -> Result<Option<String>> {
    let limit = if field == "label" {
        MAX_LABEL_BYTES
    } else {
        MAX_NOTE_BYTES
    };
    let text = text.trim();
    if text.len() > limit || text.chars().any(|c| c.is_control() && c != '\n') {
        return Err(Error::invalid(format!("The {field} cannot be kept")).field(
            field,
            format!("must be plain text of at most {limit} bytes"),
        ));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_are_refused_with_a_reason() {
        for good in ["shop", "Shop-1", "a.b_c", "7"] {
            check("connection", good).unwrap();
        }
        for bad in ["", "a/b", "a@b", "ä", "-x", "test", "a b", &"x".repeat(65)] {
            assert_eq!(
                check("connection", bad).unwrap_err().fields()[0].field,
                "name"
            );
        }
        check_group("project", "default").unwrap();
        assert!(check_group("project", "a/b").is_err());
    }

    #[test]
    fn remarks_are_trimmed_and_bounded() {
        assert_eq!(remark("label", " x ").unwrap().as_deref(), Some("x"));
        assert_eq!(remark("label", "").unwrap(), None);
        assert!(remark("label", "a\u{7}").is_err());
        assert!(remark("label", &"x".repeat(201)).is_err());
        assert!(remark("note", "two\nlines").is_ok());
    }
}
