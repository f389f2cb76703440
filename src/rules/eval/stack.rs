//! The stack on which scripts run. The depth limits cannot exhaust it.

use std::cell::Cell;
use std::panic::resume_unwind;
use std::thread;

use crate::rules::limits::STACK_BYTES;

thread_local! {
    static ON_RULES_STACK: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f` on a stack of [`STACK_BYTES`]: on this thread if it has one, else on a new thread.
///
/// A new thread costs about 50 µs. For batches of events use [`crate::rules::Evaluator`].
pub fn on_rules_stack<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    if ON_RULES_STACK.get() {
        return f();
    }
    thread::scope(|scope| {
        let run = || {
            ON_RULES_STACK.set(true);
            f()
        };
        let thread = thread::Builder::new().name("rules".into()).stack_size(STACK_BYTES);
        match thread.spawn_scoped(scope, run) {
            Ok(handle) => handle.join().unwrap_or_else(|panic| resume_unwind(panic)),
            // The machine is out of memory or threads, and there is no safe way to run a script.
            Err(error) => panic!("no thread for the rules could be started: {error}"),
        }
    })
}

/// Marks this thread, which was started with [`STACK_BYTES`], as one on which scripts may run.
pub(in crate::rules) fn mark_this_thread() {
    ON_RULES_STACK.set(true);
}
