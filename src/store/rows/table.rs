//! The description of a table: its columns, written once for inserts, exports and imports.

use sea_orm::{QueryResult, Value};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::domain::Channel;
use crate::store::error::StoreError;

/// The longest text that an import takes. Webhooks bring 64 KiB.
const TEXT_MAX_BYTES: usize = 1 << 20;
/// The names of the channels, for [`Holds::OneOf`].
pub(in crate::store) const CHANNELS: &[&str] = &Channel::NAMES;

/// A table, without its column `tenant_id`.
pub struct Table {
    /// The name of one row, as exports have it.
    pub kind: &'static str,
    pub(in crate::store) name: &'static str,
    /// The columns of the identity. Exports order the rows by them.
    pub(in crate::store) order: &'static [&'static str],
    pub(in crate::store) columns: &'static [Column],
}

pub(in crate::store) struct Column {
    pub name: &'static str,
    pub holds: Holds,
}

/// The type of a column, for reading and checking imports. `Maybe…` may be null.
pub(in crate::store) enum Holds {
    Id,
    MaybeId,
    /// The id of a row of this table, of the same tenant.
    Of(&'static str),
    MaybeOf(&'static str),
    Text,
    MaybeText,
    /// One of these words.
    OneOf(&'static [&'static str]),
    MaybeWord(&'static [&'static str]),
    /// A text that this function accepts.
    Form(fn(&str) -> bool),
    MaybeForm(fn(&str) -> bool),
    /// A JSON document that this function accepts.
    Document(fn(&Json) -> bool),
    MaybeDocument,
    Big,
    MaybeBig,
    Int,
    MaybeInt,
    Small,
    Flag,
}

use Holds::*;

pub(in crate::store) const fn column(name: &'static str, holds: Holds) -> Column {
    Column { name, holds }
}

/// Whether a document parses as a `T`.
pub(in crate::store) fn is<T: serde::de::DeserializeOwned>(document: &Json) -> bool {
    serde_json::from_value::<T>(document.clone()).is_ok()
}

/// An object of an import is no row of its table.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotARow {
    #[error("'{0}' is missing or not what that column holds")]
    Column(&'static str),
    #[error("'{0}' is no column of it")]
    Unknown(String),
}

impl Table {
    /// The number of values in a row of [`Table::insert`].
    pub(in crate::store) const fn width(&self) -> usize {
        self.columns.len() + 1
    }

    /// Inserts rows: the tenant, then the columns in their order.
    pub(in crate::store) fn insert(&self) -> String {
        self.insert_from("VALUES {rows}")
    }

    /// Inserts the rows of `source`, which gives the same columns in the same order.
    pub(in crate::store) fn insert_from(&self, source: &str) -> String {
        format!("INSERT INTO {} ({}) {source}", self.name, self.full_column_list())
    }

    /// The tenant and the columns, in the order of [`Table::insert`].
    pub(in crate::store) fn full_column_list(&self) -> String {
        format!("tenant_id, {}", self.column_list())
    }

    /// The columns in their order, without the tenant.
    pub(in crate::store) fn column_list(&self) -> String {
        self.columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
    }

    pub(in crate::store) fn object(&self, row: &QueryResult) -> Result<Json, StoreError> {
        let mut object = Map::new();
        for (index, column) in self.columns.iter().enumerate() {
            object.insert(column.name.to_owned(), column.holds.read(row, index)?);
        }
        Ok(Json::Object(object))
    }

    /// The values of an object, in the order of the columns. A nullable column may be missing, because the export may
    /// be older than the column. Other columns must be there, and there must be no other names.
    pub fn values(&self, mut object: Map<String, Json>) -> Result<Vec<Value>, NotARow> {
        let mut values = Vec::with_capacity(self.columns.len());
        for column in self.columns {
            let value = column.holds.value(object.remove(column.name).unwrap_or(Json::Null));
            values.push(value.ok_or(NotARow::Column(column.name))?);
        }
        match object.into_iter().next() {
            Some((name, _)) => Err(NotARow::Unknown(name)),
            None => Ok(values),
        }
    }
}

