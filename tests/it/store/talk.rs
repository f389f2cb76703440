//! Questions and limits: each question has one end, and no limit is exceeded, in any order of decisions.

use std::collections::BTreeMap;
use std::time::Duration;

use recado::domain::clock::Random;
use recado::domain::opt_out::OptOutWord;
use recado::domain::{ActionId, Channel, ContactId, Firing, Question, QuestionChange};
use recado::store::{Decided, OptOutKeyword};
use serde_json::{Value, json};

use super::{ANA, Bench, LUIS, on_both};

const SEEDS: u64 = 12;
const STEPS: usize = 40;

impl Bench {
    fn question(&self, n: u128, channel: Channel) -> Question {
        Question {
            id: ActionId::new(uuid::Uuid::from_u128(n)),
            channel,
            rule: "booking".to_owned(),
            name: "day".to_owned(),
            state: json!({"n": n.to_string()}),
            asked_at: self.now(),
            expires_at: self.now().plus(Duration::from_secs(3_600)),
        }
    }

    /// Decides a new event of the customer with these changes of questions; `true` if the decision held.
    async fn turn(&self, sid: &str, from: &str, questions: Vec<QuestionChange>) -> bool {
        let (event, contact) = self.received(sid, from, "hola").await;
        let decided = Decided { questions, ..self.decided(event, contact, vec![]) };
        let receipt = self.store.writer().decided(vec![decided]).await.expect("it can be written");
        let (_, handled) = self.store.event(self.tenant, event).await.unwrap().unwrap();
        assert_eq!(handled.is_none(), receipt.overtaken == 1, "what is overtaken waits to be decided anew");
        receipt.overtaken == 0
    }

    /// A customer with an open question and a run of a rule with a limit.
    pub(super) async fn remembers(&self, sid: &str, from: &str) {
        let (event, contact) = self.received(sid, from, "hola").await;
        let at = self.now();
        let decided = Decided {
            questions: vec![QuestionChange::Open(self.question(1, Channel::Sms))],
            firings: vec![Firing { rule: "hello".to_owned(), at, times: 1, since: at }],
            ..self.decided(event, contact, vec![])
        };
        self.store.writer().decided(vec![decided]).await.expect("it can be written");
    }

    async fn open_to(&self, contact: ContactId) -> BTreeMap<Channel, Question> {
        let mut open = self.store.open_questions(self.tenant, &[contact]).await.unwrap();
        open.remove(&contact).unwrap_or_default()
    }
}

#[tokio::test]
async fn a_question_has_one_end_in_any_order_of_events() {
    on_both(|bench| async move {
        for seed in 1..=SEEDS {
            one_run(&bench, seed).await;
        }
    })
    .await;
}

/// Notes the end of a question.
fn ended(ends: &mut BTreeMap<ActionId, Vec<&'static str>>, question: Option<ActionId>, how: &'static str) {
    if let Some(question) = question {
        ends.entry(question).or_default().push(how);
    }
}

/// Asks questions and ends them by answers and timers, some of them repeated or late, with a STOP at times.
async fn one_run(bench: &Bench, seed: u64) {
    let random = Random::seeded(seed);
    let below = |end: u64| random.next_u64() % end;
    let from = format!("+346{seed:08}");
    let (_, contact) = bench.received(&format!("SM{seed}-0"), &from, "hola").await;
    let mut asked: Vec<Question> = Vec::new();
    let mut ends: BTreeMap<ActionId, Vec<&'static str>> = BTreeMap::new();
    let mut open: BTreeMap<Channel, ActionId> = BTreeMap::new();
    for step in 1..=STEPS {
        let (sid, channel) = (format!("SM{seed}-{step}"), Channel::INBOUND[below(2) as usize]);
        let new = bench.question(u128::from(seed) * 1_000 + step as u128, channel);
        // Any question that was ever asked, because a process may believe that it is open.
        let any = |asked: &[Question]| (!asked.is_empty()).then(|| asked[below(asked.len() as u64) as usize].clone());
        match (below(8), any(&asked)) {
            (0, _) => {
                let wish = OptOutKeyword {
                    word: OptOutWord::Stop,
                    text: "stop".into(),
                    only_if_opted_out: false,
                    confirmation: None,
                };
                bench.wished(&sid, &from, wish).await;
                ended(&mut ends, open.remove(&Channel::Sms), "stopped");
            }
            (1..=3, _) | (_, None) => {
                assert!(bench.turn(&sid, &from, vec![QuestionChange::Open(new.clone())]).await);
                ended(&mut ends, open.insert(channel, new.id), "replaced");
                asked.push(new);
            }
            (what, Some(old)) => {
                let mut changes = vec![QuestionChange::Close(old.clone())];
                if what == 7 {
                    changes.push(QuestionChange::Open(new.clone()));
                }
                let held = bench.turn(&sid, &from, changes).await;
                assert_eq!(held, open.get(&old.channel) == Some(&old.id), "seed {seed}, step {step}");
                if held {
                    open.remove(&old.channel);
                    ends.entry(old.id).or_default().push(if what == 4 { "silent" } else { "answered" });
                    if what == 7 {
                        ended(&mut ends, open.insert(channel, new.id), "replaced");
                        asked.push(new);
                    }
                }
            }
        }
        let stored: BTreeMap<Channel, ActionId> =
            bench.open_to(contact).await.into_iter().map(|(channel, question)| (channel, question.id)).collect();
        assert_eq!(stored, open, "seed {seed}, step {step}");
    }
    for question in asked {
        let ends = ends.get(&question.id).map_or(0, Vec::len) + usize::from(open.values().any(|id| *id == question.id));
        assert_eq!(ends, 1, "seed {seed}: {question:?}");
    }
}

