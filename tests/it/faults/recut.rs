//! A captured webhook, cut anew under the same signature. Twilio signs keys and values without separators, so the borders
//! between them can be moved; nothing may come of it.

use std::collections::BTreeSet;

use recado::store::Listed;

use super::inside::{Inside, PUBLIC_URL, encode, posted};
use super::rig::{ACCOUNT, Dice, OURS, TOKEN, customer};
use crate::support::webhook::{Form, Twilio, fields, message_sid, sign, with};

/// `RECUTS` sets another number for each form.
const RECUTS: usize = 4_000;
const MESSAGES: &str = "/api/twilio/demo/sms";
const WHATSAPP: &str = "/api/twilio/demo/whatsapp";
const GATHER: &str = "/api/twilio/demo/gather?turn=1";

/// A captured webhook.
struct Captured {
    path: &'static str,
    form: Form,
    signature: String,
}

impl Captured {
    fn new(path: &'static str, form: Form) -> Self {
        let signature = sign(TOKEN, &format!("{PUBLIC_URL}{path}"), &form);
        Self { path, form, signature }
    }

    /// The signed text behind the URL: the names, sorted, each with its value.
    fn signed(&self) -> String {
        let mut pairs: Vec<_> = self.form.iter().collect();
        pairs.sort();
        pairs.into_iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]).collect()
    }

    async fn post(&self, inside: &Inside, form: &Form) -> u16 {
        inside.answer(posted(self.path, encode(form), Some(&self.signature))).await.0
    }
}

fn twilio() -> Twilio {
    Twilio::new(PUBLIC_URL, ACCOUNT, TOKEN)
}

/// Texts of customers that are cut as their sender would have wished.
fn captured() -> Vec<Captured> {
    let text =
        |number: u128, body: &str| twilio().inbound(&message_sid(number), &customer(number as usize), OURS, body);
    let other = customer(900);
    let new = message_sid(999);
    let whatsapp = |number: u128, body: &str| {
        let from = format!("whatsapp:{}", customer(number as usize));
        twilio().inbound(&message_sid(number), &from, &format!("whatsapp:{OURS}"), body)
    };
    let button = [("ButtonText", "Confirmar"), ("ButtonPayload", "confirm-42"), ("MessageType", "button")];
    let pressed = button.iter().fold(whatsapp(21, "Confirmar"), |form, (name, value)| with(form, name, value));
    let mut forms: Vec<(&'static str, Form)> = [
        text(1, "START"),
        text(2, "STOP"),
        text(3, "hola Carmen, one more"),
        text(4, &format!("STOPFrom{other}FromCity")),
        text(5, &format!("STOPFrom{other}FromCountryESLabel")),
        text(6, &format!("hiFrom{other}MessageSid{new}NumMedia0NumSegments1ProfileNameAna")),
        text(7, &format!("STARTFrom{other}FromZ")),
        text(9, "MessageSid NumMedia=11, From +34 and To 3"),
    ]
    .into_iter()
    .map(|form| (MESSAGES, form))
    .collect();
    forms.push((WHATSAPP, pressed));
    let name = format!("From{other}MessageSid{new}NumMedia0NumSegments1SmsStatusreceivedTo{OURS}ToZ");
    forms.push((WHATSAPP, with(whatsapp(22, "hola"), "ProfileName", &name)));
    forms.push((GATHER, call(&[("SpeechResult", "from nine to five"), ("Confidence", "0.9")])));
    forms.push((GATHER, call(&[("Digits", "1234"), ("FinishedOnKey", "#"), ("msg", "Gather End")])));
    forms.into_iter().map(|(path, form)| Captured::new(path, form)).collect()
}

fn call(more: &[(&str, &str)]) -> Form {
    let from = customer(30);
    let mut form = fields(&[
        ("CallSid", &format!("CA{:032x}", more.len() + 40)),
        ("AccountSid", ACCOUNT),
        ("ApiVersion", "2010-04-01"),
        ("From", &from),
        ("Caller", &from),
        ("To", OURS),
        ("Called", OURS),
        ("CallStatus", "in-progress"),
        ("Direction", "inbound"),
    ]);
    form.extend(fields(more));
    form
}

