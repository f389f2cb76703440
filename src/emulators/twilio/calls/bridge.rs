//! Calls that are connected: each side goes on with its script, until somebody hangs up or nobody has more to do.

use std::time::Duration;

use tokio::sync::watch;

use super::call::{Happening, HungUpBy};
use super::leg::{End, Leg};
use super::party::Step;

/// How long people talk whose scripts say nothing more.
const TALK: Duration = Duration::from_secs(10);
/// How long a silence is, where somebody keeps silent.
const SILENCE: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Default)]
struct State {
    /// Sides that have nothing more to do.
    idle: usize,
    /// How long it lasted, once it is over.
    over: Option<Duration>,
}

pub struct Bridge {
    sides: usize,
    state: watch::Sender<State>,
}

/// How one side came out of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Out {
    /// This side hung up.
    HungUp,
    /// It pressed the star, and goes on with its document.
    Star,
    /// The other side has gone.
    Alone,
}

impl Bridge {
    pub fn new(sides: usize) -> Self {
        Self { sides, state: watch::Sender::new(State::default()) }
    }

    pub fn end(&self, lasted: Duration) {
        self.state.send_modify(|state| state.over = state.over.or(Some(lasted)));
    }

    async fn over(&self) -> Duration {
        let ended = self.state.subscribe().wait_for(|state| state.over.is_some()).await.map(|state| state.over);
        // The sender lives in `self`.
        ended.ok().flatten().unwrap_or_default()
    }

    async fn all_idle(&self) {
        self.state.send_modify(|state| state.idle += 1);
        let _ = self.state.subscribe().wait_for(|state| state.idle >= self.sides).await;
    }
}

/// A side that is dropped has gone: the other must not wait for it.
pub struct Seat<'a>(pub &'a Bridge);

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.end(Duration::ZERO);
    }
}

impl Leg {
    /// Talks with the other side. The one that `closes` hangs up once nobody has more to do.
    pub async fn talk(&mut self, bridge: &Bridge, closes: bool, star: bool) -> Out {
        let (_seat, before) = (Seat(bridge), self.talked());
        let out = loop {
            let clock = self.carrier.clock.clone();
            let step = if self.hands.are_done() {
                tokio::select! {
                    biased;
                    lasted = bridge.over() => break self.alone(before, lasted),
                    () = bridge.all_idle() => {}
                }
                if !closes {
                    break self.alone(before, bridge.over().await);
                }
                // Twilio's longest call ends the same way.
                let _ = self.spend(TALK).await;
                Step::hangup()
            } else {
                tokio::select! {
                    biased;
                    lasted = bridge.over() => break self.alone(before, lasted),
                    step = self.hands.next(SILENCE, &clock) => step,
                }
            };
            let (what, time) = match step {
                Step::Hangup { .. } => break Out::HungUp,
                Step::Digits { digits } if star && digits.contains('*') => {
                    self.note(Happening::Pressed { digits });
                    break Out::Star;
                }
                Step::Digits { digits } => (Happening::Pressed { digits }, Duration::ZERO),
                Step::Speech { speech, confidence } => {
                    let time = Duration::from_secs(1 + speech.chars().count() as u64 / 15);
                    (Happening::Spoke { text: speech, confidence }, time)
                }
                Step::Silence { .. } | Step::Sound(_) => (Happening::Silent, SILENCE),
            };
            self.note(what);
            if self.spend(time).await.is_err() {
                break Out::HungUp;
            }
        };
        bridge.end(self.talked().saturating_sub(before));
        out
    }

    /// The other side has gone; this one has been in the call as long.
    fn alone(&mut self, before: Duration, lasted: Duration) -> Out {
        let own = self.talked().saturating_sub(before);
        self.skip(lasted.saturating_sub(own));
        Out::Alone
    }
}

/// The end of a call whose side hung up.
pub const fn end_of(out: Out) -> Option<End> {
    match out {
        Out::HungUp => Some(End::by(HungUpBy::Party)),
        Out::Star | Out::Alone => None,
    }
}
