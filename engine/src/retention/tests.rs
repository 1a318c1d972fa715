//! The policy, rule by rule and as a whole.

use proptest::prelude::*;

use super::*;

fn time(text: &str) -> Time {
    text.parse().unwrap()
}

fn candidate(number: u128, at: Time) -> Candidate {
    Candidate {
        id: BackupId::from_bits(number),
        source: "shop/orders".to_owned(),
        kind: BackupKind::Logical,
        backup_type: BackupType::Full,
        at,
        complete: true,
        pinned_until: None,
        needs: None,
    }
}

/// One backup a day at 02:00, number 1 the newest.
fn days(count: u128) -> Vec<Candidate> {
    let newest = time("2026-11-22T02:00:00Z");
    (1..=count)
        .map(|number| candidate(number, newest - TimeDelta::days(number as i64 - 1)))
        .collect()
}

fn kept(policy: &Policy, backups: &[Candidate]) -> Vec<u128> {
    let outcome = policy.apply(backups, time("2026-11-22T12:00:00Z")).unwrap();
    let kept = outcome.verdicts.iter().filter(|verdict| verdict.keep);
    kept.map(|verdict| verdict.backup_id.bits()).collect()
}

fn tier(keep: u32) -> Tier {
    Tier {
        keep: Some(keep),
        days: None,
    }
}

#[test]
fn rules_add_up() {
    let policy = Policy {
        keep_last: Some(2),
        weekly: Some(tier(3)),
        monthly: Some(tier(2)),
        ..Policy::default()
    };
    // 2026-11-22 is a Sunday: weeks end on the 22nd, the 15th and the 8th; October ends with number 23.
    assert_eq!(kept(&policy, &days(60)), [1, 2, 8, 15, 23]);
}

#[test]
fn without_rules_everything_stays() {
    assert_eq!(kept(&Policy::default(), &days(5)).len(), 5);
}

#[test]
fn the_last_good_one_stays_though_every_rule_is_zero() {
    let policy = Policy {
        keep_last: Some(0),
        ..Policy::default()
    };
    assert_eq!(kept(&policy, &days(5)), [1]);
    assert!(policy.check().is_err(), "and nobody may ask for it");
    let mut backups = days(5);
    backups[0].complete = false;
    backups[1].complete = false;
    assert_eq!(
        kept(&policy, &backups),
        [1, 2, 3],
        "partial ones newer than it stay"
    );
    let policy = Policy {
        keep_last: Some(2),
        ..Policy::default()
    };
    assert_eq!(kept(&policy, &backups), [1, 2, 3, 4], "and fill no place");
}

#[test]
fn age_windows_bound_tiers() {
    let policy = Policy {
        weekly: Some(Tier {
            keep: None,
            days: Some(15),
        }),
        daily: Some(Tier {
            keep: Some(4),
            days: Some(2),
        }),
        ..Policy::default()
    };
    assert_eq!(kept(&policy, &days(60)), [1, 2, 8, 15]);
}

#[test]
fn for_ever_is_a_number_of_days_too() {
    let policy = Policy {
        keep_within_days: Some(u32::MAX),
        ..Policy::default()
    };
    assert_eq!(kept(&policy, &days(5)).len(), 5);
}

#[test]
fn pins_hold_until_they_expire() {
    let policy = Policy {
        keep_last: Some(1),
        ..Policy::default()
    };
    let mut backups = days(5);
    backups[3].pinned_until = Some(time("2026-12-01T00:00:00Z"));
    backups[4].pinned_until = Some(time("2026-11-22T11:00:00Z"));
    assert_eq!(kept(&policy, &backups), [1, 4]);
}

#[test]
fn sources_and_kinds_do_not_compete() {
    let policy = Policy {
        keep_last: Some(1),
        ..Policy::default()
    };
    let mut backups = days(4);
    backups[1].source = "shop/other".to_owned();
    backups[2].kind = BackupKind::Physical;
    assert_eq!(kept(&policy, &backups), [1, 2, 3]);
}

#[test]
fn what_a_kept_one_needs_stays() {
    let policy = Policy {
        keep_last: Some(1),
        ..Policy::default()
    };
    let mut backups = days(5);
    backups[0].needs = Some(backups[2].id);
    backups[2].needs = Some(backups[4].id);
    assert_eq!(kept(&policy, &backups), [1, 3, 5]);
}

#[test]
fn days_are_those_of_the_zone() {
    let at = |number, text: &str| candidate(number, time(text));
    let backups = [at(1, "2026-11-21T23:30:00Z"), at(2, "2026-11-21T22:30:00Z")];
    let utc = Policy {
        daily: Some(tier(7)),
        ..Policy::default()
    };
    assert_eq!(kept(&utc, &backups), [1]);
    let berlin = Policy {
        time_zone: Some("Europe/Berlin".to_owned()),
        ..utc
    };
    assert_eq!(kept(&berlin, &backups), [1, 2]);
}

