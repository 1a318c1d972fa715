//! What a notification target may be.

use super::super::lookup::References;
use super::super::{Engine, names};
use super::{SECRET, URL};
use crate::catalog::records::TargetRecord;
use crate::error::{Error, Result};
use crate::ids::{ConnectionId, JobId, TargetId};
use crate::model::{MASK, Target, TargetCreate, TargetEdit, TargetKind};
use crate::notify::{check_mail, check_template, events, shown_url};
use crate::outbound::parse_url;
use crate::secret::SecretText;

/// Addresses and secrets may be this long.
const TEXT_BYTES: usize = 4000;
/// Entries of a list.
const LISTED: usize = 200;

/// The services that everybody uses the same.
fn usual_url(kind: TargetKind) -> Option<&'static str> {
    match kind {
        TargetKind::Telegram => Some("https://api.telegram.org/"),
        TargetKind::Ntfy => Some("https://ntfy.sh/"),
        _ => None,
    }
}

impl Engine {
    /// The target that a request describes. One that may be `unfinished` can lack its address and its secret.
    pub(in super::super) fn target_from(
        &self,
        create: TargetCreate,
        known: &dyn References,
        unfinished: bool,
    ) -> Result<TargetRecord> {
        let now = self.now();
        let target = Target {
            id: TargetId::generate(now),
            serial: 0,
            name: create.name,
            kind: create.kind,
            enabled: create.enabled.unwrap_or(true),
            url: None,
            secret: None,
            mail: create.mail,
            chat_id: create.chat_id,
            topic: create.topic,
            priority: create.priority,
            events: create.events.unwrap_or_else(|| vec!["*".to_owned()]),
            connection_ids: connection_ids(&create.connections, known)?,
            connections: Vec::new(),
            job_ids: job_ids(&create.jobs, known)?,
            jobs: Vec::new(),
            projects: create.projects,
            title: create.title,
            body: create.body,
            created_at: now,
            updated_at: now,
        };
        let mut record = TargetRecord {
            target,
            url: None,
            secret: None,
        };
        let usual = usual_url(create.kind).map(SecretText::new);
        self.set_url(&mut record, create.url.or(usual))?;
        self.set_secret(&mut record, create.secret)?;
        checked(record, self, unfinished)
    }

    pub(super) fn edited_target(
        &self,
        mut record: TargetRecord,
        edit: TargetEdit,
    ) -> Result<TargetRecord> {
        let is_secret_kept = edit.secret.as_ref().is_none_or(|it| it.expose() == MASK);
        let before = self.receiver(&record)?;
        let keeps = |given: &SecretText, shown: &Option<String>| {
            given.expose() == MASK || shown.as_deref() == Some(given.expose())
        };
        if let Some(url) = edit.url.filter(|url| !keeps(url, &record.target.url)) {
            self.set_url(&mut record, Some(url))?;
        }
        if let Some(secret) = edit.secret.filter(|secret| secret.expose() != MASK) {
            self.set_secret(&mut record, Some(secret))?;
        }
        let target = &mut record.target;
        target.name = edit.name.unwrap_or(target.name.clone());
        target.enabled = edit.enabled.unwrap_or(target.enabled);
        target.mail = edit.mail.or(target.mail.take());
        target.chat_id = edit.chat_id.or(target.chat_id.take());
        target.topic = edit.topic.or(target.topic.take());
        target.priority = edit.priority.or(target.priority);
        target.title = edit.title.or(target.title.take());
        target.body = edit.body.or(target.body.take());
        if let Some(events) = edit.events {
            target.events = events;
        }
        if let Some(keys) = &edit.connections {
            target.connection_ids = connection_ids(keys, self)?;
        }
        if let Some(keys) = &edit.jobs {
            target.job_ids = job_ids(keys, self)?;
        }
        if let Some(projects) = edit.projects {
            target.projects = projects;
        }
        target.updated_at = self.now();
        names::check("notification target", &target.name)?;
        let record = checked(record, self, false)?;
        if record.secret.is_some() && is_secret_kept && self.receiver(&record)? != before {
            let why = "must be given again when it would go to another server";
            return Err(Error::invalid(format!("The secret {why}")).field("secret", why));
        }
        Ok(record)
    }

    /// Who gets the secret that is kept: nobody where it only signs.
    fn receiver(&self, record: &TargetRecord) -> Result<Option<String>> {
        Ok(
            match (record.target.kind, &record.url, &record.target.mail) {
                (TargetKind::Email, _, Some(mail)) => Some(format!(
                    "{} {:?} {:?} {:?}",
                    mail.host.to_lowercase(),
                    mail.port,
                    mail.user,
                    mail.security
                )),
                (TargetKind::Telegram | TargetKind::Ntfy | TargetKind::Gotify, Some(url), _) => {
                    let id = record.target.id.to_string();
                    let url = self.0.catalog.vault().open(&id, URL, url)?;
                    let url = parse_url(self.guard(), url.expose())?;
                    Some(url.origin().ascii_serialization())
                }
                _ => None,
            },
        )
    }

    fn set_url(&self, record: &mut TargetRecord, url: Option<SecretText>) -> Result<()> {
        let Some(url) = url.filter(|url| !url.expose().trim().is_empty()) else {
            record.url = None;
            record.target.url = None;
            return Ok(());
        };
        if url.expose().len() > TEXT_BYTES {
            return Err(too_long("url"));
        }
        let parsed = parse_url(self.guard(), url.expose())?;
        let kind = record.target.kind;
        let service = matches!(
            kind,
            TargetKind::Telegram | TargetKind::Ntfy | TargetKind::Gotify
        );
        if service && parsed.query().is_some() {
            let why = "is the address of a server, and takes no query";
            return Err(Error::invalid(format!("The URL {why}")).field("url", why));
        }
        record.target.url = Some(shown_url(kind, &parsed));
        let whole = SecretText::new(parsed.to_string());
        let id = record.target.id.to_string();
        record.url = Some(self.0.catalog.vault().seal(&id, URL, &whole)?);
        Ok(())
    }

