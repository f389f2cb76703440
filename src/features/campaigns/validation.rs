//! Checks a campaign's plan before it starts.

use super::{AT_ONCE_MAX, Audience, CampaignError, PACE_MAX, Plan, TRIES_MAX};
use crate::domain::CallBody;
use crate::engine::sending::by_hand::BODY_MAX_CHARS;
use crate::engine::sending::call_request::{UnfitCall, check};
use crate::integrations::twilio::is_sid;
use crate::rules::RuleSet;
use crate::tenants::Tenant;

/// The most fields that an audience may name.
const FIELDS_MAX: usize = 10;

/// Checks a plan. Its calls must be able to start by the current `rules`.
pub fn validate(rules: &RuleSet, tenant: &Tenant, plan: &Plan) -> Result<(), CampaignError> {
    let wrong = |why: &str| Err(CampaignError::Plan(why.to_owned()));
    let kinds = [plan.call.is_some(), plan.sms.is_some(), plan.whatsapp.is_some()];
    if kinds.into_iter().filter(|is| *is).count() != 1 {
        return wrong("a campaign does one thing: give either a call, a text message (sms) or a WhatsApp template");
    }
    if !(1..=PACE_MAX).contains(&plan.per_minute) {
        return Err(CampaignError::Plan(format!("per_minute is 1 to {PACE_MAX}")));
    }
    if !(1..=AT_ONCE_MAX).contains(&plan.at_once) {
        return Err(CampaignError::Plan(format!("at_once is 1 to {AT_ONCE_MAX}")));
    }
    if !(1..=TRIES_MAX).contains(&plan.retry.tries) {
        return Err(CampaignError::Plan(format!("a member is tried 1 to {TRIES_MAX} times")));
    }
    if plan.windows.as_ref().is_some_and(|hours| hours.to_string().is_empty()) {
        return wrong("the windows are never open: write such as 'mon-fri 10:00-14:00', or leave them out");
    }
    if let Some(text) = &plan.sms
        && (text.trim().is_empty() || text.chars().count() > BODY_MAX_CHARS || text.contains('\0'))
    {
        return Err(CampaignError::Plan(format!("the text has 1 to {BODY_MAX_CHARS} characters")));
    }
    if let Some(template) = &plan.whatsapp
        && !tenant.settings.templates.contains_key(&template.content)
        && !is_sid("HX", &template.content)
    {
        return Err(CampaignError::Plan(format!(
            "'{}' is neither a template of '{slug}' nor a Content SID (HX and 32 hex digits): name it with \
             'recado tenant set {slug} --template NAME=HX…'",
            template.content,
            slug = tenant.slug
        )));
    }
    if let Some(template) = &plan.whatsapp {
        // What is known before the members' values: that no variable is left empty.
        template.clone().fit_variables().map_err(|unfit| CampaignError::Plan(unfit.to_string()))?;
    }
    plan.call.as_ref().map_or(Ok(()), |body| call(rules, tenant, body))?;
    plan.audience.as_ref().map_or(Ok(()), audience)
}

fn call(rules: &RuleSet, tenant: &Tenant, body: &CallBody) -> Result<(), CampaignError> {
    check(rules, tenant, body).map_err(|unfit| match unfit {
        UnfitCall::Beginning(none) => none.into(),
        other => CampaignError::Plan(other.to_string()),
    })
}

fn audience(audience: &Audience) -> Result<(), CampaignError> {
    if audience.fields.len() > FIELDS_MAX {
        return Err(CampaignError::Plan(format!("an audience asks for at most {FIELDS_MAX} fields")));
    }
    Ok(())
}
