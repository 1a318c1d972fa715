//! What subscribers see of the ring.

use super::*;
use crate::clock::SystemClock;

fn bus() -> Arc<EventBus> {
    EventBus::new(Arc::new(SystemClock))
}

fn number(event: &Event) -> u64 {
    event.data.as_u64().unwrap()
}

#[tokio::test]
async fn a_subscriber_sees_what_comes_after_it() {
    let bus = bus();
    bus.publish("test", None, 1.into());
    let mut reader = bus.subscribe(None);
    bus.publish("test", None, 2.into());
    bus.publish("test", None, 3.into());
    assert_eq!(number(&*reader.next().await), 2);
    assert_eq!(number(&*reader.next().await), 3);
}

#[tokio::test]
async fn a_subscriber_that_comes_back_misses_nothing() {
    let bus = bus();
    let mut reader = bus.subscribe(None);
    for n in 1..=4 {
        bus.publish("test", None, n.into());
    }
    reader.next().await;
    let last = reader.next().await.id;
    let mut again = bus.subscribe(Some(last));
    assert_eq!(number(&*again.next().await), 3);
}

#[tokio::test]
async fn a_slow_subscriber_is_told_what_it_lost() {
    let bus = bus();
    let mut reader = bus.subscribe(None);
    for n in 0..(KEPT as u64 + 10) {
        bus.publish("test", None, n.into());
    }
    assert_eq!(reader.next().await.kind, "events.lost");
    assert_eq!(number(&*reader.next().await), 10);
}

#[tokio::test]
async fn a_waiting_subscriber_wakes() {
    let bus = bus();
    let mut reader = bus.subscribe(None);
    let waiting = tokio::spawn(async move { number(&*reader.next().await) });
    tokio::task::yield_now().await;
    bus.publish("test", None, 7.into());
    assert_eq!(waiting.await.unwrap(), 7);
}
