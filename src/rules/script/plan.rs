//! Planning of actions. A function that acts only adds to the rule's list; nothing is sent while an event is decided.

use std::ops::Range;
use std::sync::Arc;

use rhai::NativeCallContext;

use crate::rules::limits::ACTIONS_PER_EVENT;
use crate::rules::script::context::{EvalContext, Phase, RequestedAction, ScriptError, current, error};

/// The actions that a call has just planned. Scripts postpone them with `.in(…)` and `.at(…)`.
#[derive(Clone)]
pub(in crate::rules) struct PlannedAction {
    pub eval: Arc<EvalContext>,
    /// The indices of the actions in the rule's list.
    pub which: Range<usize>,
}

/// Plans one action, or says at which position and why not.
///
/// An action that cannot be done is a [`RequestedAction::blocked`]; an error of `action` is a mistake of the script.
pub(in crate::rules) fn plan<A: Into<RequestedAction>>(
    ctx: &NativeCallContext<'_>,
    function: &str,
    action: impl FnOnce(&Arc<EvalContext>) -> Result<A, String>,
) -> Result<PlannedAction, ScriptError> {
    plan_all(ctx, function, |eval| Ok(vec![action(eval)?.into()]))
}

/// Plans an effect on our own data. It cannot be postponed, so the script gets nothing back.
pub(in crate::rules) fn plan_effect<A: Into<RequestedAction>>(
    ctx: &NativeCallContext<'_>,
    function: &str,
    action: impl FnOnce(&Arc<EvalContext>) -> Result<A, String>,
) -> Result<(), ScriptError> {
    plan(ctx, function, action).map(drop)
}

/// Plans several actions, all or none.
pub(in crate::rules) fn plan_all(
    ctx: &NativeCallContext<'_>,
    function: &str,
    actions: impl FnOnce(&Arc<EvalContext>) -> Result<Vec<RequestedAction>, String>,
) -> Result<PlannedAction, ScriptError> {
    let at = ctx.call_position();
    let Some(eval) = current(ctx) else {
        return Err(error(format!("{function} acts on an event: call it inside .then(|e| …)"), at));
    };
    if eval.frame().phase == Phase::When {
        return Err(error(format!("{function} changes something: a when only asks, so move it into .then(|e| …)"), at));
    }
    let actions = actions(&eval).map_err(|message| error(format!("{function}: {message}"), at))?;
    let mut frame = eval.frame();
    if frame.planned + frame.actions.len() + actions.len() > ACTIONS_PER_EVENT {
        return Err(error(format!("one event may lead to at most {ACTIONS_PER_EVENT} actions"), at));
    }
    let first = frame.actions.len();
    frame.actions.extend(actions);
    let which = first..frame.actions.len();
    drop(frame);
    Ok(PlannedAction { eval, which })
}
