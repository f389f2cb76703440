//! `recado tenant set`: everything is checked before anything is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::num::NonZeroU32;

use chrono_tz::Tz;
use secrecy::SecretString;

use super::{account, apply, hours, non_empty, show_changed};
use crate::app::Installation;
use crate::cli::channel_flags::SenderFlags;
use crate::cli::{CliError, Outcome, find_tenant, name_and_value, open_existing};
use crate::domain::phone::plan::NotACountry;
use crate::domain::{Country, EmailAddress};
use crate::features::voice::agents::optional_text;
use crate::integrations::twilio::is_sid;
use crate::tenants::credentials::{Checked, TOKEN_MAX_BYTES, account_sid, auth_token};
use crate::tenants::fields::{self, base_url, language, name, sender, zone};
use crate::tenants::{
    AccountChange, BlueprintChange, Blueprints, ParamChange, SendLimitsChange, SenderChange, SettingsError,
    StaffChange, Tenant, TenantChange,
};

/// Environment variable for a token. An argument would show in the list of processes.
const TOKEN_VARIABLE: &str = "RECADO_TENANT_AUTH_TOKEN";

/// Change a tenant's settings, senders, account, rules, templates or staff; a running server follows within a second
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  recado tenant set clinica --sms +34600111000 --whatsapp +34600111000\n  \
    RECADO_TENANT_AUTH_TOKEN=… recado tenant set clinica --account-sid AC…\n  \
    recado tenant set clinica --enable hours --param 'text_es=Abrimos de 10 a 14 h.'\n  \
    recado tenant set clinica --template weekly_offer=HX0123456789abcdef0123456789abcdef")]
pub struct Args {
    /// Slug of the tenant
    slug: String,
    /// Name of the business for customers
    #[arg(long, value_parser = name)]
    name: Option<String>,
    /// Time zone, an IANA name
    #[arg(long, value_parser = zone)]
    zone: Option<Tz>,
    /// Language, such as es
    #[arg(long, value_parser = language)]
    language: Option<String>,
    /// Country of numbers that are written without a country code, such as ES; 'own': that of the tenant's own numbers
    #[arg(long, value_name = "COUNTRY", value_parser = country)]
    country: Option<OwnOr<Country>>,
    #[command(flatten)]
    senders: SenderFlags,
    /// Public base URL of the webhooks of the senders named here, or of all senders, if it is not APP_URL
    #[arg(long, value_name = "URL", value_parser = base_url)]
    base_url: Option<String>,
    /// Remove a number or a Messaging Service, on every channel; repeatable
    #[arg(long, value_name = "SENDER", value_parser = sender)]
    remove_sender: Vec<String>,
    /// SID of the tenant's own account; the auth token comes from RECADO_TENANT_AUTH_TOKEN or with --auth-token-stdin
    #[arg(long, value_name = "AC…", value_parser = account_sid)]
    account_sid: Option<String>,
    /// Read the account's auth token from standard input
    #[arg(long, requires = "account_sid")]
    auth_token_stdin: bool,
    /// Keep the current token as a second one during a rotation
    #[arg(long, requires = "account_sid")]
    keep_old_token: bool,
    /// Store the account without checking its token at Twilio
    #[arg(long, requires = "account_sid")]
    no_check: bool,
    /// Use the installation's account again
    #[arg(long, conflicts_with = "account_sid")]
    remove_account: bool,
    /// Enable a blueprint rule
    #[arg(long, value_name = "RULE")]
    enable: Option<String>,
    /// Parameter of the enabled blueprint; others stay as they are; repeatable
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = name_and_value, requires = "enable")]
    params: Vec<(String, String)>,
    /// Disable a blueprint rule and forget its parameters
    #[arg(long, value_name = "RULE")]
    disable: Option<String>,
    /// Name of an approved WhatsApp template, for rules; without a value the name is removed; repeatable
    #[arg(long = "template", value_name = "NAME=HX…", value_parser = name_and_value)]
    templates: Vec<(String, String)>,
    /// Remove data older than N days, 7 to 3650; 0 keeps everything
    #[arg(long, value_name = "N", value_parser = retain_days)]
    retain_days: Option<u32>,
    /// Add a recipient of e-mail to "staff"; repeatable
    #[arg(long, value_name = "ADDRESS", value_parser = email)]
    staff_email: Vec<EmailAddress>,
    /// Remove a recipient of e-mail to "staff"; repeatable
    #[arg(long, value_name = "ADDRESS", value_parser = email)]
    remove_staff_email: Vec<EmailAddress>,
    /// Route text messages to numbers with this prefix through a provider of PROVIDERS_FILE or twilio; without a value,
    /// the installation's route applies; repeatable
    #[arg(long = "route", value_name = "+PREFIX=NAME", value_parser = name_and_value)]
    routes: Vec<(String, String)>,
    /// Budget of messages to phones and calls in an hour; 0 removes it
    #[arg(long, value_name = "N")]
    sends_per_hour: Option<u32>,
    /// Budget of messages to phones and calls in 24 hours; 0 removes it
    #[arg(long, value_name = "N")]
    sends_per_day: Option<u32>,
    /// Countries that may be sent to, two letters each; all allows every country
    #[arg(long, value_name = "ES,PT", value_parser = countries)]
    countries: Option<Countries>,
    /// Content templates that may be sent, HX and 32 hex digits each; all allows every template
    #[arg(long, value_name = "HX…,HX…", value_parser = content_sids)]
    allowed_templates: Option<Names>,
    /// Agents at ElevenLabs that may take calls; all allows every agent
    #[arg(long, value_name = "ID,ID", value_parser = agent_ids)]
    allowed_agents: Option<Names>,
    #[command(flatten)]
    hours: hours::Args,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.slug)?;
    let mut change = change_of(&args)?;
    let mut said = None;
    if args.remove_account {
        change.account = Some(AccountChange::Remove);
    } else if let Some(sid) = &args.account_sid {
        let (account, checked) = new_account(&installation, &tenant, &args, sid).await?;
        change.account = Some(account);
        said = Some(account::describe_check(&checked));
    }
    let changed = apply(&installation, &tenant, &change, &blueprints(&installation, &args)).await?;
    if !changed && args.senders.0.is_empty() {
        return Err(CliError::Usage("nothing would change: 'recado tenant set --help' lists what can".to_owned()));
    }
    if let Some(said) = said {
        // With standard error closed there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "{said}");
    }
    warn_of_promises(&installation, &args)?;
    show_changed(&installation, &args.slug, args.json)
}

