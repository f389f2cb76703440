//! An opened installation: configuration, database and tenants. Every command works with it.

use std::path::Path;
use std::sync::Arc;

use secrecy::ExposeSecret;

use super::carrier_account;
use super::error::AppError;
use crate::config::review_links::Links;
use crate::config::secret::SecretKey;
use crate::config::{self, Config};
use crate::domain::clock::Random;
use crate::domain::{Clock, Ids, Phone};
use crate::emulators::twilio as carrier;
use crate::engine::sending::by_hand::Outbox;
use crate::integrations::http_providers;
use crate::integrations::http_providers::Providers;
use crate::integrations::http_providers::file::ProviderContext;
use crate::migrations::MIGRATIONS;
use crate::rules::{Limits, RuleSet};
use crate::store::{self, Store};
use crate::tenants::{Account, Directory, Platform};

/// Configuration, clock, database and tenants.
pub struct Installation {
    pub config: Config,
    pub clock: Clock,
    pub store: Store,
    pub directory: Arc<Directory>,
    /// No Twilio account is configured, so the built-in carrier stands in for Twilio.
    pub built_in_carrier: bool,
}

impl Installation {
    /// Opens the database of `config`, makes it if it is missing, and applies its migrations: for servers. Relative paths
    /// start at `dir`.
    pub async fn with(config: Config, clock: Clock, dir: &Path) -> Result<Self, AppError> {
        let key = config::secret_key_or_create(&config, dir)?;
        let store = open_store(&config, &clock).await?;
        store.migrate().await?;
        Self::around(store, key, config, clock, dir).await
    }

    /// Opens the database of `config` as it is: for commands. One that is missing or older is refused, and stays as it is.
    pub async fn existing(config: Config, clock: Clock, dir: &Path) -> Result<Self, AppError> {
        let store = open_existing_store(&config, &clock).await?;
        let key = config::secret_key_or_create(&config, dir)?;
        Self::around(store, key, config, clock, dir).await
    }

    async fn around(store: Store, key: SecretKey, config: Config, clock: Clock, dir: &Path) -> Result<Self, AppError> {
        let built_in_carrier = config.twilio.account.is_none();
        let providers = load_providers(&config, dir)?;
        let platform = platform(&config, &store, &key, providers).await?;
        let directory = Arc::new(Directory::open(store.clone(), key, platform).await?);
        Ok(Self { config, clock, store, directory, built_in_carrier })
    }

    /// Sends that an operator or an API client orders.
    pub fn outbox(&self) -> Outbox {
        Outbox { store: self.store.clone(), directory: self.directory.clone(), by: None }
    }

    /// Loads the rules of `RULES_DIR`. Faulty rules are logged and left out.
    pub fn load_rules(&self) -> RuleSet {
        let Some(folder) = self.config.rules_folder() else {
            return RuleSet::empty(Limits::default()).with_links(self.review_links());
        };
        let (rules, errors) = RuleSet::load(folder, Limits::default());
        for error in errors {
            tracing::warn!("{error}");
        }
        rules.with_links(self.review_links())
    }

    /// Signed links to the review pages, under `APP_URL`.
    pub fn review_links(&self) -> Links {
        Links::new(self.config.app_url.clone(), self.directory.key().clone())
    }
}

/// Opens the database of `config`, without migrating it.
pub async fn open_store(config: &Config, clock: &Clock) -> Result<Store, AppError> {
    let ids = Arc::new(Ids::new(clock.clone(), Random::from_os()?));
    let options = store::Options { url: config.database_url.clone(), synchronous: config.sqlite_synchronous };
    Ok(Store::open(&options, clock.clone(), ids).await?)
}

/// Opens the database of `config`. One that is missing or older is refused, and stays as it is.
pub async fn open_existing_store(config: &Config, clock: &Clock) -> Result<Store, AppError> {
    if let Some(path) = store::sqlite_path(config.database_url.expose_secret()).filter(|path| !path.exists()) {
        return Err(AppError::NoDatabase(path.display().to_string()));
    }
    let store = open_store(config, clock).await?;
    match store.pending_migrations().await? {
        0 => Ok(store),
        all if all == MIGRATIONS.len() => Err(AppError::NoDatabase("DATABASE_URL".to_owned())),
        pending => Err(AppError::OldDatabase(pending)),
    }
}

/// Reads the HTTP providers that `PROVIDERS_FILE` describes; none where it is not set.
pub fn load_providers(config: &Config, dir: &Path) -> Result<Providers, AppError> {
    let Some(file) = &config.providers_file else { return Ok(Providers::default()) };
    let variables = config::Variables::read(dir, config::environment());
    let client = http_providers::Client::new(config.outbound_allow.clone())?;
    let context = ProviderContext { secret: &|name| variables.get(name), client: &client };
    Ok(Providers::load(&dir.join(file), &context)?)
}

/// The account and numbers that tenants share: from the configuration, else those of the built-in carrier.
async fn platform(config: &Config, store: &Store, key: &SecretKey, providers: Providers) -> Result<Platform, AppError> {
    let twilio = &config.twilio;
    let number = |number: &str| Phone::parse(number).ok();
    let (account, from_number, whatsapp_number) = match &twilio.account {
        Some(account) => {
            let tokens =
                std::iter::once(account.auth_token.clone()).chain(account.auth_token_secondary.clone()).collect();
            let account = Account { sid: account.sid.clone(), tokens };
            (account, twilio.from_number.clone(), twilio.whatsapp_number.clone())
        }
        None => (
            carrier_account::load_or_create(store, key).await?,
            twilio.from_number.clone().or_else(|| number(carrier_account::NUMBER)),
            twilio.whatsapp_number.clone().or_else(|| number(carrier::SANDBOX)),
        ),
    };
    Ok(Platform {
        account: Arc::new(account),
        from_number,
        whatsapp_number,
        messaging_service_sid: twilio.messaging_service_sid.clone(),
        mail_from: config.mail.sender().email.to_string(),
        providers,
        app_url: config.app_url.clone(),
        quiet: config.quiet_hours.clone(),
        numbers_budget: config.numbers_budget,
    })
}
