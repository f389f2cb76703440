//! The engine on a copy of the database and a simulated clock: weeks in seconds, by the same code as live.
//!
//! Nothing leaves this machine, and the original database is never written. The built-in carrier stands in for Twilio,
//! e-mail goes to files, HTTP providers and `http_request` count as successful, and conversation models are not asked.
//! The catch-up and the retention loop do not run.

use std::collections::HashSet;
use std::fs::{self, DirBuilder};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::task::{JoinHandle, JoinSet};

use super::composition::{engine_parts, start_engine_loops, voice};
use super::demo;
use super::error::AppError;
use super::installation::Installation;
use super::serve::listen;
use crate::config::{Config, Synchronous};
use crate::domain::{Clock, Timestamp};
use crate::emulators::twilio::Carrier;
use crate::engine::Engine;
use crate::engine::timers;
use crate::http::AppState;
use crate::http::router::router;
use crate::store::{self, StoreError};

/// The interval at which open work is counted, on the machine's clock.
const COUNT_EVERY: Duration = Duration::from_millis(1);
/// Counts without a change before the simulated clock is moved on by [`NUDGE`], for work that waits on that clock.
const COUNTS_BEFORE_NUDGE: u32 = 1_000;
const NUDGE: Duration = Duration::from_millis(100);
/// Nudges before open work counts as stuck: it waits for something that will not come, such as a token.
const NUDGES_MAX: u32 = 20;

/// A running rehearsal. Dropping it removes the copy.
pub struct Rehearsal {
    pub installation: Installation,
    pub engine: Engine,
    carrier: Carrier,
    /// The amount of open work that is stuck.
    stuck: i64,
    _loops: JoinSet<()>,
    serving: JoinHandle<()>,
    _folder: Folder,
}

impl Rehearsal {
    /// Copies the database of `config` and starts the engine on the copy at `from`. Relative paths start at `dir`.
    pub async fn begin(mut config: Config, dir: &Path, from: Timestamp) -> Result<Self, AppError> {
        let Some(original) = store::sqlite_path(config.database_url.expose_secret()) else {
            return Err(AppError::NoCopy);
        };
        let folder = Folder::new()?;
        let copy = folder.0.join("recado.db");
        let to = copy.clone();
        let copied = tokio::task::spawn_blocking(move || store::copy_sqlite(&original, &to)).await;
        copied.map_err(std::io::Error::other)??;
        config.database_url = SecretString::from(format!("sqlite://{}", copy.display()));
        config.sqlite_synchronous = Synchronous::Normal;
        config.mail.smtp = None;
        (config.chat.key, config.eleven.key) = (None, None);
        config.carrier_listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = listen("LISTEN", SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        config.app_url = format!("http://{}", listener.local_addr()?);
        let installation = Installation::with(config, Clock::simulated(from), dir).await?;
        let (carrier, api_base) = demo::start_carrier_with(&installation, 0).await?;
        let mut parts = engine_parts(&installation, &api_base)?;
        parts.transports.rehearsing = true;
        let engine = Engine::new(parts)?;
        installation.store.orphans_to_unknown(from, from, &HashSet::new()).await?;
        let voice = voice(&installation, &engine)?;
        let router = router(AppState::new(&engine, voice, false));
        let serving = tokio::spawn(async move {
            // The task is aborted with the rehearsal.
            let _ = axum::serve(listener, router).await;
        });
        // Timers are planned first, or the clock could be moved past one that the loops have yet to plan.
        timers::plan(&engine).await?;
        let loops = start_engine_loops(&engine);
        Ok(Self { installation, engine, carrier, stuck: 0, _loops: loops, serving, _folder: folder })
    }

    /// The time on the rehearsal's clock.
    pub fn now(&self) -> Timestamp {
        self.installation.clock.now()
    }

    /// Waits until nothing is left to do at this instant; returns when the next work is due.
    pub async fn settle(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let (mut last, mut counts, mut nudges) = (None, 0, 0);
        loop {
            let store = &self.installation.store;
            let before = store.ahead().await?;
            let under_way = self.carrier.callbacks_pending();
            let ahead = store.ahead().await?;
            let settled = |open: i64| open <= self.stuck;
            if settled(before.open) && under_way == 0 && settled(ahead.open) {
                self.stuck = ahead.open;
                return Ok(ahead.next);
            }
            let seen = (ahead.open, under_way);
            counts = if last == Some(seen) { counts + 1 } else { 0 };
            last = Some(seen);
            if counts >= COUNTS_BEFORE_NUDGE {
                if nudges >= NUDGES_MAX {
                    self.stuck = ahead.open;
                    return Ok(ahead.next);
                }
                (counts, nudges) = (0, nudges + 1);
                self.installation.clock.advance(NUDGE);
            }
            Clock::system().sleep(COUNT_EVERY).await;
        }
    }

    /// Moves the clock to `until`, from one due time to the next, and lets the work of each be done.
    pub async fn go_to(&mut self, until: Timestamp) -> Result<(), StoreError> {
        while let Some(next) = self.settle().await?.filter(|next| *next <= until) {
            self.installation.clock.set(next.max(self.now()));
        }
        if self.now() < until {
            self.installation.clock.set(until);
            self.settle().await?;
        }
        Ok(())
    }
}

impl Drop for Rehearsal {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// A folder for the copy. It holds what customers wrote, so only its owner can read it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, AppError> {
        let path = std::env::temp_dir().join(format!("recado-{:016x}", getrandom::u64()?));
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Files that cannot be removed stay in the system's temporary folder.
        let _ = fs::remove_dir_all(&self.0);
    }
}
