//! Every small object, opened once.

use std::collections::HashSet;

use super::super::format::log;
use super::super::format::records::{Export, ExportPart, Mark, Note, Record, Trash};
use super::super::format::sealed::Kind;
use super::super::format::session::SessionRecord;
use super::super::objects::damaged;
use super::super::snapshot::Snapshot;
use super::super::{Repository, exports};
use super::CheckReport;
use crate::error::{Code, Error, Result};
use crate::monitor::Task;
use crate::storage::ObjectInfo;

/// Names every object that does not open or should not be where it is.
pub(super) async fn check(
    repository: &Repository,
    report: &mut CheckReport,
    task: &Task,
) -> Result<()> {
    let inner = &repository.inner;
    for (key, why) in repository.damaged_keys().await? {
        report.problem(key, why);
    }
    for (key, why) in repository.unreadable_segments() {
        report.problem(key, why);
    }
    let all = inner.storage.list("").await?;
    task.monitor.foresee(Some(all.len() as u64), None);
    for info in all {
        task.check()?;
        let Some(kind) = Kind::ALL
            .into_iter()
            .find(|kind| info.key.starts_with(kind.prefix()))
        else {
            let known = ["packs/", "keys/", "backstay.json"];
            if !known.iter().any(|known| info.key.starts_with(known)) {
                report.problem(info.key, "It does not belong to the repository");
            }
            continue;
        };
        task.or_cancelled(one(repository, kind, &info, report))
            .await?;
        task.monitor.advance(1, info.size_bytes, 0);
    }
    Ok(())
}

async fn one(
    repository: &Repository,
    kind: Kind,
    info: &ObjectInfo,
    report: &mut CheckReport,
) -> Result<()> {
    match kind {
        Kind::Session => record::<SessionRecord>(repository, info, report).await,
        Kind::Snapshot => record::<Snapshot>(repository, info, report).await,
        Kind::Note => record::<Note>(repository, info, report).await,
        Kind::Trash => record::<Trash>(repository, info, report).await,
        Kind::Mark => record::<Mark>(repository, info, report).await,
        Kind::Export => found(info, export(repository, info).await, report),
        // Unreadable ones were named by the refresh, but a readable cache hides later damage.
        Kind::Segment => {
            let read = repository
                .inner
                .read_segment(&info.key, info.size_bytes)
                .await;
            found(info, read.map(|_| ()), report)
        }
        Kind::Log => found(info, log(repository, info).await, report),
    }
}

async fn log(repository: &Repository, info: &ObjectInfo) -> Result<()> {
    let inner = &repository.inner;
    let bytes = inner.storage.get(&info.key, None).await?;
    let (version, plain) = inner.open_sealed(Kind::Log, &info.key, &bytes)?;
    let (header, _) = log::decode(version, &plain).map_err(|cause| damaged(&info.key, cause))?;
    if log::key(&header) == info.key {
        Ok(())
    } else {
        let why = Error::new(Code::RepositoryCorrupt, "It has another segment's name");
        Err(damaged(&info.key, why))
    }
}

/// An export that names parts which are not there would come back without them.
async fn export(repository: &Repository, info: &ObjectInfo) -> Result<()> {
    let inner = &repository.inner;
    let Some(export) = inner.get_record_if_there::<Export>(&info.key).await? else {
        return Ok(());
    };
    if export.parts.is_empty() {
        return Ok(());
    }
    let listed = inner.list_kind(Kind::Export).await?;
    let there: HashSet<String> = listed.into_iter().map(|info| info.key).collect();
    let is_lost = |part: &&ExportPart| !there.contains(&exports::key_of(part.id));
    let lost = export.parts.values().filter(is_lost).count();
    // Its writer may have removed it in between, and them with it.
    if lost == 0 || !there.contains(&info.key) {
        return Ok(());
    }
    let why = format!("{lost} parts of it are missing; the next daily export writes them again");
    Err(Error::new(Code::RepositoryCorrupt, why))
}

async fn record<R: Record>(
    repository: &Repository,
    info: &ObjectInfo,
    report: &mut CheckReport,
) -> Result<()> {
    let read = repository.inner.get_record_if_there::<R>(&info.key).await;
    found(info, read.map(|_| ()), report)
}

/// Damage is a finding; anything else means that the check cannot go on.
fn found(info: &ObjectInfo, read: Result<()>, report: &mut CheckReport) -> Result<()> {
    match read {
        Ok(()) => Ok(()),
        Err(error) if error.code() == Code::RepositoryMissing => Ok(()),
        Err(error) if error.code() == Code::RepositoryCorrupt => {
            if !report
                .problems
                .iter()
                .any(|problem| problem.object == info.key)
            {
                report.problem(info.key.clone(), error.report());
            }
            Ok(())
        }
        Err(error) => Err(error),
    }
}
