//! Tenants and their senders, and the counter that makes running servers read them again.

use sea_orm::{
    ActiveModelTrait, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder, QuerySelect,
    Set,
};
use uuid::Uuid;

use crate::domain::TenantId;
use crate::store::db::sql;
use crate::store::db::sql::begin;
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::rows::{sender, setting, tenant};

/// The prefix of the slug of a tenant whose import is incomplete. No other slug has a slash.
pub(in crate::store) const IMPORTING: &str = "import/";
/// Counts the changes to tenants and senders.
const DIRECTORY_VERSION: &str = "directory_version";

/// A tenant's row with its senders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredTenant {
    pub row: tenant::Model,
    pub senders: Vec<sender::Model>,
}

impl Store {
    /// Reads all tenants and senders with the directory's version, for the in-memory directory. It is the only query
    /// over all tenants' settings. A tenant that is being imported is left out.
    pub async fn directory(&self) -> Result<(u64, Vec<tenant::Model>, Vec<sender::Model>), StoreError> {
        let version = self.directory_version().await?;
        let whole = tenant::Column::Slug.not_like(format!("{IMPORTING}%"));
        let tenants = tenant::Entity::find().filter(whole).order_by_asc(tenant::Column::Slug).all(&self.read).await?;
        let senders = sender::Entity::find().order_by_asc(sender::Column::CreatedUs).all(&self.read).await?;
        Ok((version, tenants, senders))
    }

    /// The directory's version. It rises with every change of tenants or senders.
    pub async fn directory_version(&self) -> Result<u64, StoreError> {
        Ok(self.setting(DIRECTORY_VERSION).await?.and_then(|value| value.parse().ok()).unwrap_or_default())
    }

    /// Adds a tenant. If the slug is taken, the error says so.
    pub async fn add_tenant(&self, new: tenant::Model) -> Result<(), StoreError> {
        let slug = new.slug.clone();
        let txn = begin(&self.write).await?;
        match tenant::Entity::insert(new.into_active_model()).exec_without_returning(&txn).await {
            Ok(_) => {}
            Err(error) if is_unique_violation(&error) => return Err(StoreError::Taken(format!("the slug '{slug}'"))),
            Err(error) => return Err(error.into()),
        }
        bump(&txn).await?;
        Ok(txn.commit().await?)
    }

    /// Changes a tenant's row and senders in one transaction.
    ///
    /// `change` edits both as they are now; if it fails, nothing changes. Gives `None` if there is no such tenant. A
    /// new sender that belongs to another tenant is refused.
    pub async fn change_tenant<T, E: From<StoreError>>(
        &self,
        tenant: TenantId,
        change: impl FnOnce(&mut StoredTenant) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        let txn = begin(&self.write).await?;
        let found = tenant::Entity::find_by_id(tenant.uuid()).lock_exclusive().one(&txn).await;
        let Some(row) = found.map_err(StoreError::from)? else { return Ok(None) };
        let senders = sender::Entity::find()
            .filter(sender::Column::TenantId.eq(tenant.uuid()))
            .order_by_asc(sender::Column::CreatedUs)
            .all(&txn)
            .await
            .map_err(StoreError::from)?;
        let before = StoredTenant { row, senders };
        let mut after = before.clone();
        let made = change(&mut after)?;
        if after != before {
            write_changes(&txn, before, after).await?;
            bump(&txn).await?;
        }
        txn.commit().await.map_err(StoreError::from)?;
        Ok(Some(made))
    }

    /// Adds a sender to a tenant. A sender of another tenant is refused.
    pub async fn add_sender(&self, new: sender::Model) -> Result<(), StoreError> {
        let txn = begin(&self.write).await?;
        put_sender(&txn, new).await?;
        bump(&txn).await?;
        Ok(txn.commit().await?)
    }

