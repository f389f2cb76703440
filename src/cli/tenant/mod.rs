//! `recado tenant`: the businesses that share the installation.

mod account;
mod add;
mod credentials;
mod hours;
mod list;
mod set;
mod show;
mod token;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;

use super::{CliError, Outcome, find_tenant, print, print_json};
use crate::app::Installation;
use crate::config::webhook_urls::WebhookUrls;
use crate::domain::{Channel, EmailAddress};
use crate::store::rows::tenant;
use crate::tenants::Tenant;
use crate::time::{QuietRules, WeeklyHours};

/// A slug's letters, at most.
const SLUG_MAX_BYTES: usize = 40;
/// A name's characters, at most.
const NAME_MAX_CHARS: usize = 100;

/// Add, list, show and change tenants: the businesses that share this installation
#[derive(clap::Args)]
#[command(after_help = "Example: recado tenant add clinica --name 'Clínica Sol' --zone Europe/Madrid --language es")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Add(add::Args),
    List(list::Args),
    Show(show::Args),
    Set(Box<set::Args>),
    Credentials(credentials::Args),
    Token(token::Args),
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    match args.command {
        Command::Add(args) => add::run(args).await,
        Command::List(args) => list::run(args).await,
        Command::Show(args) => show::run(args).await,
        Command::Set(args) => set::run(*args).await,
        Command::Credentials(args) => credentials::run(args).await,
        Command::Token(args) => token::run(args).await,
    }
}

/// A tenant as these commands show it; no tokens.
#[derive(Serialize)]
struct View {
    id: String,
    slug: String,
    name: String,
    zone: String,
    language: String,
    /// Its own account; `None` where it uses the installation's.
    account_sid: Option<String>,
    senders: Vec<SenderView>,
    blueprints: BTreeMap<String, BTreeMap<String, Json>>,
    templates: BTreeMap<String, String>,
    /// `None` where everything is kept.
    retain_days: Option<u32>,
    staff_emails: Vec<EmailAddress>,
    routes: BTreeMap<String, String>,
    /// Quiet hours of its own, by prefix.
    quiet: QuietRules,
    /// When it is open; `None` where nobody has said so.
    hours: Option<WeeklyHours>,
    webhooks: Webhooks,
}

#[derive(Serialize)]
struct SenderView {
    channel: Channel,
    number: String,
    base_url: Option<String>,
}

/// What the provider is to be told.
#[derive(Serialize)]
struct Webhooks {
    sms: String,
    whatsapp: String,
}

impl View {
    fn new(installation: &Installation, tenant: &Tenant) -> Self {
        let url = |channel: Channel| {
            let own = tenant.senders.iter().find(|sender| sender.channel == channel);
            let base = own.and_then(|sender| sender.base_url.as_ref());
            let base = base.unwrap_or(&installation.directory.platform().app_url);
            WebhookUrls::new(base, &tenant.slug).messages(channel)
        };
        let senders = tenant.senders.iter().map(|sender| SenderView {
            channel: sender.channel,
            number: sender.number.clone(),
            base_url: sender.base_url.clone(),
        });
        Self {
            id: tenant.id.to_string(),
            slug: tenant.slug.clone(),
            name: tenant.name.clone(),
            zone: tenant.zone.name().to_owned(),
            language: tenant.language.clone(),
            account_sid: tenant.owns_account.then(|| tenant.account.sid.clone()),
            senders: senders.collect(),
            blueprints: tenant.settings.blueprints.clone(),
            templates: tenant.settings.templates.clone(),
            retain_days: tenant.settings.retain_days,
            staff_emails: tenant.settings.staff_emails.clone(),
            routes: tenant.settings.routes.clone(),
            quiet: tenant.settings.quiet.clone(),
            hours: tenant.settings.hours.clone(),
            webhooks: Webhooks { sms: url(Channel::Sms), whatsapp: url(Channel::WhatsApp) },
        }
    }

