//! What is said in a call: `say`, `gather`, `menu` and their like, and who hears what the caller says back.
//!
//! ```rhai
//! rule("front desk").on("call_received")
//!     .then(|e| menu("main", #{ say: "Press 1 for an appointment, 2 for a person.", "1|appointment": "book", "2|person": "person" }))
//!     .on_input("book", |e, input| { say("We will text you a time."); send_sms(e.contact, "…"); hangup() })
//!     .on_input("person", |e, input| connect_agent());
//! rule("confirm by phone").on_call("confirm", |e| say(`Hello ${e.contact.first_name}`));   // how a call of ours begins
//! ```
//! Nothing came, or it fits nothing: it is asked again, `tries` times in all, and then `otherwise` follows, or farewell.

use std::collections::BTreeMap;
use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, ImmutableString, Map, NativeCallContext};
use serde_json::Value;

use super::actions::{name, plan_all, text_within};
use super::later::PlannedAction;
use crate::domain::call::{Awaited, Dial, Gather, Input, Record, Say, Step, Waiting};
use crate::domain::event::CallData;
use crate::domain::fold::fold;
use crate::domain::voice_words::{Word, words};
use crate::domain::{Action, Event, EventKind, Facts, Phone};
use crate::rules::eval::trace::{Decision, Planned, RuleResult, RuleTrace};
use crate::rules::limits::{NAME_CHARS, SPOKEN_CHARS};
use crate::rules::load::builder::{Closure, Draft, RuleBuilder};
use crate::rules::script::context::{Call, Phase, ScriptError};
use crate::rules::script::failure::Failure;
use crate::rules::script::functions::conversation::{hears, remembered};
use crate::rules::script::values::{kind_of, text_of, to_script};
use crate::rules::script::views::event::{ContactView, EventView, text_argument};
use crate::rules::{Rule, RuleSet};

/// The longest that a recording, a pause or a ringing may be wished to last, in seconds.
const SECONDS_MAX: i64 = 3_600;
const TRIES_MAX: i64 = 10;
const HINTS_MAX: usize = 100;
/// The longest name of a queue, in characters (<https://www.twilio.com/docs/voice/api/queue-resource>).
const QUEUE_CHARS: usize = 64;

// ── while a file is loaded ───────────────────────────────────────────────────────────────────────────────────────────

pub(in crate::rules) fn register(engine: &mut Engine) {
    engine.register_fn(
        "on_input",
        |context: NativeCallContext<'_>, rule: &mut RuleBuilder, name: Dynamic, closure: Dynamic| {
            let list: fn(&mut Draft) -> &mut Vec<(String, Closure)> = |draft| &mut draft.inputs;
            hears(&context, rule, "on_input", "write .on_input(\"main\", |e, input| …)", &name, &closure, list)
        },
    );
    engine.register_fn(
        "on_call",
        |context: NativeCallContext<'_>, rule: &mut RuleBuilder, name: Dynamic, closure: Dynamic| {
            let list: fn(&mut Draft) -> &mut Vec<(String, Closure)> = |draft| &mut draft.calls;
            hears(&context, rule, "on_call", "write .on_call(\"confirm\", |e| …)", &name, &closure, list)
        },
    );
    register_verbs(engine);
}