#[test]
fn counts_of_types_are_separate() {
    let mut backups = days(6);
    for place in [0, 1, 3] {
        backups[place].backup_type = BackupType::Incr;
    }
    let policy = Policy {
        keep_last_full: Some(1),
        keep_last_incremental: Some(2),
        ..Policy::default()
    };
    assert_eq!(kept(&policy, &backups), [1, 2, 3]);
}

#[test]
fn too_large_a_share_is_named() {
    let policy = Policy {
        keep_last: Some(2),
        ..Policy::default()
    };
    let now = time("2026-11-22T12:00:00Z");
    assert!(policy.apply(&days(4), now).unwrap().over_limit.is_empty());
    let outcome = policy.apply(&days(5), now).unwrap();
    assert_eq!(outcome.over_limit.get("shop/orders"), Some(&60));
    let bold = Policy {
        max_delete_percent: Some(100),
        ..policy
    };
    assert!(bold.apply(&days(50), now).unwrap().over_limit.is_empty());
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let zone = Policy {
        time_zone: Some("Mars/Base".to_owned()),
        ..Policy::default()
    };
    assert!(zone.check().is_err());
    let share = Policy {
        max_delete_percent: Some(101),
        ..Policy::default()
    };
    assert!(share.check().is_err());
    let blank = Policy {
        daily: Some(Tier::default()),
        ..Policy::default()
    };
    assert!(blank.check().is_err());
    assert!(serde_json::from_str::<Policy>(r#"{"keep_lst":3}"#).is_err());
}

fn any_tier() -> impl Strategy<Value = Option<Tier>> {
    let tier = (prop::option::of(0_u32..6), prop::option::of(0_u32..400));
    prop::option::of(tier.prop_filter_map("says something", |(keep, days)| {
        (keep.is_some() || days.is_some()).then_some(Tier { keep, days })
    }))
}

prop_compose! {
    fn any_policy()(
        keep_last in prop::option::of(0_u32..5), keep_last_full in prop::option::of(0_u32..3),
        keep_within_days in prop::option::of(0_u32..100),
        hourly in any_tier(), daily in any_tier(), weekly in any_tier(), monthly in any_tier(), yearly in any_tier(),
    ) -> Policy {
        Policy { keep_last, keep_last_full, keep_within_days, hourly, daily, weekly, monthly, yearly, ..Policy::default() }
    }
}

prop_compose! {
    fn any_backups()(rows in prop::collection::vec(
        (0_i64..1_000 * 24, 0_u8..3, any::<bool>(), any::<bool>(), prop::option::of(0_usize..40), prop::option::of(-20_i64..20)), 1..40,
    )) -> Vec<Candidate> {
        let newest = time("2026-11-22T02:00:00Z");
        let mut backups: Vec<_> = rows.iter().enumerate().map(|(place, row)| {
            let mut one = candidate(place as u128 + 1, newest - TimeDelta::hours(row.0));
            one.source = format!("shop/{}", row.1);
            one.complete = row.2;
            one.backup_type = if row.3 { BackupType::Full } else { BackupType::Incr };
            one.pinned_until = row.5.map(|days| newest + TimeDelta::days(days));
            one
        }).collect();
        for (place, row) in rows.iter().enumerate() {
            backups[place].needs = row.4.and_then(|other| backups.get(other)).map(|other| other.id);
        }
        backups
    }
}

proptest! {
    #[test]
    fn what_must_stay_stays(policy in any_policy(), backups in any_backups()) {
        let now = time("2026-11-22T12:00:00Z");
        let outcome = policy.apply(&backups, now).unwrap();
        prop_assert_eq!(outcome.verdicts.len(), backups.len());
        let gone: HashSet<_> = outcome.deleted().collect();
        for backup in &backups {
            let newer_good = backups.iter().any(|other| {
                other.source == backup.source && other.complete && (other.at, other.id) > (backup.at, backup.id)
            });
            prop_assert!(newer_good || !gone.contains(&backup.id), "the last good one, or newer than it");
            prop_assert!(backup.pinned_until.is_none_or(|until| until <= now) || !gone.contains(&backup.id));
            if let Some(needed) = backup.needs.filter(|_| !gone.contains(&backup.id)) {
                prop_assert!(!gone.contains(&needed), "needed by a kept one");
            }
        }
        for verdict in &outcome.verdicts {
            prop_assert!(!verdict.reasons.is_empty());
        }
        // Applied to what it kept, it deletes nothing more.
        let left: Vec<_> = backups.iter().filter(|backup| !gone.contains(&backup.id)).cloned().collect();
        prop_assert_eq!(policy.apply(&left, now).unwrap().deleted().count(), 0);
    }

    #[test]
    fn a_rule_more_never_deletes_more(policy in any_policy(), backups in any_backups()) {
        let now = time("2026-11-22T12:00:00Z");
        prop_assume!(!policy.is_empty());
        let before: HashSet<_> = policy.apply(&backups, now).unwrap().deleted().collect();
        let wider = Policy { keep_last: Some(policy.keep_last.unwrap_or(0) + 1), ..policy };
        for gone in wider.apply(&backups, now).unwrap().deleted() {
            prop_assert!(before.contains(&gone));
        }
    }
}
