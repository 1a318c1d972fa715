//! `connection list`, `connection show`, and what a test found.

use backstay_engine::model::{self, Connection, ConnectionTest, Page};

use super::project;
use crate::cli::args;
use crate::cli::failure::Done;
use crate::cli::output::{Align, Paint, Table, Tone, clean, none, time};
use crate::cli::session::Session;
use crate::client::path;

pub(super) async fn list(session: &Session, args: args::ConnectionList) -> Done {
    let (project, environment) = project(args.environment.as_deref());
    let query = model::ConnectionList {
        project,
        environment,
        ..model::ConnectionList::default()
    };
    let page: Page<Connection> = session
        .list(&path(&["connections"]), &query, &args.page)
        .await?;
    session.output.list(
        &page,
        if args.environment.is_some() {
            "There are no such connections; `backstay connection list` shows all."
        } else {
            "There are no connections yet; `backstay connection add NAME URL` adds one."
        },
        |_, items| {
            let mut table = Table::new(&[
                ("NAME", Align::Left),
                ("SERVER", Align::Left),
                ("VERSION", Align::Left),
                ("ENVIRONMENT", Align::Left),
                ("LAST TEST", Align::Left),
            ]);
            for item in items {
                let (tested, tone) = match &item.last_test {
                    None => (none(), Tone::Faint),
                    Some(test) if test.ok => (format!("ok, {}", time(test.at)), Tone::Good),
                    Some(test) => (format!("failed, {}", time(test.at)), Tone::Bad),
                };
                table
                    .row([
                        item.name.clone(),
                        item.url.clone(),
                        item.server_version.clone().unwrap_or_else(none),
                        format!("{}/{}", item.project, item.environment),
                        tested,
                    ])
                    .tone(4, tone);
            }
            table
        },
    )
}

pub(super) async fn show(session: &Session, name: &str) -> Done {
    let client = session.engine().await?;
    let connection: Connection = client.get(&path(&["connections", name])).await?;
    session.output.record(&connection, view)
}

pub(super) fn view(paint: Paint, connection: &Connection) -> String {
    let mut table = Table::facts();
    table
        .fact("name", connection.name.clone())
        .fact("id", connection.id.to_string())
        .fact("url", connection.url.clone())
        .fact(
            "environment",
            format!("{}/{}", connection.project, connection.environment),
        )
        .fact("logs in as", connection.user.clone())
        .fact(
            "password",
            if connection.has_password {
                "stored"
            } else {
                "none"
            },
        )
        .fact("tls", connection.tls_mode.clone())
        .maybe("server", connection.server_version.clone());
    if let Some(ssh) = &connection.ssh {
        table.fact(
            "through ssh",
            format!("{}@{}:{}", ssh.user, ssh.host, ssh.port),
        );
        table.maybe("ssh host key", ssh.host_key.clone());
    }
    table.fact(
        "new databases",
        if connection.include_new_databases {
            "are backed up too"
        } else {
            "are left out"
        },
    );
    if let Some(test) = &connection.last_test {
        let tone = if test.ok { Tone::Good } else { Tone::Bad };
        table
            .fact("last test", format!("{} ({})", test.message, time(test.at)))
            .tone(1, tone);
        // The server's version stands above already.
        for fact in test.facts.iter().filter(|fact| fact.name != "server") {
            table.fact(&fact.name, fact.value.clone());
        }
        for warning in &test.warnings {
            table
                .fact("warning", warning.clone())
                .tone(0, Tone::Warning);
        }
    }
    table
        .fact("added", time(connection.created_at))
        .fact("changed", time(connection.updated_at));
    table.render(paint)
}

pub(super) fn tested_view(paint: Paint, tested: &ConnectionTest) -> String {
    let (mark, tone) = if tested.ok {
        ("ok", Tone::Good)
    } else {
        ("failed", Tone::Bad)
    };
    let mut text = format!("{}: {}", paint.tone(tone, mark), clean(&tested.message));
    let mut table = Table::facts();
    table.maybe("hint", tested.hint.clone());
    table.maybe(
        "answered in",
        tested.latency_ms.map(|ms| format!("{ms} ms")),
    );
    for fact in &tested.facts {
        table.fact(&fact.name, fact.value.clone());
    }
    for warning in &tested.warnings {
        table
            .fact("warning", warning.clone())
            .tone(0, Tone::Warning);
    }
    let facts = table.render(paint);
    if !facts.is_empty() {
        text.push('\n');
        text.push_str(&facts);
    }
    text
}
