//! What customers write: answers to reminders through the shipped rules, and opt-outs, with the precision and recall of both.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::DateTime;
use recado::domain::appointment_answer::{self, AppointmentAnswer};
use recado::domain::contact::ContactFacts;
use recado::domain::opt_out::{self, OptOutWord};
use recado::domain::{Action, Channel, Effect, Event, EventId, EventKind, Facts, QuestionChange, Timestamp};
use recado::rules::{Limits, RuleSet};
use serde_json::json;

use crate::support::source::top;

/// A phrase, and the outcomes that are right.
struct Phrase {
    text: String,
    expected: Vec<String>,
}

/// Reads a list: a phrase and its outcomes in a line, `|` between outcomes.
fn phrases(name: &str) -> Vec<Phrase> {
    let text = std::fs::read_to_string(top().join("tests/data/phrases").join(name)).expect("the list is there");
    let lines = text.lines().filter(|line| !line.starts_with("# ") && !line.is_empty());
    let read = |line: &str| {
        let (text, expected) = line.rsplit_once('\t').expect("a phrase and its outcome");
        Phrase { text: text.to_owned(), expected: expected.split('|').map(str::to_owned).collect() }
    };
    lines.map(read).collect()
}

/// The results of a list: every phrase, and what became of it.
struct Results(Vec<(Phrase, String)>);

impl Results {
    fn of(list: &str, outcome: impl Fn(&str) -> String) -> Self {
        Self(phrases(list).into_iter().map(|phrase| (outcome(&phrase.text), phrase)).map(|(got, p)| (p, got)).collect())
    }

    /// The phrases with this outcome that should have another.
    fn false_positives(&self, outcome: &str) -> Vec<&str> {
        let wrong = |(phrase, got): &&(Phrase, String)| got == outcome && !phrase.expected.contains(got);
        self.0.iter().filter(wrong).map(|(phrase, _)| phrase.text.as_str()).collect()
    }

    /// Prints the precision and recall of an outcome and what went wrong, and returns both.
    fn report(&self, outcome: &str) -> (f64, f64) {
        let got = self.0.iter().filter(|(_, got)| got == outcome).count();
        let wrong = self.false_positives(outcome);
        let wanted: Vec<_> = self.0.iter().filter(|(phrase, _)| phrase.expected[0] == outcome).collect();
        let missed: Vec<_> = wanted.iter().filter(|(phrase, got)| !phrase.expected.contains(got)).collect();
        let share = |part: usize, all: usize| if all == 0 { 1.0 } else { part as f64 / all as f64 };
        let (precision, recall) = (share(got - wrong.len(), got), share(wanted.len() - missed.len(), wanted.len()));
        println!("{outcome}: precision {precision:.3} of {got}, recall {recall:.3} of {}", wanted.len());
        wrong.iter().for_each(|text| println!("    falsely {outcome}: {text:?}"));
        missed.iter().for_each(|(phrase, got)| println!("    {got} instead of {outcome}: {:?}", phrase.text));
        (precision, recall)
    }
}

/// A customer with an appointment tomorrow at ten, of a business that has enabled the shipped rules for answers.
struct Reminded {
    rules: RuleSet,
    facts: Facts,
}

impl Reminded {
    fn new() -> Self {
        let (rules, findings) = RuleSet::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rules"), Limits::default());
        assert!(findings.is_empty(), "{findings:?}");
        let mut facts = Facts::empty(Timestamp::parse("2026-11-23T09:00:00Z").expect("a time"));
        facts.tenant.zone = "Europe/Madrid".to_owned();
        for rule in ["appointment confirm", "appointment cancel", "appointment move"] {
            assert!(rules.knows_of(rule));
            facts.tenant.blueprints.insert(rule.to_owned(), BTreeMap::new());
        }
        facts.contact = Some(ContactFacts { inbound_count: 3, ..ContactFacts::default() });
        facts.next_appointment = serde_json::from_value(json!({
            "id": "019a0000-0000-7000-8000-000000000001", "service": "cut", "staff": null, "zone": "Europe/Madrid",
            "starts_at": "2026-11-24T09:00:00Z", "ends_at": "2026-11-24T09:30:00Z", "state": "booked",
        }))
        .expect("an appointment");
        Self { rules, facts }
    }

