//! The scope of an API token.

use serde::{Deserialize, Serialize};

/// The part of the REST API that a token opens.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str, parse_err_ty = UnknownScope, parse_err_fn = UnknownScope::new)]
pub enum TokenScope {
    /// Everything of the tenant.
    Full,
    /// Only `/api/agent/`, for a voice agent that another company runs, and only for the customer of a call in progress.
    Agent,
    /// Only `/api/agent/`, for customers of any number: for an agent that talks to them elsewhere.
    AgentAnyNumber,
}

impl TokenScope {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }

    /// Reads a stored name. An unknown one opens the least.
    pub fn from_stored(text: &str) -> Self {
        text.parse().unwrap_or(Self::Agent)
    }
}

/// A name that is not one of [`TokenScope`].
#[derive(Debug, thiserror::Error)]
#[error(
    "'{0}' is no scope of a token: use full (all that is the tenant's), agent (/api/agent/ alone, for the customer of a call \
     in progress) or agent_any_number (/api/agent/ alone, for any number)"
)]
pub struct UnknownScope(String);

impl UnknownScope {
    fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}
