//! Connections: add, edit, test, remove.

use super::{Engine, not_yet};
use crate::error::Result;
use crate::model::{
    Connection, ConnectionCreate, ConnectionEdit, ConnectionList, ConnectionTest, Page,
    ReadonlyUser, ReadonlyUserCreate,
};

impl Engine {
    /// Saved connections, newest first.
    pub async fn connections(&self, list: &ConnectionList) -> Result<Page<Connection>> {
        let _ = list;
        not_yet()
    }

    /// One connection, by id or name.
    pub async fn connection(&self, key: &str) -> Result<Connection> {
        let _ = key;
        not_yet()
    }

    /// Saves a connection; it is tested first unless the request says otherwise.
    pub async fn add_connection(&self, create: ConnectionCreate) -> Result<Connection> {
        let _ = create;
        not_yet()
    }

    /// Changes a connection; it is tested first unless the request says otherwise.
    pub async fn edit_connection(&self, key: &str, edit: ConnectionEdit) -> Result<Connection> {
        let _ = (key, edit);
        not_yet()
    }

    /// Removes a connection; its backups stay. Refused while a run works on it.
    pub async fn remove_connection(&self, key: &str) -> Result<()> {
        let _ = key;
        not_yet()
    }

    /// Tries a saved connection. An unreachable server is an answer with `ok: false`, not an error.
    pub async fn test_connection(&self, key: &str) -> Result<ConnectionTest> {
        let _ = key;
        not_yet()
    }

    /// Tries a connection before it is saved.
    pub async fn test_new_connection(&self, create: ConnectionCreate) -> Result<ConnectionTest> {
        let _ = create;
        not_yet()
    }

    /// Makes a least-privilege backup role on the server.
    pub async fn create_readonly_user(
        &self,
        key: &str,
        create: ReadonlyUserCreate,
    ) -> Result<ReadonlyUser> {
        let _ = (key, create);
        not_yet()
    }
}
