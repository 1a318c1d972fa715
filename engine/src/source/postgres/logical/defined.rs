//! What the statements that make a table or a type say of its columns.
//!
//! They are read only for people to look at: the statements are this crate's own, one column an item of the
//! first list in parentheses. What cannot be read so is left out.

/// A column as its statement defines it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its name, unquoted.
    pub name: String,
    /// Its type as SQL; empty where the statement leaves that to another one.
    pub type_name: String,
    /// Whether it is computed from others.
    pub is_generated: bool,
}

/// A statement taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Definition {
    /// Its columns, in order.
    pub columns: Vec<Column>,
    /// Whether it makes a partitioned table.
    pub is_partitioned: bool,
}

/// What ends a type.
const AFTER_TYPE: &[&str] = &["DEFAULT", "GENERATED", "CONSTRAINT", "NOT", "COLLATE"];

/// Takes `CREATE TABLE` or `CREATE TYPE … AS (…)` apart.
pub fn read(statement: &str) -> Definition {
    let mut marks = Marks::new(statement);
    let (mut begin, mut end, mut cuts) = (None, None, Vec::new());
    while let Some((at, letter)) = marks.next() {
        match (letter, marks.depth) {
            ('(', 1) if begin.is_none() => begin = Some(at + 1),
            (',', 1) => cuts.push(at),
            (')', 0) => {
                end = Some(at);
                break;
            }
            _ => {}
        }
    }
    // The columns of a typed table are its type's: what comes first in parentheses is its key.
    let begin = begin.filter(|begin| {
        let before = statement.get(..*begin).unwrap_or_default();
        !before.contains("\nPARTITION BY ")
    });
    let (Some(begin), Some(end)) = (begin, end) else {
        return Definition {
            is_partitioned: statement.contains("\nPARTITION BY "),
            ..Definition::default()
        };
    };
    let starts = std::iter::once(begin).chain(cuts.iter().map(|cut| cut + 1));
    let ends = cuts.iter().copied().chain([end]);
    let items = starts
        .zip(ends)
        .filter_map(|(from, to)| statement.get(from..to));
    Definition {
        columns: items.filter_map(column).collect(),
        is_partitioned: statement
            .get(end..)
            .is_some_and(|tail| tail.contains("\nPARTITION BY ")),
    }
}

fn column(item: &str) -> Option<Column> {
    let item = item.trim();
    let (name, rest) = name(item)?;
    // Quoted, these are names.
    let is_constraint = ["CONSTRAINT", "NOT"]
        .iter()
        .any(|word| item.starts_with(word));
    if is_constraint {
        return None;
    }
    let end = end_of_type(rest);
    let (type_name, after) = rest.split_at_checked(end)?;
    Some(Column {
        name,
        type_name: type_name.trim().to_owned(),
        is_generated: after.contains("GENERATED ALWAYS AS ("),
    })
}

/// Where the type ends that `text` begins with.
fn end_of_type(text: &str) -> usize {
    let mut marks = Marks::new(text);
    let mut word: Option<usize> = None;
    let is_end = |from: usize, to: usize| {
        text.get(from..to)
            .is_some_and(|word| AFTER_TYPE.contains(&word))
    };
    while let Some((at, letter)) = marks.next() {
        let in_word = letter.is_ascii_uppercase() && marks.depth == 0;
        match (word, in_word) {
            (None, true) => word = Some(at),
            (Some(from), false) => {
                if letter == ' ' && is_end(from, at) {
                    return from;
                }
                word = None;
            }
            _ => {}
        }
    }
    match word {
        Some(from) if is_end(from, text.len()) => from,
        _ => text.len(),
    }
}

/// The name that `text` begins with, unquoted, and what follows it.
fn name(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(' ').unwrap_or(text.len());
        let (name, rest) = text.split_at_checked(end)?;
        return (!name.is_empty()).then(|| (name.to_owned(), rest));
    };
    let mut name = String::new();
    let mut letters = quoted.char_indices().peekable();
    while let Some((at, letter)) = letters.next() {
        if letter != '"' {
            name.push(letter);
        } else if letters.next_if(|(_, next)| *next == '"').is_some() {
            name.push('"');
        } else {
            return Some((name, quoted.get(at + 1..)?));
        }
    }
    None
}

