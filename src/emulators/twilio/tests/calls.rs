//! Calls against the emulator, over a real loopback connection: an app server answers with TwiML.

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::Method;
use serde_json::{Value, json};

use super::*;

/// A request with a valid signature.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    pub method: Method,
    pub params: Params,
}

impl Asked {
    pub fn get(&self, key: &str) -> &str {
        self.params.get(key).unwrap_or_else(|| panic!("no {key} in {self:?}"))
    }
}

/// The app server: documents by path, and the received requests.
pub struct App {
    pub url: String,
    asked: mpsc::UnboundedReceiver<Asked>,
}

impl App {
    /// Answers `/a` with the body of `/a`, and 404 to unknown paths.
    pub async fn new(documents: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (sender, asked) = mpsc::unbounded_channel();
        let own = documents.iter().map(|(path, body)| ((*path).to_owned(), body.replace("{app}", &url)));
        let (documents, base) = (Arc::new(own.collect::<HashMap<_, _>>()), url.clone());
        let answer = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| async move {
            let url = format!("{base}{}", uri.path_and_query().unwrap());
            let posted = Params::parse(&body).unwrap();
            let header = headers["X-Twilio-Signature"].to_str().unwrap();
            assert!(signature::verify(header, &[TOKEN], &url, signature::Body::Form(&posted)), "{url}");
            let params = if method == Method::GET {
                Params::parse(uri.query().unwrap_or_default().as_bytes()).unwrap()
            } else {
                posted
            };
            sender.send(Asked { path: uri.path().to_owned(), method, params }).unwrap();
            match documents.get(uri.path()) {
                Some(body) => (StatusCode::OK, [("content-type", "text/xml")], body.clone()),
                None => (StatusCode::NOT_FOUND, [("content-type", "text/plain")], String::new()),
            }
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        Self { url, asked }
    }

    /// Returns the requests so far.
    pub fn all(&mut self) -> Vec<Asked> {
        std::iter::from_fn(|| self.asked.try_recv().ok()).collect()
    }

    pub fn paths(&mut self) -> Vec<String> {
        self.all().into_iter().map(|asked| asked.path).collect()
    }

    pub async fn next(&mut self) -> Asked {
        self.asked.recv().await.unwrap()
    }
}

impl World {
    /// Creates a number whose voice URL is `/voice` of the app server.
    pub async fn answering(app: &App) -> Self {
        let world = Self::with(|config| config.pace.calls_per_second = None).await;
        world.carrier.set_numbers(vec![NumberConfig {
            account_sid: SID.into(),
            number: FROM.into(),
            voice_url: Some(format!("{}/voice", app.url)),
            status_url: Some(format!("{}/status", app.url)),
            ..NumberConfig::default()
        }]);
        world
    }

    /// Calls our number and performs the steps; returns the call after its end has been reported.
    pub async fn caller(&self, steps: Vec<Step>) -> Call {
        let call = CustomerCall { from: TO.into(), to: FROM.into(), steps, ..CustomerCall::default() };
        let sid = self.carrier.take_call(&call).unwrap().sid;
        self.carrier.wait_calls().await;
        self.carrier.find_call(&sid).unwrap()
    }

    /// Creates a call to the customer with these fields; returns the answer.
    pub async fn call(&self, fields: &[(&str, &str)]) -> (u16, Value) {
        let fields: Vec<_> = [("To", TO), ("From", FROM)].into_iter().chain(fields.iter().copied()).collect();
        self.rest(Method::POST, "Calls.json", &fields).await
    }

    pub async fn rest(&self, method: Method, path: &str, fields: &[(&str, &str)]) -> (u16, Value) {
        let url = format!("{}/2010-04-01/Accounts/{SID}/{path}", self.base);
        let request = http::client().unwrap().request(method.clone(), url).basic_auth(SID, Some(TOKEN));
        let request = if method == Method::GET { request.query(fields) } else { request.form(fields) };
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or_default())
    }
}

fn statuses(call: &Call) -> Vec<&'static str> {
    let statuses = call.entries.iter().filter_map(|entry| match &entry.what {
        CallEvent::Status { status } => Some(status.as_str()),
        _ => None,
    });
    statuses.collect()
}

const MENU: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Gather numDigits=\"1\" action=\"pressed?a=1\">\
                    <Say language=\"es-ES\">Pulse uno</Say></Gather><Say>Nada</Say></Response>";

