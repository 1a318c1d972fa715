//! What callers who are limited to projects see: everything here fails closed.

use super::Engine;
use crate::access::{Caller, scope};
use crate::catalog::records::{ConnectionRecord, connection};
use crate::catalog::{Owner, Query};
use crate::error::{Code, Error, Result};
use crate::ids::ConnectionId;

impl Engine {
    /// Whether the caller may know of a record. What a connection left behind that is gone belongs to
    /// no project any more.
    pub(super) fn may_see(&self, owner: &Owner) -> Result<bool> {
        self.is_seen_by(&scope::current(), owner)
    }

    pub(super) fn is_seen_by(&self, caller: &Caller, owner: &Owner) -> Result<bool> {
        if caller.projects.is_none() {
            return Ok(true);
        }
        let sees = |id: &ConnectionId| {
            let found = self.0.catalog.get::<ConnectionRecord>(id.bits())?;
            let seen = found.is_some_and(|record| caller.sees(&record.connection.project));
            Ok::<_, Error>(seen)
        };
        Ok(match owner {
            Owner::Everybody => true,
            Owner::Engine => false,
            Owner::Project(name) => caller.sees(name),
            Owner::Projects(names) => {
                !names.is_empty() && names.iter().all(|name| caller.sees(name))
            }
            Owner::Connection(id) => sees(id)?,
            Owner::Both(one, other) => sees(one)? && sees(other)?,
        })
    }

    /// The list within the projects the caller is limited to; facet `number` holds connections.
    pub(super) fn within_projects(&self, query: Query, number: u8) -> Result<Query> {
        Ok(match self.seen_connections()? {
            None => query,
            Some(seen) => query.any_of(number, seen),
        })
    }

    /// The connections the caller is limited to; nothing for somebody who sees all.
    pub(super) fn seen_connections(&self) -> Result<Option<Vec<ConnectionId>>> {
        if scope::current().projects.is_none() {
            return Ok(None);
        }
        self.connections_in(None, None).map(Some)
    }

    /// The connections that are in that project and environment now, as far as the caller may see them.
    pub(super) fn connections_in(
        &self,
        project: Option<&str>,
        environment: Option<&str>,
    ) -> Result<Vec<ConnectionId>> {
        let query = Query::newest(usize::MAX)
            .only(connection::PROJECT, project)
            .only(connection::ENVIRONMENT, environment);
        let query = of_own_projects(query);
        let found = self.0.catalog.list::<ConnectionRecord>(&query)?.records;
        let ids = found.into_iter().map(|record| record.connection.id);
        Ok(ids.collect())
    }
}

/// The list of connections within the projects the caller is limited to.
pub(super) fn of_own_projects(connections: Query) -> Query {
    match &scope::current().projects {
        None => connections,
        Some(projects) => connections.any_of(connection::PROJECT, projects),
    }
}

/// Refuses to put something into a project that the caller is not in.
pub(super) fn must_see_project(project: &str) -> Result<()> {
    let caller = scope::current();
    let Some(own) = caller.projects.as_ref().filter(|_| !caller.sees(project)) else {
        return Ok(());
    };
    Err(Error::new(
        Code::Forbidden,
        format!(
            "{} is not in the project \"{project}\"",
            caller.actor.label()
        ),
    )
    .hint(format!("Name one of {}", own.join(", "))))
}