/// The letters outside quotes, with the number of parentheses they stand in; a closing one stands outside.
struct Marks<'a> {
    letters: std::str::CharIndices<'a>,
    depth: u32,
}

impl<'a> Marks<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            letters: text.char_indices(),
            depth: 0,
        }
    }

    fn next(&mut self) -> Option<(usize, char)> {
        let (at, letter) = self.letters.next()?;
        match letter {
            // A doubled quote ends one text and begins the next.
            '"' | '\'' => {
                self.letters.find(|(_, end)| *end == letter);
            }
            '(' | '[' => self.depth += 1,
            ')' | ']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        Some((at, letter))
    }
}

#[cfg(test)]
mod tests {
    //! Statements as tables are written.

    use super::*;

    fn columns(statement: &str) -> Vec<(String, String, bool)> {
        let all = read(statement).columns.into_iter();
        all.map(|own| (own.name, own.type_name, own.is_generated))
            .collect()
    }

    fn column(name: &str, type_name: &str, is_generated: bool) -> (String, String, bool) {
        (name.to_owned(), type_name.to_owned(), is_generated)
    }

    #[test]
    fn columns_have_names_types_and_may_be_computed() {
        let table = "CREATE TABLE \"a(b\".\"c,d\" (\n    \
             id bigint DEFAULT nextval('s.\"x)\"'::regclass) CONSTRAINT \"n,\" NOT NULL,\n    \
             \"Na \"\"me\" character varying(20)[] DEFAULT '{a,\"b)\",''}'::text[] COLLATE pg_catalog.\"C\",\n    \
             price numeric(10,2) NOT NULL,\n    \
             \"NOT\" timestamp(3) without time zone,\n    \
             total numeric(10,2) GENERATED ALWAYS AS ((price * (2)::numeric)) STORED,\n    \
             kind \"S\".\"DEFAULT \",\n    \
             tags \"char\",\n    \
             CONSTRAINT \"c(\" CHECK ((price > (0)::numeric)),\n    \
             NOT NULL inherited\n)\nINHERITS (s.parent)\nWITH (fillfactor='70')";
        assert_eq!(
            columns(table),
            [
                column("id", "bigint", false),
                column("Na \"me", "character varying(20)[]", false),
                column("price", "numeric(10,2)", false),
                column("NOT", "timestamp(3) without time zone", false),
                column("total", "numeric(10,2)", true),
                column("kind", "\"S\".\"DEFAULT \"", false),
                column("tags", "\"char\"", false),
            ]
        );
        assert!(!read(table).is_partitioned);
    }

    #[test]
    fn partitioned_typed_and_empty_tables() {
        let root = "CREATE TABLE s.t (\n    at date DEFAULT '\nPARTITION BY x'::text\n)";
        assert!(!read(root).is_partitioned);
        let root = format!("{root}\nPARTITION BY RANGE (at)");
        assert!(read(&root).is_partitioned);
        assert_eq!(columns(&root), [column("at", "date", false)]);
        assert_eq!(columns("CREATE TABLE s.t (\n)"), []);
        assert!(read("CREATE TABLE s.t (\n)\nPARTITION BY LIST (a)").is_partitioned);
        assert!(read("CREATE TABLE s.t OF s.ty\nPARTITION BY LIST (a)").is_partitioned);
        let typed = "CREATE TABLE s.t OF s.ty (\n    id DEFAULT 7 NOT NULL,\n    at NOT NULL\n)";
        assert_eq!(
            columns(typed),
            [column("id", "", false), column("at", "", false)]
        );
        let of = "CREATE TYPE s.ty AS (\n    id integer,\n    \"at\" s.\"T,\"\n)";
        assert_eq!(
            columns(of),
            [
                column("id", "integer", false),
                column("at", "s.\"T,\"", false)
            ]
        );
    }

    #[test]
    fn text_that_is_no_such_statement_breaks_nothing() {
        for odd in [
            "",
            "(",
            ")",
            "((,)",
            "CREATE TABLE \"x",
            "(\" ', \",)",
            "(é,'",
            "( , )",
        ] {
            read(odd);
        }
    }
}
