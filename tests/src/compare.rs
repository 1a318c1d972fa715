//! Dumps compared: what must be equal after a restore, and what may differ.

use std::collections::BTreeMap;

/// What `pg_dump` printed, parted into schema text, which is compared exactly, and the rows of each
/// table, whose order means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dump {
    schema: String,
    tables: BTreeMap<String, Vec<Vec<u8>>>,
}

impl Dump {
    /// Takes the output of `pg_dump` or `pg_dumpall` in plain format apart. Lines that differ between
    /// two runs on one database are left out: the `\restrict` token, versions, times.
    pub fn read(output: &[u8]) -> Self {
        let mut schema = String::new();
        let mut tables = BTreeMap::<String, Vec<Vec<u8>>>::new();
        let mut lines = output.split(|byte| *byte == b'\n');
        while let Some(line) = lines.next() {
            let text = String::from_utf8_lossy(line);
            if is_noise(&text) {
                continue;
            }
            schema.push_str(&text);
            schema.push('\n');
            if text.starts_with("COPY ") && text.ends_with(" FROM stdin;") {
                // Partitions that are loaded through their root come one by one.
                let rows: &mut Vec<_> = tables.entry(text.into_owned()).or_default();
                let data = lines.by_ref().take_while(|row| *row != b"\\.");
                rows.extend(data.map(<[u8]>::to_vec));
                rows.sort_unstable();
            }
        }
        Self { schema, tables }
    }

    /// Everything but the tables' rows.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// How many rows there are in all tables.
    pub fn rows(&self) -> usize {
        self.tables.values().map(Vec::len).sum()
    }

    /// The same dump with its schema text edited, for a difference that a test means to allow.
    #[must_use]
    pub fn with_schema(mut self, edit: impl FnOnce(&str) -> String) -> Self {
        self.schema = edit(&self.schema);
        self
    }

    /// How many lines of schema text differ.
    pub fn differing_lines(&self, other: &Self) -> usize {
        difference(&self.schema, &other.schema)
            .lines()
            .filter(|line| line.starts_with(['+', '-']) && !line.starts_with("+++ "))
            .filter(|line| !line.starts_with("--- "))
            .count()
    }

    /// Holds two databases to be equal.
    ///
    /// # Panics
    /// When they are not, with the first differences.
    #[track_caller]
    pub fn assert_same(&self, other: &Self) {
        assert!(
            self.schema == other.schema,
            "the schemas differ:\n{}",
            head(&difference(&self.schema, &other.schema))
        );
        for (table, rows) in &self.tables {
            let others = other
                .tables
                .get(table)
                .expect("the COPY statements are equal");
            if rows != others {
                let (one, two) = (text(rows), text(others));
                panic!(
                    "the rows of {table} differ:\n{}",
                    head(&difference(&one, &two))
                );
            }
        }
    }
}

fn is_noise(line: &str) -> bool {
    const STARTS: [&str; 6] = [
        "\\restrict ",
        "\\unrestrict ",
        "-- Dumped from database version ",
        "-- Dumped by pg_dump version ",
        "-- Started on ",
        "-- Completed on ",
    ];
    STARTS.iter().any(|start| line.starts_with(start))
}

fn text(rows: &[Vec<u8>]) -> String {
    rows.iter()
        .map(|row| String::from_utf8_lossy(row) + "\n")
        .collect()
}

/// What `diff -u` says, `-` for the first text and `+` for the second.
fn difference(one: &str, two: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("source"), one).unwrap();
    std::fs::write(folder.path().join("restored"), two).unwrap();
    let output = std::process::Command::new("diff")
        .args(["-u", "source", "restored"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn head(difference: &str) -> String {
    let mut lines: Vec<_> = difference.lines().take(120).collect();
    if difference.lines().nth(120).is_some() {
        lines.push("…");
    }
    lines.join("\n")
}
