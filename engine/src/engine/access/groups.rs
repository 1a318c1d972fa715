//! Groups: what their users may do.

use std::fmt::Display;

use super::super::{Engine, names};
use super::{ADMINISTRATORS, OPERATORS, VIEWERS, grant_of, must_cover, must_exist};
use crate::access::{Permissions, scope};
use crate::catalog::records::{GroupRecord, UserRecord};
use crate::catalog::{Query, Tx};
use crate::error::{Code, Error, Result};
use crate::ids::{GroupId, GroupKind};
use crate::model::{Group, GroupCreate, GroupEdit, Page, PageRequest, Time};

const OPERATOR_PERMISSIONS: [&str; 18] = [
    "alerts:*",
    "backups:create",
    "backups:read",
    "backups:restore",
    "backups:update",
    "backups:verify",
    "connections:read",
    "connections:test",
    "drills:*",
    "environments:read",
    "events:read",
    "jobs:read",
    "jobs:run",
    "projects:read",
    "repositories:read",
    "restores:read",
    "runs:*",
    "status:read",
];
const VIEWER_PERMISSIONS: [&str; 12] = [
    "alerts:read",
    "backups:read",
    "connections:read",
    "drills:read",
    "environments:read",
    "events:read",
    "jobs:read",
    "projects:read",
    "repositories:read",
    "restores:read",
    "runs:read",
    "status:read",
];

impl Engine {
    /// Groups, newest first.
    pub async fn groups(&self, page: &PageRequest) -> Result<Page<Group>> {
        let query = Query::page(page.limit, page.cursor.as_deref())?;
        Ok(self
            .0
            .catalog
            .list::<GroupRecord>(&query)?
            .page(|record| record.0))
    }

    /// One group, by id or name.
    pub async fn group(&self, key: &str) -> Result<Group> {
        Ok(self.find_group(key)?.0)
    }

    pub(super) fn find_group(&self, key: &str) -> Result<GroupRecord> {
        self.find::<GroupRecord, GroupKind>(key)?
            .ok_or_else(|| no_group(key))
    }

    /// Adds a group; nobody gives what they do not have.
    pub async fn add_group(&self, create: GroupCreate) -> Result<Group> {
        let permissions = Permissions::read(&create.permissions)?.names();
        must_cover(
            &scope::current(),
            &grant_of(&permissions, &create.projects)?,
        )?;
        let group = group_from(create, self.now())?;
        let scribe = self.scribe();
        let added = self.0.catalog.write(move |tx| {
            must_exist(tx, &group.projects)?;
            let mut record = GroupRecord(group.clone());
            tx.put(&mut record)?;
            scribe.note(tx, "group.add", group.id, None::<&()>, Some(&record.0))?;
            Ok(record.0)
        });
        let group = added.await?;
        self.changed();
        self.publish("group.added", group.id, &group);
        Ok(group)
    }

    /// Changes a group.
    pub async fn edit_group(&self, key: &str, edit: GroupEdit) -> Result<Group> {
        let GroupRecord(group) = self.find_group(key)?;
        refuse_built_in(&group)?;
        let permissions = edit.permissions.as_ref().map(Permissions::read);
        let permissions = permissions.transpose()?.map(|read| read.names());
        let description = edit.description.as_deref().map(|text| remark(Some(text)));
        let (description, projects) = (description.transpose()?, edit.projects);
        let (caller, scribe) = (scope::current(), self.scribe());
        let edited = self.0.catalog.write(move |tx| {
            let found = tx.get::<GroupRecord>(group.id.bits())?;
            let mut record = found.ok_or_else(|| no_group(group.id))?;
            let before = record.0.clone();
            if let Some(permissions) = &permissions {
                record.0.permissions.clone_from(permissions);
            }
            if let Some(projects) = &projects {
                must_exist(tx, projects)?;
                record.0.projects.clone_from(projects);
            }
            if let Some(description) = &description {
                record.0.description.clone_from(description);
            }
            for group in [&before, &record.0] {
                must_cover(&caller, &grant_of(&group.permissions, &group.projects)?)?;
            }
            tx.put(&mut record)?;
            scribe.note(tx, "group.edit", group.id, Some(&before), Some(&record.0))?;
            Ok(record.0)
        });
        let after = edited.await?;
        self.changed();
        self.publish("group.changed", after.id, &after);
        Ok(after)
    }