/// Says what the texts of enabled rules promise and no enabled rule answers, where the blueprints were changed.
fn warn_of_promises(installation: &Installation, args: &Args) -> Result<(), CliError> {
    if args.enable.is_none() && args.disable.is_none() {
        return Ok(());
    }
    let tenant = find_tenant(installation, &args.slug)?;
    for unmet in installation.load_rules().unmet_promises(&tenant.facts) {
        // With standard error closed there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "warning: {unmet}: {}", unmet.remedy(&args.slug));
    }
    Ok(())
}

/// Converts the options into a change, without the account.
fn change_of(args: &Args) -> Result<TenantChange, CliError> {
    let by_name = |pairs: &[(String, String)]| {
        pairs.iter().map(|(name, value)| (name.clone(), non_empty(value))).collect::<BTreeMap<_, _>>()
    };
    let mut blueprints = BTreeMap::new();
    if let Some(rule) = &args.disable {
        blueprints.insert(rule.clone(), BlueprintChange::Disable);
    }
    if let Some(rule) = &args.enable {
        let params = args.params.iter().map(|(name, value)| (name.clone(), ParamChange::Text(value.clone())));
        // Disabled and enabled in one command, it begins with its defaults.
        let change = match args.disable.as_ref() == Some(rule) {
            true => BlueprintChange::Replace(params.collect()),
            false => BlueprintChange::Set(params.collect()),
        };
        blueprints.insert(rule.clone(), change);
    }
    let senders = SenderChange {
        remove: args.remove_sender.clone(),
        add: args.senders.0.clone(),
        base_url: args.base_url.clone(),
    };
    let mut change = TenantChange {
        name: args.name.clone(),
        zone: args.zone,
        language: args.language.clone(),
        country: args.country.map(|OwnOr(country)| country),
        retain_days: args.retain_days.map(|days| (days > 0).then_some(days)),
        staff_emails: StaffChange {
            replace: None,
            remove: args.remove_staff_email.clone(),
            add: args.staff_email.clone(),
        },
        templates: by_name(&args.templates),
        routes: by_name(&args.routes),
        blueprints,
        senders,
        sends: SendLimitsChange {
            per_hour: args.sends_per_hour.map(NonZeroU32::new),
            per_day: args.sends_per_day.map(NonZeroU32::new),
            countries: args.countries.clone().map(|Countries(countries)| countries),
            templates: args.allowed_templates.clone().map(|Names(names)| names),
            stream_agents: args.allowed_agents.clone().map(|Names(names)| names),
        },
        ..TenantChange::default()
    };
    hours::add_to(&args.hours, &mut change)?;
    Ok(change)
}

