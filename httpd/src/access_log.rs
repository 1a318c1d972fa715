//! One line of the log per request, written when its answer has been sent or given up.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use hyper::body::{Frame, SizeHint};

use crate::identity::Origin;
use crate::native::table::told;
use crate::request_id;

/// Logs every request under the target `access`.
pub(crate) async fn layer(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let origin = request.extensions().get::<Origin>().copied();
    let method = request.method().clone();
    let path = told(request.uri().path()).to_owned();
    let response = next.run(request).await;
    let request_id = response.headers().get(request_id::HEADER);
    let line = Line {
        started,
        origin: origin.map_or_else(String::new, |origin| origin.to_string()),
        tls: matches!(origin, Some(Origin::Network { tls: true, .. })),
        method,
        path,
        status: response.status(),
        request_id: request_id
            .and_then(|id| id.to_str().ok())
            .unwrap_or_default()
            .to_owned(),
        bytes: 0,
    };
    response.map(|body| Body::new(Logged { body, line }))
}

struct Line {
    started: Instant,
    origin: String,
    tls: bool,
    method: Method,
    path: String,
    status: StatusCode,
    request_id: String,
    bytes: u64,
}

impl Drop for Line {
    fn drop(&mut self) {
        macro_rules! write_line {
            ($level:ident) => {
                tracing::$level!(
                    target: "access",
                    origin = %self.origin,
                    tls = self.tls,
                    method = %self.method,
                    path = %self.path,
                    status = self.status.as_u16(),
                    bytes = self.bytes,
                    duration_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
                    request_id = %self.request_id,
                    "answered"
                )
            };
        }
        // Monitoring and waiting commands ask several times a second.
        if self.path == "/api/v1/health" && self.status.is_success() {
            write_line!(debug);
        } else {
            write_line!(info);
        }
    }
}

/// A body that counts what was sent of it.
struct Logged {
    body: Body,
    line: Line,
}

impl hyper::body::Body for Logged {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.line.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
