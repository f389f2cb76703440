//! Dialling: a call waits for its turn, rings, and is answered or not, by the number's script.

use std::time::Duration;

use super::call::{CallDirection, CallEvent, CallStatus};
use super::leg::Leg;
use super::party::PicksUp;
use super::plan::End;
use crate::integrations::twilio::form::Params;

impl Leg {
    /// Rings the called number; an error is the end of an unanswered call.
    pub async fn dial(&mut self) -> Result<(), End> {
        // Calls of a `<Dial>` are not throttled.
        if self.direction == CallDirection::OutboundApi {
            let turn = self.carrier.calls.turn(&self.account, self.carrier.clock.now());
            self.carrier.clock.sleep_until(turn).await;
        }
        self.report_status("initiated", &Params::default());
        self.ring().await?;
        self.pick_up();
        if let Some(digits) = self.plan.send_digits.take() {
            self.note(CallEvent::Played { url: String::new(), digits: Some(digits) });
        }
        self.detect().await
    }

    async fn ring(&mut self) -> Result<(), End> {
        let (party, timeout) = (self.plan.party.clone(), self.plan.timeout);
        if party.picks_up == PicksUp::Failed {
            return Err(End::status(CallStatus::Failed));
        }
        self.set_status(CallStatus::Ringing, "ringing");
        let after = Duration::from_millis(party.after_ms);
        self.carrier.clock.sleep(after.min(timeout)).await;
        let no_answer = Err(End::status(CallStatus::NoAnswer));
        match party.picks_up {
            PicksUp::Busy => Err(End::status(CallStatus::Busy)),
            PicksUp::NoAnswer => {
                if self.carrier.calls.pace().real_time {
                    self.carrier.clock.sleep(timeout.saturating_sub(after)).await;
                }
                no_answer
            }
            PicksUp::Live => {
                let clock = self.carrier.clock.clone();
                match self.party_input.answers(timeout.saturating_sub(after), &clock).await {
                    Some(true) => Ok(()),
                    Some(false) => Err(End::status(CallStatus::Busy)),
                    None => no_answer,
                }
            }
            _ if after > timeout => no_answer,
            _ => Ok(()),
        }
    }
}
