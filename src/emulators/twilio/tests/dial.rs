//! Calls that dial others, wait in queues, are recorded, and are changed while they run.

use super::calls::{App, Asked};
use super::*;

const AGENT: &str = "+34600999888";

fn of<'a>(asked: &'a [Asked], path: &str) -> Vec<&'a Asked> {
    asked.iter().filter(|asked| asked.path == path).collect()
}

impl World {
    /// Returns the call's leg to a number.
    fn leg_to(&self, to: &str) -> Call {
        self.carrier.calls().into_iter().rfind(|call| call.to == to).unwrap()
    }

    /// Waits for an event in a call to or from a customer.
    async fn happens(&self, customer: &str, what: impl Fn(&CallEvent) -> bool) -> Call {
        let mut changes = self.carrier.0.calls.changes();
        loop {
            changes.mark_unchanged();
            let found = self
                .carrier
                .calls()
                .into_iter()
                .rfind(|call| call.customer() == customer && call.entries.iter().any(|entry| what(&entry.what)));
            if let Some(call) = found {
                return call;
            }
            changes.changed().await.unwrap();
        }
    }
}

const DIAL: &str = "<Response><Dial action=\"/dialled\" callerId=\"+34911222333\"><Number url=\"/whisper\" \
                    statusCallback=\"/leg\" statusCallbackEvent=\"ringing answered completed\">+34600999888</Number></Dial></Response>";
const WHISPER: &str =
    "<Response><Gather numDigits=\"1\" action=\"/accept\"><Say>Pulse uno</Say></Gather><Hangup/></Response>";

#[tokio::test]
async fn a_dialled_number_is_rung_and_connected() {
    let done = "<Response><Say>Adiós</Say></Response>";
    let documents = [("/voice", DIAL), ("/whisper", WHISPER), ("/accept", "<Response/>"), ("/dialled", done)];
    let mut app = App::new(&documents).await;
    let world = World::answering(&app).await;
    let agent = [Step::digits("1"), Step::speech("Hola, dígame"), Step::hangup()];
    world.carrier.set_party(AGENT, Party::does(agent)).unwrap();
    let call = world.caller(vec![]).await;
    let leg = world.leg_to(AGENT);
    assert_eq!((leg.direction, leg.parent_sid.as_deref()), (CallDirection::OutboundDial, Some(call.sid.as_str())));
    assert_eq!((leg.from.as_str(), leg.status, leg.said()), (FROM, CallStatus::Completed, vec!["Pulse uno"]));
    assert_eq!(call.said(), ["Adiós"]);
    let asked = app.all();
    let reported: Vec<_> = of(&asked, "/leg").iter().map(|asked| asked.get("CallStatus").to_owned()).collect();
    assert_eq!(reported, ["ringing", "in-progress", "completed"]);
    let dialled = of(&asked, "/dialled")[0];
    let result = ["DialCallStatus", "DialBridged", "DialCallSid"].map(|key| dialled.get(key));
    assert_eq!(result, ["completed", "true", &leg.sid]);
    assert!(dialled.get("DialCallDuration").parse::<u64>().unwrap() > 0);
}

#[tokio::test]
async fn who_is_dialled_in_vain_is_told_to_the_action() {
    let two = "<Response><Dial action=\"/dialled\"><Number>+34600999888</Number><Number>+34600999777</Number></Dial></Response>";
    let mut app = App::new(&[("/voice", two), ("/dialled", "<Response/>")]).await;
    let world = World::answering(&app).await;
    for (first, second, expect) in [
        (PicksUp::Busy, PicksUp::Busy, "busy"),
        (PicksUp::NoAnswer, PicksUp::NoAnswer, "no-answer"),
        (PicksUp::Failed, PicksUp::Failed, "failed"),
        (PicksUp::Busy, PicksUp::Answers, "completed"),
    ] {
        world.carrier.set_party(AGENT, Party::picks_up(first)).unwrap();
        world.carrier.set_party("+34600999777", Party::picks_up(second)).unwrap();
        world.caller(vec![]).await;
        let asked = app.all();
        assert_eq!(of(&asked, "/dialled")[0].get("DialCallStatus"), expect);
    }
}

