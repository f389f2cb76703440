//! The load generator and benchmark: drives the release binary as a child process, and plays the provider for it.
//!
//! ```text
//! cargo build --release --bin recado --example load
//! target/release/examples/load                 # all phases, then the ceilings of the machine
//! target/release/examples/load --quick         # the same, small
//! target/release/examples/load --role calls    # 1,000 callers at once, with a model that is slow, hangs or fails
//! ```
//!
//! Every message has a sender and a `MessageSid` of its own, so each acknowledged webhook must reach the provider
//! exactly once: what is lost or doubled is counted, and makes the exit code 1. Acknowledgement rates are printed
//! beside the whole way to the provider, without which they say little. The generator shares the machine with the
//! server, so it is lean: requests are built and signed before the clock starts, and both of its ends speak a bare
//! HTTP/1.1 of their own. Rates are of this machine and moment; compare them with the ceilings of the same run.

mod bare;
mod calls;
mod ceilings;
#[path = "../../tests/it/support/chat_model.rs"]
#[expect(dead_code, reason = "only tests read the recorded requests")]
mod chat_model;
mod client;
mod ledger;
mod phases;
mod provider;
mod self_test;
mod server;
mod stand_in;
mod webhook;
mod wire;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use recado::domain::Clock;

use self::stand_in::Does;

/// Waits go by the machine's clock, latencies by `Instant`.
const CLOCK: Clock = Clock::system();

/// Any failure ends the run and is printed.
type Failure = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone, Debug, Parser)]
#[command(about = "Load generator and benchmark for Recado")]
struct Options {
    /// Messages of each phase.
    #[arg(long, default_value_t = 30_000)]
    n: usize,
    /// Connections of the closed loops; the overload has four times as many.
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Messages a second of the open loop; not given, half of what the whole way took.
    #[arg(long)]
    rate: Option<f64>,
    /// Seed of the message SIDs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Callers on the line at once.
    #[arg(long, default_value_t = 1_000)]
    calls: usize,
    /// A tenth of the messages and of the calls.
    #[arg(long)]
    quick: bool,
    /// The binary under test.
    #[arg(long, default_value = "target/release/recado")]
    server: PathBuf,
    /// Where the server takes messages.
    #[arg(long, default_value = "/api/twilio/demo/sms")]
    path: String,
    /// A database of the server's, empty at the start; not given, SQLite in a temporary folder, fresh for each phase.
    #[arg(long)]
    database_url: Option<String>,
    #[arg(long, value_enum, default_value_t = Role::Run)]
    role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Measure the server.
    Run,
    /// Be the HTTP stack alone: form and signature, no database. The run starts this itself.
    HttpCeiling,
    /// Be a bare program: rows, a group commit, an outbox. The run starts this itself.
    Bare,
    /// Be a server without a database that answers every LOAD. The self-test starts this itself.
    StandIn,
    /// Measure the server with callers on the line.
    Calls,
    /// Measure the stand-in, and check that the generator counts rightly.
    SelfTest,
}

fn main() -> ExitCode {
    let mut options = Options::parse();
    if options.quick {
        options.n = (options.n / 10).max(100);
        options.calls = (options.calls / 10).max(10);
    }
    // The server's roles take what the machine has; the generator keeps to one thread, and its provider to another.
    let serving = matches!(options.role, Role::HttpCeiling | Role::Bare | Role::StandIn);
    let mut builder = if serving {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    let outcome = builder.enable_all().build().map_err(Failure::from).and_then(|runtime| {
        runtime.block_on(async {
            match options.role {
                Role::Run => phases::run(&options).await,
                Role::Calls => calls::run(&options).await,
                Role::HttpCeiling => stand_in::serve(Does::Nothing).await.map(|()| true),
                Role::Bare => stand_in::serve(Does::StoresAndAnswers).await.map(|()| true),
                Role::StandIn => stand_in::serve(Does::Answers).await.map(|()| true),
                Role::SelfTest => self_test::run(&options).await,
            }
        })
    });
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("the run failed: {failure}");
            ExitCode::FAILURE
        }
    }
}
