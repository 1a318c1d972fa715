//! Users, groups, keys and the audit log, for a person.

use backstay_engine::model::{
    self, ApiKey, AuditEvent, AuditVerdict, Group, Page, PageRequest, PermissionInfo, User,
};

use crate::cli::args;
use crate::cli::failure::Done;
use crate::cli::output::{Align, Paint, Table, Tone, count, none, time};
use crate::cli::session::Session;
use crate::client::path;

pub(super) async fn users(session: &Session, page: &args::Page) -> Done {
    let query = PageRequest::default();
    let page: Page<User> = session.list(&path(&["users"]), &query, page).await?;
    let empty = "There are no users; `backstay user add NAME --group GROUP` adds one.";
    session.output.list(&page, empty, |_, users| {
        let mut table = Table::new(&[
            ("NAME", Align::Left),
            ("GROUPS", Align::Left),
            ("EMAIL", Align::Left),
            ("LAST LOGIN", Align::Left),
            ("", Align::Left),
        ]);
        for user in users {
            table
                .row([
                    user.name.clone(),
                    words(&user.groups),
                    user.email.clone().unwrap_or_else(none),
                    user.last_login_at.map_or_else(none, time),
                    if user.enabled { "" } else { "disabled" }.to_owned(),
                ])
                .tone(4, Tone::Warning);
        }
        table
    })
}

/// A user for a person.
pub(super) fn user(paint: Paint, user: &User) -> String {
    let mut table = Table::facts();
    table
        .fact("user", format!("{} ({})", user.name, user.id))
        .fact("groups", words(&user.groups))
        .maybe("email", user.email.clone());
    if !user.enabled {
        table.fact("", "disabled").tone(1, Tone::Warning);
    }
    if user.password_given {
        table
            .fact("password", "given to them; they are to change it")
            .tone(1, Tone::Warning);
    }
    table
        .fact("made", time(user.created_at))
        .fact("last login", user.last_login_at.map_or_else(none, time));
    table.render(paint)
}

pub(super) async fn groups(session: &Session, page: &args::Page) -> Done {
    let query = PageRequest::default();
    let page: Page<Group> = session.list(&path(&["groups"]), &query, page).await?;
    session
        .output
        .list(&page, "There are no groups.", |_, groups| {
            let mut table = Table::new(&[
                ("NAME", Align::Left),
                ("ALLOWS", Align::Right),
                ("PROJECTS", Align::Left),
                ("DESCRIPTION", Align::Left),
            ]);
            for group in groups {
                table.row([
                    group.name.clone(),
                    match &group.permissions[..] {
                        [one] => one.clone(),
                        several => count(several.len() as u64),
                    },
                    projects(&group.projects),
                    group.description.clone().unwrap_or_else(none),
                ]);
            }
            table
        })
}

/// A group for a person.
pub(super) fn group(paint: Paint, group: &Group) -> String {
    let mut table = Table::facts();
    table
        .fact("group", format!("{} ({})", group.name, group.id))
        .maybe("for", group.description.clone())
        .fact("allows", words(&group.permissions))
        .fact("projects", projects(&group.projects))
        .fact("made", time(group.created_at));
    table.render(paint)
}

pub(super) async fn permissions(session: &Session) -> Done {
    let client = session.engine().await?;
    let page: Page<PermissionInfo> = client.get(&path(&["permissions"])).await?;
    session.output.list(&page, "There are none.", |_, all| {
        let mut table = Table::new(&[("PERMISSION", Align::Left), ("ALLOWS", Align::Left)]);
        for permission in all {
            table.row([permission.name.clone(), permission.allows.clone()]);
        }
        table
    })
}

pub(super) async fn keys(session: &Session, page: &args::Page) -> Done {
    let query = PageRequest::default();
    let page: Page<ApiKey> = session.list(&path(&["api-keys"]), &query, page).await?;
    let empty = "There are no API keys; `backstay api-key add NAME --permissions P` makes one.";
    session.output.list(&page, empty, |_, keys| {
        let mut table = Table::new(&[
            ("NAME", Align::Left),
            ("KEY", Align::Left),
            ("TIER", Align::Left),
            ("EXPIRES", Align::Left),
            ("LAST USED", Align::Left),
            ("", Align::Left),
        ]);
        for key in keys {
            table
                .row([
                    key.name.clone(),
                    format!("{}…", key.prefix),
                    key.tier.to_string(),
                    key.expires_at.map_or_else(none, time),
                    key.last_used_at.map_or_else(none, time),
                    if key.enabled { "" } else { "disabled" }.to_owned(),
                ])
                .tone(5, Tone::Warning);
        }
        table
    })
}

/// An API key for a person.
pub(super) fn key(paint: Paint, key: &ApiKey) -> String {
    let mut table = Table::facts();
    table
        .fact("api key", format!("{} ({})", key.name, key.id))
        .fact("begins with", key.prefix.clone());
    if !key.enabled {
        table.fact("", "disabled").tone(1, Tone::Warning);
    }
    table
        .fact("allows", words(&key.permissions))
        .fact("projects", projects(&key.projects))
        .fact("tier", key.tier.to_string())
        .fact(
            "expires",
            key.expires_at.map_or_else(|| "never".to_owned(), time),
        )
        .fact(
            "made",
            format!("{} by {}", time(key.created_at), key.created_by),
        )
        .maybe("rotated", key.rotated_at.map(time))
        .fact(
            "last used",
            key.last_used_at.map_or_else(|| "never".to_owned(), time),
        );
    table.render(paint)
}

pub(super) async fn audit(session: &Session, args: args::AuditList) -> Done {
    let query = model::AuditList {
        actor: args.actor,
        action: args.action,
        subject: args.subject,
        from: args.since,
        to: args.until,
        ..model::AuditList::default()
    };
    let target = path(&["audit-events"]);
    let page: Page<AuditEvent> = session.list(&target, &query, &args.page).await?;
    session
        .output
        .list(&page, "There are no such entries.", |_, events| {
            let mut table = Table::new(&[
                ("#", Align::Right),
                ("WHEN", Align::Left),
                ("WHO", Align::Left),
                ("FROM", Align::Left),
                ("WHAT", Align::Left),
                ("TO WHAT", Align::Left),
            ]);
            for event in events {
                table.row([
                    event.serial.to_string(),
                    time(event.at),
                    event.actor.clone(),
                    event.address.clone().unwrap_or_else(none),
                    event.action.clone(),
                    event.subject.clone().unwrap_or_else(none),
                ]);
            }
            table
        })
}

/// What a verification found, for a person.
pub(super) fn verdict(paint: Paint, verdict: &AuditVerdict) -> String {
    if verdict.whole {
        return paint
            .tone(
                Tone::Good,
                &format!(
                    "All {} entries are as they were written",
                    count(verdict.entries)
                ),
            )
            .into_owned();
    }
    let problem = verdict.problem.as_deref().unwrap_or("It is not whole");
    let text = format!(
        "Entry {} is wrong: {problem}. The {} before it are as they were written",
        verdict.broken_at.unwrap_or_default(),
        count(verdict.entries)
    );
    paint.tone(Tone::Bad, &text).into_owned()
}

fn words(names: &[String]) -> String {
    if names.is_empty() {
        none()
    } else {
        names.join(", ")
    }
}

fn projects(names: &[String]) -> String {
    if names.is_empty() {
        "all".to_owned()
    } else {
        names.join(", ")
    }
}
