//! Whether a plan makes sense, before anybody is called.

use super::{AT_ONCE_MAX, Audience, CampaignError, PACE_MAX, Plan, TRIES_MAX};
use crate::actions::outbox::BODY_MAX_CHARS;
use crate::directory::Tenant;
use crate::domain::{CallBody, OnMachine};
use crate::rules::RuleSet;
use crate::rules::limits::{NAME_CHARS, SPOKEN_CHARS, STATE_BYTES};
use crate::twilio::is_sid;

/// Fields that an audience may ask for.
const FIELDS_MAX: usize = 10;

/// `rules` are those by which its calls would begin now.
pub fn plan(rules: &RuleSet, tenant: &Tenant, plan: &Plan) -> Result<(), CampaignError> {
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
    plan.call.as_ref().map_or(Ok(()), |body| call(rules, tenant, body))?;
    plan.audience.as_ref().map_or(Ok(()), audience)
}

fn call(rules: &RuleSet, tenant: &Tenant, body: &CallBody) -> Result<(), CampaignError> {
    let wrong = |why: &str| Err(CampaignError::Plan(why.to_owned()));
    let begins = [body.step.is_some(), body.agent.is_some(), body.say.is_some()];
    if begins.into_iter().filter(|is| *is).count() != 1 || body.step.is_some() != body.rule.is_some() {
        return wrong("a call begins at a rule's step (rule and step), or with an agent, or says something (say)");
    }
    if let (Some(rule), Some(step)) = (&body.rule, &body.step) {
        rules.check_beginning(rule, step, &tenant.facts)?;
    }
    if let Some(agent) = &body.agent
        && tenant.settings.voice.agent(agent).is_none()
    {
        return Err(CampaignError::Plan(format!("'{}' has no voice agent '{agent}'", tenant.slug)));
    }
    let words = [&body.say, &body.message].into_iter().flatten();
    if words.into_iter().any(|text| text.trim().is_empty() || text.chars().count() > SPOKEN_CHARS) {
        return Err(CampaignError::Plan(format!("what is said has 1 to {SPOKEN_CHARS} characters")));
    }
    let names = [&body.rule, &body.step, &body.agent, &body.voice, &body.language].into_iter().flatten();
    if names.into_iter().any(|name| name.is_empty() || name.chars().count() > NAME_CHARS) {
        return Err(CampaignError::Plan(format!("names, voices and languages have 1 to {NAME_CHARS} characters")));
    }
    if body.machine == Some(OnMachine::Message) && body.message.is_none() && body.say.is_none() {
        return wrong("say what a machine is told: message");
    }
    if body.timeout_s.is_some_and(|seconds| !CallBody::TIMEOUT_S.contains(&seconds)) {
        return wrong("timeout_s is 5 to 600");
    }
    if serde_json::to_string(&body.state).is_ok_and(|text| text.len() > STATE_BYTES) {
        return Err(CampaignError::Plan(format!("the state is larger than {STATE_BYTES} bytes")));
    }
    Ok(())
}

fn audience(audience: &Audience) -> Result<(), CampaignError> {
    if audience.fields.len() > FIELDS_MAX {
        return Err(CampaignError::Plan(format!("an audience asks for at most {FIELDS_MAX} fields")));
    }
    Ok(())
}
