//! One event being decided: what the scripts see of it, and what they have asked for so far.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use chrono_tz::Tz;
use rhai::{Dynamic, NativeCallContext, Position};
use serde_json::Value;

use super::values::{Moment, in_short};
use crate::config::review_links::Links;
use crate::domain::contact::ContactFacts;
use crate::domain::{Action, Event, Facts, QuestionChange, Timestamp};
use crate::integrations::email::template::Templates;
use crate::rules::limits::READS_PER_RULE;
use crate::rules::script::functions::conversation::Talk;

pub(in crate::rules) type ScriptError = Box<rhai::EvalAltResult>;

/// Travels as the engine's tag and inside every view. The mutex is never contended: one thread decides an event.
pub(in crate::rules) struct Call {
    pub event: Event,
    pub facts: Facts,
    pub zone: Tz,
    pub templates: Arc<Templates>,
    pub links: Arc<Links>,
    frame: Mutex<Frame>,
}

/// What belongs to the rule that is being evaluated.
#[derive(Default)]
pub(in crate::rules) struct Frame {
    pub phase: Phase,
    pub keyword: Option<Keyword>,
    /// Defaults, overlaid by what the business has set.
    pub params: BTreeMap<String, Value>,
    pub reads: BTreeMap<String, Value>,
    pub actions: Vec<Wanted>,
    /// How many actions the rules before this one have planned.
    pub planned: usize,
    pub rule: String,
    /// The place of its first action among all of the rule's: an answer may have led to some already.
    pub first_index: usize,
    /// The questions that it may ask.
    pub talk: Option<Arc<Talk>>,
    pub questions: Vec<QuestionChange>,
    /// The other rules may see the answer, too.
    pub pass_on: bool,
}

/// An action that a rule asks for.
pub(in crate::rules) struct Wanted {
    pub action: Action,
    /// Not before this instant; `None` for at once.
    pub due: Option<Timestamp>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::rules) enum Phase {
    #[default]
    When,
    Then,
    /// In an `on_answer`.
    Answer,
}

/// The keyword that brought an event to a rule, and what the customer wrote after it.
#[derive(Clone, Default)]
pub(in crate::rules) struct Keyword {
    pub word: String,
    pub rest: String,
}

impl Call {
    pub fn new(event: Event, facts: Facts, templates: Arc<Templates>, links: Arc<Links>) -> Arc<Self> {
        // The zone was checked when it was set; a name from elsewhere falls back to UTC rather than stopping the rules.
        let zone = facts.tenant.zone.parse().unwrap_or(Tz::UTC);
        Arc::new(Self { event, facts, zone, templates, links, frame: Mutex::default() })
    }

    pub fn frame(&self) -> MutexGuard<'_, Frame> {
        // A panic in a script leaves plain data behind, which is replaced before the next rule.
        self.frame.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn moment(&self, at: Timestamp) -> Moment {
        Moment { at, zone: self.zone }
    }

    pub fn now(&self) -> Moment {
        self.moment(self.facts.as_of)
    }

    pub fn contact(&self) -> Option<&ContactFacts> {
        self.facts.contact.as_ref()
    }

    /// A text of the event's data, empty where there is none.
    pub fn text(&self, key: &str) -> &str {
        self.event.data.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// Remembers, once, that the rule read `path`.
    pub fn saw(&self, path: &str, value: &Dynamic) {
        let mut frame = self.frame();
        if frame.reads.len() < READS_PER_RULE && !frame.reads.contains_key(path) {
            frame.reads.insert(path.to_owned(), in_short(value));
        }
    }
}

/// The call that a native function was made from; `None` while a file is being loaded.
pub(in crate::rules) fn of(context: &NativeCallContext<'_>) -> Option<Arc<Call>> {
    context.tag()?.read_lock::<Arc<Call>>().map(|call| Arc::clone(&call))
}

pub(in crate::rules) fn error(message: impl Into<String>, at: Position) -> ScriptError {
    rhai::EvalAltResult::ErrorRuntime(message.into().into(), at).into()
}
