//! `GET /docs/api`: the API's document as pages that people read and try things in. Everything they need
//! is part of this program, so that they work without internet, and their policy lets them ask nobody else.

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use scalar_api_reference::get_asset;

/// Where it is.
const HOME: &str = "/docs/api";

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Backstay API</title>
<link rel="icon" href="data:,">
</head>
<body>
<div id="app"><noscript>These pages need JavaScript; the document itself is at /api/v1/openapi.json.</noscript></div>
<script src="/docs/api/scalar.js"></script>
<script src="/docs/api/start.js"></script>
</body>
</html>
"#;

/// Nothing that would leave the machine: no fonts, telemetry, assistants or proxies.
const START: &str = r"Scalar.createApiReference('#app', {
  url: '/api/v1/openapi.json',
  agent: { disabled: true },
  mcp: { disabled: true },
  hideClientButton: true,
  showDeveloperTools: 'never',
  persistAuth: false,
  telemetry: false,
  withDefaultFonts: false,
});
";

/// What the pages may load and whom they may ask: this engine alone. The styles are written by the script.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    Router::new()
        .route(HOME, get(page))
        .route("/docs/api/scalar.js", get(script))
        .route("/docs/api/start.js", get(start))
}

/// Whether a path is one of these, which anybody may read.
pub(crate) fn is_page(path: &str) -> bool {
    path.strip_prefix(HOME)
        .is_some_and(|rest| matches!(rest, "" | "/scalar.js" | "/start.js"))
}

async fn page() -> Response {
    answer("text/html; charset=utf-8", PAGE)
}

async fn start() -> Response {
    answer("text/javascript; charset=utf-8", START)
}

async fn script() -> Response {
    match get_asset("scalar.js") {
        Some(script) => answer("text/javascript; charset=utf-8", script),
        None => crate::problem::no_such_path(axum::http::Uri::from_static("/docs/api/scalar.js"))
            .await
            .into_response(),
    }
}

fn answer(media: &'static str, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, media),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        // An hour: a new version brings new pages.
        (header::CACHE_CONTROL, "max-age=3600"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
