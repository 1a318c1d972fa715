//! A long answer that may break off: whoever asks for it is told why, by a trailer.
//!
//! For everybody else the connection breaks, so that nobody takes a torso for the whole. A client that
//! sends `TE: trailers` and `Backstay-Error: trailer` promises to look at the trailer `Backstay-Error`: a
//! problem document in place of the rest.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use backstay_engine::{Error, Result};
use bytes::Bytes;
use futures_util::Stream;
use hyper::body::Frame;

/// The header of a request that asks for it, and the trailer.
const NAME: HeaderName = HeaderName::from_static("backstay-error");

/// A response that streams `blocks`.
pub(crate) fn respond<S>(blocks: S, request: &HeaderMap) -> Response
where
    S: Stream<Item = Result<Bytes>> + Send + Unpin + 'static,
{
    // Without `TE: trailers`, as when a proxy took it off, the trailer would be dropped on the way out and
    // the torso would end like a whole.
    let has = |name: &HeaderName, word: &str| {
        let value = request.get(name).and_then(|value| value.to_str().ok());
        value.is_some_and(|value| value.split(',').any(|part| part.trim() == word))
    };
    let is_asked = has(&NAME, "trailer") && has(&header::TE, "trailers");
    if !is_asked {
        return Body::from_stream(blocks).into_response();
    }
    let body = Told {
        blocks,
        has_ended: false,
    };
    let mut response = Response::new(Body::new(body));
    let names = HeaderValue::from_static("backstay-error");
    response.headers_mut().insert(header::TRAILER, names);
    response
}

struct Told<S> {
    blocks: S,
    has_ended: bool,
}

impl<S: Stream<Item = Result<Bytes>> + Unpin> hyper::body::Body for Told<S> {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let next = std::task::ready!(Pin::new(&mut self.blocks).poll_next(context));
        Poll::Ready(match next {
            Some(Ok(block)) => Some(Ok(Frame::data(block))),
            Some(Err(error)) => {
                self.has_ended = true;
                match trailer(&error) {
                    Some(trailer) => Some(Ok(Frame::trailers(trailer))),
                    None => Some(Err(error)),
                }
            }
            None => None,
        })
    }
}

fn trailer(error: &Error) -> Option<HeaderMap> {
    tracing::error!(error = error.report(), "an answer broke off");
    let document = serde_json::json!({
        "code": error.code().name(),
        "detail": error.report(),
        "hint": error.hint_text(),
    });
    let value = HeaderValue::from_str(&ascii(&document.to_string())).ok()?;
    Some(HeaderMap::from_iter([(NAME, value)]))
}

/// JSON in ASCII only: headers take nothing else for sure.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            text.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            text.push_str(&format!("\\u{unit:04x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_fits_into_a_header() {
        let text = "Tabelle \"größe\" \u{1F4A5}\n";
        let json = ascii(&serde_json::json!(text).to_string());
        assert!(HeaderValue::from_str(&json).is_ok(), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }
}
