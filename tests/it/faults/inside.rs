//! The routes and the pipeline in the test's own process, for runs of many thousands of requests.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use recado::app::{self, Installation};
use recado::config::Config;
use recado::domain::Clock;
use recado::engine::Engine;
use recado::engine::pipeline::Pipeline;
use recado::engine::sending::circuit::Circuits;
use recado::http::AppState;
use recado::http::router::router;
use recado::rules::RuleSet;
use recado::store::Store;
use recado::tenants::Directory;
use tempfile::TempDir;
use tower::ServiceExt;

use super::rig;
use crate::support::webhook::Form;

/// Answers are short; more than this is a fault.
const ANSWER_MAX_BYTES: usize = 64 * 1024;

/// The parts of `recado serve`, without its sockets and loops.
pub struct Inside {
    pub installation: Installation,
    pub engine: Engine,
    pub pipeline: Arc<Pipeline>,
    pub store: Store,
    pub directory: Arc<Directory>,
    pub circuits: Arc<Circuits>,
    pub router: Router,
    _folder: TempDir,
}

/// The base that webhooks are signed for. It is on the loopback, as the emulated provider demands of a status callback.
pub const PUBLIC_URL: &str = "http://127.0.0.1:1";

impl Inside {
    pub async fn open() -> Self {
        Self::at("http://127.0.0.1:1", Clock::system(), "").await
    }

    /// Opens the parts with the provider at `api_base`, on the test's clock, with these rules.
    pub async fn at(api_base: &str, clock: Clock, rules: &str) -> Self {
        Self::with(api_base, clock, rules, &[]).await
    }

    /// With these settings besides.
    pub async fn with(api_base: &str, clock: Clock, rules: &str, more: &[(&'static str, String)]) -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut settings = rig::settings(api_base);
        settings.extend([
            ("APP_URL", PUBLIC_URL.to_owned()),
            ("DATABASE_URL", format!("sqlite://{}", path("recado.db"))),
            ("SQLITE_SYNCHRONOUS", "normal".to_owned()),
            ("RULES_DIR", path("rules")),
        ]);
        settings.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        settings.extend(more.iter().cloned());
        let environment = settings.into_iter().map(|(name, value)| (name.to_owned(), value));
        let config = Config::load(folder.path(), environment).expect("the settings are good");
        std::fs::create_dir_all(&config.rules_dir).expect("the folder is ours");
        std::fs::write(config.rules_dir.join("echo.rhai"), rules).expect("the folder is ours");
        let installation = Installation::with(config, clock, folder.path()).await.expect("it can be opened");
        let engine = app::engine(&installation, api_base).expect("an engine can be built");
        let voice = app::voice(&installation, &engine).expect("it can be set up");
        let router = router(AppState::new(&engine, voice, false));
        let Engine { pipeline, store, directory, circuits, .. } = engine.clone();
        Self { installation, engine, pipeline, store, directory, circuits, router, _folder: folder }
    }

    /// Loads other rules.
    pub fn rules(&self, rules: &str) -> RuleSet {
        std::fs::write(self.installation.config.rules_dir.join("echo.rhai"), rules).expect("the folder is ours");
        self.installation.load_rules()
    }

    /// Answers one request: the status and the body.
    pub async fn answer(&self, request: Request<Body>) -> (u16, Vec<u8>) {
        let response = self.router.clone().oneshot(request).await.expect("the router itself cannot fail");
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), ANSWER_MAX_BYTES).await.expect("the answer is short");
        (status, body.to_vec())
    }
}

/// A form to post, signed or not.
pub fn posted(path: &str, body: impl Into<Body>, signature: Option<&str>) -> Request<Body> {
    let request = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    let request = match signature {
        Some(signature) => request.header("x-twilio-signature", signature),
        None => request,
    };
    request.body(body.into()).expect("a path of ours")
}

/// Encodes a form as a body.
pub fn encode(form: &Form) -> String {
    let params: recado::integrations::twilio::form::Params = form.iter().map(|(name, value)| (name, value)).collect();
    params.encode()
}
