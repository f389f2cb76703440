//! `<Dial>`: creates another call, or takes one out of a queue, and connects the two.
//!
//! After <https://www.twilio.com/docs/voice/twiml/dial>.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::bridge::{BridgeExit, end_of};
use super::bridge_state::Bridge;
use super::call::{Call, CallDirection, CallEvent, CallStatus};
use super::document::{AGAINST_SCHEMA, Element, Fault};
use super::leg::{Leg, hung_up};
use super::order::Source;
use super::plan::{Document, End, Flow, HangupAction, Plan, TIME_LIMIT};
use super::report::Report;
use super::validate;
use super::verbs::method;
use crate::integrations::twilio::form::Params;

/// Limit of numbers in one `<Dial>`.
const NOUNS_MAX: usize = 10;
/// Default, in seconds.
const TIMEOUT: u64 = 30;

/// The result of dialling.
pub struct Dialled {
    pub status: CallStatus,
    pub sid: Option<String>,
    /// Duration of the connection.
    pub lasted: Option<Duration>,
    /// The caller has hung up.
    pub end: Option<End>,
}

impl Dialled {
    /// The result of a dial without a connection.
    pub const fn not(status: CallStatus) -> Self {
        Self { status, sid: None, lasted: None, end: None }
    }
}

impl Leg {
    /// Performs `<Dial>`.
    pub async fn dial_out(&mut self, document: &Document, verb: &Element) -> Result<Flow, End> {
        let nouns: Vec<Element> = match verb.children.as_slice() {
            [] => vec![Element::named("Number", verb.text())],
            nouns => nouns.iter().take(NOUNS_MAX).cloned().collect(),
        };
        let star = verb.is_true("hangupOnStar");
        if let Some(action) = verb.get("action") {
            let url = self.resolve(document, Some(action))?;
            let params = [("DialCallStatus", "completed")].into_iter().collect();
            let (method, since) = (method(verb, "method"), self.call_time());
            self.hangup_action = Some(HangupAction { url, method, params, lasted: "DialCallDuration", since });
        }
        let dialled = match nouns[0].name.as_str() {
            "Queue" => self.dial_queue(document, verb, &nouns[0], star).await?,
            "Conference" => self.join_conference(&nouns[0], star).await,
            _ => self.dial_numbers(document, verb, &nouns, star).await?,
        };
        self.hangup_action = None;
        self.after_dial(document, verb, dialled).await
    }

    /// Requests the action with the result.
    async fn after_dial(&mut self, document: &Document, verb: &Element, dialled: Dialled) -> Result<Flow, End> {
        let mut result = Params::default();
        result.push("DialCallStatus", dialled.status.as_str());
        dialled.sid.iter().for_each(|sid| result.push("DialCallSid", sid));
        result.push("DialBridged", if dialled.lasted.is_some() { "true" } else { "false" });
        if let Some(lasted) = dialled.lasted {
            result.push("DialCallDuration", &lasted.as_millis().div_ceil(1_000).to_string());
            if verb.get("record").is_some_and(|record| record.starts_with("record-") || record == "true") {
                let callback = verb.get("recordingStatusCallback").and_then(|url| document.resolve(Some(url)).ok());
                let callback = callback.map(|url| (url, method(verb, "recordingStatusCallbackMethod")));
                let recorded = self.keep_recording(lasted, "DialVerb", callback);
                recorded.iter().for_each(|(key, value)| result.push(key, value));
            }
        }
        let action = match verb.get("action") {
            Some(action) => Some(self.resolve(document, Some(action))?),
            None => None,
        };
        match (dialled.end, action) {
            (Some(end), action) => {
                // The caller is gone, so the answer is ignored.
                if let Some(url) = action {
                    let _ = self.request_as(CallStatus::Completed, &url, method(verb, "method"), &result).await;
                }
                Err(end)
            }
            (None, Some(url)) => Ok(Flow::Go(Source::Url { url, method: method(verb, "method"), extra: result })),
            (None, None) => Ok(Flow::Next),
        }
    }

