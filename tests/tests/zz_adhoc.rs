//! ad hoc
use std::sync::Arc;
use backstay_engine::clock::SystemClock;
use backstay_engine::monitor::{Remembering, Task};
use backstay_engine::source::postgres::logical::object::{Object, ObjectKind};
use backstay_engine::source::postgres::logical::schema::Schema;
use backstay_engine::source::postgres::logical::selection::Selection;
use backstay_engine::source::postgres::{Sql, Target};
use tokio_util::sync::CancellationToken;
async fn session(url: &str, database: &str) -> Sql {
    Target::from_url(url).unwrap().sql(database).await.unwrap()
}
/// Makes the objects, in their order, as a restore does; returns what failed.
async fn apply(url: &str, database: &str, objects: &[Object]) -> Vec<String> {
    let sql = session(url, database).await;
    sql.run(
        "SET check_function_bodies = off; SET client_min_messages = error; SET xmloption = content",
    )
    .await
    .unwrap();
    let mut failures = Vec::new();
    let late = [
        ObjectKind::EventTrigger,
        ObjectKind::RefreshMaterializedView,
    ];
    let (late, early): (Vec<_>, Vec<_>) = objects.iter().partition(|o| late.contains(&o.kind));
    for object in &early {
        make(&sql, object, &mut failures).await;
    }
    for object in objects {
        run(&sql, object, &object.attachments.privileges, &mut failures).await;
    }
    for object in &late {
        make(&sql, object, &mut failures).await;
    }
    failures
}

async fn make(sql: &Sql, object: &Object, failures: &mut Vec<String>) {
    let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
    if let Some(tablespace) = &object.tablespace {
        let name = if tablespace.is_empty() {
            "''".to_owned()
        } else {
            quoted(tablespace)
        };
        sql.run(&format!("SET default_tablespace = {name}"))
            .await
            .unwrap();
    }
    if let Some(method) = object
        .access_method
        .as_ref()
        .filter(|_| sql.version() >= 120_000)
    {
        sql.run(&format!(
            "SET default_table_access_method = {}",
            quoted(method)
        ))
        .await
        .unwrap();
    }
    let parts = &object.attachments;
    for statements in [
        &object.create,
        &parts.owner,
        &parts.comments,
        &parts.security_labels,
    ] {
        run(sql, object, statements, failures).await;
    }
}

async fn run(sql: &Sql, object: &Object, statements: &[String], failures: &mut Vec<String>) {
    if statements.is_empty() {
        return;
    }
    if let Err(error) = sql.run(&statements.join(";\n")).await {
        failures.push(format!(
            "{} {}: {}\n{}",
            object.kind.sql_name(),
            object.name,
            error.report(),
            statements.join(";\n")
        ));
    }
}


#[tokio::test(flavor = "multi_thread")]
async fn adhoc() {
    let url = std::env::var("SRC_URL").unwrap();
    let src = std::env::var("SRC").unwrap();
    let dst = std::env::var("DST").unwrap();
    let watcher = Arc::new(Remembering::default());
    let task = Task { monitor: watcher.clone(), cancel: CancellationToken::new(), clock: Arc::new(SystemClock) };
    let sql = session(&url, &src).await;
    sql.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await.unwrap();
    let start = std::time::Instant::now();
    let schema = Schema::read(&sql, &Selection::default(), &task).await.unwrap_or_else(|e| panic!("{}", e.report()));
    println!("read {} objects {} tables in {:?}", schema.objects.len(), schema.tables.len(), start.elapsed());
    for l in watcher.losses.lock().iter() { println!("LOSS {}: {}", l.object, l.reason); }
    for l in watcher.notes.lock().iter() { println!("NOTE {:?}", l); }
    drop(sql);
    std::fs::write("/tmp/s2/objects.json", schema.objects.iter().map(|o| serde_json::to_string(o).unwrap()+"\n").collect::<String>()).unwrap();
    let admin = session(&url, "postgres").await;
    admin.run(&format!("DROP DATABASE IF EXISTS {dst}")).await.unwrap();
    admin.run(&format!("CREATE DATABASE {dst} TEMPLATE template0")).await.unwrap();
    let failures = apply(&url, &dst, &schema.objects).await;
    for f in &failures { println!("FAIL {f}\n"); }
    println!("{} failures", failures.len());
}
