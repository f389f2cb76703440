//! Every service and every loop, each in one list. [`crate::http::router`] lists the routes.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

use secrecy::ExposeSecret;
use tokio::task::JoinSet;

use super::error::AppError;
use super::housekeeping;
use super::installation::Installation;
use crate::config::Config;
use crate::domain::Route;
use crate::domain::clock::Random;
use crate::engine::catch_up;
use crate::engine::reconcile;
use crate::engine::sending::circuit::Circuits;
use crate::engine::sending::gate::SendGate;
use crate::engine::sending::transports::Transports;
use crate::engine::timers;
use crate::engine::wakeups::Speed;
use crate::engine::{Engine, Parts};
use crate::features::campaigns;
use crate::features::voice;
use crate::features::voice::{Voice, ended_calls, lost_calls};
use crate::integrations::chat_model::Chat;
use crate::integrations::elevenlabs::ElevenLabs;
use crate::integrations::email::{Mailer, MailerError};
use crate::integrations::http;
use crate::integrations::http_providers;
use crate::integrations::http_providers::{Callbacks, Providers};
use crate::integrations::twilio::client::Client;
use crate::ops::retention;
use crate::store;

/// Starts every loop that needs no calls. A loop ends when its task is aborted; end the one that claims sends with
/// [`Pipeline::stop_claiming`](crate::engine::pipeline::Pipeline::stop_claiming) first.
pub fn start_loops(engine: &Engine) -> JoinSet<()> {
    let mut loops = start_engine_loops(engine);
    let one = engine.clone();
    loops.spawn(async move { campaigns::round::run(&one).await });
    let one = engine.clone();
    loops.spawn(async move { catch_up::run(&one).await });
    let one = engine.clone();
    loops.spawn(async move {
        retention::run(&one.store, &one.directory, &one.clock, |facts| {
            one.pipeline.rules().oldest_firing_counted(facts)
        })
        .await
    });
    let one = engine.clone();
    loops.spawn(async move { housekeeping::report_gauges(&one).await });
    loops
}

/// Starts the loops that decide and send.
pub fn start_engine_loops(engine: &Engine) -> JoinSet<()> {
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

/// Starts the loops that look after calls, among `loops`.
pub fn start_voice_loops(loops: &mut JoinSet<()>, voice: &Arc<Voice>) {
    let one = voice.clone();
    loops.spawn(async move { ended_calls::run(&one).await });
    let one = voice.clone();
    loops.spawn(async move { lost_calls::run(&one).await });
}

/// Builds the engine of an installation. It calls Twilio, or what stands in for it, at `api_base`.
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

/// Builds the service that answers calls.
pub fn voice(installation: &Installation, engine: &Engine) -> Result<Arc<Voice>, AppError> {
    let Config { chat, eleven, voice_budget, .. } = &installation.config;
    let http = http::client()?;
    Ok(Arc::new(Voice::new(voice::Parts {
        engine: Engine { store: engine.store.for_calls(), ..engine.clone() },
        budget: *voice_budget,
        chat: Chat::new(http.clone(), &chat.base, chat.key.clone(), chat.model.clone())?,
        eleven: ElevenLabs::new(http, &eleven.base, eleven.key.clone())?,
        eleven_agent: eleven.agent.clone(),
    })))
}

/// Builds a send gate with the installation's limits and the providers' rates.
pub fn gate(installation: &Installation) -> SendGate {
    SendGate::new(installation.config.limits).with_rates(rates(&installation.directory.platform().providers))
}

/// Builds the mailer. Without an SMTP server it writes files beside the database.
fn mailer(installation: &Installation) -> Result<Mailer, MailerError> {
    let config = &installation.config;
    let database = store::sqlite_path(config.database_url.expose_secret());
    let beside = database.as_deref().and_then(Path::parent).unwrap_or(Path::new("data"));
    Mailer::new(&config.mail, &beside.join("mail"), installation.clock.clone())
}

/// The rate of each provider that has one, by its route.
fn rates(providers: &Providers) -> HashMap<String, NonZeroU32> {
    let rate = |provider: &Arc<http_providers::Provider>| {
        Some((Route::Provider(provider.name.as_str().into()).to_string(), provider.rate?))
    };
    providers.iter().filter_map(rate).collect()
}
