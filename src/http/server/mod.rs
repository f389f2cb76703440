//! The server of a listener: accepts connections, bounds what each may take, and lets them end.
//!
//! A connection has its time for the head of a request, for the body, for the reading of the response, and between two
//! requests; [`ConnectionLimits`] has the figures. A WebSocket is exempt from them: it has its own. When all places are
//! taken, a new connection gets that of the one that has been without a request for the longest time.

mod connection;
mod limits;

use std::future::{Future, Pending, pending};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, Timeout, timeout_at};

pub use limits::ConnectionLimits;

use crate::domain::Clock;
use crate::telemetry::{Throttle, metric};
use connection::{CloseCause, Connection, Connections, TrackedBody, TrackedStream};

/// The pause after a failed accept, such as one for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A listener with its limits.
pub struct Server {
    pub listener: TcpListener,
    pub limits: ConnectionLimits,
    pub clock: Clock,
}

impl Server {
    /// Serves `router` until `stop`, then lets the open requests end. Dropping the future cuts them off.
    pub async fn serve(self, router: Router, stop: impl Future<Output = ()>) {
        let Self { listener, limits, clock } = self;
        let connections = Connections::new(limits.connections_max);
        let throttle = Throttle::default();
        let (stop_sender, stopping) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let mut stop = pin!(stop);
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(error) => {
                        refused(&error, &connections, &throttle, &clock).await;
                        continue;
                    }
                },
                () = &mut stop => break,
            };
            let (connection, was_full) = tokio::select! {
                admitted = connections.admit() => admitted,
                () = &mut stop => break,
            };
            if was_full && let Some(more) = throttle.admit("full", clock.now()) {
                let connections_max = limits.connections_max;
                tracing::warn!(connections_max, more, "all connections are taken: idle ones are closed for new ones");
            }
            let serving = serve_connection(stream, connection.clone(), router.clone(), limits, stopping.clone());
            connection.served_by(tasks.spawn(serving));
            while tasks.try_join_next().is_some() {}
        }
        drop(listener);
        // The receivers are the connections; without one there is nobody to tell.
        let _ = stop_sender.send(true);
        while tasks.join_next().await.is_some() {}
    }
}

/// Deals with a failed accept. The connection stays in the system's queue where descriptors are wanting.
async fn refused(error: &io::Error, connections: &Connections, throttle: &Throttle, clock: &Clock) {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
        return;
    }
    metrics::counter!(metric::ACCEPT_ERRORS_TOTAL).increment(1);
    if let Some(more) = throttle.admit("accept", clock.now()) {
        tracing::warn!(%error, more, "connections cannot be accepted: raise the limit of open files (ulimit -n)");
    }
    connections.evict();
    clock.sleep(ACCEPT_PAUSE).await;
}

/// Serves a connection until it ends, or until its time is over.
async fn serve_connection(
    stream: TcpStream,
    connection: Arc<Connection>,
    router: Router,
    limits: ConnectionLimits,
    mut stopping: watch::Receiver<bool>,
) {
    // A live voice sends a small frame every 20 ms: waiting to fill a segment would delay it.
    let _ = stream.set_nodelay(true);
    let io = TokioIo::new(TrackedStream::new(stream, connection.clone()));
    let service = Tracked { router: TowerToHyperService::new(router), connection: connection.clone() };
    let mut builder = http1::Builder::new();
    builder.max_header_size(limits.header_max_bytes).header_read_timeout(None::<Duration>);
    let mut serving = pin!(builder.serve_connection(io, service).with_upgrades());
    let mut watch = Watch::new(connection.clone(), limits);
    let mut is_stopping = false;
    loop {
        tokio::select! {
            biased;
            ended = serving.as_mut() => {
                if let Err(error) = ended {
                    tracing::trace!(%error, "a connection has failed");
                }
                return connection.upgraded();
            }
            // An error: the server is gone, and this task is ended with it.
            _ = stopping.wait_for(|stopping| *stopping), if !is_stopping => {
                is_stopping = true;
                serving.as_mut().graceful_shutdown();
            }
            cause = &mut watch => {
                cause.count();
                tracing::debug!(cause = cause.into_str(), "a connection was closed");
                return;
            }
        }
    }
}

/// Waits until the connection's time is over.
struct Watch {
    connection: Arc<Connection>,
    limits: ConnectionLimits,
    rings_at: Instant,
    timer: Pin<Box<Timeout<Pending<()>>>>,
}

impl Watch {
    fn new(connection: Arc<Connection>, limits: ConnectionLimits) -> Self {
        let rings_at = Instant::now() + limits.header_within;
        Self { connection, limits, rings_at, timer: Box::pin(timeout_at(rings_at, pending())) }
    }
}

impl Future for Watch {
    type Output = CloseCause;

    /// Looks at the connection's deadline anew each time, because each step of the connection may change it.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseCause> {
        loop {
            let Some((at, cause)) = self.connection.deadline(&self.limits) else { return Poll::Pending };
            // A timer that rings too early is set anew when it rings, so that most requests set none.
            if at < self.rings_at || self.rings_at <= Instant::now() {
                self.rings_at = at;
                self.timer.set(timeout_at(at, pending()));
            }
            // It rings: nothing else ends it.
            let _ = ready!(self.timer.as_mut().poll(cx));
            if at <= Instant::now() {
                return Poll::Ready(cause);
            }
        }
    }
}

/// The routes, with the progress of their connection noted.
struct Tracked {
    router: TowerToHyperService<Router>,
    connection: Arc<Connection>,
}

impl Service<Request<Incoming>> for Tracked {
    type Response = Response<TrackedBody<Body>>;
    type Error = Evicted;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Evicted>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let connection = self.connection.clone();
        let has_body = !request.body().is_end_stream();
        if !connection.begin_request(has_body) {
            return Box::pin(async { Err(Evicted) });
        }
        let request = request.map(|body| match has_body {
            true => Body::new(TrackedBody::request(body, connection.clone())),
            false => Body::new(body),
        });
        let answering = self.router.call(request);
        Box::pin(async move {
            let response = answering.await.unwrap_or_else(|never| match never {});
            Ok(response.map(|body| TrackedBody::response(body, connection)))
        })
    }
}

/// A request has met a connection that was being closed to make room. It was not begun.
#[derive(Debug, thiserror::Error)]
#[error("the connection is being closed to make room for another")]
struct Evicted;
