//! Groups: what their users may do.

use super::super::{Engine, names};
use super::{ADMINISTRATORS, OPERATORS, VIEWERS, must_cover};
use crate::access::{Permissions, scope};
use crate::catalog::Query;
use crate::catalog::records::{GroupRecord, UserRecord};
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
        self.find::<GroupRecord, GroupKind>(key)?.ok_or_else(|| {
            Error::new(Code::NotFound, format!("There is no group \"{key}\""))
                .hint("`backstay group list` shows them")
        })
    }

    /// Adds a group; nobody gives what they do not have.
    pub async fn add_group(&self, create: GroupCreate) -> Result<Group> {
        let permissions = Permissions::read(&create.permissions)?;
        must_cover(&scope::current(), &permissions, &create.projects)?;
        let group = group_from(create, self.now())?;
        let GroupRecord(group) = self.0.catalog.put(GroupRecord(group)).await?;
        self.audit("group.add", group.id, None::<&()>, Some(&group))
            .await?;
        self.publish("group.added", group.id, &group);
        Ok(group)
    }

    /// Changes a group.
    pub async fn edit_group(&self, key: &str, edit: GroupEdit) -> Result<Group> {
        let GroupRecord(before) = self.find_group(key)?;
        refuse_built_in(&before)?;
        let mut after = before.clone();
        if let Some(names) = &edit.permissions {
            after.permissions = Permissions::read(names)?.names();
        }
        if let Some(projects) = edit.projects {
            after.projects = projects;
        }
        if let Some(text) = &edit.description {
            after.description = remark(Some(text))?;
        }
        let caller = scope::current();
        for group in [&before, &after] {
            must_cover(
                &caller,
                &Permissions::read(&group.permissions)?,
                &group.projects,
            )?;
        }
        let GroupRecord(after) = self.0.catalog.put(GroupRecord(after)).await?;
        self.audit("group.edit", after.id, Some(&before), Some(&after))
            .await?;
        self.publish("group.changed", after.id, &after);
        Ok(after)
    }

    /// Removes a group that nobody is in.
    pub async fn remove_group(&self, key: &str) -> Result<()> {
        let GroupRecord(group) = self.find_group(key)?;
        refuse_built_in(&group)?;
        let users = self.0.catalog.all::<UserRecord>()?;
        if let Some(user) = users
            .iter()
            .find(|record| record.user.groups.contains(&group.name))
        {
            return Err(Error::new(
                Code::Conflict,
                format!(
                    "{} is still in the group \"{}\"",
                    user.user.name, group.name
                ),
            )
            .hint("Take its users out first"));
        }
        must_cover(
            &scope::current(),
            &Permissions::read(&group.permissions)?,
            &group.projects,
        )?;
        let id = group.id.bits();
        self.0
            .catalog
            .write(move |tx| tx.remove::<GroupRecord>(id).map(|_| ()))
            .await?;
        self.audit("group.remove", group.id, Some(&group), None::<&()>)
            .await?;
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