fn register_verbs(engine: &mut Engine) {
    type Context<'a> = NativeCallContext<'a>;
    engine.register_fn("say", |ctx: Context<'_>, text: Dynamic| step(&ctx, "say", |_| say(&text, &Map::new())));
    engine.register_fn("say", |ctx: Context<'_>, text: Dynamic, how: Map| step(&ctx, "say", |_| say(&text, &how)));
    engine.register_fn("play", |ctx: Context<'_>, url: Dynamic| {
        step(&ctx, "play", |_| Ok(Step::Play { url: sound(&url)? }))
    });
    engine.register_fn("pause", |ctx: Context<'_>, seconds: i64| {
        step(&ctx, "pause", |_| Ok(Step::Pause { seconds: within("the pause", seconds, SECONDS_MAX)? }))
    });
    engine.register_fn("gather", |ctx: Context<'_>, of: Dynamic, how: Map| {
        step(&ctx, "gather", |call| gather(call, name("a step", &of)?, &how, false))
    });
    engine.register_fn("gather", |ctx: Context<'_>, how: Map| {
        step(&ctx, "gather", |call| gather(call, String::new(), &how, false))
    });
    engine.register_fn("menu", |ctx: Context<'_>, of: Dynamic, how: Map| {
        step(&ctx, "menu", |call| gather(call, name("a step", &of)?, &how, true))
    });
    engine.register_fn("menu", |ctx: Context<'_>, how: Map| {
        step(&ctx, "menu", |call| gather(call, "menu".to_owned(), &how, true))
    });
    engine.register_fn("record", |ctx: Context<'_>, how: Map| step(&ctx, "record", |call| record(call, &how)));
    engine.register_fn("record", |ctx: Context<'_>| step(&ctx, "record", |call| record(call, &Map::new())));
    engine.register_fn("dial", |ctx: Context<'_>, to: Dynamic| step(&ctx, "dial", |call| dial(call, &to, &Map::new())));
    engine.register_fn("dial", |ctx: Context<'_>, to: Dynamic, how: Map| {
        step(&ctx, "dial", |call| dial(call, &to, &how))
    });
    engine.register_fn("enqueue", |ctx: Context<'_>, queue: Dynamic| {
        step(&ctx, "enqueue", |call| enqueue(call, &queue, &Map::new()))
    });
    engine.register_fn("enqueue", |ctx: Context<'_>, queue: Dynamic, how: Map| {
        step(&ctx, "enqueue", |call| enqueue(call, &queue, &how))
    });
    engine.register_fn("dial_queue", |ctx: Context<'_>, queue: Dynamic| {
        step(&ctx, "dial_queue", |_| Ok(Step::DialQueue { queue: queue_name(&queue)? }))
    });
    engine.register_fn("redirect", |ctx: Context<'_>, to: Dynamic| {
        step(&ctx, "redirect", |call| Ok(Step::Redirect { step: heard(call, name("a step", &to)?)? }))
    });
    engine.register_fn("hangup", |ctx: Context<'_>| step(&ctx, "hangup", |_| Ok(Step::Hangup)));
    engine.register_fn("reject", |ctx: Context<'_>| step(&ctx, "reject", |_| Ok(Step::Reject { busy: false })));
    engine.register_fn("reject", |ctx: Context<'_>, why: ImmutableString| {
        step(&ctx, "reject", |_| match why.as_str() {
            "busy" => Ok(Step::Reject { busy: true }),
            "rejected" => Ok(Step::Reject { busy: false }),
            other => Err(format!("'{other}' is no reason to reject a call: use \"busy\" or \"rejected\"")),
        })
    });
    engine.register_fn("connect_agent", |ctx: Context<'_>| {
        step(&ctx, "connect_agent", |_| Ok(Step::ConnectAgent { agent: None }))
    });
    engine.register_fn("connect_agent", |ctx: Context<'_>, agent: Dynamic| {
        step(&ctx, "connect_agent", |_| Ok(Step::ConnectAgent { agent: Some(name("an agent", &agent)?) }))
    });
    engine.register_fn("remember", |ctx: Context<'_>, key: Dynamic, value: Dynamic| {
        step(&ctx, "remember", |_| {
            Ok(Step::Remember { key: name("what is remembered", &key)?, value: remembered(&value)? })
        })
    });
}

// ── in a closure ─────────────────────────────────────────────────────────────────────────────────────────────────────

