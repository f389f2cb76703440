//! Campaigns: where one stands, and each of its members.
//!
//! ```text
//!            start             no member is left
//!   draft ──────────▶ running ──────────────────▶ done
//!     │                │   ▲
//!     │          pause ▼   │ resume
//!     │               paused
//!     │ cancel         │ cancel (of a running one, too)
//!     └───────────────▶ cancelled
//!
//!   waiting ──▶ trying ──▶ done           (a member: a try is planned, and has come to something)
//!      ▲           │
//!      └───────────┘                      (it is tried again later, or the try was withdrawn)
//! ```

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a campaign stands; drawn in the module's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CampaignState {
    Draft,
    Running,
    /// Nobody is tried; what is under way goes on.
    Paused,
    /// Every member has come to an end.
    Done,
    Cancelled,
}

impl CampaignState {
    pub const ALL: [Self; 5] = [Self::Draft, Self::Running, Self::Paused, Self::Done, Self::Cancelled];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the drawing has an arrow from this state to `next`.
    pub const fn may_become(self, next: Self) -> bool {
        use CampaignState::{Cancelled, Done, Draft, Paused, Running};
        matches!(
            (self, next),
            (Draft | Paused, Running) | (Running, Paused | Done) | (Draft | Running | Paused, Cancelled)
        )
    }

    /// Whether members can still be added.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Draft | Self::Running | Self::Paused)
    }
}

impl fmt::Display for CampaignState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no state of a campaign: use draft, running, paused, done or cancelled")]
pub struct UnknownCampaignState(String);

impl FromStr for CampaignState {
    type Err = UnknownCampaignState;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or_else(|| UnknownCampaignState(text.to_owned()))
    }
}

/// Where a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberState {
    /// For its time and its turn.
    Waiting,
    /// A try is planned or under way.
    Trying,
    Done,
}

impl MemberState {
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Trying, Self::Done];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Trying => "trying",
            Self::Done => "done",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_stays_over() {
        for state in CampaignState::ALL {
            for over in [CampaignState::Done, CampaignState::Cancelled] {
                assert!(!over.may_become(state), "{over} to {state}");
            }
            assert_eq!(state.as_str().parse::<CampaignState>().unwrap(), state);
        }
        assert!(CampaignState::Paused.may_become(CampaignState::Running));
        assert!(!CampaignState::Draft.may_become(CampaignState::Done));
    }
}
