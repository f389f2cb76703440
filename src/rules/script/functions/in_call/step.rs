//! Planning a step of a call, and the arguments that steps share.

use std::sync::Arc;

use rhai::{Map, NativeCallContext};

use crate::domain::Action;
use crate::domain::call::{ActionMethod, Step};
use crate::rules::limits::SPOKEN_CHARS;
use crate::rules::script::arguments::{optional, text_within};
use crate::rules::script::context::{EvalContext, ScriptError};
use crate::rules::script::plan::{PlannedAction, plan};
use crate::rules::script::settings::{Holds, Setting};
use crate::rules::script::values::text_of;

/// The longest recording, pause or ringing, in seconds.
pub(in crate::rules) const SECONDS_MAX: i64 = 3_600;

/// Plans a step of the call that the event belongs to. Without somebody on the line it is an error.
pub(super) fn plan_step(
    ctx: &NativeCallContext<'_>,
    function: &str,
    make: impl FnOnce(&Arc<EvalContext>) -> Result<Step, String>,
) -> Result<PlannedAction, ScriptError> {
    plan(ctx, function, |eval| {
        let kind = &eval.event.kind;
        if !kind.is_on_the_line() {
            return Err(format!(
                "nobody is on the line: this event is {kind}; what is said in a call belongs to call_received, \
                 call_input or a rule's .on_call(…) and .on_input(…)"
            ));
        }
        Ok(Action::Voice(make(eval)?))
    })
}

/// Returns the step's name if the rule has a handler for it.
pub(super) fn with_handler(eval: &Arc<EvalContext>, step: String) -> Result<String, String> {
    let frame = eval.frame();
    let handled = frame
        .handlers
        .as_ref()
        .is_some_and(|handlers| handlers.inputs.contains_key(&step) || handlers.calls.contains_key(&step));
    if handled {
        Ok(step)
    } else {
        Err(format!("nobody would hear it: add .on_input(\"{step}\", |e, input| …) to the rule"))
    }
}

/// Returns the optional step at `key`; the rule must have a handler for it.
pub(super) fn optional_step(eval: &Arc<EvalContext>, how: &Map, key: &str) -> Result<Option<String>, String> {
    optional(how, key)?.map(|step| with_handler(eval, step)).transpose()
}

/// Returns the optional spoken text at `key`.
pub(super) fn spoken(how: &Map, key: &str) -> Result<Option<String>, String> {
    how.get(key).map(|text| text_within(text, SPOKEN_CHARS, "")).transpose()
}

/// How the provider tells what the caller did: `method: "GET"` or `"POST"`.
pub(super) const METHOD: Setting = Setting::new("method", Holds::Word(&["GET", "POST"]));

/// Returns the setting [`METHOD`], which was checked.
pub(super) fn method(how: &Map) -> ActionMethod {
    match how.get(METHOD.name).and_then(text_of).as_deref() {
        Some("GET") => ActionMethod::Get,
        _ => ActionMethod::Post,
    }
}

/// Returns a number of seconds from 1 to `most`.
pub(in crate::rules) fn within(what: &str, seconds: i64, most: i64) -> Result<u16, String> {
    if (1..=most).contains(&seconds) { Ok(seconds as u16) } else { Err(format!("{what} must be 1 to {most} seconds")) }
}
