//! Tokens of the REST API. Only their hashes are stored.

use std::time::Duration;

use sea_orm::Value;
use serde::Serialize;
use uuid::Uuid;

use crate::domain::id::{Id, noun};
use crate::domain::{TenantId, Timestamp, TokenScope};
use crate::store::db::sql;
use crate::store::db::sql::begin;
use crate::store::error::StoreError;
use crate::store::handle::Store;

/// The most valid tokens of a tenant.
pub const TOKENS_MAX: i64 = 100;

/// The last use of a token is stored at most once in this time: a use costs no write each.
const USE_NOTED_EVERY: Duration = Duration::from_secs(60);

/// What a token that holds opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiTokenGrant {
    pub id: Uuid,
    pub tenant: TenantId,
    pub scope: TokenScope,
    /// The purpose of the token, in the words of its maker.
    pub name: String,
}

/// A token to be stored.
#[derive(Clone, Copy, Debug)]
pub struct NewApiToken<'a> {
    pub name: &'a str,
    pub scope: TokenScope,
    /// The hash of the token, which itself is not stored.
    pub hash: &'a str,
    pub expires_at: Option<Timestamp>,
}

/// A token as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiToken {
    pub id: Uuid,
    /// The purpose of the token, in the words of its maker.
    pub name: String,
    pub scope: TokenScope,
    pub created_at: Timestamp,
    /// The time from which it opens nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// The last use, to [`USE_NOTED_EVERY`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl Store {
    /// Stores a new token; `None` if the tenant has `TOKENS_MAX` tokens that hold.
    pub async fn add_api_token(&self, tenant: TenantId, new: NewApiToken<'_>) -> Result<Option<Uuid>, StoreError> {
        let id: Id<noun::Token> = self.ids().next();
        let now = self.clock().now().unix_us();
        let txn = begin(&self.write).await?;
        let count = "SELECT count(*) FROM api_tokens
            WHERE tenant_id = ? AND revoked_us IS NULL AND (expires_us IS NULL OR expires_us > ?)";
        let row = sql::query_one(&txn, count, vec![tenant.uuid().into(), now.into()]).await?;
        if row.map(|row| row.try_get_by_index::<i64>(0)).transpose()?.unwrap_or_default() >= TOKENS_MAX {
            return Ok(None);
        }
        let values: Vec<Value> = vec![
            id.uuid().into(),
            tenant.uuid().into(),
            new.name.into(),
            new.scope.as_str().into(),
            new.hash.into(),
            now.into(),
            new.expires_at.map(Timestamp::unix_us).into(),
        ];
        let insert = "INSERT INTO api_tokens (id, tenant_id, name, scope, hash, created_us, expires_us)
            VALUES (?, ?, ?, ?, ?, ?, ?)";
        sql::execute(&txn, insert, values).await?;
        txn.commit().await?;
        Ok(Some(id.uuid()))
    }

    /// Finds what a token opens by its hash, unless it is revoked or has expired. Notes the use.
    pub async fn api_token_grant(&self, hash: &str) -> Result<Option<ApiTokenGrant>, StoreError> {
        let now = self.clock().now();
        let text = "SELECT id, tenant_id, scope, used_us, name FROM api_tokens
            WHERE hash = ? AND revoked_us IS NULL AND (expires_us IS NULL OR expires_us > ?)";
        let Some(row) = sql::query_one(&self.read, text, vec![hash.into(), now.unix_us().into()]).await? else {
            return Ok(None);
        };
        let id: Uuid = row.try_get_by_index(0)?;
        let used: Option<i64> = row.try_get_by_index(3)?;
        if used.is_none_or(|used| now.since(Timestamp::from_unix_us(used)) >= USE_NOTED_EVERY) {
            self.note_use(id, now).await;
        }
        let scope: String = row.try_get_by_index(2)?;
        let tenant = TenantId::new(row.try_get_by_index(1)?);
        let name = row.try_get_by_index(4)?;
        Ok(Some(ApiTokenGrant { id, tenant, scope: TokenScope::from_stored(&scope), name }))
    }

    /// Notes the use of a token. A request is served although it cannot be noted.
    async fn note_use(&self, id: Uuid, now: Timestamp) {
        let text = "UPDATE api_tokens SET used_us = ? WHERE id = ?";
        if let Err(error) = sql::execute(&self.write, text, vec![now.unix_us().into(), id.into()]).await {
            tracing::warn!(%error, "the use of a token could not be noted");
        }
    }

    /// Lists a tenant's tokens, including revoked ones, the oldest first.
    pub async fn api_tokens(&self, tenant: TenantId) -> Result<Vec<ApiToken>, StoreError> {
        let text = "SELECT id, name, created_us, revoked_us, scope, expires_us, used_us FROM api_tokens
            WHERE tenant_id = ? ORDER BY created_us, id";
        let rows = sql::query(&self.read, text, vec![tenant.uuid().into()]).await?;
        let read = |row: &sea_orm::QueryResult| {
            let at =
                |index| Ok::<_, StoreError>(row.try_get_by_index::<Option<i64>>(index)?.map(Timestamp::from_unix_us));
            Ok(ApiToken {
                id: row.try_get_by_index(0)?,
                name: row.try_get_by_index(1)?,
                scope: TokenScope::from_stored(&row.try_get_by_index::<String>(4)?),
                created_at: Timestamp::from_unix_us(row.try_get_by_index(2)?),
                expires_at: at(5)?,
                used_at: at(6)?,
                revoked_at: at(3)?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Revokes a token; `false` if the tenant has no such valid token.
    pub async fn revoke_api_token(&self, tenant: TenantId, id: Uuid) -> Result<bool, StoreError> {
        let txn = begin(&self.write).await?;
        let now = self.clock().now().unix_us();
        let text = "UPDATE api_tokens SET revoked_us = ? WHERE id = ? AND tenant_id = ? AND revoked_us IS NULL";
        let changed = sql::execute(&txn, text, vec![now.into(), id.into(), tenant.uuid().into()]).await?;
        txn.commit().await?;
        Ok(changed > 0)
    }
}
