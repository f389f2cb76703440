//! The open connections: what each one is doing, for how long, and which one is closed when there are too many.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::limits::ConnectionLimits;
use crate::telemetry::metric;

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The head of a request has begun, or is awaited for the first time.
    Head,
    /// The head is complete, the body is not.
    Body,
    /// The request is complete, the response is not.
    Responding,
    /// Between two requests.
    Idle,
    /// It is a WebSocket now, which has its own limits.
    Upgraded,
    /// It is being closed to make room. It takes no request any more.
    Evicted,
}

/// Why the server has closed a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case", const_into_str)]
pub enum CloseCause {
    Header,
    Body,
    Write,
    Idle,
    /// Another connection needed its place.
    Full,
}

impl CloseCause {
    /// Counts a connection that is closed for this cause.
    pub fn count(self) {
        metrics::counter!(metric::CONNECTIONS_CLOSED_TOTAL, "cause" => self.into_str()).increment(1);
    }
}

struct Progress {
    phase: Phase,
    since: Instant,
    /// Since when the peer has not read, while there is something to be written.
    unread_since: Option<Instant>,
    task: Option<AbortHandle>,
}

/// An open connection.
pub struct Connection {
    id: u64,
    progress: Mutex<Progress>,
    of: Arc<Connections>,
}

impl Connection {
    /// Notes that a request's head is complete; `false` where the connection is being closed to make room.
    pub fn begin_request(&self, has_body: bool) -> bool {
        let mut progress = self.progress.lock();
        if progress.phase == Phase::Evicted {
            return false;
        }
        progress.enter(if has_body { Phase::Body } else { Phase::Responding });
        true
    }

    /// Notes that the connection is a WebSocket now.
    pub fn upgraded(&self) {
        self.progress.lock().enter(Phase::Upgraded);
    }

    /// Sets the task that serves the connection, so that it can be ended.
    pub fn served_by(&self, task: AbortHandle) {
        let mut progress = self.progress.lock();
        if progress.phase == Phase::Evicted {
            task.abort();
        }
        progress.task = Some(task);
    }

    /// The instant at which the connection is closed if nothing changes.
    pub fn deadline(&self, limits: &ConnectionLimits) -> Option<(Instant, CloseCause)> {
        let progress = self.progress.lock();
        let of_phase = match progress.phase {
            Phase::Head => Some((progress.since + limits.header_within, CloseCause::Header)),
            Phase::Body => Some((progress.since + limits.body_within, CloseCause::Body)),
            Phase::Idle => Some((progress.since + limits.idle_within, CloseCause::Idle)),
            Phase::Responding | Phase::Upgraded | Phase::Evicted => None,
        };
        let of_write = progress.unread_since.map(|since| (since + limits.write_within, CloseCause::Write));
        of_phase.into_iter().chain(of_write).min_by_key(|(at, _)| *at)
    }

    /// Closes the connection, unless it has a request.
    fn evict(&self) -> bool {
        let mut progress = self.progress.lock();
        if progress.waits_for_request().is_none() {
            return false;
        }
        progress.phase = Phase::Evicted;
        if let Some(task) = &progress.task {
            task.abort();
        }
        true
    }

    fn received(&self) {
        let mut progress = self.progress.lock();
        if progress.phase == Phase::Idle {
            progress.enter(Phase::Head);
        }
    }

    fn written(&self, progressed: bool) {
        let mut progress = self.progress.lock();
        if progressed {
            progress.unread_since = None;
        } else {
            progress.unread_since.get_or_insert_with(Instant::now);
        }
    }

    /// Goes on from a body to the `next` phase, unless something else has happened meanwhile.
    fn body_ended(&self, next: Phase) {
        let mut progress = self.progress.lock();
        let is_due = match progress.phase {
            Phase::Body => true,
            Phase::Responding => next == Phase::Idle,
            Phase::Head | Phase::Idle | Phase::Upgraded | Phase::Evicted => false,
        };
        if is_due {
            progress.enter(next);
        }
    }
}

impl Progress {
    /// Since when there is no request, and whether a response is still being read; `None` where there is a request.
    fn waits_for_request(&self) -> Option<(bool, Instant)> {
        matches!(self.phase, Phase::Idle | Phase::Head).then_some((self.unread_since.is_some(), self.since))
    }

