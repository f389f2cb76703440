//! Tenants that post for each other, and replayed webhooks.

use std::time::{Duration, Instant};

use recado::domain::clock::Random;
use recado::domain::{ActionId, EventId};
use recado::store::rows::action;
use reqwest::StatusCode;

use super::inside::{Inside, PUBLIC_URL, encode, posted};
use super::rig::{self, A, ACCOUNT, B, Look, OURS, Own, Provider, TOKEN, customer};
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::{Form, Twilio, message_sid, sign, with};

const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// Ids that a stranger tries on the status route.
const IDS: usize = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_webhook_is_counted_and_has_no_second_effect() {
    const REPLAYS: usize = 5;
    let provider = Provider::start(12).await;
    let mut server = Server::start(rig::options(&provider.url)).await;
    let twilio = rig::twilio(&server);
    let form = twilio.inbound(&message_sid(1), &customer(1), OURS, "hola");
    let token = |n: usize| format!("{n:08}-0000-4000-8000-000000000000");
    for n in 0..=REPLAYS {
        assert_eq!(post_with_token(&twilio, &form, &token(n)).await, StatusCode::OK, "replay {n}");
        provider.wait_taken(1).await;
        if n == 1 {
            // A restart forgets nothing of it.
            server.kill();
            server.start_again().await;
        }
    }
    let look = Look::into(server.folder()).await;
    eventually(SETTLED_WITHIN, || look.open()).await;
    assert_eq!(provider.carrier.taken(), 1);
    assert_eq!(look.count("events WHERE kind = 'inbound_sms'").await, 1);
    let messages = look.messages().await;
    let message = messages.iter().find(|message| message.direction == "in").expect("it is there");
    assert_eq!(message.repeats, REPLAYS as i32, "each replay leaves its trace");
    assert!(server.log().contains("brought a message again"));
}

/// Posts as Twilio does when it tries again: the same form, another token.
async fn post_with_token(twilio: &Twilio, form: &Form, token: &str) -> StatusCode {
    let path = "/api/twilio/demo/sms";
    let request = crate::support::http_client()
        .post(format!("{}{path}", twilio.server_url))
        .header("X-Twilio-Signature", sign(TOKEN, &format!("{}{path}", twilio.public_url), form))
        .header("I-Twilio-Idempotency-Token", token)
        .form(form);
    request.send().await.expect("it answers").status()
}

async fn two_inside() -> Inside {
    let inside = Inside::open().await;
    for own in [A, B] {
        own.store(&inside.installation.store).await;
    }
    inside.installation.directory.refresh().await.expect("the tenants can be read");
    inside
}