    /// Removes a sender from a tenant; `false` if the tenant does not have it.
    pub async fn remove_sender(&self, tenant: Uuid, channel: &str, number: &str) -> Result<bool, StoreError> {
        let txn = begin(&self.write).await?;
        let removed = sender::Entity::delete_many()
            .filter(sender::Column::TenantId.eq(tenant))
            .filter(sender::Column::Channel.eq(channel))
            .filter(sender::Column::Number.eq(number))
            .exec(&txn)
            .await?;
        bump(&txn).await?;
        txn.commit().await?;
        Ok(removed.rows_affected > 0)
    }

    /// Reads a named value of the installation.
    pub async fn setting(&self, name: &str) -> Result<Option<String>, StoreError> {
        Ok(setting::Entity::find_by_id(name).one(&self.read).await?.map(|row| row.value))
    }

    /// Sets a value that is not set yet. Gives the stored value.
    pub async fn set_setting_once(&self, name: &str, value: &str) -> Result<String, StoreError> {
        let txn = begin(&self.write).await?;
        insert_setting(&txn, name, value, "DO NOTHING").await?;
        let row = sql::query_one(&txn, "SELECT value FROM settings WHERE name = ?", vec![name.into()]).await?;
        txn.commit().await?;
        row.map_or_else(|| Ok(value.to_owned()), |row| Ok(row.try_get_by_index(0)?))
    }

    pub async fn set_setting(&self, name: &str, value: &str) -> Result<(), StoreError> {
        let txn = begin(&self.write).await?;
        put(&txn, name, value).await?;
        Ok(txn.commit().await?)
    }
}

/// Stores the differences between `before` and `after`.
async fn write_changes(db: &impl ConnectionTrait, before: StoredTenant, after: StoredTenant) -> Result<(), StoreError> {
    if after.row != before.row {
        after.row.into_active_model().reset_all().update(db).await?;
    }
    let gone = before.senders.iter().filter(|sender| !after.senders.iter().any(|other| other.id == sender.id));
    let gone: Vec<Uuid> = gone.map(|sender| sender.id).collect();
    if !gone.is_empty() {
        sender::Entity::delete_many().filter(sender::Column::Id.is_in(gone)).exec(db).await?;
    }
    for sender in after.senders {
        if !before.senders.contains(&sender) {
            put_sender(db, sender).await?;
        }
    }
    Ok(())
}

/// Adds a sender, or sets the base URL if the tenant has it.
async fn put_sender(db: &impl ConnectionTrait, new: sender::Model) -> Result<(), StoreError> {
    let holder = sender::Entity::find()
        .filter(sender::Column::Channel.eq(&new.channel))
        .filter(sender::Column::Number.eq(&new.number))
        .one(db)
        .await?;
    match holder {
        Some(holder) if holder.tenant_id != new.tenant_id => {
            return Err(StoreError::Taken(format!("{} {}", new.channel, new.number)));
        }
        Some(holder) => {
            let mut same = holder.into_active_model();
            same.base_url = Set(new.base_url);
            same.update(db).await?;
        }
        None => {
            sender::Entity::insert(new.into_active_model()).exec_without_returning(db).await?;
        }
    }
    Ok(())
}

pub(in crate::store) async fn put(db: &impl ConnectionTrait, name: &str, value: &str) -> Result<(), StoreError> {
    insert_setting(db, name, value, "DO UPDATE SET value = excluded.value").await
}

/// Inserts a named value; `on_conflict` is for a name that is there already.
async fn insert_setting(
    db: &impl ConnectionTrait,
    name: &str,
    value: &str,
    on_conflict: &str,
) -> Result<(), StoreError> {
    let text = format!("INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) {on_conflict}");
    sql::execute(db, &text, vec![name.into(), value.into()]).await?;
    Ok(())
}

/// Counts in one statement, so that two changes at once give two counts.
pub(in crate::store) async fn bump(db: &impl ConnectionTrait) -> Result<(), StoreError> {
    let next = "DO UPDATE SET value = CAST(CAST(settings.value AS bigint) + 1 AS text)";
    insert_setting(db, DIRECTORY_VERSION, "1", next).await
}

fn is_unique_violation(error: &sea_orm::DbErr) -> bool {
    matches!(error.sql_err(), Some(sea_orm::SqlErr::UniqueConstraintViolation(_)))
}
