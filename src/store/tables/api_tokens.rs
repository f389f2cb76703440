//! Tokens of the REST API. Only their hashes are stored.

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

/// A token as lists show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiToken {
    pub id: Uuid,
    /// The purpose of the token, in the words of its maker.
    pub name: String,
    pub scope: TokenScope,
    pub created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

impl Store {
    /// Stores the hash of a new token; `None` if the tenant has `TOKENS_MAX` tokens.
    pub async fn add_api_token(
        &self,
        tenant: TenantId,
        name: &str,
        scope: TokenScope,
        hash: &str,
    ) -> Result<Option<Uuid>, StoreError> {
        let id: Id<noun::Token> = self.ids().next();
        let txn = begin(&self.write).await?;
        let count = "SELECT count(*) FROM api_tokens WHERE tenant_id = ? AND revoked_us IS NULL";
        let row = sql::query_one(&txn, count, vec![tenant.uuid().into()]).await?;
        if row.map(|row| row.try_get_by_index::<i64>(0)).transpose()?.unwrap_or_default() >= TOKENS_MAX {
            return Ok(None);
        }
        let values: Vec<Value> = vec![
            id.uuid().into(),
            tenant.uuid().into(),
            name.into(),
            scope.as_str().into(),
            hash.into(),
            self.clock().now().unix_us().into(),
        ];
        let insert = "INSERT INTO api_tokens (id, tenant_id, name, scope, hash, created_us) VALUES (?, ?, ?, ?, ?, ?)";
        sql::execute(&txn, insert, values).await?;
        txn.commit().await?;
        Ok(Some(id.uuid()))
    }

    /// Finds the tenant and the scope of a token by its hash, unless the token is revoked.
    pub async fn api_token_owner(&self, hash: &str) -> Result<Option<(TenantId, TokenScope)>, StoreError> {
        let text = "SELECT tenant_id, scope FROM api_tokens WHERE hash = ? AND revoked_us IS NULL";
        let row = sql::query_one(&self.read, text, vec![hash.into()]).await?;
        row.map(|row| {
            let scope: String = row.try_get_by_index(1)?;
            Ok((TenantId::new(row.try_get_by_index(0)?), TokenScope::from_stored(&scope)))
        })
        .transpose()
    }

    /// Lists a tenant's tokens, including revoked ones, the oldest first.
    pub async fn api_tokens(&self, tenant: TenantId) -> Result<Vec<ApiToken>, StoreError> {
        let text = "SELECT id, name, created_us, revoked_us, scope FROM api_tokens WHERE tenant_id = ? ORDER BY created_us, id";
        let rows = sql::query(&self.read, text, vec![tenant.uuid().into()]).await?;
        let read = |row: &sea_orm::QueryResult| {
            let revoked: Option<i64> = row.try_get_by_index(3)?;
            Ok(ApiToken {
                id: row.try_get_by_index(0)?,
                name: row.try_get_by_index(1)?,
                scope: TokenScope::from_stored(&row.try_get_by_index::<String>(4)?),
                created_at: Timestamp::from_unix_us(row.try_get_by_index(2)?),
                revoked_at: revoked.map(Timestamp::from_unix_us),
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
