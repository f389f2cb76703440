//! The one interpreter: its vocabulary and its limits.

use std::cell::Cell;
use std::time::Duration;

use rhai::packages::{
    ArithmeticPackage, BasicArrayPackage, BasicFnPackage, BasicIteratorPackage, BasicMapPackage, BasicMathPackage,
    BasicStringPackage, LanguageCorePackage, LogicPackage, MoreStringPackage, Package,
};
use rhai::{Dynamic, Engine, OptimizationLevel};

use crate::rules::eval::cpu_budget::Allowance;
use crate::rules::eval::limit;
use crate::rules::limits::Limits;
use crate::rules::load::builder;
use crate::rules::script::functions::{actions, conversation, helpers, later, named_time, notify, place_call, voice};
use crate::rules::script::views::event;

/// Why `on_progress` stopped a script.
pub(in crate::rules) const OUT_OF_OPERATIONS: &str = "operations";
pub(in crate::rules) const OUT_OF_TIME: &str = "time";

/// How often the clock is looked at, in operations.
const CLOCK_EVERY_OPERATIONS: u64 = 64;

thread_local! {
    /// What the rule on this thread has used and may use. Kept here because the engine counts operations per call only,
    /// and starts anew for the closures inside `filter` and `map`.
    static BUDGET: Cell<Budget> = const { Cell::new(Budget { operations_left: 0, time: None }) };
}

#[derive(Clone, Copy)]
struct Budget {
    operations_left: u64,
    time: Option<Allowance>,
}

/// Gives the rule that is about to run on this thread its operations and its time.
pub(in crate::rules) fn refill(limits: &Limits, within: Duration) {
    let time = Allowance::of(Duration::from_millis(limits.rule_ms).min(within));
    BUDGET.set(Budget { operations_left: limits.operations, time: Some(time) });
}

fn spend(_: u64) -> Option<Dynamic> {
    let mut budget = BUDGET.get();
    let Some(left) = budget.operations_left.checked_sub(1) else { return Some(OUT_OF_OPERATIONS.into()) };
    budget.operations_left = left;
    let look = left.is_multiple_of(CLOCK_EVERY_OPERATIONS);
    let over = look && budget.time.as_mut().is_some_and(Allowance::is_over);
    BUDGET.set(budget);
    over.then(|| OUT_OF_TIME.into())
}

/// No module resolver, no clock, no sleep, no `eval`, no `this`; everything else is bounded.
pub(in crate::rules) fn build(limits: &Limits) -> Engine {
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
    for symbol in ["eval", "import", "export", "this"] {
        engine.disable_symbol(symbol);
    }
    engine.on_print(|_| {});
    engine.on_debug(|_, _, _| {});
    set_limits(&mut engine, limits);
    event::register(&mut engine);
    actions::register(&mut engine);
    helpers::register(&mut engine, limits.string_bytes);
    builder::register(&mut engine);
    later::register(&mut engine);
    limit::register(&mut engine);
    conversation::register(&mut engine);
    named_time::register(&mut engine);
    notify::register(&mut engine);
    voice::register(&mut engine);
    place_call::register(&mut engine);
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
    // `m[k] = v` and `a[0][1] = v` check the new element only, not the whole that it joins. So a whole is checked whenever
    // its variable is named, which keeps every variable, and with their number all of them, within bounds.
    #[allow(deprecated, reason = "marked so by the crate to say that its shape may change, not that it will go")]
    engine.on_var(|name, index, context| {
        let scope = context.scope();
        let value = match scope.len().checked_sub(index) {
            Some(at) if index > 0 => scope.iter_raw().nth(at).map(|(_, _, value)| value),
            _ => scope.get(name),
        };
        match value {
            Some(value) if value.is_array() || value.is_map() => {
                context.engine().ensure_data_size_within_limits(value).map(|()| None)
            }
            _ => Ok(None),
        }
    });
}
