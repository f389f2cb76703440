//! A question that waits for a customer's answer, and how often a rule has run for a customer.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{ActionId, Channel, Timestamp};

/// An open question: of one customer on one channel there is one at most.
///
/// ```text
///          ask ─▶ open ─▶ answered   (on_answer took a message of the customer's)
///                      ├▶ silent     (nobody answered in time)
///                      ├▶ replaced   (another question was asked on the same channel)
///                      └▶ gone       (the customer opted out, or was erased)
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// That of the send that asks it: asked twice by the same decision, it is there once.
    pub id: ActionId,
    pub channel: Channel,
    /// The rule that asked, whose `on_answer` hears the answer.
    pub rule: String,
    pub name: String,
    /// What the rule wanted to remember.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub state: Value,
    pub asked_at: Timestamp,
    /// From here on nobody has answered.
    pub expires_at: Timestamp,
}

/// What a decision does to a customer's questions, in its order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuestionChange {
    /// Replaces the one that is open on its channel.
    Open(Question),
    /// It has found its end; holds only if it still is the open one when that is written.
    Close(Question),
}

/// A rule with a limit has run for the event's customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Firing {
    pub rule: String,
    pub at: Timestamp,
    /// It runs at most so many times from `since` on.
    pub times: u32,
    pub since: Timestamp,
}
