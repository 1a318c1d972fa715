//! `demo URL`: two backups, an accident, a restore and its proof, on a server of the person's own.

use std::collections::{BTreeMap, BTreeSet};

use backstay_engine::model::{
    Backup, BackupCreate, BackupDelete, Connection, ConnectionCreate, Restore, RestoreCreate, Run,
    RunStatus, Started,
};
use backstay_engine::repository::format::digest::hex;
use backstay_engine::secret::{SecretText, random_bytes};
use backstay_engine::source::postgres::{Sql, Target};
use backstay_engine::{Code, Error, Result};
use serde::Serialize;

use super::args::Demo;
use super::failure::{Done, Failure};
use super::output::{Align, Table, Tone, bytes, count};
use super::session::Session;
use super::{confirm, progress, secrets};
use crate::client::{path, with_query};

/// The realistic database that is made.
const SCRIPT: &str = include_str!("../../../assets/demo.sql");

/// What goes wrong.
const ACCIDENT: &str = "DROP TABLE shop.purchase_line, shop.payment CASCADE; \
                        DROP TABLE support.message; TRUNCATE logistics.event";

/// Rows and a sum of row hashes that does not depend on their order, by table.
type Fingerprint = BTreeMap<String, (u64, String)>;

#[derive(Debug, Serialize)]
struct Proof {
    equal: bool,
    tables: Vec<Proved>,
    first_stored_bytes: u64,
    second_stored_bytes: u64,
}

#[derive(Debug, Serialize)]
struct Proved {
    table: String,
    rows_before: u64,
    rows_damaged: u64,
    rows_restored: u64,
    equal: bool,
}

struct Stage<'a> {
    session: &'a Session,
    target: Target,
    /// The scratch database; connection and restored database are named after it.
    name: String,
    roles_before: BTreeSet<String>,
}

/// Shows it, and removes what it made whatever happens.
pub(crate) async fn demo(session: &Session, demo: &Demo) -> Done {
    let (target, maintenance) = reach(&demo.url).await?;
    confirm::agree(
        &session.global,
        &format!(
            "Make a scratch database on {}, back it up, damage it, restore it{}?",
            target.place(),
            if demo.keep { "" } else { ", and remove it all" }
        ),
    )?;
    session.engine().await?;
    let name = format!("backstay_demo_{}", hex(&random_bytes::<3>()));
    let stage = Stage {
        session,
        target,
        roles_before: roles(&maintenance).await?,
        name,
    };
    let shown = tokio::select! {
        shown = stage.play(&maintenance) => shown,
        _ = tokio::signal::ctrl_c() => Err(Failure::Exit(Code::Cancelled.exit())),
    };
    if demo.keep {
        stage.say(&format!(
            "Kept: the databases {0} and {0}_restored, the connection {0} and its backups.",
            stage.name
        ));
    } else {
        stage.clean_up(&maintenance).await;
    }
    let proof = shown?;
    stage.conclude(&proof)
}

async fn reach(url: &str) -> Result<(Target, Sql)> {
    let target = Target::from_url(url)?;
    match target.maintenance().await {
        Ok(sql) => Ok((target, sql)),
        Err(error) if error.code() == Code::ConnectionAuth => {
            let typed = match std::env::var("BACKSTAY_PASSWORD") {
                Ok(password) if !password.is_empty() => Some(SecretText::new(password)),
                _ => secrets::ask(&format!("Password for {}: ", target.place()))?,
            };
            if typed.is_none() {
                return Err(error.hint("Give the password in the URL or as BACKSTAY_PASSWORD"));
            }
            let target = target.with_password(typed);
            let sql = target.maintenance().await?;
            Ok((target, sql))
        }
        Err(error) => Err(error),
    }
}

async fn roles(sql: &Sql) -> Result<BTreeSet<String>> {
    let rows = sql.rows("SELECT rolname FROM pg_catalog.pg_roles").await?;
    rows.iter()
        .map(|row| Ok(row.text("rolname")?.to_owned()))
        .collect()
}