#[tokio::test]
async fn a_caller_waits_until_somebody_takes_the_call() {
    let documents = [
        ("/voice", "<Response><Enqueue waitUrl=\"/wait\" action=\"/left\">ventas</Enqueue></Response>"),
        ("/wait", "<Response><Say>Espere</Say><Play loop=\"0\">/music.mp3</Play></Response>"),
        ("/left", "<Response><Say>Hasta luego</Say></Response>"),
        ("/agent", "<Response><Dial action=\"/done\"><Queue>ventas</Queue></Dial></Response>"),
        ("/done", "<Response/>"),
    ];
    let mut app = App::new(&documents).await;
    let world = World::answering(&app).await;
    let caller = CustomerCall { from: TO.into(), to: FROM.into(), ..CustomerCall::default() };
    let caller = world.carrier.take_call(&caller).unwrap().sid;
    world.happens(TO, |what| matches!(what, CallEvent::Played { .. })).await;
    world.clock.advance(Duration::from_secs(42));
    world.carrier.set_party(AGENT, Party::does([Step::speech("Dígame"), Step::hangup()])).unwrap();
    let agent = [("From", FROM), ("To", AGENT), ("Url", &format!("{}/agent", app.url))];
    world.rest(axum::http::Method::POST, "Calls.json", &agent).await;
    world.carrier.wait_calls().await;
    let asked = app.all();
    let wait = of(&asked, "/wait")[0];
    let reported = ["QueuePosition", "CurrentQueueSize", "QueueTime", "AvgQueueTime"].map(|key| wait.get(key));
    assert_eq!(reported, ["1", "1", "0", "0"]);
    let left = of(&asked, "/left")[0];
    assert_eq!((left.get("QueueResult"), left.get("QueueSid")), ("bridged", wait.get("QueueSid")));
    assert!(left.get("QueueTime").parse::<u64>().unwrap() >= 42, "{left:?}");
    let done = of(&asked, "/done")[0];
    assert_eq!((done.get("DialCallStatus"), done.get("DialCallSid")), ("completed", caller.as_str()));
    // The side that hung up has ended; the other one is still connected.
    assert_eq!((done.get("CallStatus"), left.get("CallStatus")), ("completed", "in-progress"));
    assert_eq!(world.carrier.find_call(&caller).unwrap().said(), ["Espere", "Hasta luego"]);
}

#[tokio::test]
async fn a_queue_is_left_by_key_and_may_be_full() {
    let wait = "<Response><Gather numDigits=\"1\" action=\"/leave\"><Say>Pulse uno</Say></Gather></Response>";
    let documents = [
        ("/voice", "<Response><Enqueue waitUrl=\"/wait\" action=\"/left\">ventas</Enqueue></Response>"),
        ("/wait", wait),
        ("/leave", "<Response><Leave/></Response>"),
        ("/left", "<Response><Say>Le llamaremos</Say></Response>"),
        ("/full", "<Response><Enqueue maxQueueSize=\"0\" action=\"/left\">ventas</Enqueue></Response>"),
    ];
    let mut app = App::new(&documents).await;
    let world = World::answering(&app).await;
    let call = world.caller(vec![Step::digits("1")]).await;
    assert_eq!(call.said(), ["Pulse uno", "Le llamaremos"]);
    assert_eq!(of(&app.all(), "/left")[0].get("QueueResult"), "leave");
    let gone = world.caller(vec![Step::hangup()]).await;
    assert_eq!(gone.said(), ["Pulse uno"]);
    assert_eq!(of(&app.all(), "/left")[0].get("QueueResult"), "hangup");
    world.call(&[("Url", &format!("{}/full", app.url))]).await;
    world.carrier.wait_calls().await;
    assert_eq!(of(&app.all(), "/left")[0].get("QueueResult"), "queue-full");
}

