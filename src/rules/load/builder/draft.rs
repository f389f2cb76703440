//! The draft of a rule: what its statement has declared so far.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rhai::{Dynamic, FnPtr, NativeCallContext};
use serde_json::Value;

use crate::domain::EventKind;
use crate::rules::load::error::SourcePosition;
use crate::rules::model::{Limit, Missed, When};

/// A rule as its file declares it, before it is checked.
#[derive(Clone, Default)]
pub(in crate::rules) struct Draft {
    pub name: String,
    pub at: SourcePosition,
    pub kinds: Vec<(EventKind, SourcePosition)>,
    pub keywords: Vec<String>,
    pub blueprint: bool,
    pub params: BTreeMap<String, Value>,
    pub whens: Vec<(String, Closure)>,
    pub thens: Vec<Closure>,
    pub limit: Option<Limit>,
    /// `.on_answer`, by the question's name.
    pub answers: Vec<(String, Closure)>,
    pub silences: Vec<(String, Closure)>,
    pub unsents: Vec<(String, Closure)>,
    /// `.on_input`, by the step's name.
    pub inputs: Vec<(String, Closure)>,
    pub calls: Vec<(String, Closure)>,
    pub timing: DraftTiming,
    /// Event kinds that follow from the timing.
    pub implied: Vec<EventKind>,
    /// Faults, each with a hint. The rule is left out then; the file goes on.
    pub faults: Vec<(SourcePosition, String, String)>,
    /// The rule's statement failed half way. The failure is reported elsewhere.
    pub unfinished: bool,
}

/// The timing that a rule's statement has declared so far.
#[derive(Clone, Default)]
pub(in crate::rules) struct DraftTiming {
    pub when: Option<When>,
    pub missed: Option<Missed>,
    pub for_each: Option<ForEach>,
    pub at: SourcePosition,
}

/// `.for_each("contacts", |c| …)`
#[derive(Clone)]
pub(in crate::rules) struct ForEach {
    pub filter: Option<Closure>,
}

/// A closure that was given to a method of a rule.
#[derive(Clone)]
pub(in crate::rules) struct Closure {
    /// The name that the parser gave it.
    pub function: String,
    pub curried: bool,
    pub at: SourcePosition,
}

impl Closure {
    /// Returns the closure that a value is.
    pub fn from_value(value: &Dynamic, ctx: &NativeCallContext<'_>) -> Option<Self> {
        let pointer = value.clone().try_cast::<FnPtr>()?;
        Some(Self {
            function: pointer.fn_name().to_owned(),
            curried: pointer.is_curried(),
            at: ctx.call_position().into(),
        })
    }
}

/// The drafts of a file. The engine's tag while the file is loaded.
pub(in crate::rules) type Drafts = Arc<Mutex<Vec<Draft>>>;

/// The value of `rule(…)`, to which the methods are chained.
#[derive(Clone)]
pub(in crate::rules) struct RuleBuilder {
    drafts: Drafts,
    index: usize,
}

impl RuleBuilder {
    /// Adds a draft to the file's.
    pub fn new(drafts: Drafts, draft: Draft) -> Self {
        let mut list = drafts.lock();
        list.push(draft);
        let index = list.len() - 1;
        drop(list);
        Self { drafts, index }
    }

    /// Changes the draft.
    pub fn edit(&self, change: impl FnOnce(&mut Draft)) -> Self {
        if let Some(draft) = self.drafts.lock().get_mut(self.index) {
            change(draft);
        }
        self.clone()
    }

    /// Adds a fault at the position of the call.
    pub fn fault(&self, ctx: &NativeCallContext<'_>, message: impl Into<String>, hint: &str) -> Self {
        let at = ctx.call_position().into();
        self.edit(|draft| draft.faults.push((at, message.into(), hint.to_owned())))
    }
}
