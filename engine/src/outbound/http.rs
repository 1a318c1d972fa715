//! One HTTP/1.1 request over a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

use super::address::{Guard, connect, refuse_literal};
use crate::error::{Code, Error, Result};
use crate::transport::{Io, tls};

/// What of an answer's body is read.
const BODY_BYTES: usize = 4 * 1024;
/// What of an answer's head is read.
const HEAD_BYTES: usize = 64 * 1024;

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: &'static str,
    pub(crate) url: Url,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The beginning of the body.
    pub(crate) body: String,
    /// Seconds that the other side asks to wait.
    pub(crate) retry_after_seconds: Option<u64>,
}

/// Reads an address that requests may go to.
pub(crate) fn parse_url(guard: Guard, text: &str) -> Result<Url> {
    let wrong = |why: &str| {
        Error::invalid(format!("The URL {why}"))
            .field("url", why)
            .hint("Write it like https://example.org/path")
    };
    let mut url = Url::parse(text.trim()).map_err(|_| wrong("cannot be read"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("must begin with http:// or https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("must not hold a user or a password"));
    }
    url.set_fragment(None);
    let host = url.host().ok_or_else(|| wrong("names no host"))?.to_owned();
    refuse_literal(guard, &host).map_err(|error| {
        Error::invalid(error.message())
            .field("url", error.message())
            .hint(error.hint_text().unwrap_or_default())
    })?;
    Ok(url)
}

/// Sends a request and reads its answer, all of it within `limit`. Any status is an answer.
pub(crate) async fn call(guard: Guard, call: Call, limit: Duration) -> Result<Answer> {
    tokio::time::timeout(limit, exchange(guard, call))
        .await
        .map_err(|_| {
            Error::new(
                Code::OutboundFailed,
                format!("No answer within {} seconds", limit.as_secs()),
            )
            .hint("See why the other side is slow")
        })?
}

async fn exchange(guard: Guard, call: Call) -> Result<Answer> {
    let host = call
        .url
        .host()
        .ok_or_else(|| Error::internal("A request has no host"))?
        .to_owned();
    let secure = call.url.scheme() == "https";
    let port = call.url.port_or_known_default().unwrap_or(443);
    let tcp = connect(guard, &host, port).await?;
    let io: Box<dyn Io> = if secure {
        Box::new(secured(call.url.host_str().unwrap_or_default(), tcp).await?)
    } else {
        Box::new(tcp)
    };
    let broken = |error: hyper::Error| {
        Error::new(
            Code::OutboundFailed,
            "The other side broke the exchange off",
        )
        .hint("See its log; the address may not be that of an HTTP server")
        .because(error)
    };
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(HEAD_BYTES)
        .handshake(TokioIo::new(io))
        .await
        .map_err(broken)?;
    let _driver = AbortOnDropHandle::new(tokio::spawn(connection));
    let answer = sender.send_request(request(call)?).await.map_err(broken)?;
    let retry_after_seconds = answer
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.trim().parse().ok());
    let status = answer.status().as_u16();
    let mut body = answer.into_body();
    let mut read = Vec::new();
    while read.len() < BODY_BYTES {
        // What is cut off behind the status is still an answer.
        let Some(Ok(frame)) = body.frame().await else {
            break;
        };
        if let Some(data) = frame.data_ref() {
            read.extend_from_slice(&data[..data.len().min(BODY_BYTES - read.len())]);
        }
    }
    Ok(Answer {
        status,
        body: String::from_utf8_lossy(&read).into_owned(),
        retry_after_seconds,
    })
}

fn request(call: Call) -> Result<Request<Full<Bytes>>> {
    let wrong = |what: &str| Error::invalid(format!("{what} cannot be sent in a request"));
    let mut path = call.url.path().to_owned();
    if let Some(query) = call.url.query() {
        path.push('?');
        path.push_str(query);
    }
    let method = Method::from_bytes(call.method.as_bytes()).map_err(|_| wrong("The method"))?;
    let host = match (call.url.host_str(), call.url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    };
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, host)
        .header(
            header::USER_AGENT,
            concat!("backstay/", env!("CARGO_PKG_VERSION")),
        )
        .header(header::CONNECTION, "close")
        .body(Full::new(Bytes::from(call.body)))
        .map_err(|_| wrong("The address"))?;
    for (name, value) in &call.headers {
        // Neither takes a line break, so that no value can add a header.
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| wrong("A header"))?;
        let value = HeaderValue::from_str(value).map_err(|_| wrong("A header"))?;
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}

async fn secured(
    host: &str,
    tcp: tokio::net::TcpStream,
) -> Result<tokio_rustls::client::TlsStream<tokio::net::TcpStream>> {
    let name = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(name.to_owned())
        .map_err(|error| Error::invalid("The host is no name for TLS").because(error))?;
    TlsConnector::from(Arc::new(tls_config().await?))
        .connect(name, tcp)
        .await
        .map_err(|error| {
            Error::new(
                Code::OutboundFailed,
                format!("No trusted TLS connection to {host}"),
            )
            .hint("The certificate must name that host and lead to a root that this machine trusts")
            .because(error)
        })
}

/// As strict as a browser: the system's roots, the host's name.
pub(crate) async fn tls_config() -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal("No version of TLS is available").because(error))?
        .with_root_certificates(tls::system_roots().await?)
        .with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_cannot_be_meant_are_refused() {
        let guard = Guard::default();
        for bad in [
            "",
            "example.org",
            "ftp://example.org/",
            "file:///etc/passwd",
            "https://user:secret@example.org/",
            "http://169.254.169.254/latest/meta-data",
            "http://[fe80::1]/",
            "http://[::ffff:169.254.169.254]/",
        ] {
            let error = parse_url(guard, bad).unwrap_err();
            assert_eq!(error.fields()[0].field, "url", "{bad}");
        }
        let url = parse_url(guard, " https://example.org/hook?x=1#part ").unwrap();
        assert_eq!(url.as_str(), "https://example.org/hook?x=1");
    }

    #[test]
    fn no_header_can_add_another() {
        let call = Call {
            method: "POST",
            url: Url::parse("http://example.org/").unwrap(),
            headers: vec![("X-Title".to_owned(), "a\r\nX-Other: b".to_owned())],
            body: Vec::new(),
        };
        assert!(request(call).is_err());
    }
}
