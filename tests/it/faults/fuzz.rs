//! Bodies by the hundred thousand, through the real routes: never a panic, a wrong status or an injected verb.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use recado::integrations::twilio::form::Params;
use recado::store::Listed;

use super::inside::{Inside, PUBLIC_URL, posted};
use super::rig::{ACCOUNT, Dice, OURS, TOKEN, customer};
use crate::support::webhook::{message_sid, sign};

/// `FUZZ_CASES` sets another number.
const CASES: usize = 100_000;
/// Requests in flight, so that many share a commit.
const AT_ONCE: usize = 512;
const EMPTY_TWIML: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response/>";

fn cases() -> usize {
    std::env::var("FUZZ_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(CASES)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_posted_the_answer_is_one_of_a_few() {
    let inside = Arc::new(Inside::open().await);
    let dice = Dice::new(seed());
    let requests = (0..cases()).map(|number| {
        let path = path(&dice);
        let (body, signature) = hostile(&dice, &path, number);
        let inside = inside.clone();
        // Each request is a task, so that the cores share the work and a panic shows.
        tokio::spawn(async move {
            let shown: Vec<u8> = body.iter().copied().take(300).collect();
            let (status, answer) = inside.answer(posted(&path, body, signature.as_deref())).await;
            assert!(
                [200, 400, 403, 404, 413].contains(&status),
                "{path} answers {status}: {}\n{}",
                String::from_utf8_lossy(&answer),
                shown.escape_ascii()
            );
            status
        })
    });
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    let mut answers = stream::iter(requests).buffer_unordered(AT_ONCE);
    while let Some(status) = answers.next().await {
        let status = status.unwrap_or_else(|_| panic!("FAULT_SEED={} makes the same cases", seed()));
        *statuses.entry(status).or_default() += 1;
    }
    eprintln!("answers: {statuses:?}");
    assert_eq!(statuses.len(), 5, "the cases reach every answer: {statuses:?}");
}

fn seed() -> u64 {
    std::env::var("FAULT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(14)
}

fn path(dice: &Dice) -> String {
    match dice.below(10) {
        0..=3 => "/api/twilio/demo/sms".to_owned(),
        4 | 5 => "/api/twilio/demo/whatsapp".to_owned(),
        6 => "/api/whatsapp/webhook".to_owned(),
        7 => format!("/api/twilio/demo/messages/{}/status", uuid::Uuid::from_u64_pair(dice.next(), dice.next())),
        8 => format!("/api/twilio/demo/messages/{}/status", dice.below(1_000)),
        _ => format!(
            "/api/twilio/{}/sms?x=%{:02x}",
            ["nobody", "DEMO", "..", "%00", "demo%2f"][dice.below(5)],
            dice.below(256)
        ),
    }
}

/// A body and its signature; about half are signed as the account would.
fn hostile(dice: &Dice, path: &str, number: usize) -> (Vec<u8>, Option<String>) {
    let mut body = match dice.below(20) {
        0 => (0..dice.below(400)).map(|_| dice.next() as u8).collect(),
        1 => vec![b'a'; dice.between(60_000, 80_000)],
        2 => "a=b&".repeat(dice.between(380, 420)).into_bytes(),
        _ => form(dice, number).encode().into_bytes(),
    };
    if dice.percent(20) && !body.is_empty() {
        for _ in 0..dice.between(1, 8) {
            let at = dice.below(body.len());
            body[at] = dice.next() as u8;
        }
    }
    let signature = match dice.below(10) {
        0 => None,
        1 => Some(text(dice, 40, "abcXYZ019+/=")),
        2 => Some(sign("f".repeat(32).as_str(), &format!("{PUBLIC_URL}{path}"), &pairs(&body))),
        _ => Some(sign(TOKEN, &format!("{PUBLIC_URL}{path}"), &pairs(&body))),
    };
    (body, signature)
}

fn pairs(body: &[u8]) -> Vec<(String, String)> {
    Params::parse(body)
        .map(|form| form.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
        .unwrap_or_default()
}

const FIELDS: [&str; 18] = [
    "Body",
    "From",
    "To",
    "MessageSid",
    "SmsSid",
    "AccountSid",
    "NumMedia",
    "MediaUrl0",
    "MediaContentType0",
    "NumSegments",
    "ProfileName",
    "ButtonText",
    "ButtonPayload",
    "Latitude",
    "Longitude",
    "OptOutType",
    "MessageStatus",
    "ErrorCode",
];

/// A form as it should be, with some fields missing, doubled or full of something else.
fn form(dice: &Dice, number: usize) -> Params {
    let mut form = Params::default();
    let prefix = if dice.percent(30) { "whatsapp:" } else { "" };
    let body = if dice.percent(5) { "STOP".to_owned() } else { text(dice, 200, ODD) };
    for (name, value) in [
        ("MessageSid", message_sid(number as u128)),
        ("AccountSid", ACCOUNT.to_owned()),
        ("From", format!("{prefix}{}", customer(dice.below(1_000)))),
        ("To", format!("{prefix}{OURS}")),
        ("Body", body),
        ("NumMedia", "0".to_owned()),
        ("MessageStatus", ["queued", "sent", "delivered", "failed", "new-word"][dice.below(5)].to_owned()),
    ] {
        if dice.percent(95) {
            form.push(name, &value);
        }
    }
    while dice.percent(40) {
        let longest = *dice.pick(&[0, 1, 5, 20, 300, 3_000]);
        form.push(dice.pick::<&str>(&FIELDS), &text(dice, longest, ODD));
    }
    form
}

const ODD: &str = "abc XYZ019+&=%?#/\\'\"<>;:@,.*-_\0\u{1}\t\r\n\u{1b}\u{7f}áéñçÑßøЖ日👋🏽\u{301}\u{202e}\u{2066}\u{200b}\u{feff}\u{fffd}\u{10ffff}";

fn text(dice: &Dice, longest: usize, alphabet: &str) -> String {
    let letters: Vec<char> = alphabet.chars().collect();
    (0..dice.below(longest + 1)).map(|_| *dice.pick(&letters)).collect()
}

/// Texts that would be a verb, or break the document, if TwiML held them unescaped.
const HOSTILE: [&str; 14] = [
    "</Say><Dial>+34906000000</Dial>",
    "<Response><Redirect>http://evil.example</Redirect></Response>",
    "]]>",
    "<![CDATA[",
    "<!--",
    "-->",
    "<?xml version=\"1.0\"?>",
    "&lt;Dial&gt;",
    "&#60;Dial&#62;",
    "\u{202e}laiD\u{202c}",
    "\u{2066}x\u{2069}",
    "\u{0}\u{1}\u{8}\u{b}\u{1f}\u{7f}\u{fffe}",
    "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>&e;",
    "=HYPERLINK(\"http://evil\")",
];

#[tokio::test(flavor = "multi_thread")]
async fn hostile_texts_are_stored_as_they_are_and_answered_with_nothing() {
    let inside = Arc::new(Inside::open().await);
    let dice = Dice::new(seed());
    let requests = (0..cases()).map(|number| {
        let (body, name) = (hostile_text(&dice), hostile_text(&dice));
        let path = "/api/twilio/demo/whatsapp";
        let from = customer(number / 20);
        let fields = [
            ("MessageSid", message_sid(number as u128)),
            ("AccountSid", ACCOUNT.to_owned()),
            ("From", format!("whatsapp:{from}")),
            ("To", format!("whatsapp:{OURS}")),
            ("Body", body.clone()),
            ("ProfileName", name.clone()),
        ]
        .map(|(name, value)| (name.to_owned(), value));
        let signature = sign(TOKEN, &format!("{PUBLIC_URL}{path}"), &fields.to_vec());
        let form: Params = fields.iter().map(|(name, value)| (name, value)).collect();
        let inside = inside.clone();
        tokio::spawn(async move {
            let (status, answer) = inside.answer(posted(path, form.encode(), Some(&signature))).await;
            assert_eq!((status, String::from_utf8_lossy(&answer).as_ref()), (200, EMPTY_TWIML), "{body:?} {name:?}");
            (message_sid(number as u128), number, body)
        })
    });
    let sent: Vec<_> = stream::iter(requests).buffer_unordered(AT_ONCE).collect().await;
    let store = &inside.installation.store;
    let tenant = inside.installation.directory.now().by_slug("demo").expect("it is made").id;
    let mut stored: HashMap<String, String> = HashMap::new();
    for customers in 0..cases().div_ceil(20) {
        let contact = store.contact_by_key(tenant, &customer(customers)).await.unwrap();
        for listed in store.messages(tenant, contact, 1_000).await.unwrap() {
            let Listed::Message(message) = listed else { panic!("nothing is sent here") };
            stored.insert(message.provider_sid.expect("it came from the provider"), message.body);
        }
    }
    for one in sent {
        let (sid, number, body) = one.unwrap_or_else(|_| panic!("FAULT_SEED={} makes the same cases", seed()));
        let expect = body.replace('\0', "\u{fffd}");
        assert_eq!(stored.get(&sid), Some(&expect), "case {number}");
    }
    assert_eq!(stored.len(), cases());
}

fn hostile_text(dice: &Dice) -> String {
    let mut hostile = String::new();
    for _ in 0..dice.between(1, 4) {
        match dice.below(3) {
            0 => hostile.push_str(&text(dice, 20, ODD)),
            _ => hostile.push_str(dice.pick::<&str>(&HOSTILE)),
        }
    }
    hostile
}