fn step(
    context: &NativeCallContext<'_>,
    function: &str,
    make: impl FnOnce(&Arc<Call>) -> Result<Step, String>,
) -> Result<PlannedAction, ScriptError> {
    plan_all(context, function, |call| {
        let kind = &call.event.kind;
        if !kind.is_on_the_line() {
            return Err(format!(
                "nobody is on the line: this event is {kind}; what is said in a call belongs to call_received, \
                 call_input or a rule's .on_call(…) and .on_input(…)"
            ));
        }
        Ok(vec![Action::Voice(make(call)?)])
    })
}

fn say(text: &Dynamic, how: &Map) -> Result<Step, String> {
    known(how, &["voice", "language"])?;
    let text = text_within(text, SPOKEN_CHARS, "")?;
    Ok(Step::Say(Say { text, voice: optional(how, "voice")?, language: optional(how, "language")? }))
}

const GATHER: [&str; 15] = [
    "say",
    "play",
    "voice",
    "language",
    "input",
    "digits",
    "finish_on_key",
    "timeout",
    "speech_timeout",
    "hints",
    "tries",
    "no_input",
    "no_match",
    "otherwise",
    "text",
];

/// A gather, or a menu: what of it is no setting is a choice there.
fn gather(call: &Arc<Call>, step: String, how: &Map, menu: bool) -> Result<Step, String> {
    if !menu {
        known(how, &GATHER)?;
    }
    let mut choices = BTreeMap::new();
    for (key, value) in how.iter().filter(|(key, _)| menu && !GATHER.contains(&key.as_str())) {
        choices.insert(key.to_string(), heard(call, name("a step", value)?)?);
    }
    if menu && choices.is_empty() {
        return Err(
            "a menu has choices, each with the step that it leads to: menu(#{ say: \"…\", \"1\": \"book\" })".into()
        );
    }
    let step = if menu || step.is_empty() { step } else { heard(call, step)? };
    let input = match optional(how, "input")?.as_deref() {
        None | Some("both") => Input::Both,
        Some("digits" | "dtmf") => Input::Digits,
        Some("speech") => Input::Speech,
        Some(other) => return Err(format!("'{other}' is no input: use \"digits\", \"speech\" or \"both\"")),
    };
    let number = |key: &str, most: i64| -> Result<Option<i64>, String> {
        let Some(value) = how.get(key) else { return Ok(None) };
        let number =
            value.as_int().map_err(|_| format!("{key} is a whole number, and this is a {}", kind_of(value)))?;
        if (1..=most).contains(&number) { Ok(Some(number)) } else { Err(format!("{key} must be 1 to {most}")) }
    };
    let said = |key: &str| how.get(key).map(|text| text_within(text, SPOKEN_CHARS, "")).transpose();
    Ok(Step::Gather(Gather {
        step,
        input,
        say: said("say")?.or(said("text")?).unwrap_or_default(),
        play: how.get("play").map(sound).transpose()?,
        voice: optional(how, "voice")?,
        language: optional(how, "language")?,
        digits: number("digits", 32)?.map(|digits| digits as u8),
        finish_on_key: optional(how, "finish_on_key")?,
        timeout_s: number("timeout", 60)?.map(|seconds| seconds as u16),
        speech_timeout_s: number("speech_timeout", 60)?.map(|seconds| seconds as u16),
        hints: hints(how)?,
        choices,
        tries: number("tries", TRIES_MAX)?.map_or(Gather::TRIES, |tries| tries as u8),
        tried: 0,
        no_input: said("no_input")?,
        no_match: said("no_match")?,
        otherwise: optional(how, "otherwise")?.map(|step| heard(call, step)).transpose()?,
    }))
}

