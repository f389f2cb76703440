//! Who owns what: tenants, senders, accounts. Held in memory, read again when the database says that it has changed.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, RwLock};

use chrono_tz::Tz;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::config::secret::SecretKey;
use crate::domain::contact::TenantFacts;
use crate::domain::{Channel, EmailAddress, Phone, Route, TenantId, VoiceSettings};
use crate::integrations::http_providers::Providers;
use crate::store::rows::tenant;
use crate::store::{Store, StoreError};
use crate::time::{Quiet, QuietRules, WeeklyHours};

/// The tenant that an empty database gets; it owns the platform's numbers for URLs without a slug.
pub const DEMO_SLUG: &str = "demo";

/// What a tenant calls the default way where it routes a prefix.
pub const TWILIO: &str = "twilio";

/// An account at the provider. The first token signs and sends; further ones are accepted while tokens are rotated.
/// None at all: they were sealed under a key that is not the present one, or the tenant was imported without them.
#[derive(Debug)]
pub struct Account {
    pub sid: String,
    pub tokens: Vec<SecretString>,
}

impl Account {
    pub fn exposed_tokens(&self) -> Vec<&str> {
        self.tokens.iter().map(ExposeSecret::expose_secret).collect()
    }
}

/// What the installation itself brings: tenants without an account or a sender use these.
#[derive(Debug)]
pub struct Platform {
    pub account: Arc<Account>,
    pub from_number: Option<Phone>,
    pub whatsapp_number: Option<Phone>,
    pub messaging_service_sid: Option<String>,
    /// The address that e-mail comes from.
    pub mail_from: String,
    /// Besides Twilio.
    pub providers: Providers,
    /// The public base of all webhook URLs.
    pub app_url: String,
    /// When customers are not to hear from businesses that begin by themselves.
    pub quiet: QuietRules,
    /// How many numbers a tenant may own.
    pub numbers_budget: u32,
}

impl Platform {
    fn sender(&self, channel: Channel) -> Option<String> {
        match channel {
            Channel::Voice => self.from_number.as_ref().map(Phone::to_string),
            Channel::Sms => {
                self.messaging_service_sid.clone().or_else(|| self.from_number.as_ref().map(Phone::to_string))
            }
            Channel::WhatsApp => self.whatsapp_number.as_ref().map(Phone::to_string),
            Channel::Email => Some(self.mail_from.clone()),
        }
    }
}

/// What a tenant has chosen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantSettings {
    /// Blueprint rules that are enabled, with their parameters.
    pub blueprints: BTreeMap<String, BTreeMap<String, Json>>,
    /// Names for approved WhatsApp templates: name to Content SID (`HX…`).
    pub templates: BTreeMap<String, String>,
    /// After how many days what happened is removed; `None` for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retain_days: Option<u32>,
    /// Where e-mail to "staff" goes.
    pub staff_emails: Vec<EmailAddress>,
    /// Which numbers' text messages go by which way, where it is not the installation's choice: prefix to `twilio` or a
    /// provider's name.
    pub routes: BTreeMap<String, String>,
    /// Quiet hours that are not the installation's.
    pub quiet: QuietRules,
    /// How calls are answered.
    pub voice: VoiceSettings,
    /// When it is open, holidays among them; `None` where nobody has said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hours: Option<WeeklyHours>,
}

/// A sender of a tenant's own.
#[derive(Clone, Debug)]
pub struct Sender {
    pub channel: Channel,
    /// E.164, or a Messaging Service SID.
    pub number: String,
    pub base_url: Option<String>,
}

#[derive(Debug)]
pub struct Tenant {
    pub id: TenantId,
    pub slug: String,
    pub name: String,
    pub zone: Tz,
    pub language: String,
    /// Its own account, else the platform's.
    pub account: Arc<Account>,
    pub owns_account: bool,
    pub senders: Vec<Sender>,
    pub settings: TenantSettings,
    /// What rules read of the tenant.
    pub facts: TenantFacts,
}

impl Tenant {
    /// What the tenant sends from: its own sender, else the platform's.
    pub fn sender(&self, channel: Channel, platform: &Platform) -> Option<String> {
        let of = |channel| self.senders.iter().find(move |sender| sender.channel == channel);
        // Whose number is written to is rung there, too; a Messaging Service is no number.
        let also = || of(Channel::Sms).filter(|sender| channel == Channel::Voice && sender.number.starts_with('+'));
        let own = of(channel).or_else(also);
        own.map(|sender| sender.number.clone()).or_else(|| platform.sender(channel))
    }

    /// By which way a text message to this number goes: as the tenant has chosen, else as the installation has; of
    /// several prefixes the longest decides.
    pub fn sms_route(&self, platform: &Platform, to: &Phone) -> Route {
        let own = self.settings.routes.iter().filter(|(prefix, _)| to.as_str().starts_with(prefix.as_str()));
        match own.max_by_key(|(prefix, _)| prefix.len()) {
            Some((_, name)) if name == TWILIO => Route::Twilio,
            Some((_, name)) => Route::Provider(name.as_str().into()),
            None => {
                let provider = platform.providers.route(Channel::Sms, to);
                provider.map_or(Route::Twilio, |provider| Route::Provider(provider.name.as_str().into()))
            }
        }
    }

