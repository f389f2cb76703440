//! One leg of a running call: it dials, requests documents, performs them, and ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::super::carrier::Inner;
use super::super::method::Method;
use super::call::{Call, CallDirection, CallEvent, CallStatus, HungUpBy};
use super::document::{self, Element, Fault};
use super::order::{Order, Source};
use super::party::PartyInput;
use super::plan::{Document, End, Flow, HangupAction, Plan};
use super::report::Reporter;
use super::stream::Open;
use crate::domain::Timestamp;
use crate::integrations::twilio::form::Params;

/// Limit of documents in one call: more are a loop of redirects.
pub const DOCUMENTS_MAX: u32 = 500;
/// Limit of a stored document.
const KEPT_MAX_BYTES: usize = 16 * 1024;

const TOO_MANY_DOCUMENTS: u32 = 13_000;
/// Twilio's announcement if a document is not available.
const APOLOGY: &str = "We are sorry. An application error has occurred. Goodbye.";

/// One leg of a running call.
pub struct Leg {
    pub carrier: Arc<Inner>,
    pub sid: String,
    pub account: String,
    pub from: String,
    pub to: String,
    pub direction: CallDirection,
    pub party_input: PartyInput,
    orders: mpsc::Receiver<Order>,
    pub plan: Plan,
    status: CallStatus,
    /// The fields of every request of the call.
    base_params: Params,
    reporter: Option<Reporter>,
    answered_at: Option<Timestamp>,
    /// Time that has passed in the call, but not on the clock.
    skipped: Duration,
    documents: u32,
    /// Streams beside the call.
    pub streams: Vec<Open>,
    pub hangup_action: Option<HangupAction>,
}

impl Leg {
    /// Creates the leg of an accepted call, which takes orders from now on.
    pub fn new(carrier: &Arc<Inner>, call: &Call, plan: Plan) -> Self {
        let (orders, acts) = carrier.calls.register(&call.sid);
        let report = plan.report.clone();
        Self {
            carrier: carrier.clone(),
            sid: call.sid.clone(),
            account: call.account_sid.clone(),
            from: call.from.clone(),
            to: call.to.clone(),
            direction: call.direction,
            party_input: PartyInput::new(&plan.party, call.live, acts),
            orders,
            status: call.status,
            base_params: request_fields(call),
            reporter: report.map(|report| Reporter::new(carrier, &call.account_sid, report, plan.callback_fault)),
            answered_at: None,
            skipped: Duration::ZERO,
            documents: 0,
            streams: Vec::new(),
            hangup_action: None,
            plan,
        }
    }

    /// Runs the call to its end.
    pub async fn run(mut self) {
        let end = match self.set_up().await {
            Ok(()) => self.converse().await,
            Err(end) => end,
        };
        self.finish(end);
    }

    /// Dials, unless the call is inbound; stops on an order to hang up.
    pub async fn set_up(&mut self) -> Result<(), End> {
        if self.direction == CallDirection::Inbound {
            return Ok(());
        }
        let mut orders = self.take_order_receiver();
        let set_up = tokio::select! {
            biased;
            () = hung_up(&mut orders) => Err(End::status(CallStatus::Canceled)),
            set_up = self.dial() => set_up,
        };
        self.orders = orders;
        set_up
    }

    /// Takes the receiver of the orders, which interrupt any other work of the leg.
    pub fn take_order_receiver(&mut self) -> mpsc::Receiver<Order> {
        std::mem::replace(&mut self.orders, mpsc::channel(1).1)
    }

    /// Performs documents until the call ends; an order interrupts them.
    async fn converse(&mut self) -> End {
        let mut orders = self.take_order_receiver();
        let mut source = self.plan.first.clone();
        loop {
            tokio::select! {
                biased;
                order = orders.recv() => match order {
                    Some(Order::Go(next)) => {
                        self.hangup_action = None;
                        source = next;
                    }
                    Some(Order::HangUp(by)) => {
                        self.request_hangup_action().await;
                        return End::by(by);
                    }
                    None => return End::by(HungUpBy::Api),
                },
                followed = self.follow(source.clone(), false) => return match followed {
                    Ok(_) => {
                        self.pick_up();
                        End::by(HungUpBy::Document)
                    }
                    Err(end) => end,
                },
            }
        }
    }

    /// Requests the action after the party is gone; the answer is ignored.
    async fn request_hangup_action(&mut self) {
        let Some(HangupAction { url, method, mut params, lasted, since }) = self.hangup_action.take() else { return };
        params.push(lasted, &self.call_time().saturating_sub(since).as_secs().to_string());
        let _ = self.request_as(CallStatus::Completed, &url, method, &params).await;
    }

