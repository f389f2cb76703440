//! Events from the API beside webhooks, in one run: both go the same way, so both reach the provider in a like time.

use std::sync::Arc;
use std::time::Duration;

use recado::domain::clock::Random;
use serde_json::json;

use crate::client::{Pace, send};
use crate::ledger::{Ledger, Spread};
use crate::phases::{ANSWER, WORD, drain, spread};
use crate::provider::Provider;
use crate::server::{Program, Server};
use crate::webhook::{Requests, Signer, message};
use crate::{CLOCK, Failure, Options};

/// Answers a text, and an event that names a number.
const RULES: &str = r#"rule("load").on("inbound_sms").keyword("LOAD").then(|e| reply("got it"));
rule("event").on("load").then(|e| send_sms(e.data.to, "got it"));
"#;
/// Requests a second while nothing else is to do: each goes its whole way before the next.
const CALM_PER_S: f64 = 100.0;
const CALM_MAX: usize = 2_000;
/// The median of the events is at most this many times that of the webhooks.
const FACTOR_MAX: f64 = 3.0;
const LINGER: Duration = Duration::from_millis(500);

/// Measures webhooks and events in turn, first calmly, then as fast as they are answered. False if an event takes too
/// long, is lost or doubled.
pub async fn run(options: &Options) -> Result<bool, Failure> {
    let settings = vec![("QUIET_HOURS", "off".to_owned())];
    let database_url = options.database_url.clone();
    let program = Program { path: options.server.clone(), args: &["serve"], database_url, rules: RULES, settings };
    let (calm, fast) = (options.n.min(CALM_MAX) / 2 * 2, options.n / 2 * 2);
    let random = Random::seeded(options.seed);
    let mut good = true;
    for (title, first, n, connections, pace) in [
        ("calm", 0, calm, 16, Pace::Open { per_s: CALM_PER_S }),
        ("under load", calm, fast, options.connections, Pace::Closed),
    ] {
        let ledger = Arc::new(Ledger::new(first, n));
        let provider = Provider::start(Arc::clone(&ledger), Duration::ZERO)?;
        let server = Server::start(&program, provider.address).await?;
        let token = server.token(&program)?;
        let requests = in_turn(&server, &token, options, &random, first, n);
        send(server.address, requests, Arc::clone(&ledger), connections, pace).await?;
        drain(&ledger).await;
        CLOCK.sleep(LINGER).await;
        good &= print(title, &ledger);
    }
    Ok(good)
}

/// Builds webhooks and events in turn, each with its own number.
fn in_turn(server: &Server, token: &str, options: &Options, random: &Random, first: usize, n: usize) -> Requests {
    let app_url = format!("http://{}", server.address);
    let signer = Signer::new(crate::webhook::AUTH_TOKEN);
    let request = |number: usize| {
        let to = Ledger::sender(number);
        if number.is_multiple_of(2) {
            return message(&signer, &app_url, &options.path, random, &to, &format!("{WORD} {number}"));
        }
        let body = json!({"kind": "load", "data": {"to": to, "answer": ANSWER}}).to_string();
        format!(
            "POST /api/v1/events HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            server.address,
            body.len()
        )
    };
    Requests::of((first..first + n).map(request))
}

fn print(title: &str, ledger: &Ledger) -> bool {
    let summary = ledger.summary();
    let [webhooks, events]: [Spread; 2] = [0, 1].map(|odd| ledger.whole_way(|index| index % 2 == odd));
    let factor = events.p50.as_secs_f64() / webhooks.p50.as_secs_f64().max(f64::MIN_POSITIVE);
    println!("\n== {title}: webhooks and events of the API in turn ==");
    println!("at the provider   {:>9.0} /s", summary.delivered_per_s);
    println!("webhooks          {}", spread(webhooks));
    println!("events            {}", spread(events));
    println!(
        "                  the median of the events is {factor:.2} times that of the webhooks ({FACTOR_MAX} at most)"
    );
    println!("lost, doubled     {}, {}", summary.lost, summary.doubled);
    if summary.refused > 0 {
        println!("WARNING           {} were refused, the last with status {}", summary.refused, summary.refusal);
    }
    let all = summary.lost + summary.doubled + summary.strange + summary.refused == 0 && summary.delivered > 0;
    all && factor <= FACTOR_MAX
}
