//! The composition root: every route, loop and service in one list. Only this file names everything.

pub mod rehearsal;
mod resident;
mod try_out;

pub use try_out::{CARRIER_BASE, NUMBER as CARRIER_NUMBER};

use std::collections::HashMap;
use std::fs::File;
use std::future::{Future, IntoFuture};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::serve::ListenerExt;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::config::review_links::Links;
use crate::config::secret::{OpenError, SealError, SecretKey};
use crate::config::webhook_urls::WebhookUrls;
use crate::config::{self, Config, ConfigErrors, KeyFileError};
use crate::domain::Channel;
use crate::domain::clock::Random;
use crate::domain::{Clock, Ids, Phone, Route};
use crate::emulators::twilio as carrier;
use crate::engine::reconcile;
use crate::engine::sending::by_hand::Outbox;
use crate::engine::sending::circuit::Circuits;
use crate::engine::sending::gate::SendGate;
use crate::engine::sending::transports::Transports;
use crate::engine::timers;
use crate::engine::wakeups::Speed;
use crate::engine::{Engine, Parts};
use crate::features::campaigns;
use crate::features::voice;
use crate::features::voice::{Voice, ended};
use crate::http::api;
use crate::http::webhooks;
use crate::http::webhooks::{catch_up, provider, sms, status, whatsapp};
use crate::http::{AppState, Refusals, calendar, docs, health, review};
use crate::integrations::chat_model::{Chat, ChatError};
use crate::integrations::elevenlabs::{ElevenLabs, ElevenLabsError};
use crate::integrations::email::{Mailer, MailerError};
use crate::integrations::http;
use crate::integrations::http_providers;
use crate::integrations::http_providers::file::ProviderContext;
use crate::integrations::http_providers::providers::ProvidersError;
use crate::integrations::http_providers::{Callbacks, Providers};
use crate::integrations::twilio::client::{Client, ClientError};
use crate::ops::retention;
use crate::rules::{EvaluatorError, Limits, RuleSet};
use crate::store::{self, Store, StoreError};
use crate::telemetry::{self, TelemetryError, metric};
use crate::tenants::{Account, Directory, Platform};

