//! Lists: a page of items, newest first, and where the next page begins.

use std::borrow::Cow;
use std::fmt::Display;

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{Array, Object, SchemaType, Type};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::error::{Error, Result};

/// Items a page holds when the caller does not say.
pub const DEFAULT_LIMIT: u32 = 50;
/// Items a page holds at most.
pub const MAX_LIMIT: u32 = 200;

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The items, newest first.
    pub items: Vec<T>,
    /// Given as `cursor`, answers the next page; `None` at the end.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A list that is complete.
    pub fn whole(items: Vec<T>) -> Self {
        Self {
            items,
            next_cursor: None,
        }
    }

    /// A page of a list that is there as a whole, whose items are told apart by their `key`. It goes on behind
    /// the item that the cursor names, or from where that was when it is gone.
    pub fn cut<K: Display>(
        mut items: Vec<T>,
        request: &PageRequest,
        key: impl Fn(&T) -> K,
    ) -> Result<Self> {
        let limit = checked_limit(request.limit)?;
        let cursor = request.cursor.as_deref().filter(|text| !text.is_empty());
        let start = match cursor {
            None => 0,
            Some(cursor) => {
                let (place, last) = cursor.split_once('.').ok_or_else(odd_cursor)?;
                let place: usize = place.parse().map_err(|_| odd_cursor())?;
                let found = items.iter().position(|item| key(item).to_string() == last);
                found.map_or(place, |found| found + 1)
            }
        };
        items.drain(..start.min(items.len()));
        let is_more = items.len() > limit;
        items.truncate(limit);
        let last = items.last().filter(|_| is_more);
        Ok(Self {
            next_cursor: last.map(|item| format!("{}.{}", start + limit - 1, key(item))),
            items,
        })
    }

    /// The same of a list that never grows: without a limit, all of it.
    pub fn cut_short<K: Display>(
        items: Vec<T>,
        request: &PageRequest,
        key: impl Fn(&T) -> K,
    ) -> Result<Self> {
        let request = PageRequest {
            limit: request.limit.or(Some(MAX_LIMIT)),
            cursor: request.cursor.clone(),
        };
        Self::cut(items, &request, key)
    }

    /// The same page with every item converted.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(convert).collect(),
            next_cursor: self.next_cursor,
        }
    }
}

impl<T: ToSchema> PartialSchema for Page<T> {
    fn schema() -> RefOr<Schema> {
        let cursor = Object::builder()
            .schema_type(
                [Type::String, Type::Null]
                    .into_iter()
                    .collect::<SchemaType>(),
            )
            .description(Some(
                "Given as `cursor`, answers the next page; null at the end.",
            ));
        Object::builder()
            .schema_type(Type::Object)
            .description(Some("One page of a list, newest first."))
            .property("items", Array::new(Ref::from_schema_name(T::name())))
            .property("next_cursor", cursor)
            .required("items")
            .required("next_cursor")
            .into()
    }
}

impl<T: ToSchema> ToSchema for Page<T> {
    fn name() -> Cow<'static, str> {
        Cow::Owned(format!("{}Page", T::name()))
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

/// The query of a list without filters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PageRequest {
    /// Items wanted, 1 to 200.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// What is said to a cursor that is none.
pub fn odd_cursor() -> Error {
    Error::invalid("The cursor is not one that a list answered")
        .field("cursor", "must be the next_cursor of the page before")
}

/// The number of items to answer, checked.
pub fn checked_limit(limit: Option<u32>) -> Result<usize> {
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if (1..=MAX_LIMIT).contains(&limit) {
        Ok(limit as usize)
    } else {
        Err(Error::invalid(format!("A list cannot hold {limit} items"))
            .field("limit", format!("must be 1 to {MAX_LIMIT}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(items: &[&'static str], limit: u32, cursor: Option<String>) -> Page<&'static str> {
        let request = PageRequest {
            limit: Some(limit),
            cursor,
        };
        Page::cut(items.to_vec(), &request, |item| *item).unwrap()
    }

    #[test]
    fn pages_of_a_whole_list_are_the_list() {
        let all = ["a", "b", "c.d", "e", "f"];
        for limit in 1..=6 {
            let (mut seen, mut cursor) = (Vec::new(), None);
            loop {
                let next = page(&all, limit, cursor);
                assert!(!next.items.is_empty());
                seen.extend(next.items);
                cursor = next.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(seen, all, "{limit} at a time");
        }
    }

    #[test]
    fn a_page_goes_on_where_its_last_item_was() {
        let first = page(&["a", "b", "c", "d"], 2, None);
        let cursor = || first.next_cursor.clone();
        assert_eq!(page(&["a", "c", "d"], 2, cursor()).items, ["c", "d"]);
        assert_eq!(page(&["new", "a", "b", "c"], 2, cursor()).items, ["c"]);
        assert_eq!(page(&[], 2, cursor()).items, [""; 0]);
        for odd in ["b", "x.b", "-1.b"] {
            let request = PageRequest {
                limit: None,
                cursor: Some(odd.to_owned()),
            };
            assert!(
                Page::cut(vec!["a"], &request, |item| *item).is_err(),
                "{odd}"
            );
        }
    }
}
