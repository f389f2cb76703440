//! Every verb that a rule can use, and what follows it.

use recado::domain::RefusalKind;

use super::caller::{Caller, options};
use crate::cli;
use crate::faults::rig::{self, Look, OURS};
use crate::support::server::Server;
use crate::support::wait::eventually;

const WITHIN: std::time::Duration = std::time::Duration::from_secs(20);
/// The person whom callers are connected to.
const STAFF: &str = "+34600999888";

/// The caller's last digit selects what they hear.
const VERBS: &str = r##"
fn last(e) { e.from.sub_string(e.from.len() - 1, 1) }
rule("verbs").on("call_received")
    .then(|e| switch last(e) {
        "1" => { play("https://example.com/a.mp3"); pause(2); record(#{ say: "Diga", max: 30, beep: false, finish_on_key: "*", then: "kept" }) }
        "2" => record(#{ say: "Hable" }),
        "3" => reject("busy"),
        "4" => reject(),
        "5" => dial("+34600999888", #{ timeout: 15, record: true, otherwise: "nobody" }),
        "6" => connect_agent("Eva"),
        "7" => gather("day", #{ say: "¿Qué día?", input: "speech", hints: ["lunes", "martes"], language: "es-ES", voice: "Polly.Lucia",
            timeout: 7, speech_timeout: 3, tries: 2, no_input: "¿Sigue ahí?", no_match: "No le entiendo", otherwise: "nobody" }),
        "8" => menu("main", #{ say: "Pulse almohadilla o uno", "#": "kept", "1": "nobody", no_input: "¿Sigue ahí?", no_match: "Eso no existe" }),
        "9" => enqueue("ventas", #{ then: "left" }),
        _ => redirect("kept"),
    })
    .on_input("kept", |e, input| { say(`kept ${e.data.outcome}`); hangup() })
    .on_input("nobody", |e, input| { say(`nobody: ${e.data.outcome}`); record(#{ then: "kept" }) })
    .on_input("day", |e, input| { say(`day ${input}`); hangup() })
    .on_input("left", |e, input| { call(e.contact, #{ say: "We call you back" }).in("10m"); say(`left ${e.data.outcome}`); hangup() });
rule("missed").on("call_missed").then(|e| note(`missed: ${e.data.reason}`));
"##;

async fn server() -> Server {
    let server = rig::migrated(options(VERBS));
    let agent = ["agents", "add", "Eva", "--number", "+34911000009", "--greeting", "Soy Eva", "--language", "es-ES"];
    let number = ["tenant", "set", "demo", "--sms", "+34911000009"];
    cli::run(&mut rig::recado(&server, &number)).ok();
    cli::run(&mut rig::recado(&server, &agent)).ok();
    let mut server = server;
    server.start_again().await;
    server
}

/// The caller whose number ends in this digit.
fn caller(server: &Server, digit: u8) -> Caller {
    Caller { from: format!("+3460011122{digit}"), ..Caller::new(server, 700 + u128::from(digit)) }
}

#[tokio::test]
async fn verbs_of_rules_are_rendered_and_the_call_continues_after_each() {
    let server = server().await;
    let answer = "/api/twilio/demo/answer";

    let one = caller(&server, 1);
    let twiml = one.posts(answer, &[]).await;
    assert_eq!(twiml.verbs(), ["Response", "Play", "Pause", "Say", "Record", "Redirect"], "{}", twiml.document);
    for part in
        ["https://example.com/a.mp3", "length=\"2\"", "maxLength=\"30\"", "playBeep=\"false\"", "finishOnKey=\"*\""]
    {
        twiml.says(part);
    }
    let recorded = [("RecordingUrl", "https://api.twilio.com/RE1"), ("RecordingDuration", "4"), ("Digits", "hangup")];
    one.answers(&twiml, &recorded).await.says("kept recorded");

    // Without a step, the call ends whether something was recorded or not.
    let two = caller(&server, 2);
    let twiml = two.posts(answer, &[]).await;
    assert_eq!(twiml.verbs(), ["Response", "Say", "Record", "Hangup"], "{}", twiml.document);
    let url = [("RecordingUrl", "https://api.twilio.com/RE2")];
    assert_eq!(two.answers(&twiml, &url).await.verbs(), ["Response", "Hangup"]);

    let busy = caller(&server, 3).posts(answer, &[]).await;
    assert_eq!(
        (busy.verbs().as_slice(), busy.attribute("reason").as_deref()),
        (["Response", "Reject"].map(str::to_owned).as_slice(), Some("busy"))
    );
    let rejected = caller(&server, 4).posts(answer, &[]).await;
    assert_eq!(rejected.attribute("reason").as_deref(), Some("rejected"));

    let five = caller(&server, 5);
    let twiml = five.posts(answer, &[]).await;
    assert_eq!(twiml.verbs(), ["Response", "Dial", "Number"], "{}", twiml.document);
    assert_eq!(twiml.text("Number").as_deref(), Some(STAFF));
    for part in ["timeout=\"15\"", "record=\"record-from-answer\"", "answerOnBridge=\"true\""] {
        twiml.says(part);
    }
    let twiml = five.answers(&twiml, &[("DialCallStatus", "no-answer"), ("DialCallSid", "CA5")]).await;
    twiml.says("nobody: no-answer");
    // The person answered: the call ends.
    let talks = Caller { sid: format!("CA{:032x}", 750), ..caller(&server, 5) };
    let dials = talks.posts(answer, &[]).await;
    let over = talks.answers(&dials, &[("DialCallStatus", "completed"), ("DialCallDuration", "9")]).await;
    assert_eq!(over.verbs(), ["Response", "Hangup"], "{}", over.document);
    assert_eq!(twiml.verbs(), ["Response", "Say", "Record", "Redirect"], "{}", twiml.document);

    let six = caller(&server, 6).posts(answer, &[]).await;
    six.says("Soy Eva");
    six.says("language=\"es-ES\"");

    caller(&server, 0).posts(answer, &[]).await.says("<Redirect method=\"POST\">");
}

#[tokio::test]
async fn a_question_is_repeated_and_then_the_call_continues() {
    let server = server().await;
    let ana = caller(&server, 7);
    let twiml = ana.posts("/api/twilio/demo/answer", &[]).await;
    for part in [
        "input=\"speech\"",
        "hints=\"lunes,martes\"",
        "language=\"es-ES\"",
        "voice=\"Polly.Lucia\"",
        "timeout=\"7\"",
        "speechTimeout=\"3\"",
    ] {
        twiml.says(part);
    }
    let again = ana.answers(&twiml, &[]).await;
    again.says("¿Sigue ahí?");
    ana.answers(&again, &[("SpeechResult", "martes")]).await.says("day martes");

    let eva = caller(&server, 8);
    let twiml = eva.posts("/api/twilio/demo/answer", &[]).await;
    twiml.says("finishOnKey=\"\"");
    let again = eva.answers(&twiml, &[("Digits", "5")]).await;
    again.says("Eso no existe");
    // The last try ends with a farewell, not with the question whether they are there.
    let farewell = &again.document[again.document.find("</Gather>").expect("a question")..];
    assert!(!farewell.contains("¿Sigue ahí?") && farewell.contains("We could not understand you."), "{farewell}");
    eva.answers(&again, &[("Digits", "#")]).await.says("kept");
}

#[tokio::test]
async fn a_caller_who_leaves_a_queue_is_led_on_and_called_back() {
    let server = server().await;
    let ana = caller(&server, 9);
    let twiml = ana.posts("/api/twilio/demo/answer", &[]).await;
    assert_eq!(twiml.text("Enqueue").as_deref(), Some("ventas"));
    let wait = twiml.attribute("waitUrl").expect("it waits");
    let waits = ana.posts(wait.strip_prefix(&ana.twilio.public_url).expect("ours"), &[("QueuePosition", "1")]).await;
    waits.says("finishOnKey=\"\"");
    ana.answers(&twiml, &[("QueueResult", "leave"), ("QueueTime", "3")]).await.says("left leave");
    let look = Look::into(server.folder()).await;
    eventually(WITHIN, || async {
        let calls = look.count("actions WHERE channel = 'voice' AND state = 'planned'").await;
        if calls == 1 { Ok(()) } else { Err(calls) }
    })
    .await;
}

#[tokio::test]
async fn a_caller_whom_nobody_answered_was_missed_despite_a_key() {
    let server = server().await;
    let look = Look::into(server.folder()).await;
    let notes = || async {
        look.text_or_number("SELECT coalesce(group_concat(new, '|'), '') FROM contact_history WHERE kind = 'note'")
            .await
    };
    let ended = [("CallStatus", "completed"), ("CallDuration", "20")];
    let ana = caller(&server, 5);
    let twiml = ana.posts("/api/twilio/demo/answer", &[]).await;
    ana.answers(&twiml, &[("DialCallStatus", "no-answer")]).await;
    ana.posts("/api/twilio/demo/status", &ended).await;
    eventually(WITHIN, || async {
        let notes = notes().await;
        if notes == "\"missed: no-answer\"" { Ok(()) } else { Err(notes) }
    })
    .await;
    // A caller who then leaves a message, or has spoken with a person, was not missed.
    for (call, last) in [(800, ("RecordingUrl", "https://api.twilio.com/RE1")), (801, ("DialCallStatus", "completed"))]
    {
        let eva = Caller { from: "+34600111225".into(), ..Caller::new(&server, call) };
        let twiml = eva.posts("/api/twilio/demo/answer", &[]).await;
        let twiml = eva.answers(&twiml, &[("DialCallStatus", "busy")]).await;
        eva.answers(&twiml, &[last]).await;
        eva.posts("/api/twilio/demo/status", &ended).await;
    }
    eventually(WITHIN, || async {
        let reported = look.count("events WHERE kind = 'call_completed' AND handled_us IS NOT NULL").await;
        if reported == 3 { Ok(()) } else { Err(reported) }
    })
    .await;
    assert_eq!(notes().await, "\"missed: no-answer\"");
    // A caller who hangs up while waiting was missed, too.
    let bo = caller(&server, 9);
    let twiml = bo.posts("/api/twilio/demo/answer", &[]).await;
    bo.answers(&twiml, &[("QueueResult", "hangup"), ("QueueTime", "60"), ("CallStatus", "completed")]).await;
    bo.posts("/api/twilio/demo/status", &ended).await;
    eventually(WITHIN, || async {
        let notes = notes().await;
        if notes.contains("missed: hangup") { Ok(()) } else { Err(notes) }
    })
    .await;
}

#[tokio::test]
async fn every_url_of_a_call_works_by_get() {
    let server = server().await;
    let ana = caller(&server, 9);
    let twiml = ana.gets("/api/twilio/demo/answer", &[]).await;
    let wait = twiml.attribute("waitUrl").expect("it waits");
    let wait = wait.strip_prefix(&ana.twilio.public_url).expect("ours");
    ana.gets(wait, &[("QueuePosition", "2")]).await.says("You are number 2");
    ana.gets("/api/twilio/demo/fallback", &[("ErrorCode", "11200")]).await.says("<Hangup");
    ana.gets("/api/twilio/demo/wait?turn=1&round=1", &[]).await.says("<Enqueue");
    let url = [("RecordingSid", "RE0123456789abcdef0123456789abcdef"), ("RecordingUrl", "https://api.twilio.com/RE1")];
    assert_eq!(ana.gets("/api/twilio/demo/recording", &url).await.status, 200);
    let ended = [("CallStatus", "completed"), ("CallDuration", "20")];
    for path in ["/api/twilio/demo/status", "/api/twilio/status", "/api/voice/status-callback"] {
        assert_eq!(ana.gets(path, &ended).await.status, 200, "{path}");
    }
    let shown = cli::run(&mut rig::recado(&server, &["calls", &ana.sid, "--json"])).json();
    assert_eq!((&shown["status"], &shown["duration_s"]), (&"completed".into(), &20.into()), "{shown}");
    assert_eq!(shown["recording_url"], "https://api.twilio.com/RE1");
}

#[tokio::test]
async fn webhooks_are_checked_except_in_local_debugging_which_is_announced() {
    let answer = |server: &Server| {
        let form = Caller::new(server, 1).form(&[]);
        let url = format!("{}/api/twilio/demo/answer", server.url());
        async move {
            let answered = crate::support::http_client().post(url).form(&form).send().await.expect("it answers");
            answered.status().as_u16()
        }
    };
    let checks = server().await;
    assert_eq!(answer(&checks).await, 403);
    let look = Look::into(checks.folder()).await;
    eventually(WITHIN, || async {
        let kind = look.text_or_number("SELECT coalesce(max(kind), '') FROM refusals").await;
        if kind == RefusalKind::Unsigned.as_str() { Ok(()) } else { Err(kind) }
    })
    .await;
    let server = Server::prepare(options(VERBS).env("APP_DEBUG", "true"));
    let mut server = server;
    server.start_again().await;
    assert_eq!(answer(&server).await, 200);
    let log = server.log();
    assert!(log.contains("APP_DEBUG is on: webhooks are NOT checked for their signature"), "{log}");
    assert!(log.contains("WARN"), "{log}");
    let refused =
        cli::run(rig::recado(&server, &["serve"]).env("APP_DEBUG", "true").env("APP_URL", "https://example.com"));
    refused.fails(1, &["APP_DEBUG"]);
}

#[tokio::test]
async fn all_urls_of_a_call_begin_with_app_url() {
    let server = Server::prepare(options(VERBS));
    let mut server = server;
    server.start_again().await;
    for digit in [1, 5, 7, 9] {
        let ana = caller(&server, digit);
        let twiml = ana.posts("/api/twilio/demo/answer", &[]).await;
        let urls: Vec<&str> = twiml.document.split(['"', '>', '<']).filter(|part| part.starts_with("http")).collect();
        let theirs = urls.iter().filter(|url| url.contains("/api/"));
        assert!(theirs.clone().count() > 0, "{}", twiml.document);
        theirs.for_each(|url| assert!(url.starts_with(&ana.twilio.public_url), "{url}"));
    }
    // The older name of the setting.
    let mut named = rig::recado(&server, &["config", "--json"]);
    named.env_remove("TWILIO_FROM_NUMBER").env("TWILIO_PHONE_NUMBER", OURS);
    let shown = cli::run(&mut named).ok();
    assert!(shown.contains(OURS), "{shown}");
}

#[tokio::test]
async fn health_says_ok_and_the_time() {
    let server = server().await;
    let answer =
        crate::support::http_client().get(format!("{}/health", server.url())).send().await.expect("it answers");
    let health: serde_json::Value = answer.json().await.expect("JSON");
    assert_eq!(health["status"], "ok", "{health}");
    let at = health["timestamp"].as_str().expect("an instant");
    assert!(chrono::DateTime::parse_from_rfc3339(at).is_ok(), "{at}");
}
