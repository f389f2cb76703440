//! Sends the prepared webhooks in a closed or an open loop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::ledger::Ledger;
use crate::webhook::Requests;
use crate::wire::Connection;
use crate::{CLOCK, Failure};

/// Longer than any answer may take: the provider gives up after 15 s.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug)]
pub enum Pace {
    /// Each connection sends its next message when the last one is answered.
    Closed,
    /// Messages are due at fixed times. Latency counts from the due time, so it includes the millisecond of the timer.
    Open { per_s: f64 },
}

impl Pace {
    fn due(self, start: Instant, index: usize) -> Option<Instant> {
        match self {
            Self::Closed => None,
            Self::Open { per_s } => Some(start + Duration::from_secs_f64(index as f64 / per_s)),
        }
    }
}

struct Run {
    address: SocketAddr,
    requests: Requests,
    ledger: Arc<Ledger>,
    pace: Pace,
    start: Instant,
    next: AtomicUsize,
}

/// Sends all `requests` over this many connections and records their outcomes.
pub async fn send(
    address: SocketAddr,
    requests: Requests,
    ledger: Arc<Ledger>,
    connections: usize,
    pace: Pace,
) -> Result<(), Failure> {
    let mut opened = Vec::with_capacity(connections);
    for _ in 0..connections.min(requests.len()) {
        opened.push(Connection::open(address).await?);
    }
    let run = Arc::new(Run { address, requests, ledger, pace, start: Instant::now(), next: AtomicUsize::new(0) });
    let mut tasks: JoinSet<()> = opened.into_iter().map(|connection| one(Arc::clone(&run), connection)).collect();
    while let Some(ended) = tasks.join_next().await {
        ended?;
    }
    Ok(())
}

async fn one(run: Arc<Run>, mut connection: Connection) {
    loop {
        let index = run.next.fetch_add(1, Relaxed);
        let Some(request) = run.requests.get(index) else { return };
        let due = run.pace.due(run.start, index);
        if let Some(due) = due {
            let ahead = due.saturating_duration_since(Instant::now());
            if !ahead.is_zero() {
                CLOCK.sleep(ahead).await;
            }
        }
        run.ledger.sent(index, due.unwrap_or_else(Instant::now));
        match tokio::time::timeout(CALL_TIMEOUT, connection.call(request)).await {
            Ok(Ok(200..=299)) => run.ledger.acknowledged(index),
            Ok(Ok(status)) => run.ledger.refused(status),
            Ok(Err(_)) | Err(_) => {
                run.ledger.refused(0);
                // An unreachable server refuses the rest too.
                let Ok(again) = Connection::open(run.address).await else { return };
                connection = again;
            }
        }
    }
}
