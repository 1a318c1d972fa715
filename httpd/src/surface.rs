//! Where the API is served: the Unix socket always, and what the configuration and the service
//! manager add.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Extensions, HeaderMap, StatusCode, Version};
use axum::middleware::from_fn;
use backstay_engine::config::Config;
use backstay_engine::{Code, Error, Result};
use tokio::net::TcpListener;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{Predicate as _, SizeAbove};

use crate::access_log;
use crate::listener::{SocketOptions, UnixSocket, bind_unix};
use crate::server::Endpoint;
use crate::systemd::{self, Inherited};
use crate::tls::Tls;

/// Answers up to this size are not worth compressing.
const COMPRESS_ABOVE_BYTES: u64 = 1024;

/// What was found right before anything else began: certificates, addresses, inherited sockets.
pub struct Surface {
    tls: Option<Arc<Tls>>,
    inherited: Inherited,
}

impl Surface {
    /// Looks for every mistake that can be seen before the engine is opened.
    pub fn prepare(config: &Config) -> Result<Self> {
        config.listen.check()?;
        let tls = config.listen.tls()?.map(Tls::load).transpose()?;
        let inherited = systemd::inherited()?;
        for listener in &inherited.tcp {
            config.listen.allow(local(listener)?)?;
        }
        Ok(Self {
            tls: tls.map(Arc::new),
            inherited,
        })
    }

    /// Whether anything but the Unix socket will be served.
    pub fn serves_network(&self, config: &Config) -> bool {
        !(self.inherited.tcp.is_empty() && config.listen.addresses.is_empty())
    }

    /// Opens what is not open yet.
    pub(crate) async fn bind(self, config: &Config) -> Result<Vec<Endpoint>> {
        let mut endpoints = Vec::new();
        let mut own = true;
        for listener in self.inherited.unix {
            let socket = UnixSocket::inherited(listener);
            own &= !same(socket.path(), &config.socket);
            tracing::info!(socket = %socket.path().display(), "serving what was handed over");
            endpoints.push(Endpoint::Unix(socket));
        }
        if own {
            let socket = bind_unix(&SocketOptions {
                path: config.socket.clone(),
                mode: config.socket_mode,
                group: config.socket_group.clone(),
            })?;
            tracing::info!(socket = %socket.path().display(), "serving");
            endpoints.push(Endpoint::Unix(socket));
        }
        let mut network = self.inherited.tcp;
        for address in &config.listen.addresses {
            network.push(bind_tcp(*address).await?);
        }
        for listener in network {
            let address = local(&listener)?;
            tracing::info!(%address, tls = self.tls.is_some(), "serving");
            endpoints.push(Endpoint::Tcp(listener, self.tls.clone()));
        }
        Ok(endpoints)
    }
}

/// The layers outside of the application: the access log, and over a network compression.
pub(crate) fn wrapped(router: Router, endpoint: &Endpoint) -> Router {
    let router = match endpoint {
        Endpoint::Unix(_) => router,
        Endpoint::Tcp(..) => compressed(router),
    };
    router.layer(from_fn(access_log::layer))
}

fn compressed(router: Router) -> Router {
    let worth = SizeAbove::new(COMPRESS_ABOVE_BYTES).and(compressible);
    router.layer(CompressionLayer::new().compress_when(worth))
}

/// Text, except events, which a compressor would hold back; exports are compressed already.
fn compressible(_: StatusCode, _: Version, headers: &HeaderMap, _: &Extensions) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.split(';').next())
        .unwrap_or_default()
        .trim();
    match kind {
        "text/event-stream" => false,
        "application/json" | "application/javascript" | "image/svg+xml" => true,
        _ => kind.starts_with("text/") || kind.ends_with("+json"),
    }
}

async fn bind_tcp(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        Error::new(Code::Conflict, format!("Could not listen on {address}"))
            .hint("Choose an address of this machine with a port that is free and allowed")
            .because(error)
    })
}

fn local(listener: &TcpListener) -> Result<SocketAddr> {
    listener
        .local_addr()
        .map_err(|error| Error::internal("A listener has no address").because(error))
}

fn same(one: &Path, other: &Path) -> bool {
    std::path::absolute(one).ok() == std::path::absolute(other).ok()
}

#[cfg(test)]
mod tests;