#[tokio::test]
async fn a_person_who_hangs_up_while_waiting_is_told_to_the_action() {
    let wait = "<Response><Enqueue waitUrl=\"/wait\" action=\"/left\">ventas</Enqueue></Response>";
    let mut app = App::new(&[("/voice", wait), ("/wait", "<Response/>")]).await;
    let world = World::answering(&app).await;
    let call = CustomerCall { from: TO.into(), to: FROM.into(), live: true, ..CustomerCall::default() };
    let sid = world.carrier.take_call(&call).unwrap().sid;
    while app.next().await.path != "/wait" {}
    world.clock.advance(Duration::from_millis(900));
    world.carrier.act(&sid, Act::Does(Step::hangup())).unwrap();
    world.carrier.wait_calls().await;
    let asked = app.all();
    let reported = ["QueueResult", "QueueTime", "CallStatus"].map(|key| of(&asked, "/left")[0].get(key));
    assert_eq!(reported, ["hangup", "0", "completed"]);
    assert_eq!(world.carrier.find_call(&sid).unwrap().status, CallStatus::Completed);
}

#[tokio::test]
async fn a_call_is_led_elsewhere_and_ended_over_the_api() {
    let hold = "<Response><Enqueue>siempre</Enqueue></Response>";
    let mut app = App::new(&[("/call", hold), ("/other", hold)]).await;
    let world = World::answering(&app).await;
    let (_, made) = world.call(&[("Url", &format!("{}/call", app.url))]).await;
    let path = format!("Calls/{}.json", made["sid"].as_str().unwrap());
    let post = |fields: Vec<(&'static str, String)>| {
        let (world, path) = (&world, &path);
        async move {
            let fields: Vec<_> = fields.iter().map(|(key, value)| (*key, value.as_str())).collect();
            world.rest(axum::http::Method::POST, path, &fields).await
        }
    };
    world.happens(TO, |what| matches!(what, CallEvent::Queue { what: "entered", .. })).await;
    assert_eq!(post(vec![("Url", format!("{}/other", app.url))]).await.0, 200);
    while app.next().await.path != "/other" {}
    assert_eq!(post(vec![("Twiml", "<Response><Say>Uno</Say><Pause length=\"2\"/></Response>".into())]).await.0, 200);
    world.carrier.wait_calls().await;
    let call = world.leg_to(TO);
    assert_eq!((call.said(), call.duration_s()), (vec!["Uno"], 3));
    assert_eq!(post(vec![("Url", format!("{}/other", app.url))]).await.1["code"], 21220);
    assert_eq!(post(vec![("Status", "completed".into())]).await.1["status"], "completed");
    assert_eq!(post(vec![("Status", "busy".into())]).await.1["code"], 21218);

    world.carrier.set_party(TO, Party { after_ms: 60_000, ..Party::default() }).unwrap();
    let (_, rings) = world.call(&[("Url", &format!("{}/call", app.url))]).await;
    let path = format!("Calls/{}.json", rings["sid"].as_str().unwrap());
    world.rest(axum::http::Method::POST, &path, &[("Status", "canceled")]).await;
    world.carrier.wait_calls().await;
    assert_eq!(world.leg_to(TO).status, CallStatus::Canceled);
}

#[tokio::test]
async fn machines_are_told_from_people() {
    let mut app = App::new(&[("/call", "<Response/>")]).await;
    let world = World::answering(&app).await;
    let (url, amd) = (format!("{}/call", app.url), format!("{}/amd", app.url));
    for (picks_up, detection, expect) in [
        (PicksUp::Answers, "Enable", "human"),
        (PicksUp::Machine, "Enable", "machine_start"),
        (PicksUp::Machine, "DetectMessageEnd", "machine_end_beep"),
        (PicksUp::Fax, "Enable", "fax"),
    ] {
        world.carrier.set_party(TO, Party::picks_up(picks_up)).unwrap();
        let fields = [("Url", url.as_str()), ("MachineDetection", detection)];
        world.call(&fields).await;
        world.carrier.wait_calls().await;
        assert_eq!(app.next().await.get("AnsweredBy"), expect);
        let aside = [("AsyncAmd", "true"), ("AsyncAmdStatusCallback", &amd)];
        world.call(&[fields, aside].concat()).await;
        world.carrier.wait_calls().await;
        let asked = app.all();
        assert_eq!(of(&asked, "/call")[0].params.get("AnsweredBy"), None);
        let reported = of(&asked, "/amd")[0];
        assert_eq!((reported.get("AnsweredBy"), reported.get("CallSid")), (expect, world.leg_to(TO).sid.as_str()));
        assert!(reported.get("MachineDetectionDuration").parse::<u64>().unwrap() > 0);
    }
}

