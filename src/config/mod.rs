//! The configuration, read once at start. The environment wins over `.env`, `.env` over `recado.toml`, and that over
//! `recado.default.toml`, which documents every key.
//!
//! All errors are reported at once, each with its place and what is expected. The process environment is read, never
//! written. Outside this module a value is valid by its type.
//!
//! To add a key: a paragraph in `recado.default.toml`, a line in `keys::KEYS`, a field below and its line in
//! `read`.

mod conversation;
mod error;
mod key_file;
mod keys;
mod mail;
mod sources;
mod values;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use serde::Serialize;

pub use conversation::{Chat, Eleven};
pub use error::{ConfigError, ConfigErrors};
pub use key_file::{KEY_FILE, KeyFileError, secret_key_or_create};
pub use mail::{Login, Mail, Security, Smtp};
pub use sources::{Source, Variables};
pub use values::{Allowed, LogFormat, Synchronous, is_loopback_url, url_of_listener};

use crate::config::secret::SecretKey;
use crate::domain::{Phone, Prices};
use crate::time::QuietRules;
use sources::Reader;

/// The effective configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address that the server listens on.
    pub listen: SocketAddr,
    /// The public URL of the server; no trailing slash, query or fragment.
    pub app_url: String,
    /// Accepts unsigned webhooks. True only where `listen` and `app_url` are loopback.
    pub app_debug: bool,
    /// `sqlite://…` or `postgres://…`. It may hold a password, so it is secret.
    pub database_url: SecretString,
    pub sqlite_synchronous: Synchronous,
    /// The folder of rules; a relative path starts at the working directory. [`NO_RULES`]: there are none.
    pub rules_dir: PathBuf,
    /// The key that encrypts tenants' tokens, if it is set; see [`secret_key_or_create`].
    pub secret_key: Option<SecretKey>,
    pub twilio: Twilio,
    /// The loopback address of the built-in carrier.
    pub carrier_listen: SocketAddr,
    /// The file that describes HTTP providers; a relative path starts at the working directory.
    pub providers_file: Option<PathBuf>,
    /// Private hosts and networks that providers and HTTP requests may call.
    pub outbound_allow: Vec<Allowed>,
    /// The delay before the provider is asked about a send of unknown outcome.
    pub reconcile_after: Duration,
    /// The time limit of a voice webhook's answer.
    pub voice_budget: Duration,
    /// The most numbers of one tenant.
    pub numbers_budget: u32,
    pub mail: Mail,
    pub chat: Chat,
    pub eleven: Eleven,
    pub limits: Limits,
    /// Hours in which businesses do not contact customers on their own initiative.
    pub quiet_hours: QuietRules,
    /// The prices of messages; empty if none are set.
    pub prices: Prices,
    /// The address of the metrics; `None` if they are off.
    pub metrics_listen: Option<SocketAddr>,
    pub log_format: LogFormat,
    /// A `tracing` filter: a level, or levels by target.
    pub log_level: String,
    /// Valid but suspicious settings, to be logged once at start.
    pub warnings: Vec<String>,
    explained: Vec<Explained>,
}

/// The Twilio account, and what it sends from.
#[derive(Clone, Debug)]
pub struct Twilio {
    /// `None` if no account is configured.
    pub account: Option<TwilioAccount>,
    pub from_number: Option<Phone>,
    /// The WhatsApp number; by default the from number.
    pub whatsapp_number: Option<Phone>,
    pub messaging_service_sid: Option<String>,
    /// The API's base URL, without a trailing slash.
    pub api_base: String,
}

/// The credentials of a Twilio account.
#[derive(Clone, Debug)]
pub struct TwilioAccount {
    /// `AC` and 32 hex digits.
    pub sid: String,
    pub auth_token: SecretString,
    /// The other token during a rotation, accepted for signatures.
    pub auth_token_secondary: Option<SecretString>,
}

/// Limits on sends; the keys' documentation says what each applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub loop_guard_messages: u32,
    pub loop_guard_window: Duration,
    pub sender_rate_per_s: Option<NonZeroU32>,
    /// Calls that one Twilio account may start per second.
    pub calls_per_second: Option<NonZeroU32>,
    pub frequency_cap_per_day: Option<NonZeroU32>,
}

/// One key, as `recado config` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explained {
    pub name: &'static str,
    /// Masked if it is secret; `None` if it is not set.
    pub value: Option<String>,
    pub source: Source,
    pub doc: &'static str,
}

/// A setting as `recado.default.toml` documents it.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The name in the environment.
    pub name: &'static str,
    pub default: Option<&'static str>,
    /// Markdown.
    pub doc: &'static str,
}

