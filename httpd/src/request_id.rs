//! Names every request, writes problem answers, logs what failed.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use backstay_engine::secret::random_bytes;

use crate::native::table::told;
use crate::problem::Problem;

/// The header that carries the id, both ways.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Characters an id from outside may have at most; a longer one is replaced.
const LENGTH_MAX: usize = 64;

/// The outermost layer: keeps the caller's id or makes one, and turns a [`Problem`] into bytes.
pub(crate) async fn layer(request: Request, next: Next) -> Response {
    let id = given(&request).unwrap_or_else(generate);
    let method = request.method().clone();
    let path = told(request.uri().path()).to_owned();
    let response = next.run(request).await;
    let mut response = match response.extensions().get::<Problem>() {
        None => response,
        Some(problem) => {
            if let Some(report) = problem.log_line() {
                tracing::error!(request_id = %id, %method, path, "{report}");
            }
            let mut written = problem.render(&id);
            for (name, value) in response.headers() {
                if name != axum::http::header::CONTENT_TYPE
                    && name != axum::http::header::CONTENT_LENGTH
                {
                    written.headers_mut().append(name, value.clone());
                }
            }
            written
        }
    };
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

fn given(request: &Request) -> Option<String> {
    let text = request.headers().get(HEADER)?.to_str().ok()?;
    let fits = (1..=LENGTH_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    fits.then(|| text.to_owned())
}

fn generate() -> String {
    let mut id = String::from("req_");
    for byte in random_bytes::<10>() {
        use std::fmt::Write as _;
        let _ = write!(id, "{byte:02x}");
    }
    id
}
