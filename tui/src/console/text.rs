//! Text in cells: how wide it is, how it is cut, and values as people read them.

use backstay_engine::model::Time;
use chrono::{DateTime, Utc};
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::UnicodeWidthStr as _;

pub(crate) use crate::cli::output::text::{bytes, clean, count, duration_ms, time};

/// Which part of a text that is too wide goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// Names lose their end.
    End,
    /// Ids lose their middle.
    Middle,
    /// Paths lose their front.
    Front,
}

/// Cells a text takes.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// The text in at most `room` cells.
pub(crate) fn fit(text: &str, room: usize, cut: Cut, ellipsis: &str) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let Some(rest) = room.checked_sub(width(ellipsis)) else {
        return String::new();
    };
    match cut {
        Cut::End => format!("{}{ellipsis}", head(text, rest)),
        Cut::Front => format!("{ellipsis}{}", tail(text, rest)),
        Cut::Middle => {
            let first = rest.div_ceil(2);
            format!(
                "{}{ellipsis}{}",
                head(text, first),
                tail(text, rest - first)
            )
        }
    }
}

/// The beginning of the text, in at most `room` cells. Letters of several characters stay whole.
pub(crate) fn head(text: &str, room: usize) -> &str {
    let mut used = 0;
    for (at, letter) in text.grapheme_indices(true) {
        used += width(letter);
        if used > room {
            return &text[..at];
        }
    }
    text
}

/// The text in lines of at most `room` cells, broken at spaces where there are some.
pub(crate) fn wrapped(text: &str, room: usize) -> Vec<String> {
    let room = room.max(2);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_inclusive(' ') {
        let own = width(word.trim_end());
        if used > 0 && used + own > room {
            lines.push(String::new());
            used = 0;
        }
        let mut rest = word;
        while width(rest.trim_end()) > room.saturating_sub(used) {
            let (first, after) = rest.split_at(head(rest, room.saturating_sub(used)).len());
            if let Some(line) = lines.last_mut() {
                line.push_str(first);
            }
            lines.push(String::new());
            (rest, used) = (after, 0);
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(rest);
        }
        used += width(rest);
    }
    for line in &mut lines {
        line.truncate(line.trim_end().len());
    }
    lines
}

/// The time of the day in the reader's time zone.
pub(crate) fn clock(time: Time) -> String {
    time.with_timezone(&chrono::Local)
        .format("%H:%M:%S")
        .to_string()
}

fn tail(text: &str, room: usize) -> &str {
    let mut used = 0;
    for (at, letter) in text.grapheme_indices(true).rev() {
        used += width(letter);
        if used > room {
            return &text[at + letter.len()..];
        }
    }
    text
}

/// The end of the text that is left when `room` cells of its beginning are taken away, and the cells that went.
pub(crate) fn without_head(text: &str, room: usize) -> (&str, usize) {
    let mut gone = 0;
    for (at, letter) in text.grapheme_indices(true) {
        if gone >= room {
            return (&text[at..], gone);
        }
        gone += width(letter);
    }
    ("", gone)
}

/// How long ago, in one unit: `now`, `42s`, `7m`, `3h`, `12d`, `2y`. What lies ahead is `in 7m`.
pub(crate) fn age(then: Time, now: DateTime<Utc>) -> String {
    let seconds = (now - then).num_seconds();
    if seconds < 0 {
        return format!("in {}", span(seconds.unsigned_abs()));
    }
    if seconds < 5 {
        return "now".to_owned();
    }
    span(seconds.unsigned_abs())
}

/// A length of time in one unit.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=7_199 => format!("{}m", seconds / 60),
        7_200..=172_799 => format!("{}h", seconds / 3_600),
        172_800..=63_071_999 => format!("{}d", seconds / 86_400),
        _ => format!("{}y", seconds / 31_536_000),
    }
}

/// A speed.
pub(crate) fn rate(bytes_per_second: u64) -> String {
    format!("{}/s", bytes(bytes_per_second))
}

/// A word as a shell takes it.
pub(crate) fn shell(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests;
