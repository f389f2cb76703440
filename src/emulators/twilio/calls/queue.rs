//! `<Enqueue>`, and `<Dial><Queue>`, which takes the first caller of a queue.
//!
//! After <https://www.twilio.com/docs/voice/twiml/enqueue> and `…/queue`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::super::carrier::Inner;
use super::bridge::end_of;
use super::bridge_state::Bridge;
use super::call::{CallEvent, CallStatus, HungUpBy};
use super::dial::Dialled;
use super::document::{AGAINST_SCHEMA, Element, Fault};
use super::leg::Leg;
use super::order::Source;
use super::plan::{Document, End, Flow, HangupAction};
use super::queue_state::{CallQueue, DequeuedCaller, QueuedCaller};
use super::verbs::method;
use crate::integrations::twilio::form::Params;

/// Limit of queues, over all accounts.
const QUEUES_MAX: usize = 1_000;
/// Default limit of callers in one queue.
const SIZE_MAX: u64 = 1_000;
const NAME_MAX_CHARS: usize = 64;
/// Limit of requests to the wait URL for one call.
const ROUNDS_MAX: u32 = 1_000;
/// Pause between two wait documents that take no time.
const ROUND: Duration = Duration::from_secs(1);
/// Seconds to wait for a caller in an empty queue.
const TIMEOUT: u64 = 30;

/// A call's place in a queue, released when dropped.
struct QueuePlace {
    carrier: Arc<Inner>,
    key: (String, String),
    call_sid: String,
    queue_sid: String,
    size_max: u64,
}

impl Drop for QueuePlace {
    fn drop(&mut self) {
        if let Some(queue) = self.carrier.calls.queues.by_name.lock().get_mut(&self.key) {
            queue.callers.retain(|caller| caller.call_sid != self.call_sid);
        }
    }
}

impl QueuePlace {
    /// Takes a place; `None` if the queue is full.
    fn take(leg: &Leg, name: &str, size_max: u64) -> Option<(Self, oneshot::Receiver<DequeuedCaller>)> {
        let (carrier, key) = (leg.carrier.clone(), (leg.account.clone(), name.to_owned()));
        let state = &leg.carrier.calls.queues;
        let mut queues = state.by_name.lock();
        if queues.len() >= QUEUES_MAX && !queues.contains_key(&key) {
            return None;
        }
        let queue = queues
            .entry(key.clone())
            .or_insert_with(|| CallQueue { sid: leg.carrier.new_sid("QU"), callers: VecDeque::new() });
        if queue.callers.len() as u64 >= size_max {
            return None;
        }
        let (sender, taken) = oneshot::channel();
        let since = leg.carrier.clock.now();
        queue.callers.push_back(QueuedCaller { call_sid: leg.sid.clone(), since, taken: sender });
        let queue_sid = queue.sid.clone();
        drop(queues);
        state.entered.send_modify(|entered| *entered += 1);
        Some((Self { carrier, key, call_sid: leg.sid.clone(), queue_sid, size_max }, taken))
    }

    /// The fields of a request to the wait URL.
    fn wait_fields(&self, waited: Duration) -> Params {
        let queues = self.carrier.calls.queues.by_name.lock();
        let callers = queues.get(&self.key).map(|queue| &queue.callers);
        let position = callers.and_then(|callers| callers.iter().position(|one| one.call_sid == self.call_sid));
        let now = self.carrier.clock.now();
        let size = callers.map_or(0, VecDeque::len);
        let all: u64 = callers.into_iter().flatten().map(|one| now.since(one.since).as_secs()).sum();
        let average = all.checked_div(size as u64).unwrap_or_default().max(waited.as_secs() / size.max(1) as u64);
        [
            ("QueueSid", self.queue_sid.clone()),
            ("QueuePosition", position.map_or(0, |at| at + 1).to_string()),
            ("QueueTime", waited.as_secs().to_string()),
            ("AvgQueueTime", average.to_string()),
            ("CurrentQueueSize", size.to_string()),
            ("MaxQueueSize", self.size_max.to_string()),
        ]
        .into_iter()
        .collect()
    }
}

/// Why a call left its queue.
enum QueueExit {
    Dequeued(DequeuedCaller),
    ByItself,
    Ended(End),
    /// The wait URL was requested too often.
    TooLong,
}

impl Leg {
    /// Performs `<Enqueue>`.
    pub async fn enqueue(&mut self, document: &Document, verb: &Element) -> Result<Flow, End> {
        let name = verb.text().to_owned();
        if name.is_empty() || name.chars().count() > NAME_MAX_CHARS || verb.has("workflowSid") {
            let why = format!("a queue has a name of 1 to {NAME_MAX_CHARS} letters; there are no workflows here");
            return Err(self.give_up(Fault::new(AGAINST_SCHEMA, why)));
        }
        let size_max = verb.number("maxQueueSize").unwrap_or(SIZE_MAX).min(SIZE_MAX);
        let Some((place, taken)) = QueuePlace::take(self, &name, size_max) else {
            return self.after_queue(document, verb, &name, "queue-full", Params::default(), None).await;
        };
        self.note(CallEvent::Queue { name: name.clone(), what: "entered" });
        let entered = self.call_time();
        if let Some(action) = verb.get("action") {
            let url = self.resolve(document, Some(action))?;
            let params = [("QueueSid", place.queue_sid.as_str()), ("QueueResult", "hangup")].into_iter().collect();
            let method = method(verb, "method");
            self.hangup_action = Some(HangupAction { url, method, params, lasted: "QueueTime", since: entered });
        }
        let left = tokio::select! {
            biased;
            Ok(taken) = taken => QueueExit::Dequeued(taken),
            left = self.wait(document, verb, &place, entered) => left,
        };
        let mut params: Params = [("QueueSid", place.queue_sid.clone())].into_iter().collect();
        params.push("QueueTime", &self.call_time().saturating_sub(entered).as_secs().to_string());
        drop(place);
        let hangup_action = self.hangup_action.take();
        let (result, end) = match left {
            QueueExit::Dequeued(taken) => {
                // From now on a caller who hangs up counts as bridged.
                self.hangup_action = hangup_action.map(|hangup_action| hangup_action.with("QueueResult", "bridged"));
                let end = self.bridge_with(&taken, &params).await;
                self.hangup_action = None;
                ("bridged", end)
            }
            QueueExit::ByItself => ("leave", None),
            QueueExit::Ended(end) => ("hangup", Some(end)),
            QueueExit::TooLong => ("system-error", None),
        };
        self.after_queue(document, verb, &name, result, params, end).await
    }

