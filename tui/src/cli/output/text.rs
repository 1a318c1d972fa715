//! Values as people read them.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use backstay_engine::model::Time;
use backstay_engine::units;
use chrono::Local;

/// What stands for a value that is not there.
pub(crate) fn none() -> String {
    "–".to_owned()
}

/// A size.
pub(crate) fn bytes(bytes: u64) -> String {
    units::format_bytes(bytes)
}

/// A number with its thousands apart.
pub(crate) fn count(count: u64) -> String {
    units::format_count(count)
}

/// A duration.
pub(crate) fn duration_ms(duration_ms: u64) -> String {
    units::format_duration(Duration::from_millis(duration_ms))
}

/// A moment in the reader's time zone.
pub(crate) fn time(time: Time) -> String {
    time.with_timezone(&Local)
        .format("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// The text without what a terminal would obey: names come from servers that others control.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    let obeyed =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(obeyed) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || c == '\t' {
            safe.push(' ');
        } else if obeyed(c) {
            let _ = write!(safe, "\\u{{{:x}}}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}
