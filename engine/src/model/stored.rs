//! JSON that is passed on as it was stored: a list that is asked for often is neither read nor written anew.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use super::Page;
use crate::error::{Error, Result};

/// The JSON of a `T`.
#[derive(Clone, Debug)]
pub struct Stored<T> {
    json: Vec<u8>,
    of: PhantomData<fn() -> T>,
}

impl<T> Stored<Page<T>> {
    /// A page of these items, each the JSON of a `T`.
    pub fn page(items: &[Vec<u8>], next_cursor: Option<&str>) -> Self {
        let length = items.iter().map(|item| item.len() + 1).sum::<usize>();
        let mut json = Vec::with_capacity(length + 80);
        json.extend_from_slice(b"{\"items\":[");
        for (place, item) in items.iter().enumerate() {
            if place > 0 {
                json.push(b',');
            }
            json.extend_from_slice(item);
        }
        json.extend_from_slice(b"],\"next_cursor\":");
        // Cursors are hexadecimal digits.
        match next_cursor {
            Some(cursor) => json.extend_from_slice(format!("\"{cursor}\"").as_bytes()),
            None => json.extend_from_slice(b"null"),
        }
        json.push(b'}');
        let of = PhantomData;
        Self { json, of }
    }
}

impl<T> Stored<T> {
    /// The JSON.
    pub fn into_json(self) -> Vec<u8> {
        self.json
    }
}

impl<T: DeserializeOwned> Stored<T> {
    /// What it says.
    pub fn read(&self) -> Result<T> {
        serde_json::from_slice(&self.json)
            .map_err(|error| Error::internal("What is stored cannot be read").because(error))
    }
}
