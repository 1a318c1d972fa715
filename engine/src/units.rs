//! Sizes and durations as people write and read them.

use std::time::Duration;

use crate::error::{Error, Result};

const SIZES: &[(&str, u64)] = &[
    ("tib", 1 << 40),
    ("gib", 1 << 30),
    ("mib", 1 << 20),
    ("kib", 1 << 10),
    ("tb", 1_000_000_000_000),
    ("gb", 1_000_000_000),
    ("mb", 1_000_000),
    ("kb", 1_000),
    ("b", 1),
    ("", 1),
];

const TIMES: &[(&str, u64)] = &[
    ("ms", 1),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("", 1_000),
];

/// Reads `256MiB`, `1.5 GB`, `4096`.
pub fn parse_bytes(text: &str) -> Result<u64> {
    scaled(text, SIZES).ok_or_else(|| {
        Error::invalid(format!("\"{text}\" is not a size"))
            .hint("Write a number and a unit, for example 256MiB or 1.5GB")
    })
}

/// Reads `90s`, `10m`, `1.5h`, `7d`, `250ms`; a bare number is seconds.
pub fn parse_duration(text: &str) -> Result<Duration> {
    scaled(text, TIMES)
        .map(Duration::from_millis)
        .ok_or_else(|| {
            Error::invalid(format!("\"{text}\" is not a duration"))
                .hint("Write a number and a unit, for example 90s, 10m, 12h or 7d")
        })
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.trim();
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.' && c != '_')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = unit.trim().to_ascii_lowercase();
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let number = number.replace('_', "");
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(*factor);
    }
    let value = number.parse::<f64>().ok()? * *factor as f64;
    #[allow(clippy::cast_sign_loss)]
    (value.is_finite() && (0.0..1e18).contains(&value)).then_some(value as u64)
}

/// Writes `512 B`, `1.4 MB`, `256 GB`: powers of ten, two to three digits.
pub fn format_bytes(bytes: u64) -> String {
    const NAMES: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    let mut name = 0;
    while value >= 999.5 && name + 1 < NAMES.len() {
        value /= 1000.0;
        name += 1;
    }
    let digits = usize::from(value < 9.95);
    format!("{value:.digits$} {}", NAMES[name])
}

/// Writes `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`.
pub fn format_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let two = |big: u64, big_name: &str, small: u64, small_name: &str| {
        if small == 0 {
            format!("{big} {big_name}")
        } else {
            format!("{big} {big_name} {small} {small_name}")
        }
    };
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        10..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// Writes `1,234,567`.
pub fn format_count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests;
