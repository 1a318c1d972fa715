//! `/backups/{id}/export`, `/backups/{id}/download-url` and what that answers, `/downloads/{token}`.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use backstay_engine::model::{DownloadUrl, ExportRequest};
use backstay_engine::{Code, Error};

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::answers::{Exported, Once, Reply};
use crate::delivery::Deliveries;
use crate::download::{self, Leave};
use crate::extract::{Json, Path, Query};
use crate::identity::Origin;
use crate::problem::Answer;
use crate::streams::Stream;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(export))
        .routes(routes!(promise))
        .routes(routes!(take))
}

/// Streams a backup as a plain file.
#[utoipa::path(get, path = "/backups/{id}/export", params(ExportRequest))]
async fn export(
    State(app): State<App>,
    Path(key): Path<String>,
    Query(request): Query<ExportRequest>,
    leave: Stream,
    headers: HeaderMap,
) -> Answer<Exported> {
    let prepared = app.engine.export_backup(&key, &request).await?;
    let sent = download::send(prepared, &headers, Leave::Caller(leave)).await?;
    Ok(Exported(sent))
}

/// Makes an address where a backup can be downloaded once, within five minutes, without a key.
#[utoipa::path(post, path = "/backups/{id}/download-url")]
async fn promise(
    State(app): State<App>,
    Path(key): Path<String>,
    origin: Option<Extension<Origin>>,
    headers: HeaderMap,
    Json(wanted): Json<ExportRequest>,
) -> Answer<Once<Reply<DownloadUrl>>> {
    let tls = origin.is_some_and(|Extension(origin)| origin.is_tls());
    app.engine.backup(&key).await?;
    let base = match &app.engine.settings().public_url {
        Some(url) => url.clone(),
        None => own_place(&headers, tls)?,
    };
    let made = app.engine.promise_download(&key, wanted).await?;
    Ok(Once(Reply(DownloadUrl {
        url: format!("{base}/api/v1/downloads/{}", made.token),
        file_name: made.file_name,
        expires_at: made.expires_at,
        single_use: true,
    })))
}

/// Where the request says that it reached us.
fn own_place(headers: &HeaderMap, tls: bool) -> Result<String, Error> {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .filter(|host| {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || ".:-_[]".contains(c);
            !host.is_empty() && host.chars().all(is_plain)
        })
        .ok_or_else(|| {
            Error::new(
                Code::Invalid,
                "The request does not name the host it is for",
            )
            .hint("Send the header Host, or set public_url with `backstay settings set`")
        })?;
    let scheme = if tls { "https" } else { "http" };
    Ok(format!("{scheme}://{host}"))
}

/// Sends the file that a download address promised.
#[utoipa::path(get, path = "/downloads/{token}")]
async fn take(
    State(app): State<App>,
    Path(token): Path<String>,
    connection: Option<Extension<Deliveries>>,
    headers: HeaderMap,
) -> Answer<Exported> {
    let Extension(deliveries) = connection.unwrap_or_default();
    let prepared = app.engine.take_download(&token).await?;
    let sent = download::send(prepared, &headers, Leave::Once(deliveries)).await?;
    Ok(Exported(sent))
}
