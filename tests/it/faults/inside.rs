//! The routes and the pipeline in the test's own process, for runs of many thousands of requests.

use std::path::Path;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::Request;
use recado::app::{self, Installation};
use recado::config::Config;
use recado::domain::Clock;
use recado::web::AppState;
use tempfile::TempDir;
use tower::ServiceExt;

use super::rig;

/// Answers are short; more than this is a fault.
const ANSWER_MAX_BYTES: usize = 64 * 1024;

/// What `recado serve` is made of, without its sockets and loops.
pub struct Inside {
    pub installation: Installation,
    pub router: Router,
    _folder: TempDir,
}

/// The base that webhooks are signed for.
pub const PUBLIC_URL: &str = "https://recado.example.com";

impl Inside {
    pub async fn open() -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut settings = rig::settings("http://127.0.0.1:1");
        settings.extend([
            ("APP_URL", PUBLIC_URL.to_owned()),
            ("DATABASE_URL", format!("sqlite://{}", path("recado.db"))),
            ("SQLITE_SYNCHRONOUS", "normal".to_owned()),
            ("RULES_DIR", path("rules")),
        ]);
        Self::with(settings, folder).await
    }

    async fn with(settings: Vec<(&'static str, String)>, folder: TempDir) -> Self {
        let environment = settings.into_iter().map(|(name, value)| (name.to_owned(), value));
        let config = Config::load(folder.path(), environment).expect("the settings are good");
        let installation = Self::installation(config, folder.path()).await;
        let pipeline = app::pipeline(&installation, "http://127.0.0.1:1").expect("a pipeline can be made");
        let router = app::router(AppState { pipeline, skip_signatures: false });
        Self { installation, router, _folder: folder }
    }

    async fn installation(config: Config, folder: &Path) -> Installation {
        Installation::with(config, Clock::system(), folder).await.expect("it can be opened")
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
