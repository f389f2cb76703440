//! The queues of callers.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use super::super::method::Method;
use super::bridge_state::Bridge;
use crate::domain::Timestamp;

/// A caller who was taken out of a queue, with the call that took them and the document they hear first.
pub struct DequeuedCaller {
    pub bridge: Arc<Bridge>,
    pub by: String,
    pub whisper: Option<(String, Method)>,
}

/// A caller in a queue.
pub struct QueuedCaller {
    pub call_sid: String,
    pub since: Timestamp,
    pub taken: oneshot::Sender<DequeuedCaller>,
}

/// A queue.
#[derive(Default)]
pub struct CallQueue {
    pub sid: String,
    pub callers: VecDeque<QueuedCaller>,
}

/// All queues.
#[derive(Default)]
pub struct Queues {
    /// The queues by account and name.
    pub by_name: Mutex<HashMap<(String, String), CallQueue>>,
    /// Number of callers who have entered.
    pub entered: watch::Sender<u64>,
}
