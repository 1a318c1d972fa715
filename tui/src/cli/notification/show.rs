//! Notification targets and deliveries, for a person.

use backstay_engine::model::{
    self, Attempt, Delivery, DeliveryStatus, NotificationEvent, Page, Target, TargetCreated,
};

use crate::cli::args::NotificationList;
use crate::cli::failure::Done;
use crate::cli::output::{Align, Paint, Table, Tone, clean, none, time};
use crate::cli::session::Session;
use crate::client::path;

pub(super) async fn list(session: &Session, args: NotificationList) -> Done {
    let query = model::TargetList {
        kind: args.kind.as_deref().map(str::parse).transpose()?,
        ..model::TargetList::default()
    };
    let target = path(&["notifications"]);
    let page: Page<Target> = session.list(&target, &query, &args.page).await?;
    let empty = "Nobody is told anything; `backstay notification add NAME KIND` changes that.";
    session.output.list(&page, empty, |_, targets| {
        let mut table = Table::new(&[
            ("NAME", Align::Left),
            ("KIND", Align::Left),
            ("WHERE", Align::Left),
            ("EVENTS", Align::Left),
        ]);
        for target in targets {
            table.row([
                target.name.clone(),
                target.kind.to_string(),
                place(target),
                told(target),
            ]);
            if !target.enabled {
                table.tone(3, Tone::Faint);
            }
        }
        table
    })
}

fn place(target: &Target) -> String {
    let mail = target.mail.as_ref();
    let mail = mail.map(|mail| format!("{} at {}", mail.to.join(", "), mail.host));
    target.url.clone().or(mail).unwrap_or_else(none)
}

fn told(target: &Target) -> String {
    if !target.enabled {
        "disabled".to_owned()
    } else if target.events.is_empty() {
        "hooks only".to_owned()
    } else {
        target.events.join(", ")
    }
}

/// A target for a person.
pub(super) fn view(paint: Paint, target: &Target) -> String {
    let some = |list: &[String]| (!list.is_empty()).then(|| list.join(", "));
    let mut table = Table::facts();
    table
        .fact("target", format!("{} ({})", target.name, target.id))
        .fact("kind", target.kind.to_string())
        .fact("where", place(target))
        .fact("events", told(target))
        .maybe("connections", some(&target.connections))
        .maybe("jobs", some(&target.jobs))
        .maybe("projects", some(&target.projects))
        .maybe("chat", target.chat_id.clone())
        .maybe("topic", target.topic.clone())
        .maybe(
            "priority",
            target.priority.map(|priority| priority.to_string()),
        )
        .maybe("title", target.title.clone())
        .maybe("body", target.body.clone())
        .maybe("secret", target.secret.clone());
    table.render(paint)
}

/// A new target, and the secret that is shown this once.
pub(super) fn created(paint: Paint, created: &TargetCreated) -> String {
    let mut text = view(paint, &created.target);
    if let Some(secret) = &created.signing_secret {
        text.push_str(&format!(
            "\n\nIts requests are signed with this secret, which is not shown again:\n{secret}"
        ));
    }
    text
}

/// Deliveries for a person.
pub(super) fn deliveries(_: Paint, deliveries: &[Delivery]) -> Table {
    let mut table = Table::new(&[
        ("DELIVERY", Align::Left),
        ("AT", Align::Left),
        ("EVENT", Align::Left),
        ("STATUS", Align::Left),
        ("TRIES", Align::Right),
    ]);
    for delivery in deliveries {
        table
            .row([
                delivery.id.to_string(),
                time(delivery.created_at),
                delivery.event.clone(),
                delivery.status.to_string(),
                delivery.attempts_total.to_string(),
            ])
            .tone(3, tone(delivery.status));
    }
    table
}

fn tone(status: DeliveryStatus) -> Tone {
    match status {
        DeliveryStatus::Pending => Tone::Warning,
        DeliveryStatus::Delivered => Tone::Good,
        DeliveryStatus::Failed | DeliveryStatus::Dropped => Tone::Bad,
    }
}

/// One delivery and its attempts.
pub(super) fn delivery(paint: Paint, delivery: &Delivery) -> String {
    let mut table = Table::facts();
    table
        .fact("delivery", delivery.id.to_string())
        .fact("event", delivery.event.clone())
        .fact("says", delivery.title.clone())
        .fact("to", delivery.target.clone())
        .fact("status", delivery.status.to_string())
        .tone(1, tone(delivery.status))
        .maybe("next try", delivery.next_attempt_at.map(time));
    let mut text = table.render(paint);
    for attempt in &delivery.attempts {
        text.push_str(&format!("\n{}", line(attempt)));
    }
    text
}

fn line(attempt: &Attempt) -> String {
    let answer = attempt.answer.as_ref();
    let end = match (&attempt.error, answer) {
        (Some(error), _) => clean(error).into_owned(),
        (None, Some(answer)) => format!("status {}", answer.status),
        (None, None) => "done".to_owned(),
    };
    format!(
        "{}. {} {} {}: {end}",
        attempt.number,
        time(attempt.at),
        attempt.request.method,
        clean(&attempt.request.url)
    )
}

/// The events that targets can ask for.
pub(super) fn events(_: Paint, events: &[NotificationEvent]) -> Table {
    let mut table = Table::new(&[("EVENT", Align::Left), ("WHEN", Align::Left)]);
    for event in events {
        table.row([event.name.clone(), event.description.clone()]);
    }
    table
}
