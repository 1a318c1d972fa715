//! `api METHOD PATH`

use std::io::Read as _;

use backstay_engine::{Error, Result};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use hyper::Method;
use hyper::header::{HeaderName, HeaderValue};

use super::args::Api;
use super::failure::{Done, Failure};
use super::session::Session;
use crate::client::error_of;

/// The largest body read from a file or standard input.
const BODY_MAX_BYTES: u64 = 16 << 20;

/// Sends the request and prints what comes back.
pub(crate) async fn api(session: &Session, api: Api) -> Done {
    let path = if api.path.starts_with('/') {
        api.path
    } else {
        format!("/api/v1/{}", api.path)
    };
    let method = Method::from_bytes(api.method.as_bytes())
        .map_err(|error| Error::invalid("That is no HTTP method").because(error))?;
    let headers = api
        .header
        .iter()
        .map(|(name, value)| header(name, value))
        .collect::<Result<Vec<_>>>()?;
    let body = api.data.as_deref().map(body).transpose()?;
    let client = session.engine().await?;
    let response = client.send(method, &path, &headers, body).await?;
    let status = response.status();
    let json = response
        .headers()
        .get(hyper::header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.contains("json"));
    if !status.is_success() {
        let bytes = crate::client::read(response).await?;
        session.output.raw(&bytes)?;
        session.output.raw(b"\n")?;
        return Err(Failure::Exit(error_of(status, &bytes).code().exit()));
    }
    let mut body = response.into_body();
    let mut ended_line = true;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Error::new(
                backstay_engine::Code::EngineUnreachable,
                "The engine's answer broke off in the middle",
            )
            .because(error)
        })?;
        if let Some(data) = frame.data_ref() {
            session.output.raw(data)?;
            ended_line = data.ends_with(b"\n");
        }
    }
    if json && !ended_line {
        session.output.raw(b"\n")?;
    }
    Ok(())
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(name.as_bytes())
        .map_err(|error| Error::invalid(format!("\"{name}\" is no header")).because(error))?;
    let value = HeaderValue::from_str(value).map_err(|error| {
        Error::invalid(format!("The value of the header {name} is malformed")).because(error)
    })?;
    Ok((name, value))
}

fn body(data: &str) -> Result<Bytes> {
    let Some(file) = data.strip_prefix('@') else {
        return Ok(Bytes::copy_from_slice(data.as_bytes()));
    };
    let failed = |error: std::io::Error| {
        Error::invalid(format!("The body could not be read from {file}")).because(error)
    };
    let mut bytes = Vec::new();
    let read = if file == "-" {
        std::io::stdin()
            .lock()
            .take(BODY_MAX_BYTES + 1)
            .read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file)
            .map_err(failed)?
            .take(BODY_MAX_BYTES + 1)
            .read_to_end(&mut bytes)
    };
    match read.map_err(failed)? as u64 {
        0..=BODY_MAX_BYTES => Ok(Bytes::from(bytes)),
        _ => Err(Error::invalid(format!("{file} is too large for a body"))),
    }
}
