//! Help is reviewed like code: every command's is a snapshot.

use clap::{Command, CommandFactory as _, Parser as _};

use super::*;

fn leaves(command: &Command, path: &str, all: &mut Vec<(String, Command)>) {
    all.push((path.to_owned(), command.clone()));
    for child in command.get_subcommands() {
        leaves(child, &format!("{path} {}", child.get_name()), all);
    }
}

fn commands() -> Vec<(String, Command)> {
    let mut root = Cli::command().term_width(100);
    root.build();
    let mut all = Vec::new();
    leaves(&root, "backstay", &mut all);
    all
}

/// The help without the global options, which are the same everywhere.
fn own_help(command: &mut Command) -> String {
    let help = command.render_long_help().to_string();
    match (help.find("Global options:"), help.find("Examples:")) {
        (Some(begin), Some(end)) if begin < end => format!("{}{}", &help[..begin], &help[end..]),
        (Some(begin), None) => help[..begin].to_owned(),
        _ => help,
    }
}

#[test]
fn the_grammar_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn help_of_every_command() {
    let mut pages: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
    for (path, mut command) in commands() {
        let noun = path.split(' ').nth(1).unwrap_or("backstay").to_owned();
        let help = if path == "backstay" {
            command.render_long_help().to_string()
        } else {
            own_help(&mut command)
        };
        let page = pages.entry(noun).or_default();
        page.push_str(&format!("######## {path} --help\n{}\n\n", help.trim_end()));
    }
    for (noun, page) in pages {
        insta::assert_snapshot!(format!("help-{noun}"), page);
    }
}

#[test]
fn every_command_that_does_something_has_examples() {
    for (path, command) in commands() {
        if command.has_subcommands() && path != "backstay" {
            continue;
        }
        let examples = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        assert!(examples.starts_with("Examples:\n  "), "{path} has none");
        let wide = examples.lines().find(|line| line.chars().count() > 100);
        assert_eq!(wide, None, "{path}: the terminal breaks this line");
        for line in examples
            .lines()
            .filter(|line| line.starts_with("  backstay "))
        {
            let words = example_words(line);
            let parsed = Cli::try_parse_from(&words);
            assert!(parsed.is_ok(), "{path}: {words:?}: {}", parsed.unwrap_err());
        }
    }
}

/// The words of an example up to a pipe, a redirection, or the remark behind it.
fn example_words(line: &str) -> Vec<String> {
    let line = line.trim().trim_end_matches('\\');
    let line = line
        .char_indices()
        .find(|(at, _)| {
            line[*at..].starts_with("  ")
                || line[*at..].starts_with(" | ")
                || line[*at..].starts_with(" > ")
        })
        .map_or(line, |(at, _)| &line[..at]);
    // Stands for a quoted word without characters.
    #[allow(clippy::items_after_statements)]
    const EMPTY: char = '\u{1}';
    let line = line.replace("''", &EMPTY.to_string());
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    for word in &mut words {
        *word = word.replace(EMPTY, "");
    }
    words
}

#[test]
fn wrong_values_are_refused_before_anything_happens() {
    for line in [
        "backstay run list --limit 0",
        "backstay run list --limit x",
        "backstay run list --kind nonsense",
        "backstay run list --since yesterday",
        "backstay repository check local --read-data 0%",
        "backstay repository check local --read-data 101%",
        "backstay backup verify x --level restored",
        "backstay backup annotate x",
        "backstay backup pin x --until soon",
        "backstay restore run x --clean",
        "backstay restore run x --in-place --clean --database y",
        "backstay restore run x --object a=",
        "backstay connection add a postgres://h --ssh hostonly",
        "backstay connection add a postgres://h --ssh u@h:99999",
        "backstay connection add a postgres://h --ssh-key f",
        "backstay connection add a postgres://h --environment shop",
        "backstay api FETCH /",
        "backstay completions tcsh",
        "backstay --color sometimes status",
        "backstay --socket a --host b status",
        "backstay nonsense",
        "backstay backup",
    ] {
        let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{line}");
    }
}

#[test]
fn right_values_are_taken() {
    for line in [
        "backstay",
        "backstay backup run shop/orders -n a -n b -t a.b -T c.d --json --detach",
        "backstay repository check local --read-data 5",
        "backstay connection add a postgres://h --ssh u@[::1]:22 --environment shop/production",
        "backstay run list --since 2026-03-01 --until 2026-03-02T10:00:00+01:00 --limit 1000",
        "backstay api get health -H a:b",
        "backstay repo ls",
        "backstay conn rm x --confirm x",
    ] {
        assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
    }
}
