//! Message delivery: `sent`, then `delivered`, then perhaps `read`, or `undelivered` with a code. Each status is
//! reported with a signed callback.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use tokio::sync::{Semaphore, mpsc};

use super::callback_queue::{Job, Next};
use super::carrier::Inner;
use super::faults::{CallbackFault, FaultKind};
use super::messages::error_message;
use super::method::Method;
use super::store::{Direction, Message, bare};
use crate::domain::clock::Timestamp;
use crate::domain::status::DeliveryStatus;
use crate::integrations::twilio::form::Params;

/// Limit of callbacks that are posted at once.
const IN_FLIGHT_MAX: usize = 64;

impl Inner {
    /// Starts the delivery of a message. With [`FaultKind::CallbacksBeforeAnswer`] it is finished when this returns.
    pub(super) async fn deliver(self: &Arc<Self>, message: Message, callback_fault: Option<CallbackFault>) {
        let fault = callback_fault.map(|callback_fault| callback_fault.kind);
        let (mut statuses, error_code) = self.planned_statuses(&message);
        if fault == Some(FaultKind::CallbacksReordered) {
            statuses.make_contiguous().reverse();
        }
        let copies = match fault {
            Some(FaultKind::CallbacksLost) => 0,
            Some(FaultKind::CallbacksDoubled) => 2,
            _ => 1,
        };
        let due = self.clock.now().plus(self.callbacks.delay);
        let mut job = Job { due, message, statuses, error_code, copies };
        match callback_fault {
            Some(CallbackFault { kind: FaultKind::CallbacksBeforeAnswer, .. }) => {
                while self.report_next(&mut job).await {}
            }
            Some(CallbackFault { kind: FaultKind::CallbacksLate, delay }) => {
                job.due = job.due.plus(delay);
                if !self.later(job.due, Next::Reports(Box::new(job))) {
                    self.callbacks.dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
            _ => self.callbacks.enqueue(job),
        }
    }

    /// Returns the statuses that a message will have, and the code of its failure.
    fn planned_statuses(&self, message: &Message) -> (VecDeque<DeliveryStatus>, Option<u32>) {
        // A reply is within the window: the customer has just written.
        let spec = message.channel().spec();
        if spec.session_window.is_some() && message.direction == Direction::OutboundApi {
            let from = message.from.clone().or_else(|| self.numbers.first_of(&message.account_sid)).unwrap_or_default();
            let template = message.content_sid.is_some();
            let refused = self.consent.refusal(&from, &message.to, template, message.created_at);
            if refused.is_some() {
                return (VecDeque::from([DeliveryStatus::Undelivered]), refused);
            }
        }
        let mut statuses = VecDeque::from([DeliveryStatus::Sent, DeliveryStatus::Delivered]);
        if self.whatsapp_read && spec.reads {
            statuses.push_back(DeliveryStatus::Read);
        }
        (statuses, None)
    }

    /// Schedules work; `false` if too much waits already.
    pub(super) fn later(self: &Arc<Self>, due: Timestamp, next: Next) -> bool {
        let Ok(place) = Arc::clone(&self.callbacks.later).try_acquire_owned() else { return false };
        // Scheduled messages may be days ahead: nobody waits for them.
        let awaited = matches!(next, Next::Reports(_));
        if awaited {
            self.callbacks.begin();
        }
        let (carrier, clock) = (Arc::downgrade(self), self.clock.clone());
        tokio::spawn(async move {
            clock.sleep_until(due).await;
            let Some(carrier) = carrier.upgrade() else { return };
            match next {
                Next::Leaves(sid) => {
                    let leaves = carrier.change_if(&sid, DeliveryStatus::Scheduled, DeliveryStatus::Queued);
                    if let Some(message) = leaves {
                        carrier.deliver(message, None).await;
                    }
                }
                Next::Reports(job) => carrier.callbacks.enqueue(*job),
            }
            if awaited {
                carrier.callbacks.finished();
            }
            drop(place);
        });
        true
    }

    /// Reports a job's next status; `false` if that was the last one.
    async fn report_next(&self, job: &mut Job) -> bool {
        let Some(status) = job.statuses.pop_front() else { return false };
        let error_code = job.error_code.filter(|_| status == DeliveryStatus::Undelivered);
        let (now, sender) = (self.clock.now(), self.numbers.first_of(&job.message.account_sid));
        let changed = self.change(&job.message.sid, |message| {
            message.status = message.status.advance(status);
            message.error_code = message.error_code.or(error_code);
            message.sent_at.get_or_insert(now);
            // By now the Messaging Service has chosen a number.
            if message.from.is_none() {
                message.from = sender.map(|number| {
                    let prefix = message.channel().spec().prefix;
                    format!("{prefix}{number}")
                });
            }
        });
        // Statuses of a message that is no longer stored are still reported.
        let message = changed.unwrap_or_else(|| job.message.clone());
        if status == DeliveryStatus::Delivered && message.read_early {
            job.statuses.push_back(DeliveryStatus::Read);
        }
        for _ in 0..job.copies {
            self.report(&message, status, error_code).await;
        }
        !job.statuses.is_empty()
    }

    /// Reports the current status of a message before it returns.
    pub(super) async fn report_at_once(&self, message: Message) {
        self.report(&message, message.status, message.error_code).await;
    }

    /// Queues a report of the current status of a message.
    pub(super) fn report_soon(&self, message: Message) {
        let (due, statuses) = (self.clock.now(), VecDeque::from([message.status]));
        self.callbacks.enqueue(Job { due, message, statuses, error_code: None, copies: 1 });
    }

    async fn report(&self, message: &Message, status: DeliveryStatus, error_code: Option<u32>) {
        let Some(url) = message.status_callback.as_deref() else { return };
        let params = self.params(message, status, error_code);
        let called = self.call(&message.account_sid, url, Method::Post, &params, None).await;
        if let Some(code) = called.outcome.error {
            tracing::debug!(code, sid = message.sid, "a status callback failed");
        }
    }

    fn params(&self, message: &Message, status: DeliveryStatus, error_code: Option<u32>) -> Params {
        let mut params = Params::default();
        params.push("ApiVersion", "2010-04-01");
        params.push("AccountSid", &message.account_sid);
        for key in ["MessageSid", "SmsSid"] {
            params.push(key, &message.sid);
        }
        for key in ["MessageStatus", "SmsStatus"] {
            params.push(key, status.as_str());
        }
        params.push("To", &message.to);
        if let Some(from) = &message.from {
            params.push("From", from);
        }
        if let Some(service) = &message.messaging_service_sid {
            params.push("MessagingServiceSid", service);
        }
        if let Some(code) = error_code {
            params.push("ErrorCode", &code.to_string());
        }
        let spec = message.channel().spec();
        if !spec.prefix.is_empty() {
            params.push("ChannelPrefix", spec.name);
            params.push("ChannelToAddress", bare(&message.to));
            params.push("EventType", &status.as_str().to_uppercase());
            if let Some(code) = error_code {
                params.push("ChannelStatusMessage", error_message(code));
            }
        } else if status == DeliveryStatus::Delivered {
            params.push("RawDlrDoneDate", &self.clock.now().to_utc().format("%y%m%d%H%M").to_string());
        }
        params
    }

    /// Reports each status when it is due, until the emulator is dropped. All waits are equally long, so the queue is in
    /// order.
    pub(super) async fn run_callbacks(carrier: Weak<Self>, mut jobs: mpsc::Receiver<Job>) {
        let in_flight = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
        while let Some(mut job) = jobs.recv().await {
            // The emulator is held only during work, so that it can be dropped.
            let Some(clock) = carrier.upgrade().map(|carrier| carrier.clock.clone()) else { return };
            if job.due > clock.now() {
                clock.sleep_until(job.due).await;
            }
            // The semaphore is never closed.
            let Ok(permit) = Arc::clone(&in_flight).acquire_owned().await else { return };
            let Some(carrier) = carrier.upgrade() else { return };
            tokio::spawn(async move {
                if carrier.report_next(&mut job).await {
                    job.due = job.due.plus(carrier.callbacks.delay);
                    carrier.callbacks.enqueue(job);
                }
                carrier.callbacks.finished();
                drop(permit);
            });
        }
    }
}
