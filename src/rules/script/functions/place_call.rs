//! `call`: a customer is rung, and the call begins at a step of the rule, or something is said and it is over.
//!
//! ```rhai
//! rule("confirm by phone").on("appointment_booked").then(|e| call(e.contact, "confirm", #{ machine: "hangup" }).in("1h"))
//!     .on_call("confirm", |e| say(`Hello ${e.contact.first_name}`));
//! call(e.contact, #{ say: "Your order is ready." });
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use rhai::{Dynamic, Engine, Map, NativeCallContext};

use super::actions::{name, plan_all, recipient, text_within};
use super::later::PlannedAction;
use crate::domain::contact::TenantFacts;
use crate::domain::{Action, CallBody, Channel, OnMachine, Send, SendBody};
use crate::rules::limits::{NAME_CHARS, SPOKEN_CHARS};
use crate::rules::load::error::did_you_mean;
use crate::rules::script::context::{Call, ScriptError};
use crate::rules::script::functions::conversation;
use crate::rules::script::values::{kind_of, text_of};
use crate::rules::{Rule, RuleSet};

/// What `call` is called inside the engine, whose own `call` is another thing.
pub(in crate::rules) const FUNCTION: &str = "place_call";

const SETTINGS: [&str; 8] = ["say", "voice", "language", "machine", "message", "record", "timeout", "state"];

/// Names that an error lists, at most.
const NAMED_MAX: usize = 10;

/// Why no call can begin at a step of a rule, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotStartCall {
    #[error("there is no rule '{rule}': {instead}")]
    Rule { rule: String, instead: String },
    #[error(
        "the rule '{rule}' begins no calls: add .on_call(\"{step}\", |e| say(\"…\")) to it, or use another: {instead}"
    )]
    Silent { rule: String, step: String, instead: String },
    #[error("the rule '{rule}' begins no call at '{step}': {instead}")]
    Step { rule: String, step: String, instead: String },
    #[error("the rule '{rule}' sleeps: enable it with 'recado tenant set {slug} --enable {rule}'")]
    Asleep { rule: String, slug: String },
}

impl RuleSet {
    /// Whether a call of this business's can begin at a step of a rule, as `.on_call("step", …)` makes it.
    pub fn check_beginning(&self, rule: &str, step: &str, tenant: &TenantFacts) -> Result<(), CannotStartCall> {
        let known = self.rules.iter().find(|known| known.info.name == rule);
        let named = || rule.to_owned();
        let Some(found) = known else {
            return Err(CannotStartCall::Rule { rule: named(), instead: self.instead(rule) });
        };
        let steps = &found.talk.calls;
        if steps.is_empty() {
            return Err(CannotStartCall::Silent { rule: named(), step: step.to_owned(), instead: self.instead(rule) });
        }
        if !steps.contains_key(step) {
            let instead = among("its steps", step, steps.keys().map(String::as_str));
            return Err(CannotStartCall::Step { rule: named(), step: step.to_owned(), instead });
        }
        if found.info.blueprint && !tenant.blueprints.contains_key(rule) {
            return Err(CannotStartCall::Asleep { rule: named(), slug: tenant.slug.clone() });
        }
        Ok(())
    }

    /// The rules that begin calls, the nearest to a name first; and what to look at where some could not be loaded.
    fn instead(&self, rule: &str) -> String {
        let begins = |rule: &&Rule| !rule.talk.calls.is_empty();
        let names = self.rules.iter().filter(begins).map(|rule| rule.info.name.as_str());
        let instead = among("those that begin calls", rule, names);
        if self.whole { instead } else { format!("{instead}; some rules are broken: 'recado check' says which") }
    }
}

/// What there is instead of a name: which was probably meant, and a few others.
fn among<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let meant = did_you_mean(name, known.clone()).map(|near| format!("did you mean '{near}'? "));
    let names: Vec<&str> = known.clone().take(NAMED_MAX).collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let more = if known.count() > NAMED_MAX { ", …" } else { "" };
    format!("{}{what}: {names}{more}", meant.unwrap_or_default())
}

