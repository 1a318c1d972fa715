//! `restore …`

use backstay_engine::model::{
    self, Page, PlanAction, PlanItem, Restore, RestoreCreate, RestorePlan, Started,
};
use backstay_engine::{Code, Result};

use super::args::{RestoreCommand, RestoreList, RestoreRun, RestoreTarget};
use super::failure::{Done, Failure};
use super::output::{Align, Paint, Table, Tone, bytes, clean, count, duration_ms, none, time};
use super::session::Session;
use super::{confirm, progress, run};
use crate::client::{Client, path};
use crate::console::shell;

/// Objects of a plan that are named one by one.
const ITEMS_SHOWN: usize = 40;

/// Objects that a question names.
const DROPS_SHOWN: usize = 20;

/// Does what `restore …` says.
pub(crate) async fn restore(session: &Session, command: RestoreCommand) -> Done {
    match command {
        RestoreCommand::Run(args) if args.dry_run => show_plan(session, &args.target).await,
        RestoreCommand::Run(args) => run_restore(session, &args).await,
        RestoreCommand::Plan(args) => show_plan(session, &args.target).await,
        RestoreCommand::List(args) => list(session, args).await,
        RestoreCommand::Show(name) => {
            let client = session.engine().await?;
            let restore: Restore = client.get(&path(&["restores", &name.restore])).await?;
            session.output.record(&restore, view)
        }
    }
}

/// The request that the flags of `restore run` stand for.
pub(crate) fn request(target: &RestoreTarget, dry_run: bool) -> RestoreCreate {
    RestoreCreate {
        to: target.to.clone(),
        database: target.database.clone(),
        in_place: target.in_place,
        objects: target.object.clone(),
        clean: target.clean,
        confirm: None,
        no_owner: target.no_owner,
        no_privileges: target.no_privileges,
        no_extensions: target.no_extensions,
        globals: target.globals,
        directory: None,
        dry_run,
    }
}

/// The command line that restores so.
pub(crate) fn command(target: &RestoreTarget) -> String {
    let mut words = vec![target.backup.backup.clone()];
    let mut flag = |name: &str, value: &str| {
        words.push(name.to_owned());
        words.push(value.to_owned());
    };
    if let Some(to) = &target.to {
        flag("--to", to);
    }
    if let Some(database) = &target.database {
        flag("--database", database);
    }
    for object in &target.object {
        flag("--object", object);
    }
    let switches = [
        ("--in-place", target.in_place),
        ("--clean", target.clean),
        ("--no-owner", target.no_owner),
        ("--no-privileges", target.no_privileges),
        ("--no-extensions", target.no_extensions),
        ("--globals", target.globals),
    ];
    let switches = switches.into_iter().filter(|(_, on)| *on);
    words.extend(switches.map(|(name, _)| name.to_owned()));
    let words: Vec<String> = words.iter().map(|word| shell(word)).collect();
    format!("backstay restore run {}", words.join(" "))
}

async fn plan(client: &Client, target: &RestoreTarget) -> Result<RestorePlan> {
    let restore = path(&["backups", &target.backup.backup, "restore"]);
    client.post(&restore, &request(target, true)).await
}

async fn show_plan(session: &Session, target: &RestoreTarget) -> Done {
    let client = session.engine().await?;
    let plan = plan(client, target).await?;
    session.output.record(&plan, plan_view)?;
    if plan.blockers.is_empty() {
        Ok(())
    } else {
        Err(Failure::Exit(Code::Conflict.exit()))
    }
}

fn plan_view(paint: Paint, plan: &RestorePlan) -> String {
    let state = match (
        plan.creates_database,
        plan.database_exists,
        plan.database_empty,
    ) {
        (true, false, _) => "will be made",
        (_, true, true) => "exists and is empty",
        (_, true, false) => "exists and holds something",
        (false, false, _) => "does not exist",
    };
    let mut facts = Table::facts();
    facts
        .fact("backup", plan.backup_id.to_string())
        .fact(
            "into",
            format!("{}/{}, which {state}", plan.connection, plan.database),
        )
        .fact(
            "data",
            format!("{} rows, {}", count(plan.rows), bytes(plan.data_bytes)),
        )
        .fact("needs there", format!("about {}", bytes(plan.space_bytes)))
        .fact(
            "free there",
            plan.free_bytes.map_or_else(
                || "unknown: the server does not tell, look before a large restore".to_owned(),
                bytes,
            ),
        )
        .maybe("takes", takes(plan))
        .maybe("the database there", plan.target_bytes.map(bytes))
        .maybe(
            "sessions ended",
            (plan.creates_database && plan.destroys).then(|| count(plan.sessions)),
        )
        .maybe("chosen", plan.selection.as_ref().map(ToString::to_string))
        .maybe("backup's server", plan.source_version.clone())
        .maybe("target's server", plan.target_version.clone());
    let mut text = facts.render(paint);
    let mut actions = Vec::new();
    for action in PlanAction::ALL {
        let number = match action {
            PlanAction::Create => plan.creates,
            PlanAction::Drop => plan.drops,
            PlanAction::Overwrite => plan.overwrites,
            PlanAction::Skip => plan.skips,
        };
        if number > 0 {
            actions.push(format!("{action} {}", count(number)));
        }
    }
    if !actions.is_empty() {
        text.push_str(&format!("\n\n{}", paint.strong(&actions.join(", "))));
        text.push('\n');
        text.push_str(&plan_items(paint, plan));
    }
    for warning in &plan.warnings {
        text.push_str(&format!(
            "\n{} {}",
            paint.tone(Tone::Warning, "warning:"),
            clean(warning)
        ));
    }
    for blocker in &plan.blockers {
        text.push_str(&format!(
            "\n{} {}",
            paint.tone(Tone::Bad, "in the way:"),
            clean(blocker)
        ));
    }
    text
}

