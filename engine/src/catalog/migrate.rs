//! What happens before a catalog is used: tables made, version and master key checked.

use redb::{Database, ReadableTable as _, WriteTransaction};

use super::failed;
use super::record::{Record, decode};
use super::records::for_every_kind;
use super::tables::{COUNTERS, INDEX, LOG, META, NAMES, RECORDS, SERIALS, TALLIES, key};
use super::writer::Tx;
use crate::access::chain::{HEAD, Head};
use crate::error::{Code, Error, Result};
use crate::model::Time;
use crate::secret::SecretText;
use crate::vault::{Sealed, Vault};

/// The layout of tables and indexes. Records have versions of their own.
///
/// 1: the first one. 2: sums over records; backups are found by repository and kind, trash by repository.
/// 3: sums by day, connection and database; jobs are found by environment. 4: sums that tell which days'
/// remarks have changed.
const LAYOUT: u32 = 4;
const LAYOUT_KEY: &str = "layout";
const CHECK_KEY: &str = "master_key_check";
const CREATED_KEY: &str = "created_at";
const CHECK_TEXT: &str = "this is the right key";

/// Makes the tables of a new file; refuses a newer layout or a wrong master key.
pub(super) fn prepare(database: &Database, vault: &Vault, now: Time) -> Result<()> {
    let transaction = database.begin_write().map_err(failed)?;
    {
        transaction.open_table(RECORDS).map_err(failed)?;
        transaction.open_table(NAMES).map_err(failed)?;
        transaction.open_table(SERIALS).map_err(failed)?;
        transaction.open_table(COUNTERS).map_err(failed)?;
        transaction.open_table(INDEX).map_err(failed)?;
        transaction.open_table(TALLIES).map_err(failed)?;
        transaction.open_table(LOG).map_err(failed)?;
        let mut meta = transaction.open_table(META).map_err(failed)?;
        let read = |meta: &redb::Table<'_, &str, &str>, key: &str| {
            meta.get(key)
                .map(|found| found.map(|text| text.value().to_owned()))
                .map_err(failed)
        };
        match read(&meta, LAYOUT_KEY)? {
            None => {
                let check = vault.seal("catalog", CHECK_KEY, &SecretText::new(CHECK_TEXT))?;
                let check = serde_json::to_string(&check).unwrap_or_default();
                meta.insert(CHECK_KEY, check.as_str()).map_err(failed)?;
                meta.insert(CREATED_KEY, now.to_rfc3339().as_str())
                    .map_err(failed)?;
                let head = Head::start().sealed(vault.audit_key());
                meta.insert(HEAD, head.as_str()).map_err(failed)?;
                meta.insert(LAYOUT_KEY, LAYOUT.to_string().as_str())
                    .map_err(failed)?;
            }
            Some(layout) if layout.parse::<u32>().is_ok_and(|layout| layout <= LAYOUT) => {
                check_key(&read(&meta, CHECK_KEY)?.unwrap_or_default(), vault)?;
                if layout != LAYOUT.to_string() {
                    reindex(&transaction)?;
                    meta.insert(LAYOUT_KEY, LAYOUT.to_string().as_str())
                        .map_err(failed)?;
                }
            }
            Some(_) => {
                return Err(Error::new(
                    Code::CatalogFailed,
                    "The catalog was written by a newer version of Backstay",
                )
                .hint("Use that version"));
            }
        }
    }
    transaction.commit().map_err(failed)
}

fn check_key(check: &str, vault: &Vault) -> Result<()> {
    let opens = serde_json::from_str::<Sealed>(check)
        .is_ok_and(|sealed| vault.open("catalog", CHECK_KEY, &sealed).is_ok());
    if opens {
        return Ok(());
    }
    Err(Error::new(
        Code::CatalogFailed,
        "The master key is not the one this catalog was made with",
    )
    .hint("Put the right key back; without it, use `backstay repository rebuild`"))
}

/// Makes all index entries and sums anew from the records.
fn reindex(transaction: &WriteTransaction) -> Result<()> {
    transaction.delete_table(INDEX).map_err(failed)?;
    transaction.delete_table(TALLIES).map_err(failed)?;
    // Made again at once, for a catalog without records.
    transaction.open_table(INDEX).map_err(failed)?;
    transaction.open_table(TALLIES).map_err(failed)?;
    let tx = Tx(transaction);
    for_every_kind!(reindex_kind(&tx));
    Ok(())
}

fn reindex_kind<R: Record>(tx: &Tx<'_>) -> Result<()> {
    let records = tx.0.open_table(RECORDS).map_err(failed)?;
    let (low, high) = (key(R::TABLE, 0), key(R::TABLE, u128::MAX));
    for entry in records.range::<&[u8; 17]>(&low..=&high).map_err(failed)? {
        let (_, bytes) = entry.map_err(failed)?;
        let record: R = decode(bytes.value())?;
        tx.move_entries(None, Some(&record))?;
        tx.move_tallies(None, Some(&record))?;
    }
    Ok(())
}
