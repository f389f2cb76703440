//! The one interpreter: its vocabulary and its limits.

use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage, BasicMathPackage,
    BasicStringPackage, LanguageCorePackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{Engine, EvalAltResult, OptimizationLevel, Position};

use crate::rules::eval::cpu_budget::spend;
use crate::rules::limits::Limits;
use crate::rules::load::builder;
use crate::rules::script::failure::{Broken, uses_broken};
use crate::rules::script::functions::{FUNCTIONS, forbidden};
use crate::rules::script::{tokens, views};

/// Builds the interpreter with everything that rules can use.
///
/// It has no module resolver, no clock, no sleep, no `eval`, no `this`. Everything else is bounded.
pub(in crate::rules) fn build(limits: &Limits) -> Engine {
    let mut engine = language();
    for symbol in ["eval", "import", "export", "this"] {
        engine.disable_symbol(symbol);
    }
    engine.on_print(|_| {});
    engine.on_debug(|_, _, _| {});
    set_limits(&mut engine, limits);
    tokens::register(&mut engine);
    views::register(&mut engine, limits);
    forbidden::register(&mut engine);
    builder::register_types(&mut engine);
    for function in FUNCTIONS.iter().chain(builder::METHODS) {
        (function.register)(&mut engine, limits);
    }
    engine
}

/// Builds an interpreter that has only the functions of the language itself.
pub(in crate::rules) fn language() -> Engine {
    let mut engine = Engine::new_raw();
    for module in [
        LanguageCorePackage::new().as_shared_module(),
        ArithmeticPackage::new().as_shared_module(),
        BasicStringPackage::new().as_shared_module(),
        BasicIteratorPackage::new().as_shared_module(),
        BasicFnPackage::new().as_shared_module(),
        LogicPackage::new().as_shared_module(),
        BasicMathPackage::new().as_shared_module(),
        BasicArrayPackage::new().as_shared_module(),
        BasicMapPackage::new().as_shared_module(),
        MoreStringPackage::new().as_shared_module(),
    ] {
        engine.register_global_module(module);
    }
    engine.set_optimization_level(OptimizationLevel::None);
    engine
}

fn set_limits(engine: &mut Engine, limits: &Limits) {
    engine.set_max_operations(limits.operations);
    engine.on_progress(spend);
    engine.set_max_call_levels(limits.call_depth);
    engine.set_max_expr_depths(limits.expression_depth, limits.function_expression_depth);
    engine.set_max_string_size(limits.string_bytes);
    engine.set_max_array_size(limits.array_len);
    engine.set_max_map_size(limits.map_len);
    engine.set_max_variables(limits.variables);
    engine.set_max_functions(limits.functions);
    engine.set_max_modules(0);
    #[allow(deprecated, reason = "marked so by the crate to say that its shape may change, not that it will go")]
    engine.on_var(|name, index, context| {
        let scope = context.scope();
        // The parser has turned most names into positions. A position that holds another variable, or none, would give
        // another value, or end in a panic of the crate.
        let value = if index > 0 {
            // The crate lists variables from the last one on, as the positions count.
            let found = scope.iter_raw().nth(index - 1).filter(|(found, ..)| *found == name);
            let missing = || EvalAltResult::ErrorVariableNotFound(name.to_owned(), Position::NONE);
            Some(found.map(|(_, _, value)| value).ok_or_else(missing)?)
        } else {
            scope.get(name)
        };
        match value {
            // `m[k] = v` and `a[0][1] = v` check only the new element, not the value that it joins. So a value is checked
            // whenever its variable is named. That bounds every variable, and the number of variables is bounded, too.
            Some(value) if value.is_array() || value.is_map() => {
                context.engine().ensure_data_size_within_limits(value).map(|()| None)
            }
            Some(value) => match value.read_lock::<Broken>() {
                Some(broken) => Err(uses_broken(name, *broken)),
                None => Ok(None),
            },
            None => Ok(None),
        }
    });
}
