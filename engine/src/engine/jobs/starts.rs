//! When schedules start something next, as they said before: to ask one is to read it first, and lists ask
//! every job of a page.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::timetable;
use crate::model::{JobSchedule, Time};

/// What is known of more than these is forgotten, and asked anew.
const KNOWN_MAX: usize = 10_000;

/// What schedules said, by what they are of.
#[derive(Debug, Default)]
pub(in super::super) struct Starts(Mutex<HashMap<u128, Said>>);

/// The first start after `asked_at`, which is the first after every moment until then, too.
#[derive(Debug)]
struct Said {
    schedule: JobSchedule,
    handled: Time,
    asked_at: Time,
    next: Time,
}

impl Said {
    fn holds(&self, schedule: &JobSchedule, handled: Time, now: Time) -> bool {
        (self.asked_at..self.next).contains(&now)
            && self.handled == handled
            && self.schedule == *schedule
    }
}

impl Starts {
    /// When a schedule begins something next; nothing where it cannot be read, of which an alert tells.
    pub(in super::super) fn next(
        &self,
        schedule: &JobSchedule,
        seed: u128,
        handled: Time,
        now: Time,
    ) -> Option<Time> {
        let said = self.0.lock().get(&seed).and_then(|said| {
            let holds = said.holds(schedule, handled, now);
            holds.then_some(said.next)
        });
        if said.is_some() {
            return said;
        }
        let next = timetable(schedule, seed).ok()?.decide(handled, now).next?;
        // What is dealt with ahead of the clock is given up, or not, as the clock goes on.
        if handled <= now {
            let said = Said {
                schedule: schedule.clone(),
                handled,
                asked_at: now,
                next,
            };
            let mut known = self.0.lock();
            if known.len() >= KNOWN_MAX {
                known.clear();
            }
            known.insert(seed, said);
        }
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use proptest::prelude::*;

    use super::*;
    use crate::model::{CatchUp, Window};

    fn schedule() -> impl Strategy<Value = JobSchedule> {
        let crons = [
            "*/20 * * * *",
            "30 2 * * *",
            "0 */3 * * 1-5",
            "0 5 1 1 *",
            "15 1,2 * 3,10 0",
        ];
        let zones = ["UTC", "Europe/Berlin", "America/New_York"];
        let shut = [("22:00", "06:30"), ("01:00", "03:00"), ("00:00", "00:10")];
        let shut = proptest::sample::subsequence(shut.to_vec(), 0..=2);
        let crons = proptest::sample::select(crons.to_vec());
        let zones = proptest::sample::select(zones.to_vec());
        let jitter = proptest::sample::select(vec![0, 90, 3600, 40_000]);
        (crons, zones, shut, jitter).prop_map(|(cron, zone, shut, jitter_seconds)| JobSchedule {
            cron: cron.to_owned(),
            time_zone: zone.to_owned(),
            windows: shut
                .into_iter()
                .map(|(from, to)| Window {
                    from: from.to_owned(),
                    to: to.to_owned(),
                    days: Vec::new(),
                })
                .collect(),
            jitter_seconds,
            catch_up: CatchUp::Once,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        /// However the clock goes, and whatever is dealt with or changed meanwhile.
        #[test]
        fn what_was_said_before_is_what_would_be_said_now(
            schedules in proptest::collection::vec(schedule(), 1..3),
            steps in proptest::collection::vec((0..4_usize, -90_000..90_000_i64, 0..20_usize), 1..12),
        ) {
            // A day before clocks are set forward in Berlin.
            let begin: Time = "2026-03-28T01:00:00Z".parse().unwrap();
            let (starts, mut now, mut handled, mut place) = (Starts::default(), begin, begin, 0);
            for (what, seconds, other) in steps {
                match what {
                    0 => now += TimeDelta::seconds(seconds),
                    1 => now += TimeDelta::seconds(seconds / 100),
                    2 => handled = now + TimeDelta::seconds(seconds.min(0)),
                    // As by a clock that was wrong.
                    _ if other == 0 => handled = now + TimeDelta::days(3),
                    _ => place = (place + other) % schedules.len(),
                }
                let schedule = &schedules[place];
                let table = timetable(schedule, 7).unwrap();
                let fresh = table.decide(handled, now).next;
                prop_assert_eq!(starts.next(schedule, 7, handled, now), fresh);
                prop_assert_eq!(starts.next(schedule, 7, handled, now), fresh);
            }
        }
    }

    #[test]
    fn what_holds_is_not_asked_again_and_no_more_is_kept_than_bounds_allow() {
        let now: Time = "2026-03-28T01:00:00Z".parse().unwrap();
        let schedule = JobSchedule {
            cron: "daily".to_owned(),
            time_zone: "UTC".to_owned(),
            windows: Vec::new(),
            jitter_seconds: 0,
            catch_up: CatchUp::Once,
        };
        let starts = Starts::default();
        let next = starts.next(&schedule, 1, now, now).unwrap();
        starts.0.lock().get_mut(&1).unwrap().next = next + TimeDelta::hours(1);
        let later = next - TimeDelta::seconds(1);
        let again = starts.next(&schedule, 1, now, later);
        assert_eq!(again, Some(next + TimeDelta::hours(1)), "as it was said");
        for seed in 0..=KNOWN_MAX as u128 {
            starts.next(&schedule, seed, now, now);
        }
        assert!(starts.0.lock().len() <= KNOWN_MAX);
    }
}
