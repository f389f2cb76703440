//! Exports the rows of a tenant from one database, and imports them into another.
//!
//! A tenant has the slug `import/…` until its import is complete. Until then no directory lists it, no URL names it,
//! and nothing is decided or sent for it.

use futures_util::TryStreamExt;
use sea_orm::{
    AccessMode, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel, IsolationLevel, QueryFilter,
    SqliteTransactionMode, StreamTrait, TransactionOptions, Value,
};
use serde_json::Value as Json;
use uuid::Uuid;

use super::tables::TABLES;
use crate::domain::TenantId;
use crate::store::db::sql;
use crate::store::db::sql::{Cut, Txn, begin};
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::rows::table::{Holds, Table};
use crate::store::rows::{sender, tenant};
use crate::store::tables::tenants::IMPORTING;
use crate::store::tables::{campaigns, ordering_keys, tenants, timers};

/// The columns of identities that hold text.
const TEXTS: [&str; 4] = ["peer_key", "channel", "sender", "rule"];
/// Rows that one transaction removes.
const REMOVE_ROWS: usize = 500;

/// The database at one moment. On SQLite its log cannot be restarted while a snapshot exists.
pub struct Snapshot(DatabaseTransaction);

impl Store {
    pub async fn freeze(&self) -> Result<Snapshot, StoreError> {
        let options = if self.is_sqlite() {
            TransactionOptions {
                isolation_level: None,
                access_mode: None,
                sqlite_transaction_mode: Some(SqliteTransactionMode::Deferred),
            }
        } else {
            TransactionOptions {
                isolation_level: Some(IsolationLevel::RepeatableRead),
                access_mode: Some(AccessMode::ReadOnly),
                sqlite_transaction_mode: None,
            }
        };
        Ok(Snapshot(self.read.begin(options).await?))
    }

    /// Begins the import of a tenant: stores its row under a hidden slug. `wanted` is its final slug.
    pub async fn begin_import(&self, mut row: tenant::Model, wanted: &str) -> Result<(), StoreError> {
        row.slug = format!("{IMPORTING}{wanted}");
        let txn = begin(&self.write).await?;
        if tenant::Entity::find().filter(tenant::Column::Slug.eq(&row.slug)).one(&txn).await?.is_some() {
            return Err(StoreError::Taken(format!(
                "'{wanted}' (by an import that has not ended: if it has died, say --restart)"
            )));
        }
        if let Some(same) = tenant::Entity::find_by_id(row.id).one(&txn).await? {
            return Err(StoreError::Taken(format!("the tenant's id, {} ('{}'),", row.id, same.slug)));
        }
        may_become(&txn, wanted).await?;
        tenant::Entity::insert(row.into_active_model()).exec_without_returning(&txn).await?;
        Ok(txn.commit().await?)
    }

    /// Checks that a tenant with this id, slug and senders can be imported now.
    pub async fn could_import(&self, id: Uuid, wanted: &str, senders: &[sender::Model]) -> Result<(), StoreError> {
        if let Some(same) = tenant::Entity::find_by_id(id).one(&self.read).await? {
            return Err(StoreError::Taken(format!("the tenant's id, {id} ('{}'),", same.slug)));
        }
        may_become(&self.read, wanted).await?;
        senders_are_free(&self.read, senders).await
    }

    /// Stores rows of a tenant that is being imported, in one transaction. The rows that they refer to must be the
    /// tenant's.
    pub async fn import_rows(&self, table: &Table, tenant: TenantId, rows: Vec<Vec<Value>>) -> Result<(), StoreError> {
        let txn = begin(&self.write).await?;
        for (index, column) in table.columns.iter().enumerate() {
            if let Holds::Of(other) | Holds::MaybeOf(other) = column.holds {
                let named = rows.iter().map(|row| &row[index]).filter(|id| !matches!(id, Value::Uuid(None)));
                all_there(&txn, tenant, other, column.name, named.cloned().collect()).await?;
            }
        }
        let of_tenant = |row: Vec<Value>| std::iter::once(tenant.uuid().into()).chain(row);
        let values = rows.into_iter().flat_map(of_tenant).collect();
        txn.rows(&table.insert(), table.width(), Cut::Exact, values).await.map_err(taken)?;
        Txn::commit(txn).await
    }

    /// Completes an import: the tenant gets its slug and its senders, and running servers are notified. An empty tenant
    /// with that slug is removed.
    pub async fn finish_import(&self, id: TenantId, slug: &str, senders: Vec<sender::Model>) -> Result<(), StoreError> {
        let txn = begin(&self.write).await?;
        may_become(&txn, slug).await?;
        senders_are_free(&txn, &senders).await?;
        sql::execute(&txn, "DELETE FROM tenants WHERE slug = ?", vec![slug.into()]).await?;
        sql::execute(&txn, "UPDATE tenants SET slug = ? WHERE id = ?", vec![slug.into(), id.uuid().into()]).await?;
        for sender in senders {
            sender::Entity::insert(sender.into_active_model()).exec_without_returning(&txn).await?;
        }
        timers::hang_all(&txn, id).await?;
        ordering_keys::promote_all(&txn, &self.context, id).await?;
        campaigns::recount(&txn, id).await?;
        tenants::bump(&txn).await?;
        Ok(txn.commit().await?)
    }

