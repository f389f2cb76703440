//! A provider in the test's own process that outlives the server, a server that talks to it, and seeded chance.

use std::future::Future;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use recado::config::Synchronous;
use recado::config::secret::SecretKey;
use recado::domain::clock::Random;
use recado::domain::{Clock, Ids, MessageId};
use recado::emulators::twilio::{Carrier, CarrierConfig, Fault, FaultKind, Message};
use recado::store::Store;
use recado::store::rows::{action, attempt, event, message, sender};
use recado::tenants::{new_tenant, sealed_as};
use sea_orm::{ConnectOptions, ConnectionTrait, DatabaseConnection, EntityTrait, Statement};
use tokio::net::TcpListener;

use crate::cli;
use crate::support::server::{Server, ServerOptions};
use crate::support::webhook::{Form, Twilio, message_sid};

pub const ACCOUNT: &str = "AC00000000000000000000000000000001";
pub const TOKEN: &str = "t0ken0fTheP1atf0rm77777777777777";
pub const OURS: &str = "+34911111111";
/// The key under which tenants' tokens are sealed.
pub const SECRET_KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";
/// A rule that answers every text with `re` and the text.
pub const ECHO: &str = "rule(\"echo\").on(\"inbound_sms\").then(|e| reply(`re ${e.body}`));\n";
/// Seeds that run side by side, because a run mostly waits.
const SIDE_BY_SIDE: usize = 8;
const SEEDS: u64 = 200;
/// A message leaves within this time, whatever faults are ordered.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);

/// Chance that a seed repeats.
pub struct Dice(Random);

impl Dice {
    pub const fn new(seed: u64) -> Self {
        Self(Random::seeded(seed))
    }

    pub fn next(&self) -> u64 {
        self.0.next_u64()
    }

    pub fn below(&self, end: usize) -> usize {
        (self.0.next_u64() % end as u64) as usize
    }

    /// From `first` to `last`, both included.
    pub fn between(&self, first: usize, last: usize) -> usize {
        first + self.below(last - first + 1)
    }

    pub fn pick<'a, T>(&self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    pub fn percent(&self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// Runs `FAULT_SEEDS` seeds, several side by side, or `FAULT_SEED` alone. Names the seed that fails.
pub async fn each_seed<T, F>(run: impl Fn(u64) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    one_seed_in(1, run).await
}

/// The same as [`each_seed`] for one in `part` of the seeds, for runs that take longer.
pub async fn one_seed_in<T, F>(part: u64, run: impl Fn(u64) -> F) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let seeds = match number("FAULT_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("FAULT_SEEDS").unwrap_or(SEEDS).div_ceil(part),
    };
    let places = Arc::new(tokio::sync::Semaphore::new(SIDE_BY_SIDE));
    let mut running = tokio::task::JoinSet::new();
    let mut results = Vec::new();
    for seed in seeds {
        let place = places.clone().acquire_owned().await.expect("never closed");
        let run = tokio::spawn(run(seed));
        running.spawn(async move {
            let result = run.await;
            drop(place);
            (seed, result)
        });
        while let Some(ended) = running.try_join_next() {
            results.push(outcome(ended));
        }
    }
    while let Some(ended) = running.join_next().await {
        results.push(outcome(ended));
    }
    results
}

/// Asserts that the abort points of a crash test ended processes: at least one in ten of those that were asked for. A run
/// of few seeds asks for few, and may miss them all.
#[track_caller]
pub fn assert_points_fired(point: &str, planned: usize, fired: usize) {
    if !cfg!(feature = "abort-points") {
        panic!("there are no abort points: run the tests with --features abort-points");
    }
    assert!(planned < 10 || fired * 10 >= planned, "{point}: {fired} of {planned} abort points ended their process");
}

fn outcome<T>(ended: Result<(u64, Result<T, tokio::task::JoinError>), tokio::task::JoinError>) -> T {
    match ended.expect("only waits") {
        (_, Ok(result)) => result,
        (seed, Err(_)) => panic!("seed {seed} failed, as said above; FAULT_SEED={seed} runs it alone"),
    }
}

/// The built-in carrier over HTTP on a port of its own.
pub struct Provider {
    pub carrier: Carrier,
    pub url: String,
    serving: tokio::task::JoinHandle<()>,
}

impl Provider {
    pub async fn start(seed: u64) -> Self {
        Self::with(CarrierConfig { seed, ..CarrierConfig::new(ACCOUNT, TOKEN, Clock::system()) }).await
    }

    pub async fn with(config: CarrierConfig) -> Self {
        let carrier = Carrier::new(config).expect("a carrier can be made");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port can be bound");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let router = carrier.router();
        let serving =
            tokio::spawn(async move { axum::serve(listener, router).await.expect("serves until it is dropped") });
        Self { carrier, url, serving }
    }

    pub fn order(&self, fault: Fault) {
        self.carrier.add_fault(fault).expect("few faults are ordered");
    }

