//! `recado tenant set`: everything is checked before anything is changed.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use chrono_tz::Tz;
use secrecy::SecretString;
use serde_json::Value as Json;

use super::account::{self, TOKEN_MAX_BYTES, account_sid};
use super::{hours, language, name, row, show_changed, zone};
use crate::app::Installation;
use crate::cli::{CliError, Outcome, find_tenant, name_and_value, open};
use crate::domain::{Channel, EmailAddress, Phone, TenantId};
use crate::integrations::http_providers::file::is_prefix;
use crate::integrations::twilio::is_sid;
use crate::ops::retention::{RETAIN_DAYS_MAX, RETAIN_DAYS_MIN};
use crate::store::StoreError;
use crate::store::rows::{sender, tenant};
use crate::tenants::{TWILIO, Tenant, TenantSettings};

/// The variable that a token may come in; as an argument it would show in the list of processes.
const TOKEN_VARIABLE: &str = "RECADO_TENANT_AUTH_TOKEN";
/// Addresses of staff: each is an action of its own.
const STAFF_MAX: usize = 10;
/// Prefixes that a tenant routes itself.
const ROUTES_MAX: usize = 200;

/// Change a tenant: names, senders, its own account, blueprint rules, templates, staff; a running server follows within a second
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  recado tenant set clinica --sms +34600111000 --whatsapp +34600111000\n  \
    RECADO_TENANT_AUTH_TOKEN=… recado tenant set clinica --account-sid AC…\n  \
    recado tenant set clinica --enable hours --param 'text_es=Abrimos de 10 a 14 h.'\n  \
    recado tenant set clinica --template weekly_offer=HX0123456789abcdef0123456789abcdef")]
pub struct Args {
    /// Which tenant
    slug: String,
    /// What its customers know it as
    #[arg(long, value_parser = name)]
    name: Option<String>,
    /// Its time zone, an IANA name
    #[arg(long, value_parser = zone)]
    zone: Option<Tz>,
    /// Its language, such as es
    #[arg(long, value_parser = language)]
    language: Option<String>,
    /// Give it a number (E.164) or a Messaging Service (MG…) for text messages; any number of times
    #[arg(long, value_name = "SENDER", value_parser = a_sender)]
    sms: Vec<String>,
    /// Give it a number for WhatsApp; any number of times
    #[arg(long, value_name = "SENDER", value_parser = a_sender)]
    whatsapp: Vec<String>,
    /// The public base URL that the senders' webhooks are configured with, where it is not APP_URL;
    /// for the senders named here, or else for all it has
    #[arg(long, value_name = "URL", value_parser = base_url)]
    base_url: Option<String>,
    /// Take a number or a Messaging Service from it, on every channel; any number of times
    #[arg(long, value_name = "SENDER", value_parser = a_sender)]
    remove_sender: Vec<String>,
    /// Its own account; the auth token comes from RECADO_TENANT_AUTH_TOKEN or with --auth-token-stdin
    #[arg(long, value_name = "AC…", value_parser = account_sid)]
    account_sid: Option<String>,
    /// Read its account's auth token from standard input
    #[arg(long, requires = "account_sid")]
    auth_token_stdin: bool,
    /// Accept what the present token signs, too, while it is being changed
    #[arg(long, requires = "account_sid")]
    keep_old_token: bool,
    /// Keep the account without asking Twilio whether its token is right
    #[arg(long, requires = "account_sid")]
    no_check: bool,
    /// Back to the installation's account
    #[arg(long, conflicts_with = "account_sid")]
    remove_account: bool,
    /// Enable a blueprint rule
    #[arg(long, value_name = "RULE")]
    enable: Option<String>,
    /// A parameter of the blueprint that is enabled; any number of times
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = name_and_value, requires = "enable")]
    params: Vec<(String, String)>,
    /// Disable a blueprint rule
    #[arg(long, value_name = "RULE")]
    disable: Option<String>,
    /// Name an approved WhatsApp template, for rules; without a value the name is removed; any number of times
    #[arg(long = "template", value_name = "NAME=HX…", value_parser = name_and_value)]
    templates: Vec<(String, String)>,
    /// Remove what happened longer ago than so many days, 7 to 3650; 0 keeps everything
    #[arg(long, value_name = "N", value_parser = retain_days)]
    retain_days: Option<u32>,
    /// An address that e-mail to "staff" goes to; any number of times
    #[arg(long, value_name = "ADDRESS", value_parser = email)]
    staff_email: Vec<EmailAddress>,
    /// No e-mail to "staff" to this address any more; any number of times
    #[arg(long, value_name = "ADDRESS", value_parser = email)]
    remove_staff_email: Vec<EmailAddress>,
    /// Send text messages to numbers that begin so through a provider of PROVIDERS_FILE, or through twilio; without a
    /// value, as the installation does; any number of times
    #[arg(long = "route", value_name = "+PREFIX=NAME", value_parser = name_and_value)]
    routes: Vec<(String, String)>,
    #[command(flatten)]
    hours: hours::Args,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open().await?;
    let tenant = find_tenant(&installation, &args.slug)?;
    let stored = row(&installation, &tenant).await?;
    let mut changed = stored.clone();
    let said = change_account(&installation, &tenant, &args, &mut changed).await?;
    change_names(&args, &mut changed);
    let settings = change_settings(&installation, &tenant, &args)?;
    if settings != tenant.settings {
        changed.settings = serde_json::to_string(&settings).map_err(|error| StoreError::Stored(error.to_string()))?;
    }
    let senders = new_senders(&installation, &tenant, &args)?;
    for number in &args.remove_sender {
        if !tenant.senders.iter().any(|sender| sender.number == *number) {
            return Err(CliError::Refused(format!("'{}' has no sender {number}", args.slug)));
        }
    }
    if changed == stored && senders.is_empty() && args.remove_sender.is_empty() {
        return Err(CliError::Usage("nothing would change: 'recado tenant set --help' lists what can".to_owned()));
    }
    if changed != stored {
        installation.store.set_tenant(changed).await?;
    }
    for number in &args.remove_sender {
        for channel in Channel::ALL {
            installation.store.remove_sender(tenant.id.uuid(), channel.as_str(), number).await?;
        }
    }
    for sender in senders {
        installation.store.add_sender(sender).await?;
    }
    installation.directory.refresh().await?;
    if let Some(said) = said {
        // With standard error closed there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "{said}");
    }
    show_changed(&installation, &args.slug, args.json)
}

