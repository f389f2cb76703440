//! The states of a campaign and of its members.
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
//!   waiting ──▶ trying ──▶ done           (a member: a try is planned, then has ended)
//!      ▲           │
//!      └───────────┘                      (it is tried again later, or the try was withdrawn)
//! ```

use serde::{Deserialize, Serialize};
use strum::VariantArray;

/// The state of a campaign; the module's documentation has the drawing.
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
    VariantArray,
)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", const_into_str, parse_err_ty = UnknownCampaignState, parse_err_fn = UnknownCampaignState::new)]
pub enum CampaignState {
    Draft,
    Running,
    /// No new tries begin; those under way go on.
    Paused,
    /// Every member is done.
    Done,
    Cancelled,
}

impl CampaignState {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }

    /// Whether the drawing above has an arrow from this state to `next`.
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

/// A name that is not one of [`CampaignState`].
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no state of a campaign: use draft, running, paused, done or cancelled")]
pub struct UnknownCampaignState(String);

impl UnknownCampaignState {
    fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// The state of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase", const_into_str)]
pub enum MemberState {
    /// Waits for its time and its turn.
    Waiting,
    /// A try is planned or under way.
    Trying,
    Done,
}

impl MemberState {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_stays_over() {
        for state in CampaignState::VARIANTS.iter().copied() {
            for over in [CampaignState::Done, CampaignState::Cancelled] {
                assert!(!over.may_become(state), "{over} to {state}");
            }
            assert_eq!(state.as_str().parse::<CampaignState>().unwrap(), state);
        }
        assert!(CampaignState::Paused.may_become(CampaignState::Running));
        assert!(!CampaignState::Draft.may_become(CampaignState::Done));
    }
}