    /// Removes a group that nobody is in.
    pub async fn remove_group(&self, key: &str) -> Result<()> {
        let GroupRecord(group) = self.find_group(key)?;
        refuse_built_in(&group)?;
        let (id, caller, scribe) = (group.id, scope::current(), self.scribe());
        let removed = self.0.catalog.write(move |tx| {
            let removed = tx.remove::<GroupRecord>(id.bits())?;
            let GroupRecord(group) = removed.ok_or_else(|| no_group(id))?;
            refuse_filled(tx, &group)?;
            must_cover(&caller, &grant_of(&group.permissions, &group.projects)?)?;
            scribe.note(tx, "group.remove", id, Some(&group), None::<&()>)?;
            Ok(group)
        });
        let group = removed.await?;
        self.changed();
        self.publish("group.removed", group.id, &group);
        Ok(())
    }

    /// The groups of a first start.
    pub(in super::super) async fn make_groups(&self) -> Result<()> {
        let every = ["*"];
        let groups: [(&str, &str, &[&str]); 3] = [
            (ADMINISTRATORS, "May do everything", &every),
            (
                OPERATORS,
                "Look after backups and restores",
                &OPERATOR_PERMISSIONS,
            ),
            (VIEWERS, "Look, and change nothing", &VIEWER_PERMISSIONS),
        ];
        for (name, description, permissions) in groups {
            if self.0.catalog.by_name::<GroupRecord>(name)?.is_none() {
                let now = self.now();
                let group = Group {
                    id: GroupId::generate(now),
                    serial: 0,
                    name: name.to_owned(),
                    description: Some(description.to_owned()),
                    permissions: Permissions::read(permissions)?.names(),
                    projects: Vec::new(),
                    created_at: now,
                };
                self.0.catalog.put(GroupRecord(group)).await?;
            }
        }
        Ok(())
    }
}

/// The group that a request describes.
pub(in super::super) fn group_from(create: GroupCreate, now: Time) -> Result<Group> {
    names::check("group", &create.name)?;
    Ok(Group {
        id: GroupId::generate(now),
        serial: 0,
        name: create.name,
        description: remark(create.description.as_deref())?,
        permissions: Permissions::read(&create.permissions)?.names(),
        projects: create.projects,
        created_at: now,
    })
}

fn remark(text: Option<&str>) -> Result<Option<String>> {
    text.map_or(Ok(None), |text| names::remark("description", text))
}

/// Refuses to remove a group that somebody is in.
fn refuse_filled(tx: &Tx<'_>, group: &Group) -> Result<()> {
    let users = tx.all::<UserRecord>()?;
    let mut users = users.iter().map(|record| &record.user);
    let Some(user) = users.find(|user| user.groups.contains(&group.name)) else {
        return Ok(());
    };
    Err(Error::new(
        Code::Conflict,
        format!("{} is still in the group \"{}\"", user.name, group.name),
    )
    .hint("Take its users out first"))
}

fn refuse_built_in(group: &Group) -> Result<()> {
    if group.name == ADMINISTRATORS {
        return Err(Error::new(
            Code::Conflict,
            "The group \"administrators\" stays as it is",
        )
        .hint("Make a group of your own"));
    }
    Ok(())
}

pub(super) fn no_group(key: impl Display) -> Error {
    Error::new(Code::GroupNotFound, format!("There is no group \"{key}\""))
        .hint("`backstay group list` shows them")
}
