//! Lists in pages: `limit` rows, and `next`, which the following page is asked for with.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::problem::Problem;

/// Rows of a page, at most, and where nothing is said.
pub const PAGE_MAX: usize = 200;
const PAGE: usize = 50;

/// Where a page begins and how long it is.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Cursor {
    /// Rows, at most
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
    /// For `after` of the next page; `null` on the last one.
    pub next: Option<Uuid>,
}

impl<T> Page<T> {
    /// Of `limit` + 1 rows the first `limit`; the one more says that there is another page.
    pub fn of(mut items: Vec<T>, limit: usize, id: impl Fn(&T) -> Uuid) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(id);
        Self { items, next }
    }
}
