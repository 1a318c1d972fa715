//! The shape of what every command prints with `--json`: scripts hold on to it, so a change must be seen.

use std::collections::BTreeMap;

use backstay_tests::engine::Home;
use backstay_tests::postgres::Server;
use serde_json::{Map, Value, json};

/// Fields that hold a value or nothing as time, chance and the machine have it.
const VARYING: [&str; 6] = [
    "eta_ms",
    "objects_total",
    "rate_bytes_per_second",
    "stage",
    "total_bytes",
    "warnings",
];

/// The document with every value replaced by its type; of a list, the first item stands for all.
fn shape(value: &Value) -> Value {
    match value {
        Value::Null => json!("null"),
        Value::Bool(_) => json!("bool"),
        Value::Number(_) => json!("number"),
        Value::String(_) => json!("text"),
        Value::Array(items) => items.iter().take(1).map(shape).collect(),
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .map(|(name, value)| {
                    let varies = VARYING.contains(&name.as_str());
                    let shape = if varies {
                        json!("varies")
                    } else {
                        shape(value)
                    };
                    (name.clone(), shape)
                })
                .collect::<Map<_, _>>(),
        ),
    }
}

struct Shapes<'a> {
    home: &'a Home,
    seen: BTreeMap<String, Value>,
}

impl Shapes<'_> {
    /// Runs a command and keeps the shape under its own words; answers the document.
    fn of(&mut self, words: &[&str]) -> Value {
        let document = self.home.json(words);
        let own = if words.get(1) == Some(&"key") { 3 } else { 2 };
        let name = words[..own.min(words.len())].join(" ");
        self.seen.insert(name, shape(&document));
        document
    }
}

#[test]
fn every_command_prints_the_shape_that_scripts_know() {
    let server = Server::start(15);
    server.create_database("shop");
    server.sql(
        "shop",
        "CREATE TABLE orders (id int PRIMARY KEY, note text); \
         INSERT INTO orders SELECT n, 'order ' || n FROM generate_series(1, 100) n",
    );
    let home = Home::serving();
    let mut shapes = Shapes {
        home: &home,
        seen: BTreeMap::new(),
    };
    connections(&mut shapes, &server);
    repositories(&mut shapes);
    backups(&mut shapes);
    restores(&mut shapes);
    shapes.of(&["run", "list"]);
    let run = home.json(&["run", "list"])["items"][0]["id"].clone();
    let run = run.as_str().unwrap();
    shapes.of(&["run", "show", run]);
    shapes.of(&["run", "log", run]);
    shapes.of(&["run", "cancel", run]);
    shapes.of(&["status"]);
    shapes.of(&["overview"]);
    shapes.of(&["doctor"]);
    shapes.of(&["connection", "remove", "main", "--confirm", "main"]);
    insta::assert_json_snapshot!("json_of_every_command", shapes.seen);
}

fn connections(shapes: &mut Shapes<'_>, server: &Server) {
    let url = server.url("postgres");
    shapes.of(&["connection", "add", "main", &url]);
    shapes.of(&["connection", "list"]);
    shapes.of(&["connection", "show", "main"]);
    shapes.of(&["connection", "edit", "main", "--environment", "shop/live"]);
    shapes.of(&["connection", "test", "main"]);
    shapes.of(&["connection", "discover", "main"]);
    let all = shapes.of(&["connection", "databases", "main"]);
    // What looks for them answers as little at once as what lists them, and goes on there.
    let names = |page: &Value| {
        let items = page["items"].as_array().unwrap().iter();
        items.map(|own| own["name"].clone()).collect::<Vec<_>>()
    };
    let own = "/api/v1/connections/main";
    let asked = ["api", "POST", &format!("{own}/discover?limit=1")];
    let first = shapes.home.json(&asked);
    assert_eq!(names(&first), names(&all)[..1]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = format!("{own}/databases?cursor={cursor}");
    let rest = shapes.home.json(&["api", "GET", &rest]);
    assert_eq!(names(&rest), names(&all)[1..]);
}

fn repositories(shapes: &mut Shapes<'_>) {
    let second = shapes.home.folder().join("second");
    let second = second.to_str().unwrap();
    shapes.of(&["repository", "add", "second", second]);
    shapes.of(&["repository", "list"]);
    shapes.of(&["repository", "show", "local"]);
    let edited = shapes.of(&["repository", "edit", "second", "--name", "other"]);
    assert_eq!(edited["name"], "other");
    shapes
        .home
        .ok(&["repository", "edit", "other", "--name", "second"]);
    shapes.of(&["repository", "set-default", "local"]);
    shapes.of(&["repository", "test", "local"]);
    shapes.of(&["repository", "check", "local"]);
    shapes.of(&["repository", "prune", "local"]);
    shapes.home.ok(&["task", "run", "statistics"]);
    shapes.of(&["repository", "trends", "local"]);
    shapes.of(&["repository", "repair", "local"]);
    let added = shapes.of(&["repository", "key", "add", "second", "--recovery-code"]);
    let key = added["id"].as_str().unwrap();
    shapes.of(&["repository", "key", "list", "second"]);
    let confirm = ["--confirm", "second"];
    shapes.of(&[
        &["repository", "key", "remove", "second", key][..],
        &confirm,
    ]
    .concat());
    shapes.of(&["repository", "remove", "second", "--confirm", "second"]);
}

fn backups(shapes: &mut Shapes<'_>) {
    let first = shapes.of(&["backup", "run", "main/shop"])["id"].clone();
    let first = first.as_str().unwrap();
    shapes.home.ok(&["backup", "run", "main/shop"]);
    shapes.of(&["backup", "list"]);
    shapes.of(&["backup", "show", first]);
    shapes.of(&["backup", "objects", first]);
    shapes.of(&["backup", "rows", first, "orders"]);
    shapes.of(&["backup", "log", first]);
    shapes.of(&["backup", "verify", first]);
    shapes.of(&["backup", "diff", "main/shop@latest", first]);
    shapes.of(&["backup", "annotate", first, "--label", "a", "--note", "b"]);
    shapes.of(&["backup", "pin", first]);
    shapes.of(&["backup", "delete", first, "--force", "--yes"]);
    shapes.of(&["repository", "trash", "local"]);
    let file = shapes.home.folder().join("shop.sql");
    shapes.of(&[
        "backup",
        "export",
        "main/shop@latest",
        "-o",
        file.to_str().unwrap(),
    ]);
}

fn restores(shapes: &mut Shapes<'_>) {
    let latest = "main/shop@latest";
    shapes.of(&["restore", "plan", latest, "--database", "back"]);
    let restore = shapes.of(&["restore", "run", latest, "--database", "back"])["id"].clone();
    shapes.of(&["restore", "list"]);
    shapes.of(&["restore", "show", restore.as_str().unwrap()]);
}
