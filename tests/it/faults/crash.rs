//! SIGKILL anywhere, with answers of the provider lost: no message is lost, and none is sent twice.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use futures_util::future::join_all;
use recado::emulators::twilio::{Fault, FaultKind};
use tokio::sync::watch;

use super::rig::{self, Dice, Look, OURS, Provider, customer, sigkill};
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::{Twilio, message_sid};

/// The longest run of a process after its webhooks are posted, before it is killed.
const SHORT_LIFE: Duration = Duration::from_millis(1_500);
/// Time limit of the last process to finish all work.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// The abort points on the way of a message.
const POINTS: [&str; 4] = ["before-commit", "after-commit", "before-send", "after-send"];

/// The point at which a process is killed.
#[derive(Clone, Copy, Debug)]
enum End {
    /// At the nth pass of an abort point.
    Point(&'static str, usize),
    /// After this many answered webhooks, with the others in flight.
    Answers(usize),
    /// After the provider has taken this many messages.
    Taken(u64),
}

/// The plan of a seed.
#[derive(Debug)]
struct Plan {
    webhooks: usize,
    customers: usize,
    fault: Option<Fault>,
    callbacks: Option<Fault>,
    lives: Vec<End>,
}

impl Plan {
    fn roll(dice: &Dice) -> Self {
        use FaultKind::*;
        let webhooks = dice.between(3, 12);
        let faults = [DropAfterAccept, Error500AfterAccept, DropBeforeAccept, Throttle, Error500, Unavailable503];
        let fault = dice.percent(60).then(|| Fault::times(*dice.pick(&faults), dice.between(1, 4) as u32));
        let about_callbacks = [CallbacksDoubled, CallbacksReordered, CallbacksBeforeAnswer, CallbacksLost];
        let callbacks = dice.percent(60).then(|| Fault::always(*dice.pick(&about_callbacks)));
        let lives = (0..dice.between(1, 3)).map(|_| End::roll(dice, webhooks)).collect();
        Self { webhooks, customers: dice.between(1, 4), fault, callbacks, lives }
    }
}

impl End {
    fn roll(dice: &Dice, webhooks: usize) -> Self {
        match dice.below(10) {
            // A webhook takes part in four to six commits: in, decided, claimed, sent, two callbacks; some share one.
            0 | 1 => Self::Point(POINTS[0], dice.between(1, 3 * webhooks)),
            2 | 3 => Self::Point(POINTS[1], dice.between(1, 3 * webhooks)),
            4 | 5 => Self::Point(POINTS[2], dice.between(1, webhooks)),
            6 | 7 => Self::Point(POINTS[3], dice.between(1, webhooks)),
            8 => Self::Answers(dice.between(1, webhooks)),
            _ => Self::Taken(dice.between(1, webhooks) as u64),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_nothing_is_lost_and_nothing_is_sent_twice() {
    let (mut planned, mut aborted): (BTreeMap<&str, usize>, BTreeMap<&str, usize>) = Default::default();
    let mut looked_for = 0;
    for run in rig::each_seed(crash).await {
        run.planned.iter().for_each(|point| *planned.entry(point).or_default() += 1);
        run.aborted.iter().for_each(|point| *aborted.entry(point).or_default() += 1);
        looked_for += run.looked_for;
    }
    eprintln!("killed at {aborted:?} of {planned:?}; {looked_for} sends were looked for at the provider");
    for (point, planned) in planned {
        rig::assert_points_fired(point, planned, aborted.get(point).copied().unwrap_or_default());
    }
}

/// Each abort point ends the process, and what it was about to do is done by the next one.
#[tokio::test(flavor = "multi_thread")]
async fn every_abort_point_of_a_message_kills_the_process() {
    join_all(POINTS.map(killed_at)).await;
}

async fn killed_at(point: &str) {
    let provider = Provider::start(1).await;
    let mut server = Server::start(rig::options(&provider.url)).await;
    server.kill();
    server.set_env("RECADO_ABORT_AT", &format!("{point}:1"));
    server.spawn();
    let twilio = rig::twilio(&server);
    let form = twilio.inbound(&message_sid(1), &customer(1), OURS, "w1.");
    let status = match server.ready_or_ended().await {
        // It had something to commit at its start.
        Err(status) => status,
        Ok(()) => {
            // The process may end before it answers.
            rig::post(&twilio, &form).await;
            server.ended().await
        }
    };
    assert_eq!(status.signal(), Some(9), "{point}: {status}");
    server.unset_env("RECADO_ABORT_AT");
    server.start_again().await;
    assert_eq!(rig::post(&twilio, &form).await, Some(200), "{point}");
    let look = Look::into(server.folder()).await;
    // An attempt of a dead process counts as one after a minute.
    eventually(SETTLED_WITHIN * 2, || look.open()).await;
    assert_eq!(provider.sent().len(), 1, "{point}: it is sent once");
}

/// The faults that a run met, to check that runs do meet them.
struct Run {
    planned: Vec<&'static str>,
    aborted: Vec<&'static str>,
    looked_for: usize,
}

async fn crash(seed: u64) -> Run {
    let dice = Dice::new(seed);
    let plan = Plan::roll(&dice);
    let provider = Provider::start(seed).await;
    plan.fault.iter().chain(&plan.callbacks).for_each(|fault| provider.order(fault.clone()));
    let mut server = Server::prepare(rig::options(&provider.url));
    let mut waiting: Vec<usize> = (0..plan.webhooks).collect();
    let mut aborted = Vec::new();
    for end in &plan.lives {
        let (left, point) = cut_short(&mut server, &provider, &dice, &plan, *end, waiting).await;
        waiting = left;
        aborted.extend(point);
    }
    server.unset_env("RECADO_ABORT_AT");
    server.start_again().await;
    let twilio = rig::twilio(&server);
    let (answers, _) = watch::channel(0);
    let left = post(&twilio, &dice, &plan, waiting, &answers).await;
    assert!(left.is_empty(), "{plan:?}: a server that nobody kills answers: {left:?}");
    let look = Look::into(server.folder()).await;
    eventually(SETTLED_WITHIN, || look.open()).await;
    server.kill();
    check(&plan, &provider, &look).await;
    let planned = plan.lives.iter().filter_map(|end| if let End::Point(point, _) = end { Some(*point) } else { None });
    Run {
        planned: planned.collect(),
        aborted,
        looked_for: server.log().matches("an unknown send was looked for").count(),
    }
}

/// One life of the server, ended by SIGKILL: the webhooks that it did not answer, and the abort point it died at.
async fn cut_short(
    server: &mut Server,
    provider: &Provider,
    dice: &Dice,
    plan: &Plan,
    end: End,
    waiting: Vec<usize>,
) -> (Vec<usize>, Option<&'static str>) {
    server.unset_env("RECADO_ABORT_AT");
    if let End::Point(point, count) = end {
        server.set_env("RECADO_ABORT_AT", &format!("{point}:{count}"));
    }
    let taken = provider.carrier.taken();
    server.spawn();
    if let Err(status) = server.ready_or_ended().await {
        let End::Point(point, _) = end else { panic!("{plan:?}: the server ended by itself") };
        assert_eq!(status.signal(), Some(9), "{plan:?}: it did not end at {point}: {status}");
        return (waiting, Some(point));
    }
    let id = server.id().expect("it is started");
    let (answers, mut answered) = watch::channel(0);
    let killer = async {
        let signal = async {
            match end {
                // The sender lives longer than this wait.
                End::Answers(count) => drop(answered.wait_for(|answers| *answers >= count).await),
                End::Taken(count) => provider.carrier.wait_taken(taken + count).await,
                End::Point(..) => std::future::pending().await,
            }
        };
        if tokio::time::timeout(SHORT_LIFE, signal).await.is_ok() {
            sigkill(id);
        }
    };
    let twilio = rig::twilio(server);
    let (left, ()) = tokio::join!(post(&twilio, dice, plan, waiting, &answers), killer);
    let at_the_point = matches!(end, End::Point(..)) && !server.is_running();
    server.kill();
    let point = match end {
        End::Point(point, _) if at_the_point => Some(point),
        _ => None,
    };
    (left, point)
}

/// Posts webhooks as the provider does, side by side and some of them twice. Gives those without a 2xx answer.
async fn post(
    twilio: &Twilio,
    dice: &Dice,
    plan: &Plan,
    webhooks: Vec<usize>,
    answers: &watch::Sender<usize>,
) -> Vec<usize> {
    let twice: Vec<bool> = webhooks.iter().map(|_| dice.percent(25)).collect();
    let posts = webhooks.iter().zip(twice).map(|(&number, twice)| async move {
        let from = customer(number % plan.customers);
        let form = twilio.inbound(&message_sid(number as u128 + 1), &from, OURS, &body(number));
        let again = async { if twice { rig::post(twilio, &form).await } else { None } };
        let (answer, again) = tokio::join!(rig::post(twilio, &form), again);
        let accepted = [answer, again].contains(&Some(200));
        if accepted {
            answers.send_modify(|answers| *answers += 1);
        }
        (number, accepted)
    });
    join_all(posts).await.into_iter().filter(|(_, accepted)| !accepted).map(|(number, _)| number).collect()
}

fn body(number: usize) -> String {
    format!("w{number}.")
}

async fn check(plan: &Plan, provider: &Provider, look: &Look) {
    look.assert_sound().await;
    let (events, actions, messages) = (look.events().await, look.actions().await, look.messages().await);
    let sent = provider.sent();
    let texts: Vec<&str> = sent.iter().map(|message| message.body.as_str()).collect();
    let mut planned: HashMap<String, Vec<(i64, String)>> = HashMap::new();
    for number in 0..plan.webhooks {
        let body = body(number);
        let said = format!("\"body\":\"{body}\"");
        let of_it: Vec<_> =
            events.iter().filter(|event| event.kind == "inbound_sms" && event.data.contains(&said)).collect();
        let [event] = of_it.as_slice() else { panic!("{plan:?}: {} events of {body}", of_it.len()) };
        assert!(event.handled_us.is_some(), "{plan:?}: {body} is not decided");
        let of_it: Vec<_> = actions.iter().filter(|action| action.event_id == event.id).collect();
        let [action] = of_it.as_slice() else { panic!("{plan:?}: {} actions of {body}", of_it.len()) };
        let taken: Vec<_> = sent.iter().filter(|message| message.body == format!("re {body}")).collect();
        let [taken] = taken.as_slice() else {
            panic!("{plan:?}: {} messages answer {body}; {action:?}; {texts:?}", taken.len())
        };
        assert_eq!(action.state, "sent", "{plan:?}: {action:?}");
        assert_eq!(action.provider_sid.as_deref(), Some(taken.sid.as_str()), "{plan:?}: {action:?}");
        let shown = messages.iter().find(|message| message.id == action.id);
        assert_eq!(shown.and_then(|message| message.provider_sid.as_deref()), Some(taken.sid.as_str()), "{plan:?}");
        planned.entry(taken.to.clone()).or_default().push((action.planned_us, taken.body.clone()));
    }
    assert_eq!(sent.len(), plan.webhooks, "{plan:?}: {texts:?}");
    for (to, mut planned) in planned {
        planned.sort();
        let planned: Vec<&str> = planned.iter().map(|(_, body)| body.as_str()).collect();
        let taken: Vec<&str> =
            sent.iter().filter(|message| message.to == to).map(|message| message.body.as_str()).collect();
        assert_eq!(taken, planned, "{plan:?}: a customer's messages come in the order in which they were planned");
    }
}
