//! Abuse by a tenant's own programs, and by strangers: a token without measure, sends without end, text that moves a
//! terminal, guessed slugs.

use std::time::Duration;

use axum::http::Request;
use recado::domain::plain::is_plain;
use recado::domain::{Clock, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::inside::{Inside, PUBLIC_URL, encode, posted};
use super::rig::{self, A, B, ECHO, Look, OURS, Provider, TOKEN, customer, post, recado, twilio};
use crate::cli;
use crate::support::http_client;
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::{Twilio, message_sid, sign, with};
use crate::voice::agents::Api;
use crate::voice::caller::Caller;

const WITHIN: Duration = Duration::from_secs(30);
/// Requests that one token may have open.
const OPEN_MAX: usize = recado::http::api::TOKEN_OPEN_MAX;
/// A rule that answers calls.
const DESK: &str = "rule(\"desk\").on(\"call_received\").then(|e| { say(\"The desk speaks\"); hangup() });\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_token_without_measure_is_told_to_wait_and_others_are_served() {
    let server = Server::start(rig::options("http://127.0.0.1:1").file("rules/desk.rhai", DESK)).await;
    cli::run(&mut recado(&server, &["tenant", "add", "other", "--name", "Other"])).ok();
    let (token, other) = (Api::token(&server, "demo"), Api::token(&server, "other"));
    let ask = async |token: &str| {
        let url = format!("{}/api/v1/campaigns", server.url());
        http_client().get(url).bearer_auth(token).send().await.expect("it answers")
    };
    // Requests whose bodies do not come hold their places.
    let mut open = Vec::new();
    for _ in 0..OPEN_MAX {
        let mut stream = TcpStream::connect(server.url().trim_start_matches("http://")).await.expect("it listens");
        let head = format!(
            "POST /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
        );
        stream.write_all(head.as_bytes()).await.expect("it is open");
        open.push(stream);
    }
    eventually(WITHIN, || async {
        let refused = ask(&token).await;
        if refused.status() == 429 && refused.headers()["retry-after"] == "1" { Ok(()) } else { Err(refused.status()) }
    })
    .await;
    // Another tenant, and callers of this one, are served meanwhile.
    assert_eq!(ask(&other).await.status(), 200);
    Caller::new(&server, 1).posts("/api/twilio/demo/answer", &[]).await.says("The desk speaks");
    drop(open);
    eventually(WITHIN, || async {
        let status = ask(&token).await.status();
        if status == 200 { Ok(()) } else { Err(status) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_exceeds_the_budget_waits_with_its_reason_and_is_foreseen_so() {
    let provider = Provider::start(1).await;
    let mut server = rig::migrated(rig::options(&provider.url));
    let run = |server: &Server, args: &[&str]| cli::run(&mut recado(server, args));
    let set = ["tenant", "set", "demo", "--sends-per-day", "3", "--countries", "ES,PT"];
    let shown = run(&server, &set).ok();
    assert!(shown.contains("at most 3 messages and calls in 24 hours") && shown.contains("to ES, PT only"), "{shown}");
    server.start_again().await;
    let api = Api { token: Api::token(&server, "demo"), server };
    let mut ids = Vec::new();
    for number in 0..5 {
        let (status, sent) =
            api.post("messages", &json!({"channel": "sms", "to": customer(number), "text": "hola"})).await;
        assert_eq!(status, 202, "{sent}");
        ids.push(sent["id"].as_str().expect("an id").to_owned());
    }
    provider.wait_taken(3).await;
    let look = Look::into(api.server.folder()).await;
    let waiting = eventually(WITHIN, || async {
        let waiting: Vec<_> = look.actions().await.into_iter().filter(|one| one.state == "planned").collect();
        if waiting.len() == 2 && waiting.iter().all(|one| one.reason.is_some()) {
            Ok(waiting)
        } else {
            Err(waiting.len())
        }
    })
    .await;
    for one in &waiting {
        let explained = run(&api.server, &["explain", &one.id.to_string()]).ok();
        assert!(
            explained.contains("send budget: this business may send 3 messages and calls in 24 hours"),
            "{explained}"
        );
    }
    assert_eq!(provider.carrier.taken(), 3);
    // The forecast counts what was sent.
    let foreseen = run(&api.server, &["forecast", "--days", "2", "--json"]).json();
    let at = |value: &Value| Timestamp::parse(value.as_str().expect("a time")).expect("a time");
    let (sends, now) = (foreseen.as_array().expect("a list"), Clock::system().now());
    assert_eq!(sends.len(), 2, "{foreseen}");
    for send in sends {
        assert!(at(&send["at"]).since(now) > Duration::from_secs(20 * 3_600), "{foreseen}");
    }
    // A number of another country is refused for good.
    let (_, refused) = api.post("messages", &json!({"channel": "sms", "to": "+18765550100", "text": "hi"})).await;
    let id = refused["id"].as_str().expect("an id").to_owned();
    eventually(WITHIN, || async {
        let explained = run(&api.server, &["explain", &id]).ok();
        if explained.contains("may send to ES, PT only") { Ok(()) } else { Err(explained) }
    })
    .await;
    // The tenant cannot raise its own budget.
    let (status, _) = api.ask(&api.token, Method::PATCH, "tenant", Some(&json!({"sends": {"per_day": 1000}}))).await;
    assert_eq!(status, 422);
    let (_, tenant) = api.get("tenant").await;
    assert_eq!((&tenant["sends"]["per_day"], &tenant["sends"]["countries"]), (&json!(3), &json!(["ES", "PT"])));
    // The operator can.
    run(&api.server, &["tenant", "set", "demo", "--sends-per-day", "0", "--countries", "all"]).ok();
}

/// Control sequences of one byte and of two, a title, bidirectional marks, and line breaks of four kinds.
const HOSTILE: &str = "hi\u{1b}[2J\u{9b}31m\u{1b}]0;owned\u{7}\u{202e}txt\u{2066}\u{200f}\r\nrecado: all is well\u{85}x\u{2028}y\u{b}z\u{7f}";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_from_outside_moves_a_terminal_or_the_log() {
    let provider = Provider::start(1).await;
    let rule = format!("{ECHO}{DESK}rule(\"heard\").on(\"call_input\").then(|e| {{ say(e.body); hangup() }});\n");
    let server = Server::start(rig::options(&provider.url).file("rules/echo.rhai", rule)).await;
    let twilio = twilio(&server);
    let form = with(
        twilio.inbound(&message_sid(1), "whatsapp:+34600111222", "whatsapp:+34911111111", HOSTILE),
        "ProfileName",
        HOSTILE,
    );
    twilio.post("/api/twilio/demo/whatsapp", &form).await.expect("it answers");
    let form = twilio.inbound(&message_sid(2), &customer(1), OURS, HOSTILE);
    assert_eq!(post(&twilio, &form).await, Some(200));
    let look = Look::into(server.folder()).await;
    eventually(WITHIN, || look.open()).await;
    let ana = Caller::new(&server, 1);
    ana.posts("/api/twilio/demo/answer", &[("CallerName", HOSTILE)]).await;
    ana.posts("/api/twilio/demo/gather?turn=1", &[("SpeechResult", HOSTILE), ("Confidence", "0.9")]).await;
    let failed = [("CallStatus", "failed"), ("ErrorMessage", HOSTILE), ("ErrorCode", "13224")];
    Caller::new(&server, 2).posts("/api/twilio/demo/status", &failed).await;
    let api = Api { token: Api::token(&server, "demo"), server };
    let (_, _) = api.post("events", &json!({"kind": "shop_order", "data": {"what": HOSTILE}})).await;
    // A name may be refused, or kept without what moves a terminal.
    api.post("customers", &json!({"phone": customer(9), "name": HOSTILE})).await;
    // A slug in a URL is logged as it came, decoded.
    let slug = "a%1b%5b2J%0aforged%c2%9b".repeat(1_000);
    let _ = twilio.post(&format!("/api/twilio/{slug}/sms"), &form).await;

    let run = |args: &[&str]| cli::run(&mut recado(&api.server, args)).ok();
    let sid = ana.sid.clone();
    let last = look_up_event(&api.server).await;
    for args in [
        &["messages"][..],
        &["messages", "--json"],
        &["calls"],
        &["calls", &sid],
        &["calls", &sid, "--json"],
        &["events"],
        &["events", "--json"],
        &["explain", "last"],
        &["explain", &last],
        &["explain", &last, "--json"],
        &["tenant", "show", "demo"],
        &["timers", "list"],
        &["customers", "list"],
        &["customers", "show", &customer(1)],
        &["appointments", "list"],
        &["campaigns", "list"],
    ] {
        let out = run(args);
        let odd = out.chars().find(|c| *c != '\n' && !is_plain(*c));
        assert_eq!(odd, None, "{args:?}: {out:?}");
        let forged = out.lines().find(|line| line.starts_with("recado: ") || line.trim_start() == "x");
        assert_eq!(forged, None, "{args:?}: {out}");
        if args.contains(&"--json") {
            let _: Value = serde_json::from_str(&out).expect("JSON");
        }
    }
    let log = api.server.log();
    assert_eq!(log.chars().find(|c| *c != '\n' && !is_plain(*c)), None, "{log:?}");
    assert!(log.lines().all(|line| line.len() < 10_000), "a line is long");
    assert!(!log.lines().any(|line| line.starts_with("recado: all is well") || line.starts_with("forged")), "{log}");
}

/// The id of the newest text's event.
async fn look_up_event(server: &Server) -> String {
    let look = Look::into(server.folder()).await;
    let events = look.events().await;
    events.iter().rfind(|event| event.kind == "inbound_sms").expect("there is one").id.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_refusals_writes_few_log_lines() {
    let server = Server::start(rig::options("http://127.0.0.1:1")).await;
    let forger = Twilio::new(&server.url(), rig::ACCOUNT, "not the token");
    let slug = "x".repeat(6_000);
    for n in 0..200 {
        let form = forger.inbound(&message_sid(n), &customer(1), OURS, "hola");
        for path in [format!("/api/twilio/{slug}-{n}/sms"), "/api/twilio/demo/sms".to_owned()] {
            assert_eq!(forger.post(&path, &form).await.expect("it answers").status(), 403);
        }
    }
    let log = server.log();
    let lines = log.lines().filter(|line| line.contains("a webhook was refused")).count();
    assert!((2..=4).contains(&lines), "{lines} lines: {log}");
    assert!(log.len() < 20_000, "{} bytes for 400 refusals", log.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_slug_or_number_is_refused_like_a_known_one() {
    let inside = Inside::open().await;
    A.store(&inside.installation.store).await;
    inside.installation.directory.refresh().await.expect("the tenants can be read");
    let routes = [
        "sms",
        "whatsapp",
        "rcs",
        "answer",
        "voice",
        "gather",
        "status",
        "recording",
        "queue",
        "fallback",
        "wait?turn=1&round=1",
        "messages/0199aaaa-0000-7000-8000-000000000000/status",
        "calls/0199aaaa-0000-7000-8000-000000000000/answer",
        "calls/0199aaaa-0000-7000-8000-000000000000/status",
    ];
    let form = A.twilio(PUBLIC_URL).inbound(&message_sid(1), &customer(1), A.number, "hola");
    let mut forms = vec![form.clone(), with(form.clone(), "CallSid", "CA00000000000000000000000000000001")];
    forms.push(with(forms[1].clone(), "AccountSid", B.account));
    for route in routes {
        for form in &forms {
            for signature in [None, Some("AAAA".to_owned()), Some(sign("a guess", "x", form))] {
                let mut answers = Vec::new();
                for slug in ["a", "demo", "nobody", "a-longer-slug-that-nobody-has"] {
                    let path = format!("/api/twilio/{slug}/{route}");
                    answers.push(inside.answer(posted(&path, encode(form), signature.as_deref())).await);
                }
                answers.dedup();
                assert_eq!(answers.len(), 1, "{route}, {signature:?}: {answers:?}");
                assert_eq!(answers[0].0, 403, "{route}: {answers:?}");
            }
        }
    }
    // Without a slug the number decides, and it is not told either whether that is known.
    for path in ["/api/whatsapp/webhook", "/api/twilio/voice", "/api/twilio/status", "/api/webhooks/twilio/gather"] {
        let mut answers = Vec::new();
        for to in [A.number, "+34999888777"] {
            let form = with(forms[1].clone(), "To", to);
            answers.push(inside.answer(posted(path, encode(&form), None)).await);
        }
        answers.dedup();
        assert_eq!((answers.len(), answers[0].0), (1, 403), "{path}: {answers:?}");
    }
    // The installation's own account learns that nobody has the slug.
    let path = "/api/twilio/nobody/sms";
    let signature = sign(TOKEN, &format!("{PUBLIC_URL}{path}"), &form);
    let (status, _) = inside.answer(posted(path, encode(&form), Some(&signature))).await;
    assert_eq!(status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_signature_is_logged_with_its_tenant_its_url_and_its_likely_cause() {
    let server = Server::start(rig::options("http://127.0.0.1:1")).await;
    let url = server.url();
    let path = "/api/twilio/demo/sms";
    let right = twilio(&server);
    let form = right.inbound(&message_sid(1), &customer(1), OURS, "hola");
    let https = url.replace("http://", "https://");
    let foreign = with(form.clone(), "AccountSid", A.account);
    // Each kind is logged on a route of its own, because a kind is logged once a minute.
    for (path, form, token, base, says) in [
        (path, &foreign, A.token, url.as_str(), "another account"),
        ("/api/twilio/demo/whatsapp", &form, TOKEN, https.as_str(), "Twilio calls this URL with https"),
        ("/api/twilio/demo/rcs", &form, "0ldt0ken777777777777777777777777", url.as_str(), "old token"),
    ] {
        let signature = sign(token, &format!("{base}{path}"), form);
        let answer = right.post_with_signature(path, form, &signature).await.expect("it answers");
        assert_eq!(answer.status(), 403);
        let said = answer.text().await.expect("a text");
        assert!(!said.contains(says), "the caller is told nothing: {said}");
        let log = server.log();
        let line = log.lines().rfind(|line| line.contains("a webhook was refused")).expect("it is logged");
        for part in [says, "tenant=demo", &format!("checked={url}{path}"), "403"] {
            assert!(line.contains(part), "'{part}' is not in {line}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn responses_tell_strangers_little_and_are_not_kept() {
    let settings = [("APP_URL", "https://recado.example".to_owned())];
    let inside = Inside::with("http://127.0.0.1:1", recado::domain::Clock::system(), ECHO, &settings).await;
    let header = |response: &axum::http::Response<axum::body::Body>, name: &str| {
        response.headers().get(name).map(|value| value.to_str().expect("text").to_owned())
    };
    for path in
        ["/health", "/ready", "/docs/", "/api/v1/customers", "/api/v1/nothing", "/nothing", "/api/twilio/demo/sms"]
    {
        let request = Request::get(path).body(axum::body::Body::empty()).expect("a path of ours");
        let response = tower::ServiceExt::oneshot(inside.router.clone(), request).await.expect("it answers");
        assert_eq!(header(&response, "x-content-type-options").as_deref(), Some("nosniff"), "{path}");
        assert!(
            header(&response, "strict-transport-security").is_some_and(|value| value.starts_with("max-age=")),
            "{path}"
        );
        assert!(header(&response, "cache-control").is_some_and(|value| value.contains("no-store")), "{path}");
    }
    let ready = async |token: Option<&str>| {
        let mut request = Request::get("/ready");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let (status, body) = inside.answer(request.body(axum::body::Body::empty()).expect("a path of ours")).await;
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        (status, body.as_object().expect("an object").keys().cloned().collect::<Vec<_>>())
    };
    assert_eq!(ready(None).await, (200, vec!["status".to_owned(), "timestamp".to_owned()]));
    assert_eq!(ready(Some("guess")).await.1.len(), 2);
    let token = inside.directory.key().operator_token();
    let (_, fields) = ready(Some(secrecy::ExposeSecret::expose_secret(&token))).await;
    assert!(fields.contains(&"backlog".to_owned()) && fields.contains(&"paused_accounts".to_owned()), "{fields:?}");
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn files_are_the_owners_alone_and_no_core_is_dumped() {
    use std::os::unix::fs::PermissionsExt;
    let server = Server::start(rig::options("http://127.0.0.1:1")).await;
    let twilio = twilio(&server);
    assert_eq!(post(&twilio, &twilio.inbound(&message_sid(1), &customer(1), OURS, "hola")).await, Some(200));
    let data = server.folder().join("data");
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    let files: Vec<_> =
        std::fs::read_dir(&data).expect("it is there").map(|one| one.expect("an entry").path()).collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), if file.is_dir() { 0o700 } else { 0o600 }, "{}", file.display());
    }
    let id = server.id().expect("it runs");
    let limits = std::fs::read_to_string(format!("/proc/{id}/limits")).expect("Linux has it");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("it is listed");
    let figures: Vec<&str> =
        core.split_whitespace().filter(|word| word.parse::<u64>().is_ok() || *word == "unlimited").collect();
    assert_eq!(figures, ["0", "0"], "{core}");
}