    fn set_secret(&self, record: &mut TargetRecord, secret: Option<SecretText>) -> Result<()> {
        let Some(secret) = secret.filter(|secret| !secret.expose().is_empty()) else {
            record.secret = None;
            record.target.secret = None;
            return Ok(());
        };
        if secret.expose().len() > TEXT_BYTES {
            return Err(too_long("secret"));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":_-".contains(&byte);
        let fits = match record.target.kind {
            // It becomes a part of the address.
            TargetKind::Telegram => secret.expose().bytes().all(plain),
            // It becomes a header.
            TargetKind::Ntfy | TargetKind::Gotify => {
                secret.expose().bytes().all(|byte| byte.is_ascii_graphic())
            }
            _ => true,
        };
        if !fits {
            let why = "holds characters that no such token has";
            return Err(Error::invalid(format!("The secret {why}")).field("secret", why));
        }
        let id = record.target.id.to_string();
        record.secret = Some(self.0.catalog.vault().seal(&id, SECRET, &secret)?);
        record.target.secret = Some(MASK.to_owned());
        Ok(())
    }
}

fn connection_ids(keys: &[String], known: &dyn References) -> Result<Vec<ConnectionId>> {
    let ids = keys.iter().map(|key| Ok(known.the_connection(key)?.id));
    ids.collect()
}

fn job_ids(keys: &[String], known: &dyn References) -> Result<Vec<JobId>> {
    keys.iter().map(|key| known.the_job(key)).collect()
}

fn too_long(field: &str) -> Error {
    Error::invalid(format!("The {field} is too long"))
        .field(field, format!("must be at most {TEXT_BYTES} bytes"))
}

fn checked(mut record: TargetRecord, engine: &Engine, unfinished: bool) -> Result<TargetRecord> {
    let target = &mut record.target;
    let text = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    target.title = text(target.title.take());
    target.body = text(target.body.take());
    for (field, template) in [("title", &target.title), ("body", &target.body)] {
        if let Some(template) = template {
            check_template(field, template)?;
        }
    }
    target.events.sort_unstable();
    target.events.dedup();
    target
        .events
        .iter()
        .try_for_each(|name| events::check(name))?;
    target.connection_ids.dedup();
    target.job_ids.dedup();
    let long = [
        target.connection_ids.len(),
        target.job_ids.len(),
        target.projects.len(),
    ];
    if long.iter().any(|length| *length > LISTED) {
        return Err(Error::invalid(format!(
            "A target is limited to at most {LISTED} connections, jobs or projects"
        )));
    }
    for project in &target.projects {
        names::check_group("projects", project)?;
    }
    check_kind(target, unfinished)?;
    if let Some(mail) = &target.mail {
        check_mail(engine.guard(), mail)?;
    }
    Ok(record)
}

/// What each kind needs, and what means nothing to it.
fn check_kind(target: &Target, unfinished: bool) -> Result<()> {
    use TargetKind::{Discord, Email, Gotify, Ntfy, Slack, Telegram, Webhook};
    let kind = target.kind;
    let given = [
        (
            "url",
            target.url.is_some(),
            kind != Email && !unfinished,
            !matches!(kind, Email),
        ),
        (
            "secret",
            target.secret.is_some(),
            matches!(kind, Webhook | Telegram | Gotify) && !unfinished,
            !matches!(kind, Slack | Discord),
        ),
        ("mail", target.mail.is_some(), kind == Email, kind == Email),
        (
            "chat_id",
            target.chat_id.is_some(),
            kind == Telegram,
            kind == Telegram,
        ),
        ("topic", target.topic.is_some(), kind == Ntfy, kind == Ntfy),
        (
            "priority",
            target.priority.is_some(),
            false,
            matches!(kind, Ntfy | Gotify),
        ),
    ];
    for (field, given, needed, taken) in given {
        if needed && !given {
            return Err(
                Error::invalid(format!("A target of kind {kind} needs {field}"))
                    .field(field, "is needed"),
            );
        }
        if given && !taken {
            return Err(
                Error::invalid(format!("A target of kind {kind} takes no {field}"))
                    .field(field, format!("means nothing to {kind}")),
            );
        }
    }
    let most = if kind == Gotify { 10 } else { 5 };
    let least = u8::from(kind == Ntfy);
    if target
        .priority
        .is_some_and(|priority| !(least..=most).contains(&priority))
    {
        return Err(Error::invalid("There is no such priority")
            .field("priority", format!("must be {least} to {most}")));
    }
    let word = |text: &str, more: &[u8]| {
        (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    if target
        .topic
        .as_ref()
        .is_some_and(|topic| !word(topic, b"_-"))
    {
        return Err(Error::invalid("The topic cannot be one of ntfy")
            .field("topic", "must be 1 to 64 letters, digits, _ and -"));
    }
    if target
        .chat_id
        .as_ref()
        .is_some_and(|chat| !word(chat, b"_-@"))
    {
        return Err(Error::invalid("The chat cannot be one of Telegram")
            .field("chat_id", "must be a number or @name"));
    }
    Ok(())
}