    /// Orders a fault for the creations of one account, until it is cleared.
    pub fn order_for(&self, own: &Own, fault: FaultKind) {
        self.order(Fault { account: Some(own.account.to_owned()), ..Fault::always(fault) });
    }

    /// Waits until `count` messages have been taken, at most a minute.
    pub async fn wait_taken(&self, count: u64) {
        let taken = tokio::time::timeout(TAKEN_WITHIN, self.carrier.wait_taken(count)).await;
        assert!(taken.is_ok(), "{} messages have been taken, not {count}", self.carrier.taken());
    }

    /// The messages in the order in which they were taken.
    pub fn sent(&self) -> Vec<Message> {
        self.carrier.messages()
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A server whose provider is at `api_base`, on SQLite, with the echo rule.
pub fn options(api_base: &str) -> ServerOptions {
    settings(api_base)
        .into_iter()
        .fold(ServerOptions::default(), |options, (name, value)| options.env(name, value))
        .file("rules/echo.rhai", ECHO)
}

/// The settings of such a server.
pub fn settings(api_base: &str) -> Vec<(&'static str, String)> {
    [
        ("TWILIO_ACCOUNT_SID", ACCOUNT),
        ("TWILIO_AUTH_TOKEN", TOKEN),
        ("TWILIO_FROM_NUMBER", OURS),
        ("TWILIO_API_BASE", api_base),
        ("RECADO_SECRET_KEY", SECRET_KEY),
        ("RECONCILE_AFTER_S", "1"),
        ("LOOP_GUARD_MESSAGES", "10000"),
        ("CALLS_PER_SECOND", "0"),
        // Tests run at any hour.
        ("QUIET_HOURS", "off"),
        ("METRICS_LISTEN", "off"),
        // A debug build beside many others is slower than a server of its own.
        ("VOICE_BUDGET_MS", "4000"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

/// A server that has not been started, with a database.
pub fn migrated(options: ServerOptions) -> Server {
    let server = Server::prepare(options);
    cli::run(&mut recado(&server, &["migrate"])).ok();
    server
}

/// A user's command beside such a server, in its folder and with its settings.
pub fn recado(server: &Server, args: &[&str]) -> Command {
    let mut command = cli::command(server.folder(), args);
    command.envs(settings("http://127.0.0.1:1")).env("LISTEN", server.url().trim_start_matches("http://"));
    command
}

/// The provider's account as it posts to `server`.
pub fn twilio(server: &Server) -> Twilio {
    Twilio::new(&server.url(), ACCOUNT, TOKEN)
}

/// Posts a text to the demo tenant. Gives the status of the answer, or `None` where none came.
pub async fn post(twilio: &Twilio, form: &Form) -> Option<u16> {
    twilio.post("/api/twilio/demo/sms", form).await.ok().map(|response| response.status().as_u16())
}

/// A customer's number.
pub fn customer(number: usize) -> String {
    format!("+346{number:08}")
}

/// Ends a process at once, as the kernel would.
pub fn sigkill(id: u32) {
    // Fails only where it has ended already.
    let _ = Command::new("kill").args(["-9", &id.to_string()]).status();
}

/// A look into a server's SQLite file, while it runs or after.
pub struct Look(DatabaseConnection);

impl Look {
    pub async fn into(folder: &Path) -> Self {
        let url = format!("sqlite://{}?mode=rw", folder.join("data/recado.db").display());
        let mut connect = ConnectOptions::new(url);
        connect
            .max_connections(1)
            .sqlx_logging(false)
            .map_sqlx_sqlite_opts(|sqlite| sqlite.busy_timeout(Duration::from_secs(10)));
        Self(sea_orm::Database::connect(connect).await.expect("the file can be opened"))
    }

    pub async fn actions(&self) -> Vec<action::Model> {
        action::Entity::find().all(&self.0).await.expect("actions can be read")
    }

    pub async fn attempts(&self) -> Vec<attempt::Model> {
        attempt::Entity::find().all(&self.0).await.expect("attempts can be read")
    }

    pub async fn events(&self) -> Vec<event::Model> {
        event::Entity::find().all(&self.0).await.expect("events can be read")
    }

    pub async fn messages(&self) -> Vec<message::Model> {
        message::Entity::find().all(&self.0).await.expect("messages can be read")
    }

    pub async fn count(&self, from: &str) -> i64 {
        self.text_or_number(&format!("SELECT count(*) FROM {from}")).await.parse().expect("a count is a number")
    }

    /// SQLite's own check of the file.
    pub async fn assert_sound(&self) {
        assert_eq!(self.text_or_number("PRAGMA integrity_check").await, "ok");
    }

    pub async fn text_or_number(&self, sql: &str) -> String {
        let statement = Statement::from_string(self.0.get_database_backend(), sql);
        let row = self.0.query_one_raw(statement).await.expect("a query of ours").expect("one row");
        row.try_get_by_index::<String>(0)
            .or_else(|_| row.try_get_by_index::<i64>(0).map(|number| number.to_string()))
            .expect("a text or a number")
    }

    /// Counts open work: undecided events, and sends that are planned, in flight or of unknown outcome.
    pub async fn open(&self) -> Result<(), String> {
        let events = self.count("events WHERE handled_us IS NULL").await;
        let sends = self.count("actions WHERE state IN ('planned', 'sending', 'unknown', 'held')").await;
        if events + sends == 0 {
            return Ok(());
        }
        let open = self
            .actions()
            .await
            .into_iter()
            .filter(|action| !["sent", "failed", "blocked", "done"].contains(&&*action.state));
        let states: Vec<_> = open.map(|action| (action.state, action.tries, action.reason)).take(5).collect();
        Err(format!("{events} events undecided, {sends} sends open: {states:?}"))
    }
}

/// A tenant with an account and a number of its own.
#[derive(Clone, Debug)]
pub struct Own {
    pub slug: &'static str,
    pub account: &'static str,
    pub token: &'static str,
    pub number: &'static str,
}

pub const A: Own = Own {
    slug: "a",
    account: "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    token: "t0ken0fA777777777777777777777777",
    number: "+34911111122",
};
pub const B: Own = Own {
    slug: "b",
    account: "ACbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    token: "t0ken0fB777777777777777777777777",
    number: "+34911111133",
};

impl Own {
    /// Writes the tenant into a database, its token sealed.
    pub async fn store(&self, store: &Store) {
        let key = SecretKey::parse(SECRET_KEY).expect("it is a key");
        let mut row = new_tenant(store, self.slug, self.slug);
        row.account_sid = Some(self.account.to_owned());
        row.auth_token =
            Some(key.seal(&self.token.into(), &sealed_as(row.id, "auth_token")).expect("it can be sealed"));
        let id: MessageId = store.ids().next();
        let sender = sender::Model {
            id: id.uuid(),
            tenant_id: row.id,
            channel: "sms".to_owned(),
            number: self.number.to_owned(),
            base_url: None,
            created_us: row.created_us,
        };
        store.add_tenant(row).await.expect("the slug is free");
        store.add_sender(sender).await.expect("the number is free");
    }

    /// The account as it posts to a server at `url`.
    pub fn twilio(&self, url: &str) -> Twilio {
        Twilio::new(url, self.account, self.token)
    }

    pub fn path(&self) -> String {
        format!("/api/twilio/{}/sms", self.slug)
    }

    /// A text to this tenant, signed by its own account; the answer's status.
    pub async fn post(&self, twilio: &Twilio, sid: u128, from: &str, body: &str) -> Option<u16> {
        let form = twilio.inbound(&message_sid(sid), from, self.number, body);
        twilio.post(&self.path(), &form).await.ok().map(|response| response.status().as_u16())
    }
}

/// A provider that knows both tenants' accounts, and a server, not started yet, that has both tenants.
pub async fn two_tenants(options: impl FnOnce(&str) -> ServerOptions) -> (Provider, Server) {
    let mut config = CarrierConfig::new(ACCOUNT, TOKEN, Clock::system());
    config.accounts = [A, B].map(|own| (own.account.to_owned(), own.token.into())).into();
    let provider = Provider::with(config).await;
    let server = Server::prepare(options(&provider.url));
    let store = open(server.folder()).await;
    store.migrate().await.expect("the schema can be made");
    for own in [A, B] {
        own.store(&store).await;
    }
    (provider, server)
}

/// The store of a server's folder.
pub async fn open(folder: &Path) -> Store {
    let url = format!("sqlite://{}", folder.join("data/recado.db").display());
    let clock = Clock::system();
    let ids = Arc::new(Ids::new(clock.clone(), Random::from_os().expect("the system gives random numbers")));
    let options = recado::store::Options { url: url.into(), synchronous: Synchronous::Normal };
    Store::open(&options, clock, ids).await.expect("the file can be opened")
}

/// Waits until a message to `to` has been taken.
pub async fn taken_to(provider: &Provider, to: &str, count: usize) {
    loop {
        let taken = provider.carrier.taken();
        if provider.carrier.count_to(to) >= count {
            return;
        }
        provider.wait_taken(taken + 1).await;
    }
}

/// Returns the round-trip times of texts to a tenant, sorted: from the webhook to the answer's arrival at the provider.
pub async fn round_trips(
    provider: &Provider,
    own: &Own,
    twilio: &Twilio,
    numbers: std::ops::Range<usize>,
) -> Vec<Duration> {
    let mut took = Vec::new();
    for number in numbers {
        let (started, from) = (Instant::now(), customer(number));
        assert_eq!(own.post(twilio, number as u128, &from, "hola").await, Some(200));
        taken_to(provider, &from, 1).await;
        took.push(started.elapsed());
    }
    took.sort();
    took
}

/// The value below which `percent` of sorted values lie.
pub fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}
