//! `backstay serve`: opens the engine, serves it, and ends when it has stopped.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use backstay_engine::clock::SystemClock;
use backstay_engine::config::Config;
use backstay_engine::workers::Workers;
use backstay_engine::{Engine, Result};
use backstay_httpd::Surface;

use crate::cli::secrets;

/// What the command line says beside the configuration.
#[derive(Debug)]
pub(crate) struct Start {
    /// Whether another command started this engine.
    pub(crate) detached: bool,
    /// Holds the first administrator's password.
    pub(crate) password_file: Option<PathBuf>,
}

/// Runs the engine until it is told to stop.
pub(crate) async fn serve(config: Config, start: Start) -> Result<()> {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        data = %config.paths.data.display(),
        detached = start.detached,
        "starting"
    );
    // Before anything is opened: a mistake in addresses or certificates ends it here.
    let surface = Surface::prepare(&config)?;
    let serves_network = surface.serves_network(&config);
    let workers = Workers::start()?;
    let engine = Engine::open_with(config, Arc::new(SystemClock), &workers).await?;
    // An engine that was started by the way writes its output into a log, which is no place for it.
    if start.password_file.is_some() || (serves_network && !start.detached) {
        first_administrator(&engine, start.password_file.as_deref()).await?;
    }
    backstay_httpd::serve(engine, surface).await?;
    tracing::info!("stopped");
    Ok(())
}

/// Sees to it that somebody can administer the engine over the network.
async fn first_administrator(engine: &Engine, file: Option<&Path>) -> Result<()> {
    if engine.is_administered()? {
        return Ok(());
    }
    let given = file.map(|file| secrets::first_line(file, "password"));
    let Some(first) = engine.make_administrator(given.transpose()?).await? else {
        return Ok(());
    };
    tracing::info!(user = first.name, "made the first administrator");
    if let Some(password) = first.password {
        let _ = writeln!(
            std::io::stdout().lock(),
            "The first administrator is \"{}\" with the password {}\n\
             It is shown this once: log in with it and change it (backstay login, backstay user password)",
            first.name,
            password.expose()
        );
    }
    Ok(())
}