/// Every setting, in the order of `recado.default.toml`.
pub fn settings() -> Vec<Setting> {
    let setting = |key: &keys::Key| Setting { name: key.name, default: key.default(), doc: key.doc() };
    keys::KEYS.iter().map(setting).collect()
}

impl Config {
    /// Reads `.env` and `recado.toml` in `dir`, the working directory, and the given `environment`, such as
    /// [`environment`].
    ///
    /// # Errors
    /// All errors at once.
    pub fn load(dir: &Path, environment: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::open(dir, environment);
        let config = read(&mut reader);
        match config {
            Some(config) if reader.errors.is_empty() => Ok(config),
            _ => Err(ConfigErrors(reader.errors)),
        }
    }

    /// Every key with its effective value (masked if secret), its source and its documentation.
    pub fn explain(&self) -> &[Explained] {
        &self.explained
    }

    /// [`Config::explain`] as text: for each key its documentation, value and source.
    pub fn explain_text(&self) -> String {
        let paragraph = |key: &Explained| {
            let doc: String = key.doc.lines().map(|line| format!("# {line}\n")).collect();
            let value = key.value.as_deref().map_or_else(|| "is not set".to_owned(), |value| format!("= {value}"));
            let source = if key.value.is_some() { format!("    ({})", key.source) } else { String::new() };
            format!("{doc}{} {value}{source}\n", key.name)
        };
        self.explained.iter().map(paragraph).collect::<Vec<_>>().join("\n")
    }
}

/// The value of `RULES_DIR` with which the server runs without rules.
pub const NO_RULES: &str = "off";

impl Config {
    /// The folder of rules; `None` if the installation runs without rules.
    pub fn rules_folder(&self) -> Option<&Path> {
        Some(self.rules_dir.as_path()).filter(|folder| *folder != Path::new(NO_RULES))
    }
}

/// The process environment. Values that are not UTF-8 are replaced, so that the check of a key can name it.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
}

/// Returns `None` only if `reader.errors` says why. It reads everything before it gives up, so that all errors show.
fn read(reader: &mut Reader) -> Option<Config> {
    let listen = reader.read("LISTEN", values::ADDRESS, values::address);
    let app_url = reader.read("APP_URL", values::BASE_URL, values::base_url);
    let app_debug = reader.read("APP_DEBUG", values::TRUE_OR_FALSE, values::true_or_false);
    let database_url = reader.read("DATABASE_URL", values::DATABASE, values::database);
    let sqlite_synchronous = reader.read("SQLITE_SYNCHRONOUS", values::SYNCHRONOUS, values::synchronous);
    let rules_dir = reader.read("RULES_DIR", "a folder", |text| Some(PathBuf::from(text)));
    let secret_key = reader
        .read("RECADO_SECRET_KEY", "64 hex digits, as of: openssl rand -hex 32", |text| SecretKey::parse(text).ok());
    let carrier_listen = reader.read("CARRIER_LISTEN", values::LOOPBACK_ADDRESS, values::loopback_address);
    let providers_file = reader.read("PROVIDERS_FILE", "a file", |text| Some(PathBuf::from(text)));
    let outbound_allow = reader.read("OUTBOUND_ALLOW", values::ALLOWED, values::allowed);
    let voice_budget_ms = reader.read("VOICE_BUDGET_MS", "milliseconds, 100 to 8000", values::within(100, 8_000));
    let numbers_budget = reader.read("NUMBERS_BUDGET", "a number, 0 to 1000", values::within(0, 1_000));
    let reconcile_after_s = reader.read("RECONCILE_AFTER_S", "seconds, 1 to 86400", values::within(1, 86_400));
    let metrics_listen = reader.read("METRICS_LISTEN", values::ADDRESS_OR_OFF, values::address_or_off);
    let log_format = reader.read("LOG_FORMAT", values::LOG_FORMAT, values::log_format);
    let log_level = reader.read("LOG_LEVEL", values::LOG_LEVEL, values::log_level);
    let limits = read_limits(reader);
    let quiet_hours = reader.read("QUIET_HOURS", values::QUIET_HOURS, |text| text.parse::<QuietRules>().ok());
    let prices = reader.read("PRICES", values::PRICES, |text| text.parse::<Prices>().ok());
    let twilio = read_twilio(reader);
    let mail = mail::read(reader);
    let (chat, eleven) = (conversation::read_chat(reader), conversation::read_eleven(reader));

    let app_url = app_url.or_else(|| listen.map(values::url_of_listener));
    if let (Some(true), Some(listen), Some(url)) = (app_debug, listen, &app_url)
        && !(listen.ip().is_loopback() && values::is_loopback_url(url))
    {
        reader.refuse(format!(
            "APP_DEBUG is true, which accepts unsigned webhooks, but LISTEN ({listen}) and APP_URL ({url}) are not both \
             loopback addresses: set APP_DEBUG=false, or LISTEN=127.0.0.1:8000 and no APP_URL"
        ));
    }
    let (app_url, twilio) = (app_url?, twilio?);
    let derived = [
        ("APP_URL", Some(app_url.as_str()), "LISTEN"),
        ("TWILIO_WHATSAPP_NUMBER", twilio.whatsapp_number.as_ref().map(Phone::as_str), "TWILIO_FROM_NUMBER"),
    ];
    let explained = reader.explained(&derived);
    Some(Config {
        listen: listen?,
        app_url,
        app_debug: app_debug?,
        database_url: database_url?,
        sqlite_synchronous: sqlite_synchronous?,
        rules_dir: rules_dir?,
        secret_key,
        twilio,
        carrier_listen: carrier_listen?,
        providers_file,
        outbound_allow: outbound_allow.unwrap_or_default(),
        voice_budget: Duration::from_millis(voice_budget_ms?.into()),
        numbers_budget: numbers_budget?,
        reconcile_after: Duration::from_secs(reconcile_after_s?.into()),
        mail,
        chat: chat?,
        eleven: eleven?,
        limits: limits?,
        quiet_hours: quiet_hours?,
        prices: prices.unwrap_or_default(),
        metrics_listen: metrics_listen?,
        log_format: log_format?,
        log_level: log_level?,
        warnings: std::mem::take(&mut reader.warnings),
        explained,
    })
}

