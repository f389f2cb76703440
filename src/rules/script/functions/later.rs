//! `.in("2h")` and `.at(…)`: a planned action leaves later than now.

use rhai::{Dynamic, Engine, NativeCallContext};

use crate::domain::Timestamp;
use crate::rules::limits::Limits;
use crate::rules::script::arguments::{after, instant, within_reach};
use crate::rules::script::context::{EvalContext, ScriptError, error};
use crate::rules::script::plan::PlannedAction;
use crate::rules::script::registry::{Function, Group, Kind, Signature};

pub(in crate::rules) const IN: Function = Function {
    name: "in",
    receiver: Some(Kind::PlannedAction),
    group: Group::Later,
    about: "Sends the action after a span: `2h` is elapsed time, `1d` the same time of day tomorrow.",
    signatures: &[Signature::new(&[("span", Kind::Span)], Kind::PlannedAction)],
    example: r#"send_sms(e.contact, "How was it?").in("2h")"#,
    register: register_in,
};

pub(in crate::rules) const AT: Function = Function {
    name: "at",
    receiver: Some(Kind::PlannedAction),
    group: Group::Later,
    about: "Sends the action at a moment, given as such or as a text in RFC 3339. A past moment means at once.",
    signatures: &[Signature::new(&[("moment", Kind::Moment)], Kind::PlannedAction)],
    example: r#"reply("We are open now.").at(time("2026-12-01T10:00:00+01:00"))"#,
    register: |engine, _| {
        engine.register_fn("at", |ctx: NativeCallContext<'_>, planned: &mut PlannedAction, moment: Dynamic| {
            postpone(&ctx, planned, "at", |_| instant(&moment))
        });
    },
};

fn register_in(engine: &mut Engine, _: &Limits) {
    engine.register_type_with_name::<PlannedAction>("PlannedAction");
    engine.register_fn("in", |ctx: NativeCallContext<'_>, planned: &mut PlannedAction, span: Dynamic| {
        postpone(&ctx, planned, "in", |eval| after(eval, &span))
    });
}

fn postpone(
    ctx: &NativeCallContext<'_>,
    planned: &PlannedAction,
    function: &str,
    due: impl FnOnce(&EvalContext) -> Result<Timestamp, String>,
) -> Result<PlannedAction, ScriptError> {
    let at = ctx.call_position();
    let eval = &planned.eval;
    let due = due(eval).and_then(|due| within_reach(eval.facts.as_of, due));
    let due = due.map_err(|message| error(format!("{function}: {message}"), at))?;
    for one in eval.frame().actions.get_mut(planned.which.clone()).into_iter().flatten() {
        // An action whose time has passed leaves at once.
        one.due = Some(due).filter(|due| *due > eval.facts.as_of);
    }
    Ok(planned.clone())
}