    /// Performs the wait URL's documents again and again.
    async fn wait(&mut self, document: &Document, verb: &Element, place: &QueuePlace, entered: Duration) -> QueueExit {
        if !verb.has("waitUrl") {
            // Twilio's own music.
            self.note(CallEvent::Played { url: String::new(), digits: None });
        }
        for _ in 0..ROUNDS_MAX {
            if let Some(url) = verb.get("waitUrl") {
                let url = match self.resolve(document, Some(url)) {
                    Ok(url) => url,
                    Err(end) => return QueueExit::Ended(end),
                };
                let extra = place.wait_fields(self.call_time().saturating_sub(entered));
                let source = Source::Url { url, method: method(verb, "waitUrlMethod"), extra };
                match Box::pin(self.follow(source, true)).await {
                    Ok(Flow::Left) => return QueueExit::ByItself,
                    Ok(_) => {}
                    Err(end) => return QueueExit::Ended(end),
                }
            }
            if self.party_input.hangs_up() {
                return QueueExit::Ended(End::by(HungUpBy::Party));
            }
            self.carrier.clock.sleep(ROUND).await;
        }
        QueueExit::TooLong
    }

    /// Talks with the side that took the call; returns the call's end, if that ends it.
    async fn bridge_with(&mut self, taken: &DequeuedCaller, params: &Params) -> Option<End> {
        if let Some((url, method)) = taken.whisper.clone() {
            let mut extra = params.clone();
            extra.push("DequeingCallSid", &taken.by);
            if let Err(end) = Box::pin(self.follow(Source::Url { url, method, extra }, false)).await {
                taken.bridge.end(Duration::ZERO);
                return Some(end);
            }
        }
        end_of(self.talk(&taken.bridge, false, false).await)
    }

    /// Requests the action with the result.
    async fn after_queue(
        &mut self,
        document: &Document,
        verb: &Element,
        name: &str,
        result: &'static str,
        mut params: Params,
        end: Option<End>,
    ) -> Result<Flow, End> {
        self.note(CallEvent::Queue { name: name.to_owned(), what: result });
        params.push("QueueResult", result);
        let Some(action) = verb.get("action") else { return end.map_or(Ok(Flow::Next), Err) };
        let url = self.resolve(document, Some(action))?;
        let method = method(verb, "method");
        match end {
            Some(end) => {
                let _ = self.request_as(CallStatus::Completed, &url, method, &params).await;
                Err(end)
            }
            None => Ok(Flow::Go(Source::Url { url, method, extra: params })),
        }
    }

    /// Takes the first caller of a queue, and connects to them.
    pub async fn dial_queue(
        &mut self,
        document: &Document,
        verb: &Element,
        noun: &Element,
        star: bool,
    ) -> Result<Dialled, End> {
        let whisper = match noun.get("url") {
            Some(url) => Some((self.resolve(document, Some(url))?, method(noun, "method"))),
            None => None,
        };
        let key = (self.account.clone(), noun.text().to_owned());
        if !self.carrier.calls.queues.by_name.lock().contains_key(&key) {
            return Ok(Dialled::not(CallStatus::Failed));
        }
        let timeout = Duration::from_secs(verb.number("timeout").unwrap_or(TIMEOUT));
        let bridge = Arc::new(Bridge::new(2));
        let taken = DequeuedCaller { bridge: bridge.clone(), by: self.sid.clone(), whisper };
        let Some(sid) = self.take_first(&key, taken, timeout).await else {
            return Ok(Dialled::not(CallStatus::NoAnswer));
        };
        let (status, before) = (CallStatus::Completed, self.call_time());
        let out = self.talk(&bridge, true, star).await;
        self.note(CallEvent::Dialled { sid: sid.clone(), to: key.1, status });
        let lasted = Some(self.call_time().saturating_sub(before));
        Ok(Dialled { status, sid: Some(sid), lasted, end: end_of(out) })
    }

    /// Returns the taken call. In real time, it waits for a caller in an empty queue.
    async fn take_first(&self, key: &(String, String), mut taken: DequeuedCaller, timeout: Duration) -> Option<String> {
        let queues = &self.carrier.calls.queues;
        let mut entered = queues.entered.subscribe();
        let patient = self.carrier.calls.pace().real_time || self.party_input.is_live();
        let until = self.carrier.clock.now().plus(timeout);
        loop {
            entered.mark_unchanged();
            while let Some(first) = queues.by_name.lock().get_mut(key).and_then(|queue| queue.callers.pop_front()) {
                match first.taken.send(taken) {
                    Ok(()) => return Some(first.call_sid),
                    // The caller has just left.
                    Err(back) => taken = back,
                }
            }
            if !patient {
                return None;
            }
            tokio::select! {
                Ok(()) = entered.changed() => {}
                () = self.carrier.clock.sleep_until(until) => return None,
            }
        }
    }
}