/// What a stop waits for requests under way: a little more than a webhook takes at most. Sockets that have sent half a
/// request, or nothing, are cut off then.
const STOP_REQUESTS_WITHIN: Duration = Duration::from_secs(9);
/// What a stop waits for what was said in live conversations to be written down.
const STOP_STREAMS_WITHIN: Duration = Duration::from_secs(5);
/// What a stop waits for sends in flight: a little more than the provider's deadline.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// How often the backlog's gauges are read.
const GAUGES_EVERY: Duration = Duration::from_secs(10);
/// How often refused webhooks are written down: a flood of them costs one commit in this time.
const KEEP_REFUSALS_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    #[error("{0}")]
    Providers(#[from] ProvidersError),
    #[error(transparent)]
    Http(#[from] http::ClientError),
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Chat(#[from] ChatError),
    #[error(transparent)]
    Eleven(#[from] ElevenLabsError),
    #[error(transparent)]
    Mailer(#[from] MailerError),
    #[error(transparent)]
    Evaluator(#[from] EvaluatorError),
    #[error(
        "the address {address} cannot be listened on ({cause}): is another server running there? set {key} to another"
    )]
    Listen { key: &'static str, address: SocketAddr, cause: std::io::Error },
    #[error("another 'recado serve' runs on {}: stop it first, or use another DATABASE_URL", .0.display())]
    AlreadyServing(PathBuf),
    #[error("the built-in carrier's account cannot be read: {0}")]
    TryOut(String),
    #[error("the operating system gave no random bytes: {0}")]
    Random(#[from] getrandom::Error),
    #[error(
        "{} cannot be made ({cause}): it belongs beside the database, whose folder must be there or be makeable; \
         check DATABASE_URL, and that this user may write there",
        path.display()
    )]
    Lock { path: PathBuf, cause: std::io::Error },
    #[error(
        "a rehearsal runs on a copy of the database, which is made of SQLite's only: 'recado export' a tenant, 'recado \
         import' it into an empty folder, and rehearse there"
    )]
    NoCopy,
    #[error("the operating system refused: {0}")]
    Io(#[from] std::io::Error),
}

impl From<SealError> for AppError {
    fn from(error: SealError) -> Self {
        Self::TryOut(error.to_string())
    }
}

impl From<OpenError> for AppError {
    fn from(error: OpenError) -> Self {
        Self::TryOut(error.to_string())
    }
}

/// An opened installation: what every command works with.
pub struct Installation {
    pub config: Config,
    pub clock: Clock,
    pub store: Store,
    pub directory: Arc<Directory>,
    /// No account is configured: the built-in carrier stands in for the provider.
    pub trying_out: bool,
}

impl Installation {
    /// Reads the configuration in `dir`, opens the database and brings it up to date.
    pub async fn open(dir: &Path) -> Result<Self, AppError> {
        let config = Config::load(dir, config::environment())?;
        let clock = Clock::system();
        Self::with(config, clock, dir).await
    }

    pub async fn with(config: Config, clock: Clock, dir: &Path) -> Result<Self, AppError> {
        let key = config::secret_key_or_create(&config, dir)?;
        let store = open_store(&config, &clock).await?;
        store.migrate().await?;
        let trying_out = config.twilio.account.is_none();
        let providers = load_providers(&config, dir)?;
        let platform = platform(&config, &store, &key, providers).await?;
        let directory = Arc::new(Directory::open(store.clone(), key, platform).await?);
        Ok(Self { config, clock, store, directory, trying_out })
    }

    pub fn outbox(&self) -> Outbox {
        Outbox { store: self.store.clone(), directory: self.directory.clone() }
    }

    /// The rules of `RULES_DIR`; what is wrong with them is logged, and the rest go on.
    pub fn load_rules(&self) -> RuleSet {
        let (rules, errors) = RuleSet::load(&self.config.rules_dir, Limits::default());
        for error in errors {
            tracing::warn!("{error}");
        }
        rules.with_links(self.review_links())
    }

    /// Links to reviews, as the world reaches us.
    pub fn review_links(&self) -> Links {
        Links::new(self.config.app_url.clone(), self.directory.key().clone())
    }
}

pub async fn open_store(config: &Config, clock: &Clock) -> Result<Store, AppError> {
    let ids = Arc::new(Ids::new(clock.clone(), Random::from_os()?));
    let options = store::Options { url: config.database_url.clone(), synchronous: config.sqlite_synchronous };
    Ok(Store::open(&options, clock.clone(), ids).await?)
}

/// All routes.
pub fn router(state: AppState) -> Router {
    Router::new()
        .merge(health::routes())
        .merge(calendar::routes())
        .merge(review::routes())
        .merge(sms::routes())
        .merge(whatsapp::routes())
        .merge(status::routes())
        .merge(provider::routes())
        .merge(webhooks::voice::routes())
        .merge(api::routes())
        .merge(docs::routes())
        .with_state(state)
}

/// Without a server for e-mail, it is written beside the database.
fn mailer(installation: &Installation) -> Result<Mailer, MailerError> {
    let config = &installation.config;
    let database = store::sqlite_path(config.database_url.expose_secret());
    let beside = database.as_deref().and_then(Path::parent).unwrap_or(Path::new("data"));
    Mailer::new(&config.mail, &beside.join("mail"), installation.clock.clone())
}

/// The other providers, as `PROVIDERS_FILE` describes them; none where it is not set.
pub fn load_providers(config: &Config, dir: &Path) -> Result<Providers, AppError> {
    let Some(file) = &config.providers_file else { return Ok(Providers::default()) };
    let variables = config::Variables::read(dir, config::environment());
    let client = http_providers::Client::new(config.outbound_allow.clone())?;
    let context = ProviderContext { secret: &|name| variables.get(name), client: &client };
    Ok(Providers::load(&dir.join(file), &context)?)
}

/// Builds an engine on an installation. It talks to the provider at `api_base`.
pub fn engine(installation: &Installation, api_base: &str) -> Result<Engine, AppError> {
    Ok(Engine::new(engine_parts(installation, api_base)?)?)
}

/// The parts of that engine, for callers that change some of them first.
pub fn engine_parts(installation: &Installation, api_base: &str) -> Result<Parts, AppError> {
    Ok(Parts {
        store: installation.store.clone(),
        directory: installation.directory.clone(),
        transports: Transports {
            twilio: Client::new(http::client()?, api_base)?,
            mailer: mailer(installation)?,
            outbound: http_providers::Client::new(installation.config.outbound_allow.clone())?,
            callbacks: Callbacks::new(installation.config.app_url.clone(), installation.directory.key().clone()),
            rehearsing: false,
        },
        clock: installation.clock.clone(),
        random: Random::from_os()?,
        circuits: Circuits::new(Random::from_os()?),
        gate: gate(installation),
        reconcile_after: installation.config.reconcile_after,
        rules: Arc::new(installation.load_rules()),
    })
}

/// Who answers calls.
pub fn voice(installation: &Installation, engine: &Engine) -> Result<Arc<Voice>, AppError> {
    let Config { chat, eleven, voice_budget, .. } = &installation.config;
    let http = http::client()?;
    Ok(Arc::new(Voice::new(voice::Parts {
        engine: engine.clone(),
        budget: *voice_budget,
        chat: Chat::new(http.clone(), &chat.base, chat.key.clone(), chat.model.clone())?,
        eleven: ElevenLabs::new(http, &eleven.base, eleven.key.clone())?,
        eleven_agent: eleven.agent.clone(),
    })))
}

/// A gate of its own, with the installation's limits.
pub fn gate(installation: &Installation) -> SendGate {
    SendGate::new(installation.config.limits).with_rates(rates(&installation.directory.platform().providers))
}

/// The providers' own rates, by their routes.
fn rates(providers: &Providers) -> HashMap<String, NonZeroU32> {
    let rate = |provider: &Arc<http_providers::Provider>| {
        Some((Route::Provider(provider.name.as_str().into()).to_string(), provider.rate?))
    };
    providers.iter().filter_map(rate).collect()
}

/// The loops that move what is stored; each ends when its task is aborted, that which claims sends rather by
/// [`Pipeline::stop_claiming`].
pub fn start_loops(engine: &Engine) -> JoinSet<()> {
    let mut loops = engine_loops(engine);
    let one = engine.clone();
    loops.spawn(async move { campaigns::round::run(&one).await });
    let one = engine.clone();
    loops.spawn(async move { catch_up::run(&one).await });
    let one = engine.clone();
    loops.spawn(async move {
        retention::run(&one.store, &one.directory, &one.clock, |facts| one.pipeline.rules().remembers(facts)).await
    });
    let one = engine.clone();
    loops.spawn(async move { gauges(&one).await });
    loops
}

/// The loops that decide and send.
fn engine_loops(engine: &Engine) -> JoinSet<()> {
    let mut loops = JoinSet::new();
    for speed in [Speed::Fast, Speed::Slow] {
        let pipeline = engine.pipeline.clone();
        loops.spawn(async move { pipeline.dispatch(speed).await });
    }
    let one = engine.pipeline.clone();
    loops.spawn(async move { one.perform().await });
    let one = engine.pipeline.clone();
    loops.spawn(async move { one.sweep().await });
    let one = engine.clone();
    loops.spawn(async move { reconcile::run(&one).await });
    let one = engine.clone();
    loops.spawn(async move { timers::run(&one).await });
    loops
}

/// Serves until `stop`, then lets what is under way end.
pub async fn serve(dir: &Path, stop: impl Future<Output = ()> + Send + 'static) -> Result<(), AppError> {
    let config = Config::load(dir, config::environment())?;
    telemetry::start_log(config.log_format, &config.log_level)?;
    config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let _alone = serve_alone(&config)?;
    // Counted before anything is, so that nothing is missing from the figures.
    let metrics =
        config.metrics_listen.map(|address| Ok::<_, AppError>((address, telemetry::install_metrics()?))).transpose()?;
    let installation = Installation::with(config, Clock::system(), dir).await?;
    let config = &installation.config;
    let listener = listen("LISTEN", config.listen).await?;
    let api_base = if installation.trying_out {
        try_out::start_carrier(&installation).await?
    } else {
        config.twilio.api_base.clone()
    };
    let engine = engine(&installation, &api_base)?;
    if installation.store.is_sqlite() {
        // We are alone on this file: whatever was being sent, its process has ended.
        let now = installation.clock.now();
        let look_at = now.plus(config.reconcile_after);
        installation.store.orphans_to_unknown(now, look_at).await?;
    }
    let mut loops = start_loops(&engine);
    let (stopping, stopped) = tokio::sync::watch::channel(false);
    if let Some((address, handle)) = metrics {
        let listener = listen("METRICS_LISTEN", address).await?;
        let mut stopped = stopped.clone();
        // The server ends with this future; an error here could only come from the listener, which is bound.
        tokio::spawn(telemetry::serve_metrics(handle, listener, async move {
            let _ = stopped.wait_for(|stopped| *stopped).await;
        }));
    }
    announce(&installation, &engine, &api_base);
    let voice = voice(&installation, &engine)?;
    let one = voice.clone();
    loops.spawn(async move { ended::run(&one).await });
    let one = voice.clone();
    loops.spawn(async move { webhooks::voice::lost::run(&one).await });
    let state = AppState::new(&engine, voice.clone(), config.app_debug);
    let keeping = tokio::spawn(keep_refusals(state.refusals.clone(), engine.clone(), stopped));
    let stopping_now = || {
        engine.pipeline.stop_claiming();
        voice.live.end_all();
    };
    loops.spawn(resident::give_back_at_rest(installation.clock.clone()));
    serve_until(listener, router(state), stop, stopping_now).await?;
    if tokio::time::timeout(STOP_STREAMS_WITHIN, voice.live.all_written()).await.is_err() {
        tracing::warn!("what was said in live conversations that were just broken off is lost");
    }
    if !engine.pipeline.drained(STOP_WITHIN).await {
        tracing::warn!("sends are still under way: they are looked for at the provider after the next start");
    }
    loops.shutdown().await;
    let _ = stopping.send(true);
    // Fails only where it has died, which was said.
    let _ = keeping.await;
    Ok(())
}

/// Serves until `stop`; then calls `stopping`, and lets requests under way end.
async fn serve_until(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
    stopping: impl FnOnce(),
) -> Result<(), AppError> {
    let (tell, told) = oneshot::channel();
    let stop = async move {
        stop.await;
        // Whoever listens has not ended yet.
        let _ = tell.send(());
    };
    // A small frame every 20 ms: waiting to fill a segment would delay a live voice.
    let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
    let mut serving = pin!(axum::serve(listener, router).with_graceful_shutdown(stop).into_future());
    tokio::select! {
        // With nobody connected it has ended as soon as it is told to.
        ended = &mut serving => {
            stopping();
            return Ok(ended?);
        }
        _ = told => {}
    }
    tracing::info!("stopping: requests and sends under way are let end");
    stopping();
    match tokio::time::timeout(STOP_REQUESTS_WITHIN, serving).await {
        Ok(ended) => ended?,
        Err(_) => tracing::warn!("connections with half a request are cut off"),
    }
    Ok(())
}

/// On SQLite one server works on a file at a time: the lock is held until the process ends, however it ends.
fn serve_alone(config: &Config) -> Result<Option<File>, AppError> {
    let Some(path) = store::sqlite_path(config.database_url.expose_secret()) else { return Ok(None) };
    let path = path.with_extension("lock");
    let made = path.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| File::create(&path));
    let file = made.map_err(|cause| AppError::Lock { path: path.clone(), cause })?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(std::fs::TryLockError::WouldBlock) => Err(AppError::AlreadyServing(path)),
        Err(std::fs::TryLockError::Error(cause)) => Err(AppError::Lock { path, cause }),
    }
}

async fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, AppError> {
    TcpListener::bind(address).await.map_err(|cause| AppError::Listen { key, address, cause })
}

/// The account and numbers of the installation itself: from the environment, else the built-in carrier's.
async fn platform(config: &Config, store: &Store, key: &SecretKey, providers: Providers) -> Result<Platform, AppError> {
    let twilio = &config.twilio;
    let number = |number: &str| Phone::parse(number).ok();
    let (account, from_number, whatsapp_number) = match &twilio.account {
        Some(account) => {
            let tokens =
                std::iter::once(account.auth_token.clone()).chain(account.auth_token_secondary.clone()).collect();
            let account = Account { sid: account.sid.clone(), tokens };
            (account, twilio.from_number.clone(), twilio.whatsapp_number.clone())
        }
        None => (
            try_out::account(store, key).await?,
            twilio.from_number.clone().or_else(|| number(try_out::NUMBER)),
            twilio.whatsapp_number.clone().or_else(|| number(carrier::SANDBOX)),
        ),
    };
    Ok(Platform {
        account: Arc::new(account),
        from_number,
        whatsapp_number,
        messaging_service_sid: twilio.messaging_service_sid.clone(),
        mail_from: config.mail.sender().email.to_string(),
        providers,
        app_url: config.app_url.clone(),
        quiet: config.quiet_hours.clone(),
        numbers_budget: config.numbers_budget,
    })
}