pub(in crate::rules) fn register(engine: &mut Engine) {
    type Context<'a> = NativeCallContext<'a>;
    engine.register_fn(FUNCTION, |ctx: Context<'_>, to: Dynamic, what: Dynamic| plan(&ctx, &to, &what, &Map::new()));
    engine.register_fn(FUNCTION, |ctx: Context<'_>, to: Dynamic, step: Dynamic, how: Map| plan(&ctx, &to, &step, &how));
}

fn plan(
    context: &NativeCallContext<'_>,
    to: &Dynamic,
    what: &Dynamic,
    how: &Map,
) -> Result<PlannedAction, ScriptError> {
    plan_all(context, "call", |call| {
        let body = match what.read_lock::<Map>() {
            Some(said) => announcement(&said)?,
            None => at_step(call, name("a step", what)?, how)?,
        };
        let (channel, to, body) = (Channel::Voice, recipient(to)?.into(), SendBody::Call(body));
        Ok(vec![Action::Send(Send { channel, to, reply: false, fallback: None, body })])
    })
}

fn at_step(call: &Arc<Call>, step: String, how: &Map) -> Result<CallBody, String> {
    let frame = call.frame();
    if !frame.talk.as_ref().is_some_and(|talk| talk.calls.contains_key(&step)) {
        return Err(format!("the rule does not say how the call begins: add .on_call(\"{step}\", |e| say(\"…\"))"));
    }
    let body = settings(how)?;
    if body.say.is_some() {
        return Err("at a step the rule speaks: say it in its .on_call(…), or leave the step out".to_owned());
    }
    Ok(CallBody { rule: Some(frame.rule.clone()), step: Some(step), ..body })
}

fn announcement(how: &Map) -> Result<CallBody, String> {
    let body = settings(how)?;
    if body.say.is_none() {
        return Err("a call begins at a step, call(e.contact, \"confirm\"), or says something: #{ say: \"…\" }".into());
    }
    Ok(body)
}

fn settings(how: &Map) -> Result<CallBody, String> {
    if let Some(key) = how.keys().find(|key| !SETTINGS.contains(&key.as_str())) {
        return Err(format!("there is no '{key}' here: use {}", SETTINGS.join(", ")));
    }
    let said = |key: &str| how.get(key).map(|text| text_within(text, SPOKEN_CHARS, "")).transpose();
    let word = |key: &str| {
        let Some(value) = how.get(key) else { return Ok(None) };
        let text = text_of(value).filter(|text| text.chars().count() <= NAME_CHARS);
        text.map(Some).ok_or_else(|| format!("{key} is a text of at most {NAME_CHARS} characters"))
    };
    let machine = word("machine")?.map(|text| text.parse::<OnMachine>()).transpose().map_err(|bad| bad.to_string())?;
    let (say, message) = (said("say")?, said("message")?);
    if machine == Some(OnMachine::Message) && say.is_none() && message.is_none() {
        return Err("say what a machine is told: machine: \"message\", message: \"…\"".to_owned());
    }
    Ok(CallBody {
        say,
        message,
        machine,
        voice: word("voice")?,
        language: word("language")?,
        record: how.get("record").is_some_and(|record| record.as_bool().unwrap_or_default()),
        timeout_s: how.get("timeout").map(seconds).transpose()?,
        state: how.get("state").map(remembered).transpose()?.unwrap_or_default(),
        ..CallBody::default()
    })
}

fn seconds(value: &Dynamic) -> Result<u16, String> {
    let number = value.as_int().ok().and_then(|number| u16::try_from(number).ok());
    let fits = number.filter(|number| CallBody::TIMEOUT_S.contains(number));
    fits.ok_or_else(|| "timeout is 5 to 600 seconds".to_owned())
}

fn remembered(value: &Dynamic) -> Result<BTreeMap<String, serde_json::Value>, String> {
    match conversation::remembered(value)? {
        serde_json::Value::Object(map) => Ok(map.into_iter().collect()),
        _ => Err(format!("the state is a map such as #{{ order: 7 }}, and this is a {}", kind_of(value))),
    }
}
