//! Which backups stay: one pure function, shared by the preview, the run, the log and the console.
//!
//! Whatever a policy says, four things hold: the newest backup of a group that succeeded stays, so does
//! what a kept one needs, what is pinned, and what is in nobody's group. Only backups that succeeded fill
//! a policy's places; a partial or damaged one stays while no later one succeeded.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};
use chrono_tz::Tz;

use crate::error::{Error, Result};
use crate::ids::BackupId;
use crate::model::{BackupKind, BackupType, Outcome, Policy, Tier, Time, Verdict};

/// What the function looks at in a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Which.
    pub id: BackupId,
    /// Connection and database: backups of different ones never compete.
    pub source: String,
    /// Neither do backups of different kinds.
    pub kind: BackupKind,
    /// How it was made.
    pub backup_type: BackupType,
    /// When it was begun.
    pub at: Time,
    /// Whether nothing is missing in it and no proof found it damaged.
    pub complete: bool,
    /// Kept until then, whatever the rules say.
    pub pinned_until: Option<Time>,
    /// The backup without which it cannot be restored.
    pub needs: Option<BackupId>,
}

impl Outcome {
    /// What goes.
    pub fn deleted(&self) -> impl Iterator<Item = BackupId> {
        self.verdicts
            .iter()
            .filter(|verdict| !verdict.keep)
            .map(|verdict| verdict.backup_id)
    }
}

const MAX_DELETE_PERCENT: u8 = 50;

impl Policy {
    /// Refuses what cannot be meant.
    pub fn check(&self) -> Result<()> {
        self.refuse_zeros()?;
        self.check_rules()
    }

    fn check_rules(&self) -> Result<()> {
        self.zone()?;
        if self.max_delete_percent.is_some_and(|percent| percent > 100) {
            return Err(Error::invalid("`max_delete_percent` is more than 100"));
        }
        for (name, tier) in self.tiers() {
            if tier.keep.is_none() && tier.days.is_none() {
                return Err(Error::invalid(format!(
                    "The tier `{name}` says neither `keep` nor `days`"
                ))
                .hint("Give it one of them, or leave the tier out"));
            }
        }
        Ok(())
    }

    fn refuse_zeros(&self) -> Result<()> {
        let numbers = [
            ("keep_last", self.keep_last),
            ("keep_last_full", self.keep_last_full),
            ("keep_last_incremental", self.keep_last_incremental),
            ("keep_within_days", self.keep_within_days),
        ];
        let of_tiers = self
            .tiers()
            .flat_map(|(name, tier)| [(name, tier.keep), (name, tier.days)]);
        for (name, number) in numbers.into_iter().chain(of_tiers) {
            if number == Some(0) {
                return Err(Error::invalid(format!("The rule `{name}` keeps nothing"))
                    .hint("Leave the rule out, or give it a number from 1"));
            }
        }
        Ok(())
    }

    /// Whether it has no rule, and so keeps everything.
    pub fn is_empty(&self) -> bool {
        let numbers = [
            self.keep_last,
            self.keep_last_full,
            self.keep_last_incremental,
            self.keep_within_days,
        ];
        numbers.iter().all(Option::is_none) && self.tiers().next().is_none()
    }

    fn zone(&self) -> Result<Tz> {
        self.time_zone
            .as_deref()
            .map_or(Ok(Tz::UTC), crate::schedule::due::parse_zone)
    }

    fn tiers(&self) -> impl Iterator<Item = (&'static str, Tier)> {
        [
            ("hourly", self.hourly),
            ("daily", self.daily),
            ("weekly", self.weekly),
            ("monthly", self.monthly),
            ("yearly", self.yearly),
        ]
        .into_iter()
        .filter_map(|(name, tier)| Some((name, tier?)))
    }

    /// What the policy makes of `backups` at `now`.
    pub fn apply(&self, backups: &[Candidate], now: Time) -> Result<Outcome> {
        self.check_rules()?;
        let zone = self.zone()?;
        let mut newest: Vec<&Candidate> = backups.iter().collect();
        newest.sort_unstable_by_key(|backup| std::cmp::Reverse((backup.at, backup.id)));
        let mut groups: BTreeMap<(&str, BackupKind), Vec<&Candidate>> = BTreeMap::new();
        for backup in &newest {
            groups
                .entry((&backup.source, backup.kind))
                .or_default()
                .push(backup);
        }
        let mut kept = Kept::default();
        for group in groups.values() {
            self.keep_of(group, zone, now, &mut kept);
        }
        kept.what_they_need(backups);
        let mut over_limit = BTreeMap::new();
        let most = self.max_delete_percent.unwrap_or(MAX_DELETE_PERCENT);
        for ((source, _), group) in &groups {
            let gone = group.iter().filter(|backup| !kept.has(backup.id)).count();
            let percent = (gone * 100).div_ceil(group.len().max(1)) as u8;
            if percent > most {
                let worst = over_limit.entry((*source).to_owned()).or_insert(percent);
                *worst = percent.max(*worst);
            }
        }
        let verdicts = newest
            .iter()
            .map(|backup| kept.verdict(backup.id))
            .collect();
        Ok(Outcome {
            verdicts,
            over_limit,
        })
    }

