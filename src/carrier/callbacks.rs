//! Messages on their way: `sent`, then `delivered`, then perhaps `read`, each reported with a signed callback.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use reqwest::header;
use secrecy::ExposeSecret;
use tokio::sync::{Semaphore, mpsc, watch};

use super::faults::FaultKind;
use super::{Inner, Message};
use crate::domain::clock::Timestamp;
use crate::domain::status::DeliveryStatus;
use crate::twilio::form::Params;
use crate::twilio::signature;

/// Messages whose next status is waited for.
pub const QUEUE_MAX: usize = 100_000;
/// Callbacks being posted at once.
const IN_FLIGHT_MAX: usize = 64;
/// Twilio's, for connection and answer together.
const TIMEOUT: Duration = Duration::from_secs(15);

/// A message and the statuses that it has yet to report.
pub struct Job {
    due: Timestamp,
    message: Message,
    statuses: VecDeque<DeliveryStatus>,
    /// How often each is reported: 0, 1 or 2 times.
    copies: usize,
}

pub struct Callbacks {
    http: reqwest::Client,
    queue: mpsc::Sender<Job>,
    delay: Duration,
    dropped: AtomicU64,
    /// Jobs not finished.
    pub pending: watch::Sender<u64>,
}

impl Callbacks {
    pub fn new(http: reqwest::Client, queue: mpsc::Sender<Job>, delay_ms: u64) -> Self {
        let delay = Duration::from_millis(delay_ms);
        Self { http, queue, delay, dropped: AtomicU64::new(0), pending: watch::Sender::new(0) }
    }

    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// A full queue loses the job: Twilio's callbacks are best effort too.
    fn enqueue(&self, job: Job) {
        self.pending.send_modify(|pending| *pending += 1);
        if self.queue.try_send(job).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.finished();
        }
    }

    fn finished(&self) {
        self.pending.send_modify(|pending| *pending -= 1);
    }
}

impl Inner {
    /// Starts a message on its way. With [`FaultKind::CallbacksBeforeAnswer`] it has arrived when this returns.
    pub(super) async fn deliver(&self, message: Message, fault: Option<FaultKind>) {
        let mut statuses = VecDeque::from([DeliveryStatus::Sent, DeliveryStatus::Delivered]);
        if self.whatsapp_read && message.to.starts_with("whatsapp:") {
            statuses.push_back(DeliveryStatus::Read);
        }
        if fault == Some(FaultKind::CallbacksReordered) {
            statuses.make_contiguous().reverse();
        }
        let copies = match fault {
            Some(FaultKind::CallbacksLost) => 0,
            Some(FaultKind::CallbacksDoubled) => 2,
            _ => 1,
        };
        let mut job = Job { due: self.clock.now().plus(self.callbacks.delay), message, statuses, copies };
        if fault == Some(FaultKind::CallbacksBeforeAnswer) {
            while self.report_next(&mut job).await {}
        } else {
            self.callbacks.enqueue(job);
        }
    }

    /// Reports a job's next status; `false` when that was the last.
    async fn report_next(&self, job: &mut Job) -> bool {
        let Some(status) = job.statuses.pop_front() else { return false };
        self.store().report(&job.message.sid, status, self.clock.now());
        for _ in 0..job.copies {
            self.post(&job.message, status).await;
        }
        !job.statuses.is_empty()
    }

    async fn post(&self, message: &Message, status: DeliveryStatus) {
        let Some((url, account)) = message.status_callback.as_deref().zip(self.accounts.get(&message.account_sid))
        else {
            return;
        };
        let params = self.params(message, status);
        let request = self
            .callbacks
            .http
            .post(url)
            .timeout(TIMEOUT)
            .header(header::USER_AGENT, "TwilioProxy/1.1")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded; charset=UTF-8")
            .header("X-Twilio-Signature", signature::sign(account.token.expose_secret(), url, &params))
            .body(params.encode());
        if let Err(error) = request.send().await {
            tracing::debug!(%error, sid = message.sid, "a status callback met no answer");
        }
    }

    fn params(&self, message: &Message, status: DeliveryStatus) -> Params {
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
        match message.to.strip_prefix("whatsapp:") {
            Some(number) => {
                params.push("ChannelPrefix", "whatsapp");
                params.push("ChannelToAddress", number);
                params.push("EventType", &status.as_str().to_uppercase());
            }
            None if status == DeliveryStatus::Delivered => {
                params.push("RawDlrDoneDate", &self.clock.now().to_utc().format("%y%m%d%H%M").to_string());
            }
            None => {}
        }
        params
    }
}

/// Reports each status when it is due, until the carrier is gone. As every wait is equally long, the queue is in order.
pub async fn run(carrier: Weak<Inner>, mut jobs: mpsc::Receiver<Job>) {
    let in_flight = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    while let Some(mut job) = jobs.recv().await {
        // The carrier is held only while there is something to do, so that it can go.
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
