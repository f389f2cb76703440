//! Lists in pages: `limit` rows, and `next` to request the following page.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::problem::Problem;

/// The most rows of a page, and the default.
pub const PAGE_MAX: usize = 200;
const PAGE: usize = 50;

/// The position and the length of a page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// The most rows
    #[param(minimum = 1, maximum = 200, default = 50)]
    pub limit: Option<usize>,
    /// `next` of the page before
    pub after: Option<Uuid>,
}

impl Cursor {
    pub fn limit(&self) -> Result<usize, Problem> {
        match self.limit {
            None => Ok(PAGE),
            Some(limit) if (1..=PAGE_MAX).contains(&limit) => Ok(limit),
            Some(_) => Err(Problem::bad_request(format!("limit is 1 to {PAGE_MAX}"))),
        }
    }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// The `after` of the next page; `null` on the last page.
    pub next: Option<Uuid>,
}

impl<T> Page<T> {
    /// Keeps the first `limit` of up to `limit` + 1 rows. A further row means that there is another page.
    pub fn of(mut items: Vec<T>, limit: usize, id: impl Fn(&T) -> Uuid) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(id);
        Self { items, next }
    }
}
