//! The queues of callers.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

use super::super::method::Method;
use super::bridge_state::Bridge;
use crate::domain::Timestamp;

/// A caller who was taken out of a queue: by whom, and the document they hear first.
pub struct TakenCaller {
    pub bridge: Arc<Bridge>,
    pub by: String,
    pub whisper: Option<(String, Method)>,
}

/// A caller in a queue.
pub struct Waiting {
    pub call_sid: String,
    pub since: Timestamp,
    pub taken: oneshot::Sender<TakenCaller>,
}

/// A queue.
#[derive(Default)]
pub struct WaitingLine {
    pub sid: String,
    pub waiting: VecDeque<Waiting>,
}

/// All queues.
#[derive(Default)]
pub struct Queues {
    /// By account and name.
    pub lines: Mutex<HashMap<(String, String), WaitingLine>>,
    /// Number of callers who have entered.
    pub entered: watch::Sender<u64>,
}
