//! `backstay serve`: opens the engine, serves it, and ends when it has stopped.

use std::sync::Arc;

use backstay_engine::clock::SystemClock;
use backstay_engine::config::Config;
use backstay_engine::{Engine, Result};
use backstay_httpd::Surface;

/// Runs the engine until it is told to stop.
pub(crate) async fn serve(config: Config, detached: bool) -> Result<()> {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        data = %config.paths.data.display(),
        detached,
        "starting"
    );
    // Before anything is opened: a mistake in addresses or certificates ends it here.
    let surface = Surface::prepare(&config)?;
    let engine = Engine::open(config, Arc::new(SystemClock)).await?;
    backstay_httpd::serve(engine, surface).await?;
    tracing::info!("stopped");
    Ok(())
}
