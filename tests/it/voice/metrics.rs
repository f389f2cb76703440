//! Metrics of calls and their webhooks, as Prometheus reads them.

use std::time::Duration;

use super::caller::{Caller, options};
use super::stream::Stream;
use super::{model, stream};
use crate::support::http_client;
use crate::support::ports::free_port;
use crate::support::server::{Server, ServerOptions};
use crate::support::wait::eventually;
use crate::voice::turns::rusqlite_lock;

const WITHIN: Duration = Duration::from_secs(20);
const DESK: &str = r#"rule("desk").on("call_received").then(|e| { say("Hello"); hangup() });"#;

/// A server's metrics, as Prometheus reads them.
pub(super) struct Metrics(pub String);

impl Metrics {
    pub async fn read(port: u16) -> Self {
        let answer = http_client().get(format!("http://127.0.0.1:{port}/metrics")).send().await.expect("it answers");
        assert_eq!(answer.status().as_u16(), 200);
        Self(answer.text().await.expect("a text"))
    }

    /// A series by its name and labels; zero if it was never counted.
    pub fn value(&self, series: &str) -> f64 {
        let value = self.0.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }
}

/// The options with metrics on, and their port.
fn measured(options: ServerOptions) -> (u16, ServerOptions) {
    let port = free_port();
    (port, options.env("METRICS_LISTEN", format!("127.0.0.1:{port}")))
}

#[tokio::test]
async fn calls_refused_webhooks_and_latencies_are_measured() {
    let (port, options) = measured(options(DESK));
    let server = Server::start(options).await;
    let before = Metrics::read(port).await;
    assert_eq!(before.value("recado_call_answer_seconds_count"), 0.0);

    // Two calls are answered, one of them ends, which is reported three times; one is missed.
    for call in 1..=2 {
        Caller::new(&server, call).posts("/api/twilio/demo/answer", &[]).await.says("Hello");
    }
    for status in ["completed", "completed", "ringing", "completed"] {
        Caller::new(&server, 1).posts("/api/twilio/demo/status", &[("CallStatus", status)]).await;
    }
    Caller::new(&server, 3).posts("/api/twilio/demo/status", &[("CallStatus", "no-answer")]).await;
    // One is forged.
    let ana = Caller::new(&server, 4);
    let forged = ana.twilio.post_with_signature("/api/twilio/demo/answer", &ana.form(&[]), "forged").await;
    assert_eq!(forged.expect("it answers").status().as_u16(), 403);
    let after = Metrics::read(port).await;
    for (series, value) in [
        ("recado_webhooks_total{route=\"answer\",status=\"200\"}", 2.0),
        ("recado_webhooks_total{route=\"answer\",status=\"403\"}", 1.0),
        ("recado_webhooks_total{route=\"call_status\",status=\"200\"}", 5.0),
        ("recado_call_turns_total{how=\"rules\"}", 2.0),
        ("recado_calls_ended_total{status=\"completed\"}", 1.0),
        ("recado_calls_ended_total{status=\"no-answer\"}", 1.0),
        ("recado_call_answer_seconds_count", 2.0),
        ("recado_call_answer_seconds_bucket{le=\"5\"}", 2.0),
        ("recado_call_answer_seconds_bucket{le=\"+Inf\"}", 2.0),
        ("recado_call_fallbacks_total", 0.0),
    ] {
        assert_eq!(after.value(series), value, "{series} in\n{}", after.0);
    }
    assert!(after.value("recado_call_answer_seconds_sum") > 0.0);

    // One fails: the database is locked, and the fallback and the caller's wait are counted.
    let lock = rusqlite_lock(&server);
    Caller::new(&server, 5).posts("/api/twilio/demo/answer", &[]).await.says("We are sorry");
    drop(lock);
    let failed = Metrics::read(port).await;
    assert_eq!(failed.value("recado_call_fallbacks_total"), 1.0, "{}", failed.0);
    assert_eq!(failed.value("recado_call_answer_seconds_count"), 3.0);
    let waited = failed.value("recado_call_answer_seconds_sum") - after.value("recado_call_answer_seconds_sum");
    assert!(waited > Duration::from_secs(1).as_secs_f64(), "the caller waited {waited} s");
    for metric in ["recado_call_answer_seconds", "recado_calls_ended_total", "recado_call_turns_total"] {
        assert!(failed.0.contains(&format!("# HELP {metric} ")), "{metric} has no help");
    }
}

#[tokio::test]
async fn model_latency_and_open_streams_are_measured() {
    let (port, options_of_model) = measured(options(""));
    let scene = model::Scene::with(options_of_model).await;
    let ana = Caller::new(&scene.server, 1);
    ana.posts("/api/twilio/demo/answer", &[]).await;
    let twiml = ana.posts("/api/twilio/demo/gather?turn=1", &[("SpeechResult", "Hello")]).await;
    scene.follow_hold_responses(&ana, twiml).await.says("You said: Hello");
    let metrics = Metrics::read(port).await;
    assert_eq!(metrics.value("recado_model_seconds_count"), 1.0, "{}", metrics.0);
    assert_eq!(metrics.value("recado_call_turns_total{how=\"model\"}"), 1.0);
    assert_eq!(metrics.value("recado_call_turns_total{how=\"greeting\"}"), 1.0);

    let (port, options_of_stream) = measured(options(""));
    let scene = stream::Scene::with(options_of_stream).await;
    let ana = Caller::new(&scene.server, 1);
    let twiml = ana.posts("/api/twilio/voice", &[]).await;
    let mut open = Stream::open(&twiml, &ana.sid).await;
    scene.conversation().await.receive().await.expect("it is told how to begin");
    let reads = |count: f64| async move {
        let open = Metrics::read(port).await.value("recado_streams_open");
        if open == count { Ok(()) } else { Err(open) }
    };
    eventually(WITHIN, || reads(1.0)).await;
    ana.posts("/api/twilio/status", &[("CallStatus", "completed")]).await;
    assert!(open.closed().await);
    eventually(WITHIN, || reads(0.0)).await;
}
