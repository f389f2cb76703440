//! The directory: all tenants, senders and accounts, held in memory and read again when the database has changed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono_tz::Tz;
use parking_lot::RwLock;

use super::{Account, DEMO_SLUG, Platform, Sender, Tenant, TenantSettings, new_tenant, sealed_as};
use crate::config::secret::SecretKey;
use crate::domain::contact::TenantFacts;
use crate::domain::{Channel, Phone, TenantId};
use crate::store::rows::tenant;
use crate::store::{Store, StoreError};
use crate::time::WeeklyHours;

/// All tenants at one moment.
#[derive(Debug, Default)]
pub struct Snapshot {
    version: u64,
    by_id: HashMap<TenantId, Arc<Tenant>>,
    by_slug: HashMap<String, Arc<Tenant>>,
    /// By channel and the folded number, or the Messaging Service's SID.
    by_number: HashMap<(Channel, String), Arc<Tenant>>,
    platform_numbers: HashSet<(Channel, String)>,
}

impl Snapshot {
    pub fn by_id(&self, id: TenantId) -> Option<&Arc<Tenant>> {
        self.by_id.get(&id)
    }

    pub fn by_slug(&self, slug: &str) -> Option<&Arc<Tenant>> {
        self.by_slug.get(slug)
    }

    /// The tenant that has this number (E.164) or Messaging Service as its own sender. The platform's senders have none.
    pub fn owner(&self, channel: Channel, number: &str) -> Option<&Arc<Tenant>> {
        self.by_number.get(&(channel, number_key(number)))
    }

    /// The tenant of a message to this number where the URL names none: the owner, or `demo` for the platform's numbers.
    pub fn by_number(&self, channel: Channel, number: &str) -> Option<&Arc<Tenant>> {
        let is_platforms = || self.platform_numbers.contains(&(channel, number_key(number)));
        self.owner(channel, number).or_else(|| self.by_slug.get(DEMO_SLUG).filter(|_| is_platforms()))
    }

    /// Returns the tenant that owns this account. The platform's account has no owner.
    pub fn by_own_account(&self, sid: &str) -> Option<&Arc<Tenant>> {
        let mut owners = self.by_id.values().filter(|tenant| tenant.owns_account && tenant.account.sid == sid);
        owners.next().filter(|_| owners.next().is_none())
    }

    pub fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.by_id.values()
    }
}

/// All tenants, as the database last had them.
pub struct Directory {
    store: Store,
    key: SecretKey,
    platform: Platform,
    current: RwLock<Arc<Snapshot>>,
}

impl Directory {
    /// Reads all tenants. Adds `demo` if there are none.
    pub async fn open(store: Store, key: SecretKey, platform: Platform) -> Result<Self, StoreError> {
        let directory = Self { store, key, platform, current: RwLock::default() };
        let (_, tenants, _) = directory.store.directory().await?;
        if tenants.is_empty() {
            let demo = new_tenant(&directory.store, DEMO_SLUG, "Demo");
            match directory.store.add_tenant(demo).await {
                // Another process may have added it meanwhile.
                Ok(()) | Err(StoreError::Taken(_)) => {}
                Err(error) => return Err(error),
            }
        }
        directory.reload().await?;
        Ok(directory)
    }

    /// The tenants as they were last read.
    pub fn now(&self) -> Arc<Snapshot> {
        self.current.read().clone()
    }

    pub const fn platform(&self) -> &Platform {
        &self.platform
    }

    pub const fn key(&self) -> &SecretKey {
        &self.key
    }

