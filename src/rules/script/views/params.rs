//! `e.params`: the blueprint's parameters.

use std::sync::Arc;

use rhai::{Dynamic, Engine, ImmutableString, Position};

use crate::rules::script::context::{EvalContext, ScriptError, error};
use crate::rules::script::values::to_script;

/// `e.params`
#[derive(Clone)]
pub(in crate::rules) struct ParamsView(pub Arc<EvalContext>);

pub(in crate::rules) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<ParamsView>("ParamsView");
    engine.register_indexer_get(|view: &mut ParamsView, name: ImmutableString| param(&view.0, &name));
}

fn param(eval: &Arc<EvalContext>, name: &str) -> Result<Dynamic, ScriptError> {
    let found = eval.frame().params.get(name).cloned();
    let Some(found) = found else {
        return Err(error(
            format!("the rule has no parameter '{name}': declare it with .param(\"{name}\", default)"),
            Position::NONE,
        ));
    };
    let value = to_script(&found).map_err(|message| error(message, Position::NONE))?;
    eval.record_read(&format!("e.params.{name}"), &value);
    Ok(value)
}
