//! `recado serve`: until SIGINT or SIGTERM, then what is under way is let end; a second signal ends it at once.

use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use super::{CliError, DIR, Outcome};
use crate::app;

/// What a shell reports of a process that SIGINT ended.
const INTERRUPTED: i32 = 130;

/// Start the server: webhooks in, rules, sends out; without a Twilio account, a built-in carrier does
#[derive(clap::Args)]
#[command(after_help = "Example: LISTEN=127.0.0.1:9000 recado serve")]
pub struct Args {}

pub async fn run(Args {}: Args) -> Result<Outcome, CliError> {
    raise_open_files();
    let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let (stop, stopped) = oneshot::channel();
    tokio::spawn(obey(interrupt, terminate, stop));
    let stopped = async {
        // The sender is only dropped by sending.
        let _ = stopped.await;
    };
    app::serve(Path::new(DIR), stopped).await?;
    Ok(Outcome::Done)
}

/// Each caller on the line holds one connection, or two with a model: the usual soft limit of 1,024 files would refuse
/// some where the machine allows many more.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "open files stay limited as they are: `ulimit -n` raises them");
    }
}

async fn obey(mut interrupt: Signal, mut terminate: Signal, stop: oneshot::Sender<()>) {
    next(&mut interrupt, &mut terminate).await;
    // Nobody listens where serving has ended already.
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
