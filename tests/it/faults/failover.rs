//! The database is away while sends are in flight, or in a burst of webhooks. What the provider has answered is kept, however
//! long it takes, and what was acknowledged is answered once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use recado::domain::{Clock, Timestamp};
use recado::engine::reconcile;
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use super::inside::{Inside, PUBLIC_URL, encode, posted};
use super::rig::{self, ACCOUNT, OURS, Provider, TOKEN, customer};
use crate::support::postgres::{Cluster, Database};
use crate::support::server::Server;
use crate::support::wait::eventually;
use crate::support::webhook::{Twilio, message_sid, sign};

const TEXTS: usize = 12;
const WITHIN: Duration = Duration::from_secs(60);
/// Longer than any attempt takes.
const AWAY: Duration = Duration::from_secs(120);
const BURST: usize = 400;
/// Customers of the burst who write at once.
const AT_ONCE: usize = 8;
/// Longer than a batch of the writer waits for the database.
const DEAD: Duration = Duration::from_secs(12);

/// A provider, and a server that a rule calls, which hold their answers back until they may give them.
#[derive(Clone)]
struct Held {
    messages: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
    lists: Arc<AtomicUsize>,
    answers: Arc<Semaphore>,
}

impl Held {
    async fn start() -> (String, Self) {
        async fn create(State(held): State<Held>) -> Response {
            let number = held.messages.fetch_add(1, Ordering::SeqCst);
            held.answers.acquire().await.expect("it is not closed").forget();
            let sid = message_sid(1_000 + number as u128);
            (StatusCode::CREATED, Json(json!({"sid": sid, "status": "queued"}))).into_response()
        }
        async fn hook(State(held): State<Held>) -> StatusCode {
            held.requests.fetch_add(1, Ordering::SeqCst);
            held.answers.acquire().await.expect("it is not closed").forget();
            StatusCode::NO_CONTENT
        }
        async fn list(State(held): State<Held>) -> Response {
            held.lists.fetch_add(1, Ordering::SeqCst);
            Json(json!({"messages": [], "next_page_uri": null})).into_response()
        }
        let held = Self {
            messages: Arc::default(),
            requests: Arc::default(),
            lists: Arc::default(),
            answers: Arc::new(Semaphore::new(0)),
        };
        let path = format!("/2010-04-01/Accounts/{ACCOUNT}/Messages.json");
        let router = Router::new().route(&path, post(create).get(list)).route("/hook", post(hook));
        let router = router.with_state(held.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port can be bound");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        tokio::spawn(async move { axum::serve(listener, router).await.expect("serves until the test ends") });
        (url, held)
    }

    fn in_flight(&self) -> usize {
        self.messages.load(Ordering::SeqCst) + self.requests.load(Ordering::SeqCst)
    }
}

/// Takes the database away and gives it back.
enum Outage {
    Crash(Box<Cluster>),
    Lock { url: String, held: Option<DatabaseConnection> },
}

impl Outage {
    async fn begin(&mut self) {
        match self {
            Self::Crash(cluster) => cluster.crash(),
            Self::Lock { url, held } => {
                let mut connect = ConnectOptions::new(url.clone());
                connect.max_connections(1).sqlx_logging(false);
                let other = sea_orm::Database::connect(connect).await.expect("the file can be opened");
                other.execute_unprepared("BEGIN EXCLUSIVE").await.expect("the lock is free for a moment");
                *held = Some(other);
            }
        }
    }