fn record(call: &Arc<Call>, how: &Map) -> Result<Step, String> {
    known(how, &["say", "max", "beep", "finish_on_key", "then"])?;
    let most =
        how.get("max").map(|max| max.as_int().map_err(|_| "max is a number of seconds".to_owned())).transpose()?;
    let default = Record::default();
    Ok(Step::Record(Record {
        say: how.get("say").map(|text| text_within(text, SPOKEN_CHARS, "")).transpose()?.unwrap_or_default(),
        max_s: most.map_or(Ok(default.max_s), |most| within("max", most, SECONDS_MAX))?,
        beep: how.get("beep").is_none_or(|beep| beep.as_bool().unwrap_or(true)),
        finish_on_key: optional(how, "finish_on_key")?,
        then: optional(how, "then")?.map(|step| heard(call, step)).transpose()?,
    }))
}

fn dial(call: &Arc<Call>, to: &Dynamic, how: &Map) -> Result<Step, String> {
    known(how, &["timeout", "record", "otherwise"])?;
    let number = match to.read_lock::<ContactView>() {
        Some(view) => view.0.contact().map(|contact| contact.phone.to_string()).ok_or("the event has no contact")?,
        None => Phone::parse(&text_argument("the number", to)?).map_err(|bad| bad.to_string())?.to_string(),
    };
    let timeout = how.get("timeout").map(|most| most.as_int().map_err(|_| "timeout is a number of seconds".to_owned()));
    Ok(Step::Dial(Dial {
        number,
        timeout_s: timeout.transpose()?.map(|seconds| within("timeout", seconds, 600)).transpose()?,
        record: how.get("record").is_some_and(|record| record.as_bool().unwrap_or(false)),
        otherwise: optional(how, "otherwise")?.map(|step| heard(call, step)).transpose()?,
    }))
}

fn enqueue(call: &Arc<Call>, queue: &Dynamic, how: &Map) -> Result<Step, String> {
    known(how, &["then"])?;
    let then = optional(how, "then")?.map(|step| heard(call, step)).transpose()?;
    Ok(Step::Enqueue { queue: queue_name(queue)?, then })
}

fn queue_name(queue: &Dynamic) -> Result<String, String> {
    let name = name("a queue", queue)?;
    if name.chars().count() <= QUEUE_CHARS {
        Ok(name)
    } else {
        Err(format!("the name of a queue has at most {QUEUE_CHARS} characters"))
    }
}

/// Whether the rule hears what comes of a step.
fn heard(call: &Arc<Call>, step: String) -> Result<String, String> {
    let frame = call.frame();
    let hears =
        frame.talk.as_ref().is_some_and(|talk| talk.inputs.contains_key(&step) || talk.calls.contains_key(&step));
    if hears {
        Ok(step)
    } else {
        Err(format!("nobody would hear it: add .on_input(\"{step}\", |e, input| …) to the rule"))
    }
}

fn known(how: &Map, names: &[&str]) -> Result<(), String> {
    match how.keys().find(|key| !names.contains(&key.as_str())) {
        Some(key) => Err(format!("there is no '{key}' here: use {}", names.join(", "))),
        None => Ok(()),
    }
}

fn optional(how: &Map, key: &str) -> Result<Option<String>, String> {
    let Some(value) = how.get(key) else { return Ok(None) };
    let text = text_of(value).filter(|text| text.chars().count() <= NAME_CHARS);
    text.map(Some).ok_or_else(|| format!("{key} is a text of at most {NAME_CHARS} characters"))
}

fn hints(how: &Map) -> Result<Vec<String>, String> {
    let Some(value) = how.get("hints") else { return Ok(Vec::new()) };
    let list: Array = match value.as_array_ref() {
        Ok(list) => list.clone(),
        Err(_) => vec![value.clone()],
    };
    if list.len() > HINTS_MAX {
        return Err(format!("hints are at most {HINTS_MAX}"));
    }
    list.iter().map(|hint| name("a hint", hint)).collect()
}

fn sound(url: &Dynamic) -> Result<String, String> {
    let url = text_argument("the sound's URL", url)?;
    let fits = url.len() <= 2_000 && (url.starts_with("https://") || url.starts_with("http://"));
    if fits { Ok(url) } else { Err("the sound's URL begins with https:// and has at most 2000 letters".to_owned()) }
}