    fn text(&self) -> String {
        let Self { slug, name, zone, language, webhooks, .. } = self;
        let mut lines = vec![format!("{slug}: {name}, {zone}, {language}")];
        let account = self.account_sid.as_deref().unwrap_or("the installation's");
        lines.push(format!("  account: {account}"));
        for sender in &self.senders {
            let base = sender.base_url.as_ref().map(|base| format!(", webhooks at {base}")).unwrap_or_default();
            lines.push(format!("  sends {} from {}{base}", sender.channel, sender.number));
        }
        if self.senders.is_empty() {
            lines.push("  sends from the installation's numbers".to_owned());
        }
        for (blueprint, params) in &self.blueprints {
            let params: Vec<String> = params.iter().map(|(name, value)| format!("{name}={value}")).collect();
            lines.push(format!("  enabled: {blueprint} {}", params.join(" ")).trim_end().to_owned());
        }
        for (name, content) in &self.templates {
            lines.push(format!("  template {name}: {content}"));
        }
        if let Some(days) = self.retain_days {
            lines.push(format!("  keeps what happened for {days} days"));
        }
        for address in &self.staff_emails {
            lines.push(format!("  staff: {address}"));
        }
        for (prefix, way) in &self.routes {
            lines.push(format!("  {prefix} goes through {way}"));
        }
        if let Some(hours) = &self.hours {
            lines.push(format!("  open: {hours}"));
        }
        for (prefix, hours) in self.quiet.iter() {
            lines.push(format!("  quiet hours for {prefix}: {hours}"));
        }
        lines.push(format!("  webhooks: {}\n            {}", webhooks.sms, webhooks.whatsapp));
        lines.join("\n")
    }
}

/// Ends a command that has changed a tenant: how it stands now.
fn show_changed(installation: &Installation, slug: &str, json: bool) -> Result<Outcome, CliError> {
    let view = View::new(installation, &*find_tenant(installation, slug)?);
    if json {
        print_json(&view)?
    } else {
        print(view.text())?
    }
    Ok(Outcome::Done)
}

/// A tenant as it is stored, to be changed.
/// A tenant's row, to be changed and stored again.
pub(super) async fn row(installation: &Installation, tenant: &Tenant) -> Result<tenant::Model, CliError> {
    let (_, rows, _) = installation.store.directory().await?;
    let row = rows.into_iter().find(|row| row.id == tenant.id.uuid());
    row.ok_or_else(|| CliError::Refused(format!("'{}' was just removed", tenant.slug)))
}

pub(super) fn slug(text: &str) -> Result<String, String> {
    // `/api/twilio/stream/…` is where media streams are opened.
    let good = (1..=SLUG_MAX_BYTES).contains(&text.len())
        && text != "stream"
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if good {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "a slug has lower case letters, digits and -, 1 to {SLUG_MAX_BYTES}, such as clinica-sol, and is not 'stream'"
        ))
    }
}

fn name(text: &str) -> Result<String, String> {
    let good = (1..=NAME_MAX_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if good { Ok(text.to_owned()) } else { Err(format!("a name has 1 to {NAME_MAX_CHARS} characters on one line")) }
}

pub(super) fn zone(text: &str) -> Result<chrono_tz::Tz, String> {
    text.parse().map_err(|_| "write a zone of the IANA list, such as Europe/Madrid or America/Mexico_City".to_owned())
}

/// BCP 47, as far as its shape goes.
fn language(text: &str) -> Result<String, String> {
    let part = |part: &str| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let first = text.split('-').next().unwrap_or_default();
    let good = text.len() <= 35
        && (2..=3).contains(&first.len())
        && first.bytes().all(|b| b.is_ascii_lowercase())
        && text.split('-').all(part);
    if good { Ok(text.to_owned()) } else { Err("write a language tag, such as es or en-US".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_fits_passes() {
        for good in ["a", "clinica-sol", "24h", &"x".repeat(40)] {
            assert!(slug(good).is_ok(), "{good}");
        }
        for bad in ["", "stream", "Clinica", "clínica", "a b", "a/b", "a_b", &"x".repeat(41)] {
            assert!(slug(bad).is_err(), "{bad}");
        }
        for good in ["es", "en-US", "zh-Hant-TW"] {
            assert!(language(good).is_ok(), "{good}");
        }
        for bad in ["", "e", "Spanish", "es_ES", "es-", "ES"] {
            assert!(language(bad).is_err(), "{bad}");
        }
        assert!(zone("Europe/Madrid").is_ok() && zone("Madrid").is_err());
        assert!(name("").is_err() && name("a\nb").is_err() && name("Clínica Sol").is_ok());
    }
}
