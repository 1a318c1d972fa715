//! `events`

use hyper::Method;

use super::args::Events;
use super::failure::Done;
use super::session::Session;
use crate::client::events::Events as EventStream;

/// Prints events, one JSON document a line.
pub(crate) async fn events(session: &Session, events: &Events) -> Done {
    // All that is kept comes first, unless a place to go on from was given.
    let after = events
        .after
        .clone()
        .unwrap_or_else(|| backstay_engine::ids::EventId::from_bits(0).to_string());
    let path = format!("/api/v1/events?follow={}", events.follow);
    let header = hyper::header::HeaderValue::from_str(&after)
        .map_err(|_| backstay_engine::Error::invalid("--after takes the id of an event"))?;
    let name = hyper::header::HeaderName::from_static("last-event-id");
    let client = session.engine().await?;
    let response = client
        .request(Method::GET, &path, &[(name, header)], None)
        .await?;
    let mut stream = EventStream::of(response);
    loop {
        let event = tokio::select! {
            event = stream.next() => event?,
            _ = tokio::signal::ctrl_c() => return Ok(()),
        };
        match event {
            Some(event) => session.output.text(&event.data)?,
            None => return Ok(()),
        }
    }
}
