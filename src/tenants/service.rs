//! The one way in which a tenant is changed: by commands, by the API, and by features that keep settings of their own.
//!
//! A change is applied to the tenant's row as it is at the moment of writing, in one transaction. Two changes at once
//! are both kept, and a refused change changes nothing.

use secrecy::SecretString;

use super::change::{AccountChange, Blueprints, ChangeContext, SenderChange, SettingsError, TenantChange};
use super::settings::TenantSettings;
use super::{Directory, Tenant, sealed_as};
use crate::config::secret::{SealError, SecretKey};
use crate::domain::TenantId;
use crate::store::rows::{sender, tenant};
use crate::store::{Store, StoreError, StoredTenant};

/// Changes tenants.
#[derive(Clone, Copy)]
pub struct TenantService<'a> {
    pub store: &'a Store,
    pub directory: &'a Directory,
}

/// The treatment of a removal without effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// A person at the command line has mistyped something.
    IsError,
    /// A program repeats a request, and gets the same result.
    IsFine,
}

impl TenantService<'_> {
    /// Applies a change; returns whether it changed anything.
    pub async fn apply(
        &self,
        tenant: &Tenant,
        change: &TenantChange,
        blueprints: &Blueprints,
        missing: Missing,
    ) -> Result<bool, SettingsError> {
        self.senders_are_free(tenant, &change.senders)?;
        let context = ChangeContext {
            slug: &tenant.slug,
            platform: self.directory.platform(),
            blueprints,
            strict: missing == Missing::IsError,
        };
        let applied = self.store.change_tenant(tenant.id, |stored| {
            let before = stored.clone();
            apply_columns(change, &mut stored.row);
            edit(&mut stored.row, |settings| change.apply_settings(settings, &context))?;
            self.apply_senders(&change.senders, stored, &tenant.slug)?;
            if let Some(account) = &change.account {
                apply_account(account, &mut stored.row, self.directory.key())?;
            }
            Ok::<_, SettingsError>(*stored != before)
        });
        let changed = applied.await?.ok_or_else(|| SettingsError::NoTenant(tenant.slug.clone()))?;
        self.directory.refresh().await?;
        Ok(changed)
    }

    /// Changes the settings in a way of the caller's own.
    ///
    /// `None`: the tenant was just removed. An error of `change` changes nothing.
    pub async fn edit_settings<T, E: From<StoreError>>(
        &self,
        tenant: TenantId,
        change: impl FnOnce(&mut TenantSettings) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        let made = self.store.change_tenant(tenant, |stored| edit(&mut stored.row, change)).await?;
        self.directory.refresh().await?;
        Ok(made)
    }

    /// A number has one owner.
    fn senders_are_free(&self, tenant: &Tenant, change: &SenderChange) -> Result<(), SettingsError> {
        let snapshot = self.directory.now();
        for (channel, number) in &change.add {
            if let Some(owner) = snapshot.owner(*channel, number).filter(|owner| owner.id != tenant.id) {
                let (channel, number, owner) = (*channel, number.clone(), owner.slug.clone());
                return Err(SettingsError::SenderTaken { channel, number, owner });
            }
        }
        Ok(())
    }

    fn apply_senders(&self, change: &SenderChange, stored: &mut StoredTenant, slug: &str) -> Result<(), SettingsError> {
        let StoredTenant { row, senders } = stored;
        for number in &change.remove {
            let before = senders.len();
            senders.retain(|sender| sender.number != *number);
            if senders.len() == before {
                return Err(SettingsError::NoSender { slug: slug.to_owned(), number: number.clone() });
            }
        }
        let is_added = |sender: &sender::Model| {
            change.add.iter().any(|(channel, number)| sender.channel == channel.as_str() && sender.number == *number)
        };
        for (channel, number) in &change.add {
            if senders.iter().any(|sender| sender.channel == channel.as_str() && sender.number == *number) {
                continue;
            }
            let id: TenantId = self.store.ids().next();
            senders.push(sender::Model {
                id: id.uuid(),
                tenant_id: row.id,
                channel: channel.to_string(),
                number: number.clone(),
                base_url: None,
                created_us: self.store.clock().now().unix_us(),
            });
        }
        let Some(base_url) = &change.base_url else { return Ok(()) };
        if senders.is_empty() {
            return Err(SettingsError::NoSenderForBase(slug.to_owned()));
        }
        for sender in senders.iter_mut().filter(|sender| change.add.is_empty() || is_added(sender)) {
            sender.base_url = Some(base_url.clone());
        }
        Ok(())
    }
}

fn apply_columns(change: &TenantChange, row: &mut tenant::Model) {
    if let Some(name) = &change.name {
        row.name.clone_from(name);
    }
    if let Some(zone) = &change.zone {
        zone.name().clone_into(&mut row.zone);
    }
    if let Some(language) = &change.language {
        row.language.clone_from(language);
    }
}

/// Reads the settings of a row, changes them, and writes them back where they differ.
fn edit<T, E: From<StoreError>>(
    row: &mut tenant::Model,
    change: impl FnOnce(&mut TenantSettings) -> Result<T, E>,
) -> Result<T, E> {
    let unreadable = |error: serde_json::Error| StoreError::Stored(format!("settings of '{}': {error}", row.slug));
    let before = TenantSettings::read(&row.settings).map_err(unreadable)?;
    let mut settings = before.clone();
    let made = change(&mut settings)?;
    if settings != before {
        row.settings = settings.to_text().map_err(unreadable)?;
    }
    Ok(made)
}

fn apply_account(change: &AccountChange, row: &mut tenant::Model, key: &SecretKey) -> Result<(), SettingsError> {
    match change {
        AccountChange::Set { sid, token, keep_old } => {
            let old = old_token(row, sid, key).filter(|_| *keep_old);
            if *keep_old && old.is_none() {
                return Err(SettingsError::NoOldToken { slug: row.slug.clone(), sid: sid.clone() });
            }
            row.auth_token = Some(seal(key, row, token, "auth_token")?);
            // A new first token ends a rotation, unless the old one goes on being accepted.
            row.auth_token_secondary = old.map(|old| seal(key, row, &old, "auth_token_secondary")).transpose()?;
            row.account_sid = Some(sid.clone());
        }
        AccountChange::SetSecondary { sid, token } => match &row.account_sid {
            Some(present) if present == sid => {
                row.auth_token_secondary = Some(seal(key, row, token, "auth_token_secondary")?);
            }
            Some(_) => return Err(SettingsError::AccountChanged(row.slug.clone())),
            None => return Err(SettingsError::NoAccountForSecondary(row.slug.clone())),
        },
        AccountChange::Remove => (row.account_sid, row.auth_token, row.auth_token_secondary) = (None, None, None),
        AccountChange::RemoveSecondary => row.auth_token_secondary = None,
    }
    Ok(())
}

/// Returns the first readable token of the row, if the account is this one.
fn old_token(row: &tenant::Model, sid: &str, key: &SecretKey) -> Option<SecretString> {
    if row.account_sid.as_deref() != Some(sid) {
        return None;
    }
    let columns = [("auth_token", &row.auth_token), ("auth_token_secondary", &row.auth_token_secondary)];
    columns.into_iter().find_map(|(column, sealed)| key.open(sealed.as_ref()?, &sealed_as(row.id, column)).ok())
}

fn seal(key: &SecretKey, row: &tenant::Model, token: &SecretString, column: &str) -> Result<String, SealError> {
    key.seal(token, &sealed_as(row.id, column))
}