#[tokio::test]
async fn open_questions_can_be_read_and_erased() {
    on_both(|bench| async move {
        let question = bench.question(7, Channel::WhatsApp);
        assert!(bench.turn("SM1", ANA, vec![QuestionChange::Open(question.clone())]).await);
        let (_, contact) = bench.received("SM2", ANA, "hola").await;
        assert_eq!(bench.open_to(contact).await, BTreeMap::from([(Channel::WhatsApp, question)]));
        let null = Question { state: Value::Null, ..bench.question(8, Channel::Sms) };
        assert!(bench.turn("SM3", ANA, vec![QuestionChange::Open(null.clone())]).await);
        assert_eq!(bench.open_to(contact).await[&Channel::Sms], null);
        let other = bench.other().await;
        assert!(other.open_to(contact).await.is_empty(), "another tenant's");
        bench.store.erase_contact(bench.tenant, ANA).await.unwrap();
        assert!(bench.open_to(contact).await.is_empty());
        bench.pass(30 * 24 * 3_600);
        let left = bench.question(9, Channel::Sms);
        assert!(bench.turn("SM4", LUIS, vec![QuestionChange::Open(left)]).await);
        assert_eq!(bench.store.remove_stale_questions(bench.tenant, bench.now()).await.unwrap(), 0);
        bench.pass(2 * 3_600);
        assert_eq!(bench.store.remove_stale_questions(bench.tenant, bench.now()).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_decision_on_old_facts_exceeds_no_limit() {
    on_both(|bench| async move {
        let firing = |bench: &Bench| {
            let at = bench.now();
            vec![Firing { rule: "hello".to_owned(), at, times: 1, since: at.minus(Duration::from_secs(3_600)) }]
        };
        let (first, contact) = bench.received("SM1", ANA, "hola").await;
        let (second, _) = bench.received("SM2", ANA, "hola").await;
        let (third, other) = bench.received("SM3", LUIS, "hola").await;
        // The decision was made on facts without the run, like that of another process at the same time.
        let decided = |event, contact| {
            let actions = vec![bench.send(event, contact, 0, ANA, "hola")];
            Decided { firings: firing(&bench), ..bench.decided(event, contact, actions) }
        };
        let all = vec![decided(first, contact), decided(second, contact), decided(third, other)];
        let receipt = bench.store.writer().decided(all).await.unwrap();
        assert_eq!((receipt.sends, receipt.overtaken), (2, 1), "the second is decided anew");
        let receipt = bench.store.writer().decided(vec![decided(second, contact)]).await.unwrap();
        assert_eq!((receipt.sends, receipt.overtaken), (0, 1));
        let firings = bench.store.firings(bench.tenant, &[contact, other], super::START, None).await.unwrap();
        assert_eq!(firings[&contact]["hello"].len(), 1);
        let until = firings[&contact]["hello"][0];
        let before = bench.store.firings(bench.tenant, &[contact], super::START, Some(until)).await.unwrap();
        assert!(before.is_empty(), "an explanation of the first sees none before it");
        bench.pass(2 * 3_600);
        let receipt = bench.store.writer().decided(vec![decided(second, contact)]).await.unwrap();
        assert_eq!((receipt.sends, receipt.overtaken), (1, 0), "the limit's span is over");
        let old = bench.now().minus(Duration::from_secs(3_600));
        assert_eq!(bench.store.remove_firings(bench.tenant, old).await.unwrap(), 2);
    })
    .await;
}