#[tokio::test]
async fn a_caller_hears_presses_and_is_led_on() {
    let mut app = App::new(&[("/voice", MENU), ("/pressed", "<Response><Say>Gracias</Say></Response>")]).await;
    let world = World::answering(&app).await;
    let call = world.caller(vec![Step::digits("1")]).await;
    assert_eq!(call.said(), ["Pulse uno", "Gracias"]);
    assert_eq!((call.status, call.error), (CallStatus::Completed, None));
    assert!(call.entries.iter().any(|entry| matches!(&entry.what,
        CallEvent::Said { language: Some(language), .. } if language == "es-ES")));
    let asked = app.all();
    let paths: Vec<_> = asked.iter().map(|asked| asked.path.as_str()).collect();
    assert_eq!(paths, ["/voice", "/pressed", "/status"]);
    for (key, value) in [("CallSid", call.sid.as_str()), ("AccountSid", SID), ("From", TO), ("To", FROM)] {
        assert!(asked.iter().all(|asked| asked.get(key) == value), "{key}");
    }
    let reported: Vec<_> = asked.iter().map(|asked| asked.get("CallStatus")).collect();
    assert_eq!(reported, ["ringing", "in-progress", "completed"]);
    assert_eq!((asked[1].get("Digits"), asked[0].get("Direction")), ("1", "inbound"));
    assert_eq!((asked[2].get("CallDuration"), asked[2].get("SequenceNumber")), ("2", "0"));
}

#[tokio::test]
async fn who_stays_silent_hears_the_next_verb() {
    let mut app = App::new(&[("/voice", MENU)]).await;
    let world = World::answering(&app).await;
    let call = world.caller(vec![]).await;
    assert_eq!(call.said(), ["Pulse uno", "Nada"]);
    assert_eq!(app.paths(), ["/voice", "/status"]);
}

#[tokio::test]
async fn digits_and_speech_go_to_the_action_by_its_method() {
    let gather = "<Response><Gather input=\"dtmf speech\" method=\"GET\" action=\"/got\"/></Response>";
    let mut app = App::new(&[("/voice", gather), ("/got", "<Response/>")]).await;
    let world = World::answering(&app).await;
    let step = Step::Speech { speech: "quiero una cita & más".into(), confidence: Some(0.75) };
    world.caller(vec![step]).await;
    let asked = app.all();
    assert_eq!((asked[1].path.as_str(), &asked[1].method), ("/got", &Method::GET));
    assert_eq!((asked[1].get("SpeechResult"), asked[1].get("Confidence")), ("quiero una cita & más", "0.75"));
    assert_eq!(asked[1].params.get("Digits"), None);
    world.caller(vec![Step::digits("12#")]).await;
    let asked = app.all();
    assert_eq!((asked[1].get("Digits"), asked[1].get("FinishedOnKey")), ("12", "#"));
}

#[tokio::test]
async fn an_empty_result_is_told_where_that_is_asked_for() {
    let gather = "<Response><Gather action=\"/got\" actionOnEmptyResult=\"true\"/></Response>";
    let mut app = App::new(&[("/voice", gather), ("/got", "<Response><Hangup/></Response>")]).await;
    let world = World::answering(&app).await;
    world.caller(vec![Step::silence()]).await;
    let asked = app.all();
    assert_eq!((asked[1].path.as_str(), asked[1].get("Digits")), ("/got", ""));
}

#[tokio::test]
async fn who_hangs_up_hears_no_more() {
    let mut app = App::new(&[("/voice", MENU)]).await;
    let world = World::answering(&app).await;
    let call = world.caller(vec![Step::hangup()]).await;
    assert_eq!((call.said(), statuses(&call)), (vec!["Pulse uno"], vec!["in-progress", "completed"]));
    let by = call.entries.iter().find_map(|entry| match entry.what {
        CallEvent::HungUp { by } => Some(by),
        _ => None,
    });
    assert_eq!(by, Some(HungUpBy::Party));
    assert_eq!(app.paths(), ["/voice", "/status"]);
}

#[tokio::test]
async fn what_is_no_twiml_ends_the_call_with_twilio_s_code() {
    for (document, code) in [
        ("<Response><Shout/></Response>", 12200),
        ("<Response><Say loud=\"yes\">a</Say></Response>", 12200),
        ("<Response><Say>", 12100),
        ("", 12100),
        ("<Html/>", 12102),
        ("<Response><Redirect>/nowhere</Redirect></Response>", 11217),
        ("<Response><Redirect>http://example.com/</Redirect></Response>", 11200),
        ("<Response><Redirect>/voice</Redirect></Response>", 13000),
    ] {
        let app = App::new(&[("/voice", document)]).await;
        let world = World::answering(&app).await;
        let call = world.caller(vec![]).await;
        assert_eq!((call.error, call.status), (Some(code), CallStatus::Completed), "{document}");
        assert!(call.said().last().unwrap().contains("application error"), "{document}");
    }
}

