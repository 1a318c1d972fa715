//! `login` and `logout`

use backstay_engine::model::{LoginMade, LoginRequest};
use backstay_engine::secret::SecretText;
use backstay_engine::{Code, Result};
use serde_json::json;

use super::access::password;
use super::args::Login;
use super::failure::Done;
use super::output::time;
use super::session::Session;
use crate::client::path;
use crate::logins::{Kept, Logins};

/// Logs in and keeps the login for later commands.
pub(crate) async fn login(session: &Session, args: &Login) -> Done {
    // Before the password is asked for: nobody types one for a file that cannot be written.
    let logins = Logins::load(&session.logins_file()?)?;
    let question = format!("Password for {}: ", args.user);
    let request = LoginRequest {
        username: args.user.clone(),
        password: Some(password(
            args.password_file.as_deref(),
            &question,
            "--password-file",
        )?),
    };
    let client = session.anonymous();
    let made: LoginMade = client.post(&path(&["auth", "login"]), &request).await?;
    let kept = Kept {
        user: args.user.clone(),
        token: Some(SecretText::new(made.token.as_str())),
        expires_at: made.session.expires_at,
        ca_file: session.global.ca_file.clone(),
        client_cert: session.global.client_cert.clone(),
    };
    let old = logins.with(session.engine_name(), kept.absolute()).save()?;
    if let Some(token) = old.and_then(|old| old.token) {
        // The login that it takes the place of; it may have ended long ago.
        let () = session
            .named(token)
            .post(&path(&["auth", "logout"]), &json!({}))
            .await
            .unwrap_or(());
    }
    session.output.record(&made.session, |_, login| {
        let until = login
            .expires_at
            .map_or_else(String::new, |end| format!(" until {}", time(end)));
        format!("Logged in as {}{until}", args.user)
    })?;
    if made.session.user.is_some_and(|user| user.password_given) {
        session
            .output
            .warn("this password was given to you; change it with `backstay user password`");
    }
    Ok(())
}

/// Ends the login that was kept, and forgets it.
pub(crate) async fn logout(session: &Session) -> Done {
    let Some(kept) = forget(session)? else {
        session.output.note("Nobody was logged in there");
        return session
            .output
            .record(&json!({"logged_out": false}), |_, _| String::new());
    };
    if let Some(token) = kept.token {
        let target = path(&["auth", "logout"]);
        let ended: Result<()> = session.named(token).post(&target, &json!({})).await;
        match ended {
            Err(error) if error.code() != Code::Unauthenticated => {
                session.output.warn(&format!(
                    "the login is forgotten here, but the engine could not be told: {}",
                    error.report()
                ));
            }
            _ => {}
        }
    }
    session.output.record(&json!({"logged_out": true}), |_, _| {
        format!("Logged out {}", kept.user)
    })
}

/// Forgets the login that was kept for this engine.
pub(super) fn forget(session: &Session) -> Result<Option<Kept>> {
    Logins::load(&session.logins_file()?)?
        .without(session.engine_name())
        .save()
}