    fn keep_of(&self, group: &[&Candidate], zone: Tz, now: Time, kept: &mut Kept) {
        for backup in group {
            if let Some(until) = backup.pinned_until.filter(|until| *until > now) {
                kept.add(
                    backup.id,
                    format!("pinned until {}", until.format("%Y-%m-%d %H:%M UTC")),
                );
            }
            if self.is_empty() {
                kept.add(backup.id, "no rule deletes anything".to_owned());
            }
        }
        let complete: Vec<_> = group
            .iter()
            .copied()
            .filter(|backup| backup.complete)
            .collect();
        match complete.first() {
            Some(last) => {
                kept.add(last.id, "the last good backup".to_owned());
                let newer = group
                    .iter()
                    .filter(|backup| (backup.at, backup.id) > (last.at, last.id));
                for backup in newer {
                    kept.add(
                        backup.id,
                        "partial or damaged, and newer than the last good backup".to_owned(),
                    );
                }
            }
            None => {
                for backup in group {
                    kept.add(
                        backup.id,
                        "partial or damaged, and no backup is whole".to_owned(),
                    );
                }
            }
        }
        self.keep_newest(&complete, kept);
        if let Some(days) = self.keep_within_days {
            let since = days_before(now, days);
            for backup in group.iter().filter(|backup| backup.at > since) {
                kept.add(backup.id, format!("younger than {days} days"));
            }
        }
        for (name, tier) in self.tiers() {
            tier.keep_of(name, &complete, zone, now, kept);
        }
    }

    fn keep_newest(&self, complete: &[&Candidate], kept: &mut Kept) {
        let keep =
            |kept: &mut Kept, count: Option<u32>, name: &str, matches: fn(BackupType) -> bool| {
                let Some(count) = count else { return };
                let chosen = complete.iter().filter(|backup| matches(backup.backup_type));
                for (place, backup) in chosen.take(count as usize).enumerate() {
                    kept.add(backup.id, format!("{name} {} of {count}", place + 1));
                }
            };
        keep(kept, self.keep_last, "last", |_| true);
        keep(kept, self.keep_last_full, "last full", |kind| {
            kind == BackupType::Full
        });
        keep(
            kept,
            self.keep_last_incremental,
            "last incremental",
            |kind| kind != BackupType::Full,
        );
    }
}

impl Tier {
    fn keep_of(self, name: &str, complete: &[&Candidate], zone: Tz, now: Time, kept: &mut Kept) {
        let since = self.days.map(|days| days_before(now, days));
        let most = self.keep.map_or(usize::MAX, |keep| keep as usize);
        let mut periods = BTreeSet::new();
        for backup in complete {
            if since.is_some_and(|since| backup.at <= since) || periods.len() >= most {
                break;
            }
            let period = period(name, zone, backup.at);
            if periods.insert(period.clone()) {
                kept.add(backup.id, format!("{name} {period}"));
            }
        }
    }
}

/// So many days ago; the beginning of time where there is none so early.
fn days_before(now: Time, days: u32) -> Time {
    TimeDelta::try_days(days.into())
        .and_then(|days| now.checked_sub_signed(days))
        .unwrap_or(DateTime::<Utc>::MIN_UTC)
}

/// The period a moment lies in, as clocks and calendars of that zone call it.
fn period(tier: &str, zone: Tz, at: DateTime<Utc>) -> String {
    let local = at.with_timezone(&zone);
    match tier {
        // The offset tells the two equal hours of an autumn night apart.
        "hourly" => format!(
            "{} {:02}h {}",
            local.date_naive(),
            local.hour(),
            local.format("%z")
        ),
        "daily" => local.date_naive().to_string(),
        "weekly" => {
            let week = local.iso_week();
            format!("{}-W{:02}", week.year(), week.week())
        }
        "monthly" => format!("{}-{:02}", local.year(), local.month()),
        _ => local.year().to_string(),
    }
}

/// Reasons to keep, by backup.
#[derive(Default)]
struct Kept(HashMap<BackupId, Vec<String>>);

impl Kept {
    fn add(&mut self, id: BackupId, reason: String) {
        self.0.entry(id).or_default().push(reason);
    }

    fn has(&self, id: BackupId) -> bool {
        self.0.contains_key(&id)
    }

    fn what_they_need(&mut self, backups: &[Candidate]) {
        let needs: HashMap<_, _> = backups
            .iter()
            .filter_map(|backup| Some((backup.id, backup.needs?)))
            .collect();
        let mut seen = HashSet::new();
        let mut open: Vec<BackupId> = self.0.keys().copied().collect();
        open.sort_unstable();
        while let Some(id) = open.pop() {
            let Some(needed) = needs.get(&id).filter(|_| seen.insert(id)) else {
                continue;
            };
            self.add(*needed, format!("needed by {id}"));
            open.push(*needed);
        }
    }

    fn verdict(&mut self, id: BackupId) -> Verdict {
        match self.0.remove(&id) {
            Some(reasons) => Verdict {
                backup_id: id,
                keep: true,
                reasons,
            },
            None => Verdict {
                backup_id: id,
                keep: false,
                reasons: vec!["outside every rule".to_owned()],
            },
        }
    }
}

#[cfg(test)]
mod tests;