fn read_limits(reader: &mut Reader) -> Option<Limits> {
    let loop_guard_messages = reader.read("LOOP_GUARD_MESSAGES", "a number, 1 to 10000", values::within(1, 10_000));
    let loop_guard_minutes = reader.read("LOOP_GUARD_MINUTES", "minutes, 1 to 1440", values::within(1, 1_440));
    let sender_rate_per_s = reader.read("SENDER_RATE_PER_S", "a number, 0 to 10000", values::within(0, 10_000));
    let calls_per_second = reader.read("CALLS_PER_SECOND", "a number, 0 to 1000", values::within(0, 1_000));
    let frequency_cap = reader.read("FREQUENCY_CAP_PER_DAY", "a number, 0 to 1000", values::within(0, 1_000));
    Some(Limits {
        loop_guard_messages: loop_guard_messages?,
        loop_guard_window: Duration::from_secs(u64::from(loop_guard_minutes?) * 60),
        sender_rate_per_s: NonZeroU32::new(sender_rate_per_s?),
        calls_per_second: NonZeroU32::new(calls_per_second?),
        frequency_cap_per_day: NonZeroU32::new(frequency_cap?),
    })
}

fn read_twilio(reader: &mut Reader) -> Option<Twilio> {
    let sid = reader.read("TWILIO_ACCOUNT_SID", "AC and 32 hex digits", values::sid("AC"));
    let auth_token = reader.read("TWILIO_AUTH_TOKEN", values::AUTH_TOKEN, values::auth_token);
    let auth_token_secondary = reader.read("TWILIO_AUTH_TOKEN_SECONDARY", values::AUTH_TOKEN, values::auth_token);
    let from_number = reader.read("TWILIO_FROM_NUMBER", values::PHONE, values::phone);
    let whatsapp = reader.read("TWILIO_WHATSAPP_NUMBER", values::WHATSAPP, values::whatsapp);
    let messaging_service_sid = reader.read("TWILIO_MESSAGING_SERVICE_SID", "MG and 32 hex digits", values::sid("MG"));
    let api_base = reader.read("TWILIO_API_BASE", values::BASE_URL, values::base_url);

    // A value that is set but wrong has an error of its own.
    for (one, other) in [
        ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"),
        ("TWILIO_AUTH_TOKEN", "TWILIO_ACCOUNT_SID"),
        ("TWILIO_AUTH_TOKEN_SECONDARY", "TWILIO_AUTH_TOKEN"),
    ] {
        if reader.is_set(one) && !reader.is_set(other) {
            reader.refuse(format!("{one} is set but {other} is not: set both, or neither"));
        }
    }
    let account = sid.zip(auth_token).map(|(sid, auth_token)| TwilioAccount { sid, auth_token, auth_token_secondary });
    let whatsapp_number = whatsapp.or_else(|| from_number.clone());
    Some(Twilio { account, from_number, whatsapp_number, messaging_service_sid, api_base: api_base? })
}

#[cfg(test)]
mod tests;
pub mod private;
pub mod secret;
pub mod review_links;
pub mod webhook_urls;