fn change_names(args: &Args, row: &mut tenant::Model) {
    if let Some(name) = &args.name {
        row.name.clone_from(name);
    }
    if let Some(zone) = &args.zone {
        zone.name().clone_into(&mut row.zone);
    }
    if let Some(language) = &args.language {
        row.language.clone_from(language);
    }
}

/// Sets or removes the account; gives what is to be said of it.
async fn change_account(
    installation: &Installation,
    tenant: &Tenant,
    args: &Args,
    row: &mut tenant::Model,
) -> Result<Option<String>, CliError> {
    if args.remove_account {
        account::remove(row);
    }
    let Some(sid) = &args.account_sid else { return Ok(None) };
    let token = token(args)?;
    let old = tenant.account.tokens.first().filter(|_| tenant.owns_account && tenant.account.sid == *sid);
    if args.keep_old_token && old.is_none() {
        return Err(CliError::Refused(format!("'{}' has no token for {sid} that could be kept", tenant.slug)));
    }
    let said = account::checked(installation, sid, &token, args.no_check).await?;
    account::keep(installation, row, sid, &token, old.filter(|_| args.keep_old_token))?;
    Ok(Some(said))
}

/// Never from an argument: those show in the list of processes and in the shell's history.
fn token(args: &Args) -> Result<SecretString, CliError> {
    if args.auth_token_stdin {
        let mut text = String::new();
        let read = std::io::stdin().take(TOKEN_MAX_BYTES).read_to_string(&mut text);
        read.map_err(|error| CliError::Refused(format!("the token cannot be read from standard input: {error}")))?;
        return account::token(&text);
    }
    let text = std::env::var(TOKEN_VARIABLE).map_err(|_| {
        CliError::Usage(format!(
            "the account's auth token is missing: put it into {TOKEN_VARIABLE}, pipe it in with --auth-token-stdin, or let \
             'recado tenant credentials {}' ask for it",
            args.slug
        ))
    })?;
    account::token(&text)
}

