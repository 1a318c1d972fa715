//! One line for each database, the one that answers whether everything is protected, and one for the stores.

use backstay_engine::Error;
use backstay_engine::model::{
    DatabaseOverview, DayResults, FreshnessState, Overview, OverviewSummary, Protection,
    RepositoryOverview, RunStatus,
};

use crate::console::screen::View;
use crate::console::store::{Keyed, List, Paged};
use crate::console::text::{age, bytes, span};
use crate::console::theme::Role;
use crate::console::widgets::list::{Cell, Column, sentence};

/// A database, or a connection that has none yet.
#[derive(Debug)]
pub(crate) struct Guarded {
    connection_id: String,
    pub(super) connection: String,
    pub(super) database: Option<DatabaseOverview>,
    protection: Protection,
    pub(super) reason: String,
    reachable: Option<bool>,
    alerts: u64,
    critical_alerts: u64,
}

/// What stands above them.
#[derive(Debug)]
pub(super) struct Head {
    summary: OverviewSummary,
    repositories: Vec<RepositoryOverview>,
    alerts: u64,
    /// Runs that wait for their turn.
    pub(super) waiting: usize,
}

impl Guarded {
    /// `shop/orders`, or `shop` where no database is known yet.
    pub(super) fn name(&self) -> String {
        match &self.database {
            Some(own) => format!("{}/{}", self.connection, own.database),
            None => self.connection.clone(),
        }
    }

    pub(super) fn sign(&self, view: &View<'_>) -> (&'static str, Role) {
        match self.protection {
            Protection::Protected => (view.glyphs.ok, Role::Good),
            Protection::AtRisk => (view.glyphs.warning, Role::Warning),
            Protection::Unprotected => (view.glyphs.bad, Role::Bad),
        }
    }

    /// Whether it is that database.
    pub(super) fn is(&self, connection_id: &str, database: &str) -> bool {
        let own = self.database.as_ref().map(|own| own.database.as_str());
        own == Some(database) && self.connection_id == connection_id
    }

    /// The worst first.
    fn rank(&self) -> u8 {
        match self.protection {
            Protection::Unprotected => 0,
            Protection::AtRisk => 1,
            Protection::Protected => 2,
        }
    }
}

impl Keyed for Guarded {
    fn key(&self) -> String {
        let database = self.database.as_ref().map(|own| own.database.as_str());
        format!("{}/{}", self.connection_id, database.unwrap_or_default())
    }
}

impl Paged for Overview {
    type Row = Guarded;

    fn into_list(self) -> List<Guarded> {
        let mut rows = Vec::new();
        for own in self.items {
            let row = |protection, reason, database| Guarded {
                connection_id: own.connection_id.to_string(),
                connection: own.connection.clone(),
                database,
                protection,
                reason,
                reachable: own.reachable,
                alerts: own.alerts.unwrap_or(0),
                critical_alerts: own.critical_alerts.unwrap_or(0),
            };
            if own.databases.is_empty() {
                rows.push(row(own.protection, own.reason, None));
                continue;
            }
            for database in own.databases {
                let reason = database.reason.clone();
                rows.push(row(database.protection, reason, Some(database)));
            }
        }
        let list = List::new(rows, self.next_cursor);
        let Some(summary) = self.summary else {
            return list;
        };
        let runs = self.runs.unwrap_or_default();
        let waiting = runs.iter().filter(|run| run.status == RunStatus::Pending);
        list.with(Head {
            summary,
            repositories: self.repositories.unwrap_or_default(),
            alerts: self.alerts.map_or(0, |alerts| alerts.undismissed),
            waiting: waiting.count(),
        })
    }
}

pub(super) const COLUMNS: &[Column<Guarded>] = &[
    Column::<Guarded>::new("DATABASE", (16, 40), 0, |row, _| Cell::text(row.name())),
    Column::<Guarded>::new("STATE", (13, 13), 1, |row, view| {
        let word = match row.protection {
            Protection::Protected => "protected",
            Protection::AtRisk => "at risk",
            Protection::Unprotected => "unprotected",
        };
        Cell::sign(row.sign(view), word)
    })
    .by(|a, b| a.rank().cmp(&b.rank())),
    Column::<Guarded>::new("LAST GOOD", (13, 13), 2, last_good)
        .by(|a, b| newest(a).cmp(&newest(b))),
    Column::<Guarded>::new("14 DAYS", (14, 14), 4, strip),
    Column::<Guarded>::new("NEXT", (7, 8), 3, |row, view| {
        let next = row.database.as_ref().and_then(|own| own.next_run_at);
        match next {
            Some(at) => Cell::text(age(at, view.now)),
            None => Cell::of("no job", Role::Faint),
        }
    }),
    Column::<Guarded>::new("PROVED", (13, 13), 5, proved),
    Column::<Guarded>::new("SERVER", (8, 8), 7, |row, view| match row.reachable {
        Some(true) => Cell::sign((view.glyphs.ok, Role::Good), "up"),
        Some(false) => Cell::sign((view.glyphs.bad, Role::Bad), "down"),
        None => Cell::of("", Role::Faint),
    }),
    Column::<Guarded>::new("ALERTS", (6, 6), 6, |row, view| match row.alerts {
        0 => Cell::of(view.glyphs.none, Role::Faint),
        count => {
            let bad = row.critical_alerts > 0;
            let role = if bad { Role::Bad } else { Role::Warning };
            Cell::of(format!("{} {count}", view.glyphs.warning), role)
        }
    })
    .by(|a, b| (b.critical_alerts, b.alerts).cmp(&(a.critical_alerts, a.alerts))),
    Column::<Guarded>::new("WHY", (24, 160), 8, |row, _| {
        Cell::of(row.reason.clone(), Role::Faint)
    }),
];

