//! `user …`, `group …`, `api-key …`, `audit …`

mod show;

use std::path::Path;

use backstay_engine::model::{
    self, ApiKey, ApiKeyCreate, ApiKeyMade, AuditVerdict, Group, GroupCreate, PasswordChange, User,
    UserCreate,
};
use backstay_engine::secret::SecretText;
use backstay_engine::{Code, Error, Result};
use serde_json::json;

use super::args::{
    ApiKeyAdd, ApiKeyCommand, ApiKeyEdit, AuditCommand, GroupAdd, GroupCommand, GroupEdit, UserAdd,
    UserCommand, UserEdit, UserPassword,
};
use super::failure::{Done, Failure};
use super::session::Session;
use super::{confirm, login, secrets};
use crate::client::path;

/// Does what `user …` says.
pub(crate) async fn user(session: &Session, command: UserCommand) -> Done {
    match command {
        UserCommand::Add(args) => add_user(session, args).await,
        UserCommand::List(page) => show::users(session, &page).await,
        UserCommand::Show(name) => {
            let user: User = find(session, "users", &name.user).await?;
            session.output.record(&user, show::user)
        }
        UserCommand::Edit(args) => edit_user(session, args).await,
        UserCommand::Password(args) => change_password(session, &args).await,
        UserCommand::Remove(name) => {
            let user: User = find(session, "users", &name.user).await?;
            let question = format!("Remove the user {} and end their logins?", user.name);
            confirm::agree(&session.global, &question)?;
            remove(session, "users", &user.id.to_string()).await?;
            session
                .output
                .record(&user, |_, user| format!("Removed {}", user.name))
        }
    }
}

async fn find<T: serde::de::DeserializeOwned>(
    session: &Session,
    noun: &str,
    name: &str,
) -> Result<T> {
    session.engine().await?.get(&path(&[noun, name])).await
}

async fn remove(session: &Session, noun: &str, id: &str) -> Result<()> {
    session.client().delete(&path(&[noun, id])).await
}

/// A password from its file, or typed.
pub(super) fn password(file: Option<&Path>, question: &str, flag: &str) -> Result<SecretText> {
    if let Some(file) = file {
        return secrets::first_line(file, "password");
    }
    secrets::ask(question)?.ok_or_else(|| {
        Error::invalid("A password is needed").hint(format!("Give it with {flag} FILE"))
    })
}

/// A new password, typed twice so that it is the one that was meant.
fn new_password(file: Option<&Path>, question: &str, flag: &str) -> Result<SecretText> {
    let given = password(file, question, flag)?;
    if file.is_none() && password(None, "Once more: ", flag)? != given {
        return Err(Error::invalid("The two passwords differ").hint("Try again"));
    }
    Ok(given)
}

async fn add_user(session: &Session, args: UserAdd) -> Done {
    let question = format!("Password for {}: ", args.name);
    let password = new_password(args.password_file.as_deref(), &question, "--password-file")?;
    let create = UserCreate {
        name: args.name,
        password: Some(password),
        email: args.email,
        groups: args.group,
    };
    let client = session.engine().await?;
    let user: User = client.post(&path(&["users"]), &create).await?;
    session.output.record(&user, show::user)
}

async fn edit_user(session: &Session, args: UserEdit) -> Done {
    let file = args.password_file.as_deref();
    let edit = model::UserEdit {
        password: file
            .map(|file| secrets::first_line(file, "password"))
            .transpose()?,
        email: args.email,
        groups: (args.no_groups || !args.group.is_empty()).then_some(args.group),
        enabled: (args.enable || args.disable).then_some(args.enable),
    };
    let target = path(&["users", &args.user.user]);
    let user: User = session.engine().await?.patch(&target, &edit).await?;
    session.output.record(&user, show::user)
}

async fn change_password(session: &Session, args: &UserPassword) -> Done {
    let current = args.current_file.as_deref();
    let change = PasswordChange {
        current_password: Some(password(current, "Current password: ", "--current-file")?),
        new_password: Some(new_password(
            args.new_file.as_deref(),
            "New password: ",
            "--new-file",
        )?),
    };
    let target = path(&["auth", "password"]);
    let () = session.engine().await?.put(&target, &change).await?;
    // The login that was kept ended with all others.
    login::forget(session)?;
    session.output.record(&json!({"changed": true}), |_, _| {
        "The password is changed and every login has ended; log in again".to_owned()
    })
}