    /// When its customers are not to hear from it.
    pub const fn quiet<'a>(&'a self, platform: &'a Platform) -> Quiet<'a> {
        Quiet { installation: &platform.quiet, tenant: &self.settings.quiet, zone: self.zone }
    }

    /// The public bases under which this tenant's webhooks may have been called.
    pub fn bases<'a>(&'a self, platform: &'a Platform) -> impl Iterator<Item = &'a str> {
        let own = self.senders.iter().filter_map(|sender| sender.base_url.as_deref());
        std::iter::once(platform.app_url.as_str()).chain(own)
    }
}

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

    /// Whose sender a number (E.164) or a Messaging Service is; the platform's own are nobody's.
    pub fn owner(&self, channel: Channel, number: &str) -> Option<&Arc<Tenant>> {
        self.by_number.get(&(channel, number_key(number)))
    }

    /// Whom a message to this number concerns when the URL names nobody: its owner, or `demo` for the platform's numbers.
    pub fn by_number(&self, channel: Channel, number: &str) -> Option<&Arc<Tenant>> {
        let is_platforms = || self.platform_numbers.contains(&(channel, number_key(number)));
        self.owner(channel, number).or_else(|| self.by_slug.get(DEMO_SLUG).filter(|_| is_platforms()))
    }

    /// The one tenant whose own account this is; the platform's account names nobody.
    pub fn by_own_account(&self, sid: &str) -> Option<&Arc<Tenant>> {
        let mut owners = self.by_id.values().filter(|tenant| tenant.owns_account && tenant.account.sid == sid);
        owners.next().filter(|_| owners.next().is_none())
    }

    pub fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.by_id.values()
    }
}

pub struct Directory {
    store: Store,
    key: SecretKey,
    platform: Platform,
    current: RwLock<Arc<Snapshot>>,
}

impl Directory {
    /// Reads all tenants; makes `demo` where there is none at all.
    pub async fn open(store: Store, key: SecretKey, platform: Platform) -> Result<Self, StoreError> {
        let directory = Self { store, key, platform, current: RwLock::default() };
        let (_, tenants, _) = directory.store.directory().await?;
        if tenants.is_empty() {
            let demo = new_tenant(&directory.store, DEMO_SLUG, "Demo");
            match directory.store.add_tenant(demo).await {
                // Another process may have been quicker.
                Ok(()) | Err(StoreError::Taken(_)) => {}
                Err(error) => return Err(error),
            }
        }
        directory.reload().await?;
        Ok(directory)
    }

    pub fn now(&self) -> Arc<Snapshot> {
        // A poisoned lock holds a whole snapshot, which is good whatever happened.
        self.current.read().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
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
            let channel = sender.channel.parse().map_err(|error| StoreError::Stored(format!("{error}")))?;
            let entry = Sender { channel, number: sender.number, base_url: sender.base_url };
            own.entry(sender.tenant_id).or_default().push(entry);
        }
        let mut snapshot = Snapshot { version, ..Snapshot::default() };
        for row in tenants {
            let senders = own.remove(&row.id).unwrap_or_default();
            let id = TenantId::new(row.id);
            let tenant = match self.tenant(row, senders) {
                Ok(tenant) => Arc::new(tenant),
                // One row that cannot be read is no reason to stop the others.
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
        *self.current.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = Arc::new(snapshot);
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
        // Its own even without a token that opens, as after an import: the platform's would send in another's name.
        let owns_account = row.account_sid.is_some();
        let account = match row.account_sid.clone() {
            Some(sid) if owns_account => Arc::new(Account { sid, tokens }),
            _ => self.platform.account.clone(),
        };
        let zone: Tz = row.zone.parse().map_err(|error| stored("zone", &error))?;
        let settings: TenantSettings =
            serde_json::from_str(&row.settings).map_err(|error| stored("settings", &error))?;
        let facts = TenantFacts {
            id: TenantId::new(row.id),
            slug: row.slug.clone(),
            name: row.name.clone(),
            zone: zone.name().to_owned(),
            language: row.language.clone(),
            blueprints: settings.blueprints.clone(),
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

/// The associated data under which a tenant's token is sealed: a sealed token moved to another row does not open.
pub fn sealed_as(tenant: uuid::Uuid, column: &str) -> String {
    format!("tenant/{tenant}/{column}")
}

/// A tenant's row with everything at its default.
pub fn new_tenant(store: &Store, slug: &str, name: &str) -> tenant::Model {
    let id: TenantId = store.ids().next();
    tenant::Model {
        id: id.uuid(),
        slug: slug.to_owned(),
        name: name.to_owned(),
        zone: "UTC".to_owned(),
        language: "en".to_owned(),
        account_sid: None,
        auth_token: None,
        auth_token_secondary: None,
        settings: "{}".to_owned(),
        created_us: store.clock().now().unix_us(),
    }
}

fn number_key(number: &str) -> String {
    Phone::parse(number).map_or_else(|_| number.to_owned(), |phone| phone.key())
}
