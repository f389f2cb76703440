//! `recado serve`: serves until SIGINT or SIGTERM, then drains; a second signal ends it at once.

use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::{CliError, DIR, Outcome};
use crate::app;

/// The exit code that a shell reports for SIGINT.
const INTERRUPTED: i32 = 130;

/// Start the server; without a Twilio account, it runs with the built-in carrier
#[derive(clap::Args)]
#[command(after_help = "Example: LISTEN=127.0.0.1:9000 recado serve")]
pub struct Args {}

pub async fn run(Args {}: Args) -> Result<Outcome, CliError> {
    raise_open_files();
    let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(stop_on_signal(interrupt, terminate, stop));
    let stopped = async {
        // The sender is only dropped after it has sent.
        let _ = stopped.await;
    };
    app::serve(Path::new(DIR), stopped).await?;
    Ok(Outcome::Done)
}

/// Raises the soft limit of open files. A caller holds one connection, or two with a model: the usual limit of 1,024
/// would refuse some where the machine allows many more.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "open files stay limited as they are: `ulimit -n` raises them");
    }
}

async fn stop_on_signal(mut interrupt: Signal, mut terminate: Signal, stop: oneshot::Sender<()>) {
    next(&mut interrupt, &mut terminate).await;
    // The receiver is gone where serving has ended already.
    let _ = stop.send(());
    next(&mut interrupt, &mut terminate).await;
    std::process::exit(INTERRUPTED);
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
