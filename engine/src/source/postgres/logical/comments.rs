//! Comments and security labels, of objects and of their parts.

use super::object::{CatalogRow, Object};
use super::quote::{ident, literal};
use super::reader::{Parts, Reader};

impl Reader<'_> {
    /// The comment on a row, or on its part `sub` (a column's number; 0 is the whole).
    pub fn comment_of(&self, row: CatalogRow, sub: i32) -> Option<&str> {
        self.comments.get(&(row, sub)).map(String::as_str)
    }

    /// `COMMENT ON` for a row or its part, in the words `keyword` and `name` (quoted, qualified).
    pub fn comment(&self, keyword: &str, name: &str, row: CatalogRow, sub: i32) -> Vec<String> {
        let comment = self.comment_of(row, sub);
        let statement = |text| format!("COMMENT ON {keyword} {name} IS {}", literal(text));
        comment.map(statement).into_iter().collect()
    }

    /// `SECURITY LABEL` for a row or its part, in the words `keyword` and `name`.
    pub fn labels(&self, keyword: &str, name: &str, row: CatalogRow, sub: i32) -> Vec<String> {
        let labels = self.labels.get(&(row, sub)).map_or(&[][..], Vec::as_slice);
        let statement = |(provider, label): &(String, String)| {
            let (provider, label) = (ident(provider), literal(label));
            format!("SECURITY LABEL FOR {provider} ON {keyword} {name} IS {label}")
        };
        labels.iter().map(statement).collect()
    }

    /// Gives an object its owner, comment and labels, as far as `parts` says they belong to the
    /// backup. `name` is quoted and qualified; kinds without owner have `object.owner` empty.
    pub fn describe(&self, object: &mut Object, parts: Parts, keyword: &str, name: &str) {
        let Some(row) = object.row else { return };
        if parts.definition
            && let Some(owner) = &object.owner
        {
            let statement = format!("ALTER {keyword} {name} OWNER TO {}", ident(owner));
            object.attachments.owner.push(statement);
        }
        self.describe_part(object, parts, keyword, name, row, 0);
    }

    /// Gives an object the comment and labels of a row or part that lies in it.
    pub fn describe_part(
        &self,
        object: &mut Object,
        parts: Parts,
        keyword: &str,
        name: &str,
        row: CatalogRow,
        sub: i32,
    ) {
        if parts.comments {
            object
                .attachments
                .comments
                .extend(self.comment(keyword, name, row, sub));
            object
                .attachments
                .security_labels
                .extend(self.labels(keyword, name, row, sub));
        }
    }
}
