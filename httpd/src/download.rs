//! Files that are made while they are sent, whole or from where an earlier download broke off.
//!
//! Ranges as RFC 9110, section 14, has them: one range with a beginning is answered; any other is ignored,
//! which the RFC allows. An `If-Range` that names another file gets the whole one.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use backstay_engine::{Code, Error, Export, Prepared};
use bytes::Bytes;
use futures_util::Stream;

use crate::delivery::Deliveries;
use crate::native::attachment;
use crate::problem::{Answer, Problem};
use crate::streams;

/// A range that was asked for, both ends counted from zero and included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: u64,
    last: Option<u64>,
}

/// Until when a file is sent, and who is told that it has arrived.
pub(crate) enum Leave {
    /// For as long as its caller is let in.
    Caller(streams::Stream),
    /// Once, over that connection.
    Once(Deliveries),
}

/// An export that breaks off when its caller is not let in any more.
struct Leased {
    export: Export,
    ended: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    has_ended: bool,
    deliveries: Option<Deliveries>,
}

impl Leased {
    fn new(export: Export, leave: Leave) -> Self {
        let (ended, deliveries) = match leave {
            Leave::Caller(stream) => (Some(Box::pin(stream.ended()) as _), None),
            Leave::Once(deliveries) => (None, Some(deliveries)),
        };
        Self {
            export,
            ended,
            has_ended: false,
            deliveries,
        }
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        // Everything was taken, which is not to say that it was written, let alone that it arrived.
        if let Some(deliveries) = &self.deliveries
            && let Some(ticket) = self.export.ticket()
        {
            deliveries.expect(move || ticket.delivered());
        }
    }
}

impl Stream for Leased {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        if let Some(ended) = &mut self.ended
            && ended.as_mut().poll(context).is_ready()
        {
            self.has_ended = true;
            let error = Error::new(
                Code::Unauthenticated,
                "The export was broken off: its key or login has ended, or the engine stops",
            );
            return Poll::Ready(Some(Err(error)));
        }
        Pin::new(&mut self.export).poll_next(context)
    }
}

/// Answers with the file, or the part of it that was asked for, for as long as there is leave.
pub(crate) async fn send(
    prepared: Prepared,
    request: &HeaderMap,
    leave: Leave,
) -> Answer<Response> {
    let tag = format!("\"{}\"", prepared.tag);
    let facts = [
        (header::CONTENT_TYPE, prepared.content_type.to_owned()),
        (header::ETAG, tag.clone()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
    ];
    let disposition = attachment(&prepared.file_name);
    let mut response = match wanted(request, &tag) {
        Some(range) => part(prepared, range, leave).await?,
        None => whole(prepared, request, leave).await?,
    };
    let headers = response.headers_mut();
    for (name, value) in facts {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.entry(name).or_insert(value);
        }
    }
    headers.insert(header::CONTENT_DISPOSITION, disposition);
    Ok(response)
}

async fn whole(prepared: Prepared, request: &HeaderMap, leave: Leave) -> Answer<Response> {
    let size = if prepared.is_easily_measured() {
        Some(prepared.size_bytes().await?)
    } else {
        None
    };
    let mut response = crate::torso::respond(Leased::new(prepared.whole(size), leave), request);
    // A reason behind the torso fits only where no length was promised.
    if !response.headers().contains_key(header::TRAILER)
        && let Some(size) = size
    {
        let size = HeaderValue::from(size);
        response.headers_mut().insert(header::CONTENT_LENGTH, size);
    }
    Ok(response)
}

async fn part(prepared: Prepared, range: Range, leave: Leave) -> Answer<Response> {
    let size = prepared.size_bytes().await?;
    let last = range.last.unwrap_or(u64::MAX).min(size.saturating_sub(1));
    if range.first >= size || last < range.first {
        let problem = Problem::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "request.range",
            format!("The file has {size} bytes, and the range lies behind them"),
        );
        let mut response = problem.into_response();
        let all = HeaderValue::from_str(&format!("bytes */{size}"));
        if let Ok(all) = all {
            response.headers_mut().insert(header::CONTENT_RANGE, all);
        }
        return Ok(response);
    }
    let place = format!("bytes {}-{last}/{size}", range.first);
    let export = Leased::new(prepared.part(range.first, last, size), leave);
    let mut response = Body::from_stream(export).into_response();
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let headers = response.headers_mut();
    if let Ok(place) = HeaderValue::from_str(&place) {
        headers.insert(header::CONTENT_RANGE, place);
    }
    let length = HeaderValue::from(last + 1 - range.first);
    headers.insert(header::CONTENT_LENGTH, length);
    Ok(response)
}

/// The range to answer, if there is one.
fn wanted(request: &HeaderMap, tag: &str) -> Option<Range> {
    if request.get(header::IF_RANGE).is_some_and(|own| own != tag) {
        return None;
    }
    read(request.get(header::RANGE)?.to_str().ok()?)
}

fn read(text: &str) -> Option<Range> {
    let (unit, range) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let last = match last.trim() {
        "" => None,
        last => Some(last.parse().ok()?),
    };
    let first = first.trim().parse().ok()?;
    let is_one = last.is_none_or(|last| first <= last);
    is_one.then_some(Range { first, last })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_with_a_beginning_is_read_and_nothing_else() {
        let range = |first, last| Some(Range { first, last });
        assert_eq!(read("bytes=0-"), range(0, None));
        assert_eq!(read("Bytes= 5-9"), range(5, Some(9)));
        for other in [
            "bytes=-5",
            "bytes=9-5",
            "bytes=0-1,5-6",
            "rows=0-1",
            "bytes",
            "bytes=a-",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
        let mut request = HeaderMap::new();
        request.insert(header::RANGE, HeaderValue::from_static("bytes=3-"));
        assert_eq!(wanted(&request, "\"a\""), range(3, None));
        request.insert(header::IF_RANGE, HeaderValue::from_static("\"b\""));
        assert_eq!(wanted(&request, "\"a\""), None);
    }
}