impl Holds {
    fn read(&self, row: &QueryResult, index: usize) -> Result<Json, StoreError> {
        let document = |text: String| serde_json::from_str::<Json>(&text).map_err(StoreError::json);
        Ok(match self {
            Id | Of(_) => row.try_get_by_index::<Uuid>(index)?.to_string().into(),
            MaybeId | MaybeOf(_) => row.try_get_by_index::<Option<Uuid>>(index)?.map(|id| id.to_string()).into(),
            Text | OneOf(_) | Form(_) => row.try_get_by_index::<String>(index)?.into(),
            MaybeText | MaybeWord(_) | MaybeForm(_) => row.try_get_by_index::<Option<String>>(index)?.into(),
            Document(_) => document(row.try_get_by_index(index)?)?,
            // The JSON null is not the same as no document, but here both are null.
            MaybeDocument => row.try_get_by_index::<Option<String>>(index)?.map(document).transpose()?.into(),
            Big => row.try_get_by_index::<i64>(index)?.into(),
            MaybeBig => row.try_get_by_index::<Option<i64>>(index)?.into(),
            Int => row.try_get_by_index::<i32>(index)?.into(),
            MaybeInt => row.try_get_by_index::<Option<i32>>(index)?.into(),
            Small => row.try_get_by_index::<i16>(index)?.into(),
            Flag => row.try_get_by_index::<bool>(index)?.into(),
        })
    }

    /// The value to be stored; `None` if the column does not accept it.
    fn value(&self, json: Json) -> Option<Value> {
        // PostgreSQL does not store NUL in a text.
        let text = |json: Json| match json {
            Json::String(text) if text.len() <= TEXT_MAX_BYTES && !text.contains('\0') => Some(text),
            _ => None,
        };
        let id = |json: Json| text(json).and_then(|text| Uuid::parse_str(&text).ok());
        let big = |json: Json| json.as_i64();
        let int = |json: Json| json.as_i64().and_then(|number| i32::try_from(number).ok());
        Some(match self {
            Id | Of(_) => id(json)?.into(),
            MaybeId | MaybeOf(_) => or_null(json, id)?.into(),
            Text => text(json)?.into(),
            MaybeText => or_null(json, text)?.into(),
            OneOf(words) => text(json).filter(|word| words.contains(&word.as_str()))?.into(),
            MaybeWord(words) => or_null(json, |json| text(json).filter(|word| words.contains(&word.as_str())))?.into(),
            Form(is_such) => text(json).filter(|text| is_such(text))?.into(),
            MaybeForm(is_such) => or_null(json, |json| text(json).filter(|text| is_such(text)))?.into(),
            Document(is_such) => Some(json).filter(is_such)?.to_string().into(),
            MaybeDocument => or_null(json, Some)?.map(|json| json.to_string()).into(),
            Big => big(json)?.into(),
            MaybeBig => or_null(json, big)?.into(),
            Int => int(json)?.into(),
            MaybeInt => or_null(json, int)?.into(),
            Small => int(json).and_then(|number| i16::try_from(number).ok())?.into(),
            Flag => json.as_bool()?.into(),
        })
    }
}

/// `Some(None)` for null; `None` for neither null nor a value.
fn or_null<T>(json: Json, read: impl FnOnce(Json) -> Option<T>) -> Option<Option<T>> {
    if json.is_null() { Some(None) } else { read(json).map(Some) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TABLE: Table = Table {
        kind: "thing",
        name: "things",
        order: &["id"],
        columns: &[column("name", Text), column("note", MaybeText)],
    };

    #[test]
    fn only_a_column_that_may_be_null_may_be_missing() {
        let values = |row: Json| TABLE.values(row.as_object().cloned().unwrap_or_default());
        assert_eq!(values(json!({"name": "a"})).unwrap(), [Value::from("a".to_owned()), Value::from(None::<String>)]);
        assert_eq!(values(json!({"note": "b"})).unwrap_err(), NotARow::Column("name"));
        assert_eq!(values(json!({"name": "a", "note": 5})).unwrap_err(), NotARow::Column("note"));
        assert_eq!(values(json!({"name": "a", "more": 1})).unwrap_err(), NotARow::Unknown("more".to_owned()));
    }
}
