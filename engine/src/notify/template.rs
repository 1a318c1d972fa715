//! Titles and texts as people want them: `{placeholder}` in plain text, `{{` and `}}` for braces.

use super::Notice;
use super::notice::Facts;
use crate::error::{Error, Result};
use crate::units::{format_bytes, format_duration};

/// A template may be this long.
const TEMPLATE_BYTES: usize = 4000;
/// What a value may add to a text.
const VALUE_CHARS: usize = 2000;

/// Placeholders beside the names of [`Facts`].
const OWN: [&str; 8] = [
    "event", "at", "subject", "title", "message", "duration", "size", "stored",
];

enum Part<'a> {
    Text(&'a str),
    Place(&'a str),
}

/// Refuses a template that cannot be filled in, or that would break a title over lines.
pub(crate) fn check(field: &str, template: &str) -> Result<()> {
    let wrong = |why: String| {
        Err(Error::invalid(format!(
            "The template of the {field} cannot be used: it {why}"
        ))
        .field(field, why)
        .hint(format!(
            "Placeholders are {{{}}}; {{{{ and }}}} stand for braces",
            OWN.iter()
                .chain(Facts::NAMES)
                .copied()
                .collect::<Vec<_>>()
                .join("}, {")
        )))
    };
    if template.len() > TEMPLATE_BYTES {
        return wrong(format!("is longer than {TEMPLATE_BYTES} bytes"));
    }
    let lines = field == "body";
    if template
        .chars()
        .any(|c| c.is_control() && !(lines && matches!(c, '\n' | '\t')))
    {
        return wrong("holds control characters".to_owned());
    }
    match parts(template) {
        Err(why) => wrong(why),
        Ok(parts) => {
            let unknown = parts.iter().find_map(|part| match part {
                Part::Place(name) if !OWN.contains(name) && !Facts::NAMES.contains(name) => {
                    Some(*name)
                }
                _ => None,
            });
            unknown.map_or(Ok(()), |name| {
                wrong(format!("names \"{{{name}}}\", which is no placeholder"))
            })
        }
    }
}

/// Fills in a title: one line.
pub(super) fn title(template: Option<&str>, notice: &Notice) -> String {
    let text = template.map_or_else(|| notice.title.clone(), |text| filled(text, notice));
    let words: Vec<_> = text.split(|c: char| c.is_control()).collect();
    words.join(" ").trim().to_owned()
}

/// Fills in a text.
pub(super) fn body(template: Option<&str>, notice: &Notice) -> String {
    let text = template.map_or_else(|| notice.message.clone(), |text| filled(text, notice));
    text.chars()
        .filter(|c| !c.is_control() || matches!(c, '\n' | '\t'))
        .collect()
}

fn filled(template: &str, notice: &Notice) -> String {
    let Ok(parts) = parts(template) else {
        // Only checked templates are saved.
        return template.to_owned();
    };
    parts
        .into_iter()
        .map(|part| match part {
            Part::Text(text) => text.to_owned(),
            Part::Place(name) => value(name, notice).chars().take(VALUE_CHARS).collect(),
        })
        .collect()
}

fn value(name: &str, notice: &Notice) -> String {
    let facts = &notice.facts;
    match name {
        "event" => notice.event.clone(),
        "at" => notice.at.format("%Y-%m-%d %H:%M:%S UTC").to_string(),
        "subject" => notice.subject.clone().unwrap_or_default(),
        "title" => notice.title.clone(),
        "message" => notice.message.clone(),
        "duration" => facts
            .duration_ms
            .map(|ms| format_duration(std::time::Duration::from_millis(ms)))
            .unwrap_or_default(),
        "size" => facts.source_bytes.map(format_bytes).unwrap_or_default(),
        "stored" => facts.stored_bytes.map(format_bytes).unwrap_or_default(),
        name => facts.text(name).unwrap_or_default(),
    }
}

fn parts(template: &str) -> Result<Vec<Part<'_>>, String> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let (text, from) = rest.split_at(at);
        parts.push(Part::Text(text));
        if let Some(after) = from.strip_prefix("{{") {
            parts.push(Part::Text("{"));
            rest = after;
        } else if let Some(after) = from.strip_prefix("}}") {
            parts.push(Part::Text("}"));
            rest = after;
        } else if let Some(inner) = from.strip_prefix('{') {
            let Some((name, after)) = inner.split_once('}') else {
                return Err("has a { without its }".to_owned());
            };
            parts.push(Part::Place(name));
            rest = after;
        } else {
            return Err("has a } without its {".to_owned());
        }
    }
    parts.push(Part::Text(rest));
    Ok(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice() -> Notice {
        Notice {
            event: "backup.failed".to_owned(),
            at: chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap(),
            subject: None,
            title: "Backup of shop/orders failed".to_owned(),
            message: "It broke\nin two".to_owned(),
            facts: Facts {
                connection: Some("shop".to_owned()),
                database: Some("or{title}ders\r\nX-Evil: 1".to_owned()),
                duration_ms: Some(61_000),
                ..Facts::default()
            },
        }
    }

    #[test]
    fn placeholders_are_filled_in_once() {
        let notice = notice();
        assert_eq!(title(None, &notice), "Backup of shop/orders failed");
        let text = body(Some("{{{connection}}} {event}: {message}"), &notice);
        assert_eq!(text, "{shop} backup.failed: It broke\nin two");
        // What a value says is not looked at again, and what does not apply is empty.
        assert!(body(Some("{database}"), &notice).starts_with("or{title}ders"));
        assert_eq!(body(Some("<{job}>"), &notice), "<>");
    }

    #[test]
    fn no_value_breaks_a_title_over_lines() {
        let title = title(Some("{database} {message}"), &notice());
        assert!(!title.contains(['\r', '\n']), "{title}");
    }

    #[test]
    fn templates_that_cannot_be_filled_in_are_refused() {
        for good in ["", "{title}", "{{x}}", "plain", "{connection}/{database}"] {
            check("title", good).unwrap();
        }
        for bad in [
            "{",
            "}",
            "{nothing}",
            "{title",
            "a } b",
            "two\nlines",
            "{{title}",
        ] {
            let error = check("title", bad).unwrap_err();
            assert_eq!(error.fields()[0].field, "title", "{bad}");
        }
        check("body", "two\nlines").unwrap();
        assert!(check("body", &"x".repeat(5000)).is_err());
        for name in OWN.iter().chain(Facts::NAMES) {
            check("body", &format!("{{{name}}}")).unwrap();
        }
    }
}
