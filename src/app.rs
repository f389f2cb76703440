//! The composition root: every route, loop and service in one list. Only this file names everything.

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
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::actions::circuit::Circuits;
use crate::actions::gate::SendGate;
use crate::actions::outbox::Outbox;
use crate::actions::ways::Ways;
use crate::bus::Speed;
use crate::carrier::{Carrier, CarrierConfig};
use crate::channels::{catch_up, provider, sms, status, whatsapp};
use crate::config::{self, Config, ConfigErrors, KeyFileError};
use crate::directory::{Account, Directory, Platform};
use crate::domain::clock::Random;
use crate::domain::{Clock, Ids, Phone, Route};
use crate::outbound::file::Means;
use crate::outbound::providers::ProvidersError;
use crate::outbound::{self, Callbacks, Providers};
use crate::pipeline::{Parts, Pipeline};
use crate::reconcile;
use crate::rules::{EvaluatorError, Limits, RuleSet};
use crate::secret::{OpenError, SealError, SecretKey};
use crate::store::{self, Store, StoreError};
use crate::telemetry::{self, TelemetryError, metric};
use crate::twilio::client::{self, Client, ClientError};
use crate::web::{AppState, health};

/// What a stop waits for requests under way: a little more than a webhook takes at most. Sockets that have sent half a
/// request, or nothing, are cut off then.
const STOP_REQUESTS_WITHIN: Duration = Duration::from_secs(9);
/// What a stop waits for sends in flight: a little more than the provider's deadline.
const STOP_WITHIN: Duration = Duration::from_secs(20);
/// How often the backlog's gauges are read.
const GAUGES_EVERY: Duration = Duration::from_secs(10);
/// The numbers of the built-in carrier's account: Twilio's test number and its WhatsApp sandbox.
const TRY_OUT_NUMBER: &str = "+15005550006";
const TRY_OUT_WHATSAPP: &str = "+14155238886";
/// Between the statuses that the built-in carrier reports.
const TRY_OUT_CALLBACK_DELAY_MS: u64 = 200;
/// The setting that keeps the built-in carrier's account: its SID, a blank, its token, sealed.
const TRY_OUT_ACCOUNT: &str = "try_out_account";

