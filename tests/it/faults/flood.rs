//! More webhooks than the server can handle at once: none is lost, none is doubled.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};

use super::rig::{self, Look, OURS, Provider, customer};
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::message_sid;

/// `FLOOD_WEBHOOKS` sets another number.
const WEBHOOKS: usize = 20_000;
const CUSTOMERS: usize = 4_000;
/// Connections that post.
const AT_ONCE: usize = 128;
const MEMORY_MAX_KB: u64 = 512 * 1024;
const DRAINED_WITHIN: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread")]
async fn of_many_webhooks_none_is_lost_and_none_doubled() {
    let webhooks = std::env::var("FLOOD_WEBHOOKS").ok().and_then(|number| number.parse().ok()).unwrap_or(WEBHOOKS);
    let provider = Provider::start(24).await;
    let mut server = Server::start(rig::options(&provider.url).env("LOG_LEVEL", "warn")).await;
    let twilio = rig::twilio(&server);
    let started = Instant::now();
    let posts = (0..webhooks).map(|number| {
        let form =
            twilio.inbound(&message_sid(number as u128), &customer(number % CUSTOMERS), OURS, &format!("t{number}."));
        let twilio = &twilio;
        async move {
            let posted = Instant::now();
            let mut tries = 1;
            // A webhook that is refused for the moment is posted again, as the provider does.
            while rig::post(twilio, &form).await != Some(200) {
                tries += 1;
                assert!(tries < 100, "text {number} is never accepted");
            }
            (posted.elapsed(), tries)
        }
    });
    let answers: Vec<(Duration, usize)> = stream::iter(posts).buffer_unordered(AT_ONCE).collect().await;
    let accepted = started.elapsed();
    let look = Look::into(server.folder()).await;
    eventually(DRAINED_WITHIN, || look.open()).await;
    let drained = started.elapsed();
    let memory_kb = server.memory_kb("VmHWM");
    server.kill();
    let mut times: Vec<Duration> = answers.iter().map(|(time, _)| *time).collect();
    times.sort();
    let again: usize = answers.iter().map(|(_, tries)| tries - 1).sum();
    eprintln!(
        "figures: {webhooks} webhooks accepted in {accepted:?} (p99 {:?}, {again} posted again), drained after {drained:?}, {memory_kb:?} kB at most",
        rig::percentile(&times, 99)
    );
    assert!(memory_kb.is_none_or(|memory| memory < MEMORY_MAX_KB), "{memory_kb:?}");
    assert_eq!(look.count("events WHERE kind = 'inbound_sms' AND handled_us IS NOT NULL").await, webhooks as i64);
    assert_eq!(look.count("messages WHERE direction = 'in'").await, webhooks as i64);
    let sent = provider.sent();
    let different: HashSet<&str> = sent.iter().map(|message| message.body.as_str()).collect();
    assert_eq!((sent.len(), different.len()), (webhooks, webhooks));
}
