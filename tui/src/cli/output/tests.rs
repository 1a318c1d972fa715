//! Tables, and names that mean harm.

use super::*;

fn table() -> Table {
    let mut table = Table::new(&[
        ("NAME", Align::Left),
        ("ROWS", Align::Right),
        ("NOTE", Align::Left),
    ]);
    table.row(["orders".to_owned(), "1,204".to_owned(), "x".to_owned()]);
    table.row(["数据库".to_owned(), "7".to_owned(), none()]);
    table
        .row(["é́".to_owned(), String::new(), String::new()])
        .tone(0, Tone::Good);
    table
}

#[test]
fn columns_line_up_by_display_width() {
    let text = table().render(Paint::new(false));
    assert_eq!(
        text,
        "NAME     ROWS  NOTE\norders  1,204  x\n数据库      7  –\né́"
    );
}

#[test]
fn colours_do_not_move_columns() {
    let painted = table().render(Paint::new(true));
    assert!(painted.contains("\x1b[32mé́\x1b[0m"));
    let mut plain = String::new();
    let mut rest = painted.as_str();
    while let Some(start) = rest.find('\x1b') {
        plain.push_str(&rest[..start]);
        rest = rest[start..].split_once('m').unwrap().1;
    }
    plain.push_str(rest);
    let trimmed: Vec<_> = plain.lines().map(str::trim_end).collect();
    assert_eq!(trimmed.join("\n"), table().render(Paint::new(false)));
}

#[test]
fn names_cannot_command_the_terminal() {
    let mut table = Table::new(&[("NAME", Align::Left)]);
    table.row(["a\x1b[2Jb\nc\u{202e}d\u{7f}".to_owned()]);
    assert_eq!(
        table.render(Paint::new(false)),
        "NAME\na\\u{1b}[2Jb c\\u{202e}d\\u{7f}"
    );
    assert_eq!(clean("ü – 数据库"), "ü – 数据库");
}