/// The names that a forger would use.
const NAMES: [&str; 24] = [
    "AccountSid",
    "ApiVersion",
    "Body",
    "ButtonPayload",
    "CallSid",
    "CallStatus",
    "Digits",
    "Direction",
    "From",
    "FromCity",
    "FromCountry",
    "FromZ",
    "Label",
    "MessageSid",
    "NumMedia",
    "NumSegments",
    "ProfileName",
    "SmsMessageSid",
    "SmsSid",
    "SmsStatus",
    "SpeechResult",
    "To",
    "ToCountry",
    "ToZ",
];

/// Cuts a signed text anew: at names that stand in it, or anywhere.
fn cut_anew(signed: &str, dice: &Dice) -> Option<Form> {
    let at_names: Vec<(usize, usize)> = NAMES
        .iter()
        .flat_map(|name| signed.match_indices(name).map(|(at, name)| (at, at + name.len())))
        .filter(|_| dice.percent(80))
        .collect();
    let mut keys: BTreeSet<(usize, usize)> = at_names.into_iter().collect();
    for _ in 0..dice.below(4) {
        let at = dice.below(signed.len());
        keys.insert((at, at + dice.between(1, 40)));
    }
    let mut form = Form::new();
    let mut ends = 0;
    let keys: Vec<_> = keys.into_iter().collect();
    let mut starts = vec![];
    for (at, end) in keys {
        // Each key begins behind the key before it.
        if at >= ends && end <= signed.len() {
            starts.push((at, end));
            ends = end;
        }
    }
    if starts.first().is_none_or(|(at, _)| *at != 0) {
        return None;
    }
    for (index, (at, end)) in starts.iter().enumerate() {
        let next = starts.get(index + 1).map_or(signed.len(), |(next, _)| *next);
        let (name, value) = (signed.get(*at..*end)?, signed.get(*end..next)?);
        form.push((name.to_owned(), value.to_owned()));
    }
    // The provider signs the names in their order, each once.
    form.is_sorted_by(|one, other| one.0 <= other.0).then_some(form)
}

/// All that a webhook can change.
async fn state(inside: &Inside) -> Vec<String> {
    let tenant = inside.directory.now().by_slug("demo").expect("it is made").id;
    let store = &inside.store;
    let mut state: Vec<String> = store
        .messages(tenant, None, 10_000)
        .await
        .expect("they can be listed")
        .into_iter()
        .map(|listed| match listed {
            Listed::Message(one) => format!("{} {} {} {} {}", one.peer, one.ours, one.body, one.extra, one.status),
            other => format!("{other:?}"),
        })
        .collect();
    for event in store.events(tenant, 10_000).await.expect("they can be listed") {
        state.push(format!("{} {}", event.kind, event.data));
    }
    state.sort();
    state
}

fn recuts() -> usize {
    std::env::var("RECUTS").ok().and_then(|count| count.parse().ok()).unwrap_or(RECUTS)
}

