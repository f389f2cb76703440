//! Media streams: a WebSocket server at the other end of a call.

use axum::extract::Request;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::any;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::calls::App;
use super::*;

/// An accepted stream: its socket, and the path with its query.
struct Came {
    socket: WebSocket,
    path: String,
}

impl Came {
    async fn next(&mut self) -> Option<Value> {
        loop {
            match self.socket.recv().await? {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(Message::Close(_)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Receives the next message of this kind.
    async fn event(&mut self, event: &str) -> Value {
        loop {
            let message = self.next().await.unwrap_or_else(|| panic!("no {event} came"));
            if message["event"] == event {
                return message;
            }
        }
    }

    async fn send(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    /// Receives the first messages; returns `start`.
    async fn begin(&mut self) -> Value {
        let connected = self.next().await.unwrap();
        assert_eq!((connected["event"].as_str(), connected["protocol"].as_str()), (Some("connected"), Some("Call")));
        self.next().await.unwrap()
    }
}

/// A stream listener: its URL, and the accepted streams.
async fn listener() -> (String, mpsc::UnboundedReceiver<Came>) {
    let (sender, came) = mpsc::unbounded_channel();
    let answer = move |upgrade: WebSocketUpgrade, request: Request| {
        let (sender, path) = (sender.clone(), request.uri().to_string());
        async move {
            upgrade.on_upgrade(move |socket| async move {
                // Fails if the test has ended.
                let _ = sender.send(Came { socket, path });
            })
        }
    };
    let address = serve(Router::new().route("/{*path}", any(answer))).await;
    (format!("ws://{address}"), came)
}

fn document(url: &str) -> String {
    format!(
        "<Response><Connect><Stream url=\"{url}/s/token?lost=1\" name=\"agent\" statusCallback=\"{{app}}/stream\">\
         <Parameter name=\"tenant\" value=\"a &amp; b\"/></Stream></Connect><Say>Adiós</Say></Response>"
    )
}

/// Starts a call to `/voice`, which connects a stream.
async fn connected(steps: Vec<Step>) -> (World, App, Came, oneshot::Receiver<Call>) {
    let (url, mut came) = listener().await;
    let app = App::new(&[("/voice", &document(&url))]).await;
    let world = World::answering(&app).await;
    let call = CustomerCall { from: TO.into(), to: FROM.into(), steps, ..CustomerCall::default() };
    let sid = world.carrier.take_call(&call).unwrap().sid;
    let (done, over) = oneshot::channel();
    let carrier = world.carrier.clone();
    tokio::spawn(async move {
        carrier.wait_calls().await;
        let _ = done.send(carrier.find_call(&sid).unwrap());
    });
    let came = came.recv().await.unwrap();
    (world, app, came, over)
}

#[tokio::test]
async fn a_stream_tells_what_it_is_and_sends_sound_and_keys() {
    let steps =
        vec![Step::Sound(Sound::Tone { tone_ms: 100, hz: None }), Step::digits("5"), Step::silence(), Step::hangup()];
    let (world, mut app, mut came, over) = connected(steps).await;
    assert_eq!(came.path, "/s/token", "the query is dropped");
    let start = came.begin().await;
    let sid = start["streamSid"].as_str().unwrap().to_owned();
    assert!(crate::integrations::twilio::is_sid("MZ", &sid));
    let expect = json!({"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1});
    assert_eq!((&start["event"], &start["start"]["mediaFormat"]), (&json!("start"), &expect));
    assert_eq!(
        (&start["start"]["customParameters"], &start["start"]["tracks"]),
        (&json!({"tenant": "a & b"}), &json!(["inbound"]))
    );
    assert_eq!(start["sequenceNumber"], "1");
    let (mut sound, mut frames, mut digit) = (Vec::new(), 0, None);
    loop {
        let message = came.next().await.unwrap();
        match message["event"].as_str().unwrap() {
            "media" => {
                let frame = STANDARD.decode(message["media"]["payload"].as_str().unwrap()).unwrap();
                frames += 1;
                assert_eq!((frame.len(), message["media"]["chunk"].as_str()), (160, Some(frames.to_string().as_str())));
                sound.extend(frame);
            }
            "dtmf" => digit = Some((message["dtmf"]["digit"].clone(), frames)),
            "stop" => break,
            other => panic!("{other}"),
        }
    }
    assert!(sound.starts_with(&[0xff, 0xff]) || sound[1] != 0xff, "it begins with the tone or before it");
    let loud = sound.iter().filter(|byte| **byte != 0xff).count();
    assert!((760..=800).contains(&loud), "{loud} of 800 bytes of a tone");
    let (digit, after) = digit.unwrap();
    assert!(digit == "5" && after >= 5 && frames >= after + 49, "{after} of {frames}");
    let call = over.await.unwrap();
    assert_eq!((call.status, call.said()), (CallStatus::Completed, vec![]));
    let reported: Vec<_> = app.all().into_iter().filter(|asked| asked.path == "/stream").collect();
    let events: Vec<_> =
        reported.iter().map(|reported| (reported.get("StreamEvent"), reported.get("StreamSid") == sid)).collect();
    assert_eq!(events, [("stream-started", true), ("stream-stopped", true)]);
    assert!(world.carrier.streams()[0].over);
}

#[tokio::test]
async fn sound_that_comes_is_played_and_marks_come_back_after_it() {
    let (world, _app, mut came, over) = connected(vec![]).await;
    let start = came.begin().await;
    let sid = &start["streamSid"];
    let media = |bytes: usize| json!({"event": "media", "streamSid": sid, "media": {"payload": STANDARD.encode(vec![7; bytes])}});
    let mark = |name: &str| json!({"event": "mark", "streamSid": sid, "mark": {"name": name}});
    came.send(mark("at once")).await;
    assert_eq!(came.event("mark").await["mark"]["name"], "at once");
    came.send(media(480)).await;
    came.send(mark("heard")).await;
    let mut frames = 0;
    let back = loop {
        let message = came.next().await.unwrap();
        frames += usize::from(message["event"] == "media");
        if message["event"] == "mark" {
            break message;
        }
    };
    assert_eq!(back["mark"]["name"], "heard");
    assert!(frames >= 3, "60 ms take three frames, not {frames}");
    // A minute of audio, which must not be played.
    came.send(media(480_000)).await;
    came.send(mark("never heard")).await;
    came.send(json!({"event": "clear", "streamSid": sid})).await;
    assert_eq!(came.event("mark").await["mark"]["name"], "never heard");
    drop(came);
    let call = over.await.unwrap();
    assert_eq!(call.said(), ["Adiós"], "the document goes on once the stream is closed");
    let record = &world.carrier.streams()[0];
    assert_eq!((record.frames_received, record.bytes_received, record.clears), (2, 480_480, 1));
    assert!(record.bytes_cleared > 400_000 && record.marks == ["at once", "heard", "never heard"]);
    let url = format!("{}/carrier/streams/{}/sound", world.base, record.sid);
    let sound = http::client().unwrap().get(url).send().await.unwrap().bytes().await.unwrap();
    assert!(sound.len() >= 480 && sound.iter().all(|byte| *byte == 7));
}

#[tokio::test]
async fn what_is_no_message_ends_the_stream_with_its_code() {
    let payload = json!({"payload": "***"});
    for wrong in [
        json!({"event": "shout"}),
        json!({"event": "clear", "streamSid": "MZ1"}),
        json!({"event": "media", "media": payload}),
        json!([]),
    ] {
        let (_world, mut app, mut came, over) = connected(vec![]).await;
        came.begin().await;
        came.send(wrong.clone()).await;
        came.event("stop").await;
        let call = over.await.unwrap();
        let codes: Vec<_> = call
            .entries
            .iter()
            .filter_map(|entry| match &entry.what {
                CallEvent::Fault { code, .. } => Some(*code),
                _ => None,
            })
            .collect();
        assert_eq!((codes, call.said()), (vec![31951], vec!["Adiós"]), "{wrong}");
        let reported = app.all().into_iter().rfind(|asked| asked.path == "/stream").unwrap();
        assert_eq!(reported.get("StreamEvent"), "stream-error");
    }
}

#[tokio::test]
async fn a_stream_that_cannot_be_had_is_skipped() {
    for url in ["ws://127.0.0.1:1", "wss://example.com", "nonsense"] {
        let app = App::new(&[("/voice", &document(url))]).await;
        let world = World::answering(&app).await;
        let call = world.caller(vec![]).await;
        assert_eq!((call.error, call.said()), (Some(31920), vec!["Adiós"]), "{url}");
    }
}

#[tokio::test]
async fn a_stream_beside_the_call_only_listens() {
    let (url, mut streams) = listener().await;
    let start = format!(
        "<Response><Start><Stream url=\"{url}/s\" name=\"ear\" track=\"both_tracks\"/></Start>\
         <Gather action=\"{{app}}/next\"><Say>Hola</Say></Gather></Response>"
    );
    let stop = "<Response><Stop><Stream name=\"ear\"/></Stop><Gather><Say>Sigue</Say></Gather></Response>";
    let app = App::new(&[("/voice", &start), ("/next", stop)]).await;
    let world = World::answering(&app).await;
    let call = CustomerCall { from: TO.into(), to: FROM.into(), live: true, ..CustomerCall::default() };
    let sid = world.carrier.take_call(&call).unwrap().sid;
    let mut came = streams.recv().await.unwrap();
    assert_eq!(came.begin().await["start"]["tracks"], json!(["inbound", "outbound"]));
    came.send(json!({"event": "shout"})).await;
    let tracks = [came.event("media").await, came.event("media").await].map(|media| media["media"]["track"].clone());
    assert_eq!(tracks, ["inbound", "outbound"]);
    world.carrier.act(&sid, Act::Does(Step::digits("1"))).unwrap();
    came.event("stop").await;
    assert_eq!(world.carrier.calls_open(), 1, "the call goes on");
    world.carrier.act(&sid, Act::Does(Step::hangup())).unwrap();
    world.carrier.wait_calls().await;
}
