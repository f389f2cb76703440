//! Observability: the log on standard error, and metrics for Prometheus.

pub mod metric;

use std::future::Future;
use std::io::IsTerminal;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::LogFormat;

/// The interval at which histograms move their samples into buckets; until then samples take memory.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// Libraries that log too much at `info`. LOG_LEVEL comes later and wins.
const QUIET: &str = "sqlx=warn,sea_orm=warn,hyper=warn,hyper_util=warn,reqwest=warn,rustls=warn";

/// The media type of the Prometheus text format, version 0.0.4.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Why log or metrics cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("LOG_LEVEL cannot be used ({0}): write a level such as info, or info,recado::rules=debug")]
    Filter(#[from] ParseError),
    #[error("the log was set up already: {0}")]
    Log(#[from] TryInitError),
    #[error("the metrics were set up already: {0}")]
    Metrics(#[from] BuildError),
}

/// Starts the log of the process. Call it once. Standard output stays free for results.
pub fn start_log(format: LogFormat, level: &str) -> Result<(), TelemetryError> {
    let log = tracing_subscriber::fmt().with_env_filter(filter(level)?).with_writer(std::io::stderr);
    match format {
        LogFormat::Readable => log.with_ansi(std::io::stderr().is_terminal()).finish().try_init()?,
        LogFormat::Json => log.json().flatten_event(true).finish().try_init()?,
    }
    Ok(())
}

fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::try_new(format!("{QUIET},{level}"))
}

/// Installs the metrics recorder of the process. Call it once, and only with [`serve_metrics`], which does the upkeep.
/// Without a recorder, counting costs almost nothing.
pub fn install_metrics() -> Result<PrometheusHandle, TelemetryError> {
    let handle = recorder()?.install_recorder()?;
    metric::describe();
    Ok(handle)
}

fn recorder() -> Result<PrometheusBuilder, BuildError> {
    let requests = Matcher::Full(metric::WRITER_BATCH_REQUESTS.to_owned());
    PrometheusBuilder::new()
        .set_buckets(metric::SECONDS_BUCKETS)?
        .set_buckets_for_metric(requests, metric::REQUESTS_BUCKETS)
}

/// Serves `GET /metrics` on `listener` and does the upkeep, until `shutdown`.
pub async fn serve_metrics(
    handle: PrometheusHandle,
    listener: TcpListener,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let upkeep = async {
        let mut every = tokio::time::interval(UPKEEP_EVERY);
        loop {
            every.tick().await;
            handle.run_upkeep();
        }
    };
    let served = axum::serve(listener, routes(handle.clone())).with_graceful_shutdown(shutdown);
    tokio::select! {
        served = served => served,
        () = upkeep => Ok(()),
    }
}

fn routes(handle: PrometheusHandle) -> Router {
    let render = move || std::future::ready(([(CONTENT_TYPE, PROMETHEUS_TEXT)], handle.render()));
    Router::new().route("/metrics", get(render))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_was_counted_is_served_until_the_shutdown() {
        let recorder = recorder().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            metric::describe();
            metrics::counter!(metric::WEBHOOKS_TOTAL, "route" => "sms", "status" => "200").increment(3);
            metrics::histogram!(metric::INGEST_SECONDS).record(0.004);
            metrics::histogram!(metric::WRITER_BATCH_REQUESTS).record(100.0);
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async { drop(stopped.await) };
        let server = tokio::spawn(serve_metrics(recorder.handle(), listener, stopped));

        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).await.unwrap();
        for expected in [
            "text/plain; version=0.0.4",
            "# HELP recado_webhooks_total ",
            "recado_webhooks_total{route=\"sms\",status=\"200\"} 3",
            "recado_ingest_seconds_bucket{le=\"0.005\"} 1",
            "recado_writer_batch_requests_bucket{le=\"64\"} 0",
            "recado_writer_batch_requests_bucket{le=\"128\"} 1",
        ] {
            assert!(page.contains(expected), "{expected}\nnot in\n{page}");
        }
        stop.send(()).unwrap();
        server.await.unwrap().unwrap();
    }

    #[test]
    fn libraries_are_quiet_unless_asked_for() {
        let quiet = filter("info").unwrap().to_string();
        assert!(quiet.contains("sqlx=warn") && quiet.ends_with("info"), "{quiet}");
        let loud = filter("info,sqlx=debug").unwrap().to_string();
        assert!(loud.contains("sqlx=debug") && !loud.contains("sqlx=warn"), "{loud}");
    }
}
