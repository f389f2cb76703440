//! The queue of status callbacks: messages that wait for their next status.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};

use super::store::Message;
use crate::domain::clock::Timestamp;
use crate::domain::status::DeliveryStatus;

/// Limit of messages that wait for their next status.
pub const QUEUE_MAX: usize = 100_000;
/// Limit of scheduled messages, and of messages with late callbacks.
const LATER_MAX: usize = 10_000;

/// A message and its remaining statuses.
pub struct Job {
    pub due: Timestamp,
    pub message: Message,
    pub statuses: VecDeque<DeliveryStatus>,
    /// The code of a failure among them.
    pub error_code: Option<u32>,
    /// Reports per status: 0, 1 or 2.
    pub copies: usize,
}

/// Work that is due later.
pub enum Next {
    /// A scheduled message, by SID.
    Leaves(String),
    Reports(Box<Job>),
}

/// The queue of status callbacks.
pub struct Callbacks {
    pub queue: mpsc::Sender<Job>,
    pub delay: Duration,
    pub dropped: AtomicU64,
    /// Unfinished jobs.
    pub pending: watch::Sender<u64>,
    pub later: Arc<Semaphore>,
}

impl Callbacks {
    /// Creates the queue; `delay_ms` passes before each status.
    pub fn new(queue: mpsc::Sender<Job>, delay_ms: u64) -> Self {
        Self {
            queue,
            delay: Duration::from_millis(delay_ms),
            dropped: AtomicU64::new(0),
            pending: watch::Sender::new(0),
            later: Arc::new(Semaphore::new(LATER_MAX)),
        }
    }

    /// Counts the jobs that could not be queued.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Counts a job that could not be queued.
    pub fn lose(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Queues a job. A full queue drops it: Twilio's callbacks are best effort too.
    pub fn enqueue(&self, job: Job) {
        self.begin();
        if self.queue.try_send(job).is_err() {
            self.lose();
            self.finished();
        }
    }

    /// Counts a job as unfinished.
    pub fn begin(&self) {
        self.pending.send_modify(|pending| *pending += 1);
    }

    /// Counts a job as finished.
    pub fn finished(&self) {
        self.pending.send_modify(|pending| *pending -= 1);
    }
}
