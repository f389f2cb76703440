//! A change of a tenant. Omitted fields stay as they are.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use chrono::NaiveDate;
use chrono_tz::Tz;
use secrecy::SecretString;
use serde_json::Value as Json;

use super::settings::TenantSettings;
use super::{Platform, TWILIO};
use crate::config::secret::SealError;
use crate::domain::{Channel, Country, EmailAddress, SendLimits};
use crate::integrations::http_providers::file::is_prefix;
use crate::integrations::twilio::is_sid;
use crate::store::StoreError;
use crate::time::WeeklyHours;
use crate::time::hours::NoHours;
use crate::time::quiet::NotQuiet;

/// Addresses of staff; each e-mail to staff is one action per address.
pub const STAFF_MAX: usize = 10;
/// Prefixes that a tenant routes itself.
pub const ROUTES_MAX: usize = 200;
/// Named templates.
pub const TEMPLATES_MAX: usize = 200;
/// The longest name of a template, in bytes.
pub const TEMPLATE_NAME_MAX_BYTES: usize = 80;
/// The longest value of a blueprint's parameter, in bytes of JSON.
pub const PARAM_MAX_BYTES: usize = 10_000;

/// A change of one tenant. The default changes nothing.
///
/// It is applied to the tenant's row as that is at the moment of writing, so that two changes at once are both kept.
#[derive(Clone, Debug, Default)]
pub struct TenantChange {
    pub name: Option<String>,
    pub zone: Option<Tz>,
    pub language: Option<String>,
    /// `Some(None)` goes back to the country of the tenant's own numbers.
    pub country: Option<Option<Country>>,
    /// `Some(None)` keeps everything.
    pub retain_days: Option<Option<u32>>,
    pub staff_emails: StaffChange,
    /// Templates by name: a Content SID, or `None` to remove the name.
    pub templates: BTreeMap<String, Option<String>>,
    /// Routes by prefix: `twilio` or a provider's name, or `None` for the installation's choice.
    pub routes: BTreeMap<String, Option<String>>,
    pub blueprints: BTreeMap<String, BlueprintChange>,
    /// Weekly hours; holidays stay. `Some(None)` removes the hours and the holidays.
    pub hours: Option<Option<WeeklyHours>>,
    /// Holidays by date, after `hours`: `closed` or shifts, or `None` for the hours of the weekday.
    pub holidays: BTreeMap<NaiveDate, Option<String>>,
    /// Quiet hours by prefix or `all`: hours or `off`, or `None` for the installation's choice.
    pub quiet: BTreeMap<String, Option<String>>,
    /// Budgets and countries. Only the operator changes them.
    pub sends: SendLimitsChange,
    pub senders: SenderChange,
    pub account: Option<AccountChange>,
}

/// A change of the addresses of staff: first the replacement, then removals, then additions.
#[derive(Clone, Debug, Default)]
pub struct StaffChange {
    pub replace: Option<Vec<EmailAddress>>,
    pub remove: Vec<EmailAddress>,
    pub add: Vec<EmailAddress>,
}

/// A change of one blueprint rule.
#[derive(Clone, Debug, PartialEq)]
pub enum BlueprintChange {
    /// Disables the rule and forgets its parameters.
    Disable,
    /// Enables the rule and sets these parameters. Others stay as they are.
    Set(BTreeMap<String, ParamChange>),
    /// Enables the rule with exactly these parameters.
    Replace(BTreeMap<String, ParamChange>),
}

/// A change of one parameter of a blueprint.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamChange {
    /// A value as text; it is read as the kind of the rule's default.
    Text(String),
    /// A value of the same kind as the rule's default.
    Value(Json),
    /// Back to the rule's default.
    Reset,
}

/// A change of what the tenant may send. `Some(None)` removes a budget, an empty set allows all.
#[derive(Clone, Debug, Default)]
pub struct SendLimitsChange {
    pub per_hour: Option<Option<NonZeroU32>>,
    pub per_day: Option<Option<NonZeroU32>>,
    pub countries: Option<BTreeSet<Country>>,
    /// Content SIDs (`HX…`).
    pub templates: Option<BTreeSet<String>>,
    /// Ids of agents at ElevenLabs.
    pub stream_agents: Option<BTreeSet<String>>,
}

impl SendLimitsChange {
    fn apply(&self, limits: &mut SendLimits) {
        limits.per_hour = self.per_hour.unwrap_or(limits.per_hour);
        limits.per_day = self.per_day.unwrap_or(limits.per_day);
        if let Some(countries) = &self.countries {
            limits.countries.clone_from(countries);
        }
        if let Some(templates) = &self.templates {
            limits.templates.clone_from(templates);
        }
        if let Some(agents) = &self.stream_agents {
            limits.stream_agents.clone_from(agents);
        }
    }
}