fn within(what: &str, seconds: i64, most: i64) -> Result<u16, String> {
    if (1..=most).contains(&seconds) { Ok(seconds as u16) } else { Err(format!("{what} must be 1 to {most} seconds")) }
}

// ── what is read ─────────────────────────────────────────────────────────────────────────────────────────────────────

/// What `e.call` has.
pub(in crate::rules) const CALL: [&str; 10] =
    ["id", "sid", "direction", "customer", "number", "status", "answered_by", "duration", "agent", "state"];

/// `e.call`; `()` for what is of no call.
pub(in crate::rules) fn view(call: &Arc<Call>) -> Result<Dynamic, String> {
    let Some(facts) = &call.facts.call else { return Ok(Dynamic::UNIT) };
    let text = |text: &Option<String>| text.as_deref().map_or(Dynamic::UNIT, Into::into);
    let mut map = Map::new();
    map.insert("id".into(), facts.id.to_string().into());
    map.insert("sid".into(), facts.sid.as_str().into());
    map.insert("direction".into(), facts.direction.as_str().into());
    map.insert("customer".into(), facts.peer.as_str().into());
    map.insert("number".into(), facts.number.as_str().into());
    map.insert("status".into(), facts.status.as_str().into());
    map.insert("answered_by".into(), text(&facts.answered_by));
    map.insert("duration".into(), facts.duration_s.map_or(Dynamic::UNIT, |seconds| i64::from(seconds).into()));
    map.insert("agent".into(), text(&facts.state.agent));
    let state = facts.state.vars.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    map.insert("state".into(), to_script(&Value::Object(state))?);
    Ok(map.into())
}

// ── while an event is decided ────────────────────────────────────────────────────────────────────────────────────────

/// A step of a call that a rule waits for.
pub(in crate::rules) struct Awaits<'r> {
    pub rule: Option<&'r Rule>,
    pub name: String,
    pub step: Option<String>,
}

