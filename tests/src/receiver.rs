//! An HTTP server that keeps what it gets and answers as it is told.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::process::wait_for;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// `POST`, …
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case, and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Received {
    /// The header of that name.
    ///
    /// # Panics
    /// When it was not sent.
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or_else(|| panic!("no {name} in {self:?}"), |(_, value)| value)
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// How a request is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// With a status.
    Status(u16),
    /// With a redirect to that address.
    Redirect(String),
    /// Never.
    Nothing,
}

#[derive(Debug, Default)]
struct State {
    received: Vec<Received>,
    replies: VecDeque<Reply>,
    usual: Option<Reply>,
}

/// A running server; it ends with this value.
#[derive(Debug)]
pub struct Receiver {
    state: Arc<Mutex<State>>,
    address: SocketAddr,
    scheme: &'static str,
    _runtime: tokio::runtime::Runtime,
}

impl Default for Receiver {
    fn default() -> Self {
        Self::new()
    }
}

impl Receiver {
    /// A server in clear on a free port.
    pub fn new() -> Self {
        Self::start(None)
    }

    /// A server that shows a certificate.
    pub fn secure(config: Arc<rustls::ServerConfig>) -> Self {
        Self::start(Some(TlsAcceptor::from(config)))
    }

    fn start(tls: Option<TlsAcceptor>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::clone(&state);
        runtime.spawn(async move {
            loop {
                let Ok((tcp, _)) = listener.accept().await else {
                    return;
                };
                let (state, tls) = (Arc::clone(&shared), tls.clone());
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(Arc::clone(&state), request));
                    match tls {
                        None => {
                            let io = TokioIo::new(tcp);
                            let _ = http1::Builder::new().serve_connection(io, service).await;
                        }
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(tcp).await {
                                let io = TokioIo::new(stream);
                                let _ = http1::Builder::new().serve_connection(io, service).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            state,
            address,
            scheme,
            _runtime: runtime,
        }
    }

    /// Its address with that path.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// Answers the next requests so, one after the other.
    pub fn next(&self, replies: impl IntoIterator<Item = Reply>) {
        self.state.lock().replies.extend(replies);
    }

    /// Answers all others so.
    pub fn usually(&self, reply: Reply) {
        self.state.lock().usual = Some(reply);
    }

    /// Everything so far.
    pub fn received(&self) -> Vec<Received> {
        self.state.lock().received.clone()
    }

    /// Waits for the first request that fits.
    pub fn wait(&self, what: &str, fits: impl Fn(&Received) -> bool) -> Received {
        wait_for(what, Duration::from_mins(1), || {
            self.received().into_iter().find(&fits)
        })
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes().to_vec());
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.to_string(), value)
    });
    let received = Received {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: headers.collect(),
        body: body.unwrap_or_default(),
    };
    let reply = {
        let mut state = state.lock();
        state.received.push(received);
        let next = state.replies.pop_front().or(state.usual.clone());
        next.unwrap_or(Reply::Status(200))
    };
    let response = Response::builder();
    let response = match reply {
        Reply::Status(status) => response.status(status),
        Reply::Redirect(to) => response.status(302).header("location", to),
        Reply::Nothing => std::future::pending().await,
    };
    Ok(response
        .body(Full::new(Bytes::from_static(b"as you wish")))
        .unwrap())
}