fn change_settings(installation: &Installation, tenant: &Tenant, args: &Args) -> Result<TenantSettings, CliError> {
    let mut settings = tenant.settings.clone();
    if let Some(rule) = &args.disable
        && settings.blueprints.remove(rule).is_none()
    {
        return Err(CliError::Refused(format!("'{rule}' is not enabled for '{}'", tenant.slug)));
    }
    if let Some(rule) = &args.enable {
        settings.blueprints.insert(rule.clone(), params_of(installation, rule, &args.params)?);
    }
    if let Some(days) = args.retain_days {
        settings.retain_days = (days > 0).then_some(days);
    }
    change_staff(tenant, args, &mut settings)?;
    for (name, content) in &args.templates {
        if content.is_empty() {
            settings.templates.remove(name);
        } else if is_sid("HX", content) {
            settings.templates.insert(name.clone(), content.clone());
        } else {
            return Err(CliError::Refused(format!("'{content}' is no Content SID: write HX and 32 hex digits")));
        }
    }
    for (prefix, way) in &args.routes {
        set_route(installation, &mut settings, prefix, way)?;
    }
    hours::change(&tenant.slug, &args.hours, &mut settings)?;
    Ok(settings)
}

fn change_staff(tenant: &Tenant, args: &Args, settings: &mut TenantSettings) -> Result<(), CliError> {
    let staff = &mut settings.staff_emails;
    for address in &args.remove_staff_email {
        let place = staff.iter().position(|known| known.key() == address.key());
        let place =
            place.ok_or_else(|| CliError::Refused(format!("'{}' has no staff address {address}", tenant.slug)))?;
        staff.remove(place);
    }
    for address in &args.staff_email {
        if !staff.iter().any(|known| known.key() == address.key()) {
            staff.push(address.clone());
        }
    }
    if staff.len() > STAFF_MAX {
        return Err(CliError::Refused(format!("a tenant may have {STAFF_MAX} staff addresses: use a mailing list")));
    }
    Ok(())
}

fn set_route(
    installation: &Installation,
    settings: &mut TenantSettings,
    prefix: &str,
    way: &str,
) -> Result<(), CliError> {
    if !is_prefix(prefix) {
        return Err(CliError::Refused(format!(
            "'{prefix}' is no prefix: + and the first digits of a number, such as +91"
        )));
    }
    if way.is_empty() {
        settings.routes.remove(prefix);
        return Ok(());
    }
    let providers = &installation.directory.platform().providers;
    if way != TWILIO && providers.named(way).is_none() {
        let known: Vec<&str> =
            std::iter::once(TWILIO).chain(providers.iter().map(|provider| provider.name.as_str())).collect();
        return Err(CliError::Refused(format!("there is no provider '{way}'; there are: {}", known.join(", "))));
    }
    if settings.routes.len() >= ROUTES_MAX && !settings.routes.contains_key(prefix) {
        return Err(CliError::Refused(format!("a tenant routes at most {ROUTES_MAX} prefixes: remove some first")));
    }
    settings.routes.insert(prefix.to_owned(), way.to_owned());
    Ok(())
}

