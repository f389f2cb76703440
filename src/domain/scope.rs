//! How much of the REST API a token opens.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenScope {
    /// All that is the tenant's.
    Full,
    /// What a voice agent of somebody else's can have done: `/api/agent/`, and nothing else.
    Agent,
}

impl TokenScope {
    pub const ALL: [Self; 2] = [Self::Full, Self::Agent];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Agent => "agent",
        }
    }

    /// The stored name; anything else opens the least.
    pub fn from_stored(text: &str) -> Self {
        text.parse().unwrap_or(Self::Agent)
    }
}

impl fmt::Display for TokenScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no scope of a token: use full (all that is the tenant's) or agent (/api/agent/ alone)")]
pub struct UnknownScope(String);

impl FromStr for TokenScope {
    type Err = UnknownScope;
    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or_else(|| UnknownScope(text.to_owned()))
    }
}