/// A change of the tenant's own numbers.
#[derive(Clone, Debug, Default)]
pub struct SenderChange {
    pub remove: Vec<String>,
    pub add: Vec<(Channel, String)>,
    /// The base URL of the added senders, or of all senders if none is added.
    pub base_url: Option<String>,
}

/// A change of the tenant's own account at Twilio. Tokens are sealed when they are stored.
#[derive(Clone, Debug)]
pub enum AccountChange {
    /// Uses this account. With `keep_old`, signatures of the current token stay valid.
    Set { sid: String, token: SecretString, keep_old: bool },
    /// Accepts a second token of the account `sid`.
    SetSecondary { sid: String, token: SecretString },
    /// Goes back to the installation's account.
    Remove,
    /// Forgets the second token.
    RemoveSecondary,
}

/// The blueprints of the rules that are loaded: name to parameters with their defaults.
#[derive(Clone, Debug, Default)]
pub struct Blueprints {
    pub known: BTreeMap<String, BTreeMap<String, Json>>,
    /// The origin of the rules, for error messages.
    pub source: String,
}

/// Why a change is refused. A refused change changes nothing.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("{problem}")]
    Invalid { field: &'static str, problem: String },
    #[error("'{slug}' has no staff address {address}")]
    UnknownStaff { slug: String, address: EmailAddress },
    #[error("a tenant may have {STAFF_MAX} staff addresses: use a mailing list")]
    ManyStaff,
    #[error("'{0}' is no Content SID: write HX and 32 hex digits")]
    NoContentSid(String),
    #[error("a template's name has 1 to {TEMPLATE_NAME_MAX_BYTES} bytes and no control characters")]
    TemplateName,
    #[error("a tenant names at most {TEMPLATES_MAX} templates: remove some first")]
    ManyTemplates,
    #[error("'{0}' is no prefix: + and the first digits of a number, such as +91")]
    NoPrefix(String),
    #[error("there is no provider '{name}'; there are: {known}")]
    NoProvider { name: String, known: String },
    #[error("a tenant routes at most {ROUTES_MAX} prefixes: remove some first")]
    ManyRoutes,
    #[error("'{rule}' is not enabled for '{slug}'")]
    NotEnabled { rule: String, slug: String },
    #[error("{source_name} has no blueprint '{rule}'; there are: {known}")]
    NoBlueprint { source_name: String, rule: String, known: String },
    #[error("'{rule}' has no parameter '{name}'; there are: {known}")]
    NoParam { rule: String, name: String, known: String },
    #[error("{name}={value} does not do: '{rule}' expects a value like {default}")]
    BadParam { rule: String, name: String, value: String, default: Json },
    #[error("a parameter has at most {PARAM_MAX_BYTES} bytes of JSON")]
    LongParam,
    #[error(transparent)]
    Hours(#[from] NoHours),
    #[error("'{slug}' has no holiday on {date}")]
    NoHoliday { slug: String, date: NaiveDate },
    #[error(transparent)]
    Quiet(#[from] NotQuiet),
    #[error("'{slug}' has no sender {number}")]
    NoSender { slug: String, number: String },
    #[error("'{0}' has no sender of its own that a base URL could be for: give it one with {flags}", flags = flags())]
    NoSenderForBase(String),
    #[error(
        "{channel} {number} belongs to '{owner}': take it from there first: recado tenant set {owner} --remove-sender {address}",
        address = channel.sender_address(number)
    )]
    SenderTaken { channel: Channel, number: String, owner: String },
    #[error("'{slug}' has no token for {sid} that could be kept")]
    NoOldToken { slug: String, sid: String },
    #[error("'{0}' has no account of its own that could have a secondary token: leave --secondary out")]
    NoAccountForSecondary(String),
    #[error("the account of '{0}' was changed meanwhile, and nothing was changed: look at it, and try again")]
    AccountChanged(String),
    #[error("'{0}' was just removed")]
    NoTenant(String),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SettingsError {
    /// Returns the field of the change that is wrong; `None` if the error has another cause.
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Self::Invalid { field, .. } => Some(field),
            Self::UnknownStaff { .. } | Self::ManyStaff => Some("staff_emails"),
            Self::NoContentSid(_) | Self::TemplateName | Self::ManyTemplates => Some("templates"),
            Self::NoPrefix(_) | Self::NoProvider { .. } | Self::ManyRoutes => Some("routes"),
            Self::NotEnabled { .. }
            | Self::NoBlueprint { .. }
            | Self::NoParam { .. }
            | Self::BadParam { .. }
            | Self::LongParam => Some("blueprints"),
            Self::Hours(_) => Some("hours"),
            Self::NoHoliday { .. } => Some("holidays"),
            Self::Quiet(_) => Some("quiet"),
            Self::NoSender { .. } | Self::NoSenderForBase(_) | Self::SenderTaken { .. } => Some("senders"),
            Self::NoOldToken { .. } | Self::NoAccountForSecondary(_) | Self::AccountChanged(_) => Some("account"),
            Self::NoTenant(_) | Self::Seal(_) | Self::Store(_) => None,
        }
    }
}