    /// Reads the tenants again if they have changed.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        if self.store.directory_version().await? == self.now().version { Ok(()) } else { self.reload().await }
    }

    async fn reload(&self) -> Result<(), StoreError> {
        let (version, tenants, senders) = self.store.directory().await?;
        let mut own: HashMap<uuid::Uuid, Vec<Sender>> = HashMap::new();
        for sender in senders {
            // One row that cannot be read does not stop the others: a newer version may know more channels.
            let Ok(channel) = sender.channel.parse() else {
                tracing::warn!(channel = sender.channel, "this version does not know the channel of a sender");
                continue;
            };
            let entry = Sender { channel, number: sender.number, base_url: sender.base_url };
            own.entry(sender.tenant_id).or_default().push(entry);
        }
        let mut snapshot = Snapshot { version, ..Snapshot::default() };
        for row in tenants {
            let senders = own.remove(&row.id).unwrap_or_default();
            let id = TenantId::new(row.id);
            let tenant = match self.tenant(row, senders) {
                Ok(tenant) => Arc::new(tenant),
                // One row that cannot be read does not stop the others.
                Err(error) => {
                    tracing::error!(%error, tenant = %id, "this tenant's change does not hold");
                    let Some(before) = self.now().by_id(id).cloned() else { continue };
                    before
                }
            };
            for sender in &tenant.senders {
                snapshot.by_number.insert((sender.channel, number_key(&sender.number)), tenant.clone());
            }
            snapshot.by_slug.insert(tenant.slug.clone(), tenant.clone());
            snapshot.by_id.insert(tenant.id, tenant);
        }
        let platform = &self.platform;
        let numbers = [
            (Channel::Sms, platform.from_number.as_ref().map(Phone::key)),
            (Channel::WhatsApp, platform.whatsapp_number.as_ref().map(Phone::key)),
            (Channel::Sms, platform.messaging_service_sid.clone()),
            (Channel::WhatsApp, platform.messaging_service_sid.clone()),
        ];
        snapshot.platform_numbers =
            numbers.into_iter().filter_map(|(channel, number)| Some((channel, number?))).collect();
        *self.current.write() = Arc::new(snapshot);
        Ok(())
    }

    fn tenant(&self, row: tenant::Model, senders: Vec<Sender>) -> Result<Tenant, StoreError> {
        let stored = |what: &str, error: &dyn std::fmt::Display| {
            StoreError::Stored(format!("{what} of tenant '{}': {error}", row.slug))
        };
        let mut tokens = Vec::new();
        for (column, sealed) in [("auth_token", &row.auth_token), ("auth_token_secondary", &row.auth_token_secondary)] {
            if let Some(sealed) = sealed {
                match self.key.open(sealed, &sealed_as(row.id, column)) {
                    Ok(token) => tokens.push(token),
                    Err(error) => {
                        tracing::error!(tenant = %row.slug, column, %error,
                            "without this token webhooks are refused, and sends wait");
                    }
                }
            }
        }
        // The account stays the tenant's own without a token that opens, as after an import: the platform's account
        // would send in another's name.
        let owns_account = row.account_sid.is_some();
        let account = match row.account_sid.clone() {
            Some(sid) if owns_account => Arc::new(Account { sid, tokens }),
            _ => self.platform.account.clone(),
        };
        let zone: Tz = row.zone.parse().map_err(|error| stored("zone", &error))?;
        let settings = TenantSettings::read(&row.settings).map_err(|error| stored("settings", &error))?;
        let facts = TenantFacts {
            id: TenantId::new(row.id),
            slug: row.slug.clone(),
            name: row.name.clone(),
            zone: zone.name().to_owned(),
            language: row.language.clone(),
            blueprints: settings.blueprints.clone(),
            senders: senders.iter().map(|sender| sender.channel).collect(),
            staff_emails: settings.staff_emails.clone(),
            hours: settings.hours.as_ref().map_or_else(String::new, WeeklyHours::to_string),
        };
        Ok(Tenant {
            id: TenantId::new(row.id),
            zone,
            settings,
            facts,
            slug: row.slug,
            name: row.name,
            language: row.language,
            account,
            owns_account,
            senders,
        })
    }
}

/// The key under which a sender is found: all forms of a number have the same. A Messaging Service is its own key.
fn number_key(number: &str) -> String {
    Phone::parse(number).map_or_else(|_| number.to_owned(), |phone| phone.key())
}
