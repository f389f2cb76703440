//! Answering machine detection (<https://www.twilio.com/docs/voice/answering-machine-detection>).

use std::time::Duration;

use super::leg::Leg;
use super::order::Source;
use super::party::PicksUp;
use super::plan::End;
use crate::integrations::twilio::form::Params;

/// Time to recognize a person, or the first words of a machine.
const GREETING: Duration = Duration::from_secs(3);
/// Time of a machine's whole greeting with its beep.
const MESSAGE: Duration = Duration::from_secs(8);

impl Leg {
    /// Detects an answering machine. The result goes with the first request, or to its own callback.
    pub async fn detect(&mut self) -> Result<(), End> {
        let Some(amd) = self.plan.amd.clone() else { return Ok(()) };
        let (found, took) = match (self.plan.party.picks_up, amd.to_the_end) {
            (PicksUp::Machine, true) => ("machine_end_beep", MESSAGE),
            (PicksUp::Machine, false) => ("machine_start", GREETING),
            (PicksUp::Fax, _) => ("fax", GREETING),
            _ => ("human", GREETING),
        };
        self.carrier.change_call(&self.sid, |call| call.answered_by = Some(found));
        let ms = took.as_millis().to_string();
        let result: Params = [("AnsweredBy", found), ("MachineDetectionDuration", &ms)].into_iter().collect();
        let Some((url, method)) = amd.reports_to else {
            if let Source::Url { extra, .. } = &mut self.plan.first {
                result.iter().for_each(|(key, value)| extra.push(key, value));
            }
            return self.pass_time(took).await;
        };
        let mut params: Params = [("CallSid", self.sid.as_str()), ("AccountSid", &self.account)].into_iter().collect();
        result.iter().for_each(|(key, value)| params.push(key, value));
        self.carrier.post_soon(&self.account, url, method, params);
        Ok(())
    }
}