/// The context for the checks of a change.
pub struct ChangeContext<'a> {
    pub slug: &'a str,
    pub platform: &'a Platform,
    pub blueprints: &'a Blueprints,
    /// Removing a missing item is an error. At the API it is not: a repeated request gives the same result.
    pub strict: bool,
}

impl TenantChange {
    /// Applies the parts of the change that are settings.
    pub fn apply_settings(
        &self,
        settings: &mut TenantSettings,
        context: &ChangeContext<'_>,
    ) -> Result<(), SettingsError> {
        if let Some(days) = self.retain_days {
            settings.retain_days = days;
        }
        if let Some(country) = self.country {
            settings.country = country;
        }
        self.staff_emails.apply(&mut settings.staff_emails, context)?;
        self.apply_templates(settings)?;
        self.apply_routes(settings, context.platform)?;
        self.apply_blueprints(settings, context)?;
        self.apply_hours(settings, context)?;
        self.sends.apply(&mut settings.sends);
        for (prefix, hours) in &self.quiet {
            settings.quiet.set(prefix, hours.as_deref().unwrap_or_default())?;
        }
        Ok(())
    }

    fn apply_templates(&self, settings: &mut TenantSettings) -> Result<(), SettingsError> {
        let before = settings.templates.len();
        for (name, content) in &self.templates {
            match content {
                None => drop(settings.templates.remove(name)),
                Some(content) if !is_sid("HX", content) => {
                    return Err(SettingsError::NoContentSid(content.clone()));
                }
                Some(_)
                    if name.len() > TEMPLATE_NAME_MAX_BYTES
                        || name.is_empty()
                        || name.chars().any(char::is_control) =>
                {
                    return Err(SettingsError::TemplateName);
                }
                Some(content) => drop(settings.templates.insert(name.clone(), content.clone())),
            }
        }
        let count = settings.templates.len();
        if count > TEMPLATES_MAX && count > before { Err(SettingsError::ManyTemplates) } else { Ok(()) }
    }

    fn apply_routes(&self, settings: &mut TenantSettings, platform: &Platform) -> Result<(), SettingsError> {
        for (prefix, name) in &self.routes {
            if !is_prefix(prefix) {
                return Err(SettingsError::NoPrefix(prefix.clone()));
            }
            let Some(name) = name else {
                settings.routes.remove(prefix);
                continue;
            };
            if name != TWILIO && platform.providers.named(name).is_none() {
                let providers = platform.providers.iter().map(|provider| provider.name.as_str());
                let known = std::iter::once(TWILIO).chain(providers);
                return Err(SettingsError::NoProvider { name: name.clone(), known: listed(known) });
            }
            settings.routes.insert(prefix.clone(), name.clone());
        }
        if settings.routes.len() > ROUTES_MAX { Err(SettingsError::ManyRoutes) } else { Ok(()) }
    }

    fn apply_blueprints(
        &self,
        settings: &mut TenantSettings,
        context: &ChangeContext<'_>,
    ) -> Result<(), SettingsError> {
        for (rule, change) in &self.blueprints {
            let params = match change {
                BlueprintChange::Disable => {
                    if settings.blueprints.remove(rule).is_none() && context.strict {
                        return Err(SettingsError::NotEnabled { rule: rule.clone(), slug: context.slug.to_owned() });
                    }
                    continue;
                }
                BlueprintChange::Set(params) => params,
                BlueprintChange::Replace(params) => {
                    settings.blueprints.remove(rule);
                    params
                }
            };
            let defaults = context.blueprints.defaults(rule)?;
            let chosen = settings.blueprints.entry(rule.clone()).or_default();
            for (name, change) in params {
                change.apply(rule, name, defaults, chosen)?;
            }
        }
        Ok(())
    }

