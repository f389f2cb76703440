//! Campaigns: calls or messages to many customers, at a pace, within hours, with retries.
//!
//! A campaign is a row with its [`Plan`]; each member is a row with its state. [`round`] moves them on: it reads the
//! results of tries from the ledger and the calls, and plans the next tries into the ledger, where the rules of every
//! send apply. **A try is planned once**: its action's identity is (campaign, member, try), and it is written in the
//! transaction that updates the member. Counts come from rows, so repeats of the provider count once.

mod audience;
mod texts;
mod validation;
mod hours;
pub mod round;
pub mod sheet;
pub mod tries;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};

use self::sheet::{RefusedLine, Sheet};
use self::texts::Values;
use crate::domain::action::Template;
use crate::domain::{CallBody, CampaignId, CampaignState, TenantId};
use crate::rules::{CannotStartCall, RuleSet};
use crate::store::tables::campaigns::{CAMPAIGNS_MAX, Campaign, MEMBERS_MAX, NAME_CHARS, NewMember, NotAdded, is_name};
use crate::store::{Store, StoreError};
use crate::tenants::Tenant;
use crate::time::{Span, WeeklyHours};

/// The most tries of one member.
pub const TRIES_MAX: u8 = 20;
/// The most tries per minute.
pub const PACE_MAX: u32 = 6_000;
/// The most calls at once.
pub const AT_ONCE_MAX: u32 = 1_000;

/// A campaign's action, audience, times and retries.
///
/// ```json
/// {"call": {"rule": "interest", "step": "interest", "machine": "hangup", "state": {"script": "We have a new
/// course."}},
///  "audience": {"tag": "member"}, "windows": "mon-fri 10:00-14:00,17:00-20:00", "per_minute": 30, "at_once": 5,
///  "retry": {"on": ["busy", "no-answer"], "after": "2h", "tries": 3}}
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallBody>,
    /// A text message; `{name}` is the member's name, `{field}` any of their fields; `{field|text}` gives the text for
    /// members without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sms: Option<String>,
    /// An approved WhatsApp template; its variables may use `{name}` and `{field}`, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whatsapp: Option<Template>,
    /// Customers that are added at the start; without it, only imported members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<Audience>,
    /// Hours in the customer's time zone; all day if omitted. Quiet hours hold besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<WeeklyHours>,
    /// Tries that start per minute, evenly spaced.
    #[serde(default = "Plan::default_pace")]
    pub per_minute: u32,
    /// The most tries in progress.
    #[serde(default = "Plan::default_at_once")]
    pub at_once: u32,
    #[serde(default)]
    pub retry: Retry,
}

impl Plan {
    const fn default_pace() -> u32 {
        30
    }

    const fn default_at_once() -> u32 {
        10
    }
}

/// A selection of a tenant's customers: those that match all conditions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audience {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Fields and their values, as text.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// The customer's field `language`, or, if missing, the tenant's language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// Whether a call without success is tried again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    pub on: BTreeSet<RetryOn>,
    /// The delay after the end of the last try.
    pub after: Span,
    /// The most tries in total.
    pub tries: u8,
}

impl Default for Retry {
    fn default() -> Self {
        Self { on: [RetryOn::Busy, RetryOn::NoAnswer].into(), after: Span::hours(2), tries: 3 }
    }
}

/// A result after which a member is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, EnumString, IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case", const_into_str, parse_err_ty = CampaignError, parse_err_fn = no_retry_result)]
pub enum RetryOn {
    Busy,
    NoAnswer,
    Failed,
    /// A machine answered.
    Machine,
}

fn no_retry_result(text: &str) -> CampaignError {
    CampaignError::Plan(format!("'{text}' is not tried again: use busy, no-answer, failed or machine"))
}

/// Why a campaign was not added or changed.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    #[error("a campaign's name has 1 to {NAME_CHARS} characters and no line breaks")]
    Name,
    #[error("there is a campaign '{0}': choose another name")]
    Named(String),
    #[error("a tenant has at most {CAMPAIGNS_MAX} campaigns")]
    Many,
    #[error("{0}")]
    Plan(String),
    /// The calls cannot start.
    #[error(transparent)]
    Beginning(#[from] CannotStartCall),
    #[error("there is no campaign '{0}': 'recado campaigns list' shows those there are")]
    NoCampaign(String),
    #[error("the campaign is {0}: it cannot become {1}")]
    State(CampaignState, CampaignState),
    #[error("the campaign is {0}: members are added while it is a draft, runs or is paused")]
    Closed(CampaignState),
    #[error("a campaign has at most {MEMBERS_MAX} members: part it")]
    Full,
    /// The table has no column for a value that the texts use.
    #[error(
        "the texts of the campaign use {missing}, and the table has no such column; it has {columns}: rename a column, or \
             change the text"
    )]
    NoColumn { missing: String, columns: String },
    /// Customers lack a value that the texts use.
    #[error("{0}: fill it in, or write {{name|text}} for a text without a value")]
    Missing(String),
    #[error("the campaign has nobody to try: import numbers, or choose an audience that somebody fits")]
    Nobody,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Plan {
    /// The plan of a stored campaign. An imported campaign was checked elsewhere, so its pace is checked here.
    pub fn from_stored(campaign: &Campaign) -> Result<Self, StoreError> {
        let stored = |why: String| StoreError::Stored(format!("the plan of campaign {}: {why}", campaign.id));
        let plan: Self = serde_json::from_str(&campaign.plan).map_err(|error| stored(error.to_string()))?;
        if !(1..=PACE_MAX).contains(&plan.per_minute) || !(1..=AT_ONCE_MAX).contains(&plan.at_once) {
            return Err(stored(format!("per_minute is 1 to {PACE_MAX}, at_once 1 to {AT_ONCE_MAX}")));
        }
        Ok(plan)
    }
}