/// The chosen parameters of a blueprint, each of which the rule must have.
fn params_of(
    installation: &Installation,
    rule: &str,
    chosen: &[(String, String)],
) -> Result<BTreeMap<String, Json>, CliError> {
    let rules = installation.load_rules();
    let Some(blueprint) = rules.rules().find(|info| info.blueprint && info.name == rule) else {
        let known: Vec<&str> = rules.rules().filter(|info| info.blueprint).map(|info| info.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let folder = installation.config.rules_dir.display();
        return Err(CliError::Refused(format!("{folder} has no blueprint '{rule}'; there are: {known}")));
    };
    let mut params = BTreeMap::new();
    for (name, value) in chosen {
        let Some(default) = blueprint.params.get(name) else {
            let known: Vec<&str> = blueprint.params.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(CliError::Refused(format!("'{rule}' has no parameter '{name}'; there are: {known}")));
        };
        params.insert(
            name.clone(),
            like(default, value).ok_or_else(|| {
                CliError::Refused(format!("{name}={value} does not do: '{rule}' expects a value like {default}"))
            })?,
        );
    }
    Ok(params)
}

/// A value of the same kind as the default: text stays text, whatever it looks like.
fn like(default: &Json, text: &str) -> Option<Json> {
    match default {
        Json::String(_) => Some(Json::String(text.to_owned())),
        other => {
            let value: Json = serde_json::from_str(text).ok()?;
            (std::mem::discriminant(other) == std::mem::discriminant(&value)).then_some(value)
        }
    }
}

/// The senders to be added, or to be given another base URL.
fn new_senders(installation: &Installation, tenant: &Tenant, args: &Args) -> Result<Vec<sender::Model>, CliError> {
    let named = args.sms.iter().map(|number| (Channel::Sms, number.clone()));
    let mut senders: Vec<(Channel, String)> =
        named.chain(args.whatsapp.iter().map(|number| (Channel::WhatsApp, number.clone()))).collect();
    if senders.is_empty() && args.base_url.is_some() {
        senders = tenant.senders.iter().map(|sender| (sender.channel, sender.number.clone())).collect();
        if senders.is_empty() {
            return Err(CliError::Refused(format!(
                "'{}' has no sender of its own that a base URL could be for: give it one with --sms or --whatsapp",
                tenant.slug
            )));
        }
    }
    let snapshot = installation.directory.now();
    for (channel, number) in &senders {
        if let Some(owner) = snapshot.owner(*channel, number).filter(|owner| owner.id != tenant.id) {
            return Err(CliError::Refused(format!(
                "{channel} {number} belongs to '{}': take it from there first: recado tenant set {} --remove-sender {number}",
                owner.slug, owner.slug
            )));
        }
    }
    let store = &installation.store;
    let model = |(channel, number): (Channel, String)| {
        let id: TenantId = store.ids().next();
        let known = tenant.senders.iter().find(|sender| sender.channel == channel && sender.number == number);
        let base_url = args.base_url.clone().or_else(|| known.and_then(|sender| sender.base_url.clone()));
        sender::Model {
            id: id.uuid(),
            tenant_id: tenant.id.uuid(),
            channel: channel.to_string(),
            number,
            base_url,
            created_us: store.clock().now().unix_us(),
        }
    };
    Ok(senders.into_iter().map(model).collect())
}

fn email(text: &str) -> Result<EmailAddress, String> {
    EmailAddress::parse(text).map_err(|error| error.to_string())
}

/// A number, or a Messaging Service.
fn a_sender(text: &str) -> Result<String, String> {
    if is_sid("MG", text) {
        return Ok(text.to_owned());
    }
    let number = text.strip_prefix("whatsapp:").unwrap_or(text);
    Phone::parse_human(number)
        .map(|phone| phone.to_string())
        .map_err(|error| format!("{error}; a Messaging Service is MG and 32 hex digits"))
}

fn retain_days(text: &str) -> Result<u32, String> {
    let days = text.parse().ok().filter(|days| *days == 0 || (RETAIN_DAYS_MIN..=RETAIN_DAYS_MAX).contains(days));
    days.ok_or_else(|| {
        format!(
            "write {RETAIN_DAYS_MIN} to {RETAIN_DAYS_MAX} days, or 0 to keep everything: what is removed sooner could be \
             taken for new when the provider repeats it"
        )
    })
}

/// Scheme and host, perhaps a path; without a slash at its end.
fn base_url(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none() && url.fragment().is_none()
    });
    match url {
        Some(_) => Ok(text.trim_end_matches('/').to_owned()),
        None => Err("write http:// or https://, host, and a path if a proxy adds one".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_are_numbers_or_services() {
        assert_eq!(a_sender("whatsapp:+34 600 111 000").as_deref(), Ok("+34600111000"));
        assert!(a_sender("MG0123456789abcdef0123456789abcdef").is_ok());
        assert!(a_sender("MG0123").unwrap_err().contains("MG and 32"));
    }

    #[test]
    fn parameters_keep_the_kind_of_their_default() {
        assert_eq!(like(&"09:00".into(), "12"), Some("12".into()));
        assert_eq!(like(&5.into(), "12"), Some(12.into()));
        assert_eq!(like(&5.into(), "twelve"), None);
        assert_eq!(like(&true.into(), "false"), Some(false.into()));
    }

    #[test]
    fn nothing_goes_before_the_provider_has_ended_repeating_it() {
        assert_eq!((retain_days("0"), retain_days("7"), retain_days("3650")), (Ok(0), Ok(7), Ok(3_650)));
        for bad in ["1", "6", "3651", "-1", "year"] {
            assert!(retain_days(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn base_urls_lose_their_slash() {
        assert_eq!(base_url("https://a.b/c/").as_deref(), Ok("https://a.b/c"));
        assert!(base_url("a.b").is_err() && base_url("https://a.b?c").is_err() && base_url("ftp://a.b").is_err());
    }
}
