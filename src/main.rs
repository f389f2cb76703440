//! The commands, nothing else.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use recado::cli::{
    self, check, config, events, explain, messages, migrate, send, serve, settle, tenant, test, webhook,
};

/// Text messages and WhatsApp in, rules decide, answers out: each sent once, each with its reason on record.
#[derive(Parser)]
#[command(
    name = "recado",
    version,
    after_help = "Example: recado serve\n\nWithout a command it serves. Configuration: recado config. \
                  Exit codes: 0 done, 1 failed or refused, 2 wrong usage."
)]
struct Recado {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    Serve(serve::Args),
    Check(check::Args),
    Test(test::Args),
    Explain(explain::Args),
    Events(events::Args),
    Messages(messages::Args),
    Send(send::Args),
    Settle(settle::Args),
    Webhook(webhook::Args),
    Tenant(tenant::Args),
    Migrate(migrate::Args),
    Config(config::Args),
}

fn main() -> ExitCode {
    let command = Recado::parse().command.unwrap_or(Command::Serve(serve::Args {}));
    cli::run(async {
        match command {
            Command::Serve(args) => serve::run(args).await,
            Command::Check(args) => check::run(args),
            Command::Test(args) => test::run(args),
            Command::Explain(args) => explain::run(args).await,
            Command::Events(args) => events::run(args).await,
            Command::Messages(args) => messages::run(args).await,
            Command::Send(args) => send::run(args).await,
            Command::Settle(args) => settle::run(args).await,
            Command::Webhook(args) => webhook::run(args).await,
            Command::Tenant(args) => tenant::run(args).await,
            Command::Migrate(args) => migrate::run(args).await,
            Command::Config(args) => config::run(args),
        }
    })
}