impl Stage<'_> {
    fn say(&self, text: &str) {
        let paint = self.session.output.paint_notes;
        self.session.output.note(&paint.strong(text));
    }

    fn restored(&self) -> String {
        format!("{}_restored", self.name)
    }

    async fn play(&self, maintenance: &Sql) -> Done<Proof> {
        self.say("Making a database of about 1.4 million rows");
        maintenance
            .run(&format!("CREATE DATABASE {}", self.name))
            .await?;
        let scratch = self.target.sql(&self.name).await?;
        scratch.run(&script()).await?;
        let before = fingerprint(&scratch).await?;
        self.add_connection().await?;
        self.say("A first backup");
        let first = self.back_up().await?;
        self.say("A second one: nothing has changed, so almost nothing is stored");
        let second = self.back_up().await?;
        self.say(&format!("An accident: {ACCIDENT}"));
        scratch.run(ACCIDENT).await?;
        let damaged = fingerprint(&scratch).await?;
        self.say("The way back: the second backup, into a new database");
        self.restore(&second).await?;
        let after = fingerprint(&self.target.sql(&self.restored()).await?).await?;
        Ok(Proof {
            equal: before == after,
            tables: proved(&before, &damaged, &after),
            first_stored_bytes: first.stored_bytes,
            second_stored_bytes: second.stored_bytes,
        })
    }

    async fn add_connection(&self) -> Result<()> {
        let create = ConnectionCreate {
            name: self.name.clone(),
            url: self.target.to_url(),
            password: self.target.password.clone(),
            ssh: None,
            project: None,
            environment: None,
            include_new_databases: Some(false),
            test: None,
        };
        let _: Connection = self
            .session
            .client()
            .post(&path(&["connections"]), &create)
            .await?;
        Ok(())
    }

    async fn back_up(&self) -> Done<Backup> {
        let create = BackupCreate {
            connection: self.name.clone(),
            database: Some(self.name.clone()),
            ..BackupCreate::default()
        };
        let client = self.session.client();
        let started: Started = client.post(&path(&["backups"]), &create).await?;
        let runs = self.follow(&started).await?;
        let id = runs
            .iter()
            .find_map(|run| run.backup_id)
            .ok_or_else(|| Error::internal("A backup succeeded without a record"))?;
        let backup: Backup = client.get(&path(&["backups", &id.to_string()])).await?;
        self.session.output.note(&format!(
            "  {} rows, {} read, {} stored",
            count(backup.rows),
            bytes(backup.source_bytes),
            bytes(backup.stored_bytes)
        ));
        Ok(backup)
    }

    async fn restore(&self, backup: &Backup) -> Done {
        let create = RestoreCreate {
            database: Some(self.restored()),
            ..RestoreCreate::default()
        };
        let client = self.session.client();
        let target = path(&["backups", &backup.id.to_string(), "restore"]);
        let started: Started = client.post(&target, &create).await?;
        let runs = self.follow(&started).await?;
        if let Some(id) = runs.iter().find_map(|run| run.restore_id) {
            let restore: Restore = client.get(&path(&["restores", &id.to_string()])).await?;
            self.session.output.note(&format!(
                "  {} rows, {} tables proved equal to the backup",
                count(restore.rows),
                count(restore.proved_tables)
            ));
        }
        Ok(())
    }

    async fn follow(&self, started: &Started) -> Done<Vec<Run>> {
        let runs = progress::follow(self.session, started).await?;
        if runs.iter().any(|run| run.status != RunStatus::Success) {
            progress::conclude(self.session, &runs).await?;
        }
        Ok(runs)
    }

    /// What cannot be removed is named, and does not keep the rest from being removed.
    async fn clean_up(&self, maintenance: &Sql) {
        self.say("Removing what was made");
        for database in [&self.restored(), &self.name] {
            let drop = format!("DROP DATABASE IF EXISTS {database}");
            self.told(maintenance.run(&drop).await.map(drop_answer));
        }
        if let Ok(now) = roles(maintenance).await {
            for role in now.difference(&self.roles_before) {
                let drop = format!("DROP ROLE IF EXISTS \"{}\"", role.replace('"', "\"\""));
                self.told(maintenance.run(&drop).await.map(drop_answer));
            }
        }
        self.told(self.forget().await);
    }

    async fn forget(&self) -> Result<()> {
        let client = self.session.client();
        let list = serde_json::json!({"connection": self.name, "limit": 200});
        let listed: Result<backstay_engine::model::Page<Backup>> =
            client.get(&with_query(&path(&["backups"]), &list)?).await;
        let page = match listed {
            Ok(page) => page,
            // It was never added.
            Err(error) if error.code() == Code::ConnectionNotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for backup in page
            .items
            .iter()
            .filter(|backup| backup.status.is_restorable())
        {
            let target = path(&["backups", &backup.id.to_string()]);
            let request = BackupDelete { force: true };
            let _: serde_json::Value = client.delete(&with_query(&target, &request)?).await?;
        }
        let _: serde_json::Value = client
            .delete(&path(&["connections", &self.name]))
            .await
            .or_else(|error| match error.code() {
                Code::ConnectionNotFound => Ok(serde_json::Value::Null),
                _ => Err(error),
            })?;
        Ok(())
    }

    fn told(&self, done: Result<()>) {
        if let Err(error) = done {
            self.session.output.warn(&error.report());
        }
    }

    fn conclude(&self, proof: &Proof) -> Done {
        self.session.output.record(proof, |paint, proof| {
            let mut table = Table::new(&[
                ("TABLE", Align::Left),
                ("ROWS BEFORE", Align::Right),
                ("AFTER THE ACCIDENT", Align::Right),
                ("RESTORED", Align::Right),
                ("CONTENT", Align::Left),
            ]);
            for item in &proof.tables {
                let (word, tone) = if item.equal {
                    ("equal", Tone::Good)
                } else {
                    ("differs", Tone::Bad)
                };
                table
                    .row([
                        item.table.clone(),
                        count(item.rows_before),
                        count(item.rows_damaged),
                        count(item.rows_restored),
                        word.to_owned(),
                    ])
                    .tone(4, tone);
            }
            format!(
                "{}\n\nThe first backup stored {}, the second {}.",
                table.render(paint),
                bytes(proof.first_stored_bytes),
                bytes(proof.second_stored_bytes)
            )
        })?;
        if !proof.equal {
            return Err(Error::new(
                Code::Partial,
                "The restored database differs from what was backed up",
            )
            .into());
        }
        self.session
            .output
            .note("Every table is back, row for row. Next: backstay connection add NAME URL");
        Ok(())
    }
}

