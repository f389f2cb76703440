//! Open questions to customers, and the firings of rules with a limit.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::channel::Channel;
use super::clock::Timestamp;
use super::id::ActionId;

/// An open question. A customer has at most one on each channel.
///
/// ```text
///   ask ─▶ waiting ─▶ open ─▶ answered   (on_answer took a message of the customer)
///                 │        ├▶ silent     (no answer in time)
///                 │        ├▶ replaced   (another question was asked on the same channel)
///                 │        └▶ gone       (the customer opted out, or was erased)
///                 └▶ unsent              (its text is blocked, or the provider refuses it)
/// ```
///
/// It waits until its text is sent, and its time runs from then on. A message answers no question whose text leaves later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// The id of the send that asks it, so that the same decision asks it once.
    pub id: ActionId,
    pub channel: Channel,
    /// The rule that asked; its `on_answer` gets the answer.
    pub rule: String,
    pub name: String,
    /// A value of the rule's own.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub state: Value,
    pub asked_at: Timestamp,
    /// From this time on it counts as not answered, if its text left at `asked_at`.
    pub expires_at: Timestamp,
}

/// A decision's change of a customer's questions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionChange {
    /// Opens a question and replaces the open one of its channel.
    Open(Question),
    /// Closes a question, if it is still the open one when the change is written.
    Close(Question),
}

/// A run of a rule with a limit, for the event's customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firing {
    pub rule: String,
    pub at: Timestamp,
    /// The limit: how many times it may run from `since` on.
    pub times: u32,
    pub since: Timestamp,
}