impl RuleSet {
    /// Who hears what came in a call first; `None` where no rule waits for anything.
    pub(in crate::rules) fn awaits(
        &self,
        event: &Event,
        facts: &Facts,
        keep: impl Fn(&Rule) -> bool,
    ) -> Option<Awaits<'_>> {
        if event.kind != EventKind::CALL_INPUT && event.kind != EventKind::CALL_OPENED {
            return None;
        }
        let waiting = facts.call.as_ref()?.state.waiting.as_ref()?;
        // Whoever has spoken with somebody needs nobody else: the call ends, unless another rule goes on.
        let outcome = event.data.get("outcome").and_then(Value::as_str).unwrap_or_default();
        if matches!(waiting.what, Awaited::Nobody(_)) && CallData::is_talk(outcome) {
            return None;
        }
        let name = waiting.rule.clone()?;
        let rule = self.talkers.get(&name).map(|number| &self.rules[*number]);
        let awake = |rule: &&Rule| !rule.info.blueprint || facts.tenant.blueprints.contains_key(&rule.info.name);
        Some(Awaits { rule: rule.filter(awake).filter(|rule| keep(rule)), name, step: step_of(waiting, event) })
    }

    /// Lets the rule hear it; whether it said something, and no other rule is asked.
    pub(in crate::rules) fn hear_input(
        &self,
        call: &Arc<Call>,
        awaits: Awaits<'_>,
        left: std::time::Duration,
        decision: &mut Decision,
    ) -> bool {
        let Awaits { rule, name, step } = awaits;
        let Some(step) = step else {
            let result = if call.text("body").is_empty() { RuleResult::NothingHeard } else { RuleResult::FitsNoChoice };
            decision.trace.rules.push(RuleTrace::without_run(&name, result));
            return false;
        };
        let function = rule.and_then(|rule| Some((rule, closure_of(rule, &step)?)));
        let Some((rule, function)) = function else {
            decision.trace.rules.push(RuleTrace::without_run(&name, RuleResult::NobodyHears { question: step }));
            return false;
        };
        let before = decision.actions.len();
        let trace = self.run(call, rule, None, left, decision, || self.invoke_step(call, rule, function, &step));
        decision.trace.rules.push(trace);
        decision.actions[before..].iter().any(is_heard)
    }

    fn invoke_step(
        &self,
        call: &Arc<Call>,
        rule: &Rule,
        function: Function<'_>,
        step: &str,
    ) -> Result<RuleResult, Failure> {
        call.frame().phase = Phase::Then;
        let event = EventView(Arc::clone(call));
        // What it gives back means nothing.
        let _ = match function {
            Function::Opens(function) => self.invoke(call, rule, function, (event,))?,
            Function::Hears(function) => {
                let input: ImmutableString = fold(call.text("body")).into();
                self.invoke(call, rule, function, (event, input))?
            }
        };
        Ok(RuleResult::Answered { question: step.to_owned() })
    }

    /// Where nobody has said anything to an answer that was waited for, it is asked again, or given up.
    pub(in crate::rules) fn ask_again(&self, call: &Arc<Call>, decision: &mut Decision) {
        if call.event.kind != EventKind::CALL_INPUT || decision.actions.iter().any(is_heard) {
            return;
        }
        let waiting = call.facts.call.as_ref().and_then(|facts| facts.state.waiting.as_ref());
        let Some(Waiting { rule: Some(rule), what: Awaited::Input(gather) }) = waiting else { return };
        let silent = call.text("body").is_empty();
        let first = decision.actions.iter().filter(|planned| planned.rule == *rule).count();
        let steps = repeat_prompt(gather, silent, &call.facts.tenant.language);
        let planned = |(index, step): (usize, Step)| Planned {
            rule: rule.clone(),
            index: first + index,
            action: Action::Voice(step),
            due: None,
        };
        decision.actions.extend(steps.into_iter().enumerate().map(planned));
    }
}

enum Function<'r> {
    Opens(&'r str),
    Hears(&'r str),
}

fn closure_of<'r>(rule: &'r Rule, step: &str) -> Option<Function<'r>> {
    let hears = rule.talk.inputs.get(step).map(|function| Function::Hears(function));
    hears.or_else(|| rule.talk.calls.get(step).map(|function| Function::Opens(function)))
}

/// The step that what came leads to; `None` where nothing came or it fits nothing.
fn step_of(waiting: &Waiting, event: &Event) -> Option<String> {
    let text = |key: &str| event.data.get(key).and_then(Value::as_str).unwrap_or_default();
    match &waiting.what {
        Awaited::Step(step) | Awaited::Nobody(step) => Some(step.clone()),
        Awaited::Input(_) if text("body").is_empty() => None,
        Awaited::Input(gather) => gather.step_of(text("digits"), &fold(text("speech"))).map(str::to_owned),
    }
}

fn is_heard(planned: &Planned) -> bool {
    matches!(&planned.action, Action::Voice(step) if step.is_heard())
}

/// What follows where an answer was waited for in vain.
pub fn repeat_prompt(gather: &Gather, silent: bool, language: &str) -> Vec<Step> {
    if gather.tried + 1 >= gather.tries {
        return match &gather.otherwise {
            Some(step) => vec![Step::Redirect { step: step.clone() }],
            None => vec![Step::say(gather.farewell(silent).unwrap_or(words(Word::Farewell, language))), Step::Hangup],
        };
    }
    let before = if silent { gather.no_input.clone() } else { gather.no_match.clone() };
    let before = before.or_else(|| (!silent).then(|| words(Word::NotUnderstood, language).to_owned()));
    let next = Gather { tried: gather.tried + 1, ..gather.clone() };
    before.map(Step::say).into_iter().chain([Step::Gather(next)]).collect()
}
