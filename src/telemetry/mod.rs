//! Observability: the log on standard error, and metrics for Prometheus.

mod log;
pub mod metric;
mod throttle;

use std::io::IsTerminal;
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

pub use throttle::Throttle;

use crate::config::LogFormat;
use log::Lines;

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
    let is_terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt()
        .with_env_filter(filter(level)?)
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal && format == LogFormat::Readable)
        .event_format(Lines(format))
        .finish()
        .try_init()?;
    Ok(())
}

fn filter(level: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::try_new(format!("{QUIET},{level}"))
}

/// Installs the metrics recorder of the process. Call it once, and only with [`keep_up`]. Without a recorder, counting
/// costs almost nothing.
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

/// Does the recorder's upkeep, until aborted.
pub async fn keep_up(handle: PrometheusHandle) {
    let mut every = tokio::time::interval(UPKEEP_EVERY);
    loop {
        every.tick().await;
        handle.run_upkeep();
    }
}

/// Returns the metrics in Prometheus's text format, with its media type.
pub fn render(handle: &PrometheusHandle) -> (&'static str, String) {
    (PROMETHEUS_TEXT, handle.render())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_is_shown_in_the_text_format() {
        let recorder = recorder().unwrap().build_recorder();
        metrics::with_local_recorder(&recorder, || {
            metric::describe();
            metrics::counter!(metric::WEBHOOKS_TOTAL, "route" => "sms", "status" => "200").increment(3);
            metrics::histogram!(metric::INGEST_SECONDS).record(0.004);
            metrics::histogram!(metric::WRITER_BATCH_REQUESTS).record(100.0);
        });
        let (media_type, page) = render(&recorder.handle());
        assert!(media_type.starts_with("text/plain; version=0.0.4"));
        for expected in [
            "# HELP recado_webhooks_total ",
            "recado_webhooks_total{route=\"sms\",status=\"200\"} 3",
            "recado_ingest_seconds_bucket{le=\"0.005\"} 1",
            "recado_writer_batch_requests_bucket{le=\"64\"} 0",
            "recado_writer_batch_requests_bucket{le=\"128\"} 1",
        ] {
            assert!(page.contains(expected), "{expected}\nnot in\n{page}");
        }
    }

    #[test]
    fn libraries_are_quiet_unless_asked_for() {
        let quiet = filter("info").unwrap().to_string();
        assert!(quiet.contains("sqlx=warn") && quiet.ends_with("info"), "{quiet}");
        let loud = filter("info,sqlx=debug").unwrap().to_string();
        assert!(loud.contains("sqlx=debug") && !loud.contains("sqlx=warn"), "{loud}");
    }
}
