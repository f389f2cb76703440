//! Rendered documents, compared character by character, and texts that try to break out of one.

use proptest::prelude::*;
use quick_xml::Reader;
use quick_xml::events::Event;
use strum::VariantArray;

use super::*;
use crate::integrations::twilio::types::{CallEvent, Method};

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
fn say_play_and_pause() {
    check(Say::default(), "<Say/>");
    check(
        Say { text: "Buenos días".into(), voice: some("Polly.Lucia"), language: some("es-ES") },
        "<Say voice=\"Polly.Lucia\" language=\"es-ES\">Buenos días</Say>",
    );
    check(Play::new("https://example.com/a.mp3?x=1&y=2"), "<Play>https://example.com/a.mp3?x=1&amp;y=2</Play>");
    check(Pause::default(), "<Pause/>");
    check(Pause { length_s: Some(3) }, "<Pause length=\"3\"/>");
}

#[test]
fn gather() {
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
        children: vec![Say::new("¿Sí?").into(), Play::new("https://a/b").into()],
    };
    check(
        full,
        "<Gather input=\"dtmf speech\" action=\"https://example.com/said?try=1&amp;menu=2\" method=\"POST\" timeout=\"4\" \
         finishOnKey=\"\" numDigits=\"1\" language=\"es-ES\" hints=\"cita,cambiar &quot;mi&quot; cita\" \
         speechTimeout=\"auto\"><Say>¿Sí?</Say><Play>https://a/b</Play></Gather>",
    );
    let speech =
        Gather { input: Some(Input::Speech), speech_timeout: Some(SpeechTimeout::Seconds(2)), ..Gather::default() };
    check(speech, "<Gather input=\"speech\" speechTimeout=\"2\"/>");
    check(Gather { input: Some(Input::Dtmf), ..Gather::default() }, "<Gather input=\"dtmf\"/>");
}

#[test]
fn record() {
    let full = Record {
        action: some("/recorded"),
        method: Some(Method::Get),
        finish_on_key: some("1#"),
        max_length_s: Some(120),
        play_beep: Some(false),
        recording_status_callback: some("/recording"),
    };
    check(
        full,
        "<Record action=\"/recorded\" method=\"GET\" finishOnKey=\"1#\" maxLength=\"120\" playBeep=\"false\" \
         recordingStatusCallback=\"/recording\"/>",
    );
}

#[test]
fn enqueue_redirect_and_reject() {
    let full = Enqueue {
        name: "reception".into(),
        action: some("/left"),
        method: Some(Method::Post),
        wait_url: some("/wait"),
        wait_url_method: Some(Method::Get),
    };
    check(
        full,
        "<Enqueue action=\"/left\" method=\"POST\" waitUrl=\"/wait\" waitUrlMethod=\"GET\">reception</Enqueue>",
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
fn connect() {
    check(
        Connect { stream: Stream { url: "wss://example.com/stream/1".into() } },
        "<Connect><Stream url=\"wss://example.com/stream/1\"/></Connect>",
    );
}

#[test]
fn dial() {
    let number = Number {
        number: "+34600111222".into(),
        status_callback: some("/s"),
        status_callback_method: Some(Method::Post),
        status_callback_events: CallEvent::VARIANTS.into(),
    };
    let full = Dial {
        action: some("/dialled"),
        method: Some(Method::Post),
        timeout_s: Some(20),
        answer_on_bridge: Some(true),
        record_from_answer: true,
        recording_status_callback: some("/recording"),
        nouns: vec![number.into(), Number::new("+34600111333").into()],
    };
    check(
        full,
        "<Dial action=\"/dialled\" method=\"POST\" timeout=\"20\" answerOnBridge=\"true\" record=\"record-from-answer\" \
         recordingStatusCallback=\"/recording\">\
         <Number statusCallback=\"/s\" statusCallbackMethod=\"POST\" \
         statusCallbackEvent=\"initiated ringing answered completed\">+34600111222</Number>\
         <Number>+34600111333</Number></Dial>",
    );
    let queue = Dial { nouns: vec![Queue { name: "reception".into() }.into()], ..Dial::default() };
    check(queue, "<Dial><Queue>reception</Queue></Dial>");
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
    // The limit counts escaped characters.
    assert_eq!(Response::from_iter([Say::new("&".repeat(20_000))]).render(), Err(TwimlError::TooLarge));
}

proptest! {
    #[test]
    fn texts_come_back_as_they_were(text in any::<String>(), value in any::<String>()) {
        let xml_text = |text: &str| text.chars().filter(|c| !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}')).collect::<String>();
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
        prop_assert_eq!((said, language), (xml_text(&text), xml_text(&value)));
    }
}