/// The blueprints of the rules folder. It is read only where a blueprint is enabled.
fn blueprints(installation: &Installation, args: &Args) -> Blueprints {
    if args.enable.is_none() {
        return Blueprints::default();
    }
    let source = installation.config.rules_dir.display().to_string();
    Blueprints { known: installation.load_rules().blueprints(), source }
}

/// The account of the options, checked at Twilio.
async fn new_account(
    installation: &Installation,
    tenant: &Tenant,
    args: &Args,
    sid: &str,
) -> Result<(AccountChange, Checked), CliError> {
    let token = token(args)?;
    let has_old = tenant.owns_account && tenant.account.sid == sid && !tenant.account.tokens.is_empty();
    if args.keep_old_token && !has_old {
        let (slug, sid) = (tenant.slug.clone(), sid.to_owned());
        return Err(SettingsError::NoOldToken { slug, sid }.into());
    }
    let checked = account::check_credentials(installation, sid, &token, args.no_check).await?;
    Ok((AccountChange::Set { sid: sid.to_owned(), token, keep_old: args.keep_old_token }, checked))
}

/// Reads the token. It is never an argument: those show in the list of processes and in the shell's history.
fn token(args: &Args) -> Result<SecretString, CliError> {
    if args.auth_token_stdin {
        let mut text = String::new();
        let read = std::io::stdin().take(TOKEN_MAX_BYTES).read_to_string(&mut text);
        read.map_err(|error| CliError::Refused(format!("the token cannot be read from standard input: {error}")))?;
        return Ok(auth_token(&text)?);
    }
    let text = std::env::var(TOKEN_VARIABLE).map_err(|_| {
        CliError::Usage(format!(
            "the account's auth token is missing: put it into {TOKEN_VARIABLE}, pipe it in with --auth-token-stdin, or let \
             'recado tenant credentials {}' ask for it",
            args.slug
        ))
    })?;
    Ok(auth_token(&text)?)
}

/// Countries as an option names them.
#[derive(Clone, Debug)]
struct Countries(BTreeSet<Country>);

fn countries(text: &str) -> Result<Countries, NotACountry> {
    if text.eq_ignore_ascii_case("all") {
        return Ok(Countries(BTreeSet::new()));
    }
    text.split(',').map(str::parse).collect::<Result<_, _>>().map(Countries)
}

/// Names as an option lists them.
#[derive(Clone, Debug)]
struct Names(BTreeSet<String>);

/// Parses names that each must pass `is_good`; `all` is none.
fn names(text: &str, is_good: impl Fn(&str) -> bool, wanted: &str) -> Result<Names, String> {
    if text.eq_ignore_ascii_case("all") {
        return Ok(Names(BTreeSet::new()));
    }
    let parsed = text.split(',').map(str::trim).map(|name| is_good(name).then(|| name.to_owned()));
    parsed.collect::<Option<_>>().map(Names).ok_or_else(|| format!("write {wanted}, with commas between, or all"))
}

fn content_sids(text: &str) -> Result<Names, String> {
    names(text, |sid| is_sid("HX", sid), "Content SIDs (HX and 32 hex digits)")
}

fn agent_ids(text: &str) -> Result<Names, String> {
    names(text, |id| matches!(optional_text(id), Ok(Some(_))), "ids of agents at ElevenLabs")
}

fn email(text: &str) -> Result<EmailAddress, String> {
    EmailAddress::parse(text).map_err(|error| error.to_string())
}

/// A value, or none for the word `own`.
#[derive(Clone, Copy)]
struct OwnOr<T>(Option<T>);

fn country(text: &str) -> Result<OwnOr<Country>, String> {
    if text == "own" { Ok(OwnOr(None)) } else { fields::country(text).map(|country| OwnOr(Some(country))) }
}

fn retain_days(text: &str) -> Result<u32, String> {
    // A text that is no number gets the same answer as a number out of range.
    let days = text.parse().unwrap_or(1);
    fields::retain_days(days).map(|_| days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_goes_before_the_provider_has_ended_repeating_it() {
        assert_eq!((retain_days("0"), retain_days("7")), (Ok(0), Ok(7)));
        for bad in ["1", "3651", "-1", "year"] {
            assert!(retain_days(bad).is_err(), "{bad}");
        }
    }
}