fn drop_answer(_: u64) {}

/// The script without what is meant for psql.
fn script() -> String {
    SCRIPT
        .lines()
        .filter(|line| !line.starts_with('\\'))
        // The engine's sessions have an empty search path; psql's have not.
        .fold("SET search_path = public;\n".to_owned(), |text, line| {
            text + line + "\n"
        })
}

async fn fingerprint(sql: &Sql) -> Result<Fingerprint> {
    let tables = sql
        .rows(
            "SELECT n.nspname || '.' || c.relname AS name, format('%I.%I', n.nspname, c.relname) AS quoted \
             FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
             ORDER BY 1",
        )
        .await?;
    let mut all = Fingerprint::new();
    for table in &tables {
        let row = sql
            .row(&format!(
                "SELECT count(*) AS rows, \
                 coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) AS hash FROM ONLY {} t",
                table.text("quoted")?
            ))
            .await?;
        let rows = row.text("rows")?.parse().unwrap_or_default();
        all.insert(
            table.text("name")?.to_owned(),
            (rows, row.text("hash")?.to_owned()),
        );
    }
    Ok(all)
}

/// The table a partition belongs to, as far as its name tells: partitions add nothing to see.
fn shown_name(name: &str) -> String {
    match name.split_once(".event_") {
        Some((schema, _)) => format!("{schema}.event (all partitions)"),
        None => name.to_owned(),
    }
}

fn proved(before: &Fingerprint, damaged: &Fingerprint, after: &Fingerprint) -> Vec<Proved> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut all: BTreeMap<String, Proved> = BTreeMap::new();
    let rows = |of: &Fingerprint, name: &str| of.get(name).map_or(0, |(rows, _)| *rows);
    for name in names {
        let table = shown_name(name);
        let item = all.entry(table.clone()).or_insert(Proved {
            table,
            rows_before: 0,
            rows_damaged: 0,
            rows_restored: 0,
            equal: true,
        });
        item.rows_before += rows(before, name);
        item.rows_damaged += rows(damaged, name);
        item.rows_restored += rows(after, name);
        item.equal &= before.get(name) == after.get(name);
    }
    all.into_values().collect()
}
