//! Where scripts run: on threads with a stack that their depth limits cannot exhaust.

use std::cell::Cell;
use std::panic::resume_unwind;
use std::thread;

use crate::rules::limits::STACK_BYTES;

thread_local! {
    static ON_RULES_STACK: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f` on a stack of [`STACK_BYTES`]: here if this thread has one, else on a thread of its own.
///
/// A thread costs some 50 µs: for events by the batch use [`crate::rules::Evaluator`].
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
            // Without a thread there is no safe way to run a script, and the machine is out of memory or threads.
            Err(error) => panic!("no thread for the rules could be started: {error}"),
        }
    })
}

/// Marks this thread, which was started with [`STACK_BYTES`], as one on which scripts may run.
pub(in crate::rules) fn this_thread_has_it() {
    ON_RULES_STACK.set(true);
}
