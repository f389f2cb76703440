//! Tenants: the businesses that share the installation, with their numbers, accounts and settings.
//!
//! | file | what it does |
//! |---|---|
//! | [`directory`] | holds all tenants in memory; finds one by id, slug, number or account |
//! | [`settings`] | the settings as they are stored |
//! | [`change`] | a typed change of a tenant, and its checks |
//! | [`service`] | applies changes; commands and the API use it alike |
//! | [`fields`] | what a field may hold |
//! | [`credentials`] | an account's SID and token, and the check at Twilio |
//!
//! How to add a setting: a field in [`TenantSettings`], the same in [`TenantChange`] with its check in
//! `apply_settings`, a field in `http/views/tenant.rs`, one in the body of `PATCH /api/v1/tenant`, an option of
//! `recado tenant set`.

pub mod change;
pub mod credentials;
pub mod directory;
pub mod fields;
pub mod service;
pub mod settings;

use std::sync::Arc;

use chrono_tz::Tz;
use secrecy::{ExposeSecret, SecretString};

pub use change::{
    AccountChange, BlueprintChange, Blueprints, ParamChange, SendLimitsChange, SenderChange, SettingsError,
    StaffChange, TenantChange,
};
pub use directory::{Directory, Snapshot};
pub use service::{Missing, TenantService};
pub use settings::TenantSettings;

use crate::domain::contact::TenantFacts;
use crate::domain::{Channel, Country, Phone, Route, TenantId};
use crate::integrations::http_providers::Providers;
use crate::store::Store;
use crate::store::rows::tenant;
use crate::time::{Quiet, QuietRules};

/// The tenant that an empty database gets; it owns the platform's numbers for URLs without a slug.
pub const DEMO_SLUG: &str = "demo";

/// The name of the default route in a tenant's routes.
pub const TWILIO: &str = "twilio";

/// An account at the provider.
///
/// The first token signs and sends; further ones are accepted while tokens are rotated. There is none where the tokens
/// were sealed under another key, or where the tenant was imported without them.
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

/// The installation's own account and senders. Tenants without their own use these.
#[derive(Debug)]
pub struct Platform {
    pub account: Arc<Account>,
    pub from_number: Option<Phone>,
    pub whatsapp_number: Option<Phone>,
    pub messaging_service_sid: Option<String>,
    /// The address that e-mail comes from.
    pub mail_from: String,
    /// Providers besides Twilio.
    pub providers: Providers,
    /// The public base of all webhook URLs.
    pub app_url: String,
    /// Quiet hours of all tenants, for what the business starts.
    pub quiet: QuietRules,
    /// The most numbers of one tenant.
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
            // An RCS sender is always a tenant's own.
            Channel::Rcs => None,
        }
    }
}

/// A sender of a tenant's own.
#[derive(Clone, Debug)]
pub struct Sender {
    pub channel: Channel,
    /// E.164, or a Messaging Service SID.
    pub number: String,
    pub base_url: Option<String>,
}

/// A business that shares the installation, as the directory holds it.
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
    /// The facts that rules read of the tenant.
    pub facts: TenantFacts,
}

impl Tenant {
    /// The number that the tenant sends from: its own sender, else the platform's.
    pub fn sender(&self, channel: Channel, platform: &Platform) -> Option<String> {
        let of = |channel| self.senders.iter().find(move |sender| sender.channel == channel);
        // A number for text messages places calls, too; a Messaging Service cannot.
        let also = || of(Channel::Sms).filter(|sender| channel == Channel::Voice && sender.number.starts_with('+'));
        let own = of(channel).or_else(also);
        own.map(|sender| sender.number.clone()).or_else(|| platform.sender(channel))
    }

    /// The country of numbers that people write without a country code: the setting, else that of the tenant's own
    /// numbers, where they are all of one.
    pub fn home(&self) -> Option<Country> {
        let own = self.senders.iter().filter_map(|sender| Country::of_number(&Phone::parse(&sender.number).ok()?));
        let mut countries: Vec<Country> = own.collect();
        countries.dedup();
        let only = countries.first().filter(|_| countries.len() == 1);
        self.settings.country.or_else(|| only.copied())
    }

    /// Chooses the route of a text message to this number: the tenant's, else the installation's. The longest prefix
    /// decides.
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

    /// The tenant's quiet hours over the installation's.
    pub const fn quiet<'a>(&'a self, platform: &'a Platform) -> Quiet<'a> {
        Quiet { installation: &platform.quiet, tenant: &self.settings.quiet, zone: self.zone }
    }

    /// The public bases under which this tenant's webhooks may have been called.
    pub fn bases<'a>(&'a self, platform: &'a Platform) -> impl Iterator<Item = &'a str> {
        let own = self.senders.iter().filter_map(|sender| sender.base_url.as_deref());
        std::iter::once(platform.app_url.as_str()).chain(own)
    }
}

/// The associated data under which a tenant's token is sealed. A sealed token that is moved to another row does not open.
pub fn sealed_as(tenant: uuid::Uuid, column: &str) -> String {
    format!("tenant/{tenant}/{column}")
}

/// A new tenant's row, with everything at its default.
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
