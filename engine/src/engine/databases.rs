//! Databases of a connection: discovery and selection.

use super::{Engine, not_yet};
use crate::error::Result;
use crate::model::{Database, DatabaseEdit, Page, PageRequest};

impl Engine {
    /// Asks the server which databases it has, and remembers them.
    pub async fn discover(&self, connection: &str) -> Result<Page<Database>> {
        let _ = connection;
        not_yet()
    }

    /// The databases known of a connection.
    pub async fn databases(&self, connection: &str, page: &PageRequest) -> Result<Page<Database>> {
        let _ = (connection, page);
        not_yet()
    }

    /// Selects a database, by id, for whole-server backups, or not.
    pub async fn edit_database(&self, id: &str, edit: &DatabaseEdit) -> Result<Database> {
        let _ = (id, edit);
        not_yet()
    }
}