    fn enter(&mut self, phase: Phase) {
        if self.phase != Phase::Evicted {
            (self.phase, self.since) = (phase, Instant::now());
        }
    }
}

/// The open connections of a listener.
pub struct Connections {
    max: usize,
    next_id: AtomicU64,
    open: Mutex<HashMap<u64, Arc<Connection>>>,
    left: Notify,
}

impl Connections {
    /// Makes room for at most `max` connections.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, next_id: AtomicU64::new(0), open: Mutex::default(), left: Notify::new() })
    }

    /// Waits for a place, and takes it for a connection. Where there is none, the connection that has been without a
    /// request for the longest time is closed; where all have one, a connection has to end. Gives whether it was full.
    pub async fn admit(self: &Arc<Self>) -> (Arc<Connection>, bool) {
        let mut was_full = false;
        loop {
            let left = self.left.notified();
            if let Some(connection) = self.take_place() {
                return (connection, was_full);
            }
            was_full = true;
            if !self.evict() {
                left.await;
            }
        }
    }

    fn take_place(self: &Arc<Self>) -> Option<Arc<Connection>> {
        let mut open = self.open.lock();
        if open.len() >= self.max {
            return None;
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let progress = Progress { phase: Phase::Head, since: Instant::now(), unread_since: None, task: None };
        let connection = Arc::new(Connection { id, progress: Mutex::new(progress), of: self.clone() });
        open.insert(id, connection.clone());
        metrics::gauge!(metric::CONNECTIONS_OPEN).increment(1.0);
        Some(connection)
    }

    /// Closes the connection that has been without a request for the longest time; `false` where each has one.
    pub fn evict(&self) -> bool {
        let mut open = self.open.lock();
        // One whose response is still being read comes last.
        let waits = |one: &Connection| one.progress.lock().waits_for_request();
        loop {
            let waiting = open.values().filter_map(|one| Some((waits(one)?, one.id)));
            let Some((_, id)) = waiting.min() else { return false };
            // It may have begun a request since.
            if open.get(&id).is_some_and(|one| one.evict()) {
                open.remove(&id);
                metrics::gauge!(metric::CONNECTIONS_OPEN).decrement(1.0);
                CloseCause::Full.count();
                return true;
            }
        }
    }

    fn leave(&self, id: u64) {
        if self.open.lock().remove(&id).is_some() {
            metrics::gauge!(metric::CONNECTIONS_OPEN).decrement(1.0);
        }
        self.left.notify_waiters();
    }
}

/// A socket that notes the progress of its connection. The connection's place is free when the socket is dropped, also
/// where it has become a WebSocket.
pub struct TrackedStream {
    stream: TcpStream,
    connection: Arc<Connection>,
}

impl TrackedStream {
    pub const fn new(stream: TcpStream, connection: Arc<Connection>) -> Self {
        Self { stream, connection }
    }

    fn note_write<T>(&self, written: Poll<std::io::Result<T>>) -> Poll<std::io::Result<T>> {
        self.connection.written(written.is_ready());
        written
    }
}

impl Drop for TrackedStream {
    fn drop(&mut self) {
        self.connection.of.leave(self.connection.id);
    }
}

impl AsyncRead for TrackedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.connection.received();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TrackedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note_write(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.note_write(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A body that notes when it ends: the request's when all of it has come, the response's when all of it was given out.
pub struct TrackedBody<B> {
    body: B,
    connection: Arc<Connection>,
    /// The phase that follows.
    next: Phase,
}

impl<B> TrackedBody<B> {
    /// The body of a request.
    pub const fn request(body: B, connection: Arc<Connection>) -> Self {
        Self { body, connection, next: Phase::Responding }
    }

    /// The body of a response.
    pub const fn response(body: B, connection: Arc<Connection>) -> Self {
        Self { body, connection, next: Phase::Idle }
    }

    fn end(&self) {
        self.connection.body_ended(self.next);
    }
}

impl<B> Drop for TrackedBody<B> {
    fn drop(&mut self) {
        self.end();
    }
}

impl<B: Body + Unpin> Body for TrackedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if self.body.is_end_stream() || frame.is_none() {
            self.end();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
