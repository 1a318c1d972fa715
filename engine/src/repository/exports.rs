//! Exports: the catalog as it was, sealed in the repository, so that the repository and its kit are
//! enough to start over.
//!
//! An export is a document of its own and any number of parts, each an object. The next export names the
//! parts that have not changed instead of writing them again.

use std::collections::{BTreeMap, HashSet};

use chrono::{DateTime, TimeDelta, Utc};

use super::Repository;
use super::format::records::{Export, ExportPart, Verbatim};
use super::format::sealed::Kind;
use crate::error::Result;
use crate::ids::NoteId;
use crate::storage::StorageError;

/// Exports kept of each writer.
const KEPT: usize = 2;
/// A part that no export names is left alone for this long: another process may be about to name it.
const ORPHANED_AFTER: TimeDelta = TimeDelta::days(1);

/// What a writer has exported here, and so what it need not write again.
#[derive(Debug)]
pub struct Exported {
    writer: String,
    /// The exports that are kept, oldest first.
    kept: Vec<Own>,
}

#[derive(Debug)]
struct Own {
    key: String,
    parts: BTreeMap<String, ExportPart>,
    /// Whether all of its parts are there.
    is_whole: bool,
}

impl Exported {
    /// The parts of the newest one, by name.
    pub fn parts(&self) -> BTreeMap<String, ExportPart> {
        self.kept
            .last()
            .map(|own| own.parts.clone())
            .unwrap_or_default()
    }
}

impl Repository {
    /// What a writer has exported so far. Removes what it began and never finished.
    pub async fn exported(&self, writer: &str) -> Result<Exported> {
        let mut own = Vec::new();
        let all = self
            .each_export(|key, export| {
                if export.writer == writer {
                    let own_export = Own {
                        key: key.to_owned(),
                        parts: export.parts,
                        is_whole: true,
                    };
                    own.push((export.at, own_export));
                }
            })
            .await?;
        own.sort_by(|one, other| (one.0, &one.1.key).cmp(&(other.0, &other.1.key)));
        let mut exported = Exported {
            writer: writer.to_owned(),
            kept: own.into_iter().map(|(_, own)| own).collect(),
        };
        for own in &mut exported.kept {
            let named = own.parts.len();
            // A lost one is to be written again.
            own.parts
                .retain(|_, part| all.there.contains(&key_of(part.id)));
            own.is_whole = own.parts.len() == named;
        }
        let now = self.inner.clock.now();
        for (key, part) in all.loose {
            // What could not be read may name it.
            if all.is_read && part.writer == writer && now - part.at > ORPHANED_AFTER {
                self.let_go(&key).await?;
            }
        }
        self.thin_out(&mut exported).await?;
        Ok(exported)
    }

    /// Writes a part for the writer's next export, which has to name it.
    pub async fn put_export_part(
        &self,
        exported: &Exported,
        name: &str,
        mark: u64,
        catalog: Verbatim,
    ) -> Result<ExportPart> {
        let part = Some(name.to_owned());
        let id = self
            .put_one(&exported.writer, part, BTreeMap::new(), catalog)
            .await?;
        Ok(ExportPart { id, mark })
    }

    /// Keeps the catalog, with these parts; durable when it returns. Removes what the writer's exports
    /// before the last one had of their own, as far as the store lets go of it.
    pub async fn put_export(
        &self,
        exported: &mut Exported,
        catalog: Verbatim,
        parts: BTreeMap<String, ExportPart>,
    ) -> Result<()> {
        // What it names is durable before it is.
        self.inner.storage.barrier().await?;
        let id = self
            .put_one(&exported.writer, None, parts.clone(), catalog)
            .await?;
        self.inner.storage.barrier().await?;
        exported.kept.push(Own {
            key: key_of(id),
            parts,
            is_whole: true,
        });
        self.thin_out(exported).await
    }

