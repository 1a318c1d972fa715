//! One row of an answer, every value as the text PostgreSQL prints.

use std::str::FromStr;
use std::sync::Arc;

use crate::error::{Code, Error, Result};

/// A row; columns are asked for by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<Option<Box<str>>>,
}

impl Row {
    /// A row of an answer whose columns have these names.
    pub(in crate::source::postgres) fn new(
        columns: Arc<[String]>,
        values: Vec<Option<Box<str>>>,
    ) -> Self {
        Self { columns, values }
    }

    /// The names of the columns, in the order of the query.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The value, or `None` when it is NULL.
    pub fn opt(&self, column: &str) -> Result<Option<&str>> {
        let position = self.columns.iter().position(|name| name == column);
        match position.and_then(|at| self.values.get(at)) {
            Some(value) => Ok(value.as_deref()),
            None => Err(Error::new(
                Code::SourceProtocol,
                format!("The answer has no column {column:?}"),
            )),
        }
    }

    /// The value, which must not be NULL.
    pub fn text(&self, column: &str) -> Result<&str> {
        self.opt(column)?.ok_or_else(|| {
            Error::new(
                Code::SourceProtocol,
                format!("The column {column:?} is unexpectedly NULL"),
            )
        })
    }

    /// The value as an owned text.
    pub fn string(&self, column: &str) -> Result<String> {
        Ok(self.text(column)?.to_owned())
    }

    /// The value as an owned text, or `None` when it is NULL.
    pub fn opt_string(&self, column: &str) -> Result<Option<String>> {
        Ok(self.opt(column)?.map(str::to_owned))
    }

    /// The value, parsed.
    pub fn parse<T: FromStr>(&self, column: &str) -> Result<T> {
        let text = self.text(column)?;
        text.parse().map_err(|_| unreadable(column, text))
    }

    /// The value, parsed, or `None` when it is NULL.
    pub fn opt_parse<T: FromStr>(&self, column: &str) -> Result<Option<T>> {
        match self.opt(column)? {
            None => Ok(None),
            Some(text) => text.parse().map(Some).map_err(|_| unreadable(column, text)),
        }
    }

    /// The value as an object id; NULL is 0, PostgreSQL's "none".
    pub fn oid(&self, column: &str) -> Result<u32> {
        Ok(self.opt_parse(column)?.unwrap_or_default())
    }

    /// The value as a whole number.
    pub fn int(&self, column: &str) -> Result<i64> {
        self.parse(column)
    }

    /// The value as a whole number, or `None` when it is NULL.
    pub fn opt_int(&self, column: &str) -> Result<Option<i64>> {
        self.opt_parse(column)
    }

    /// The value as a truth value; NULL is false.
    pub fn bool(&self, column: &str) -> Result<bool> {
        match self.opt(column)? {
            Some("t" | "true") => Ok(true),
            None | Some("f" | "false") => Ok(false),
            Some(text) => Err(unreadable(column, text)),
        }
    }

    /// The value of a `"char"` column such as `relkind`; an empty one is `'\0'`.
    pub fn char(&self, column: &str) -> Result<char> {
        Ok(self.text(column)?.chars().next().unwrap_or('\0'))
    }

    /// The elements of a one-dimensional array, NULLs as `None`; a NULL array is empty.
    pub fn array(&self, column: &str) -> Result<Vec<Option<String>>> {
        let Some(text) = self.opt(column)? else {
            return Ok(Vec::new());
        };
        parse_array(text).ok_or_else(|| unreadable(column, text))
    }

    /// The elements of a one-dimensional array without NULLs; a NULL array is empty.
    pub fn list(&self, column: &str) -> Result<Vec<String>> {
        let elements = self.array(column)?;
        let whole: Option<Vec<String>> = elements.into_iter().collect();
        whole.ok_or_else(|| unreadable(column, "an array with NULLs"))
    }
}

fn unreadable(column: &str, text: &str) -> Error {
    Error::new(
        Code::SourceProtocol,
        format!("The column {column:?} holds {text:?}, which is not what it should hold"),
    )
}

/// Reads `{a,"b \"c\"",NULL}`, and the `0 1 2` of an `int2vector` or `oidvector`.
fn parse_array(text: &str) -> Option<Vec<Option<String>>> {
    let Some(rest) = text.strip_prefix('{') else {
        let words = text.split_whitespace();
        return Some(words.map(|word| Some(word.to_owned())).collect());
    };
    let mut rest = rest.strip_suffix('}')?;
    let mut elements = Vec::new();
    while !rest.is_empty() || !elements.is_empty() {
        let (element, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_element(quoted)?,
            None => plain_element(rest)?,
        };
        elements.push(element);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None if after.is_empty() => break,
            None => return None,
        }
    }
    Some(elements)
}

/// An element without quotes, and what follows it.
fn plain_element(text: &str) -> Option<(Option<String>, &str)> {
    let end = text.find(',').unwrap_or(text.len());
    let (word, after) = text.split_at_checked(end)?;
    if word.is_empty() || word.contains(['{', '}', '"', '\\']) {
        return None;
    }
    Some(((word != "NULL").then(|| word.to_owned()), after))
}

/// An element up to its closing quote, unescaped, and what follows it.
fn quoted_element(text: &str) -> Option<(Option<String>, &str)> {
    let mut element = String::new();
    let mut chars = text.char_indices();
    loop {
        match chars.next()? {
            (_, '\\') => element.push(chars.next()?.1),
            (at, '"') => return Some((Some(element), text.get(at + 1..)?)),
            (_, c) => element.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse_array;

    #[test]
    fn arrays_read_as_postgresql_prints_them() {
        let read = |text: &str| parse_array(text).unwrap_or_else(|| panic!("{text}"));
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(read("{}"), []);
        assert_eq!(read("{a}"), [some("a")]);
        assert_eq!(read("{NULL,\"NULL\",\"\"}"), [None, some("NULL"), some("")]);
        assert_eq!(
            read(r#"{a,"b \"c\" \\ d","e,f","{}",g}"#),
            [
                some("a"),
                some(r#"b "c" \ d"#),
                some("e,f"),
                some("{}"),
                some("g")
            ]
        );
        assert_eq!(read("0 12 3"), [some("0"), some("12"), some("3")]);
        assert_eq!(read(""), []);
        for broken in [
            "{", "{a", "{,}", "{a,}", "{\"a}", "{\"a\"b}", "{{a}}", "{\"a\\",
        ] {
            assert_eq!(parse_array(broken), None, "{broken}");
        }
    }
}
