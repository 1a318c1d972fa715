//! What makes a document a record, and how it is written: one version byte, then JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use super::tables::Table;
use super::undecodable;
use crate::error::{Code, Error, Result};
use crate::ids::ConnectionId;

/// One property lists filter by: its number within the kind (0 to 6) and its value. The numbers
/// are in the file: never change one.
pub type Facet = (u8, String);

/// Whose a record is, which matters to callers who are limited to projects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Nobody's in particular: whoever may read the kind may read it.
    Everybody,
    /// A project's, by its name.
    Project(String),
    /// That of these projects, by their names: whoever sees all of them sees it.
    Projects(Vec<String>),
    /// That of a connection.
    Connection(ConnectionId),
    /// That of two connections: whoever sees both sees it.
    Both(ConnectionId, ConnectionId),
    /// The engine's as a whole.
    Engine,
}

/// A document of the catalog.
pub trait Record: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// Its kind.
    const TABLE: Table;
    /// The version new documents are written with.
    const VERSION: u8;

    /// Its id's bits; the order of ids is the order of lists.
    fn id(&self) -> u128;
    /// Its serial; zero before it is first saved.
    fn serial(&self) -> u64;
    /// Is called once, when it is first saved.
    fn set_serial(&mut self, serial: u64);
    /// A name no other record of the kind has.
    fn name(&self) -> Option<String> {
        None
    }
    /// What lists filter by.
    fn facets(&self) -> Vec<Facet> {
        Vec::new()
    }
    /// The same of its JSON, which is read no further than that takes.
    fn facets_in(document: &[u8]) -> Result<Vec<Facet>> {
        let record: Self = serde_json::from_slice(document).map_err(undecodable)?;
        Ok(record.facets())
    }
    /// What it adds to which sums; see [`super::Catalog::tally`].
    fn tallies(&self) -> Vec<(String, u64)> {
        Vec::new()
    }
    /// Whose it is; hidden from callers who are limited to projects when nothing is said.
    fn owner(&self) -> Owner {
        Owner::Engine
    }
    /// Brings a document of version `from` to version `from + 1`.
    fn upgrade(from: u8, document: serde_json::Value) -> serde_json::Value {
        let _ = from;
        document
    }
}

/// The bytes of a record.
pub(super) fn encode<R: Record>(record: &R) -> Result<Vec<u8>> {
    let mut bytes = vec![R::VERSION];
    serde_json::to_writer(&mut bytes, record)
        .map_err(|error| Error::internal("A record could not be written").because(error))?;
    Ok(bytes)
}

/// The JSON of the record that the bytes hold, as this version writes it.
pub(super) fn document<R: Record>(bytes: &[u8]) -> Result<Vec<u8>> {
    match bytes.split_first() {
        Some((version, document)) if *version == R::VERSION => Ok(document.to_vec()),
        _ => encode(&decode::<R>(bytes)?).map(|bytes| bytes[1..].to_vec()),
    }
}

/// The record the bytes hold, whichever version wrote them.
pub(super) fn decode<R: Record>(bytes: &[u8]) -> Result<R> {
    let (version, document) = match bytes.split_first() {
        Some((version, document)) => (*version, document),
        None => (0, bytes),
    };
    if version > R::VERSION {
        return Err(Error::new(
            Code::CatalogFailed,
            "The catalog was written by a newer version of Backstay",
        )
        .hint("Use that version"));
    }
    if version == R::VERSION {
        return serde_json::from_slice(document).map_err(undecodable);
    }
    let mut value: serde_json::Value = serde_json::from_slice(document).map_err(undecodable)?;
    for from in version..R::VERSION {
        value = R::upgrade(from, value);
    }
    serde_json::from_value(value).map_err(undecodable)
}
