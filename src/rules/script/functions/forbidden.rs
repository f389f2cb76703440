//! Functions of the language that rules may not use. A decision must be repeatable and quick.

use rhai::{Dynamic, Engine, NativeCallContext};

use crate::rules::script::context::{ScriptError, error};

/// The forbidden functions, each with what to do instead.
pub(in crate::rules) const FORBIDDEN: &[(&str, &str)] = &[
    ("sleep", "a rule decides at once and never waits"),
    ("exit", "use return"),
    ("timestamp", "use e.now"),
    ("parse_json", "the event's data is already parsed: use e.data"),
    ("blob", "use text or arrays"),
    ("to_blob", "use text or arrays"),
    ("get_fn_metadata_list", "it is of no use in a rule"),
    ("set_tag", "use tag(name) inside .then(|e| …)"),
];

pub(in crate::rules) fn register(engine: &mut Engine) {
    for (name, instead) in FORBIDDEN {
        let refuse = move |ctx: NativeCallContext<'_>| -> Result<Dynamic, ScriptError> {
            Err(error(format!("{name} is not available in rules: {instead}"), ctx.call_position()))
        };
        engine.register_fn(*name, refuse);
        engine.register_fn(*name, move |ctx: NativeCallContext<'_>, _: Dynamic| refuse(ctx));
        engine.register_fn(*name, move |ctx: NativeCallContext<'_>, _: i64| refuse(ctx));
        engine.register_fn(*name, move |ctx: NativeCallContext<'_>, _: f64| refuse(ctx));
        engine.register_fn(*name, move |ctx: NativeCallContext<'_>, _: &str| refuse(ctx));
    }
}