/// How long it will take, and how that is known.
fn takes(plan: &RestorePlan) -> Option<String> {
    let about = duration_ms(plan.estimated_ms?);
    Some(match &plan.estimate_basis {
        Some(basis) => format!("about {about}, after {}", clean(basis)),
        None => format!("about {about}"),
    })
}

/// What an object is there now, and what the backup brings.
fn sizes(now: Option<u64>, then: Option<u64>, show: fn(u64) -> String) -> String {
    match (now, then) {
        (Some(now), Some(then)) => format!("{} → {}", show(now), show(then)),
        (Some(now), None) => format!("{} →", show(now)),
        (None, then) => then.map_or_else(none, show),
    }
}

fn plan_items(paint: Paint, plan: &RestorePlan) -> String {
    let mut table = Table::new(&[
        ("ACTION", Align::Left),
        ("KIND", Align::Left),
        ("NAME", Align::Left),
        ("ROWS", Align::Right),
        ("DATA", Align::Right),
        ("WHY", Align::Left),
    ]);
    // What is lost comes first: a person must not miss it among what is made.
    let mut items: Vec<_> = plan.items.iter().collect();
    items.sort_by_key(|item| match item.action {
        PlanAction::Drop => 0,
        PlanAction::Overwrite => 1,
        PlanAction::Skip => 2,
        PlanAction::Create => 3,
    });
    for item in items.iter().take(ITEMS_SHOWN) {
        let name = item_name(item);
        let tone = match item.action {
            PlanAction::Drop | PlanAction::Overwrite => Tone::Bad,
            PlanAction::Skip => Tone::Faint,
            PlanAction::Create => Tone::Good,
        };
        table
            .row([
                item.action.to_string(),
                item.kind.to_lowercase(),
                name,
                sizes(item.target_rows, item.rows, count),
                sizes(item.target_bytes, item.data_bytes, bytes),
                item.reason.clone().unwrap_or_default(),
            ])
            .tone(0, tone);
    }
    let mut text = table.render(paint);
    if items.len() > ITEMS_SHOWN || plan.truncated {
        text.push_str("\n… and more; --json lists them");
    }
    text
}

async fn run_restore(session: &Session, args: &RestoreRun) -> Done {
    let client = session.engine().await?;
    let mut create = request(&args.target, false);
    let mut backup = args.target.backup.backup.clone();
    let mut has_warned = false;
    if args.target.clean || args.target.in_place {
        let plan = plan(client, &args.target).await?;
        create.confirm = confirmed(session, &plan)?;
        has_warned = plan.destroys && plan.blockers.is_empty();
        // What was shown is what is restored, whatever has become the latest since.
        backup = plan.backup_id.to_string();
    }
    let restore = path(&["backups", &backup, "restore"]);
    let started: Started = client.post(&restore, &create).await?;
    if !has_warned {
        warn(session, &started.warnings);
    }
    if args.detach {
        return progress::detached(session, &started);
    }
    let runs = progress::follow(session, &started).await?;
    let id = started
        .restore_id
        .or_else(|| runs.iter().find_map(|run| run.restore_id));
    if let Some(id) = id {
        let id = id.to_string();
        let restore: Restore = client.get(&path(&["restores", &id])).await?;
        session.output.record(&restore, summary)?;
    }
    progress::conclude(session, &runs).await
}

fn warn(session: &Session, warnings: &[String]) {
    for warning in warnings {
        session.output.warn(&clean(warning));
    }
}

/// Where the plan shows that something would be lost or put aside, has the database's name typed.
fn confirmed(session: &Session, plan: &RestorePlan) -> Done<Option<String>> {
    // What stands in the way is refused by the engine, under a code of its own.
    if !plan.destroys || !plan.blockers.is_empty() {
        return Ok(session.global.confirm.clone());
    }
    warn(session, &plan.warnings);
    let what = what_happens(plan);
    confirm::typed(&session.global, &what, &plan.database).map(Some)
}

