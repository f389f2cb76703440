//! Checks of a call before it is placed: by an operator, by the API or by a campaign.

use crate::domain::{CallBody, OnMachine};
use crate::rules::limits::{NAME_CHARS, SPOKEN_CHARS, STATE_BYTES};
use crate::rules::{CannotStartCall, RuleSet};
use crate::tenants::Tenant;

/// The reason why a call is not placed.
#[derive(Debug, thiserror::Error)]
pub enum UnfitCall {
    #[error(transparent)]
    Beginning(#[from] CannotStartCall),
    #[error("'{tenant}' has no voice agent '{agent}': 'recado agents list --tenant {tenant}' shows those it has")]
    Agent { tenant: String, agent: String },
    #[error("{0}")]
    Body(String),
}

/// Checks a call. `rules` are those by which it would begin now.
pub fn check(rules: &RuleSet, tenant: &Tenant, body: &CallBody) -> Result<(), UnfitCall> {
    let wrong = |why: String| Err(UnfitCall::Body(why));
    let begins = [body.step.is_some(), body.agent.is_some(), body.say.is_some()];
    if begins.into_iter().filter(|is| *is).count() != 1 || body.step.is_some() != body.rule.is_some() {
        let how = "a call begins at a rule's step (rule and step), or with an agent, or says something (say)";
        return wrong(how.to_owned());
    }
    if let (Some(rule), Some(step)) = (&body.rule, &body.step) {
        rules.check_call_start(rule, step, &tenant.facts)?;
    }
    if let Some(agent) = &body.agent
        && tenant.settings.voice.agent(agent).is_none()
    {
        return Err(UnfitCall::Agent { tenant: tenant.slug.clone(), agent: agent.clone() });
    }
    let words = [&body.say, &body.message].into_iter().flatten();
    if words.into_iter().any(|text| text.trim().is_empty() || text.chars().count() > SPOKEN_CHARS) {
        return wrong(format!("what is said has 1 to {SPOKEN_CHARS} characters"));
    }
    let names = [&body.rule, &body.step, &body.agent, &body.voice, &body.language].into_iter().flatten();
    if names.into_iter().any(|name| name.is_empty() || name.chars().count() > NAME_CHARS) {
        return wrong(format!("names, voices and languages have 1 to {NAME_CHARS} characters"));
    }
    if body.machine == Some(OnMachine::Message) && body.message.is_none() && body.say.is_none() {
        return wrong("say what a machine is told: message".to_owned());
    }
    if body.timeout_s.is_some_and(|seconds| !CallBody::TIMEOUT_S.contains(&seconds)) {
        return wrong("timeout_s is 5 to 600".to_owned());
    }
    if serde_json::to_string(&body.state).is_ok_and(|text| text.len() > STATE_BYTES) {
        return wrong(format!("the state is larger than {STATE_BYTES} bytes"));
    }
    Ok(())
}