    /// Performs a document and those that follow it. While `waiting` in a queue, some verbs are ignored.
    pub async fn follow(&mut self, mut source: Source, waiting: bool) -> Result<Flow, End> {
        loop {
            let document = self.fetch(source).await?;
            match self.perform(&document, waiting).await? {
                Flow::Go(next) => source = next,
                flow => return Ok(flow),
            }
        }
    }

    /// Requests a document, or that of the fallback URL.
    async fn fetch(&mut self, source: Source) -> Result<Document, End> {
        let (fault, url) = match source {
            Source::Twiml(text) => match self.read(None, document::parse_text(&text), &text) {
                Ok(document) => return Ok(document),
                Err(fault) => (fault, String::new()),
            },
            Source::Url { url, method, extra } => match self.get(&url, method, &extra).await {
                Ok(document) => return Ok(document),
                Err(fault) => (fault, url),
            },
        };
        let code = fault.code;
        self.fault(fault);
        if let Some((fallback, method)) = self.plan.fallback.clone().filter(|(fallback, _)| *fallback != url) {
            let extra = [("ErrorCode", code.to_string()), ("ErrorUrl", url)].into_iter().collect();
            match self.get(&fallback, method, &extra).await {
                Ok(document) => return Ok(document),
                Err(fault) => self.fault(fault),
            }
        }
        self.pick_up();
        let (text, voice, language) = (APOLOGY.to_owned(), None, None);
        self.note(CallEvent::Said { text, voice, language });
        Err(End::by(HungUpBy::Document))
    }

    async fn get(&mut self, url: &str, method: Method, extra: &Params) -> Result<Document, Fault> {
        self.documents += 1;
        if self.documents > DOCUMENTS_MAX {
            let why = format!("the call has asked for {DOCUMENTS_MAX} documents: they lead to one another in a circle");
            return Err(Fault::new(TOO_MANY_DOCUMENTS, why));
        }
        let (content_type, body) = self.request(url, method, extra).await?;
        let text = String::from_utf8_lossy(&body);
        self.read(Some(url), document::parse(&content_type, &body), &text)
    }

    /// Parses a document, and stores it with the call.
    fn read(&self, url: Option<&str>, parsed: Result<Vec<Element>, Fault>, text: &str) -> Result<Document, Fault> {
        let end = text.floor_char_boundary(KEPT_MAX_BYTES.min(text.len()));
        self.note(CallEvent::Document { text: text[..end].to_owned() });
        parsed.map(|verbs| Document { url: url.map(str::to_owned), verbs })
    }

    /// Requests a webhook for this call, and records the request.
    pub async fn request(&self, url: &str, method: Method, extra: &Params) -> Result<(String, Vec<u8>), Fault> {
        self.request_as(self.status, url, method, extra).await
    }

    /// The same with a status that is not reported yet.
    pub async fn request_as(
        &self,
        status: CallStatus,
        url: &str,
        method: Method,
        extra: &Params,
    ) -> Result<(String, Vec<u8>), Fault> {
        let mut params = self.params(status.as_str());
        extra.iter().for_each(|(key, value)| params.push(key, value));
        let (began, token) = (Instant::now(), self.carrier.uuid());
        let called = self.carrier.call(&self.account, url, method, &params, Some(&token)).await;
        let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        self.note(CallEvent::Requested {
            url: url.to_owned(),
            method: method.as_str(),
            params: params.iter().map(own).collect(),
            ms: began.elapsed().as_millis() as u64,
            status: called.outcome.status,
            error: called.outcome.error,
        });
        called.answer.ok_or_else(|| {
            let why = format!("{url} answered {:?} after {} tries", called.outcome.status, called.outcome.attempts);
            Fault::new(called.outcome.error.unwrap_or(document::NO_XML), why)
        })
    }

    fn params(&self, status: &str) -> Params {
        let mut params = self.base_params.clone();
        params.push("CallStatus", status);
        params
    }

    /// Records an event of the call.
    pub fn note(&self, what: CallEvent) {
        let now = self.carrier.clock.now();
        self.carrier.change_call(&self.sid, |call| call.add(now, what));
    }

    /// Records a fault of the call.
    pub fn fault(&self, fault: Fault) {
        let Fault { code, why } = fault;
        tracing::warn!(code, sid = self.sid, why, "a call's document failed");
        let now = self.carrier.clock.now();
        self.carrier.change_call(&self.sid, |call| {
            call.error = Some(code);
            call.add(now, CallEvent::Fault { code, why });
        });
    }

    /// Ends the call with a fault.
    pub fn give_up(&mut self, fault: Fault) -> End {
        self.fault(fault);
        self.pick_up();
        End::by(HungUpBy::Document)
    }