    /// Removes a tenant whose import is incomplete, in small steps; `false` if there is none with this slug.
    pub async fn undo_import(&self, wanted: &str) -> Result<bool, StoreError> {
        let slug = format!("{IMPORTING}{wanted}");
        let row = tenant::Entity::find().filter(tenant::Column::Slug.eq(slug)).one(&self.read).await?;
        let Some(row) = row else { return Ok(false) };
        // A table is emptied before the tables that its rows refer to.
        for table in TABLES.iter().rev() {
            while self.remove_some(table, TenantId::new(row.id)).await? > 0 {}
        }
        let txn = begin(&self.write).await?;
        sql::execute(&txn, "DELETE FROM tenants WHERE id = ?", vec![row.id.into()]).await?;
        txn.commit().await?;
        Ok(true)
    }

    async fn remove_some(&self, table: &Table, tenant: TenantId) -> Result<u64, StoreError> {
        let (name, key) = (table.name, table.order.join(", "));
        let txn = begin(&self.write).await?;
        let removed = sql::execute(
            &txn,
            &format!(
                "DELETE FROM {name} WHERE tenant_id = ? AND ({key}) IN
                   (SELECT {key} FROM {name} WHERE tenant_id = ? LIMIT {REMOVE_ROWS})"
            ),
            vec![tenant.uuid().into(), tenant.uuid().into()],
        )
        .await?;
        txn.commit().await?;
        Ok(removed)
    }
}

impl Snapshot {
    pub async fn tenant(&self, slug: &str) -> Result<Option<tenant::Model>, StoreError> {
        Ok(tenant::Entity::find().filter(tenant::Column::Slug.eq(slug)).one(&self.0).await?)
    }

    /// Gives each row of a table as an object, one at a time, in the order of its identity.
    pub async fn each_row<E: From<StoreError>>(
        &self,
        table: &Table,
        tenant: TenantId,
        mut give: impl FnMut(Json) -> Result<(), E>,
    ) -> Result<u64, E> {
        let backend = StreamTrait::get_database_backend(&self.0);
        let postgres = backend == sea_orm::DatabaseBackend::Postgres;
        let by_id = table.order.iter().all(|column| !TEXTS.contains(column));
        // Text is in the order of its bytes, as on SQLite. There `+` makes the planner use the primary key. With
        // another index it would sort all rows in memory.
        let order = table.order.iter().map(|column| {
            if postgres && TEXTS.contains(column) { format!("{column} COLLATE \"C\"") } else { (*column).to_owned() }
        });
        let order = order.collect::<Vec<_>>().join(", ");
        let plus = if postgres || !by_id { "" } else { "+" };
        let text =
            format!("SELECT {} FROM {} WHERE {plus}tenant_id = ? ORDER BY {order}", table.column_list(), table.name);
        let statement = sql::statement(backend, &text, vec![tenant.uuid().into()]);
        let mut rows = self.0.stream_raw(statement).await.map_err(StoreError::from)?;
        let mut count = 0;
        while let Some(row) = rows.try_next().await.map_err(StoreError::from)? {
            give(table.object(&row)?)?;
            count += 1;
        }
        Ok(count)
    }
}

/// Checks that a slug is free, or that its tenant is empty: without account, senders, customers, messages, events and
/// opt-outs.
async fn may_become(db: &impl sea_orm::ConnectionTrait, slug: &str) -> Result<(), StoreError> {
    let row = tenant::Entity::find().filter(tenant::Column::Slug.eq(slug)).one(db).await?;
    let Some(row) = row else { return Ok(()) };
    let mut empty = row.account_sid.is_none();
    for table in ["senders", "contacts", "messages", "events", "opt_outs"] {
        let text = format!("SELECT 1 FROM {table} WHERE tenant_id = ? LIMIT 1");
        empty &= sql::query_one(db, &text, vec![row.id.into()]).await?.is_none();
    }
    if empty { Ok(()) } else { Err(StoreError::Taken(format!("the slug '{slug}', by a tenant that is not empty,"))) }
}

async fn senders_are_free(db: &impl sea_orm::ConnectionTrait, senders: &[sender::Model]) -> Result<(), StoreError> {
    for sender in senders {
        let holder = sender::Entity::find()
            .filter(sender::Column::Channel.eq(&sender.channel))
            .filter(sender::Column::Number.eq(&sender.number))
            .one(db)
            .await?;
        if let Some(holder) = holder {
            let owner = tenant::Entity::find_by_id(holder.tenant_id).one(db).await?;
            let owner = owner.map(|owner| owner.slug).unwrap_or_default();
            return Err(StoreError::Taken(format!("{} {}, by the tenant '{owner}',", sender.channel, sender.number)));
        }
    }
    Ok(())
}

async fn all_there(
    txn: &impl Txn,
    tenant: TenantId,
    table: &str,
    column: &str,
    mut ids: Vec<Value>,
) -> Result<(), StoreError> {
    let key = |id: &Value| match id {
        Value::Uuid(Some(id)) => *id,
        _ => Uuid::nil(),
    };
    ids.sort_by_key(key);
    ids.dedup();
    let text = format!("SELECT id FROM {table} WHERE tenant_id = ? AND id IN ({{list}})");
    let wanted = ids.clone();
    let mut there = txn.query_in(&text, &[tenant.uuid().into()], ids, |row| row.get::<Uuid>(0)).await?;
    there.sort();
    there.dedup();
    match wanted.iter().map(key).find(|id| there.binary_search(id).is_err()) {
        None => Ok(()),
        Some(id) => Err(StoreError::Setup(format!("'{column}' names {id}, which the tenant does not have"))),
    }
}

fn taken(error: StoreError) -> StoreError {
    match error {
        StoreError::Other(text) if text.contains("UNIQUE constraint") || text.contains("duplicate key") => {
            StoreError::Taken("the identity of a row (ids are kept, and each is there once)".to_owned())
        }
        error => error,
    }
}
