//! The evaluation of one event: what scripts see of it, and what they have requested so far.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use chrono_tz::Tz;
use parking_lot::{Mutex, MutexGuard};
use rhai::{Dynamic, ImmutableString, NativeCallContext, Position};
use serde_json::Value;

use super::values::{Moment, in_short};
use crate::config::review_links::Links;
use crate::domain::contact::ContactFacts;
use crate::domain::fold::fold;
use crate::domain::{Action, Event, Facts, QuestionChange, Timestamp};
use crate::integrations::email::template::Templates;
use crate::rules::limits::READS_PER_RULE;
use crate::rules::model::{Handlers, Keyword};

/// The error that a native function raises in a script.
pub(in crate::rules) type ScriptError = Box<rhai::EvalAltResult>;

/// The event under evaluation. Native functions find it in the engine's tag, views hold it.
///
/// The mutex is never contended: one thread decides an event.
pub(in crate::rules) struct EvalContext {
    pub event: Event,
    pub facts: Facts,
    pub zone: Tz,
    pub templates: Arc<Templates>,
    pub links: Arc<Links>,
    folded_body: OnceLock<ImmutableString>,
    frame: Mutex<RuleFrame>,
}

/// The state of the rule that is being evaluated.
#[derive(Default)]
pub(in crate::rules) struct RuleFrame {
    pub phase: Phase,
    pub keyword: Option<Keyword>,
    /// The rule's parameters: the defaults, overridden by the tenant's values.
    pub params: BTreeMap<String, Value>,
    pub reads: BTreeMap<String, Value>,
    pub actions: Vec<RequestedAction>,
    /// The number of actions that earlier rules have planned.
    pub planned: usize,
    pub rule: String,
    /// The index of the next action among all of this rule's: its answer handler may have planned some already.
    pub first_index: usize,
    /// The rule's handlers for answers and call steps.
    pub handlers: Option<Arc<Handlers>>,
    pub questions: Vec<QuestionChange>,
    /// `pass_on()` was called: the other rules see the answer, too.
    pub pass_on: bool,
}

/// An action that a rule requests.
pub(in crate::rules) struct RequestedAction {
    pub action: Action,
    /// Not before this instant; `None` for at once.
    pub due: Option<Timestamp>,
    /// Why it cannot be done. The rest of the rule stands.
    pub blocked: Option<String>,
}

impl From<Action> for RequestedAction {
    fn from(action: Action) -> Self {
        Self { action, due: None, blocked: None }
    }
}

impl RequestedAction {
    /// Makes an action that cannot be done.
    pub fn blocked(action: Action, why: impl Into<String>) -> Self {
        Self { action, due: None, blocked: Some(why.into()) }
    }
}

/// The kind of closure that runs.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::rules) enum Phase {
    /// A condition: it may read, and change nothing.
    #[default]
    When,
    Then,
    /// In an `.on_answer`.
    Answer,
}

impl EvalContext {
    /// Starts the evaluation of an event.
    pub fn new(event: Event, facts: Facts, templates: Arc<Templates>, links: Arc<Links>) -> Arc<Self> {
        // The zone was checked when it was set. An unknown name falls back to UTC rather than stopping the rules.
        let zone = facts.tenant.zone.parse().unwrap_or(Tz::UTC);
        Arc::new(Self { event, facts, zone, templates, links, folded_body: OnceLock::new(), frame: Mutex::default() })
    }

    /// The state of the current rule.
    pub fn frame(&self) -> MutexGuard<'_, RuleFrame> {
        self.frame.lock()
    }

    /// An instant in the business's time zone.
    pub fn moment(&self, at: Timestamp) -> Moment {
        Moment { at, zone: self.zone }
    }

    /// The time of the decision.
    pub fn now(&self) -> Moment {
        self.moment(self.facts.as_of)
    }

    /// The customer, if the event concerns one.
    pub fn contact(&self) -> Option<&ContactFacts> {
        self.facts.contact.as_ref()
    }

    /// A text of the event's data; empty if there is none.
    pub fn text(&self, key: &str) -> &str {
        self.event.data.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// The event's text, folded once for all rules.
    pub fn folded_body(&self) -> ImmutableString {
        self.folded_body.get_or_init(|| fold(self.text("body")).into()).clone()
    }

    /// Records in the trace, once, that the rule read `path`.
    pub fn record_read(&self, path: &str, value: &Dynamic) {
        let mut frame = self.frame();
        if frame.reads.len() < READS_PER_RULE && !frame.reads.contains_key(path) {
            frame.reads.insert(path.to_owned(), in_short(value));
        }
    }
}

/// Returns the evaluation that a native function runs in; `None` while a file is being loaded.
pub(in crate::rules) fn current(ctx: &NativeCallContext<'_>) -> Option<Arc<EvalContext>> {
    ctx.tag()?.read_lock::<Arc<EvalContext>>().map(|eval| Arc::clone(&eval))
}

/// Makes an error that the script's author reads, with its position.
pub(in crate::rules) fn error(message: impl Into<String>, at: Position) -> ScriptError {
    rhai::EvalAltResult::ErrorRuntime(message.into().into(), at).into()
}
