//! The engine on a copy of the database and a simulated clock: weeks in seconds, by the same code as live.
//!
//! The built-in carrier stands in for Twilio, e-mail goes to files, other providers and `http_request` are taken as if they
//! had succeeded, conversation models are not asked: nothing leaves this machine, and the original is never touched. Left out are the catch-up and the removal
//! of what has been kept long enough.

use std::fs::{self, DirBuilder};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use tokio::task::{JoinHandle, JoinSet};

use super::{AppError, Installation, engine_loops, engine_parts, listen, router, try_out};
use crate::config::{Config, Synchronous};
use crate::domain::{Clock, Timestamp};
use crate::emulators::twilio::Carrier;
use crate::engine::Engine;
use crate::engine::timers;
use crate::http::AppState;
use crate::store::{self, StoreError};

/// Between two looks at whether anything is left to do, on the machine's clock.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// Looks without any change until the simulated clock is moved on by [`NUDGE`]: what pauses, pauses on that.
const LOOKS: u32 = 1_000;
const NUDGE: Duration = Duration::from_millis(100);
/// What does not move then, waits for something that will not come, such as a token.
const NUDGES: u32 = 20;

/// A running rehearsal; dropped, its copy is removed.
pub struct Rehearsal {
    pub installation: Installation,
    pub engine: Engine,
    carrier: Carrier,
    /// What is due and will not move.
    stuck: i64,
    _loops: JoinSet<()>,
    serving: JoinHandle<()>,
    _folder: Folder,
}

impl Rehearsal {
    /// Copies the database of this configuration, whose paths start at `dir`, and starts the engine on it at `from`.
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
        let (carrier, api_base) = try_out::start_carrier_with(&installation, 0).await?;
        let mut parts = engine_parts(&installation, &api_base)?;
        parts.transports.rehearsing = true;
        let engine = Engine::new(parts)?;
        installation.store.orphans_to_unknown(from, from).await?;
        let voice = super::voice(&installation, &engine)?;
        let router = router(AppState::new(&engine, voice, false));
        let serving = tokio::spawn(async move {
            // Ends with the rehearsal.
            let _ = axum::serve(listener, router).await;
        });
        // Or the clock could be moved past what the loops have yet to plan.
        timers::plan(&engine).await?;
        let loops = engine_loops(&engine);
        Ok(Self { installation, engine, carrier, stuck: 0, _loops: loops, serving, _folder: folder })
    }

    /// Where the rehearsal's clock stands.
    pub fn now(&self) -> Timestamp {
        self.installation.clock.now()
    }

    /// Waits until nothing is left to do at this instant; gives when there is more.
    pub async fn settle(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let (mut last, mut looks, mut nudges) = (None, 0, 0);
        loop {
            let store = &self.installation.store;
            let before = store.ahead().await?;
            let under_way = self.carrier.callbacks_pending();
            let ahead = store.ahead().await?;
            let rests = |open: i64| open <= self.stuck;
            if rests(before.open) && under_way == 0 && rests(ahead.open) {
                self.stuck = ahead.open;
                return Ok(ahead.next);
            }
            let seen = (ahead.open, under_way);
            looks = if last == Some(seen) { looks + 1 } else { 0 };
            last = Some(seen);
            if looks >= LOOKS {
                if nudges >= NUDGES {
                    self.stuck = ahead.open;
                    return Ok(ahead.next);
                }
                (looks, nudges) = (0, nudges + 1);
                self.installation.clock.advance(NUDGE);
            }
            Clock::system().sleep(LOOK_EVERY).await;
        }
    }

    /// Goes from one instant at which something falls due to the next, until then, and lets all be done at each.
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

/// A folder for the copy, which holds what customers wrote: readable by its owner only.
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
        // What cannot be removed is in the system's folder for such.
        let _ = fs::remove_dir_all(&self.0);
    }
}