#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error("{0}")]
    Config(#[from] ConfigErrors),
    #[error("{0}")]
    Providers(#[from] ProvidersError),
    #[error(transparent)]
    Outbound(#[from] outbound::client::ClientError),
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error(transparent)]
    Client(#[from] ClientError),
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
    #[error("the operating system refused a connection: {0}")]
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
        rules
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
        .merge(sms::routes())
        .merge(whatsapp::routes())
        .merge(status::routes())
        .merge(provider::routes())
        .with_state(state)
}

/// The other providers, as `PROVIDERS_FILE` describes them; none where it is not set.
pub fn load_providers(config: &Config, dir: &Path) -> Result<Providers, AppError> {
    let Some(file) = &config.providers_file else { return Ok(Providers::default()) };
    let variables = config::Variables::read(dir, config::environment());
    let client = outbound::Client::new(config.outbound_allow.clone())?;
    let means = Means { secret: &|name| variables.get(name), client: &client };
    Ok(Providers::load(&dir.join(file), &means)?)
}

/// A pipeline on an installation, talking to the provider at `api_base`.
pub fn pipeline(installation: &Installation, api_base: &str) -> Result<Arc<Pipeline>, AppError> {
    Ok(Arc::new(Pipeline::new(Parts {
        store: installation.store.clone(),
        directory: installation.directory.clone(),
        ways: Ways {
            twilio: Client::new(client::http()?, api_base)?,
            outbound: outbound::Client::new(installation.config.outbound_allow.clone())?,
            callbacks: Callbacks::new(installation.config.app_url.clone(), installation.directory.key().clone()),
        },
        clock: installation.clock.clone(),
        random: Random::from_os()?,
        circuits: Circuits::new(Random::from_os()?),
        gate: SendGate::new(installation.config.limits).with_rates(rates(&installation.directory.platform().providers)),
        reconcile_after: installation.config.reconcile_after,
        rules: Arc::new(installation.load_rules()),
    })?))
}

/// The providers' own rates, by their routes.
fn rates(providers: &Providers) -> HashMap<String, NonZeroU32> {
    let rate = |provider: &Arc<outbound::Provider>| {
        Some((Route::Provider(provider.name.as_str().into()).to_string(), provider.rate?))
    };
    providers.iter().filter_map(rate).collect()
}

/// The loops that move what is stored; each ends when its task is aborted, that which claims sends rather by
/// [`Pipeline::stop_claiming`].
pub fn start_loops(pipeline: &Arc<Pipeline>) -> JoinSet<()> {
    let mut loops = JoinSet::new();
    for speed in [Speed::Fast, Speed::Slow] {
        let pipeline = pipeline.clone();
        loops.spawn(async move { pipeline.dispatch(speed).await });
    }
    let one = pipeline.clone();
    loops.spawn(async move { one.perform().await });
    let one = pipeline.clone();
    loops.spawn(async move { one.sweep().await });
    let one = pipeline.clone();
    loops.spawn(async move { reconcile::run(&one).await });
    let one = pipeline.clone();
    loops.spawn(async move { catch_up::run(&one).await });
    let one = pipeline.clone();
    loops.spawn(async move { gauges(&one).await });
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
    let api_base =
        if installation.trying_out { start_carrier(&installation).await? } else { config.twilio.api_base.clone() };
    let pipeline = pipeline(&installation, &api_base)?;
    if installation.store.is_sqlite() {
        // We are alone on this file: whatever was being sent, its process has ended.
        let now = installation.clock.now();
        let look_at = now.plus(config.reconcile_after);
        installation.store.orphans_to_unknown(now, look_at).await?;
    }
    let mut loops = start_loops(&pipeline);
    let (stopping, stopped) = tokio::sync::watch::channel(false);
    if let Some((address, handle)) = metrics {
        let listener = listen("METRICS_LISTEN", address).await?;
        let mut stopped = stopped.clone();
        // The server ends with this future; an error here could only come from the listener, which is bound.
        tokio::spawn(telemetry::serve_metrics(handle, listener, async move {
            let _ = stopped.wait_for(|stopped| *stopped).await;
        }));
    }
    announce(&installation, &pipeline, &api_base);
    let state = AppState { pipeline: pipeline.clone(), skip_signatures: config.app_debug };
    serve_until(listener, router(state), stop, || pipeline.stop_claiming()).await?;
    if !pipeline.drained(STOP_WITHIN).await {
        tracing::warn!("sends are still under way: they are looked for at the provider after the next start");
    }
    loops.shutdown().await;
    let _ = stopping.send(true);
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
    let mut serving = pin!(axum::serve(listener, router).with_graceful_shutdown(stop).into_future());
    tokio::select! {
        ended = &mut serving => return Ok(ended?),
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
    let try_out = |number: &str| Phone::parse(number).ok();
    let (account, from_number, whatsapp_number) = match &twilio.account {
        Some(account) => {
            let tokens =
                std::iter::once(account.auth_token.clone()).chain(account.auth_token_secondary.clone()).collect();
            let account = Account { sid: account.sid.clone(), tokens };
            (account, twilio.from_number.clone(), twilio.whatsapp_number.clone())
        }
        None => (
            try_out_account(store, key).await?,
            twilio.from_number.clone().or_else(|| try_out(TRY_OUT_NUMBER)),
            twilio.whatsapp_number.clone().or_else(|| try_out(TRY_OUT_WHATSAPP)),
        ),
    };
    Ok(Platform {
        account: Arc::new(account),
        from_number,
        whatsapp_number,
        messaging_service_sid: twilio.messaging_service_sid.clone(),
        providers,
        app_url: config.app_url.clone(),
    })
}

/// The built-in carrier's account: made once, so that commands and server sign with the same token.
async fn try_out_account(store: &Store, key: &SecretKey) -> Result<Account, AppError> {
    let read = |stored: &str| {
        let (sid, sealed) =
            stored.split_once(' ').ok_or_else(|| AppError::TryOut("its setting is no account".to_owned()))?;
        Ok::<_, AppError>(Account { sid: sid.to_owned(), tokens: vec![key.open(sealed, TRY_OUT_ACCOUNT)?] })
    };
    let stored = store.setting(TRY_OUT_ACCOUNT).await?;
    if let Some(account) = stored.as_deref().and_then(|stored| read(stored).ok()) {
        return Ok(account);
    }
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes)?;
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (sid, token) = (format!("AC{}", hex(&bytes[..16])), SecretString::from(hex(&bytes[16..])));
    let made = format!("{sid} {}", key.seal(&token, TRY_OUT_ACCOUNT)?);
    if stored.is_none() {
        return read(&store.set_setting_once(TRY_OUT_ACCOUNT, &made).await?);
    }
    // The key has changed since. It is an account of nobody's: a new one does as well.
    store.set_setting(TRY_OUT_ACCOUNT, &made).await?;
    read(&made)
}

/// Starts the stand-in for the provider on a free port of the loopback; gives its base URL.
async fn start_carrier(installation: &Installation) -> Result<String, AppError> {
    let account = &installation.directory.platform().account;
    let mut config = CarrierConfig::new(&account.sid, account.exposed_tokens()[0], installation.clock.clone());
    config.callback_delay_ms = TRY_OUT_CALLBACK_DELAY_MS;
    // Another seed at every start: the SIDs of an earlier one are in the database.
    config.seed = getrandom::u64()?;
    for tenant in installation.directory.now().tenants().filter(|tenant| tenant.owns_account) {
        config.accounts.insert(tenant.account.sid.clone(), tenant.account.tokens[0].clone());
    }
    let carrier = Carrier::new(config)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, carrier.router()).await });
    Ok(base)
}