/// What is asked about, in one sentence.
pub(crate) fn what_happens(plan: &RestorePlan) -> String {
    let target = format!("{}/{}", plan.connection, plan.database);
    let target = clean(&target);
    if plan.creates_database {
        let sessions = match plan.sessions {
            0 => "no session is in it now".to_owned(),
            1 => "ends the one session in it".to_owned(),
            number => format!("ends the {} sessions in it", count(number)),
        };
        return format!(
            "This puts the restored copy in the place of {target} ({sessions}) and keeps the old database beside it"
        );
    }
    if !plan.replaces_objects {
        return format!("This empties {target} first");
    }
    let lost: Vec<String> = plan
        .items
        .iter()
        .filter(|item| matches!(item.action, PlanAction::Drop | PlanAction::Overwrite))
        .map(|item| format!("{} {}", item.kind.to_lowercase(), item_name(item)))
        .collect();
    let more = lost.len().saturating_sub(DROPS_SHOWN);
    let mut names = lost
        .into_iter()
        .take(DROPS_SHOWN)
        .collect::<Vec<_>>()
        .join(", ");
    if more > 0 {
        names.push_str(&format!(" and {more} more, which `restore plan` lists"));
    }
    format!(
        "This drops in {target} {}, and nothing else, before it restores",
        clean(&names)
    )
}

/// `schema.name`
pub(crate) fn item_name(item: &PlanItem) -> String {
    match &item.schema {
        Some(schema) => format!("{schema}.{}", item.name),
        None => item.name.clone(),
    }
}

fn target_of(restore: &Restore) -> String {
    match (&restore.connection, &restore.database, &restore.directory) {
        (_, _, Some(directory)) => directory.clone(),
        (Some(connection), Some(database), None) => format!("{connection}/{database}"),
        (Some(connection), None, None) => connection.clone(),
        _ => none(),
    }
}

fn summary(paint: Paint, restore: &Restore) -> String {
    let mut parts = vec![
        format!("{} objects", count(restore.objects)),
        format!("{} rows", count(restore.rows)),
        format!("{} tables proved equal", count(restore.proved_tables)),
    ];
    if let Some(ms) = restore.duration_ms {
        parts.push(duration_ms(ms));
    }
    let mut text = format!(
        "{}  {}  {}",
        clean(&target_of(restore)),
        paint.status(restore.status),
        parts.join(", ")
    );
    if let Some(kept) = &restore.kept_database {
        text.push_str(&format!("\nThe old database is kept as {}", clean(kept)));
    }
    text
}

async fn list(session: &Session, args: RestoreList) -> Done {
    let query = model::RestoreList {
        connection: args.connection,
        status: args.status.map(|status| status.parse()).transpose()?,
        ..model::RestoreList::default()
    };
    let target = path(&["restores"]);
    let page: Page<Restore> = session.list(&target, &query, &args.page).await?;
    session
        .output
        .list(&page, "There are no such restores.", |_, items| {
            let mut table = Table::new(&[
                ("RESTORE", Align::Left),
                ("OF", Align::Left),
                ("INTO", Align::Left),
                ("STATUS", Align::Left),
                ("BEGAN", Align::Left),
                ("TOOK", Align::Right),
                ("ROWS", Align::Right),
            ]);
            for item in items {
                table
                    .row([
                        item.id.to_string(),
                        item.backup_id.to_string(),
                        target_of(item),
                        item.status.to_string(),
                        time(item.started_at.unwrap_or(item.created_at)),
                        item.duration_ms.map_or_else(none, duration_ms),
                        count(item.rows),
                    ])
                    .tone(3, Tone::of(item.status));
            }
            table
        })
}

fn view(paint: Paint, restore: &Restore) -> String {
    let mut table = Table::facts();
    table
        .fact("restore", restore.id.to_string())
        .fact("of", restore.backup_id.to_string())
        .fact("into", target_of(restore))
        .fact("in place", if restore.in_place { "yes" } else { "no" })
        .maybe("old database kept as", restore.kept_database.clone())
        .fact("status", restore.status.to_string())
        .tone(1, Tone::of(restore.status))
        .fact("asked for", time(restore.created_at))
        .maybe("took", restore.duration_ms.map(duration_ms))
        .fact("objects", count(restore.objects))
        .fact("rows", count(restore.rows))
        .fact("tables proved equal", count(restore.proved_tables))
        .fact("run", restore.run_id.to_string());
    run::problem(&mut table, restore.error.as_ref());
    let mut text = table.render(paint);
    text.push_str(&run::losses(
        paint,
        &restore.losses,
        restore.losses.len() as u64,
    ));
    text
}
