//! The load generator and benchmark: drives the release binary as a child process and plays the provider.
//!
//! ```text
//! cargo build --release --bin recado --example load
//! target/release/examples/load                 # all phases, then the ceilings of the machine
//! target/release/examples/load --quick         # the same, small
//! target/release/examples/load --role calls    # 1,000 callers at once, with a model that is slow, hangs or fails
//! target/release/examples/load --role events   # events of the API and webhooks in turn: times to the provider
//! ```
//!
//! Ids are random in both directions, and each answer gets three delivery callbacks (queued, sent, delivered), as with Twilio.
//! Every message has its own sender and `MessageSid`, so each acknowledged webhook must reach the provider exactly once.
//! Lost and doubled messages are counted and make the exit code 1. Acknowledgement rates are printed beside the end-to-end
//! rates, because alone they say little. The generator shares the machine with the server, so it is lean: requests are built
//! and signed before the clock starts, and both of its ends speak their own minimal HTTP/1.1. Rates depend on the machine and
//! the moment: compare them with the ceilings of the same run.

mod bare;
mod calls;
mod ceilings;
#[path = "../../tests/it/support/chat_model.rs"]
#[expect(dead_code, reason = "only tests read the recorded requests")]
mod chat_model;
mod client;
mod events;
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

/// Waits use the machine's clock, latencies use `Instant`.
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
    /// Messages a second of the open loop; by default half of the end-to-end rate.
    #[arg(long)]
    rate: Option<f64>,
    /// Seed of the message SIDs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Callers at once.
    #[arg(long, default_value_t = 1_000)]
    calls: usize,
    /// Run a tenth of the messages and of the calls.
    #[arg(long)]
    quick: bool,
    /// The binary under test.
    #[arg(long, default_value = "target/release/recado")]
    server: PathBuf,
    /// The server's URL for messages.
    #[arg(long, default_value = "/api/twilio/demo/sms")]
    path: String,
    /// The server's database, empty at the start; by default SQLite in a temporary folder, fresh for each phase.
    #[arg(long)]
    database_url: Option<String>,
    #[arg(long, value_enum, default_value_t = Role::Run)]
    role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Measure the server.
    Run,
    /// Serve the HTTP stack alone: form and signature, no database. The run starts this itself.
    HttpCeiling,
    /// Serve a bare program: rows, a group commit, an outbox. The run starts this itself.
    Bare,
    /// Serve without a database and answer every LOAD. The self-test starts this itself.
    StandIn,
    /// Measure the server with many callers.
    Calls,
    /// Measure events of the API beside webhooks.
    Events,
    /// Measure the stand-in, and check that the generator counts correctly.
    SelfTest,
}

fn main() -> ExitCode {
    let mut options = Options::parse();
    if options.quick {
        options.n = (options.n / 10).max(100);
        options.calls = (options.calls / 10).max(10);
    }
    // The roles of a server use all threads; the generator uses one thread, and its provider another.
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
                Role::Events => events::run(&options).await,
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
