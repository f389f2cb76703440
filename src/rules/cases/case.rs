//! The form of a case, and the event that it describes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::domain::appointment::AppointmentFacts;
use crate::domain::contact::{ContactFacts, TenantFacts};
use crate::domain::timer::Purpose;
use crate::domain::{ActionId, CallFacts, Channel, Event, EventId, EventKind, Facts, Question, Timestamp};
use crate::rules::ruleset::RuleSet;

/// A case as its file has it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub name: String,
    pub event: CaseEvent,
    #[serde(default)]
    pub facts: CaseFacts,
    pub now: Option<Timestamp>,
    pub expect: Expectation,
}

/// The event of a case.
#[derive(Debug, Deserialize)]
pub(super) struct CaseEvent {
    pub kind: EventKind,
    pub channel: Option<Channel>,
    #[serde(default)]
    pub data: Map<String, Value>,
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// The facts of a case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CaseFacts {
    pub tenant: TenantFacts,
    pub contact: Option<ContactFacts>,
    pub appointment: Option<AppointmentFacts>,
    pub next_appointment: Option<AppointmentFacts>,
    pub free_slots: Vec<Timestamp>,
    pub question: Option<CaseQuestion>,
    pub firings: BTreeMap<String, Vec<Timestamp>>,
    /// The call that the event belongs to.
    pub call: Option<CallFacts>,
}

/// The question that is open when the event comes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseQuestion {
    pub name: String,
    #[serde(default)]
    pub state: Value,
    /// The event's channel by default.
    pub channel: Option<Channel>,
    /// By default the rule of the file that handles the answer.
    pub rule: Option<String>,
}

impl Default for CaseFacts {
    fn default() -> Self {
        Self {
            tenant: TenantFacts::default(),
            contact: Some(ContactFacts::default()),
            appointment: None,
            next_appointment: None,
            free_slots: Vec::new(),
            question: None,
            firings: BTreeMap::new(),
            call: None,
        }
    }
}

/// The expected result of a case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Expectation {
    /// Read one by one, so that an error names its action.
    pub actions: Vec<Value>,
    pub fired: Option<Vec<String>>,
    pub asks: Option<Vec<ExpectedQuestion>>,
}

/// A question that a case expects to be opened.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ExpectedQuestion {
    pub name: String,
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub state: Value,
}

impl CaseQuestion {
    /// Makes it the open question on the event's channel.
    pub fn open(&self, rules: &RuleSet, file: &str, event: &mut Event, facts: &mut Facts) {
        let channel = self.channel.or(event.kind.inbound_channel()).unwrap_or(Channel::Sms);
        let rule = self.rule.clone().or_else(|| rules.rule_with_question(file, &self.name)).unwrap_or_default();
        let question = Question {
            id: ActionId::new(uuid::Uuid::nil()),
            channel,
            rule,
            name: self.name.clone(),
            state: self.state.clone(),
            asked_at: facts.as_of,
            expires_at: facts.as_of,
        };
        if event.kind == EventKind::TIMER {
            event.data["question"] = json!({"id": question.id, "channel": channel, "name": self.name});
            event.data["timer"] = json!({"rule": question.rule, "purpose": Purpose::Silence, "due": facts.as_of});
        }
        facts.questions.insert(channel, question);
    }
}

/// Makes the event of a case.
pub(super) fn event(case: &Case, facts: &Facts) -> Event {
    let kind = &case.event.kind;
    let inbound = Channel::INBOUND.into_iter().find(|channel| EventKind::inbound(*channel) == *kind);
    let mut data = case.event.data.clone();
    data.extend(case.event.more.clone());
    if let (Some(_), Some(contact)) = (inbound, &facts.contact) {
        data.entry("from").or_insert_with(|| contact.known_as().into());
    }
    // For a schedule's timer, the rule is enough.
    if let Some(Value::Object(timer)) = data.get_mut("timer") {
        timer.entry("purpose").or_insert_with(|| Purpose::Cron.as_str().into());
        timer.entry("due").or_insert_with(|| facts.as_of.to_string().into());
    }
    Event {
        id: EventId::new(uuid::Uuid::nil()),
        tenant: facts.tenant.id,
        kind: kind.clone(),
        channel: case.event.channel.or(inbound),
        contact: facts.contact.as_ref().map(|contact| contact.id),
        occurred_at: facts.as_of,
        dedupe_key: None,
        depth: 0,
        data: Value::Object(data),
    }
}