#[tokio::test]
async fn a_fallback_is_asked_once_something_failed() {
    let mut app = App::new(&[("/voice", "<Response>"), ("/fallback", "<Response><Say>Luego</Say></Response>")]).await;
    let world = World::answering(&app).await;
    let (_, numbers) = world.rest(Method::GET, "IncomingPhoneNumbers.json", &[]).await;
    let sid = numbers["incoming_phone_numbers"][0]["sid"].as_str().unwrap();
    let fallback = format!("{}/fallback", app.url);
    let path = format!("IncomingPhoneNumbers/{sid}.json");
    world.rest(Method::POST, &path, &[("VoiceFallbackUrl", &fallback), ("VoiceFallbackMethod", "GET")]).await;
    let call = world.caller(vec![]).await;
    assert_eq!((call.said(), call.error), (vec!["Luego"], Some(12100)));
    let asked = app.all();
    assert_eq!((asked[1].path.as_str(), &asked[1].method), ("/fallback", &Method::GET));
    assert_eq!((asked[1].get("ErrorCode"), asked[1].get("ErrorUrl")), ("12100", format!("{}/voice", app.url).as_str()));
}

#[tokio::test]
async fn a_call_out_is_made_and_its_states_are_told_in_order() {
    let mut app = App::new(&[("/call", MENU), ("/pressed", "<Response/>")]).await;
    let world = World::answering(&app).await;
    world.carrier.set_party(TO, Party::does([Step::digits("1")])).unwrap();
    let (url, status) = (format!("{}/call", app.url), format!("{}/told", app.url));
    let events = ["initiated", "ringing", "answered", "completed"].map(|event| ("StatusCallbackEvent", event));
    let fields: Vec<_> = [("Url", url.as_str()), ("StatusCallback", &status)].into_iter().chain(events).collect();
    let (http, made) = world.call(&fields).await;
    assert_eq!(
        (http, made["status"].as_str(), made["direction"].as_str()),
        (201, Some("queued"), Some("outbound-api"))
    );
    let sid = made["sid"].as_str().unwrap();
    assert!(crate::integrations::twilio::is_sid("CA", sid), "{sid}");
    world.carrier.wait_calls().await;
    let asked = app.all();
    let reported: Vec<_> = asked.iter().filter(|asked| asked.path == "/told").collect();
    let states: Vec<_> =
        reported.iter().map(|reported| (reported.get("CallStatus"), reported.get("SequenceNumber"))).collect();
    assert_eq!(states, [("initiated", "0"), ("ringing", "1"), ("in-progress", "2"), ("completed", "3")]);
    assert!(reported.iter().all(|reported| reported.get("CallbackSource") == "call-progress-events"));
    assert_eq!(
        (reported[0].get("Timestamp"), reported[3].get("CallDuration")),
        ("Sat, 21 Nov 2026 08:00:00 +0000", "1")
    );
    let first = asked.iter().find(|asked| asked.path == "/call").unwrap();
    assert_eq!((first.get("CallStatus"), first.get("Direction")), ("in-progress", "outbound-api"));
    let (_, found) = world.rest(Method::GET, &format!("Calls/{sid}.json"), &[]).await;
    assert_eq!((found["status"].as_str(), found["duration"].as_str()), (Some("completed"), Some("1")));
}

#[tokio::test]
async fn who_does_not_answer_is_told_as_such() {
    let mut app = App::new(&[("/call", "<Response/>")]).await;
    let world = World::answering(&app).await;
    let (url, status) = (format!("{}/call", app.url), format!("{}/told", app.url));
    for (picks_up, expect) in [
        (PicksUp::Busy, "busy"),
        (PicksUp::NoAnswer, "no-answer"),
        (PicksUp::Failed, "failed"),
        (PicksUp::Answers, "completed"),
    ] {
        world.carrier.set_party(TO, Party::picks_up(picks_up)).unwrap();
        let (_, made) = world.call(&[("Url", &url), ("StatusCallback", &status)]).await;
        world.carrier.wait_calls().await;
        let reported = app.all().pop().unwrap();
        assert_eq!((reported.path.as_str(), reported.get("CallStatus")), ("/told", expect));
        let (_, found) = world.rest(Method::GET, &format!("Calls/{}.json", made["sid"].as_str().unwrap()), &[]).await;
        assert_eq!(found["status"], expect);
    }
}