    fn outcome(&self, channel: Channel, body: &str) -> String {
        let event = Event {
            id: EventId::new(uuid::Uuid::from_u128(1)),
            tenant: self.facts.tenant.id,
            kind: EventKind::inbound(channel),
            channel: Some(channel),
            contact: self.facts.contact.as_ref().map(|contact| contact.id),
            occurred_at: self.facts.as_of,
            dedupe_key: None,
            depth: 0,
            data: json!({"body": body, "from": "+15005550006", "to": "+15005550009"}),
        };
        let decision = self.rules.decide(&event, &self.facts);
        let has = |wanted: fn(&Effect) -> bool| {
            decision.actions.iter().any(|planned| matches!(&planned.action, Action::Effect(effect) if wanted(effect)))
        };
        let confirms = has(|effect| matches!(effect, Effect::ConfirmAppointment { .. }));
        let cancels = has(|effect| matches!(effect, Effect::CancelAppointment { .. }));
        let asks = decision.questions.iter().any(|change| matches!(change, QuestionChange::Open(_)));
        match (confirms, cancels, asks) {
            (true, false, false) => "confirmed",
            (false, true, false) => "cancelled",
            (false, false, true) => "asked",
            (false, false, false) => "untouched",
            several => panic!("{body:?}: {several:?}"),
        }
        .to_owned()
    }
}

#[test]
fn answers_to_a_reminder_do_what_the_customer_says() {
    let reminded = Reminded::new();
    let results = Results::of("appointment_answers.tsv", |body| reminded.outcome(Channel::Sms, body));
    assert!(results.0.len() >= 300, "{}", results.0.len());
    let [confirmed, cancelled, asked, untouched] =
        ["confirmed", "cancelled", "asked", "untouched"].map(|outcome| results.report(outcome));
    assert_eq!(results.false_positives("confirmed"), Vec::<&str>::new());
    assert_eq!(results.false_positives("cancelled"), Vec::<&str>::new());
    assert!(confirmed.1 >= 0.98, "recall of confirmations: {}", confirmed.1);
    assert!(cancelled.1 >= 0.95, "recall of cancellations: {}", cancelled.1);
    assert!(asked.0 >= 0.95 && asked.1 >= 0.95, "of those asked: {asked:?}");
    assert!(untouched.1 >= 0.95, "recall of what is left to people: {}", untouched.1);
}

#[test]
fn answers_mean_the_same_on_every_channel() {
    let reminded = Reminded::new();
    for phrase in phrases("appointment_answers.tsv").iter().step_by(7) {
        let on = |channel| reminded.outcome(channel, &phrase.text);
        assert_eq!(on(Channel::Sms), on(Channel::WhatsApp), "{:?}", phrase.text);
    }
}

#[test]
fn a_word_added_to_a_refusal_never_confirms() {
    let start = DateTime::parse_from_rfc3339("2026-11-24T10:00:00+01:00").expect("a time");
    let now = Timestamp::parse("2026-11-23T09:00:00Z").expect("a time");
    let says_no = |phrase: &Phrase| ["cancelled", "asked"].contains(&phrase.expected[0].as_str());
    let refusals = phrases("appointment_answers.tsv").into_iter().filter(says_no);
    let mut tried = 0;
    for Phrase { text, .. } in refusals {
        for assent in ["ok", "Sí,", "yes", "vale", "Confirmo", "C", "👍", "Perfecto!"] {
            for text in [format!("{assent} {text}"), format!("{text} {assent}")] {
                let answer = appointment_answer::read(&text, Some(&start), now);
                assert!(!matches!(answer, Some(AppointmentAnswer::Confirm | AppointmentAnswer::Yes)), "{text:?}");
                tried += 1;
            }
        }
    }
    assert!(tried > 3_000, "{tried}");
}

#[test]
fn opt_outs_are_honoured_in_any_reasonable_wording() {
    let results = Results::of("opt_outs.tsv", |body| match opt_out::recognise(body) {
        Some(found) if found.word == OptOutWord::Stop => "stop".to_owned(),
        _ => "none".to_owned(),
    });
    let (precision, recall) = results.report("stop");
    assert_eq!(results.false_positives("stop"), Vec::<&str>::new());
    assert!(precision == 1.0 && recall >= 0.98, "precision {precision}, recall {recall}");
}

#[test]
fn nobody_is_opted_in_by_accident() {
    for text in [
        "start please",
        "please start",
        "when do you start?",
        "start?",
        "START 👍",
        "yes?",
        "yes 👍",
        "Yes please",
        "alta por favor",
        "subscribe me to nothing",
        "let's start at 5",
        "sttart",
        "starttt",
        "no start",
        "unstop it",
    ] {
        assert_eq!(opt_out::recognise(text).filter(|found| found.word == OptOutWord::Start), None, "{text}");
    }
    for text in ["START", "start.", "\"START\"", "¡Alta!", "unstop", "opt-in", "Opt in"] {
        assert_eq!(opt_out::recognise(text).map(|found| found.word), Some(OptOutWord::Start), "{text}");
    }
}