#[tokio::test]
async fn what_is_said_after_the_tone_is_recorded() {
    let record = "<Response><Record action=\"/said\" recordingStatusCallback=\"/recorded\" transcribe=\"true\" \
                  transcribeCallback=\"/text\"/><Say>Nada</Say></Response>";
    let mut app = App::new(&[("/voice", record), ("/said", "<Response/>")]).await;
    let world = World::answering(&app).await;
    // A request tells the emulator its base URL.
    world.rest(axum::http::Method::GET, "Calls.json", &[]).await;
    world.caller(vec![Step::speech("Llámenme mañana")]).await;
    let asked = app.all();
    let said = of(&asked, "/said")[0];
    assert!(crate::integrations::twilio::is_sid("RE", said.get("RecordingSid")));
    assert!(said.get("RecordingUrl").ends_with(said.get("RecordingSid")));
    assert_eq!(said.get("RecordingDuration"), "2");
    let sound =
        http::client().unwrap().get(said.get("RecordingUrl")).basic_auth(SID, Some(TOKEN)).send().await.unwrap();
    assert_eq!((sound.status().as_u16(), sound.headers()["content-type"].to_str().unwrap()), (200, "audio/x-wav"));
    assert_eq!(sound.bytes().await.unwrap().len(), 46 + 16_000);
    let path = format!("Recordings/{}.json", said.get("RecordingSid"));
    assert_eq!(world.rest(axum::http::Method::GET, &path, &[]).await.1["duration"], "2");
    let recorded = of(&asked, "/recorded")[0];
    assert_eq!(
        (recorded.get("RecordingStatus"), recorded.get("RecordingSid")),
        ("completed", said.get("RecordingSid"))
    );
    assert_eq!(of(&asked, "/text")[0].get("TranscriptionText"), "Llámenme mañana");
    let call = world.caller(vec![Step::silence()]).await;
    assert_eq!(call.said(), ["Nada"], "silence is no recording");
    world.caller(vec![Step::hangup()]).await;
    assert_eq!(of(&app.all(), "/said")[0].get("Digits"), "hangup");
}

#[tokio::test]
async fn callbacks_of_calls_come_as_ordered() {
    use FaultKind::{CallbacksBeforeAnswer, CallbacksDoubled, CallbacksLost, CallbacksReordered};
    let mut app = App::new(&[("/call", "<Response/>")]).await;
    let world = World::answering(&app).await;
    let (url, callback_url) = (format!("{}/call", app.url), format!("{}/told", app.url));
    let events = ["initiated ringing", "answered completed"].map(|events| ("StatusCallbackEvent", events));
    let fields: Vec<_> = [("Url", url.as_str()), ("StatusCallback", &callback_url)].into_iter().chain(events).collect();
    for (fault, expect) in [
        (None, "0123"),
        (Some(CallbacksReordered), "3210"),
        (Some(CallbacksDoubled), "00112233"),
        (Some(CallbacksLost), ""),
        (Some(CallbacksBeforeAnswer), "0123"),
    ] {
        if let Some(fault) = fault {
            world.carrier.add_fault(Fault { on: On::Call, ..Fault::times(fault, 1) }).unwrap();
        }
        assert_eq!(world.call(&fields).await.0, 201);
        if fault != Some(CallbacksBeforeAnswer) {
            world.carrier.wait_calls().await;
        }
        let numbers: String =
            of(&app.all(), "/told").iter().map(|asked| asked.get("SequenceNumber").to_owned()).collect();
        assert_eq!(numbers, expect, "{fault:?}");
    }
}

