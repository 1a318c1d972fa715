//! What jobs do, when and for how long they keep it, in words.

use backstay_engine::model::{CronPreset, Job, JobSchedule, Policy, Tier};
use backstay_engine::{Code, Error};

use crate::console::store::{Keyed, Store, Want};
use crate::console::text::clean;

impl Keyed for CronPreset {
    fn key(&self) -> String {
        self.name.clone()
    }
}

/// Names for schedules.
pub(crate) fn presets() -> Want {
    Want::list::<CronPreset>(crate::client::path(&["jobs", "cron-presets"]))
}

/// What a job backs up: `shop/orders`, `shop: orders, stock`, or all of a server.
pub(super) fn what(job: &Job) -> String {
    match &job.work.databases[..] {
        [] => format!("{}: all selected", job.connection),
        [one] => format!("{}/{one}", job.connection),
        several => format!("{}: {}", job.connection, several.join(", ")),
    }
}

/// A schedule in words, with the zone where that is not UTC.
pub(super) fn when(schedule: &JobSchedule, store: &Store) -> String {
    let cron = schedule.cron.trim();
    let known = store.list::<CronPreset>(&presets()).value;
    let mut known = known.into_iter().flat_map(|list| &list.items);
    let words = known
        .find(|own| own.name == cron || own.cron == cron)
        .map(|own| own.description.clone())
        .or_else(|| in_words(cron))
        .unwrap_or_else(|| cron.to_owned());
    match schedule.time_zone.as_str() {
        "UTC" => words,
        zone => format!("{words} {zone}"),
    }
}

const DAYS: [&str; 7] = [
    "Sundays",
    "Mondays",
    "Tuesdays",
    "Wednesdays",
    "Thursdays",
    "Fridays",
    "Saturdays",
];

/// An expression in words, where it is one of the usual ones.
pub(crate) fn in_words(cron: &str) -> Option<String> {
    let fields: Vec<&str> = cron.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields[..] else {
        return None;
    };
    let number = |text: &str, most: u8| text.parse::<u8>().ok().filter(|own| *own <= most);
    let step = |text: &str| text.strip_prefix("*/")?.parse::<u8>().ok();
    if month != "*" {
        return None;
    }
    let every_day = day == "*" && weekday == "*";
    if let (Some(step), "*", true) = (step(minute), hour, every_day) {
        return Some(format!("Every {step} minutes"));
    }
    if (minute, hour, every_day) == ("*", "*", true) {
        return Some("Every minute".to_owned());
    }
    let minute = number(minute, 59)?;
    if every_day && hour == "*" {
        return Some(format!("Every hour at :{minute:02}"));
    }
    if let (Some(step), true) = (step(hour), every_day) {
        return Some(format!("Every {step} hours at :{minute:02}"));
    }
    let at = format!("at {:02}:{minute:02}", number(hour, 23)?);
    match (day, weekday) {
        ("*", "*") => Some(format!("Every day {at}")),
        ("*", "1-5") => Some(format!("Monday to Friday {at}")),
        ("*", own) => {
            let name = DAYS[usize::from(number(own, 7)? % 7)];
            Some(format!("{name} {at}"))
        }
        (own, "*") => Some(format!("Day {} of each month {at}", number(own, 31)?)),
        _ => None,
    }
}

/// The numbers of a retention: name in requests, flag, label.
pub(super) const RULES: [(&str, &str, &str); 7] = [
    ("keep_last", "--keep-last", "Newest"),
    ("keep_within_days", "--keep-within", "Younger than days"),
    ("hourly", "--keep-hourly", "Of each hour"),
    ("daily", "--keep-daily", "Of each day"),
    ("weekly", "--keep-weekly", "Of each week"),
    ("monthly", "--keep-monthly", "Of each month"),
    ("yearly", "--keep-yearly", "Of each year"),
];

/// The number of one of the rules.
pub(super) fn number(policy: &Policy, name: &str) -> Option<u32> {
    let tier = |tier: Option<Tier>| tier.and_then(|tier| tier.keep);
    match name {
        "keep_last" => policy.keep_last,
        "keep_within_days" => policy.keep_within_days,
        "hourly" => tier(policy.hourly),
        "daily" => tier(policy.daily),
        "weekly" => tier(policy.weekly),
        "monthly" => tier(policy.monthly),
        _ => tier(policy.yearly),
    }
}

/// The policy with another number for one rule; what else its tier says stays.
pub(super) fn with_number(mut policy: Policy, name: &str, number: Option<u32>) -> Policy {
    let tier = |tier: Option<Tier>| {
        let tier = Tier {
            keep: number,
            days: tier.and_then(|tier| tier.days),
        };
        Some(tier).filter(|tier| *tier != Tier::default())
    };
    match name {
        "keep_last" => policy.keep_last = number,
        "keep_within_days" => policy.keep_within_days = number,
        "hourly" => policy.hourly = tier(policy.hourly),
        "daily" => policy.daily = tier(policy.daily),
        "weekly" => policy.weekly = tier(policy.weekly),
        "monthly" => policy.monthly = tier(policy.monthly),
        _ => policy.yearly = tier(policy.yearly),
    }
    policy
}

/// A number as it was typed; nothing where it was left out.
pub(super) fn typed(text: &str, what: &str) -> Result<Option<u32>, Error> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        Error::new(
            Code::Invalid,
            format!("{what}: \"{}\" is no whole number", clean(text)),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_schedules_are_told_in_words() {
        let cases = [
            ("0 2 * * *", "Every day at 02:00"),
            ("30 3 * * 1-5", "Monday to Friday at 03:30"),
            ("5 4 * * 7", "Sundays at 04:05"),
            ("*/15 * * * *", "Every 15 minutes"),
            ("20 * * * *", "Every hour at :20"),
            ("0 */6 * * *", "Every 6 hours at :00"),
            ("0 4 1 * *", "Day 1 of each month at 04:00"),
        ];
        for (cron, words) in cases {
            assert_eq!(in_words(cron).as_deref(), Some(words), "{cron}");
        }
        for odd in ["0 2 1 1 *", "0 2 1 * 1", "0 99 * * *", "nonsense", ""] {
            assert_eq!(in_words(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_number_leaves_the_rest_of_its_tier() {
        let tier = Tier {
            keep: Some(7),
            days: Some(30),
        };
        let policy = Policy {
            daily: Some(tier),
            ..Policy::default()
        };
        let policy = with_number(policy, "daily", None);
        assert_eq!(policy.daily.and_then(|own| own.days), Some(30));
        let policy = with_number(policy, "weekly", Some(4));
        assert_eq!(number(&policy, "weekly"), Some(4));
        let policy = with_number(policy, "weekly", None);
        assert_eq!(policy.weekly, None);
    }
}
