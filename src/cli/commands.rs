//! The list of all commands, with the function that runs each.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use super::{
    agents, appointments, backup, call, calls, campaigns, carrier, check, completions, config, cron, customers,
    do_not_call, docs, doctor, erase, events, explain, export, forecast, health, import, man, messages, migrate,
    numbers, phone, reference, restore, retention, send, serve, services, settle, simulate, staff, tenant, test,
    timers, webhook,
};

/// Receive messages and calls, let rules decide, send the answers: each once, each with its reason on record.
#[derive(Parser)]
#[command(
    name = "recado",
    version,
    after_help = "Example: recado serve\n\nWithout a command it runs 'serve'. Configuration: recado config. \
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
    Reference(reference::Args),
    Test(test::Args),
    Explain(explain::Args),
    Events(events::Args),
    Messages(messages::Args),
    Send(send::Args),
    Call(call::Args),
    Campaigns(campaigns::Args),
    DoNotCall(do_not_call::Args),
    Settle(settle::Args),
    Customers(customers::Args),
    Appointments(appointments::Args),
    Services(services::Args),
    Staff(staff::Args),
    Calls(calls::Args),
    Agents(agents::Args),
    Numbers(numbers::Args),
    Timers(timers::Args),
    Forecast(forecast::Args),
    Simulate(simulate::Args),
    Phone(phone::Args),
    Webhook(webhook::Args),
    Carrier(carrier::Args),
    Tenant(tenant::Args),
    Backup(backup::Args),
    Restore(restore::Args),
    Export(export::Args),
    Import(import::Args),
    Erase(erase::Args),
    Retention(retention::Args),
    Migrate(migrate::Args),
    Cron(cron::Args),
    Config(config::Args),
    Docs(docs::Args),
    Doctor(doctor::Args),
    Health(health::Args),
    Man(man::Args),
    Completions(completions::Args),
}

/// Runs the command of this process and returns its exit code.
pub fn main() -> ExitCode {
    let command = Recado::parse().command.unwrap_or(Command::Serve(serve::Args {}));
    super::run(async {
        match command {
            Command::Serve(args) => serve::run(args).await,
            Command::Check(args) => check::run(args),
            Command::Reference(args) => reference::run(args),
            Command::Test(args) => test::run(args),
            Command::Explain(args) => explain::run(args).await,
            Command::Events(args) => events::run(args).await,
            Command::Messages(args) => messages::run(args).await,
            Command::Send(args) => send::run(args).await,
            Command::Call(args) => call::run(args).await,
            Command::Campaigns(args) => campaigns::run(args).await,
            Command::DoNotCall(args) => do_not_call::run(args).await,
            Command::Settle(args) => settle::run(args).await,
            Command::Customers(args) => customers::run(args).await,
            Command::Appointments(args) => appointments::run(args).await,
            Command::Services(args) => services::run(args).await,
            Command::Staff(args) => staff::run(args).await,
            Command::Calls(args) => calls::run(args).await,
            Command::Agents(args) => agents::run(args).await,
            Command::Numbers(args) => numbers::run(args).await,
            Command::Timers(args) => timers::run(args).await,
            Command::Forecast(args) => forecast::run(args).await,
            Command::Simulate(args) => simulate::run(args).await,
            Command::Phone(args) => phone::run(args).await,
            Command::Webhook(args) => webhook::run(args).await,
            Command::Carrier(args) => carrier::run(args).await,
            Command::Tenant(args) => tenant::run(args).await,
            Command::Backup(args) => backup::run(args).await,
            Command::Restore(args) => restore::run(args).await,
            Command::Export(args) => export::run(args).await,
            Command::Import(args) => import::run(args).await,
            Command::Erase(args) => erase::run(args).await,
            Command::Retention(args) => retention::run(args).await,
            Command::Migrate(args) => migrate::run(args).await,
            Command::Cron(args) => cron::run(args),
            Command::Config(args) => config::run(args),
            Command::Docs(args) => docs::run(&args),
            Command::Doctor(args) => doctor::run(args).await,
            Command::Health(args) => health::run(args).await,
            Command::Man(args) => man::run(&args, definition()),
            Command::Completions(args) => completions::run(&args, definition()),
        }
    })
}

/// The definition of the whole command line.
pub fn definition() -> clap::Command {
    Recado::command()
}