/// Does what `group …` says.
pub(crate) async fn group(session: &Session, command: GroupCommand) -> Done {
    match command {
        GroupCommand::Add(args) => add_group(session, args).await,
        GroupCommand::List(page) => show::groups(session, &page).await,
        GroupCommand::Show(name) => {
            let group: Group = find(session, "groups", &name.group).await?;
            session.output.record(&group, show::group)
        }
        GroupCommand::Edit(args) => edit_group(session, args).await,
        GroupCommand::Permissions => show::permissions(session).await,
        GroupCommand::Remove(name) => {
            let group: Group = find(session, "groups", &name.group).await?;
            confirm::agree(
                &session.global,
                &format!("Remove the group {}?", group.name),
            )?;
            remove(session, "groups", &group.id.to_string()).await?;
            session
                .output
                .record(&group, |_, group| format!("Removed {}", group.name))
        }
    }
}

async fn add_group(session: &Session, args: GroupAdd) -> Done {
    let create = GroupCreate {
        name: args.name,
        description: args.description,
        permissions: args.permissions,
        projects: args.project,
    };
    let client = session.engine().await?;
    let group: Group = client.post(&path(&["groups"]), &create).await?;
    session.output.record(&group, show::group)
}

async fn edit_group(session: &Session, args: GroupEdit) -> Done {
    let edit = model::GroupEdit {
        description: args.description,
        permissions: Some(args.permissions).filter(|given| !given.is_empty()),
        projects: (args.all_projects || !args.project.is_empty()).then_some(args.project),
    };
    let target = path(&["groups", &args.group.group]);
    let group: Group = session.engine().await?.patch(&target, &edit).await?;
    session.output.record(&group, show::group)
}

/// Does what `api-key …` says.
pub(crate) async fn api_key(session: &Session, command: ApiKeyCommand) -> Done {
    match command {
        ApiKeyCommand::Add(args) => add_key(session, args).await,
        ApiKeyCommand::List(page) => show::keys(session, &page).await,
        ApiKeyCommand::Show(name) => {
            let key: ApiKey = find(session, "api-keys", &name.name).await?;
            session.output.record(&key, show::key)
        }
        ApiKeyCommand::Edit(args) => edit_key(session, args).await,
        ApiKeyCommand::Rotate(name) => {
            let target = path(&["api-keys", &name.name, "rotate"]);
            let made = session.engine().await?.post(&target, &json!({})).await?;
            tell_key(session, &made)
        }
        ApiKeyCommand::Revoke(name) => {
            let key: ApiKey = find(session, "api-keys", &name.name).await?;
            confirm::agree(&session.global, &format!("Revoke the key {}?", key.name))?;
            remove(session, "api-keys", &key.id.to_string()).await?;
            session
                .output
                .record(&key, |_, key| format!("Revoked {}", key.name))
        }
    }
}

async fn add_key(session: &Session, args: ApiKeyAdd) -> Done {
    let create = ApiKeyCreate {
        name: args.name,
        permissions: args.permissions,
        projects: args.project,
        tier: args.tier.as_deref().map(str::parse).transpose()?,
        expires_at: args.expires,
    };
    let client = session.engine().await?;
    let made: ApiKeyMade = client.post(&path(&["api-keys"]), &create).await?;
    tell_key(session, &made)
}

async fn edit_key(session: &Session, args: ApiKeyEdit) -> Done {
    let edit = model::ApiKeyEdit {
        name: args.rename,
        enabled: (args.enable || args.disable).then_some(args.enable),
        permissions: Some(args.permissions).filter(|given| !given.is_empty()),
        projects: (args.all_projects || !args.project.is_empty()).then_some(args.project),
        tier: args.tier.as_deref().map(str::parse).transpose()?,
        expires_at: args.expires,
        never_expires: args.never_expires.then_some(true),
    };
    let target = path(&["api-keys", &args.key.name]);
    let key: ApiKey = session.engine().await?.patch(&target, &edit).await?;
    session.output.record(&key, show::key)
}

fn tell_key(session: &Session, made: &ApiKeyMade) -> Done {
    session.output.record(made, |_, made| made.key.clone())?;
    session.output.note(&format!(
        "This is the key {}; it is not shown again",
        made.record.name
    ));
    Ok(())
}

/// Does what `audit …` says.
pub(crate) async fn audit(session: &Session, command: AuditCommand) -> Done {
    match command {
        AuditCommand::List(args) => show::audit(session, args).await,
        AuditCommand::Verify => {
            let verdict: AuditVerdict = find(session, "audit-events", "verify").await?;
            session.output.record(&verdict, show::verdict)?;
            if verdict.whole {
                Ok(())
            } else {
                Err(Failure::Exit(Code::Internal.exit()))
            }
        }
    }
}
