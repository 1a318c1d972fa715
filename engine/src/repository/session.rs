//! Sessions: a writer's presence, which collectors wait for.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::collect::Marks;
use super::format::derive::Role;
use super::format::digest::Digest;
use super::format::sealed::Kind;
use super::format::session::{self, SessionRecord, State, Wrapped};
use super::{Inner, Repository};
use crate::error::{Code, Error, Result};
use crate::ids::SessionId;
use crate::secret::SecretKey;

/// A writer ends itself this long after its start; collectors count on it.
pub(crate) const LIFETIME: Duration = Duration::from_hours(24);

/// A session as its writer holds it.
#[derive(Debug)]
pub(crate) struct OwnSession {
    pub(crate) id: SessionId,
    pub(crate) key: SecretKey,
    pub(crate) wrapped: Wrapped,
    pub(crate) writer: String,
    pub(crate) started_at: DateTime<Utc>,
    started_boot: Duration,
    /// Packs that collectors had announced when the session began, and packs that were missing then;
    /// absent for its whole life.
    pub(crate) absent: HashSet<Digest>,
    /// Why the session uses nothing that others stored, when it does not.
    pub(crate) distrust: Option<String>,
}

/// A session as the repository shows it to others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SessionInfo {
    pub(crate) id: SessionId,
    /// What the newest readable object says.
    pub(crate) state: Option<State>,
    pub(crate) writer: String,
    /// When the newest object was created, by the storage's clock.
    pub(crate) seen_at: DateTime<Utc>,
    /// When the first object was created, by the storage's clock.
    pub(crate) begun_at: DateTime<Utc>,
    /// Its objects.
    pub(crate) keys: Vec<String>,
}

impl Inner {
    /// Session object first, then marks, then the index: whoever collects sees the session, or the
    /// session sees the marks. Packs last: what the index promises may have gone missing.
    pub(crate) async fn begin_session(&self, writer: &str) -> Result<OwnSession> {
        let started_at = self.clock.now();
        let started_boot = self.clock.boot();
        let id = SessionId::generate(started_at);
        let key = SecretKey::random();
        let wrapped = Wrapped::wrap(self.keys.role(Role::Wrap), &self.keys.uid, id, &key);
        let mut own = OwnSession {
            id,
            key,
            wrapped,
            writer: writer.to_owned(),
            started_at,
            started_boot,
            absent: HashSet::new(),
            distrust: None,
        };
        self.report(&own, 0, State::Begun).await?;
        self.storage.barrier().await?;
        let marks = Marks::read(self).await?;
        own.absent = marks.packs();
        own.distrust = marks.unknown(self.clock.now()).map(|mark| {
            format!(
                "{} cannot be read, so any pack may be about to go: everything is stored again. {}",
                mark.key, mark.why
            )
        });
        self.refresh().await?;
        own.absent.extend(self.absent_packs().await?);
        Ok(own)
    }

    /// Writes the session's object of that number.
    pub(crate) async fn report(&self, own: &OwnSession, number: u32, state: State) -> Result<()> {
        let record = SessionRecord {
            session: own.id,
            number,
            state,
            writer: own.writer.clone(),
            at: self.clock.now(),
            key: (number == 0).then(|| own.wrapped.clone()),
        };
        self.put_record(&session::key(own.id, number), &record)
            .await
    }

    /// Refuses to go on when the session has outlived what collectors grant it.
    pub(crate) fn check_lifetime(&self, own: &OwnSession) -> Result<()> {
        let age = self.clock.boot().saturating_sub(own.started_boot);
        if age < LIFETIME {
            return Ok(());
        }
        Err(Error::new(
            Code::RepositorySession,
            "The backup took longer than the 24 hours a session may last",
        )
        .hint("Back up fewer tables in one run; what was stored so far is reused by the next run"))
    }

    /// Every session the repository shows, oldest first.
    pub(crate) async fn sessions(&self) -> Result<Vec<SessionInfo>> {
        let mut sessions: Vec<SessionInfo> = Vec::new();
        for info in self.list_kind(Kind::Session).await? {
            let Some((id, _)) = session::parse_key(&info.key) else {
                continue;
            };
            match sessions.last_mut() {
                Some(last) if last.id == id => {
                    last.seen_at = last.seen_at.max(info.modified_at);
                    last.begun_at = last.begun_at.min(info.modified_at);
                    last.keys.push(info.key);
                }
                _ => sessions.push(SessionInfo {
                    id,
                    state: None,
                    writer: String::new(),
                    seen_at: info.modified_at,
                    begun_at: info.modified_at,
                    keys: vec![info.key],
                }),
            }
        }
        for info in &mut sessions {
            // Keys are in order of number, so the last one is the newest.
            let Some(key) = info.keys.last() else {
                continue;
            };
            match self.get_record_if_there::<SessionRecord>(key).await {
                Ok(Some(record)) if session::key(record.session, record.number) == *key => {
                    info.state = Some(record.state);
                    info.writer = record.writer;
                }
                // Unreadable: it counts as alive until its time is over.
                Ok(_) => {}
                Err(error) if error.code() == Code::RepositoryCorrupt => {}
                Err(error) => return Err(error),
            }
        }
        Ok(sessions)
    }
}

impl Repository {
    /// Ends the sessions of writers that are known to be dead, so that no collector waits for them;
    /// answers how many there were. Whoever calls this vouches that none of them writes any more.
    pub async fn end_sessions_of(&self, writers: &[String]) -> Result<u64> {
        let inner = &self.inner;
        let mut ended = 0;
        for info in inner.sessions().await? {
            if info.state == Some(State::Ended) || !writers.contains(&info.writer) {
                continue;
            }
            let last = info.keys.last().and_then(|key| session::parse_key(key));
            let number = last.map_or(0, |(_, number)| number) + 1;
            let record = SessionRecord {
                session: info.id,
                number,
                state: State::Ended,
                writer: info.writer,
                at: inner.clock.now(),
                key: None,
            };
            inner
                .put_record(&session::key(info.id, number), &record)
                .await?;
            ended += 1;
        }
        inner.storage.barrier().await?;
        Ok(ended)
    }
}