/// Tells the newcomer what runs and what to try. Nobody has to listen.
fn announce(installation: &Installation, engine: &Engine, api_base: &str) {
    let Installation { config, directory, .. } = installation;
    let rules = engine.pipeline.rules().rules().count();
    let mut text = format!("Recado {} listens on http://{}\n", env!("CARGO_PKG_VERSION"), config.listen);
    text += &format!("{rules} rules from {}\n", config.rules_dir.display());
    if config.app_debug {
        text += "!! APP_DEBUG is on: webhooks are NOT checked for their signature. Never so in production.\n";
        tracing::warn!("APP_DEBUG is on: webhooks are not checked for their signature");
    }
    if installation.trying_out {
        text += &format!(
            "No Twilio account is configured: a built-in carrier stands in for Twilio ({api_base}).\n\
             \n\
             Try this in another terminal:\n  \
               recado phone                                  text it, as a customer would, and see the answers\n  \
               recado webhook --from +34600111222 HOLA       text the demo tenant, signed as Twilio would\n  \
               recado messages                               see the answer and its delivery\n  \
               recado explain last                           why it was sent, rule by rule\n  \
               recado check && recado test                   check the rules and run their cases\n\
             (from the source tree: cargo run --release -- phone)\n"
        );
        if let Err(why) = carrier::check_loopback(&config.app_url) {
            text += &format!(
                "!! APP_URL is {}: {why}. Until then no message reaches this server, and none is sent.\n",
                config.app_url
            );
            tracing::warn!(app_url = %config.app_url, "the built-in carrier calls loopback addresses only");
        }
    } else {
        text += &format!("Sending through {api_base} with account {}.\n", directory.platform().account.sid);
        text += &format!(
            "Webhooks are expected at {} and …/whatsapp\n",
            WebhookUrls::new(&config.app_url, "{slug}").messages(Channel::Sms)
        );
    }
    let mailer = &engine.transports.mailer;
    text += &if mailer.delivers() {
        format!("E-mail goes to {} and comes from {}.\n", mailer.destination(), mailer.from())
    } else {
        format!(
            "No SMTP_URL is configured: e-mail is written to files in {} and reaches nobody.\n",
            mailer.destination()
        )
    };
    for provider in directory.platform().providers.iter() {
        text += &format!("Provider '{}' sends from {}\n", provider.name, provider.sender);
    }
    let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
}

/// Writes down what was refused, and the rest at the end.
async fn keep_refusals(refusals: Arc<Refusals>, engine: Engine, mut stopped: tokio::sync::watch::Receiver<bool>) {
    let mut going_on = true;
    while going_on {
        tokio::select! {
            () = engine.clock.sleep(KEEP_REFUSALS_EVERY) => {}
            _ = stopped.wait_for(|stopped| *stopped) => going_on = false,
        }
        refusals.keep(&engine.store).await;
    }
}

/// Backlogs as gauges, until aborted.
async fn gauges(engine: &Engine) {
    loop {
        metrics::gauge!(metric::PAUSED_ACCOUNTS).set(engine.circuits.paused() as f64);
        if let Ok(backlog) = engine.store.backlog(health::BACKLOG_COUNT_MAX).await {
            metrics::gauge!(metric::BACKLOG_EVENTS).set(backlog.events as f64);
            metrics::gauge!(metric::BACKLOG_ACTIONS).set(backlog.actions as f64);
            metrics::gauge!(metric::UNKNOWN_ACTIONS).set(backlog.unknown as f64);
        }
        engine.clock.sleep(GAUGES_EVERY).await;
    }
}
