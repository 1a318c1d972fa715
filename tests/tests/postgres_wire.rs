//! Reaching real PostgreSQL servers, asking them, and moving rows in bulk.

#[path = "postgres_wire/bulk.rs"]
mod bulk;
#[path = "postgres_wire/login.rs"]
mod login;
#[path = "postgres_wire/snapshot.rs"]
mod snapshot;
#[path = "postgres_wire/ssh.rs"]
mod ssh;
#[path = "postgres_wire/tls.rs"]
mod tls;

use std::time::Duration;

use backstay_engine::source::postgres::Target;
use backstay_engine::source::postgres::wire::{ROW_SECRET_BYTES, RowSecret};
use backstay_tests::postgres::Server;

/// The target that a URL leads to.
fn target(url: &str) -> Target {
    Target::from_url(url).unwrap_or_else(|error| panic!("{url}: {}", error.report()))
}

fn secret() -> RowSecret {
    RowSecret::new(std::array::from_fn::<u8, ROW_SECRET_BYTES, _>(|i| {
        (i as u8).wrapping_mul(151)
    }))
}

/// Waits until a question to the server has this answer.
async fn until(server: &Server, question: &str, answer: &str) {
    for _ in 0..200 {
        if server.sql("postgres", question) == answer {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never {answer:?}: {question}\n{}", server.log());
}
