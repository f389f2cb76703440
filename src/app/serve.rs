//! The server: start, serve until told to stop, drain.

use std::collections::HashSet;
use std::fs::File;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};

use super::announce::announce;
use super::composition::{self, start_loops, start_voice_loops};
use super::demo;
use super::error::AppError;
use super::housekeeping;
use super::installation::Installation;
use crate::config::{self, Config, private};
use crate::domain::Clock;
use crate::http::AppState;
use crate::http::router::{operators, router};
use crate::http::server::{ConnectionLimits, Server};
use crate::store::{self, StoreError};
use crate::telemetry;

/// How long a stop waits for open requests: a little longer than a webhook may take. Sockets that have sent half a
/// request, or nothing, are then closed.
const STOP_REQUESTS_WITHIN: Duration = Duration::from_secs(9);
/// How long a stop waits until the transcripts of live conversations are stored.
const STOP_STREAMS_WITHIN: Duration = Duration::from_secs(5);
/// How long a stop waits for sends in flight: a little longer than the provider's deadline.
const STOP_SENDS_WITHIN: Duration = Duration::from_secs(20);

/// Serves until `stop`, then lets open requests and sends end.
pub async fn serve(dir: &Path, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), AppError> {
    let config = Config::load(dir, config::environment())?;
    telemetry::start_log(config.log_format, &config.log_level)?;
    config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let _lock = lock_database(&config)?;
    require_rules(&config)?;
    // The recorder comes first, so that no count is missing from the figures.
    let metrics =
        config.metrics_listen.map(|address| Ok::<_, AppError>((address, telemetry::install_metrics()?))).transpose()?;
    let installation = Installation::with(config, Clock::system(), dir).await?;
    let config = &installation.config;
    let listener = listen("LISTEN", config.listen).await?;
    let api_base = if installation.built_in_carrier {
        demo::start_carrier(&installation).await?
    } else {
        config.twilio.api_base.clone()
    };
    let engine = composition::engine(&installation, &api_base)?;
    release_orphans(&installation).await?;
    if let Some(restored) = installation.store.load_restored().await? {
        tracing::info!(copied_at = %restored.copied_at, restored_at = %restored.restored_at,
            "the database was restored: what may have left since its copy is looked for at the provider before it is sent");
    }
    let mut loops = start_loops(&engine);
    let (stopping, stopped) = watch::channel(false);
    let metrics = match metrics {
        Some((address, handle)) => Some((listen("METRICS_LISTEN", address).await?, handle)),
        None => None,
    };
    announce(&installation, &engine, &api_base);
    let voice = composition::voice(&installation, &engine)?;
    start_voice_loops(&mut loops, &voice);
    let state = AppState::new(&engine, voice.clone(), config.app_debug);
    if let Some((listener, handle)) = metrics {
        loops.spawn(telemetry::keep_up(handle.clone()));
        let server = server(listener, &installation.clock);
        let mut stopped = stopped.clone();
        let router = operators(state.clone(), handle);
        tokio::spawn(server.serve(router, async move { drop(stopped.wait_for(|stopped| *stopped).await) }));
    }
    let rejection_counts =
        tokio::spawn(housekeeping::store_rejection_counts(state.rejection_counts.clone(), engine.clone(), stopped));
    let begin_stop = || {
        engine.pipeline.stop_claiming();
        voice.live.end_all();
    };
    serve_until(server(listener, &installation.clock), router(state), stop, begin_stop).await;
    if tokio::time::timeout(STOP_STREAMS_WITHIN, voice.live.wait_all_stored()).await.is_err() {
        tracing::warn!("what was said in live conversations that were just broken off is lost");
    }
    if !engine.pipeline.drained(STOP_SENDS_WITHIN).await {
        tracing::warn!("sends are still under way: they are looked for at the provider after the next start");
    }
    loops.shutdown().await;
    let _ = stopping.send(true);
    // The task fails only if it panicked, which was logged.
    let _ = rejection_counts.await;
    Ok(())
}

/// Refuses to start without the folder of rules, unless it is configured so: a mistyped path would answer nobody.
fn require_rules(config: &Config) -> Result<(), AppError> {
    match config.rules_folder() {
        Some(folder) if !folder.is_dir() => Err(AppError::NoRules(folder.to_owned())),
        _ => Ok(()),
    }
}

/// Marks sends that a former process left in flight as unknown. On SQLite the lock proves that this process is alone.
async fn release_orphans(installation: &Installation) -> Result<(), StoreError> {
    if installation.store.is_sqlite() {
        let now = installation.clock.now();
        let look_at = now.plus(installation.config.reconcile_after);
        installation.store.orphans_to_unknown(now, look_at, &HashSet::new()).await?;
    }
    Ok(())
}

fn server(listener: TcpListener, clock: &Clock) -> Server {
    Server { listener, limits: ConnectionLimits::of_process(), clock: clock.clone() }
}

/// Serves until `stop`, then calls `begin_stop` and lets open requests end.
async fn serve_until(
    server: Server,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
    begin_stop: impl FnOnce(),
) {
    let (stop_sender, stopping) = oneshot::channel();
    let stop = async move {
        stop.await;
        // The receiver is alive until the server has ended.
        let _ = stop_sender.send(());
    };
    let mut serving = pin!(server.serve(router, stop));
    tokio::select! {
        // Without a connection the server ends at once.
        () = &mut serving => return begin_stop(),
        _ = stopping => {}
    }
    tracing::info!("stopping: requests and sends under way are let end");
    begin_stop();
    if tokio::time::timeout(STOP_REQUESTS_WITHIN, serving).await.is_err() {
        tracing::warn!("connections with half a request are cut off");
    }
}

/// Locks the SQLite file, on which one server works at a time. The lock is held until the process ends, however it ends.
pub fn lock_database(config: &Config) -> Result<Option<File>, AppError> {
    let Some(path) = store::sqlite_path(config.database_url.expose_secret()) else { return Ok(None) };
    let path = path.with_extension("lock");
    let made = path.parent().map_or(Ok(()), private::create_folder);
    let made = made.and_then(|()| private::options().write(true).create(true).truncate(true).open(&path));
    let file = made.map_err(|cause| AppError::Lock { path: path.clone(), cause })?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(AppError::AlreadyServing(path)),
        Err(std::fs::TryLockError::Error(cause)) => Err(AppError::Lock { path, cause }),
    }
}

/// Binds `address`, the value of the setting `key`.
pub(super) async fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, AppError> {
    TcpListener::bind(address).await.map_err(|cause| AppError::Listen { key, address, cause })
}
