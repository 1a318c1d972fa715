//! Memberships of roles in roles, in an order in which each grantor can grant.

use std::collections::HashSet;
use std::fmt::Write as _;

use super::{Global, rows};
use crate::error::Result;
use crate::monitor::{Loss, Task};
use crate::source::postgres::logical::quote::ident;
use crate::source::postgres::{Row, Sql};

struct Membership {
    role: String,
    member: String,
    /// `None` for the bootstrap superuser, who needs no right to grant and may have another name
    /// where this is restored.
    grantor: Option<String>,
    admin: bool,
    statement: String,
}

pub(super) async fn read(sql: &Sql, task: &Task) -> Result<Vec<Global>> {
    // Before 16 the grantor means nothing, and there are no other options.
    let new = sql.version() >= 160_000;
    let columns = if new {
        "CASE WHEN a.grantor <> 10 THEN g.rolname END AS grantor, \
        a.inherit_option AS inherits, a.set_option AS sets"
    } else {
        "NULL AS grantor, NULL AS inherits, NULL AS sets"
    };
    let query = format!(
        "SELECT r.rolname AS role, m.rolname AS member, a.admin_option AS admin, {columns} \
        FROM pg_catalog.pg_auth_members a \
        JOIN pg_catalog.pg_roles r ON r.oid = a.roleid \
        JOIN pg_catalog.pg_roles m ON m.oid = a.member \
        LEFT JOIN pg_catalog.pg_roles g ON g.oid = a.grantor \
        WHERE NOT (r.rolname ~ '^pg_' AND m.rolname ~ '^pg_') ORDER BY 1, 2, 4"
    );
    let mut open = Vec::new();
    for row in rows(sql, task, &query).await? {
        open.push(membership(&row, new)?);
    }
    let (mut ordered, stuck) = order(open);
    for membership in stuck {
        task.monitor.lost(Loss {
            object: format!(
                "grantor of role {} to {}",
                membership.role, membership.member
            ),
            reason: "no order of the grants lets this grantor grant it; grant it again by hand"
                .to_owned(),
        });
        ordered.push(membership);
    }
    let global = |membership: Membership| {
        let name = format!("{} to {}", membership.role, membership.member);
        Global::new("membership", &name, vec![membership.statement])
    };
    Ok(ordered.into_iter().map(global).collect())
}

fn membership(row: &Row, new: bool) -> Result<Membership> {
    let (role, member) = (row.text("role")?, row.text("member")?);
    let grantor = row.opt("grantor")?;
    let admin = row.bool("admin")?;
    let mut statement = format!("GRANT {} TO {}", ident(role), ident(member));
    if new {
        let _ = write!(
            statement,
            " WITH ADMIN {}, INHERIT {}, SET {}",
            word(admin),
            word(row.bool("inherits")?),
            word(row.bool("sets")?)
        );
    } else if admin {
        statement.push_str(" WITH ADMIN OPTION");
    }
    if let Some(grantor) = grantor {
        let _ = write!(statement, " GRANTED BY {}", ident(grantor));
    }
    Ok(Membership {
        role: role.to_owned(),
        member: member.to_owned(),
        grantor: grantor.map(str::to_owned),
        admin,
        statement,
    })
}

fn word(value: bool) -> &'static str {
    if value { "TRUE" } else { "FALSE" }
}

/// Puts each grant behind the one that gave its grantor the right. Second come those for which
/// there is no such order.
fn order(mut open: Vec<Membership>) -> (Vec<Membership>, Vec<Membership>) {
    let mut ordered = Vec::new();
    let mut admins: HashSet<(String, String)> = HashSet::new();
    loop {
        let may = |membership: &Membership| match &membership.grantor {
            None => true,
            Some(grantor) => admins.contains(&(membership.role.clone(), grantor.clone())),
        };
        let (ready, waiting): (Vec<_>, Vec<_>) = open.into_iter().partition(may);
        if ready.is_empty() {
            return (ordered, waiting);
        }
        let with_admin = ready.iter().filter(|membership| membership.admin);
        admins.extend(with_admin.map(|m| (m.role.clone(), m.member.clone())));
        ordered.extend(ready);
        open = waiting;
    }
}

#[cfg(test)]
mod tests {
    use super::{Membership, order};

    fn grant(role: &str, member: &str, grantor: Option<&str>, admin: bool) -> Membership {
        Membership {
            role: role.to_owned(),
            member: member.to_owned(),
            grantor: grantor.map(str::to_owned),
            admin,
            statement: format!("{role}→{member}"),
        }
    }

    #[test]
    fn a_grantor_has_the_right_first() {
        let (ordered, stuck) = order(vec![
            grant("r", "c", Some("b"), false),
            grant("r", "b", Some("a"), true),
            grant("r", "a", None, true),
            grant("s", "c", Some("a"), false),
        ]);
        let order: Vec<_> = ordered.iter().map(|m| m.statement.as_str()).collect();
        assert_eq!(order, ["r→a", "r→b", "r→c"]);
        assert_eq!(stuck.len(), 1);
        assert_eq!(stuck[0].statement, "s→c");
    }
}
