//! Kept over restarts, for a day, within bounds.

use chrono::{DateTime, TimeDelta};

use super::jobs::opened_at;
use super::*;
use crate::catalog::records::{AnswerRecord, answer};
use crate::clock::ManualClock;
use crate::engine::answers::Bounds;

const MIB: usize = 1 << 20;

fn given(bytes: usize) -> GivenAnswer {
    GivenAnswer {
        request: "00".to_owned(),
        status: 201,
        headers: vec![("location".to_owned(), "/x".to_owned())],
        body: Some("a".repeat(bytes)),
    }
}

async fn give(engine: &Engine, caller: &str, number: usize, bytes: usize) {
    let key = RepeatKey::new(caller, "/work", &number.to_string());
    engine.keep_answer(&key, given(bytes)).await.unwrap();
}

fn is_given(engine: &Engine, caller: &str, number: usize) -> bool {
    let key = RepeatKey::new(caller, "/work", &number.to_string());
    engine.given_answer(&key).unwrap().is_some()
}

#[tokio::test]
async fn an_answer_outlives_a_restart_and_not_its_day() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH + TimeDelta::days(1)));
    let engine = opened_at(home.path(), &clock).await;
    let key = RepeatKey::new("ann", "/work", "1");
    engine.keep_answer(&key, given(10)).await.unwrap();
    let other = GivenAnswer {
        body: None,
        ..given(0)
    };
    engine.keep_answer(&key, other.clone()).await.unwrap();
    stopped(engine).await;

    let engine = opened_at(home.path(), &clock).await;
    clock.advance(Duration::from_secs(86_399));
    assert_eq!(engine.given_answer(&key).unwrap(), Some(other));
    for (caller, path, name) in [
        ("ben", "/work", "1"),
        ("ann", "/w", "ork1"),
        ("ann", "/work", "2"),
    ] {
        let key = RepeatKey::new(caller, path, name);
        assert_eq!(engine.given_answer(&key).unwrap(), None);
    }
    give(&engine, "ben", 1, 10).await;
    assert_eq!(engine.remove_old_answers().await.unwrap(), 0);
    clock.advance(Duration::from_secs(2));
    assert_eq!(engine.given_answer(&key).unwrap(), None);
    let run = engine
        .run_system_task("cleanup", Trigger::Manual)
        .await
        .unwrap();
    let mut watch = engine.watch_run(&run.run_id.to_string()).await.unwrap();
    while watch.next().await.is_some() {}
    assert_eq!(engine.0.catalog.all::<AnswerRecord>().unwrap().len(), 1);
    assert!(is_given(&engine, "ben", 1));
    stopped(engine).await;
}

#[tokio::test]
async fn no_caller_crowds_out_another_and_all_stay_within_bounds() {
    let home = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH + TimeDelta::days(1)));
    let engine = opened_at(home.path(), &clock).await;
    give(&engine, "quiet", 0, 10).await;
    for number in 0..6 {
        // Ids of one moment are in order only while no other test makes some of another.
        clock.advance(Duration::from_millis(1));
        give(&engine, "large", number, MIB).await;
    }
    let kept: Vec<_> = (0..6).map(|n| is_given(&engine, "large", n)).collect();
    assert_eq!(kept, [false, false, true, true, true, true]);
    assert!(is_given(&engine, "quiet", 0));

    for number in 0..10 {
        clock.advance(Duration::from_millis(1));
        give(&engine, "small", number, 10).await;
    }
    let bounds = Bounds {
        count: 3,
        bytes: 20,
    };
    engine.bound_answers(Some("small"), bounds).await.unwrap();
    let kept: Vec<_> = (0..10).filter(|n| is_given(&engine, "small", *n)).collect();
    assert_eq!(kept, [8, 9]);
    engine.bound_answers(None, bounds).await.unwrap();
    let all = engine.0.catalog.all::<AnswerRecord>().unwrap();
    assert!(all.iter().all(|record| record.caller == "small"));
    assert_eq!(all.len(), 2);
    for number in 8..10 {
        engine
            .remove_answers(vec![all[number - 8].id])
            .await
            .unwrap();
    }
    let sum = |name: &str| engine.0.catalog.tally::<AnswerRecord>(name).unwrap();
    assert_eq!((sum(answer::COUNT), sum(answer::BYTES)), (0, 0));
    stopped(engine).await;
}
