//! How many requests of a tenant and of a token are served at a time. The rest wait a moment, or are refused with 429.
//!
//! A tenant's programs cannot take the database's readers from those of others, nor from calls and messages, which have
//! their own.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

use super::problem::Problem;
use crate::domain::{TenantId, TokenScope};
use crate::store::REQUEST_READERS;

/// Requests of one tenant that run at a time: half of the readers, so that one tenant leaves some to the others.
pub const RUNNING_MAX: usize = REQUEST_READERS as usize / 2;
/// Requests of one tenant that run or wait.
pub const TENANT_OPEN_MAX: usize = 32;
/// Requests of one token that run or wait.
pub const TOKEN_OPEN_MAX: usize = 16;
/// The longest wait of a request for its turn.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// `Retry-After` of a refused request.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Imports of all tenants at a time. Each holds its table in memory.
const IMPORTS_MAX: usize = 2;
/// `Retry-After` of a refused import.
const RETRY_IMPORT_AFTER: Duration = Duration::from_secs(10);

/// The requests that run or wait. Voice agents have places of their own: a caller waits for them.
#[derive(Debug, Default)]
pub struct Quotas {
    shares: Mutex<HashMap<Key, Share>>,
    importing: Mutex<HashSet<TenantId>>,
}

type Key = (TenantId, bool);

#[derive(Debug)]
struct Share {
    running: Arc<Semaphore>,
    /// Requests that run or wait, by token.
    open: HashMap<Uuid, usize>,
}

/// The place of a request, until it is answered.
#[derive(Debug)]
pub struct Place {
    quotas: Arc<Quotas>,
    key: Key,
    token: Uuid,
    turn: Option<OwnedSemaphorePermit>,
}

impl Quotas {
    /// Takes a place, and waits for its turn.
    pub async fn enter(self: &Arc<Self>, tenant: TenantId, scope: TokenScope, token: Uuid) -> Result<Place, Problem> {
        self.enter_within(WAIT_MAX, tenant, scope, token).await
    }

    async fn enter_within(
        self: &Arc<Self>,
        wait_max: Duration,
        tenant: TenantId,
        scope: TokenScope,
        token: Uuid,
    ) -> Result<Place, Problem> {
        let key = (tenant, scope != TokenScope::Full);
        let (mut place, running) = self.take_place(key, token)?;
        match tokio::time::timeout(wait_max, running.acquire_owned()).await {
            Ok(Ok(turn)) => place.turn = Some(turn),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => return Err(too_many("requests of this business take too long at the moment")),
        }
        Ok(place)
    }

    /// Begins an import: one at a time for a tenant, and [`IMPORTS_MAX`] at a time for all.
    pub fn begin_import(self: &Arc<Self>, tenant: TenantId) -> Result<Import, Problem> {
        let mut importing = self.importing.lock();
        let refusal = if importing.contains(&tenant) {
            Some("an import of this business is under way: wait until it has ended")
        } else if importing.len() >= IMPORTS_MAX {
            Some("imports of other businesses are under way: try again in a moment")
        } else {
            None
        };
        if let Some(detail) = refusal {
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "import_under_way", detail);
            return Err(problem.retry_after(RETRY_IMPORT_AFTER));
        }
        importing.insert(tenant);
        Ok(Import { quotas: self.clone(), tenant })
    }

    fn take_place(self: &Arc<Self>, key: Key, token: Uuid) -> Result<(Place, Arc<Semaphore>), Problem> {
        let mut shares = self.shares.lock();
        let new = || Share { running: Arc::new(Semaphore::new(RUNNING_MAX)), open: HashMap::new() };
        let share = shares.entry(key).or_insert_with(new);
        if share.open.get(&token).is_some_and(|open| *open >= TOKEN_OPEN_MAX) {
            return Err(too_many(&format!("a token has at most {TOKEN_OPEN_MAX} requests open at a time")));
        }
        if share.open.values().sum::<usize>() >= TENANT_OPEN_MAX {
            return Err(too_many(&format!("a business has at most {TENANT_OPEN_MAX} requests open at a time")));
        }
        *share.open.entry(token).or_default() += 1;
        Ok((Place { quotas: self.clone(), key, token, turn: None }, share.running.clone()))
    }
}

/// An import that is under way, until it is dropped.
#[derive(Debug)]
pub struct Import {
    quotas: Arc<Quotas>,
    tenant: TenantId,
}

impl Drop for Import {
    fn drop(&mut self) {
        self.quotas.importing.lock().remove(&self.tenant);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // The turn goes first: who waits for it has the share's semaphore, even where the share goes.
        self.turn = None;
        let mut shares = self.quotas.shares.lock();
        let Some(share) = shares.get_mut(&self.key) else { return };
        if let Some(open) = share.open.get_mut(&self.token) {
            *open -= 1;
            if *open == 0 {
                share.open.remove(&self.token);
            }
        }
        if share.open.is_empty() {
            shares.remove(&self.key);
        }
    }
}

fn too_many(what: &str) -> Problem {
    let detail = format!("{what}: wait, and send it again");
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail).retry_after(RETRY_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    /// Enters without waiting.
    async fn enter(quotas: &Arc<Quotas>, tenant: u128, scope: TokenScope, token: u128) -> Result<Place, u16> {
        let entered = quotas.enter_within(Duration::ZERO, TenantId::new(id(tenant)), scope, id(token)).await;
        entered.map_err(|problem| problem.status())
    }

    #[tokio::test]
    async fn a_tenant_waits_for_its_own_requests_only() {
        let quotas = Arc::new(Quotas::default());
        let mut running = Vec::new();
        for _ in 0..RUNNING_MAX {
            running.push(enter(&quotas, 1, TokenScope::Full, 1).await.expect("there is a place"));
        }
        assert_eq!(enter(&quotas, 1, TokenScope::Full, 2).await.err(), Some(429), "it has waited in vain");
        assert!(enter(&quotas, 2, TokenScope::Full, 3).await.is_ok(), "another tenant");
        assert!(enter(&quotas, 1, TokenScope::Agent, 4).await.is_ok(), "a voice agent");
        running.pop();
        assert!(enter(&quotas, 1, TokenScope::Full, 2).await.is_ok());
        drop(running);
        assert!(quotas.shares.lock().is_empty(), "nothing is kept");
    }

    #[tokio::test]
    async fn more_than_a_token_or_a_tenant_may_have_open_is_refused_at_once() {
        let quotas = Arc::new(Quotas::default());
        let key = (TenantId::new(id(1)), false);
        let mut open = Vec::new();
        for _ in 0..TOKEN_OPEN_MAX {
            open.push(quotas.take_place(key, id(1)).expect("there is a place"));
        }
        assert_eq!(quotas.take_place(key, id(1)).map(drop).unwrap_err().status(), 429);
        for _ in TOKEN_OPEN_MAX..TENANT_OPEN_MAX {
            open.push(quotas.take_place(key, id(2)).expect("there is a place"));
        }
        assert_eq!(quotas.take_place(key, id(3)).map(drop).unwrap_err().status(), 429);
        drop(open);
        assert!(quotas.shares.lock().is_empty());
    }

    #[test]
    fn a_tenant_has_one_import_at_a_time() {
        let quotas = Arc::new(Quotas::default());
        let begin = |n: u128| quotas.begin_import(TenantId::new(id(n))).map_err(|problem| problem.status());
        let first = begin(1).expect("none is under way");
        assert_eq!(begin(1).err(), Some(429));
        let second = begin(2).expect("another tenant's");
        assert_eq!(begin(3).err(), Some(429), "there are two");
        drop((first, second));
        assert!(begin(1).is_ok());
    }
}
