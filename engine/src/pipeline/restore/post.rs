//! What comes after the rows: which objects, what they wait for, and how long they may take.

use std::time::Duration;

use crate::monitor::Task;
use crate::source::postgres::logical::object::{Object, ObjectKind, Section};

/// How often a long statement is reported to be under way.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Awaits work of the server that says nothing while it lasts, and says that it does.
pub(super) async fn beating<T>(task: &Task, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        match tokio::time::timeout(HEARTBEAT, &mut work).await {
            Ok(done) => return done,
            Err(_) => task.monitor.advance(0, 0, 0),
        }
    }
}

/// Whether an object is made here; privileges, event triggers and refreshes come later still.
pub(super) fn is_post(object: &Object) -> bool {
    object.section() == Section::Post
        && !matches!(
            object.kind,
            ObjectKind::DefaultAcl | ObjectKind::EventTrigger | ObjectKind::RefreshMaterializedView
        )
}

/// Whether an object needs the rows of its own tables only. Everything else waits for all rows: a
/// trigger must not see them come, and what a function reads is not known.
pub(super) fn is_early(object: &Object) -> bool {
    matches!(
        object.kind,
        ObjectKind::Index
            | ObjectKind::IndexAttach
            | ObjectKind::Constraint
            | ObjectKind::ForeignKey
    )
}

/// How long making an object may take, where loading its table costs `table_bytes`.
pub(super) fn cost(object: &Object, table_bytes: u64) -> u64 {
    let says = |what: &str| {
        object
            .create
            .iter()
            .any(|statement| statement.contains(what))
    };
    match object.kind {
        ObjectKind::Index if says(" USING btree ") || says(" USING hash ") => table_bytes / 4,
        ObjectKind::Index if says(" USING brin ") => table_bytes / 8,
        // Inverted and spatial indexes, and those of extensions.
        ObjectKind::Index => table_bytes.saturating_mul(3),
        ObjectKind::Constraint | ObjectKind::ForeignKey => table_bytes / 4,
        _ => 0,
    }
}
