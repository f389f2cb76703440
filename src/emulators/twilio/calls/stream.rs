//! `<Connect><Stream>` and `<Start><Stream>`: the call's audio goes to a WebSocket of ours, and back.
//!
//! After <https://www.twilio.com/docs/voice/twiml/stream>. Only loopback is called, so `ws://` is allowed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use secrecy::ExposeSecret;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};
use tokio_tungstenite::connect_async_with_config;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::super::carrier::{Carrier, Inner};
use super::super::method::Method;
use super::super::validate::is_loopback_host;
use super::call::{CallEvent, HungUpBy};
use super::document::{Element, Fault};
use super::leg::Leg;
use super::media::{Identity, Media, Socket, StreamEnd, StreamOrder};
use super::order::Source;
use super::party::Step;
use super::plan::{Document, End, Flow};
use super::sound;
use super::stream_record::StreamRecord;
use super::verbs::method;
use crate::integrations::twilio::form::Params;
use crate::integrations::twilio::signature;

/// Limit of stored streams; the oldest are dropped.
const STREAMS_MAX: usize = 1_000;
/// Limit of one message of the other side.
const MESSAGE_MAX_BYTES: usize = 1024 * 1024;
/// Limit of sounds that wait to be sent.
const ORDERS_MAX: usize = 64;
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Duration of a party's silence.
const SILENCE_MS: u64 = 1_000;
/// The connection could not be opened.
const NO_HANDSHAKE: u32 = 31920;

impl Carrier {
    /// Returns the stored streams, oldest first.
    pub fn streams(&self) -> Vec<StreamRecord> {
        self.0.calls.streams.lock().iter().cloned().collect()
    }
}

impl Inner {
    /// Changes a stored stream.
    pub fn change_stream(&self, sid: &str, change: impl FnOnce(&mut StreamRecord)) {
        if let Some(record) = self.calls.streams.lock().iter_mut().rfind(|record| record.sid == sid) {
            change(record);
        }
    }
}

/// A running stream; dropping it stops it.
pub struct Open {
    name: String,
    orders: mpsc::Sender<StreamOrder>,
    over: watch::Receiver<bool>,
}

impl Open {
    async fn ended(&mut self) {
        // A task that is gone has ended as well.
        let _ = self.over.wait_for(|over| *over).await;
    }

    /// Plays a sound to its end.
    async fn play(&self, sound: Vec<u8>) {
        let (done, sent) = oneshot::channel();
        if self.orders.send(StreamOrder::Sound(sound, done)).await.is_ok() {
            let _ = sent.await;
        }
    }
}

impl Leg {
    /// `<Connect>`: the next verbs wait until the stream has ended.
    pub async fn connect_stream(&mut self, document: &Document, verb: &Element) -> Result<Flow, End> {
        let Some(noun) = verb.children.first() else { return Ok(Flow::Next) };
        match self.open_stream(document, noun, true).await {
            Ok(open) => {
                let (began, before) = (Instant::now(), self.call_time());
                let ended = self.stream(open).await;
                // The system's time has passed, whatever the clock says.
                let counted = self.call_time().saturating_sub(before);
                self.skip(began.elapsed().saturating_sub(counted));
                ended?;
            }
            Err(fault) => self.fault(fault),
        }
        let Some(action) = verb.get("action") else { return Ok(Flow::Next) };
        let url = self.resolve(document, Some(action))?;
        Ok(Flow::Go(Source::url(url, method(verb, "method"))))
    }

    /// Performs the party's steps until the other side closes the stream.
    async fn stream(&mut self, mut open: Open) -> Result<(), End> {
        let clock = self.carrier.clock.clone();
        loop {
            if self.party_input.is_done() {
                open.ended().await;
                return Ok(());
            }
            let step = tokio::select! {
                biased;
                () = open.ended() => return Ok(()),
                step = self.party_input.next(Duration::from_millis(SILENCE_MS), &clock) => step,
            };
            let sound = match step {
                Step::Hangup { .. } => return Err(End::by(HungUpBy::Party)),
                Step::Digits { digits } => {
                    self.note(CallEvent::Pressed { digits: digits.clone() });
                    // An ended stream accepts nothing.
                    let _ = open.orders.send(StreamOrder::Digits(digits)).await;
                    continue;
                }
                Step::Speech { speech, confidence } => {
                    let sound = sound::speech_tone(&speech);
                    self.note(CallEvent::Spoke { text: speech, confidence });
                    sound
                }
                Step::Sound(sound) => sound.bytes().await,
                Step::Silence { .. } => sound::silence(SILENCE_MS),
            };
            open.play(sound).await;
        }
    }

    /// `<Start>`: the stream runs beside the call.
    pub async fn start_stream(&mut self, document: &Document, verb: &Element) -> Result<Flow, End> {
        for noun in &verb.children {
            match self.open_stream(document, noun, false).await {
                Ok(open) => self.streams.push(open),
                Err(fault) => self.fault(fault),
            }
        }
        Ok(Flow::Next)
    }

    /// Performs `<Stop>`.
    pub fn stop_stream(&mut self, verb: &Element) {
        let named = |open: &Open| verb.children.iter().any(|noun| noun.get("name").unwrap_or_default() == open.name);
        self.streams.retain(|open| !named(open));
    }

