//! The start of an engine, and its end.

use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::backups::Deleting;
use super::downloads::Busy;
use super::execute::Workshop;
use super::exports::Due;
use super::jobs::Starts;
use super::notifications::Outbox;
use super::pool::Pool;
use super::settings::InForce;
use super::{Engine, Inner};
use crate::catalog::Catalog;
use crate::catalog::records::{RepositoryRecord, RunRecord};
use crate::clock::SharedClock;
use crate::config::Config;
use crate::error::{Code, Error, Result};
use crate::event::EventBus;
use crate::ids::RunId;
use crate::model::RepositoryCreate;
use crate::runs::Runs;
use crate::vault::{Vault, load_master_key};

/// Name of the repository that the first start makes.
const LOCAL: &str = "local";
pub(super) const CATALOG: &str = "catalog.redb";
/// How long the start waits for what was cut off to be looked after.
const SETTLING: Duration = Duration::from_secs(5);

pub(super) async fn open(config: Config, clock: SharedClock, workers: Handle) -> Result<Engine> {
    for folder in [
        &config.paths.data,
        &config.paths.cache,
        &config.paths.runtime,
    ] {
        make_private_folder(folder)?;
    }
    let path = config.paths.data.join(CATALOG);
    let first_start = !path.exists();
    let vault = Vault::new(&load_master_key(&config, !first_start)?)?;
    let catalog = Catalog::open(&path, vault, &clock).await?;
    let events = EventBus::new(Arc::clone(&clock));
    let stopping = CancellationToken::new();
    let runs = Runs::new(
        catalog.clone(),
        Arc::clone(&events),
        Arc::clone(&clock),
        &config,
        workers.clone(),
        stopping.clone(),
    );
    let due = Due::new(&config.paths.data);
    let settings = InForce::read(&catalog)?;
    let engine = Engine(Arc::new(Inner {
        started_at: clock.now(),
        started_boot: clock.boot(),
        config,
        clock,
        events,
        catalog,
        runs,
        workers,
        pool: Pool::default(),
        stopping,
        stopped: CancellationToken::new(),
        stop_now: AtomicBool::new(false),
        export: Notify::new(),
        schedule: Notify::new(),
        starts: Starts::default(),
        scratch: Notify::new(),
        due,
        settings,
        denials: super::access::Denials::default(),
        uses: super::access::Uses::default(),
        scheduler_seen: AtomicU64::new(0),
        downloads: Busy::default(),
        deleting: Deleting::default(),
        outbox: Outbox::default(),
    }));
    engine.make_groups().await?;
    engine.ensure_environments().await?;
    engine.make_tasks().await?;
    engine.make_local_repository().await;
    let cut_off = engine.0.runs.recover().await?;
    engine.fill_outbox()?;
    let owed = engine.owed()?;
    engine.work();
    engine.settle(cut_off, owed).await;
    Ok(engine)
}

fn make_private_folder(folder: &std::path::Path) -> Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| {
            Error::new(
                Code::ConfigInvalid,
                format!("The folder {} cannot be made", folder.display()),
            )
            .hint("Make it, or set BACKSTAY_HOME to a folder that can be written")
            .because(error)
        })
}

impl Engine {
    /// Looks after the runs that were cut off, and what is owed of those that have ended. Goes on in the background where a repository takes long, so
    /// that one of them keeps nobody from their answers.
    async fn settle(&self, cut_off: Vec<RunRecord>, owed: Vec<RunId>) {
        let engine = self.clone();
        let settling = tokio::spawn(async move {
            let work = async {
                engine.adopt_committed(&cut_off).await;
                engine.settle_owed(&owed).await
            };
            tokio::select! {
                () = engine.0.stopping.cancelled() => {}
                done = work => if let Err(error) = done {
                    tracing::error!(error = error.report(), "what was cut off is not gone on with");
                }
            }
        });
        // What comes to nothing here was logged there.
        let _ = tokio::time::timeout(SETTLING, settling).await;
    }

    /// The first start makes a repository. When that fails the engine works all the same: the
    /// doctor tells, and the next start tries again.
    async fn make_local_repository(&self) {
        let none = match self.0.catalog.all::<RepositoryRecord>() {
            Ok(all) => all.is_empty(),
            Err(_) => false,
        };
        if !none {
            return;
        }
        let location = self.0.config.paths.data.join("repository");
        let create = RepositoryCreate {
            name: LOCAL.to_owned(),
            location: location.display().to_string(),
            passphrase: None,
            recovery_code: None,
            default: true,
            same_domain_as: None,
        };
        if let Err(error) = self.add_repository(create).await {
            tracing::error!(error = error.report(), "the first repository was not made");
        }
    }

    /// Everything that goes on in the background until the stop.
    fn work(&self) {
        let workshop = Arc::new(Workshop(Engine(Arc::clone(&self.0))));
        tokio::spawn(Arc::clone(&self.0.runs).dispatch(workshop));
        if self.0.due.is_any() {
            self.0.export.notify_one();
        }
        let workers = &self.0.workers;
        let exporting = workers.spawn(self.clone().keep_exports());
        workers.spawn(self.clone().keep_schedule());
        workers.spawn(self.clone().keep_scratch_clean());
        workers.spawn(self.clone().keep_delivering());
        workers.spawn(self.clone().keep_deliveries_bounded());
        workers.spawn(self.clone().keep_watch());
        let engine = self.clone();
        tokio::spawn(async move {
            engine.0.stopping.cancelled().await;
            let now = engine.0.stop_now.load(Ordering::SeqCst);
            engine.0.runs.drain(now).await;
            if let Err(error) = exporting.await {
                tracing::error!(%error, "the catalog's export broke off");
            }
            engine.last_export().await;
            engine.0.pool.close();
            engine.0.stopped.cancel();
        });
    }
}
