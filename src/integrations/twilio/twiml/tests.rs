//! Documents as they are written, letter by letter; and texts that would break one.

use proptest::prelude::*;
use quick_xml::Reader;
use quick_xml::events::Event;

use super::*;
use crate::integrations::twilio::words::{
    CallEvent, Detect, MachineDetection, Method, RecordingEvent, RecordingTrack, Trim, Word,
};

#[track_caller]
fn check(verb: impl Into<Verb>, expect: &str) {
    let mut response = Response::new();
    let document = response.push(verb).render().unwrap();
    let inner = document
        .strip_prefix("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response>")
        .and_then(|rest| rest.strip_suffix("</Response>"));
    assert_eq!(inner, Some(expect), "{document}");
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn an_empty_response_is_the_constant() {
    assert_eq!(Response::new().render().unwrap(), EMPTY_RESPONSE);
}

#[test]
fn verbs_come_in_order() {
    let verbs: [Verb; 3] = [Say::new("Hola").into(), Pause { length_s: Some(2) }.into(), Verb::Hangup];
    assert_eq!(
        verbs.into_iter().collect::<Response>().render().unwrap(),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response><Say>Hola</Say><Pause length=\"2\"/><Hangup/></Response>"
    );
}

#[test]
fn what_is_said_and_played() {
    check(Say::default(), "<Say/>");
    check(
        Say { text: "Buenos días".into(), voice: some("Polly.Lucia"), language: some("es-ES"), loops: Some(0) },
        "<Say voice=\"Polly.Lucia\" language=\"es-ES\" loop=\"0\">Buenos días</Say>",
    );
    check(
        Play { loops: Some(2), ..Play::new("https://example.com/a.mp3?x=1&y=2") },
        "<Play loop=\"2\">https://example.com/a.mp3?x=1&amp;y=2</Play>",
    );
    check(Play { digits: some("ww12#"), ..Play::default() }, "<Play digits=\"ww12#\"/>");
    check(Pause::default(), "<Pause/>");
    check(Pause { length_s: Some(3) }, "<Pause length=\"3\"/>");
}

#[test]
fn what_is_gathered() {
    check(Gather::default(), "<Gather/>");
    let full = Gather {
        input: Some(Input::DtmfSpeech),
        action: some("https://example.com/said?try=1&menu=2"),
        method: Some(Method::Post),
        timeout_s: Some(4),
        finish_on_key: some(""),
        num_digits: Some(1),
        language: some("es-ES"),
        hints: vec!["cita".into(), "cambiar \"mi\" cita".into()],
        speech_timeout: Some(SpeechTimeout::Auto),
        speech_model: some("phone_call"),
        profanity_filter: Some(false),
        barge_in: Some(true),
        partial_result_callback: some("https://example.com/partial"),
        partial_result_callback_method: Some(Method::Get),
        action_on_empty_result: Some(true),
        max_speech_time_s: Some(30),
        enhanced: Some(true),
        debug: Some(false),
        children: vec![Say::new("¿Sí?").into(), Pause { length_s: Some(1) }.into(), Play::new("https://a/b").into()],
    };
    check(
        full,
        "<Gather input=\"dtmf speech\" action=\"https://example.com/said?try=1&amp;menu=2\" method=\"POST\" timeout=\"4\" \
         finishOnKey=\"\" numDigits=\"1\" language=\"es-ES\" hints=\"cita,cambiar &quot;mi&quot; cita\" \
         speechTimeout=\"auto\" speechModel=\"phone_call\" profanityFilter=\"false\" bargeIn=\"true\" \
         partialResultCallback=\"https://example.com/partial\" partialResultCallbackMethod=\"GET\" \
         actionOnEmptyResult=\"true\" maxSpeechTime=\"30\" enhanced=\"true\" debug=\"false\">\
         <Say>¿Sí?</Say><Pause length=\"1\"/><Play>https://a/b</Play></Gather>",
    );
    let speech =
        Gather { input: Some(Input::Speech), speech_timeout: Some(SpeechTimeout::Seconds(2)), ..Gather::default() };
    check(speech, "<Gather input=\"speech\" speechTimeout=\"2\"/>");
    check(Gather { input: Some(Input::Dtmf), ..Gather::default() }, "<Gather input=\"dtmf\"/>");
}

#[test]
fn what_is_recorded() {
    let full = Record {
        action: some("/recorded"),
        method: Some(Method::Get),
        timeout_s: Some(5),
        finish_on_key: some("1#"),
        max_length_s: Some(120),
        play_beep: Some(false),
        trim: Some(Trim::DoNotTrim),
        transcribe: Some(true),
        transcribe_callback: some("/transcribed"),
        recording_status_callback: some("/recording"),
        recording_status_callback_method: Some(Method::Post),
        recording_status_callback_events: vec![
            RecordingEvent::InProgress,
            RecordingEvent::Completed,
            RecordingEvent::Absent,
        ],
    };
    check(
        full,
        "<Record action=\"/recorded\" method=\"GET\" timeout=\"5\" finishOnKey=\"1#\" maxLength=\"120\" playBeep=\"false\" \
         trim=\"do-not-trim\" transcribe=\"true\" transcribeCallback=\"/transcribed\" \
         recordingStatusCallback=\"/recording\" recordingStatusCallbackMethod=\"POST\" \
         recordingStatusCallbackEvent=\"in-progress completed absent\"/>",
    );
}

#[test]
fn who_waits_and_where_it_goes_on() {
    let full = Enqueue {
        name: some("reception"),
        action: some("/left"),
        method: Some(Method::Post),
        wait_url: some("/wait"),
        wait_url_method: Some(Method::Get),
        workflow_sid: some("WW1"),
        max_queue_size: Some(20),
    };
    check(
        full,
        "<Enqueue action=\"/left\" method=\"POST\" waitUrl=\"/wait\" waitUrlMethod=\"GET\" workflowSid=\"WW1\" \
         maxQueueSize=\"20\">reception</Enqueue>",
    );
    check(Verb::Leave, "<Leave/>");
    check(Verb::Hangup, "<Hangup/>");
    check(Redirect::new("/next?a=1&b=2"), "<Redirect>/next?a=1&amp;b=2</Redirect>");
    check(Redirect { url: "/n".into(), method: Some(Method::Get) }, "<Redirect method=\"GET\">/n</Redirect>");
    check(Reject::default(), "<Reject/>");
    check(Reject { reason: Some(RejectReason::Busy) }, "<Reject reason=\"busy\"/>");
    check(Reject { reason: Some(RejectReason::Rejected) }, "<Reject reason=\"rejected\"/>");
}

#[test]
fn what_is_streamed() {
    let stream = Stream {
        url: some("wss://example.com/stream/1"),
        name: some("ear"),
        track: Some(Track::Both),
        status_callback: some("/stream"),
        status_callback_method: Some(Method::Post),
        connector_name: some("c"),
        parameters: vec![Parameter::new("name", "Ana \"<b>\""), Parameter::default()],
    };
    let inner = "<Stream url=\"wss://example.com/stream/1\" name=\"ear\" track=\"both_tracks\" statusCallback=\"/stream\" \
                 statusCallbackMethod=\"POST\" connectorName=\"c\">\
                 <Parameter name=\"name\" value=\"Ana &quot;&lt;b&gt;&quot;\"/><Parameter name=\"\" value=\"\"/></Stream>";
    check(Start { stream: stream.clone() }, &format!("<Start>{inner}</Start>"));
    check(
        Connect { stream, action: some("/done"), method: Some(Method::Post) },
        &format!("<Connect action=\"/done\" method=\"POST\">{inner}</Connect>"),
    );
    check(Connect::from(Stream::new("wss://a")), "<Connect><Stream url=\"wss://a\"/></Connect>");
    check(Stop { stream_name: "ear".into() }, "<Stop><Stream name=\"ear\"/></Stop>");
    assert_eq!((Track::Inbound.as_str(), Track::Outbound.as_str()), ("inbound_track", "outbound_track"));
}

#[test]
fn what_is_texted() {
    let message = Message {
        body: "Hola & adiós".into(),
        to: some("+34600111222"),
        from: some("+34911222333"),
        action: some("/sent"),
        method: Some(Method::Post),
        status_callback: some("/status"),
        media: vec!["https://example.com/1.jpg".into()],
    };
    check(
        message,
        "<Message to=\"+34600111222\" from=\"+34911222333\" action=\"/sent\" method=\"POST\" statusCallback=\"/status\">\
         <Body>Hola &amp; adiós</Body><Media>https://example.com/1.jpg</Media></Message>",
    );
    check(Message::default(), "<Message/>");
}

#[test]
fn who_is_dialled() {
    let full = Dial {
        action: some("/dialled"),
        method: Some(Method::Post),
        timeout_s: Some(20),
        time_limit_s: Some(600),
        hangup_on_star: Some(true),
        caller_id: some("+34911222333"),
        answer_on_bridge: Some(true),
        record: Some(DialRecord::RecordFromAnswerDual),
        recording_track: Some(RecordingTrack::Both),
        trim: Some(Trim::TrimSilence),
        recording_status_callback: some("/recording"),
        recording_status_callback_method: Some(Method::Post),
        recording_status_callback_events: vec![RecordingEvent::Completed],
        ring_tone: some("es"),
        sequential: Some(true),
        nouns: vec![Number::new("+34600111222").into(), Sim { sid: "HS1".into() }.into()],
    };
    check(
        full,
        "<Dial action=\"/dialled\" method=\"POST\" timeout=\"20\" timeLimit=\"600\" hangupOnStar=\"true\" \
         callerId=\"+34911222333\" answerOnBridge=\"true\" record=\"record-from-answer-dual\" recordingTrack=\"both\" \
         trim=\"trim-silence\" recordingStatusCallback=\"/recording\" recordingStatusCallbackMethod=\"POST\" \
         recordingStatusCallbackEvent=\"completed\" ringTone=\"es\" sequential=\"true\">\
         <Number>+34600111222</Number><Sim>HS1</Sim></Dial>",
    );
}

#[track_caller]
fn check_noun(noun: impl Into<Noun>, expect: &str) {
    check(Dial { nouns: vec![noun.into()], ..Dial::default() }, &format!("<Dial>{expect}</Dial>"));
}

const ALL_EVENTS: &str = "statusCallback=\"/s\" statusCallbackMethod=\"POST\" \
                          statusCallbackEvent=\"initiated ringing answered completed\"";
const DETECTED: &str = "machineDetection=\"DetectMessageEnd\" machineDetectionTimeout=\"20\" \
                        machineDetectionSpeechThreshold=\"2000\" machineDetectionSpeechEndThreshold=\"1000\" \
                        machineDetectionSilenceTimeout=\"4000\" amdStatusCallback=\"/amd\" amdStatusCallbackMethod=\"GET\"";

fn detection() -> MachineDetection {
    MachineDetection {
        detect: Detect::DetectMessageEnd,
        timeout_s: Some(20),
        speech_threshold_ms: Some(2000),
        speech_end_threshold_ms: Some(1000),
        silence_timeout_ms: Some(4000),
        status_callback: some("/amd"),
        status_callback_method: Some(Method::Get),
    }
}

#[test]
fn nouns_with_a_number() {
    let number = Number {
        number: "+34600111222".into(),
        send_digits: some("ww1"),
        url: some("/whisper"),
        method: Some(Method::Get),
        status_callback: some("/s"),
        status_callback_method: Some(Method::Post),
        status_callback_events: CallEvent::ALL.into(),
        byoc: some("BY1"),
        machine_detection: Some(detection()),
    };
    check_noun(
        number,
        &format!(
            "<Number sendDigits=\"ww1\" url=\"/whisper\" method=\"GET\" {ALL_EVENTS} byoc=\"BY1\" {DETECTED}>\
             +34600111222</Number>"
        ),
    );
    let whatsapp = WhatsApp {
        number: "+34600111222".into(),
        url: some("/whisper"),
        method: Some(Method::Post),
        status_callback: some("/s"),
        status_callback_method: Some(Method::Post),
        status_callback_events: CallEvent::ALL.into(),
    };
    check_noun(whatsapp, &format!("<WhatsApp url=\"/whisper\" method=\"POST\" {ALL_EVENTS}>+34600111222</WhatsApp>"));
}

#[test]
fn nouns_with_an_address() {
    check_noun(Client { identity: "ana".into(), ..Client::default() }, "<Client>ana</Client>");
    let client = Client {
        identity: "ana".into(),
        url: some("/w"),
        method: Some(Method::Get),
        status_callback: some("/s"),
        status_callback_method: Some(Method::Post),
        status_callback_events: CallEvent::ALL.into(),
        parameters: vec![Parameter::new("who", "Bea")],
    };
    check_noun(
        client,
        &format!(
            "<Client url=\"/w\" method=\"GET\" {ALL_EVENTS}><Identity>ana</Identity>\
             <Parameter name=\"who\" value=\"Bea\"/></Client>"
        ),
    );
    let sip = Sip {
        address: "sip:ana@example.com?x=1&y=2".into(),
        credentials: Some(SipCredentials { username: "u".into(), password: "p<".to_owned().into() }),
        url: some("/w"),
        method: Some(Method::Get),
        status_callback: some("/s"),
        status_callback_method: Some(Method::Post),
        status_callback_events: CallEvent::ALL.into(),
        machine_detection: Some(detection()),
    };
    assert!(!format!("{sip:?}").contains("p<"), "passwords do not go to logs");
    check_noun(
        sip,
        &format!(
            "<Sip username=\"u\" password=\"p&lt;\" url=\"/w\" method=\"GET\" {ALL_EVENTS} {DETECTED}>\
             sip:ana@example.com?x=1&amp;y=2</Sip>"
        ),
    );
}

#[test]
fn nouns_with_a_name() {
    let queue = Queue {
        name: "reception".into(),
        url: some("/about-to-connect"),
        method: Some(Method::Post),
        reservation_sid: some("WR1"),
        post_work_activity_sid: some("WA1"),
    };
    check_noun(
        queue,
        "<Queue url=\"/about-to-connect\" method=\"POST\" reservationSid=\"WR1\" postWorkActivitySid=\"WA1\">\
         reception</Queue>",
    );
    let conference = Conference {
        name: "room".into(),
        muted: Some(false),
        beep: Some(Beep::OnEnter),
        start_conference_on_enter: Some(true),
        end_conference_on_exit: Some(true),
        wait_url: some(""),
        wait_method: Some(Method::Get),
        max_participants: Some(3),
        record: Some(ConferenceRecord::RecordFromStart),
        region: some("ie1"),
        coach: some("CA1"),
        trim: Some(Trim::TrimSilence),
        status_callback: some("/c"),
        status_callback_method: Some(Method::Post),
        status_callback_events: vec![ConferenceEvent::Start, ConferenceEvent::Join, ConferenceEvent::End],
        recording_status_callback: some("/r"),
        recording_status_callback_method: Some(Method::Post),
        recording_status_callback_events: vec![RecordingEvent::Completed],
        jitter_buffer_size: Some(JitterBuffer::Small),
        participant_label: some("staff"),
    };
    check_noun(
        conference,
        "<Conference muted=\"false\" beep=\"onEnter\" startConferenceOnEnter=\"true\" endConferenceOnExit=\"true\" \
         waitUrl=\"\" waitMethod=\"GET\" maxParticipants=\"3\" record=\"record-from-start\" region=\"ie1\" coach=\"CA1\" \
         trim=\"trim-silence\" statusCallback=\"/c\" statusCallbackMethod=\"POST\" \
         statusCallbackEvent=\"start join end\" recordingStatusCallback=\"/r\" recordingStatusCallbackMethod=\"POST\" \
         recordingStatusCallbackEvent=\"completed\" jitterBufferSize=\"small\" participantLabel=\"staff\">room</Conference>",
    );
}

#[test]
fn no_text_is_markup() {
    let said = |text: &str, expect: &str| check(Say::new(text), &format!("<Say>{expect}</Say>"));
    said("</Say><Dial>+34906</Dial>", "&lt;/Say&gt;&lt;Dial&gt;+34906&lt;/Dial&gt;");
    said("]]><![CDATA[<!-- &amp; -->", "]]&gt;&lt;![CDATA[&lt;!-- &amp;amp; --&gt;");
    said("a\0b\u{1}c\u{b}d\u{1f}e\u{fffe}f\u{ffff}g", "abcdefg");
    said("\t\r\n", "&#9;&#13;&#10;");
    said("\u{202e}\u{2066}\u{7f}\u{85}\u{2028}👋\u{10ffff}", "\u{202e}\u{2066}\u{7f}\u{85}\u{2028}👋\u{10ffff}");
    check(
        Say { language: some("\" loop=\"0'\n"), ..Say::default() },
        "<Say language=\"&quot; loop=&quot;0&apos;&#10;\"/>",
    );
}

#[test]
fn a_document_has_a_largest_size() {
    let around = Response::from_iter([Say::new("x")]).render().unwrap().len() - 1;
    let full = Response::from_iter([Say::new("x".repeat(MAX_BYTES - around))]).render().unwrap();
    assert_eq!(full.len(), MAX_BYTES);
    let more = Response::from_iter([Say::new("x".repeat(MAX_BYTES - around + 1))]).render();
    assert_eq!(more, Err(TwimlError::TooLarge));
    // Escapes count as they are written.
    assert_eq!(Response::from_iter([Say::new("&".repeat(20_000))]).render(), Err(TwimlError::TooLarge));
}

proptest! {
    #[test]
    fn texts_come_back_as_they_were(text in any::<String>(), value in any::<String>()) {
        let kept = |text: &str| text.chars().filter(|c| !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')).collect::<String>();
        let say = Say { text: text.clone(), language: Some(value.clone()), ..Say::default() };
        let document = Response::from_iter([say]).render().unwrap();
        let mut reader = Reader::from_str(&document);
        let (mut names, mut said, mut language) = (Vec::new(), String::new(), String::new());
        loop {
            match reader.read_event().unwrap() {
                Event::Start(tag) | Event::Empty(tag) => {
                    names.push(String::from_utf8_lossy(tag.name().as_ref()).into_owned());
                    for attribute in tag.attributes() {
                        let raw = attribute.unwrap().value;
                        language = quick_xml::escape::unescape(std::str::from_utf8(&raw).unwrap()).unwrap().into_owned();
                    }
                }
                Event::Text(text) => said.push_str(&text.decode().unwrap()),
                Event::GeneralRef(reference) => {
                    let name = format!("&{};", reference.decode().unwrap());
                    said.push_str(&quick_xml::escape::unescape(&name).unwrap());
                }
                Event::Eof => break,
                _ => {}
            }
        }
        prop_assert_eq!(names, ["Response", "Say"]);
        prop_assert_eq!((said, language), (kept(&text), kept(&value)));
    }
}
