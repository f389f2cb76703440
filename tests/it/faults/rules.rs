//! Rules that do not end, or use all memory, harm only their own tenant.

use std::time::Duration;

use super::rig::{self, A, B, Look, customer, percentile};
use crate::support::wait::eventually;

const SETTLED_WITHIN: Duration = Duration::from_secs(120);
/// Texts of the tenant whose rules are hostile.
const EVIL_TEXTS: usize = 60;
const MEMORY_MAX_KB: u64 = 64 * 1024;

/// The hostile rules of tenant `a`. Tenant `b` has only the echo.
const HOSTILE: &str = r##"
rule("loop").on("inbound_sms").when("a, 0", |e| e.tenant.slug == "a" && e.body == "loop").then(|e| { loop {} });
rule("text").on("inbound_sms").when("a, 1", |e| e.tenant.slug == "a" && e.body == "text")
    .then(|e| { let s = "x"; loop { s += s; } });
rule("array").on("inbound_sms").when("a, 2", |e| e.tenant.slug == "a" && e.body == "array")
    .then(|e| { let a = [1]; loop { a += a; } });
rule("map").on("inbound_sms").when("a, 3", |e| e.tenant.slug == "a" && e.body == "map")
    .then(|e| { let m = #{}; let n = 0; loop { m[`${n}`] = "xxxxxxxxxxxxxxxx"; n += 1; } });
fn deep(n) { deep(n + 1) }
rule("recursion").on("inbound_sms").when("a, 4", |e| e.tenant.slug == "a" && e.body == "recursion")
    .then(|e| { deep(0); });
"##;
const KINDS: [&str; 5] = ["loop", "text", "array", "map", "recursion"];

#[tokio::test(flavor = "multi_thread")]
async fn hostile_rules_harm_their_own_tenant_alone() {
    let options = |url: &str| rig::options(url).file("rules/hostile.rhai", HOSTILE);
    let (provider, mut server) = rig::two_tenants(options).await;
    server.start_again().await;
    assert!(server.log().contains("6 rules"), "all rules are loaded");
    let (a, b) = (A.twilio(&server.url()), B.twilio(&server.url()));
    let alone = rig::round_trips(&provider, &B, &b, 1_000..1_100).await;
    let before = server.memory_kb("VmRSS");
    let evil = async {
        for number in 0..EVIL_TEXTS {
            let status = A.post(&a, number as u128, &customer(number), KINDS[number % KINDS.len()]).await;
            assert_eq!(status, Some(200));
        }
    };
    let ((), beside) = tokio::join!(evil, rig::round_trips(&provider, &B, &b, 2_000..2_150));
    let look = Look::into(server.folder()).await;
    eventually(SETTLED_WITHIN, || look.open()).await;
    assert!(server.is_running());
    for number in 0..EVIL_TEXTS {
        assert_eq!(
            provider.carrier.count_to(&customer(number)),
            1,
            "the echo of text {number}: a good rule beside a bad one"
        );
    }
    assert_eq!(look.count("events WHERE kind = 'inbound_sms' AND handled_us IS NOT NULL").await, 310);
    let figures = |sorted: &[Duration]| (percentile(sorted, 50), percentile(sorted, 99));
    eprintln!("hostile rules beside: p50 and p99 alone {:?}, beside them {:?}", figures(&alone), figures(&beside));
    // Generous: a tenant that waits for another's endless rules waits for seconds.
    assert!(percentile(&beside, 50) < percentile(&alone, 50) * 10 + Duration::from_millis(500));
    if let Some((before, after)) = before.zip(server.memory_kb("VmRSS")) {
        eprintln!("memory: {before} kB before, {after} kB after");
        assert!(after < before + MEMORY_MAX_KB, "{before} kB before, {after} kB after");
    }
}

/// A lead who answers is no lead any more, whatever becomes of the messages to the staff.
const LEADS: &str = r#"
rule("lead").on("inbound_sms").keyword("INFO").then(|e| { tag("lead"); ask("when", "When may we call?", "24h") })
    .on_answer("when", |e, answer| {
        send_email("staff", "A lead", answer);
        send_sms(e.contact.fields["second_phone"], "Thank you");
        http_request(#{ url: "crm.example/" + answer, json: #{ answer: answer } });
        untag("lead");
        tag("answered");
        reply("Thank you, we will call you.");
    });
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_side_action_that_cannot_be_done_is_blocked_and_the_rule_stands() {
    let provider = rig::Provider::start(38).await;
    let server =
        crate::support::server::Server::start(rig::options(&provider.url).file("rules/echo.rhai", LEADS)).await;
    let twilio = rig::twilio(&server);
    let look = Look::into(server.folder()).await;
    for (number, body) in [(1, "INFO"), (2, "Tomorrow")] {
        let form = twilio.inbound(&crate::support::webhook::message_sid(number), &customer(1), rig::OURS, body);
        assert_eq!(twilio.post("/api/twilio/demo/sms", &form).await.expect("it answers").status().as_u16(), 200);
        eventually(SETTLED_WITHIN, || look.open()).await;
    }
    let texts: Vec<String> = provider.sent().into_iter().map(|message| message.body).collect();
    assert_eq!(texts, ["When may we call?", "Thank you, we will call you."]);
    assert_eq!(look.text_or_number("SELECT tags FROM contacts").await, r#"["answered"]"#, "no follow-up comes");
    let blocked = "SELECT group_concat(kind || ': ' || reason, ' | ') FROM (SELECT kind, reason FROM actions
                   WHERE state = 'blocked' ORDER BY idx)";
    let blocked = look.text_or_number(blocked).await;
    for part in ["send_email: 'demo' has no staff address", "send_sms: ", "http_request: the URL cannot be read"] {
        assert!(blocked.contains(part), "{part}\n{blocked}");
    }
    let sid = crate::support::webhook::message_sid(2);
    let shown = crate::cli::run(&mut rig::recado(&server, &["explain", &sid])).ok();
    for words in ["answered", "blocked", "--staff-email"] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }
}
