//! Deciding batches of events, on threads whose stacks are deep enough for any script that the limits allow.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

use super::stack;
use crate::domain::{Action, ContactId, Effect, Event, Facts, Firing, QuestionChange};
use crate::rules::eval::trace::Decision;
use crate::rules::limits::STACK_BYTES;
use crate::rules::ruleset::RuleSet;
use crate::rules::script::failure;

/// The most events in one batch. The rest are left for the next batch.
pub const BATCH_MAX: usize = 1_024;
/// The most batches that wait for a thread. Callers with more batches wait.
pub const QUEUE_MAX: usize = 64;

/// A small pool of threads that only decide. Dropping it ends the threads after their current batches.
pub struct Evaluator {
    jobs: Sender<Job>,
    permits: Arc<Semaphore>,
}

type Job = Box<dyn FnOnce() + Send>;

/// Why no decision could be made.
#[derive(Debug, thiserror::Error)]
pub enum EvaluatorError {
    #[error("no thread for the rules could be started: {0}; give the process more memory or threads")]
    NoThread(#[from] std::io::Error),
    #[error("the rules' threads have ended, which happens only while the process stops")]
    Ended,
}

impl Evaluator {
    /// Starts this many threads, at least one.
    pub fn start(threads: usize) -> Result<Self, EvaluatorError> {
        let (jobs, queue) = channel::<Job>();
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..threads.max(1) {
            let queue = Arc::clone(&queue);
            let thread = thread::Builder::new().name(format!("rules-{number}")).stack_size(STACK_BYTES);
            thread.spawn(move || work(&queue))?;
        }
        Ok(Self { jobs, permits: Arc::new(Semaphore::new(QUEUE_MAX)) })
    }

    /// Decides events in their order, and returns the decisions of as many as `budget` allows: always the first ones, and at
    /// least one. The rest stay undecided, for another batch.
    ///
    /// A batch also ends after a decision that moves an appointment, because only writing it shows whether it is possible.
    ///
    /// The effects of a decision on a customer (tags, fields, questions, runs of rules) show in the facts of that customer's
    /// later events in the batch.
    pub async fn decide_batch(
        &self,
        rules: Arc<RuleSet>,
        batch: Arc<Vec<(Event, Facts)>>,
        budget: Duration,
    ) -> Result<Vec<Decision>, EvaluatorError> {
        self.run(move || decide_in_order(&rules, &batch, budget)).await
    }

    /// Runs `work` on one of the threads, first come first served.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, EvaluatorError> {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| EvaluatorError::Ended)?;
        let (answer, answered) = oneshot::channel();
        let job = move || {
            // The caller may have gone. Then the answer is not needed.
            let _ = answer.send(work());
            drop(permit);
        };
        self.jobs.send(Box::new(job)).map_err(|_| EvaluatorError::Ended)?;
        answered.await.map_err(|_| EvaluatorError::Ended)
    }
}

fn work(queue: &Mutex<Receiver<Job>>) {
    stack::mark_this_thread();
    loop {
        // The lock is held only while waiting. Jobs run outside it.
        let job = queue.lock().recv();
        let Ok(job) = job else { return };
        // A panic drops the job's sender, which tells the caller. The thread lives on.
        let _ = failure::caught(|| {
            job();
            Ok(())
        });
    }
}

fn decide_in_order(rules: &RuleSet, batch: &[(Event, Facts)], budget: Duration) -> Vec<Decision> {
    let started = Instant::now();
    let mut customers: HashMap<ContactId, PendingEffects> = HashMap::new();
    let mut decisions = Vec::with_capacity(batch.len().min(BATCH_MAX));
    for (event, facts) in batch.iter().take(BATCH_MAX) {
        if !decisions.is_empty() && started.elapsed() >= budget {
            break;
        }
        let pending = event.contact.map(|contact| customers.entry(contact).or_default());
        let shown = pending.as_ref().filter(|pending| !pending.is_empty()).map(|pending| {
            let mut facts = facts.clone();
            pending.apply_to(&mut facts);
            facts
        });
        let decision = rules.decide(event, shown.as_ref().unwrap_or(facts));
        if let Some(pending) = pending {
            pending.add(&decision);
        }
        let moves = decision.moves_appointment();
        decisions.push(decision);
        if moves {
            break;
        }
    }
    decisions
}

/// Effects of decisions on a customer that are not stored yet.
#[derive(Clone, Debug, Default)]
pub struct PendingEffects {
    effects: Vec<Effect>,
    firings: Vec<Firing>,
    questions: Vec<QuestionChange>,
}

impl PendingEffects {
    fn is_empty(&self) -> bool {
        self.effects.is_empty() && self.firings.is_empty() && self.questions.is_empty()
    }

    /// Applies the effects to the facts of a later event of the same customer.
    pub fn apply_to(&self, facts: &mut Facts) {
        self.effects.iter().for_each(|effect| facts.apply(effect));
        self.firings.iter().for_each(|firing| facts.apply_firing(firing));
        self.questions.iter().for_each(|change| facts.apply_question(change));
    }

    /// Adds the effects of a decision.
    pub fn add(&mut self, decision: &Decision) {
        let made = decision.actions.iter().filter(|planned| planned.blocked.is_none());
        self.effects.extend(made.filter_map(|planned| match &planned.action {
            Action::Effect(Effect::Note { .. } | Effect::Emit { .. }) => None,
            Action::Effect(effect) => Some(effect.clone()),
            _ => None,
        }));
        self.firings.extend(decision.firings.iter().cloned());
        self.questions.extend(decision.questions.iter().cloned());
    }
}

