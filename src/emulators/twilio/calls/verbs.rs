//! The verbs of a document.

use std::time::Duration;

use super::super::method::Method;
use super::call::{CallEvent, CallStatus, HungUpBy};
use super::document::{AGAINST_SCHEMA, Element, Fault};
use super::leg::Leg;
use super::order::Source;
use super::plan::{Document, End, Flow};

/// Speed of speech.
const LETTERS_PER_S: u64 = 15;
/// Assumed duration of a sound file.
const SOUND: Duration = Duration::from_secs(5);
/// Repetitions of an endless verb, if time is not real.
const ENDLESS: u64 = 100;

impl Leg {
    /// Performs a document's verbs in order.
    pub async fn perform(&mut self, document: &Document, waiting: bool) -> Result<Flow, End> {
        for verb in &document.verbs {
            match self.verb(document, verb, waiting).await? {
                Flow::Next => {}
                flow => return Ok(flow),
            }
        }
        Ok(Flow::Next)
    }

    async fn verb(&mut self, document: &Document, verb: &Element, waiting: bool) -> Result<Flow, End> {
        // These verbs leave a ringing call unanswered.
        if !matches!(verb.name.as_str(), "Reject" | "Pause" | "Redirect") {
            self.pick_up();
        }
        match verb.name.as_str() {
            "Say" | "Play" | "Pause" => self.hear(document, verb, waiting).await.map(|()| Flow::Next),
            "Gather" => self.gather(document, verb).await,
            "Redirect" => {
                let url = self.resolve(document, Some(verb.text()))?;
                Ok(Flow::Go(Source::url(url, method(verb, "method"))))
            }
            "Hangup" => Err(End::by(HungUpBy::Document)),
            "Leave" if waiting => Ok(Flow::Left),
            "Leave" => Ok(Flow::Next),
            other if waiting => {
                let why = format!("<{other}> means nothing while a call waits in a queue");
                Err(self.give_up(Fault::new(AGAINST_SCHEMA, why)))
            }
            "Record" => self.record(document, verb).await,
            "Dial" => self.dial_out(document, verb).await,
            "Enqueue" => self.enqueue(document, verb).await,
            "Connect" => self.connect_stream(document, verb).await,
            "Start" => self.start_stream(document, verb).await,
            "Stop" => {
                self.stop_stream(verb);
                Ok(Flow::Next)
            }
            "Message" => self.message(document, verb),
            "Reject" if self.is_up() => Err(End::by(HungUpBy::Document)),
            "Reject" => {
                // Twilio documents the tone that the caller hears, not the status: busy, or not in service.
                let busy = verb.get("reason") == Some("busy");
                let status = if busy { CallStatus::Busy } else { CallStatus::NoAnswer };
                Err(End { status, by: Some(HungUpBy::Document) })
            }
            other => Err(self.give_up(Fault::new(AGAINST_SCHEMA, format!("<{other}> is not done here")))),
        }
    }

    /// Speaks, plays, or pauses.
    pub async fn hear(&mut self, document: &Document, verb: &Element, waiting: bool) -> Result<(), End> {
        let own = |name: &str| verb.get(name).map(str::to_owned);
        let (what, time) = match verb.name.as_str() {
            "Say" => {
                let text = verb.text().to_owned();
                let time = Duration::from_secs((text.chars().count() as u64).div_ceil(LETTERS_PER_S));
                (CallEvent::Said { text, voice: own("voice"), language: own("language") }, time)
            }
            "Play" => {
                let digits = own("digits");
                let url = match &digits {
                    Some(_) if verb.text().is_empty() => String::new(),
                    _ => self.resolve(document, Some(verb.text()))?,
                };
                (CallEvent::Played { url, digits }, SOUND)
            }
            _ => {
                let seconds = verb.number("length").unwrap_or(1);
                (CallEvent::Paused { seconds }, Duration::from_secs(seconds))
            }
        };
        self.note(what);
        match verb.number("loop") {
            // Until the call is taken out of the queue.
            Some(0) if waiting && !self.carrier.calls.pace().real_time => {
                if self.party_input.hangs_up() {
                    return Err(End::by(HungUpBy::Party));
                }
                std::future::pending().await
            }
            Some(0) => self.repeat(time, ENDLESS).await,
            times => self.repeat(time, times.unwrap_or(1)).await,
        }
    }

    async fn repeat(&mut self, time: Duration, times: u64) -> Result<(), End> {
        for _ in 0..times.min(ENDLESS) {
            self.pass_time(time).await?;
        }
        Ok(())
    }

    /// Resolves a URL in the document; an invalid one ends the call.
    pub fn resolve(&mut self, document: &Document, named: Option<&str>) -> Result<String, End> {
        document.resolve(named).map_err(|fault| self.give_up(fault))
    }

    /// Sends a text message during a call.
    fn message(&mut self, document: &Document, verb: &Element) -> Result<Flow, End> {
        let inner =
            |name: &'static str| verb.children.iter().filter(move |child| child.name == name).map(Element::text);
        let body = inner("Body").next().unwrap_or_else(|| verb.text()).to_owned();
        let (business, customer) = match self.direction {
            super::call::CallDirection::Inbound => (&self.to, &self.from),
            _ => (&self.from, &self.to),
        };
        let (from, to) = (verb.get("from").unwrap_or(business), verb.get("to").unwrap_or(customer));
        let callback = verb.get("statusCallback").and_then(|url| document.resolve(Some(url)).ok());
        let media = inner("Media").map(str::to_owned).collect();
        let sid = self.carrier.text_from_call(&self.account, from, to, &body, media, callback);
        self.note(CallEvent::Messaged { sid, to: to.to_owned(), body });
        match verb.get("action") {
            Some(action) => {
                let url = self.resolve(document, Some(action))?;
                Ok(Flow::Go(Source::url(url, method(verb, "method"))))
            }
            None => Ok(Flow::Next),
        }
    }
}

/// Returns the method of a URL, POST by default.
pub fn method(verb: &Element, attribute: &str) -> Method {
    if verb.get(attribute) == Some("GET") { Method::Get } else { Method::Post }
}
