//! `/auth`: logging in and out, who one is, one's own password.

use axum::extract::{FromRequest as _, Request, State};
use backstay_engine::model::{LoginMade, LoginRequest, PasswordChange, Session};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::answers::{NoContent, Reply, WithCookie};
use crate::extract::{Empty, Json};
use crate::identity::{COOKIE, Origin};
use crate::problem::Answer;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(login))
        .routes(routes!(logout))
        .routes(routes!(session))
        .routes(routes!(password))
}

/// Logs in; the answer and the cookie `session` hold the token.
#[utoipa::path(post, path = "/auth/login", request_body = LoginRequest)]
async fn login(State(app): State<App>, request: Request) -> Answer<WithCookie<Reply<LoginMade>>> {
    let origin = request.extensions().get::<Origin>().copied();
    let Json(login) = Json::<LoginRequest>::from_request(request, &()).await?;
    let address = origin.and_then(Origin::address);
    let is_limited = app.engine.settings().rate_limits.enabled;
    let counted = address.filter(|_| is_limited);
    let name = login.username.clone();
    if let Some(address) = counted {
        let now = app.engine.clock().boot();
        app.trials.begin(&name, address, now)?;
    }
    let life = app.engine.settings().sessions.lifetime_seconds;
    let made = app.engine.login(login, address).await?;
    if let Some(address) = counted {
        app.trials.succeeded(&name, address);
    }
    let secure = origin.is_some_and(Origin::is_tls);
    let cookie = cookie(&made.token, life, secure);
    Ok(WithCookie(Reply(made), cookie))
}

/// Ends the login that asks.
#[utoipa::path(post, path = "/auth/logout")]
async fn logout(State(app): State<App>, _: Empty) -> Answer<WithCookie<NoContent>> {
    app.engine.logout().await?;
    Ok(WithCookie(NoContent, cookie("", 0, false)))
}

/// Shows who asks and what they may do.
#[utoipa::path(get, path = "/auth/session")]
async fn session(State(app): State<App>) -> Answer<Reply<Session>> {
    Ok(Reply(app.engine.session().await?))
}

/// Changes one's own password and ends all of one's logins.
#[utoipa::path(put, path = "/auth/password")]
async fn password(
    State(app): State<App>,
    Json(change): Json<PasswordChange>,
) -> Answer<WithCookie<NoContent>> {
    app.engine.change_password(change).await?;
    Ok(WithCookie(NoContent, cookie("", 0, false)))
}

/// A cookie that scripts cannot read and other sites cannot send; seconds zero takes it away.
fn cookie(token: &str, seconds: u32, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}
