//! `notification …`

mod show;

use backstay_engine::model::{
    self, Delivery, Mail, NotificationEvent, Page, Target, TargetCreated, TargetTest,
};
use backstay_engine::secret::SecretText;
use backstay_engine::{Error, Result};
use serde_json::json;

use super::args::{
    NotificationAdd, NotificationCommand, NotificationDeliveries, NotificationEdit,
    NotificationOptions,
};
use super::failure::{Done, Failure};
use super::session::Session;
use super::{confirm, secrets};
use crate::client::path;

/// Does what `notification …` says.
pub(crate) async fn notification(session: &Session, command: NotificationCommand) -> Done {
    match command {
        NotificationCommand::Add(args) => add(session, args).await,
        NotificationCommand::List(args) => show::list(session, args).await,
        NotificationCommand::Show(name) => {
            let target = find(session, &name.name).await?;
            session.output.record(&target, show::view)
        }
        NotificationCommand::Edit(args) => edit(session, args).await,
        NotificationCommand::Test(name) => test(session, &name.name).await,
        NotificationCommand::Deliveries(args) => deliveries(session, args).await,
        NotificationCommand::Redeliver(name) => {
            let target = path(&["deliveries", &name.delivery, "redeliver"]);
            let delivery: Delivery = session.engine().await?.post(&target, &json!({})).await?;
            session.output.record(&delivery, show::delivery)
        }
        NotificationCommand::Events => {
            let target = path(&["notifications", "events"]);
            let page: Page<NotificationEvent> = session.engine().await?.get(&target).await?;
            session.output.list(&page, "", show::events)
        }
        NotificationCommand::Remove(name) => remove(session, &name.name).await,
    }
}

async fn find(session: &Session, name: &str) -> Result<Target> {
    let target = path(&["notifications", name]);
    session.engine().await?.get(&target).await
}

async fn add(session: &Session, args: NotificationAdd) -> Done {
    let options = args.options;
    let create = model::TargetCreate {
        name: args.name,
        kind: args.kind.parse()?,
        enabled: None,
        url: url(&options)?,
        secret: secret(&options)?,
        mail: mail(&options, None)?,
        events: if args.hooks_only {
            Some(Vec::new())
        } else {
            given(options.event)
        },
        connections: options.connection,
        jobs: options.job,
        projects: options.project,
        title: options.title,
        body: options.body,
        chat_id: options.chat_id,
        topic: options.topic,
        priority: options.priority,
    };
    let client = session.engine().await?;
    let created: TargetCreated = client.post(&path(&["notifications"]), &create).await?;
    session.output.record(&created, show::created)
}

async fn edit(session: &Session, args: NotificationEdit) -> Done {
    let before = find(session, &args.name.name).await?;
    let options = args.options;
    let edit = model::TargetEdit {
        name: args.rename,
        enabled: match (args.enable, args.disable) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        },
        url: url(&options)?,
        secret: secret(&options)?,
        mail: mail(&options, before.mail.as_ref())?,
        events: given(options.event),
        connections: given(options.connection),
        jobs: given(options.job),
        projects: given(options.project),
        title: options.title,
        body: options.body,
        chat_id: options.chat_id,
        topic: options.topic,
        priority: options.priority,
    };
    let target = path(&["notifications", &before.id.to_string()]);
    let target: Target = session.client().patch(&target, &edit).await?;
    session.output.record(&target, show::view)
}

fn given(list: Vec<String>) -> Option<Vec<String>> {
    Some(list).filter(|list| !list.is_empty())
}

fn url(options: &NotificationOptions) -> Result<Option<SecretText>> {
    match (&options.url, &options.url_file) {
        (Some(url), _) => Ok(Some(SecretText::new(url.clone()))),
        (None, Some(file)) => secrets::first_line(file, "URL").map(Some),
        (None, None) => Ok(None),
    }
}

fn secret(options: &NotificationOptions) -> Result<Option<SecretText>> {
    options
        .secret_file
        .as_deref()
        .map(|file| secrets::first_line(file, "secret"))
        .transpose()
}

/// The mail settings that the flags say; what they leave open stays as it was.
fn mail(options: &NotificationOptions, old: Option<&Mail>) -> Result<Option<Mail>> {
    let said = options.mail_host.is_some()
        || options.mail_port.is_some()
        || options.mail_security.is_some()
        || options.mail_user.is_some()
        || options.mail_from.is_some()
        || !options.mail_to.is_empty();
    if !said {
        return Ok(None);
    }
    let security = options.mail_security.as_deref();
    let security = security.map(str::parse).transpose()?;
    let needed = |flag: &str| Error::invalid(format!("Mail needs --{flag}"));
    Ok(Some(Mail {
        host: options
            .mail_host
            .clone()
            .or(old.map(|mail| mail.host.clone()))
            .ok_or_else(|| needed("mail-host"))?,
        port: options.mail_port.or(old.and_then(|mail| mail.port)),
        security: security
            .or(old.map(|mail| mail.security))
            .unwrap_or(model::MailSecurity::StartTls),
        user: options
            .mail_user
            .clone()
            .or(old.and_then(|mail| mail.user.clone())),
        from: options
            .mail_from
            .clone()
            .or(old.map(|mail| mail.from.clone()))
            .ok_or_else(|| needed("mail-from"))?,
        to: given(options.mail_to.clone())
            .or(old.map(|mail| mail.to.clone()))
            .ok_or_else(|| needed("mail-to"))?,
    }))
}

async fn test(session: &Session, name: &str) -> Done {
    let target = path(&["notifications", name, "test"]);
    let test: TargetTest = session.engine().await?.post(&target, &json!({})).await?;
    session.output.record(&test, |_, test| {
        super::output::clean(&test.message).into_owned()
    })?;
    if test.ok {
        Ok(())
    } else {
        Err(Failure::Exit(1))
    }
}

async fn deliveries(session: &Session, args: NotificationDeliveries) -> Done {
    if let Some(id) = &args.delivery {
        let target = path(&["deliveries", id]);
        let delivery: Delivery = session.engine().await?.get(&target).await?;
        return session.output.record(&delivery, show::delivery);
    }
    let query = model::DeliveryList {
        status: args.status.as_deref().map(str::parse).transpose()?,
        ..model::DeliveryList::default()
    };
    let name = args.name.unwrap_or_default();
    let target = path(&["notifications", &name, "deliveries"]);
    let page: Page<Delivery> = session.list(&target, &query, &args.page).await?;
    session
        .output
        .list(&page, "It was told nothing so far.", show::deliveries)
}

async fn remove(session: &Session, name: &str) -> Done {
    let target = find(session, name).await?;
    confirm::agree(
        &session.global,
        &format!("Remove {} and the log of its deliveries?", target.name),
    )?;
    let place = path(&["notifications", &target.id.to_string()]);
    let () = session.client().delete(&place).await?;
    session
        .output
        .record(&target, |_, target| format!("Removed {}", target.name))
}