/// Adds a campaign as a draft.
pub async fn add(
    store: &Store,
    rules: &RuleSet,
    tenant: &Tenant,
    id: CampaignId,
    name: &str,
    plan: &Plan,
) -> Result<Campaign, CampaignError> {
    let name = name.trim();
    if !is_name(name) {
        return Err(CampaignError::Name);
    }
    validation::validate(rules, tenant, plan)?;
    let text = serde_json::to_string(plan).map_err(|error| CampaignError::Plan(error.to_string()))?;
    match store.add_campaign(tenant.id, id, name, &text).await? {
        Ok(campaign) => Ok(campaign),
        Err(NotAdded::Named) => Err(CampaignError::Named(name.to_owned())),
        Err(NotAdded::Many) => Err(CampaignError::Many),
    }
}

/// Finds a campaign by its name or id.
pub async fn find(store: &Store, tenant: TenantId, name_or_id: &str) -> Result<Campaign, CampaignError> {
    let by_id = match name_or_id.parse::<CampaignId>() {
        Ok(id) => store.campaign(tenant, id).await?,
        Err(_) => None,
    };
    let found = match by_id {
        Some(campaign) => Some(campaign),
        None => store.campaign_named(tenant, name_or_id).await?,
    };
    found.ok_or_else(|| CampaignError::NoCampaign(name_or_id.chars().take(NAME_CHARS).collect()))
}

/// Adds members; returns how many are new.
pub async fn add_members(store: &Store, campaign: &Campaign, members: &[NewMember]) -> Result<u64, CampaignError> {
    if !campaign.state.is_open() {
        return Err(CampaignError::Closed(campaign.state));
    }
    refuse_missing(&Plan::from_stored(campaign)?, members)?;
    store.add_members(campaign, members).await?.ok_or(CampaignError::Full)
}

/// The members that an error names.
const MISSING_NAMED_MAX: usize = 10;

/// Refuses members without a value that the texts use.
fn refuse_missing(plan: &Plan, members: &[NewMember]) -> Result<(), CampaignError> {
    let needs = plan.needs();
    let mut missing = members.iter().filter_map(|member| {
        let missing = Values::from(member).missing(&needs)?;
        Some(format!("{} has no value for {missing}", member.phone))
    });
    let named: Vec<String> = missing.by_ref().take(MISSING_NAMED_MAX).collect();
    if named.is_empty() {
        return Ok(());
    }
    let named = named.join("; ");
    Err(CampaignError::Missing(match missing.count() {
        0 => named,
        more => format!("{named}; and {more} more"),
    }))
}

impl<'m> From<&'m NewMember> for Values<'m> {
    fn from(member: &'m NewMember) -> Self {
        Self { name: &member.name, fields: &member.fields }
    }
}

/// The result of an import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedMembers {
    pub new: u64,
    pub known: u64,
    pub refused: Vec<RefusedLine>,
}

/// Adds the members of a spreadsheet. Lines without a member, or without a value that the texts use, are refused; the
/// others are added.
pub async fn import_members(
    store: &Store,
    campaign: &Campaign,
    sheet: Sheet,
) -> Result<ImportedMembers, CampaignError> {
    let plan = Plan::from_stored(campaign)?;
    let needs = plan.needs();
    if let Some(missing) = texts::without_column(&needs, &sheet.columns) {
        return Err(CampaignError::NoColumn { missing, columns: sheet.columns.join(", ") });
    }
    let (mut members, mut refused) = (Vec::with_capacity(sheet.members.len()), sheet.refused);
    for (line, member) in sheet.members {
        match Values::from(&member).missing(&needs) {
            Some(missing) => {
                let reason = format!(
                    "there is no value for {missing}, which the texts of the campaign use: fill it in, or write \
                     {{name|text}} for a text without a value"
                );
                refused.push(RefusedLine { line, reason });
            }
            None => members.push(member),
        }
    }
    refused.sort_by_key(|refused| refused.line);
    let new = add_members(store, campaign, &members).await?;
    Ok(ImportedMembers { new, known: members.len() as u64 - new, refused })
}

/// Moves a campaign to another state. A start reads its audience first.
pub async fn transition(
    store: &Store,
    rules: &RuleSet,
    tenant: &Tenant,
    campaign: &Campaign,
    to: CampaignState,
) -> Result<Campaign, CampaignError> {
    if !campaign.state.may_become(to) || to == CampaignState::Done {
        return Err(CampaignError::State(campaign.state, to));
    }
    if to == CampaignState::Running {
        let plan = Plan::from_stored(campaign)?;
        // The rule or agent may have been removed while the campaign was paused.
        validation::validate(rules, tenant, &plan)?;
        if campaign.state == CampaignState::Draft {
            fill(store, tenant, campaign, &plan).await?;
        }
    }
    let moved = store.move_campaign(campaign, campaign.state, to).await?;
    let now = store.campaign(tenant.id, campaign.id).await?;
    let now = now.ok_or_else(|| CampaignError::NoCampaign(campaign.name.clone()))?;
    if moved || now.state == to { Ok(now) } else { Err(CampaignError::State(now.state, to)) }
}

/// Adds the audience. An empty audience is an error.
async fn fill(store: &Store, tenant: &Tenant, campaign: &Campaign, plan: &Plan) -> Result<(), CampaignError> {
    if let Some(audience) = &plan.audience {
        audience::add_matching(store, tenant, campaign, audience, plan).await?;
    }
    let (trying, next) = store.campaign_outlook(campaign).await?;
    if trying == 0 && next.is_none() { Err(CampaignError::Nobody) } else { Ok(()) }
}