impl std::fmt::Debug for Evaluator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evaluator").field("permits", &self.permits.available_permits()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;
    use crate::rules::tests::{actions, facts, rules, sms};

    const COUNTS: &str = "rule(\"first\").on(\"inbound_sms\").when(\"is new\", |e| !e.contact.tag(\"seen\"))
            .then(|e| { tag(\"seen\"); set_field(\"name\", e.body); note(`hello ${e.contact.name}`) });
        rule(\"again\").on(\"inbound_sms\").when(\"is known\", |e| e.contact.tag(\"seen\")).then(|e| note(`again ${e.contact.name}`));";

    fn from(contact: u128, body: &str) -> (Event, Facts) {
        let mut event = sms(body);
        event.contact = Some(ContactId::new(uuid::Uuid::from_u128(contact)));
        (event, facts())
    }

    #[tokio::test]
    async fn effects_show_in_the_same_customers_later_events() {
        let evaluator = Evaluator::start(2).unwrap();
        let batch = vec![from(1, "Eva"), from(2, "Leo"), from(1, "x"), from(2, "y")];
        let decisions =
            evaluator.decide_batch(Arc::new(rules(COUNTS)), batch.into(), Duration::from_secs(60)).await.unwrap();
        let notes: Vec<String> = decisions
            .iter()
            .map(|decision| actions(decision).as_array().unwrap().last().unwrap()["text"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(notes, ["hello Ana María", "hello Ana María", "again Eva", "again Leo"]);
    }

    #[tokio::test]
    async fn firings_and_questions_show_in_the_same_customers_later_events() {
        let evaluator = Evaluator::start(1).unwrap();
        let rules = rules(
            "rule(\"once\").on(\"inbound_sms\").limit(1, \"4h\").then(|e| note(`once ${e.body}`));
             rule(\"asks\").on(\"inbound_sms\").keyword(\"ask\").then(|e| ask(\"q\", \"?\", \"1h\"))
                .on_answer(\"q\", |e, answer| note(`heard ${answer}`));",
        );
        let batch = vec![from(1, "ask"), from(2, "b"), from(1, "C"), from(1, "d")];
        let decisions = evaluator.decide_batch(Arc::new(rules), batch.into(), Duration::from_secs(60)).await.unwrap();
        let notes: Vec<Vec<String>> = decisions
            .iter()
            .map(|decision| {
                let all = actions(decision);
                let texts = all.as_array().unwrap().iter().map(|action| action["text"].as_str().unwrap().to_owned());
                texts.collect()
            })
            .collect();
        assert_eq!(notes, [vec!["once ask", "?"], vec!["once b"], vec!["heard c"], vec![]]);
    }

    /// A later event would be told of a move that may be refused when it is written.
    #[tokio::test]
    async fn a_batch_ends_behind_a_decision_that_moves_an_appointment() {
        let evaluator = Evaluator::start(1).unwrap();
        let rules = rules(
            "rule(\"moves\").on(\"inbound_sms\").keyword(\"2\").then(|e| move_appointment(\"2026-12-02T09:00:00Z\"));",
        );
        let next = crate::domain::appointment::AppointmentFacts {
            id: crate::domain::AppointmentId::new(uuid::Uuid::nil()),
            service: String::new(),
            staff: None,
            starts_at: Timestamp::from_unix_us(0),
            ends_at: Timestamp::from_unix_us(0),
            zone: String::new(),
            state: "booked".to_owned(),
        };
        let batch = [from(1, "x"), from(1, "2"), from(1, "y"), from(2, "z")];
        let batch = batch.map(|(event, facts)| (event, Facts { next_appointment: Some(next.clone()), ..facts }));
        let decided =
            evaluator.decide_batch(Arc::new(rules), batch.to_vec().into(), Duration::from_secs(60)).await.unwrap();
        assert_eq!(decided.len(), 2);
        assert!(decided[1].moves_appointment());
    }

    #[tokio::test]
    async fn a_budget_ends_a_batch_early_but_never_empty() {
        let evaluator = Evaluator::start(1).unwrap();
        let rules = Arc::new(rules("rule(\"r\").on(\"inbound_sms\").then(|e| { loop {} });"));
        let batch: Vec<_> = (0..50).map(|number| from(number, "x")).collect();
        let decisions = evaluator.decide_batch(Arc::clone(&rules), batch.into(), Duration::ZERO).await.unwrap();
        assert_eq!(decisions.len(), 1);
        assert!(decisions[0].overran);
        let none = evaluator.decide_batch(rules, Vec::new().into(), Duration::ZERO).await.unwrap();
        assert!(none.is_empty());
    }

    #[tokio::test]
    async fn many_batches_run_at_once_and_in_line() {
        let evaluator = Arc::new(Evaluator::start(2).unwrap());
        let rules = Arc::new(rules(COUNTS));
        let tasks: Vec<_> = (0..200)
            .map(|number| {
                let (evaluator, rules) = (Arc::clone(&evaluator), Arc::clone(&rules));
                tokio::spawn(async move {
                    evaluator
                        .decide_batch(rules, vec![from(number, "x")].into(), Duration::from_secs(60))
                        .await
                        .unwrap()
                        .len()
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), 1);
        }
    }
}