fn newest(row: &Guarded) -> Option<backstay_engine::model::Time> {
    row.database.as_ref()?.last_good_at
}

/// How old the last good backup is, and how old it may become.
fn last_good(row: &Guarded, view: &View<'_>) -> Cell {
    let Some(own) = &row.database else {
        return Cell::of("never", Role::Bad);
    };
    let Some(at) = own.last_good_at else {
        return Cell::of("never", Role::Bad);
    };
    let role = match own.freshness {
        FreshnessState::Fresh => Role::Good,
        FreshnessState::Due | FreshnessState::Unscheduled => Role::Text,
        FreshnessState::Stale => Role::Bad,
        FreshnessState::None => Role::Warning,
    };
    let old = age(at, view.now);
    match own.goal_ms {
        Some(goal) => Cell::of(format!("{old} of {}", span(goal / 1_000)), role),
        None => Cell::of(old, role),
    }
}

/// A sign for each of the last days: the worst that happened.
fn strip(row: &Guarded, view: &View<'_>) -> Cell {
    let days = row.database.as_ref().map_or(&[][..], |own| &own.days);
    let spans = days.iter().map(|day| {
        let (sign, role) = day_sign(day, view);
        (sign.to_owned(), role)
    });
    Cell {
        spans: spans.collect(),
    }
}

fn day_sign(day: &DayResults, view: &View<'_>) -> (&'static str, Role) {
    let glyphs = view.glyphs;
    match day {
        day if day.failed > 0 => (glyphs.bad, Role::Bad),
        day if day.partial > 0 => (glyphs.warning, Role::Warning),
        day if day.success > 0 => (glyphs.ok, Role::Good),
        day if day.cancelled > 0 => (glyphs.waiting, Role::Faint),
        _ => (glyphs.none, Role::Faint),
    }
}

fn proved(row: &Guarded, view: &View<'_>) -> Cell {
    let Some(own) = &row.database else {
        return Cell::default();
    };
    if own.damaged_backup_id.is_some() {
        return Cell::sign((view.glyphs.bad, Role::Bad), "damaged");
    }
    match &own.proof {
        Some(proof) => Cell::text(format!(
            "{} {}",
            proof.level.as_str(),
            age(proof.at, view.now)
        )),
        None => Cell::of("not proved", Role::Faint),
    }
}

/// Is everything protected? In one line.
pub(super) fn verdict(
    head: Option<&Head>,
    error: Option<&Error>,
    view: &View<'_>,
) -> (String, Role) {
    let Some(head) = head else {
        return match error {
            Some(error) => (
                format!("{} {}", view.glyphs.bad, sentence(error)),
                Role::Bad,
            ),
            None => (
                "Is everything protected? Asking the engine".to_owned(),
                Role::Faint,
            ),
        };
    };
    let (text, role) = counted(&head.summary, view);
    let alerts = match head.alerts {
        0 => String::new(),
        1 => format!("; {} 1 alert waits", view.glyphs.warning),
        more => format!("; {} {more} alerts wait", view.glyphs.warning),
    };
    // An answer that could not be had again is an old one.
    let old = match error {
        Some(error) => format!("; not up to date: {error}"),
        None => String::new(),
    };
    (format!("{text}{alerts}{old}"), role)
}

fn counted(summary: &OverviewSummary, view: &View<'_>) -> (String, Role) {
    let glyphs = view.glyphs;
    let all = summary.protected + summary.at_risk + summary.unprotected;
    let of = |count: u64| match (count, all) {
        (1, 1) => "The only database is".to_owned(),
        (1, _) => format!("1 of {all} databases is"),
        _ => format!("{count} of {all} databases are"),
    };
    if summary.connections == 0 {
        return ("Nothing is protected yet".to_owned(), Role::Warning);
    }
    if summary.unprotected > 0 {
        let risk = match summary.at_risk {
            0 => String::new(),
            more => format!(", {more} at risk"),
        };
        let what = of(summary.unprotected);
        return (
            format!("{} {what} NOT PROTECTED{risk}", glyphs.bad),
            Role::Bad,
        );
    }
    if summary.at_risk > 0 {
        let what = of(summary.at_risk);
        return (format!("{} {what} AT RISK", glyphs.warning), Role::Warning);
    }
    let plural = |count: u64, word: &str| match count {
        1 => format!("1 {word}"),
        more => format!("{more} {word}s"),
    };
    let (databases, servers) = (
        plural(all, "database"),
        plural(summary.connections, "server"),
    );
    let text = format!(
        "{} Everything is protected: {databases} on {servers}",
        glyphs.ok
    );
    (text, Role::Good)
}

/// Where the backups are, how much of it is used, and how much deduplication saves.
pub(super) fn stores(head: &Head) -> String {
    let one = |own: &RepositoryOverview| {
        let mut words = vec![own.repository.clone()];
        if !own.reachable {
            words.push("CANNOT BE REACHED".to_owned());
        }
        if let Some(count) = own.backups {
            words.push(format!("{count} backups"));
        }
        if let Some(stored) = own.stored_bytes {
            words.push(format!("{} stored", bytes(stored)));
            if let Some(source) = own.source_bytes.filter(|_| stored > 0) {
                let tenths = u128::from(source) * 10 / u128::from(stored);
                words.push(format!("{}.{}x saved", tenths / 10, tenths % 10));
            }
        }
        if let Some(free) = own.free_bytes {
            words.push(format!("{} free", bytes(free)));
        }
        words.join(", ")
    };
    // The default one first; those that cannot be reached are not cut off.
    let mut all: Vec<&RepositoryOverview> = head.repositories.iter().collect();
    all.sort_by_key(|own| (own.reachable, !own.is_default));
    let all: Vec<String> = all.into_iter().map(one).collect();
    all.join("; ")
}
