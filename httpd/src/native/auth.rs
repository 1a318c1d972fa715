//! `/auth`: logging in and out, who one is, one's own password.

use axum::extract::{FromRequest as _, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json as Reply, Router};
use backstay_engine::model::{LoginRequest, PasswordChange, Session};

use super::App;
use crate::extract::Json;
use crate::identity::{COOKIE, Origin};
use crate::problem::Answer;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/auth/login", post(login))
        .route("/auth/logout", post(logout))
        .route("/auth/session", get(session))
        .route("/auth/password", put(password))
}

async fn login(State(app): State<App>, request: Request) -> Answer<Response> {
    let origin = request.extensions().get::<Origin>().copied();
    let Json(login) = Json::<LoginRequest>::from_request(request, &()).await?;
    let address = origin.and_then(Origin::address);
    let life = app.engine.settings().sessions.lifetime_seconds;
    let made = app.engine.login(login, address).await?;
    let secure = origin.is_some_and(Origin::is_tls);
    let cookie = cookie(&made.token, life, secure);
    Ok(with_cookie(Reply(made), &cookie))
}

async fn logout(State(app): State<App>) -> Answer<Response> {
    app.engine.logout().await?;
    Ok(with_cookie(StatusCode::NO_CONTENT, &cookie("", 0, false)))
}

async fn session(State(app): State<App>) -> Answer<Reply<Session>> {
    Ok(Reply(app.engine.session().await?))
}

async fn password(State(app): State<App>, Json(change): Json<PasswordChange>) -> Answer<Response> {
    app.engine.change_password(change).await?;
    Ok(with_cookie(StatusCode::NO_CONTENT, &cookie("", 0, false)))
}

/// A cookie that scripts cannot read and other sites cannot send; seconds zero takes it away.
fn cookie(token: &str, seconds: u32, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

fn with_cookie(answer: impl IntoResponse, cookie: &str) -> Response {
    let mut response = answer.into_response();
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    // Tokens do not belong into anybody's cache.
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