    fn apply_hours(&self, settings: &mut TenantSettings, context: &ChangeContext<'_>) -> Result<(), SettingsError> {
        if let Some(hours) = &self.hours {
            let before = settings.hours.take().unwrap_or_default();
            settings.hours = hours.clone().map(|hours| hours.with_holidays_of(&before));
        }
        for (date, shifts) in &self.holidays {
            match shifts {
                // Without weekly hours, the business is open on all other days.
                Some(shifts) => {
                    settings.hours.get_or_insert_with(WeeklyHours::always).set_holiday(*date, shifts)?;
                }
                None => {
                    let removed = settings.hours.as_mut().is_some_and(|hours| hours.remove_holiday(*date));
                    if !removed && context.strict {
                        return Err(SettingsError::NoHoliday { slug: context.slug.to_owned(), date: *date });
                    }
                }
            }
        }
        Ok(())
    }
}

impl StaffChange {
    fn apply(&self, staff: &mut Vec<EmailAddress>, context: &ChangeContext<'_>) -> Result<(), SettingsError> {
        if let Some(all) = &self.replace {
            staff.clear();
            all.iter().for_each(|address| add_address(staff, address));
        }
        for address in &self.remove {
            let before = staff.len();
            staff.retain(|known| known.key() != address.key());
            if staff.len() == before && context.strict {
                return Err(SettingsError::UnknownStaff { slug: context.slug.to_owned(), address: address.clone() });
            }
        }
        self.add.iter().for_each(|address| add_address(staff, address));
        if staff.len() > STAFF_MAX { Err(SettingsError::ManyStaff) } else { Ok(()) }
    }
}

fn add_address(staff: &mut Vec<EmailAddress>, address: &EmailAddress) {
    if !staff.iter().any(|known| known.key() == address.key()) {
        staff.push(address.clone());
    }
}

impl ParamChange {
    fn apply(
        &self,
        rule: &str,
        name: &str,
        defaults: &BTreeMap<String, Json>,
        chosen: &mut BTreeMap<String, Json>,
    ) -> Result<(), SettingsError> {
        let unknown = || SettingsError::NoParam {
            rule: rule.to_owned(),
            name: name.to_owned(),
            known: listed(defaults.keys().map(String::as_str)),
        };
        let (value, text) = match self {
            // A parameter that the rule has no more can still be removed.
            Self::Reset if chosen.remove(name).is_some() => return Ok(()),
            Self::Reset => return defaults.get(name).map(drop).ok_or_else(unknown),
            Self::Text(text) => (parse_like(defaults.get(name).ok_or_else(unknown)?, text), text.clone()),
            Self::Value(value) => {
                let default = defaults.get(name).ok_or_else(unknown)?;
                (Some(value.clone()).filter(|value| is_like(default, value)), value.to_string())
            }
        };
        if text.len() > PARAM_MAX_BYTES {
            return Err(SettingsError::LongParam);
        }
        let value = value.ok_or_else(|| SettingsError::BadParam {
            rule: rule.to_owned(),
            name: name.to_owned(),
            value: text,
            default: defaults.get(name).cloned().unwrap_or_default(),
        })?;
        chosen.insert(name.to_owned(), value);
        Ok(())
    }
}

impl Blueprints {
    fn defaults(&self, rule: &str) -> Result<&BTreeMap<String, Json>, SettingsError> {
        self.known.get(rule).ok_or_else(|| SettingsError::NoBlueprint {
            source_name: self.source.clone(),
            rule: rule.to_owned(),
            known: listed(self.known.keys().map(String::as_str)),
        })
    }
}

/// A value of the same kind as the default: text stays text, whatever it looks like.
fn parse_like(default: &Json, text: &str) -> Option<Json> {
    match default {
        Json::String(_) => Some(Json::String(text.to_owned())),
        other => serde_json::from_str(text).ok().filter(|value| is_like(other, value)),
    }
}

fn is_like(default: &Json, value: &Json) -> bool {
    std::mem::discriminant(default) == std::mem::discriminant(value)
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The options of `recado tenant set` that add a sender.
fn flags() -> String {
    Channel::INBOUND.map(|channel| format!("--{channel}")).join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_keep_the_kind_of_their_default() {
        assert_eq!(parse_like(&"09:00".into(), "12"), Some("12".into()));
        assert_eq!(parse_like(&5.into(), "12"), Some(12.into()));
        assert_eq!(parse_like(&5.into(), "twelve"), None);
        assert_eq!(parse_like(&true.into(), "false"), Some(false.into()));
    }
}