/// Tells the newcomer what runs and what to try. Nobody has to listen.
fn announce(installation: &Installation, pipeline: &Pipeline, api_base: &str) {
    let Installation { config, directory, .. } = installation;
    let rules = pipeline.rules().rules().count();
    let mut text = format!("Recado {} listens on http://{}\n", env!("CARGO_PKG_VERSION"), config.listen);
    text += &format!("{rules} rules from {}\n", config.rules_dir.display());
    if config.app_debug {
        text += "!! APP_DEBUG is on: webhooks are NOT checked for their signature. Never so in production.\n";
        tracing::warn!("APP_DEBUG is on: webhooks are not checked for their signature");
    }
    if installation.trying_out {
        text += &format!(
            "No Twilio account is configured: a built-in stand-in takes what is sent ({api_base}).\n\
             \n\
             Try this in another terminal:\n  \
               recado webhook --from +34600111222 HOLA       text the demo tenant, signed as Twilio would\n  \
               recado messages                               see the answer and its delivery\n  \
               recado explain last                           why it was sent, rule by rule\n  \
               recado check && recado test                   check the rules and run their cases\n\
             (from the source tree: cargo run --release -- webhook --from +34600111222 HOLA)\n"
        );
    } else {
        text += &format!("Sending through {api_base} with account {}.\n", directory.platform().account.sid);
        text += &format!("Webhooks are expected at {}/api/twilio/{{slug}}/sms and …/whatsapp\n", config.app_url);
    }
    for provider in directory.platform().providers.iter() {
        text += &format!("Provider '{}' sends from {}\n", provider.name, provider.sender);
    }
    let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
}

/// Backlogs as gauges, until aborted.
async fn gauges(pipeline: &Pipeline) {
    loop {
        metrics::gauge!(metric::PAUSED_ACCOUNTS).set(pipeline.circuits.paused() as f64);
        if let Ok(backlog) = pipeline.store.backlog(health::BACKLOG_COUNT_MAX).await {
            metrics::gauge!(metric::BACKLOG_EVENTS).set(backlog.events as f64);
            metrics::gauge!(metric::BACKLOG_ACTIONS).set(backlog.actions as f64);
            metrics::gauge!(metric::UNKNOWN_ACTIONS).set(backlog.unknown as f64);
        }
        pipeline.clock.sleep(GAUGES_EVERY).await;
    }
}