#[tokio::test]
async fn calls_fail_on_demand() {
    let world = World::with(|config| config.pace.calls_per_second = None).await;
    let twiml = [("Twiml", "<Response/>")];
    for (fault, status, taken) in
        [(FaultKind::Throttle, 429, 0), (FaultKind::Error500AfterAccept, 500, 1), (FaultKind::Unavailable503, 503, 1)]
    {
        world.carrier.add_fault(Fault { on: On::Call, ..Fault::times(fault, 1) }).unwrap();
        assert_eq!((world.call(&twiml).await.0, world.carrier.calls().len()), (status, taken), "{fault:?}");
    }
    world.carrier.add_fault(Fault { on: On::Call, ..Fault::times(FaultKind::DropAfterAccept, 1) }).unwrap();
    let url = format!("{}/2010-04-01/Accounts/{SID}/Calls.json", world.base);
    let form = [("To", TO), ("From", FROM), twiml[0]];
    let dropped = http::client().unwrap().post(url).basic_auth(SID, Some(TOKEN)).form(&form).send().await;
    assert!(dropped.is_err());
    assert_eq!(world.carrier.calls().len(), 2, "it was taken");
    world.carrier.wait_calls().await;
}

#[tokio::test]
async fn a_person_takes_a_call_and_acts() {
    let menu = "<Response><Gather input=\"dtmf speech\" action=\"/got\"><Say>¿Qué desea?</Say></Gather></Response>";
    let mut app = App::new(&[("/call", menu), ("/got", menu)]).await;
    let world = World::answering(&app).await;
    world.carrier.set_party(TO, Party::picks_up(PicksUp::Live)).unwrap();
    let url = format!("{}/call", app.url);
    let sid = world.call(&[("Url", &url)]).await.1["sid"].as_str().unwrap().to_owned();
    let act = |act: serde_json::Value| {
        let (world, path) = (&world, format!("/carrier/calls/{sid}/act"));
        async move { world.post(&path, &act).await.status().as_u16() }
    };
    world.happens(TO, |what| matches!(what, CallEvent::Status { status: CallStatus::Ringing })).await;
    assert!(app.all().is_empty(), "it rings");
    assert_eq!(act(serde_json::json!({"answer": true})).await, 204);
    assert_eq!(app.next().await.path, "/call");
    assert_eq!(act(serde_json::json!({"speech": "una cita"})).await, 204);
    assert_eq!(app.next().await.get("SpeechResult"), "una cita");
    assert_eq!(act(serde_json::json!({"digits": "12"})).await, 204);
    assert_eq!(app.next().await.get("Digits"), "12");
    assert_eq!(act(serde_json::json!({"digits": "y"})).await, 400);
    assert_eq!(act(serde_json::json!({"hangup": true})).await, 204);
    world.carrier.wait_calls().await;
    assert_eq!(act(serde_json::json!({"hangup": true})).await, 409);

    world.call(&[("Url", &url), ("Timeout", "20")]).await;
    world.happens(TO, |what| matches!(what, CallEvent::Status { status: CallStatus::Ringing })).await;
    world.clock.advance(Duration::from_secs(20));
    world.carrier.wait_calls().await;
    assert_eq!(world.leg_to(TO).status, CallStatus::NoAnswer);
}

#[tokio::test]
async fn two_hundred_calls_at_once_lose_none() {
    let menu = "<Response><Gather numDigits=\"1\" action=\"/call\"><Say>Otra vez</Say></Gather></Response>";
    let mut app = App::new(&[("/call", menu)]).await;
    let world = World::answering(&app).await;
    let (url, callback_url) = (format!("{}/call", app.url), format!("{}/told", app.url));
    let mut made = Vec::new();
    for number in 0..200 {
        let to = format!("+346001{number:05}");
        world.carrier.set_party(&to, Party::does(vec![Step::digits("1"); 4])).unwrap();
        let form = [("To", to.as_str()), ("From", FROM), ("Url", &url), ("StatusCallback", &callback_url)];
        made.push(world.rest(axum::http::Method::POST, "Calls.json", &form).await.0);
    }
    world.carrier.wait_calls().await;
    assert_eq!(made, vec![201; 200]);
    let asked = app.all();
    assert_eq!((of(&asked, "/call").len(), of(&asked, "/told").len()), (1000, 200));
}