    async fn put_one(
        &self,
        writer: &str,
        part: Option<String>,
        parts: BTreeMap<String, ExportPart>,
        catalog: Verbatim,
    ) -> Result<NoteId> {
        let at = self.inner.clock.now();
        let id = NoteId::generate(at);
        let export = Export {
            writer: writer.to_owned(),
            at,
            part,
            parts,
            catalog,
        };
        self.inner.put_record(&key_of(id), &export).await?;
        Ok(id)
    }

    /// Removes a writer's older exports but one whole one, and the parts that none of the others names.
    async fn thin_out(&self, exported: &mut Exported) -> Result<()> {
        let newest = exported.kept.pop();
        let (mut kept, mut gone): (Vec<Own>, Vec<Own>) =
            exported.kept.drain(..).partition(|own| own.is_whole);
        gone.extend(kept.drain(..kept.len().saturating_sub(KEPT - 1)));
        exported.kept = kept;
        exported.kept.extend(newest);
        let named: HashSet<NoteId> = exported
            .kept
            .iter()
            .flat_map(|own| own.parts.values())
            .map(|part| part.id)
            .collect();
        let mut deleted = HashSet::new();
        for own in gone {
            // First what names the others: a reader never looks for what went before.
            self.let_go(&own.key).await?;
            for part in own.parts.into_values() {
                if !named.contains(&part.id) && deleted.insert(part.id) {
                    self.let_go(&key_of(part.id)).await?;
                }
            }
        }
        Ok(())
    }

    /// Deletes an object, if the store lets go of it.
    async fn let_go(&self, key: &str) -> Result<()> {
        match self.inner.storage.delete(key).await {
            Ok(()) | Err(StorageError::Missing { .. } | StorageError::Failed { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The newest readable export of every engine that writes here, oldest first.
    pub async fn exports(&self) -> Result<Vec<Export>> {
        let mut newest: BTreeMap<String, Export> = BTreeMap::new();
        self.each_export(|_, export| {
            let known = newest.get(&export.writer);
            if known.is_none_or(|known| known.at <= export.at) {
                newest.insert(export.writer.clone(), export);
            }
        })
        .await?;
        let mut exports: Vec<_> = newest.into_values().collect();
        exports.sort_by_key(|export| export.at);
        Ok(exports)
    }

    /// What a part of an export holds.
    pub async fn export_part(&self, part: &ExportPart) -> Result<Verbatim> {
        let export: Export = self.inner.get_record(&key_of(part.id)).await?;
        Ok(export.catalog)
    }

    /// Shows every export that can be read, the newest first. Damaged ones are for a check to tell. Parts
    /// that an export names are not read, which the order of keys sees to: it is younger than they are.
    async fn each_export(&self, mut see: impl FnMut(&str, Export)) -> Result<All> {
        let listed = self.inner.list_kind(Kind::Export).await?;
        let mut all = All {
            there: listed.iter().map(|info| info.key.clone()).collect(),
            loose: BTreeMap::new(),
            is_read: true,
        };
        let mut named = HashSet::new();
        for info in listed.iter().rev() {
            if named.contains(&info.key) {
                continue;
            }
            let export = match self.inner.get_record_if_there::<Export>(&info.key).await {
                Ok(Some(export)) => export,
                Ok(None) => continue,
                Err(_) => {
                    all.is_read = false;
                    continue;
                }
            };
            if export.part.is_some() {
                let (writer, at) = (export.writer, export.at);
                all.loose.insert(info.key.clone(), Loose { writer, at });
            } else {
                named.extend(export.parts.values().map(|part| key_of(part.id)));
                see(&info.key, export);
            }
        }
        all.loose.retain(|key, _| !named.contains(key));
        Ok(all)
    }
}

/// What there is besides the exports themselves.
struct All {
    there: HashSet<String>,
    /// Parts that no export names which could be read.
    loose: BTreeMap<String, Loose>,
    /// Whether every export could be read.
    is_read: bool,
}

struct Loose {
    writer: String,
    at: DateTime<Utc>,
}

pub(super) fn key_of(id: NoteId) -> String {
    format!("{}{}", Kind::Export.prefix(), id.ulid())
}
