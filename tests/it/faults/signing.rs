//! Accepted signatures: over which base URL, with which of an account's tokens.

use std::time::Duration;

use super::rig::{self, A, ACCOUNT, OURS, Provider, TOKEN, customer, recado};
use crate::cli;
use crate::support::http_client;
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::{Twilio, message_sid, sign};

/// The base URL of the demo tenant's proxy, which passes webhooks on without the path before `/api`.
const HOOKS: &str = "https://hooks.example/recado";
const DEMOS_OWN: &str = "+34911111155";
const DEMO: &str = "/api/twilio/demo/sms";
const OLD: &str = "01d01d01d01d01d01d01d01d01d01d01";
const NEW: &str = "ne3ne3ne3ne3ne3ne3ne3ne3ne3ne3ne";
const NOBODYS: &str = "n0b0dy5n0b0dy5n0b0dy5n0b0dy5n0b0";
/// A server looks for changed tenants every second.
const FOLLOWS_WITHIN: Duration = Duration::from_secs(20);

/// Posts a text of `twilio` to `path`. Gives the status of the answer.
async fn text(twilio: &Twilio, path: &str, to: &str) -> u16 {
    let form = twilio.inbound(&message_sid(1), &customer(1), to, "hola");
    twilio.post(path, &form).await.expect("it answers").status().as_u16()
}

/// Waits until such a text is answered so.
async fn followed(twilio: &Twilio, path: &str, to: &str, expect: u16) {
    eventually(FOLLOWS_WITHIN, || async move {
        let status = text(twilio, path, to).await;
        if status == expect { Ok(()) } else { Err(status) }
    })
    .await;
}

/// The same account and server, called under another base.
fn signing_for(base: &str, twilio: &Twilio) -> Twilio {
    let mut twilio = twilio.clone();
    twilio.public_url = base.to_owned();
    twilio
}

#[tokio::test(flavor = "multi_thread")]
async fn a_senders_own_base_url_is_signed_for_as_well_as_ours() {
    let provider = Provider::start(1).await;
    let server = Server::start(rig::options(&provider.url)).await;
    let set = |args: &[&str]| cli::run(&mut recado(&server, &[&["tenant"], args].concat())).ok();
    let ours = rig::twilio(&server);
    let hooks = signing_for(HOOKS, &ours);
    assert_eq!(text(&hooks, DEMO, OURS).await, 403, "it is nobody's base yet");
    set(&["add", "other"]);
    set(&["set", "demo", "--sms", DEMOS_OWN, "--base-url", HOOKS]);
    followed(&hooks, DEMO, DEMOS_OWN, 200).await;
    assert_eq!(text(&hooks, DEMO, OURS).await, 200, "whichever of its numbers was written to");
    assert_eq!(text(&ours, DEMO, DEMOS_OWN).await, 200, "under APP_URL, where status callbacks always come");
    let status = ours.status(&message_sid(2), "sent", DEMOS_OWN, &customer(1), 0);
    let about = format!("/api/twilio/demo/messages/{}/status", uuid::Uuid::from_u128(1));
    assert_eq!(ours.post(&about, &status).await.expect("it answers").status(), 200);

    let others = "/api/twilio/other/sms";
    followed(&ours, others, OURS, 200).await;
    assert_eq!(text(&hooks, others, OURS).await, 403, "another tenant's base is none of theirs");
    let beside = signing_for("https://hooks.example", &ours);
    assert_eq!(text(&beside, DEMO, DEMOS_OWN).await, 403, "the base is to be right to the letter");

    set(&["set", "demo", "--remove-sender", DEMOS_OWN]);
    followed(&hooks, DEMO, OURS, 403).await;
}

/// A client that could set our host could have a signature over any URL accepted.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_says_of_its_host_is_not_believed() {
    let provider = Provider::start(1).await;
    let server = Server::start(rig::options(&provider.url)).await;
    let twilio = rig::twilio(&server);
    let form = twilio.inbound(&message_sid(1), &customer(1), OURS, "hola");
    let post = async |signed_for: &str| {
        let request = http_client()
            .post(format!("{}{DEMO}", server.url()))
            .header("Host", "evil.example")
            .header("Forwarded", "host=evil.example;proto=https")
            .header("X-Forwarded-Host", "evil.example")
            .header("X-Forwarded-Proto", "https")
            .header("X-Twilio-Signature", sign(TOKEN, &format!("{signed_for}{DEMO}"), &form));
        request.form(&form).send().await.expect("it answers").status().as_u16()
    };
    assert_eq!(post("https://evil.example").await, 403);
    assert_eq!(post("http://evil.example").await, 403);
    assert_eq!(post(&server.url()).await, 200, "a proxy may call us what it likes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_old_token_is_taken_until_the_change_is_over() {
    let (_provider, mut server) = rig::two_tenants(rig::options).await;
    let set = |server: &Server, token: &str, more: &[&str]| {
        let args = [&["tenant", "set", A.slug, "--account-sid", A.account, "--no-check"], more].concat();
        cli::run(recado(server, &args).env("RECADO_TENANT_AUTH_TOKEN", token)).ok()
    };
    set(&server, OLD, &[]);
    server.start_again().await;
    let of = |token: &str| Twilio::new(&server.url(), A.account, token);
    let [old, new, nobodys] = [OLD, NEW, NOBODYS].map(of);
    let answers = async || {
        let path = A.path();
        [text(&old, &path, A.number).await, text(&new, &path, A.number).await, text(&nobodys, &path, A.number).await]
    };
    assert_eq!(answers().await, [200, 403, 403]);
    set(&server, NEW, &["--keep-old-token"]);
    followed(&new, &A.path(), A.number, 200).await;
    assert_eq!(answers().await, [200, 200, 403], "while it is changed, both");
    set(&server, NEW, &[]);
    followed(&old, &A.path(), A.number, 403).await;
    assert_eq!(answers().await, [403, 200, 403]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_platforms_second_token_is_taken_until_it_is_taken_away() {
    let provider = Provider::start(1).await;
    let mut server = Server::start(rig::options(&provider.url).env("TWILIO_AUTH_TOKEN_SECONDARY", NEW)).await;
    let of = |token: &str| Twilio::new(&server.url(), ACCOUNT, token);
    let [first, second, nobodys] = [TOKEN, NEW, NOBODYS].map(of);
    let answers =
        async || [text(&first, DEMO, OURS).await, text(&second, DEMO, OURS).await, text(&nobodys, DEMO, OURS).await];
    assert_eq!(answers().await, [200, 200, 403]);
    server.stop().await;
    server.unset_env("TWILIO_AUTH_TOKEN_SECONDARY");
    server.start_again().await;
    assert_eq!(answers().await, [200, 403, 403]);
}