/// The original may have come or not. A form that is cut anew has no effect either way, unless it is the original.
#[tokio::test(flavor = "multi_thread")]
async fn a_signed_form_that_is_cut_anew_has_no_effect() {
    for delivered in [true, false] {
        let inside = Inside::open().await;
        let all = captured();
        for captured in all.iter().filter(|_| delivered) {
            let status = captured.post(&inside, &captured.form).await;
            assert!([200, 400].contains(&status), "{status} {:?}", captured.form);
        }
        let before = state(&inside).await;
        let (mut tried, mut taken) = (0, 0);
        for (number, captured) in all.iter().enumerate() {
            let (dice, signed) = (Dice::new(number as u64 + 1), captured.signed());
            let original: BTreeSet<_> = captured.form.iter().cloned().collect();
            let mut seen = BTreeSet::new();
            for _ in 0..recuts() {
                let Some(form) = cut_anew(&signed, &dice) else { continue };
                let again = sign(TOKEN, &format!("{PUBLIC_URL}{}", captured.path), &form);
                if again != captured.signature || form.iter().cloned().collect::<BTreeSet<_>>() == original {
                    continue;
                }
                if !seen.insert(form.clone()) {
                    continue;
                }
                tried += 1;
                let status = captured.post(&inside, &form).await;
                taken += usize::from(status == 200);
                assert!([200, 400, 403].contains(&status), "{status} {form:?}");
                if status == 200 {
                    assert_eq!(state(&inside).await, before, "delivered: {delivered}; {form:?}");
                }
            }
        }
        eprintln!("{tried} forms cut anew, {taken} answered as repeats; the original delivered: {delivered}");
        assert!(tried > 1_000, "{tried}");
        assert_eq!(state(&inside).await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_that_were_cut_by_hand_are_refused() {
    let inside = Inside::open().await;
    let refused = async |captured: &Captured, form: &[(&str, &str)]| {
        let form = fields(form);
        let signature = sign(TOKEN, &format!("{PUBLIC_URL}{}", captured.path), &form);
        assert_eq!(signature, captured.signature, "it is the same signature: {form:?}");
        let status = captured.post(&inside, &form).await;
        assert_eq!(status, 400, "{form:?}");
    };
    let (sid, from, other) = (message_sid(1), customer(1), customer(2));
    let bare = |body: &str| {
        fields(&[
            ("AccountSid", ACCOUNT),
            ("Body", body),
            ("From", &from),
            ("MessageSid", &sid),
            ("NumMedia", "0"),
            ("To", OURS),
        ])
    };
    let start = Captured::new(MESSAGES, bare("START"));
    let longer = format!("{sid}NumMedia0");
    let (account, ours) = (("AccountSid", ACCOUNT), ("To", OURS));
    refused(&start, &[account, ("Body", "START"), ("From", &from), ("MessageSid", &longer), ours]).await;
    let doubled =
        [account, ("Body", "START"), ("Body", "START"), ("From", &from), ("MessageSid", &sid), ("NumMedia", "0"), ours];
    refused(&start, &doubled).await;
    let body = format!("STOPFrom{other}FromZ");
    let hidden = Captured::new(MESSAGES, bare(&body));
    let tail = format!("From{from}");
    let cut =
        [account, ("Body", "STOP"), ("From", &other), ("FromZ", &tail), ("MessageSid", &sid), ("NumMedia", "0"), ours];
    refused(&hidden, &cut).await;
    assert!(state(&inside).await.is_empty());
    // The texts themselves are messages like others.
    let texts = [body.as_str(), "hiFrom+15551234567", "NumMedia0 NumMedia", "From +1 555"];
    for (number, body) in texts.into_iter().enumerate() {
        let form = twilio().inbound(&message_sid(50 + number as u128), &from, OURS, body);
        let captured = Captured::new(MESSAGES, form);
        let status = captured.post(&inside, &captured.form).await;
        // Only a text with another sender and what follows it cannot be told from a form that was cut.
        let expect = if body.contains("FromZ") { 400 } else { 200 };
        assert_eq!(status, expect, "{body}");
    }
}

/// Without the turn in its URL, each repeat of a captured answer would be another turn.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_a_call_names_its_turn() {
    let inside = Inside::open().await;
    for path in [
        "/api/twilio/demo/gather",
        "/api/webhooks/twilio/gather",
        "/api/twilio/demo/gather?turn=",
        "/api/twilio/demo/gather?turn=x",
    ] {
        let captured = Captured::new(path, call(&[("Digits", "1")]));
        assert_eq!(captured.post(&inside, &captured.form).await, 400, "{path}");
    }
    let captured = Captured::new(GATHER, call(&[("Digits", "1")]));
    let first = captured.post(&inside, &captured.form).await;
    assert_eq!(first, 200);
    let before = state(&inside).await;
    for _ in 0..5 {
        assert_eq!(captured.post(&inside, &captured.form).await, 200);
    }
    assert_eq!(state(&inside).await, before, "the same turn");
}
