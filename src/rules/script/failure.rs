//! Failures of an evaluation, from any depth of calls.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rhai::{Dynamic, EvalAltResult, Position};

use super::values::{in_short, text_of};
use crate::rules::eval::cpu_budget::OUT_OF_TIME;
use crate::rules::limits::MESSAGE_CHARS;
use crate::rules::load::error::SourcePosition;
use crate::rules::script::context::ScriptError;

/// The value of a variable at the top of a file whose statement failed. Nobody may use it.
#[derive(Clone, Copy)]
pub(in crate::rules) struct Broken {
    /// The line of the statement.
    pub line: usize,
}

/// The reason with which the engine stops a script that uses a [`Broken`] variable. A script cannot catch it.
#[derive(Clone)]
struct UsesBroken(String);

/// Makes the error of a script that uses a broken variable.
pub(in crate::rules) fn uses_broken(name: &str, broken: Broken) -> ScriptError {
    let message = format!("'{name}' has no value, because line {} failed", broken.line);
    EvalAltResult::ErrorTerminated(Dynamic::from(UsesBroken(message)), Position::NONE).into()
}

/// Why a script did not run to its end.
pub(in crate::rules) struct Failure {
    pub at: SourcePosition,
    pub message: String,
    /// A limit stopped the script; otherwise the script has a mistake.
    pub limit: bool,
}

/// Runs a script. A panic becomes a failure like any other.
pub(in crate::rules) fn caught<T>(run: impl FnOnce() -> Result<T, ScriptError>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(of(*error)),
        Err(_) => Err(Failure {
            at: SourcePosition::default(),
            message: "the engine itself failed here: please report this rule".to_owned(),
            limit: false,
        }),
    }
}

fn of(error: EvalAltResult) -> Failure {
    let (error, at) = innermost(error);
    let limit = |message: &str| Failure { at: at.into(), message: message.to_owned(), limit: true };
    match &error {
        EvalAltResult::ErrorTooManyOperations(_) => limit("too many operations: is there an endless loop?"),
        EvalAltResult::ErrorTerminated(why, _) => {
            if let Some(UsesBroken(message)) = why.read_lock::<UsesBroken>().as_deref() {
                return Failure { at: at.into(), message: message.clone(), limit: false };
            }
            let timed_out = why.clone().into_string().is_ok_and(|why| why == OUT_OF_TIME);
            limit(if timed_out { "it took too long" } else { "too many operations: is there an endless loop?" })
        }
        EvalAltResult::ErrorStackOverflow(_) => {
            limit("functions call each other too deeply: is there an endless recursion?")
        }
        EvalAltResult::ErrorTooManyVariables(_) => limit("too many variables at once"),
        EvalAltResult::ErrorDataTooLarge(what, _) => {
            limit(&format!("a value grew too large ({})", what.to_lowercase()))
        }
        EvalAltResult::ErrorRuntime(value, _) => Failure { at: at.into(), message: thrown(value), limit: false },
        other => {
            let text = other.to_string();
            let text = text.rsplit_once(" (line ").map_or(text.as_str(), |(text, _)| text);
            let text = text.lines().next().unwrap_or_default().chars().take(MESSAGE_CHARS).collect();
            Failure { at: at.into(), message: with_hint(text), limit: false }
        }
    }
}

/// Shortens what a script threw: the text goes to the trace and to logs.
fn thrown(value: &Dynamic) -> String {
    match text_of(value) {
        Some(text) if !text.trim().is_empty() => text.chars().take(MESSAGE_CHARS).collect(),
        Some(_) => "the script threw an error without words".to_owned(),
        None => format!("the script threw {}", in_short(value)),
    }
}

fn with_hint(text: String) -> String {
    if text.contains("'()'") || text.contains("(()") || text.contains(", ())") {
        return format!("{text}: the value before it is (), that is nothing; ask first, or write ?. instead of .");
    }
    text
}

/// Returns the error where it arose, and the deepest known position.
fn innermost(mut error: EvalAltResult) -> (EvalAltResult, Position) {
    let mut at = error.position();
    while let EvalAltResult::ErrorInFunctionCall(_, _, inner, _) = error {
        error = *inner;
        if !error.position().is_none() {
            at = error.position();
        }
    }
    (error, at)
}
