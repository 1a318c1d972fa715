//! Making what comes after the rows, in several sessions at once.

use std::collections::HashMap;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Job;
use crate::error::{Error, Result};
use crate::monitor::{Loss, Task};
use crate::source::postgres::logical::object::{Object, ObjectKind, ObjectNumber, Section};
use crate::source::postgres::logical::restore::maker::Maker;
use crate::source::postgres::logical::restore::schedule::Schedule;

/// How often a long statement is reported to be under way.
const HEARTBEAT: Duration = Duration::from_secs(5);

/// Makes indexes, constraints, triggers and so on; the answer counts what was made.
pub(super) async fn make(job: &Job<'_>, losses: &mut Vec<Loss>) -> Result<u64> {
    let items: Vec<&Object> = job.objects().filter(|object| is_post(object)).collect();
    job.task.monitor.stage("making indexes and constraints");
    job.task.monitor.expect(Some(items.len() as u64), None);
    let all: HashMap<ObjectNumber, &Object> = job
        .objects()
        .map(|object| (object.number, object))
        .collect();
    let mut weights: HashMap<ObjectNumber, u64> = HashMap::new();
    for table in &job.archive.tables {
        *weights.entry(table.entry.number).or_default() += table.entry.sum.data_bytes;
    }
    let mut schedule = Schedule::new(&items, &all, |table| {
        weights.get(&table).copied().unwrap_or_default()
    });
    let mut idle: Vec<Maker> = Vec::new();
    let mut opened = 0;
    let mut running: JoinSet<Result<(Maker, ObjectNumber, Vec<Loss>)>> = JoinSet::new();
    let mut made = 0;
    while !schedule.is_finished() {
        while running.len() < job.workers
            && let Some(number) = schedule.take()
        {
            let Some(object) = all.get(&number) else {
                return Err(Error::internal(
                    "The schedule names an object that is not there",
                ));
            };
            let mut maker = if let Some(maker) = idle.pop() {
                maker
            } else {
                opened += 1;
                job.maker().await?
            };
            let object = Object::clone(object);
            let task = job.task.clone();
            running.spawn(async move {
                let mut losses = Vec::new();
                beating(&task, maker.make(&object, &mut losses)).await?;
                Ok((maker, object.number, losses))
            });
        }
        debug_assert!(opened <= job.workers);
        let Some(ended) = running.join_next().await else {
            return Err(Error::internal("Nothing runs, yet something waits"));
        };
        let (maker, number, mut found) =
            ended.map_err(|error| Error::internal("A worker died").because(error))??;
        made += u64::from(found.is_empty());
        losses.append(&mut found);
        idle.push(maker);
        schedule.finish(number);
        job.task.monitor.advance(1, 0, 0);
    }
    Ok(made)
}

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
fn is_post(object: &Object) -> bool {
    object.section() == Section::Post
        && !matches!(
            object.kind,
            ObjectKind::DefaultAcl | ObjectKind::EventTrigger | ObjectKind::RefreshMaterializedView
        )
}
