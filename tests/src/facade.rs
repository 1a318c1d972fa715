//! The engine's façade in this process, without the command line.

use std::path::Path;
use std::sync::Arc;

use backstay_engine::Engine;
use backstay_engine::clock::SystemClock;
use backstay_engine::config::Config;
use backstay_engine::error::Code;
use backstay_engine::model::{ConnectionCreate, StopRequest};

/// An engine on that home, as soon as an earlier one has let go of it.
pub async fn opened(home: &Path) -> Engine {
    loop {
        match Engine::open(Config::in_home(home), Arc::new(SystemClock)).await {
            Err(error) if error.code() == Code::EngineRunning => tokio::task::yield_now().await,
            other => return other.unwrap_or_else(|error| panic!("{}", error.report())),
        }
    }
}

/// Ends it, and whatever runs.
pub async fn stopped(engine: Engine) {
    engine.stop(&StopRequest { now: true });
    engine.stopped().await;
}

/// A connection with nothing but an address.
pub fn connection(name: &str, url: String) -> ConnectionCreate {
    ConnectionCreate {
        name: name.to_owned(),
        url,
        password: None,
        ssh: None,
        project: None,
        environment: None,
        include_new_databases: None,
        test: None,
    }
}