    /// Rings all numbers at once, or one after the other; connects the first that answers.
    async fn dial_numbers(
        &mut self,
        document: &Document,
        verb: &Element,
        nouns: &[Element],
        star: bool,
    ) -> Result<Dialled, End> {
        let at_once = if verb.is_true("sequential") { 1 } else { NOUNS_MAX };
        let mut status = CallStatus::Failed;
        for nouns in nouns.chunks(at_once) {
            let mut children = Vec::new();
            for noun in nouns {
                children.push(self.child(document, verb, noun)?);
            }
            let mut ringing: FuturesUnordered<_> = children
                .iter_mut()
                .enumerate()
                .map(|(at, (child, _))| async move { (at, child.set_up().await) })
                .collect();
            let mut answered = None;
            let mut failed = Vec::new();
            while let Some((at, set_up)) = ringing.next().await {
                match set_up {
                    Ok(()) => {
                        answered = Some(at);
                        break;
                    }
                    Err(end) => failed.push((at, end)),
                }
            }
            drop(ringing);
            for (at, end) in failed {
                let (child, _) = &mut children[at];
                child.finish(end);
                status = end.status;
                self.note(CallEvent::Dialled { sid: child.sid.clone(), to: child.to.clone(), status });
            }
            if let Some(at) = answered {
                // Dropping the others stops their ringing.
                let (child, whisper) = children.swap_remove(at);
                drop(children);
                return Ok(self.connect(child, whisper, star).await);
            }
        }
        Ok(Dialled::not(status))
    }

    /// Creates the other leg, and the document that the called person hears first.
    fn child(&mut self, document: &Document, verb: &Element, noun: &Element) -> Result<(Self, Option<Source>), End> {
        let to = match noun.name.as_str() {
            "Client" => {
                let identity = noun.children.iter().find(|child| child.name == "Identity");
                format!("client:{}", identity.map_or_else(|| noun.text(), Element::text))
            }
            "WhatsApp" => format!("whatsapp:{}", noun.text()),
            _ => noun.text().to_owned(),
        };
        if to.is_empty() {
            return Err(self.give_up(Fault::new(AGAINST_SCHEMA, "<Dial> names nobody to be called")));
        }
        let whisper = match noun.get("url") {
            Some(url) => Some(Source::url(self.resolve(document, Some(url))?, method(noun, "method"))),
            None => None,
        };
        let mut plan = Plan::new(Source::Twiml(String::new()), self.carrier.calls.party(&to));
        plan.timeout = Duration::from_secs(verb.number("timeout").unwrap_or(TIMEOUT));
        plan.time_limit = verb.number("timeLimit").map_or(TIME_LIMIT, Duration::from_secs);
        plan.send_digits = noun.get("sendDigits").map(str::to_owned);
        if let Some(callback) = noun.get("statusCallback") {
            let url = self.resolve(document, Some(callback))?;
            let asked = noun.get("statusCallbackEvent").map(|events| ("StatusCallbackEvent", events));
            let events = validate::events(&asked.into_iter().collect());
            let events = events.map_err(|refusal| self.give_up(Fault::new(AGAINST_SCHEMA, refusal.message)))?;
            plan.report = Some(Report { url, method: method(noun, "statusCallbackMethod"), events });
        }
        let carrier = &self.carrier;
        let sid = carrier.new_sid("CA");
        let mut call = Call::new(sid, self.account.clone(), CallDirection::OutboundDial, carrier.clock.now());
        call.parent_sid = Some(self.sid.clone());
        call.from = verb.get("callerId").unwrap_or(&self.from).to_owned();
        (call.to, call.live) = (to, plan.party.is_live());
        carrier.push_call(call.clone());
        Ok((Self::new(carrier, &call, plan), whisper))
    }

    async fn connect(&mut self, mut child: Self, whisper: Option<Source>, star: bool) -> Dialled {
        let (sid, to) = (child.sid.clone(), child.to.clone());
        let mut orders = child.take_order_receiver();
        let mut dialled = Dialled { sid: Some(sid.clone()), ..Dialled::not(CallStatus::Completed) };
        if let Some(source) = whisper
            && let Err(end) = Box::pin(child.follow(source, false)).await
        {
            child.finish(end);
        } else {
            let (bridge, before) = (Bridge::new(2), self.call_time());
            let theirs = async {
                tokio::select! {
                    biased;
                    () = hung_up(&mut orders) => {
                        bridge.end(Duration::ZERO);
                        BridgeExit::HungUp
                    }
                    out = child.talk(&bridge, true, false) => out,
                }
            };
            let (ours, _) = tokio::join!(self.talk(&bridge, false, star), theirs);
            child.finish(End::status(CallStatus::Completed));
            dialled.lasted = Some(self.call_time().saturating_sub(before));
            dialled.end = end_of(ours);
        }
        self.note(CallEvent::Dialled { sid, to, status: CallStatus::Completed });
        dialled
    }

    /// An empty conference: the caller talks, and hangs up.
    async fn join_conference(&mut self, noun: &Element, star: bool) -> Dialled {
        let (room, before) = (Bridge::new(1), self.call_time());
        let status = CallStatus::Completed;
        self.note(CallEvent::Dialled { sid: self.carrier.new_sid("CF"), to: noun.text().to_owned(), status });
        let out = self.talk(&room, true, star).await;
        Dialled { status, sid: None, lasted: Some(self.call_time().saturating_sub(before)), end: end_of(out) }
    }
}
