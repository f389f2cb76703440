//! `call`: calls a customer. The call begins at a step of the rule, or says a text and ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use rhai::{Dynamic, Map, NativeCallContext};

use crate::domain::{CallBody, Channel, OnMachine, SendBody};
use crate::rules::limits::SPOKEN_CHARS;
use crate::rules::script::arguments::{name, optional, recipient, state, text_within};
use crate::rules::script::context::{EvalContext, ScriptError};
use crate::rules::script::plan::{PlannedAction, plan};
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::settings::{self, Holds, Setting};
use crate::rules::script::tokens::PLACE_CALL;
use crate::rules::script::values::kind_of;

pub(in crate::rules) const CALL: Function = Function {
    name: "call",
    receiver: None,
    group: Group::Messages,
    about: "Calls the customer. A map may give `say`, `voice`, `language`, `machine` (`hangup`, `message`, `go_on`), \
            `message`, `record`, `timeout` and `state`.",
    signatures: &[
        Signature::new(&[("to", Kind::Callee), ("step", Kind::CallStep)], Kind::PlannedAction),
        Signature::new(&[("to", Kind::Callee), ("settings", Kind::Settings(SETTINGS))], Kind::PlannedAction),
        Signature::new(
            &[("to", Kind::Callee), ("step", Kind::CallStep), ("settings", Kind::Settings(SETTINGS))],
            Kind::PlannedAction,
        ),
    ],
    example: r#"rule("confirm by phone").on("appointment_booked")
    .then(|e| call(e.contact, "confirm", #{ machine: "hangup" }).in("1h"))
    .on_call("confirm", |e| say(`Hello ${e.contact.first_name}`));"#,
    register: |engine, _| {
        engine.register_fn(PLACE_CALL, |ctx: NativeCallContext<'_>, to: Dynamic, what: Dynamic| {
            place_call(&ctx, &to, &what, &Map::new())
        });
        engine.register_fn(PLACE_CALL, |ctx: NativeCallContext<'_>, to: Dynamic, step: Dynamic, how: Map| {
            place_call(&ctx, &to, &step, &how)
        });
    },
};

const SETTINGS: &[Setting] = &[
    Setting::new("say", Holds::Spoken),
    Setting::new("voice", Holds::Short),
    Setting::new("language", Holds::Short),
    Setting::new("machine", Holds::Word(&["hangup", "message", "go_on"])),
    Setting::new("message", Holds::Spoken),
    Setting::new("record", Holds::Flag),
    Setting::new("timeout", Holds::Whole(5, 600)),
    Setting::new("state", Holds::State),
];

fn place_call(
    ctx: &NativeCallContext<'_>,
    to: &Dynamic,
    what: &Dynamic,
    how: &Map,
) -> Result<PlannedAction, ScriptError> {
    plan(ctx, "call", |eval| {
        let body = match what.read_lock::<Map>() {
            Some(said) => announcement(&said)?,
            None => at_step(eval, name("a step", what)?, how)?,
        };
        Ok(recipient(Channel::Voice, to)?.send(Channel::Voice, SendBody::Call(body)))
    })
}

fn at_step(eval: &Arc<EvalContext>, step: String, how: &Map) -> Result<CallBody, String> {
    let frame = eval.frame();
    if !frame.handlers.as_ref().is_some_and(|handlers| handlers.calls.contains_key(&step)) {
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
    settings::check(how, SETTINGS, false)?;
    let spoken = |key: &str| how.get(key).map(|text| text_within(text, SPOKEN_CHARS, "")).transpose();
    let word = |key: &str| optional(how, key);
    let machine = word("machine")?.map(|text| text.parse::<OnMachine>()).transpose().map_err(|bad| bad.to_string())?;
    let (say, message) = (spoken("say")?, spoken("message")?);
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
        state: how.get("state").map(call_state).transpose()?.unwrap_or_default(),
        ..CallBody::default()
    })
}

fn seconds(value: &Dynamic) -> Result<u16, String> {
    let number = value.as_int().ok().and_then(|number| u16::try_from(number).ok());
    let fits = number.filter(|number| CallBody::TIMEOUT_S.contains(number));
    fits.ok_or_else(|| "timeout is 5 to 600 seconds".to_owned())
}

fn call_state(value: &Dynamic) -> Result<BTreeMap<String, serde_json::Value>, String> {
    match state(value)? {
        serde_json::Value::Object(map) => Ok(map.into_iter().collect()),
        _ => Err(format!("the state is a map such as #{{ order: 7 }}, and this is a {}", kind_of(value))),
    }
}