    async fn open_stream(&self, document: &Document, noun: &Element, both_ways: bool) -> Result<Open, Fault> {
        let given = noun.get("url").unwrap_or_default();
        let sid = self.carrier.new_sid("MZ");
        let name = noun.get("name").unwrap_or(&sid).to_owned();
        let callback = noun.get("statusCallback").and_then(|url| document.resolve(Some(url)).ok());
        let callback = callback.map(|url| (url, method(noun, "statusCallbackMethod")));
        let status_callback = StreamStatus {
            carrier: self.carrier.clone(),
            account: self.account.clone(),
            call: self.sid.clone(),
            callback,
        };
        let socket = match self.handshake(given).await {
            Ok(socket) => socket,
            Err(fault) => {
                status_callback.report_status(&sid, &name, "stream-error", Some(&fault.why));
                return Err(fault);
            }
        };
        let parameters = noun.children.iter().filter_map(|parameter| {
            Some((parameter.get("name")?.to_owned(), parameter.get("value").unwrap_or_default().to_owned()))
        });
        let identity = Identity {
            account: self.account.clone(),
            call: self.sid.clone(),
            stream: sid.clone(),
            tracks: match noun.get("track") {
                Some("both_tracks") if !both_ways => &["inbound", "outbound"],
                Some("outbound_track") if !both_ways => &["outbound"],
                _ => &["inbound"],
            },
            parameters: parameters.collect::<BTreeMap<_, _>>(),
            both_ways,
        };
        let record = StreamRecord {
            sid: sid.clone(),
            call_sid: self.sid.clone(),
            name: name.clone(),
            url: given.to_owned(),
            ..StreamRecord::default()
        };
        let mut streams = self.carrier.calls.streams.lock();
        if streams.len() >= STREAMS_MAX {
            streams.pop_front();
        }
        streams.push_back(record);
        drop(streams);
        let (orders, ordered) = mpsc::channel(ORDERS_MAX);
        let (ended, over) = watch::channel(false);
        status_callback.report_status(&sid, &name, "stream-started", None);
        let media = Media { carrier: self.carrier.clone(), socket, identity, orders: ordered };
        let label = name.clone();
        self.carrier.callbacks.begin();
        tokio::spawn(async move {
            let over = media.run().await;
            status_callback.ended(&sid, &label, &over);
            ended.send_replace(true);
            status_callback.carrier.callbacks.finished();
        });
        Ok(Open { name, orders, over })
    }

    async fn handshake(&self, given: &str) -> Result<Socket, Fault> {
        let failed = |why: String| Fault::new(NO_HANDSHAKE, format!("no stream to {given}: {why}"));
        let mut url = Url::parse(given).map_err(|_| failed("it is no URL".to_owned()))?;
        if url.scheme() != "ws" || !url.host_str().is_some_and(is_loopback_host) {
            return Err(failed("the built-in carrier streams to ws:// on loopback only".to_owned()));
        }
        // Twilio drops the query as well.
        url.set_query(None);
        let mut request = url.as_str().into_client_request().map_err(|error| failed(error.to_string()))?;
        if let Some(account) = self.carrier.accounts.get(&self.account) {
            let signed = signature::sign(account.token.expose_secret(), url.as_str(), &Params::default());
            let signed = HeaderValue::from_str(&signed).map_err(|error| failed(error.to_string()))?;
            request.headers_mut().insert("x-twilio-signature", signed);
        }
        let limits = WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX_BYTES));
        match timeout(HANDSHAKE, connect_async_with_config(request, Some(limits), true)).await {
            Ok(Ok((socket, _))) => Ok(socket),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed("no answer in time".to_owned())),
        }
    }
}

/// The status callback of a stream.
struct StreamStatus {
    carrier: Arc<Inner>,
    account: String,
    call: String,
    callback: Option<(String, Method)>,
}

impl StreamStatus {
    fn ended(&self, sid: &str, name: &str, over: &StreamEnd) {
        self.carrier.change_stream(sid, |record| record.over = true);
        match over {
            StreamEnd::Stopped => self.report_status(sid, name, "stream-stopped", None),
            StreamEnd::Closed => self.report_status(sid, name, "stream-stopped", Some("closed by the other side")),
            StreamEnd::Failed { code, why } => {
                let (now, fault) = (self.carrier.clock.now(), CallEvent::Fault { code: *code, why: why.clone() });
                self.carrier.change_call(&self.call, |call| call.add(now, fault));
                self.report_status(sid, name, "stream-error", Some(why));
            }
        }
    }

    fn report_status(&self, sid: &str, name: &str, event: &'static str, why: Option<&str>) {
        let detail = why.unwrap_or_default().to_owned();
        let now = self.carrier.clock.now();
        let happening = CallEvent::Stream { sid: sid.to_owned(), what: event, detail };
        self.carrier.change_call(&self.call, |call| call.add(now, happening));
        let Some((url, method)) = self.callback.clone() else { return };
        let at = now.to_string();
        let mut params: Params = [
            ("AccountSid", self.account.as_str()),
            ("CallSid", &self.call),
            ("StreamSid", sid),
            ("StreamName", name),
            ("StreamEvent", event),
            ("Timestamp", &at),
        ]
        .into_iter()
        .collect();
        why.filter(|_| event == "stream-error").into_iter().for_each(|why| params.push("StreamError", why));
        self.carrier.post_soon(&self.account, url, method, params);
    }
}