#[tokio::test]
async fn a_call_begins_when_its_turn_comes() {
    let mut app = App::new(&[("/call", "<Response/>")]).await;
    let world = World::answering(&app).await;
    world.carrier.set_pace(Pace::default());
    let url = format!("{}/call", app.url);
    for _ in 0..3 {
        let (http, made) = world.call(&[("Url", &url)]).await;
        assert_eq!((http, made["status"].as_str()), (201, Some("queued")), "the excess waits, it is not refused");
    }
    for left in [2, 1, 0] {
        app.next().await;
        assert!(app.all().is_empty(), "one a second");
        let (_, waiting) = world.rest(Method::GET, "Calls.json", &[("Status", "queued")]).await;
        assert_eq!(waiting["calls"].as_array().unwrap().len(), left);
        world.clock.advance(Duration::from_secs(1));
    }
    world.carrier.wait_calls().await;
}

#[tokio::test]
async fn calls_are_checked_before_they_are_taken() {
    let world = World::new().await;
    let url = ("Url", "http://127.0.0.1:1/");
    for (fields, code) in [
        (vec![], 21205),
        (vec![("Url", "https://example.com/")], 21205),
        (vec![("Twiml", "x".repeat(4001).as_str())], 32018),
        (vec![url, ("StatusCallback", "nonsense")], 21609),
        (vec![url, ("StatusCallback", "http://127.0.0.1:1/"), ("StatusCallbackEvent", "over")], 21626),
        (vec![url, ("Timeout", "601")], 20001),
        (vec![url, ("Method", "PUT")], 20001),
        (vec![url, ("MachineDetection", "yes")], 20001),
        (vec![url, ("SendDigits", "1a")], 20001),
    ] {
        let (http, refused) = world.call(&fields).await;
        assert_eq!((http, refused["code"].as_u64()), (400, Some(code)), "{fields:?}");
    }
    for (from, to, code) in [
        ("+15005550001", TO, 21212),
        ("+15005550007", TO, 21210),
        ("12", TO, 21212),
        ("", TO, 21213),
        (FROM, "", 21201),
        (FROM, "12", 21211),
        (FROM, "+15005550001", 21217),
        (FROM, "+15005550002", 21214),
        (FROM, "+15005550003", 21215),
        (FROM, "+15005550004", 21216),
    ] {
        let (http, refused) = world.rest(Method::POST, "Calls.json", &[("From", from), ("To", to), url]).await;
        assert_eq!((http, refused["code"].as_u64()), (400, Some(code)), "{from} {to}");
    }
    assert!(world.carrier.calls().is_empty());
    let test = [("From", "+15005550006"), ("To", TO), url];
    assert_eq!(world.rest(Method::POST, "Calls.json", &test).await.0, 201);
    assert_eq!(world.carrier.calls_open(), 0, "test credentials call nobody");
}

#[tokio::test]
async fn what_happened_is_read_over_http() {
    let app = App::new(&[("/voice", MENU), ("/pressed", "<Response/>")]).await;
    let world = World::answering(&app).await;
    let call = json!({"from": TO, "to": FROM, "steps": [{"digits": "1"}]});
    let taken: Value = world.post("/carrier/calls", &call).await.json().await.unwrap();
    let sid = taken["sid"].as_str().unwrap();
    world.carrier.wait_calls().await;
    let url = format!("{}/carrier/calls/{sid}?after=0", world.base);
    let shown: Value = http::client().unwrap().get(url).send().await.unwrap().json().await.unwrap();
    let kinds: Vec<_> =
        shown["entries"].as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap()).collect();
    let expect = [
        "requested",
        "document",
        "status",
        "heard",
        "prompted",
        "pressed",
        "requested",
        "document",
        "hung_up",
        "status",
    ];
    assert_eq!(kinds, expect);
    assert_eq!(
        (shown["entries"][0]["status"].as_u64(), shown["entries"][0]["method"].as_str()),
        (Some(200), Some("POST"))
    );
    for (wrong, status) in [
        (json!({"from": "12", "to": FROM}), 400),
        (json!({"from": TO, "to": "+34911999999"}), 404),
        (json!({"from": TO, "to": FROM, "steps": [{"digits": "x"}]}), 400),
        (json!({"from": TO, "to": FROM, "steps": [{"digit": "1"}]}), 422),
    ] {
        assert_eq!(world.post("/carrier/calls", &wrong).await.status(), status, "{wrong}");
    }
    assert_eq!(world.post(&format!("/carrier/calls/{sid}/act"), &json!({"hangup": true})).await.status(), 409);
}
