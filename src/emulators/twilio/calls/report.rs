//! Status callbacks of calls: the requested ones of `initiated`, `ringing`, `answered`, `completed`, signed.
//!
//! After <https://www.twilio.com/docs/voice/api/call-resource#statuscallback>.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::super::carrier::Inner;
use super::super::faults::{CallbackFault, FaultKind};
use super::super::method::Method;
use crate::integrations::twilio::form::Params;

/// The events; the last one is the default.
pub const EVENTS: [&str; 4] = ["initiated", "ringing", "answered", "completed"];
/// Limit of unposted callbacks of one call: each event, with a margin.
const QUEUE_MAX: usize = 8;

/// The status callback of a call.
#[derive(Clone, Debug)]
pub struct Report {
    pub url: String,
    pub method: Method,
    pub events: Vec<&'static str>,
}

/// Posts the status callbacks of one call, in order unless a fault reorders them.
pub struct Reporter {
    events: Vec<&'static str>,
    queue: mpsc::Sender<Params>,
    sequence: u32,
}

impl Reporter {
    /// Creates a reporter, which posts in the background.
    pub fn new(carrier: &Arc<Inner>, account: &str, report: Report, callback_fault: Option<CallbackFault>) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE_MAX);
        let Report { url, method, events } = report;
        let post = Post { carrier: carrier.clone(), account: account.to_owned(), url, method, callback_fault };
        tokio::spawn(post.run(waiting));
        Self { events, queue, sequence: 0 }
    }

    /// Queues a callback if its event was requested.
    pub fn report(&mut self, carrier: &Inner, event: &str, mut params: Params) {
        if !self.events.contains(&event) {
            return;
        }
        params.push("CallbackSource", "call-progress-events");
        params.push("SequenceNumber", &self.sequence.to_string());
        params.push("Timestamp", &carrier.clock.now().to_utc().format("%a, %d %b %Y %H:%M:%S +0000").to_string());
        self.sequence += 1;
        carrier.callbacks.begin();
        if self.queue.try_send(params).is_err() {
            carrier.callbacks.lose();
            carrier.callbacks.finished();
        }
    }
}

struct Post {
    carrier: Arc<Inner>,
    account: String,
    url: String,
    method: Method,
    callback_fault: Option<CallbackFault>,
}

impl Post {
    async fn run(self, mut waiting: mpsc::Receiver<Params>) {
        let kind = self.callback_fault.map(|callback_fault| callback_fault.kind);
        let delay = self
            .callback_fault
            .filter(|_| kind == Some(FaultKind::CallbacksLate))
            .map_or(Duration::ZERO, |callback_fault| callback_fault.delay);
        let (mut held, mut late) = (Vec::new(), delay);
        while let Some(params) = waiting.recv().await {
            if kind == Some(FaultKind::CallbacksReordered) {
                held.push(params);
                continue;
            }
            if !late.is_zero() {
                self.carrier.clock.sleep(std::mem::take(&mut late)).await;
            }
            self.post(&params).await;
        }
        for params in held.iter().rev() {
            self.post(params).await;
        }
    }

    async fn post(&self, params: &Params) {
        let copies = match self.callback_fault.map(|callback_fault| callback_fault.kind) {
            Some(FaultKind::CallbacksLost) => 0,
            Some(FaultKind::CallbacksDoubled) => 2,
            _ => 1,
        };
        for _ in 0..copies {
            let token = self.carrier.uuid();
            let called = self.carrier.call(&self.account, &self.url, self.method, params, Some(&token)).await;
            if let Some(code) = called.outcome.error {
                tracing::debug!(code, sid = params.get("CallSid"), "a call's status callback failed");
            }
        }
        self.carrier.callbacks.finished();
    }
}
