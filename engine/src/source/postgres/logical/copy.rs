//! The `COPY` statements that read a table's rows and write them back.
//!
//! Sessions speak UTF-8, but rows travel in the database's own encoding: the server neither converts
//! nor checks them on the way out, and the way in names the encoding they came in.

use super::draft::TableFacts;
use super::quote::{idents, literal, qualified};
use super::ranges::BlockRange;

/// The statement that sends a table's rows, or those in a range of blocks, without children's.
///
/// `encoding` is the source database's own, as `pg_encoding_to_char` names it.
pub fn out_statement(table: &TableFacts, range: Option<&BlockRange>, encoding: &str) -> String {
    let name = qualified(&table.schema, &table.name);
    let columns = idents(table.columns.iter().map(String::as_str));
    let conditions = match range {
        Some(range) if !range.is_whole() => block_condition(range),
        _ if !table.filter.is_empty() => format!(" {}", table.filter),
        _ => String::new(),
    };
    let source = if conditions.is_empty() {
        format!("{name}{}", column_list(&columns))
    } else {
        // A list without columns is allowed here, and gives an empty line per row.
        format!("(SELECT {columns} FROM ONLY {name}{conditions})")
    };
    format!("COPY {source} TO STDOUT{}", encoding_option(encoding))
}

/// The statement that takes a table's rows back, where they were sent by [`out_statement`].
pub fn in_statement(table: &TableFacts, encoding: &str) -> String {
    let name = match &table.load_through {
        Some((schema, name)) => qualified(schema, name),
        None => qualified(&table.schema, &table.name),
    };
    let columns = idents(table.columns.iter().map(String::as_str));
    format!(
        "COPY {name}{} FROM STDIN{}",
        column_list(&columns),
        encoding_option(encoding)
    )
}

/// Without columns the list is left out: `COPY` then means all columns that are not generated,
/// which are none.
fn column_list(columns: &str) -> String {
    if columns.is_empty() {
        String::new()
    } else {
        format!(" ({columns})")
    }
}

fn block_condition(range: &BlockRange) -> String {
    let first = format!(" WHERE ctid >= '({},0)'::pg_catalog.tid", range.first_block);
    match range.end_block {
        Some(end) => format!("{first} AND ctid < '({end},0)'::pg_catalog.tid"),
        None => first,
    }
}

fn encoding_option(encoding: &str) -> String {
    if encoding.eq_ignore_ascii_case("UTF8") {
        String::new()
    } else {
        format!(" (ENCODING {})", literal(encoding))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[&str]) -> TableFacts {
        TableFacts {
            number: 1,
            oid: 1,
            schema: "Shop".to_owned(),
            name: "order".to_owned(),
            columns: columns.iter().map(|&c| c.to_owned()).collect(),
            pages: 1,
            heap_pages: 1,
            rows: None,
            access_method: "heap".to_owned(),
            filter: String::new(),
            extension: false,
            load_through: None,
            after: Vec::new(),
        }
    }

    #[test]
    fn statements_name_their_columns() {
        let plain = table(&["id", "Na\"me"]);
        assert_eq!(
            out_statement(&plain, Some(&BlockRange::WHOLE), "UTF8"),
            r#"COPY "Shop"."order" (id, "Na""me") TO STDOUT"#
        );
        assert_eq!(
            in_statement(&plain, "LATIN1"),
            r#"COPY "Shop"."order" (id, "Na""me") FROM STDIN (ENCODING 'LATIN1')"#
        );
    }

    #[test]
    fn ranges_and_filters_read_the_table_alone() {
        let range = BlockRange {
            first_block: 8192,
            end_block: Some(16384),
        };
        assert_eq!(
            out_statement(&table(&["id"]), Some(&range), "UTF8"),
            "COPY (SELECT id FROM ONLY \"Shop\".\"order\" WHERE ctid >= '(8192,0)'::pg_catalog.tid \
             AND ctid < '(16384,0)'::pg_catalog.tid) TO STDOUT"
        );
        let config = TableFacts {
            filter: "WHERE NOT builtin".to_owned(),
            ..table(&["id"])
        };
        assert_eq!(
            out_statement(&config, None, "SQL_ASCII"),
            "COPY (SELECT id FROM ONLY \"Shop\".\"order\" WHERE NOT builtin) TO STDOUT \
             (ENCODING 'SQL_ASCII')"
        );
    }

    #[test]
    fn tables_without_columns_and_loading_through_the_root() {
        let empty = table(&[]);
        assert_eq!(
            out_statement(&empty, None, "UTF8"),
            r#"COPY "Shop"."order" TO STDOUT"#
        );
        assert_eq!(
            in_statement(&empty, "UTF8"),
            r#"COPY "Shop"."order" FROM STDIN"#
        );
        let through = TableFacts {
            load_through: Some(("s".to_owned(), "root".to_owned())),
            ..table(&["a"])
        };
        assert_eq!(in_statement(&through, "UTF8"), "COPY s.root (a) FROM STDIN");
    }
}
