//! Error 20003: the provider refuses an account's credentials. The account waits and says why; nothing is lost.

use std::time::Duration;

use recado::domain::{Clock, Timestamp};
use recado::emulators::twilio::{Fault, FaultKind};
use recado::store::Listed;
use recado::store::rows::action;
use serde_json::Value;

use super::inside::{Inside, PUBLIC_URL, encode, posted};
use super::rig::{self, A, ACCOUNT, B, ECHO, Look, OURS, Own, Provider, TOKEN, customer, recado};
use crate::cli;
use crate::support::http_client;
use crate::support::ports::free_port;
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::{Twilio, message_sid, sign};

const TEXTS: usize = 20;
/// A wrong token of account A: mistyped, or changed at the provider.
const WRONG: &str = "wr0ngwr0ngwr0ngwr0ngwr0ngwr0ngwr";
const WITHIN: Duration = Duration::from_secs(60);

fn set_token(server: &Server, token: &str) {
    let args = ["tenant", "set", A.slug, "--account-sid", A.account, "--no-check"];
    cli::run(recado(server, &args).env("RECADO_TENANT_AUTH_TOKEN", token)).ok();
}

/// The tenant's outbound messages, as the command shows them.
fn shown(server: &Server, own: &Own) -> Vec<Value> {
    let messages =
        cli::run(&mut recado(server, &["messages", "--tenant", own.slug, "--limit", "100", "--json"])).json();
    messages.as_array().expect("a list").iter().filter(|message| message["direction"] == "out").cloned().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_with_a_wrong_token_waits_and_goes_on_with_the_right_one() {
    let metrics = format!("127.0.0.1:{}", free_port());
    let (provider, mut server) = rig::two_tenants(|url| rig::options(url).env("METRICS_LISTEN", &metrics)).await;
    set_token(&server, WRONG);
    server.start_again().await;
    let a = Own { token: WRONG, ..A }.twilio(&server.url());
    for number in 0..TEXTS {
        assert_eq!(A.post(&a, number as u128, &customer(number), "hola").await, Some(200), "taken in all the same");
    }
    // The send that was tried carries the refusal. All wait.
    let refused = eventually(WITHIN, || async {
        let shown = shown(&server, &A);
        let all_wait = shown.len() == TEXTS && shown.iter().all(|message| message["status"] == "planned");
        let refused = shown.iter().find(|message| message["error_code"] == 20_003).cloned();
        refused.filter(|_| all_wait).ok_or(shown)
    })
    .await;
    assert!(refused["reason"].as_str().is_some_and(|why| why.contains("auth token")), "{refused}");
    let why = cli::run(&mut recado(&server, &["explain", "--tenant", A.slug, refused["id"].as_str().expect("an id")]));
    let why = why.ok();
    assert!(
        ["HTTP 401", "20003", "check the account's SID and auth token"].iter().all(|say| why.contains(say)),
        "{why}"
    );
    let log = server.log();
    let paused = log.lines().find(|line| line.contains("this account's sends pause")).expect("it is said aloud");
    assert!([A.account, "refuses the credentials"].iter().all(|say| paused.contains(say)), "{paused}");
    let page = http_client().get(format!("http://{metrics}/metrics")).send().await.expect("it answers");
    let page = page.text().await.expect("it is text");
    assert!(page.contains("recado_sends_total{outcome=\"retry\"}") && !page.contains("outcome=\"sent\""), "{page}");
    assert_eq!(provider.carrier.taken(), 0);

    // Another account's messages go on.
    let b = B.twilio(&server.url());
    assert_eq!(B.post(&b, 1_000, &customer(1_000), "hola").await, Some(200));
    rig::taken_to(&provider, &customer(1_000), 1).await;

    set_token(&server, A.token);
    provider.wait_taken(TEXTS as u64 + 1).await;
    let look = Look::into(server.folder()).await;
    eventually(WITHIN, || look.open()).await;
    for number in 0..TEXTS {
        assert_eq!(provider.carrier.count_to(&customer(number)), 1, "text {number}: sent, and once");
    }
}

/// The credentials are put right at the provider, which does not tell us.
#[tokio::test(flavor = "multi_thread")]
async fn refused_credentials_are_tried_again_after_five_minutes() {
    let clock = Clock::simulated(Timestamp::parse("2026-11-21T08:00:00Z").expect("it is a time"));
    let provider = Provider::start(20_003).await;
    provider.order(Fault::always(FaultKind::Unauthorized));
    let inside = Inside::at(&provider.url, clock.clone(), ECHO).await;
    let _loops = recado::app::start_loops(&inside.engine);
    let path = "/api/twilio/demo/sms";
    for number in 0..TEXTS {
        let from = customer(number);
        let form = Twilio::new(PUBLIC_URL, ACCOUNT, TOKEN).inbound(&message_sid(number as u128), &from, OURS, "hola");
        let signature = sign(TOKEN, &format!("{PUBLIC_URL}{path}"), &form);
        assert_eq!(inside.answer(posted(path, encode(&form), Some(&signature))).await.0, 200);
    }
    let demo = inside.installation.directory.now().by_slug("demo").expect("it is made").id;
    let sends = async || {
        // Idle loops wait for this clock.
        clock.advance(Duration::from_millis(20));
        let listed = inside.installation.store.messages(demo, None, 1_000).await.expect("they can be listed");
        let sends = listed.into_iter().filter_map(|one| match one {
            Listed::Send(send) => Some(send),
            Listed::Message(_) => None,
        });
        sends.collect::<Vec<action::Model>>()
    };
    let tries = |sends: &[action::Model]| sends.iter().map(|send| send.tries).sum::<i32>();
    let circuits = &inside.circuits;
    let refused = eventually(WITHIN, || async {
        let sends = sends().await;
        let all_wait = sends.len() == TEXTS && sends.iter().all(|send| send.state == "planned");
        if all_wait && circuits.paused() == 1 { Ok(sends) } else { Err(sends) }
    })
    .await;
    provider.carrier.clear_faults();
    clock.advance(Duration::from_secs(280));
    inside.pipeline.sweep_once().await.expect("the database is there");
    assert_eq!(circuits.allows(ACCOUNT, clock.now()), 0, "it is not tried all the time");
    assert_eq!((tries(&sends().await), provider.carrier.taken()), (tries(&refused), 0));

    clock.advance(Duration::from_secs(21));
    eventually(WITHIN, || async {
        let open = sends().await;
        if open.is_empty() { Ok(()) } else { Err(open) }
    })
    .await;
    assert_eq!(circuits.paused(), 0);
    for number in 0..TEXTS {
        assert_eq!(provider.carrier.count_to(&customer(number)), 1, "text {number}: sent, and once");
    }
}
