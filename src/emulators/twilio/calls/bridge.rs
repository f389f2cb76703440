//! Connected calls: each side follows its script until one hangs up or both are done.

use std::time::Duration;

use super::bridge_state::{Bridge, BridgeSide};
use super::call::{CallEvent, HungUpBy};
use super::leg::Leg;
use super::party::Step;
use super::plan::End;

/// Talking time if both scripts are done.
const TALK: Duration = Duration::from_secs(10);
/// Duration of a party's silence.
const SILENCE: Duration = Duration::from_secs(5);

/// The reason why one side left the bridge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BridgeExit {
    /// This side hung up.
    HungUp,
    /// This side pressed the star, and continues with its document.
    Star,
    /// The other side left.
    Alone,
}

impl Leg {
    /// Talks with the other side. The side that `closes` hangs up when both are done.
    pub async fn talk(&mut self, bridge: &Bridge, closes: bool, star: bool) -> BridgeExit {
        let (_seat, before) = (BridgeSide(bridge), self.call_time());
        let out = loop {
            let clock = self.carrier.clock.clone();
            let step = if self.party_input.is_done() {
                tokio::select! {
                    biased;
                    lasted = bridge.over() => break self.alone(before, lasted),
                    () = bridge.all_idle() => {}
                }
                if !closes {
                    break self.alone(before, bridge.over().await);
                }
                // A call at Twilio's time limit ends the same way.
                let _ = self.pass_time(TALK).await;
                Step::hangup()
            } else {
                tokio::select! {
                    biased;
                    lasted = bridge.over() => break self.alone(before, lasted),
                    step = self.party_input.next(SILENCE, &clock) => step,
                }
            };
            let (what, time) = match step {
                Step::Hangup { .. } => break BridgeExit::HungUp,
                Step::Digits { digits } if star && digits.contains('*') => {
                    self.note(CallEvent::Pressed { digits });
                    break BridgeExit::Star;
                }
                Step::Digits { digits } => (CallEvent::Pressed { digits }, Duration::ZERO),
                Step::Speech { speech, confidence } => {
                    let time = Duration::from_secs(1 + speech.chars().count() as u64 / 15);
                    (CallEvent::Spoke { text: speech, confidence }, time)
                }
                Step::Silence { .. } | Step::Sound(_) => (CallEvent::Silent, SILENCE),
            };
            self.note(what);
            if self.pass_time(time).await.is_err() {
                break BridgeExit::HungUp;
            }
        };
        bridge.end(self.call_time().saturating_sub(before));
        out
    }

    /// The other side left; counts the time that this side has been connected.
    fn alone(&mut self, before: Duration, lasted: Duration) -> BridgeExit {
        let own = self.call_time().saturating_sub(before);
        self.skip(lasted.saturating_sub(own));
        BridgeExit::Alone
    }
}

/// Returns the end of a call whose side hung up.
pub const fn end_of(out: BridgeExit) -> Option<End> {
    match out {
        BridgeExit::HungUp => Some(End::by(HungUpBy::Party)),
        BridgeExit::Star | BridgeExit::Alone => None,
    }
}
