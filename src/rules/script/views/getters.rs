//! Registration of getters: each leaves its mark in the trace, and an unknown name gets a suggestion.

use std::sync::Arc;

use rhai::{Dynamic, Engine, Position};

use crate::rules::script::context::{EvalContext, ScriptError, error};
use crate::rules::script::registry::Field;
use crate::rules::suggest::did_you_mean;

/// A getter of a view that holds the event under evaluation.
pub(in crate::rules) type Getter = fn(&Arc<EvalContext>) -> Result<Dynamic, String>;

/// Registers the fields of a view. Each read is traced under `prefix.name`.
pub(in crate::rules) fn register<View: Clone + Send + Sync + 'static>(
    engine: &mut Engine,
    fields: &'static [Field<Getter>],
    prefix: &str,
    eval_of: fn(&View) -> &Arc<EvalContext>,
) {
    for field in fields {
        let path = format!("{prefix}.{}", field.name);
        engine.register_get(field.name, move |view: &mut View| -> Result<Dynamic, ScriptError> {
            let eval = eval_of(view);
            let value = (field.get)(eval).map_err(|message| error(format!("{path}: {message}"), Position::NONE))?;
            eval.record_read(&path, &value);
            Ok(value)
        });
    }
}

/// Makes the error for a name that `prefix` does not have.
pub(in crate::rules) fn unknown(prefix: &str, name: &str, known: &[&'static str]) -> ScriptError {
    let hint = did_you_mean(name, known.iter().copied())
        .map_or_else(String::new, |meant| format!(": did you mean {prefix}.{meant}?"));
    error(format!("{prefix} has no '{name}'{hint}"), Position::NONE)
}