    /// Answers the call unless it is answered.
    pub fn pick_up(&mut self) {
        if self.answered_at.is_none() {
            self.answered_at = Some(self.carrier.clock.now());
            self.set_status(CallStatus::InProgress, "answered");
        }
    }

    /// True if the call is answered.
    pub const fn is_up(&self) -> bool {
        self.answered_at.is_some()
    }

    /// Changes the status, records and reports it.
    pub fn set_status(&mut self, status: CallStatus, event: &str) {
        let now = self.carrier.clock.now();
        self.status = status;
        let duration = self.call_time();
        self.carrier.change_call(&self.sid, |call| {
            call.status = status;
            if status == CallStatus::Ringing {
                call.started_at = Some(now);
            }
            if status.is_final() {
                call.ended_at = Some(now);
                call.duration = duration;
            }
            call.add(now, CallEvent::Status { status });
        });
        self.report_status(event, &Params::default());
    }

    /// Reports a status to its callback.
    pub fn report_status(&mut self, event: &str, extra: &Params) {
        // This event is not a status of its own.
        let mut params = self.params(if event == "initiated" { event } else { self.status.as_str() });
        if self.status.is_final() {
            let seconds = self.call_time().as_millis().div_ceil(1_000) as u64;
            params.push("CallDuration", &seconds.to_string());
            params.push("Duration", &seconds.div_ceil(60).to_string());
            let code = match self.status {
                CallStatus::Busy => "486",
                CallStatus::NoAnswer | CallStatus::Canceled => "487",
                CallStatus::Failed => "404",
                _ => "200",
            };
            params.push("SipResponseCode", code);
        }
        extra.iter().for_each(|(key, value)| params.push(key, value));
        if let Some(reporter) = &mut self.reporter {
            reporter.report(&self.carrier, event, params);
        }
    }

    /// Lets time pass, on the clock or only in the call.
    pub async fn pass_time(&mut self, time: Duration) -> Result<(), End> {
        if self.carrier.calls.pace().real_time {
            self.carrier.clock.sleep(time).await;
        } else {
            self.skipped += time;
            // Lets other calls run.
            tokio::task::yield_now().await;
        }
        if self.call_time() >= self.plan.time_limit { Err(End::by(HungUpBy::Document)) } else { Ok(()) }
    }

    /// Returns the time since the answer.
    pub fn call_time(&self) -> Duration {
        let call_time = |at: Timestamp| self.carrier.clock.now().since(at) + self.skipped;
        self.answered_at.map_or(Duration::ZERO, call_time).min(self.plan.time_limit)
    }

    /// Adds time that does not pass on the clock.
    pub fn skip(&mut self, time: Duration) {
        self.skipped += time;
    }

    /// Ends the call; later calls of this do nothing.
    pub fn finish(&mut self, end: End) {
        if self.status.is_final() {
            return;
        }
        if let Some(by) = end.by {
            self.note(CallEvent::HungUp { by });
        }
        let mut extra = Params::default();
        if self.is_up()
            && let Some(callback) = self.plan.record.take()
        {
            extra = self.keep_recording(self.call_time(), "OutboundAPI", callback);
        }
        self.status = end.status;
        let (now, duration) = (self.carrier.clock.now(), self.call_time());
        self.carrier.change_call(&self.sid, |call| {
            call.status = end.status;
            call.ended_at = Some(now);
            call.duration = duration;
            call.add(now, CallEvent::Status { status: end.status });
        });
        self.report_status("completed", &extra);
        self.carrier.calls.forget(&self.sid);
    }
}

/// A dropped leg ends, for example if the document that dialled it is replaced.
impl Drop for Leg {
    fn drop(&mut self) {
        let status = if self.is_up() { CallStatus::Completed } else { CallStatus::Canceled };
        self.finish(End { status, by: None });
    }
}

/// Waits for the order to hang up, the only one for an unanswered call.
pub async fn hung_up(orders: &mut mpsc::Receiver<Order>) {
    while let Some(order) = orders.recv().await {
        if matches!(order, Order::HangUp(_)) {
            return;
        }
    }
}

fn request_fields(call: &Call) -> Params {
    let mut params: Params = [
        ("CallSid", call.sid.as_str()),
        ("AccountSid", &call.account_sid),
        ("From", &call.from),
        ("To", &call.to),
        ("Caller", &call.from),
        ("Called", &call.to),
        ("Direction", call.direction.as_str()),
        ("ApiVersion", "2010-04-01"),
    ]
    .into_iter()
    .collect();
    let further = [
        ("ParentCallSid", &call.parent_sid),
        ("ForwardedFrom", &call.forwarded_from),
        ("CallerName", &call.caller_name),
    ];
    for (key, value) in further {
        value.iter().for_each(|value| params.push(key, value));
    }
    params
}