    async fn end(&mut self) {
        match self {
            Self::Crash(cluster) => cluster.start_again(),
            Self::Lock { held, .. } => {
                let held = held.take().expect("it has begun");
                held.execute_unprepared("ROLLBACK").await.expect("it is ours");
            }
        }
    }
}

async fn keeps_what_was_answered(database_url: Option<String>, outage: impl FnOnce(&Inside) -> Outage) {
    let clock = Clock::simulated(Timestamp::parse("2026-11-21T08:00:00Z").expect("it is a time"));
    let (url, held) = Held::start().await;
    let rules = format!(
        "rule(\"echo\").on(\"inbound_sms\").then(|e| [reply(`re ${{e.body}}`), \
         http_request(#{{ url: \"{url}/hook\", method: \"POST\" }})]);\n"
    );
    let mut settings = vec![("OUTBOUND_ALLOW", "127.0.0.1".to_owned())];
    settings.extend(database_url.map(|url| ("DATABASE_URL", url)));
    let inside = Inside::with(&url, clock.clone(), &rules, &settings).await;
    let mut outage = outage(&inside);
    let _loops = recado::app::start_loops(&inside.engine);
    let twilio = Twilio::new(PUBLIC_URL, ACCOUNT, TOKEN);
    let target = "/api/twilio/demo/sms";
    for number in 0..TEXTS {
        let form = twilio.inbound(&message_sid(number as u128), &customer(number), OURS, "hola");
        let signature = sign(TOKEN, &format!("{PUBLIC_URL}{target}"), &form);
        assert_eq!(inside.answer(posted(target, encode(&form), Some(&signature))).await.0, 200);
    }
    eventually(WITHIN, || async {
        let in_flight = held.in_flight();
        if in_flight == 2 * TEXTS { Ok(()) } else { Err(in_flight) }
    })
    .await;
    outage.begin().await;
    held.answers.add_permits(2 * TEXTS);
    // The outcomes are tried and wait. Then the age of every attempt is past all deadlines.
    let refused = async || inside.store.writer().fire(fire()).await.is_err();
    eventually(WITHIN, || async { if refused().await { Ok(()) } else { Err("the database still answers") } }).await;
    clock.advance(AWAY);
    outage.end().await;
    // The sweep for orphans runs before a single outcome is written.
    eventually(WITHIN, || async { reconcile::round(&inside.engine).await.map_err(|error| error.to_string()) }).await;
    let tenant = inside.directory.now().by_slug("demo").expect("it is made").id;
    eventually(WITHIN, || async {
        clock.advance(Duration::from_secs(1));
        let states = states(&inside, tenant).await;
        if states == vec!["sent"; 2 * TEXTS] { Ok(()) } else { Err(states) }
    })
    .await;
    for action in actions(&inside, tenant).await {
        let attempts = inside.store.attempts_of(tenant, recado::domain::ActionId::new(action)).await.expect("readable");
        let outcomes: Vec<_> = attempts.into_iter().map(|attempt| attempt.outcome).collect();
        assert_eq!(outcomes, [Some("sent".to_owned())]);
    }
    assert_eq!(held.in_flight(), 2 * TEXTS, "nothing is sent again");
    assert_eq!(held.lists.load(Ordering::SeqCst), 0, "nothing is looked for");
}

/// A request to the writer that changes nothing.
fn fire() -> recado::store::FireRequest {
    recado::store::FireRequest { limit: 0, next: Arc::new(|_: &recado::store::DueTimer, _| None) }
}

async fn actions(inside: &Inside, tenant: recado::domain::TenantId) -> Vec<uuid::Uuid> {
    let Ok(events) = inside.store.events(tenant, 1_000).await else { return Vec::new() };
    let mut actions = Vec::new();
    for event in events {
        let planned = inside.store.actions_of(tenant, recado::domain::EventId::new(event.id)).await;
        actions.extend(planned.unwrap_or_default().into_iter().map(|action| action.id));
    }
    actions
}

async fn states(inside: &Inside, tenant: recado::domain::TenantId) -> Vec<String> {
    let mut states = Vec::new();
    for id in actions(inside, tenant).await {
        let row = inside.store.action(tenant, recado::domain::ActionId::new(id)).await;
        states.extend(row.ok().flatten().map(|row| row.state));
    }
    states
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_outlast_an_outage_of_postgresql() {
    let cluster = Cluster::start();
    let database = Database::fresh_on(&cluster.url).await;
    let url = database.url();
    keeps_what_was_answered(Some(url), |_| Outage::Crash(Box::new(cluster))).await;
    drop(database);
}

#[tokio::test(flavor = "multi_thread")]
async fn outcomes_outlast_a_lock_on_sqlite() {
    keeps_what_was_answered(None, |inside| {
        let path =
            recado::store::sqlite_path(secrecy::ExposeSecret::expose_secret(&inside.installation.config.database_url));
        Outage::Lock { url: format!("sqlite://{}", path.expect("it is SQLite").display()), held: None }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_outlasts_the_death_of_postgresql() {
    let mut cluster = Cluster::start();
    let database = Database::fresh_on(&cluster.url).await;
    let provider = Provider::start(6).await;
    let server = Server::start(rig::options(&provider.url).env("DATABASE_URL", database.url())).await;
    let mut writing = tokio::task::JoinSet::new();
    for first in 0..AT_ONCE {
        let twilio = rig::twilio(&server);
        writing.spawn(async move {
            let mut refused = Vec::new();
            for number in (first..BURST).step_by(AT_ONCE) {
                match write(&twilio, number).await {
                    200 => {}
                    503 => refused.push(number),
                    status => panic!("text {number} was answered {status}"),
                }
            }
            refused
        });
    }
    provider.wait_taken(BURST as u64 / 8).await;
    cluster.crash();
    Clock::system().sleep(DEAD).await;
    cluster.start_again();
    let refused: Vec<_> = writing.join_all().await.into_iter().flatten().collect();
    assert!(!refused.is_empty(), "the burst was over before the database died");
    // The provider posts what was refused again.
    let twilio = rig::twilio(&server);
    for number in refused {
        eventually(WITHIN, || async {
            let status = write(&twilio, number).await;
            if status == 200 { Ok(()) } else { Err(status) }
        })
        .await;
    }
    provider.wait_taken(BURST as u64).await;
    provider.carrier.wait_callbacks().await;
    let often: Vec<_> = (0..BURST).filter(|number| provider.carrier.count_to(&customer(*number)) != 1).collect();
    assert!(often.is_empty(), "not answered exactly once: {often:?}");
    drop(server);
    drop(database);
}

/// Posts a customer's only text. Gives the status of the answer.
async fn write(twilio: &Twilio, number: usize) -> u16 {
    let form = twilio.inbound(&message_sid(number as u128), &customer(number), OURS, "hola");
    rig::post(twilio, &form).await.expect("the server itself is there")
}
