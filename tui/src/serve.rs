//! `backstay serve`: opens the engine, serves it, and ends when it has stopped.

use std::sync::Arc;

use backstay_engine::clock::SystemClock;
use backstay_engine::config::Config;
use backstay_engine::{Engine, Result};

/// Runs the engine until it is told to stop.
pub(crate) async fn serve(config: Config, detached: bool) -> Result<()> {
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        data = %config.paths.data.display(),
        detached,
        "starting"
    );
    let engine = Engine::open(config, Arc::new(SystemClock)).await?;
    backstay_httpd::serve(engine).await?;
    tracing::info!("stopped");
    Ok(())
}
