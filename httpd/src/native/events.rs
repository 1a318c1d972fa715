//! `/events`: everything that happens, as server-sent events.
//!
//! `Last-Event-ID` resumes; `?follow=false` answers what is kept and ends.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::response::sse::{Event as SseEvent, KeepAlive, Sse};
use backstay_engine::Error;
use backstay_engine::ids::EventId;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::answers::EventStream;
use crate::extract::Query;
use crate::problem::Answer;
use crate::streams::Stream;

/// Proxies close what is silent for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(events))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct EventQuery {
    /// As the header, for clients that cannot set one.
    last_event_id: Option<String>,
    /// `false` answers what is kept and ends.
    follow: Option<bool>,
}

/// Follows everything that happens.
#[utoipa::path(get, path = "/events",
    params(EventQuery, ("Last-Event-ID" = Option<String>, Header, description = "The last event that was seen")))]
async fn events(
    State(app): State<App>,
    leave: Stream,
    headers: HeaderMap,
    Query(query): Query<EventQuery>,
) -> Answer<EventStream> {
    let header = headers.get("last-event-id").map(|value| {
        value
            .to_str()
            .map_err(|_| Error::invalid("Last-Event-ID is not the id of an event"))
    });
    let follow = query.follow.unwrap_or(true);
    let last = match (header.transpose()?, query.last_event_id) {
        (Some(id), _) if !id.is_empty() => Some(id.parse::<EventId>()?),
        (_, Some(id)) => Some(id.parse::<EventId>()?),
        // Without following, nothing but the past can be meant.
        _ if !follow => Some(EventId::from_bits(0)),
        _ => None,
    };
    let subscription = app.engine.subscribe(last);
    let events = stream::unfold(subscription, move |mut subscription| async move {
        let event = if follow {
            subscription.next().await
        } else {
            subscription.next().now_or_never()?
        };
        let sse = SseEvent::default()
            .id(event.id.to_string())
            .event(&event.kind);
        Some((document(sse, &*event), subscription))
    });
    let events = events.take_until(Box::pin(leave.ended()));
    Ok(EventStream(
        Sse::new(events).keep_alive(keep_alive()).into_response(),
    ))
}

/// An event with `data` as its document.
// Streams of events want results.
#[allow(clippy::unnecessary_wraps)]
pub(super) fn document<T: Serialize>(event: SseEvent, data: &T) -> Result<SseEvent, Infallible> {
    // Serialising the model's types cannot fail: their maps have text keys.
    Ok(event.json_data(data).unwrap_or_default())
}

pub(super) fn keep_alive() -> KeepAlive {
    KeepAlive::new().interval(KEEP_ALIVE)
}