fn inbound(own: &Own, account: &str, to: &str, sid: u128) -> Form {
    let form = own.twilio(PUBLIC_URL).inbound(&message_sid(sid), &customer(1), to, "hola");
    with(form, "AccountSid", account)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenants_token_or_account_is_refused_in_the_same_words() {
    let inside = two_inside().await;
    let genuine = inbound(&A, A.account, A.number, 1);
    let of_b = inbound(&A, B.account, A.number, 2);
    let of_the_platform = inbound(&A, ACCOUNT, A.number, 3);
    let mut words = Vec::new();
    // The last path names no tenant. There the number decides.
    for path in [A.path(), "/api/twilio/a/whatsapp".to_owned(), "/api/whatsapp/webhook".to_owned()] {
        let url = format!("{PUBLIC_URL}{path}");
        let elsewhere = format!("https://evil.example{path}");
        let tries = [
            ("no signature", &genuine, None),
            ("an empty signature", &genuine, Some(String::new())),
            ("B's token", &genuine, Some(sign(B.token, &url, &genuine))),
            ("B's token and account", &of_b, Some(sign(B.token, &url, &of_b))),
            ("A's token, B's account", &of_b, Some(sign(A.token, &url, &of_b))),
            ("the platform's token", &genuine, Some(sign(TOKEN, &url, &genuine))),
            ("the platform's token and account", &of_the_platform, Some(sign(TOKEN, &url, &of_the_platform))),
            ("A's token for B's URL", &genuine, Some(sign(A.token, &format!("{PUBLIC_URL}{}", B.path()), &genuine))),
            ("A's token for another host", &genuine, Some(sign(A.token, &elsewhere, &genuine))),
        ];
        for (what, form, signature) in &tries {
            let (status, body) = inside.answer(posted(&path, encode(form), signature.as_deref())).await;
            assert_eq!(status, 403, "{path}, {what}: {}", String::from_utf8_lossy(&body));
            words.push(body);
        }
    }
    // B's own webhook, well signed, about a number of A's.
    let about_a = inbound(&B, B.account, A.number, 4);
    let signature = sign(B.token, &format!("{PUBLIC_URL}{}", B.path()), &about_a);
    let (status, body) = inside.answer(posted(&B.path(), encode(&about_a), Some(&signature))).await;
    assert_eq!(status, 403);
    words.push(body);
    words.dedup();
    assert_eq!(words.len(), 1, "a stranger learns nothing from how they are refused: {words:?}");

    assert_eq!(inside.installation.store.backlog(100).await.unwrap().events, 0, "none of them left anything");
    let signature = sign(A.token, &format!("{PUBLIC_URL}{}", A.path()), &genuine);
    let (status, _) = inside.answer(posted(&A.path(), encode(&genuine), Some(&signature))).await;
    assert_eq!(status, 200, "the genuine one passes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_learns_nothing_from_the_ids_of_others() {
    let (provider, mut server) = rig::two_tenants(rig::options).await;
    server.start_again().await;
    let a = A.twilio(&server.url());
    for number in 0..40 {
        assert_eq!(A.post(&a, number as u128, &customer(number), "hola").await, Some(200));
    }
    let look = Look::into(server.folder()).await;
    provider.wait_taken(40).await;
    provider.carrier.wait_callbacks().await;
    eventually(SETTLED_WITHIN, || look.open()).await;
    let actions = look.actions().await;
    let before = (look.messages().await, look.count("events").await);

    let as_b = knock(&server, &B, &B, &actions).await;
    let at_a = knock(&server, &B, &A, &actions).await;
    for (what, knocked, status) in [("at B's own URL", as_b, 200), ("at A's URL", at_a, 403)] {
        let [real, made_up] = knocked;
        assert_eq!(real.words, made_up.words, "{what}");
        assert_eq!(real.words.len(), 1, "{what}");
        assert_eq!(real.words[0].0, status, "{what}");
        eprintln!("{what}: median {:?} for ids of A's sends, {:?} for made-up ones", real.median, made_up.median);
    }
    assert_eq!((look.messages().await, look.count("events").await), before, "nothing was moved");
}

/// The responses to a stranger's callbacks.
struct Knocked {
    /// Status and body, each once.
    words: Vec<(u16, String)>,
    median: Duration,
}

/// Posts status callbacks signed by `by` to the URL of `at`, about sends of A's and about invented ones.
async fn knock(server: &Server, by: &Own, at: &Own, actions: &[action::Model]) -> [Knocked; 2] {
    let random = Random::seeded(13);
    let twilio = by.twilio(&server.url());
    let mut knocked = [(Vec::new(), Vec::new()), (Vec::new(), Vec::new())];
    for n in 0..IDS / 2 {
        let made_up = n % 2 == 1;
        let id = if made_up {
            let (high, low) = (random.next_u64(), random.next_u64());
            ActionId::of(EventId::new(uuid::Uuid::from_u64_pair(high, low)), "rule", 0)
        } else {
            ActionId::new(actions[n / 2 % actions.len()].id)
        };
        let form = twilio.status(&message_sid(n as u128), "failed", at.number, &customer(n), 30003);
        let path = format!("/api/twilio/{}/messages/{id}/status", at.slug);
        let started = Instant::now();
        let response = twilio.post(&path, &form).await.expect("it answers");
        let status = response.status().as_u16();
        let text = response.text().await.expect("it is text");
        let (words, times) = &mut knocked[usize::from(made_up)];
        times.push(started.elapsed());
        if !words.contains(&(status, text.clone())) {
            words.push((status, text));
        }
    }
    knocked.map(|(words, mut times)| {
        times.sort();
        Knocked { words, median: rig::percentile(&times, 50) }
    })
}
