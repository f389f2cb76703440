//! Turns of one call: questions, choices, keys, hold responses, repeats, limits.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::caller::{ANA, Caller, TwimlResponse, options};
use crate::cli;
use crate::faults::rig::{self, Look, OURS};
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::{message_sid, sign};

const WITHIN: Duration = Duration::from_secs(20);
/// Another tenant's number.
const OTHER: &str = "+34911222333";

/// Rules that ask, hear keys and words, and store the results.
const DESK: &str = r#"
rule("desk").on("call_received")
    .then(|e| {
        say(`Hola ${e.contact.name}`, #{ voice: "Polly.Lucia", language: "es-ES" });
        menu("main", #{ say: "Pulse 1 si le interesa, 2 para más tarde", "1|interesado": "yes", "2|más tarde": "later",
            digits: 1, timeout: 4, no_input: "¿Sigue ahí?", tries: 2 })
    })
    .on_input("yes", |e, input| { note(`interested: ${e.body}`); remember("answer", "yes"); say("Gracias"); hangup() })
    .on_input("later", |e, input| gather("when", #{ say: "¿Cuándo?", input: "speech" }))
    .on_input("when", |e, input| { note(`later: ${input}`); say(`De acuerdo, ${input}`); hangup() });
rule("ended").on("call_completed").then(|e| note(`spoke ${e.call.duration} s, ${e.data.transcript.len()} lines`));
rule("missed").on("call_missed").then(|e| note(`missed: ${e.data.reason}`));
rule("recorded").on("recording_ready").then(|e| note(`recording ${e.data.recording_url}`));
"#;

async fn server(rules: &str) -> Server {
    Server::start(options(rules)).await
}

async fn notes(server: &Server) -> Vec<String> {
    let look = Look::into(server.folder()).await;
    let text = look
        .text_or_number(
            "SELECT coalesce(group_concat(new, '|'), '') FROM (SELECT new FROM contact_history WHERE kind = 'note' ORDER BY at_us, id)",
        )
        .await;
    text.split('|').filter(|note| !note.is_empty()).map(|note| note.trim_matches('"').to_owned()).collect()
}

async fn noted(server: &Server, note: &str) {
    eventually(WITHIN, || async {
        let notes = notes(server).await;
        if notes.iter().any(|one| one == note) { Ok(()) } else { Err(notes) }
    })
    .await;
}

fn calls(server: &Server, args: &[&str]) -> Value {
    cli::run(&mut rig::recado(server, &[&["calls"], args, &["--json"]].concat())).json()
}

#[tokio::test]
async fn an_unknown_call_hears_the_tenants_greeting_in_a_gather() {
    let server = server("").await;
    let ana = Caller::new(&server, 1);
    let twiml = ana.posts("/api/twilio/demo/answer", &[]).await;
    assert_eq!(twiml.status, 200);
    assert!(twiml.document.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"), "{}", twiml.document);
    assert_eq!(&twiml.verbs()[..3], ["Response", "Gather", "Say"]);
    twiml.says("Hello, you have called Demo.");
    let set = ["agents", "default", "--greeting", "Aquí {name}, <diga>", "--language", "es-ES"];
    cli::run(&mut rig::recado(&server, &set)).ok();
    let next = AtomicU32::new(2);
    eventually(WITHIN, || async {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let twiml = Caller::new(&server, number.into()).posts("/api/twilio/demo/voice", &[]).await;
        if twiml.document.contains("Aquí Demo, &lt;diga&gt;") { Ok(()) } else { Err(twiml) }
    })
    .await;
}

#[tokio::test]
async fn a_menu_by_key_or_word_is_answered_and_stored_and_the_call_ends() {
    let server = server(DESK).await;
    for (number, said, note) in
        [(1, ("Digits", "1"), "interested: 1"), (2, ("SpeechResult", "Sí, interesado."), "interested: Sí, interesado.")]
    {
        let ana = Caller::new(&server, number);
        let twiml = ana.posts("/api/webhooks/twilio", &[]).await;
        assert_eq!(twiml.verbs(), ["Response", "Say", "Gather", "Say", "Redirect"], "{}", twiml.document);
        for part in ["input=\"dtmf speech\"", "timeout=\"4\"", "numDigits=\"1\"", "method=\"POST\"", "Polly.Lucia"] {
            twiml.says(part);
        }
        let twiml = ana.answers(&twiml, &[said]).await;
        assert_eq!(twiml.verbs(), ["Response", "Say", "Hangup"], "{}", twiml.document);
        twiml.says("Gracias");
        noted(&server, note).await;
    }
    let ana = Caller::new(&server, 3);
    let twiml = ana.posts("/api/webhooks/twilio", &[]).await;
    let twiml = ana.answers(&twiml, &[("Digits", "2")]).await;
    twiml.says("¿Cuándo?");
    let twiml = ana.answers(&twiml, &[("SpeechResult", "Mañana")]).await;
    twiml.says("De acuerdo, manana");
    noted(&server, "later: manana").await;
}

#[tokio::test]
async fn without_an_answer_the_question_is_repeated_and_then_the_call_ends() {
    let server = server(DESK).await;
    let ana = Caller::new(&server, 1);
    let first = ana.posts("/api/webhooks/twilio", &[]).await;
    let again = ana.answers(&first, &[]).await;
    again.says("¿Sigue ahí?");
    // The last try says farewell by itself, without a request.
    assert_eq!(again.verbs(), ["Response", "Say", "Gather", "Say", "Say", "Hangup"], "{}", again.document);
    // An answer that fits no choice is asked again; then the call ends.
    let ended = ana.answers(&again, &[("Digits", "9")]).await;
    assert_eq!(ended.verbs(), ["Response", "Say", "Hangup"], "{}", ended.document);
}

#[tokio::test]
async fn a_repeated_webhook_hears_the_same_and_has_no_second_effect() {
    let server = server(DESK).await;
    let ana = Caller::new(&server, 1);
    let first = ana.posts("/api/twilio/demo/answer", &[]).await;
    assert_eq!(ana.posts("/api/twilio/demo/answer", &[]).await, first);
    let ended = ana.answers(&first, &[("Digits", "1")]).await;
    for _ in 0..3 {
        assert_eq!(ana.answers(&first, &[("Digits", "1")]).await, ended);
    }
    noted(&server, "interested: 1").await;
    assert_eq!(notes(&server).await, ["interested: 1"]);
    let look = Look::into(server.folder()).await;
    assert_eq!(look.count("events").await, 2);
    assert_eq!(look.count("calls").await, 1);
}

#[tokio::test]
async fn the_end_of_a_call_is_stored_and_reported_once_in_any_order() {
    let server = server(DESK).await;
    let ana = Caller::new(&server, 1);
    let first = ana.posts("/api/twilio/demo/answer", &[]).await;
    ana.answers(&first, &[("Digits", "1")]).await;
    let recording = "https://api.twilio.com/2010-04-01/Accounts/AC1/Recordings/RE1";
    let completed =
        [("CallStatus", "completed"), ("CallDuration", "42"), ("RecordingSid", "RE1"), ("RecordingUrl", recording)];
    for path in
        ["/api/twilio/demo/status", "/api/twilio/status", "/api/voice/status-callback", "/api/webhooks/twilio/status"]
    {
        assert_eq!(ana.posts(path, &completed).await.status, 200, "{path}");
        assert_eq!(ana.posts(path, &[("CallStatus", "ringing")]).await.status, 200, "{path}");
        assert_eq!(ana.posts(path, &[("CallStatus", "busy")]).await.status, 200, "{path}");
    }
    noted(&server, "spoke 42 s, 4 lines").await;
    noted(&server, &format!("recording {recording}")).await;
    assert_eq!(notes(&server).await.len(), 3);
    let listed = calls(&server, &[]);
    assert_eq!(listed[0]["status"], "completed");
    assert_eq!(listed[0]["duration_s"], 42);
    assert_eq!(listed[0]["recording_url"], recording);
    assert_eq!((&listed[0]["from"], &listed[0]["to"]), (&json!(ANA), &json!(OURS)));
    let shown = calls(&server, &[&ana.sid]);
    assert_eq!(shown["turns"][1]["heard"], "1");
    assert_eq!(shown["turns"][1]["how"], "rules");
}

#[tokio::test]
async fn a_call_that_is_not_answered_is_missed_and_one_of_ours_has_failed() {
    let server = server(DESK).await;
    for (number, status) in [(1, "no-answer"), (2, "busy"), (3, "canceled")] {
        Caller::new(&server, number).posts("/api/twilio/demo/status", &[("CallStatus", status)]).await;
        noted(&server, &format!("missed: {status}")).await;
    }
    let ours = Caller { direction: "outbound-api", from: OURS.into(), to: ANA.into(), ..Caller::new(&server, 4) };
    ours.posts("/api/twilio/status", &[("CallStatus", "no-answer")]).await;
    let look = Look::into(server.folder()).await;
    eventually(WITHIN, || look.open()).await;
    assert_eq!(look.count("events WHERE kind = 'call_missed'").await, 3);
    assert_eq!(look.count("events WHERE kind = 'call_failed'").await, 1);
    // A caller who hangs up without a word was missed, if the business wants that.
    let silent = Caller::new(&server, 5);
    silent.posts("/api/twilio/demo/answer", &[]).await;
    silent.posts("/api/twilio/demo/status", &[("CallStatus", "completed")]).await;
    eventually(WITHIN, || look.open()).await;
    assert_eq!(look.count("events WHERE kind = 'call_missed'").await, 3);
    cli::run(&mut rig::recado(&server, &["agents", "default", "--silence-is-missed", "true"])).ok();
    let next = AtomicU32::new(6);
    eventually(WITHIN, || async {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let silent = Caller::new(&server, number.into());
        silent.posts("/api/twilio/demo/answer", &[]).await;
        silent.posts("/api/twilio/demo/status", &[("CallStatus", "completed")]).await;
        let missed = look.count("events WHERE kind = 'call_missed'").await;
        if missed == 4 { Ok(()) } else { Err(missed) }
    })
    .await;
    noted(&server, "missed: hung up before a word or a key").await;
}

#[tokio::test]
async fn every_url_works_by_get_with_its_query_signed() {
    let server = server(DESK).await;
    let paths = ["/api/twilio/demo/answer", "/api/twilio/voice", "/api/voice/webhook", "/api/webhooks/twilio"];
    for (number, path) in paths.into_iter().enumerate() {
        let ana = Caller::new(&server, number as u128);
        let twiml = ana.gets(path, &[]).await;
        assert_eq!(twiml.status, 200, "{path}");
        twiml.says("Pulse 1");
        let ended = ana.gets(&ana.next(&twiml), &[("Digits", "1")]).await;
        assert_eq!(ended.verbs(), ["Response", "Say", "Hangup"], "{path}: {}", ended.document);
    }
    // The digits are part of the signed URL: others are refused.
    let ana = Caller::new(&server, 9);
    let twiml = ana.gets("/api/twilio/voice", &[]).await;
    let target = ana.next(&twiml);
    let forged = crate::support::http_client().get(format!("{}{target}&Digits=1", ana.twilio.server_url));
    assert_eq!(forged.send().await.expect("it answers").status().as_u16(), 403);
}

#[tokio::test]
async fn every_state_of_a_placed_call_is_kept_and_none_goes_back() {
    let server = server(DESK).await;
    let states = ["initiated", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled"];
    for (number, last) in states.into_iter().enumerate() {
        let ours = Caller {
            direction: "outbound-api",
            from: OURS.into(),
            to: ANA.into(),
            ..Caller::new(&server, number as u128)
        };
        ours.posts("/api/twilio/status", &[("CallStatus", last)]).await;
        ours.posts("/api/twilio/status", &[("CallStatus", "initiated")]).await;
        assert_eq!(calls(&server, &[&ours.sid])["status"], last);
    }
    let look = Look::into(server.folder()).await;
    assert_eq!(look.count("events WHERE kind = 'call_answered'").await, 1);
    assert_eq!(look.count("events WHERE kind = 'call_completed'").await, 1);
    assert_eq!(look.count("events WHERE kind = 'call_failed'").await, 4);
}

/// Twilio gives all of them the same number, which belongs to no customer.
#[tokio::test]
async fn callers_who_hide_their_number_are_no_one_customer() {
    let rules =
        r#"rule("who").on("call_received").then(|e| say(if e.contact == () { "A stranger" } else { "Known" }));"#;
    let server = server(rules).await;
    for (number, from) in ["+266696687", "+7378742833", "Anonymous"].into_iter().enumerate() {
        let hidden = Caller { from: from.into(), ..Caller::new(&server, number as u128) };
        hidden.posts("/api/twilio/demo/answer", &[]).await.says("A stranger");
        assert_eq!(calls(&server, &[&hidden.sid])["from"], "anonymous");
    }
    assert_eq!(Look::into(server.folder()).await.count("contacts").await, 0);
}

#[tokio::test]
async fn a_caller_whom_nobody_answers_is_told_so() {
    let server = server(r#"rule("through").on("call_received").then(|e| dial("+34600999888"));"#).await;
    let ends = [("busy", true), ("no-answer", true), ("failed", true), ("completed", false)];
    for (number, (outcome, is_told)) in ends.into_iter().enumerate() {
        let ana = Caller::new(&server, number as u128);
        let twiml = ana.posts("/api/twilio/demo/answer", &[]).await;
        let ended = ana.answers(&twiml, &[("DialCallStatus", outcome)]).await;
        assert_eq!(ended.document.contains("Nobody is available"), is_told, "{outcome}: {}", ended.document);
        assert_eq!(ended.verbs().last().map(String::as_str), Some("Hangup"), "{outcome}");
    }
}

/// A valid webhook with something odd in it: there is still a caller on the line. What was heard counts, the odd field does
/// not.
#[tokio::test]
async fn an_odd_field_of_a_call_is_left_out_and_the_call_goes_on() {
    let server = server(DESK).await;
    let ana = Caller::new(&server, 1);
    let twiml = ana.posts("/api/twilio/demo/answer", &[]).await;
    let plain = ana.answers(&twiml, &[("SpeechResult", "hola"), ("Confidence", "0.9")]).await;
    let bob = Caller::new(&server, 2);
    let twiml = bob.posts("/api/twilio/demo/answer", &[]).await;
    let odd = bob.answers(&twiml, &[("SpeechResult", "hola"), ("Confidence", "very")]).await;
    assert_eq!((odd.status, odd.verbs()), (200, plain.verbs()), "{}", odd.document);
    let odd = &calls(&server, &[&bob.sid])["turns"][1];
    assert_eq!(odd["heard"], "hola", "{odd}");
}

/// A rule that leads nowhere but to itself.
#[tokio::test]
async fn a_call_that_goes_round_in_a_circle_ends() {
    let rules = r#"rule("round").on("call_received").then(|e| redirect("again"))
        .on_input("again", |e, input| redirect("again"));"#;
    let server = server(rules).await;
    let ana = Caller::new(&server, 1);
    let mut twiml = ana.posts("/api/twilio/demo/answer", &[]).await;
    let mut turns = 1;
    while twiml.text("Redirect").is_some() {
        turns += 1;
        assert!(turns <= 501, "it never ends");
        twiml = ana.posts(&ana.next_of_redirect(&twiml), &[]).await;
    }
    assert_eq!(twiml.verbs(), ["Response", "Say", "Hangup"], "{}", twiml.document);
}

#[tokio::test]
async fn a_caller_in_a_queue_hears_their_place_and_leaves_by_key_or_person() {
    let rules = r#"rule("queue").on("call_received").when("a customer", |e| e.from != "+34600999888").then(|e| enqueue("staff"));
        rule("back").on("call_input").when("left", |e| e.data.outcome == "leave").then(|e| { note("call back"); say("We call you back"); hangup() });
        rule("talked").on("call_input").when("was put through", |e| e.data.outcome == "bridged").then(|e| { note("talked"); hangup() });
        rule("staff").on("call_received").when("is staff", |e| e.from == "+34600999888").then(|e| dial_queue("staff"));
        rule("nobody").on("call_input").when("is staff", |e| e.from == "+34600999888").then(|e| { say(`Result: ${e.data.outcome}`); hangup() });"#;
    let server = server(rules).await;
    let ana = Caller::new(&server, 1);
    let twiml = ana.posts("/api/twilio/demo/answer", &[]).await;
    assert_eq!(twiml.text("Enqueue").as_deref(), Some("staff"));
    let wait = twiml.attribute("waitUrl").expect("it waits");
    let wait = wait.strip_prefix(&ana.twilio.public_url).expect("a URL of ours");
    let waits = ana.posts(wait, &[("QueuePosition", "3"), ("QueueTime", "10")]).await;
    waits.says("You are number 3 in the queue. To stop waiting, press any key.");
    assert_eq!(waits.verbs(), ["Response", "Gather", "Say", "Play"], "{}", waits.document);
    let leaves = ana.posts(wait, &[("QueuePosition", "3"), ("Digits", "1")]).await;
    assert_eq!(leaves.verbs(), ["Response", "Leave"]);
    let ended = ana.posts(&ana.next(&twiml), &[("QueueResult", "leave"), ("QueueTime", "12")]).await;
    ended.says("We call you back");
    noted(&server, "call back").await;

    // A staff member who calls takes the first caller in the queue.
    let eva = Caller { from: "+34600111333".into(), ..Caller::new(&server, 2) };
    let waiting = eva.posts("/api/twilio/demo/answer", &[]).await;
    let staff = Caller { from: "+34600999888".into(), ..Caller::new(&server, 3) };
    let dials = staff.posts("/api/twilio/demo/answer", &[]).await;
    assert_eq!(dials.verbs(), ["Response", "Dial", "Queue"], "{}", dials.document);
    assert_eq!(dials.text("Queue").as_deref(), Some("staff"));
    let talked = eva.posts(&eva.next(&waiting), &[("QueueResult", "bridged"), ("QueueTime", "5")]).await;
    assert_eq!(talked.verbs(), ["Response", "Hangup"], "{}", talked.document);
    noted(&server, "talked").await;
    let dialled = [("DialCallStatus", "completed"), ("DialCallSid", &eva.sid), ("DialCallDuration", "9")];
    staff.posts(&staff.next(&dials), &dialled).await.says("Result: completed");
}

/// One tenant's rules use all their time for very many callers: callers of other tenants do not notice.
#[tokio::test]
async fn a_business_whose_rules_overrun_keeps_nobody_elses_callers_waiting() {
    let circle = |n| {
        format!(
            "rule(\"circle-{n}\").on(\"call_received\").when(\"other\", |e| e.to == \"{OTHER}\").then(|e| {{ loop {{}} }});\n"
        )
    };
    let circles: String = (0..10).map(circle).collect();
    let server = server(&format!("{circles}{DESK}")).await;
    cli::run(&mut rig::recado(&server, &["tenant", "add", "other"])).ok();
    cli::run(&mut rig::recado(&server, &["tenant", "set", "other", "--sms", OTHER])).ok();
    eventually(WITHIN, || async {
        let first = Caller { to: OTHER.into(), ..Caller::new(&server, 1) }.posts("/api/twilio/other/answer", &[]).await;
        if first.status == 200 { Ok(()) } else { Err(first) }
    })
    .await;
    let theirs = (2..62).map(|n| {
        let line = Caller { to: OTHER.into(), ..Caller::new(&server, n) };
        async move { line.posts("/api/twilio/other/answer", &[]).await }
    });
    let ours = async {
        let mut twiml = Vec::new();
        for n in 100..110 {
            twiml.push(Caller::new(&server, n).posts("/api/twilio/demo/answer", &[]).await);
        }
        twiml
    };
    let (theirs, ours) = futures_util::future::join(futures_util::future::join_all(theirs), ours).await;
    for twiml in ours {
        twiml.says("Pulse 1 si le interesa");
    }
    // Each takes a quarter of a second, one after another: a caller who is too late hears so, and is not waited for.
    let late = theirs.iter().filter(|twiml| twiml.verbs() == ["Response", "Say", "Hangup"]).count();
    assert!(late > 0 && theirs.iter().all(|twiml| twiml.status == 200), "{late} of {}", theirs.len());
    let look = Look::into(server.folder()).await;
    eventually(WITHIN, || async {
        let unanswered = look.text_or_number("SELECT count(*) FROM call_turns WHERE answer IS NULL").await;
        if unanswered == "0" { Ok(()) } else { Err(unanswered) }
    })
    .await;
}

#[tokio::test]
async fn a_bare_request_gets_harmless_twiml_and_a_call_must_be_signed() {
    let server = server(DESK).await;
    let client = crate::support::http_client();
    let url = format!("{}/api/twilio/voice", server.url());
    for bare in [client.get(&url), client.post(&url)] {
        let answer = bare.send().await.expect("it answers");
        assert_eq!(answer.status().as_u16(), 200);
        assert!(answer.headers()["content-type"].to_str().expect("a text").starts_with("text/xml"));
        assert_eq!(answer.text().await.expect("a text"), "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>");
    }
    let unsigned = client.post(&url).body("CallSid=CA1&From=%2B34600111222&To=%2B34911111111");
    assert_eq!(unsigned.send().await.expect("it answers").status().as_u16(), 403);
    assert_eq!(Look::into(server.folder()).await.count("calls").await, 0);
    let nobodys = Caller { to: "+15005550009".into(), ..Caller::new(&server, 1) };
    assert_eq!(nobodys.posts("/api/twilio/voice", &[]).await.status, 404);
}

#[tokio::test]
async fn the_log_names_the_call_with_its_numbers_masked() {
    let server = server(DESK).await;
    let ana = Caller::new(&server, 1);
    ana.posts("/api/twilio/demo/answer", &[]).await;
    let log = server.log();
    assert!(log.contains(&ana.sid), "{log}");
    assert!(!log.contains(ANA) && !log.contains(OURS), "{log}");
    for part in ["from=+34", "to=+34"] {
        assert!(log.contains(part), "{part} is not in {log}");
    }
}

#[tokio::test]
async fn the_fallback_url_answers_without_the_database() {
    let mut server = server(DESK).await;
    let ana = Caller::new(&server, 1);
    let lock = rusqlite_lock(&server);
    for path in ["/api/twilio/demo/fallback", "/api/twilio/fallback"] {
        let twiml = ana.posts(path, &[("ErrorCode", "11200"), ("ErrorUrl", "https://example.com")]).await;
        assert_eq!(twiml.status, 200);
        twiml.says("We are sorry, we cannot take your call right now.");
        assert_eq!(twiml.verbs(), ["Response", "Say", "Hangup"]);
    }
    drop(lock);
    assert!(server.is_running());
}

/// While another process locks the database, the caller hears the fallback text within the budget.
#[tokio::test]
async fn a_call_is_answered_in_time_whatever_the_database_or_a_rule_does() {
    let server = server(&format!("{DESK}\nrule(\"endless\").on(\"call_input\").then(|e| {{ loop {{}} }});")).await;
    let ana = Caller::new(&server, 1);
    let twiml = ana.posts("/api/twilio/demo/answer", &[]).await;
    twiml.says("Pulse 1");
    // The endless rule is stopped, the one that waits for the key is heard.
    ana.answers(&twiml, &[("Digits", "1")]).await.says("Gracias");
    let lock = rusqlite_lock(&server);
    let in_trouble: TwimlResponse = Caller::new(&server, 2).posts("/api/twilio/demo/answer", &[]).await;
    in_trouble.says("We are sorry");
    drop(lock);
    // The caller's input is stored, and the next caller is answered as usual.
    let next = AtomicU32::new(3);
    eventually(WITHIN, || async {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let twiml = Caller::new(&server, number.into()).posts("/api/twilio/demo/answer", &[]).await;
        if twiml.document.contains("Pulse 1") { Ok(()) } else { Err(twiml) }
    })
    .await;
}

/// A night caller receives a text at once: it is an answer, and quiet hours do not apply.
#[tokio::test]
async fn a_text_to_a_caller_on_the_line_is_an_answer() {
    let rules = r#"rule("text").on("call_received").then(|e| { send_sms(e.contact, "hours"); say("We text you."); });
        rule("missed").on("call_missed").then(|e| send_sms(e.contact, "sorry"));
        rule("ours").on("call_failed").then(|e| send_sms(e.contact, "we rang"));"#;
    let server = server(rules).await;
    Caller::new(&server, 1).posts("/api/twilio/demo/answer", &[]).await.says("We text you.");
    Caller::new(&server, 2).posts("/api/twilio/demo/status", &[("CallStatus", "no-answer")]).await;
    let ours = Caller { direction: "outbound-api", from: OURS.into(), to: ANA.into(), ..Caller::new(&server, 3) };
    ours.posts("/api/twilio/status", &[("CallStatus", "no-answer")]).await;
    let look = Look::into(server.folder()).await;
    eventually(WITHIN, || async {
        let origins = "SELECT coalesce(group_concat(rule || ' ' || origin, ', '), '') FROM
            (SELECT rule, origin FROM actions WHERE kind = 'send_sms' ORDER BY rule)";
        let origins = look.text_or_number(origins).await;
        if origins == "missed answer, ours business, text answer" { Ok(()) } else { Err(origins) }
    })
    .await;
}

#[tokio::test]
async fn messages_calls_and_their_ends_arrive_by_the_urls_without_a_slug() {
    let rules = format!("{DESK}\nrule(\"chat\").on(\"inbound_whatsapp\").then(|e| note(`wrote: ${{e.body}}`));");
    let server = Server::start(options(&rules).env("TWILIO_WHATSAPP_NUMBER", OURS)).await;
    let ana = Caller::new(&server, 1);
    let chat = ana.twilio.inbound(&message_sid(1), &format!("whatsapp:{ANA}"), &format!("whatsapp:{OURS}"), "Hola");
    let end = ana.form(&[("CallStatus", "completed"), ("CallDuration", "42")]);
    let all =
        [("/api/whatsapp/webhook", chat), ("/api/voice/webhook", ana.form(&[])), ("/api/voice/status-callback", end)];
    // Unsigned, or signed for another of the three: no request has any effect.
    for (path, form) in &all {
        let url = |path: &str| format!("{}{path}", ana.twilio.public_url);
        let other = if *path == "/api/voice/webhook" { "/api/whatsapp/webhook" } else { "/api/voice/webhook" };
        for signature in ["", &sign(&ana.twilio.auth_token, &url(other), form)] {
            let answer = ana.twilio.post_with_signature(path, form, signature).await.expect("it answers");
            assert_eq!(answer.status().as_u16(), 403, "{path}");
        }
    }
    let look = Look::into(server.folder()).await;
    assert_eq!((look.count("events").await, look.count("messages").await, look.count("calls").await), (0, 0, 0));

    let written = ana.twilio.post(all[0].0, &all[0].1).await.expect("it answers");
    assert_eq!(written.status().as_u16(), 200);
    noted(&server, "wrote: Hola").await;
    assert_eq!(look.count("messages WHERE channel = 'whatsapp' AND direction = 'in'").await, 1);
    let twiml = ana.posts(all[1].0, &[]).await;
    twiml.says("Pulse 1");
    ana.answers(&twiml, &[("Digits", "1")]).await.says("Gracias");
    assert_eq!(calls(&server, &[])[0]["status"], "in-progress");
    let ended = ana.twilio.post(all[2].0, &all[2].1).await.expect("it answers");
    assert_eq!(ended.status().as_u16(), 200);
    noted(&server, "spoke 42 s, 4 lines").await;
    let call = calls(&server, &[&ana.sid]);
    assert_eq!((&call["status"], &call["duration_s"]), (&json!("completed"), &json!(42)));
    assert_eq!(look.count("contacts").await, 1, "whoever wrote and rang is one customer");
}

/// Locks the server's database for writing, as another process would.
pub fn rusqlite_lock(server: &Server) -> rusqlite::Connection {
    let db = rusqlite::Connection::open(server.folder().join("data/recado.db")).expect("it can be opened");
    db.busy_timeout(Duration::from_secs(5)).expect("a setting");
    db.execute_batch("BEGIN IMMEDIATE").expect("it can be locked");
    db
}
