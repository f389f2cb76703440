//! The command line: one file per command, each with its arguments and its `run`.
//!
//! Standard output carries results only, as text or, with `--json`, as JSON. The log and errors go to standard error.
//! Exit codes: 0 done, 1 failed or refused, 2 wrong usage.
//!
//! How to add a command: a file here with `Args` (its help ends with an example) and `run`, and a line in `commands`.

pub mod agents;
pub mod appointments;
pub mod calls;
pub mod carrier;
pub mod backup;
pub mod call;
pub mod campaigns;
mod channel_flags;
pub mod check;
pub mod commands;
pub mod completions;
pub mod config;
pub mod cron;
pub mod customers;
pub mod do_not_call;
pub mod docs;
pub mod doctor;
pub mod erase;
pub mod events;
pub mod explain;
pub mod export;
pub mod forecast;
pub mod health;
pub mod import;
pub mod man;
pub mod messages;
pub mod migrate;
pub mod numbers;
pub mod phone;
pub mod reference;
mod restore;
pub mod retention;
pub mod send;
pub mod serve;
pub mod services;
pub mod settle;
pub mod simulate;
pub mod staff;
pub mod tenant;
pub mod test;
mod text;
pub mod timers;
pub mod webhook;

use std::future::Future;
use std::io::{self, ErrorKind, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, setrlimit};
use serde::Serialize;

use crate::app::{AppError, Installation};
use crate::config::secret::SealError;
use crate::config::{self as configuration, Config, ConfigErrors, Source};
use crate::domain::phone::NotANumber;
use crate::domain::plain;
use crate::domain::{ActionId, Clock, TenantId};
use crate::engine::sending::by_hand::SendRefused;
use crate::engine::sending::services::CallRefused;
use crate::features::campaigns::CampaignError;
use crate::features::customers::UnfitEdit;
use crate::features::numbers::NumbersError;
use crate::features::voice::agents::AgentError;
use crate::integrations::http;
use crate::integrations::twilio::client::ClientError;
use crate::ops::export_import::export::ExportError;
use crate::ops::export_import::file::FileError;
use crate::ops::export_import::import::ImportError;
use crate::store::rows::action;
use crate::store::tables::appointments::BookingError;
use crate::store::{LIST_MAX, StoreError};
use crate::telemetry;
use crate::tenants::{DEMO_SLUG, Tenant};

/// `.env`, `recado.toml` and relative paths are looked up here: in the working directory.
const DIR: &str = ".";

/// The result of a command that ran to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Done,
    /// The command ran, but the result is negative: a rule is broken, a send was refused.
    Failed,
}

/// Why a command did not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    #[error("{0}")]
    Refused(String),
    /// The arguments contradict each other.
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    App(Box<AppError>),
    #[error(transparent)]
    Config(#[from] ConfigErrors),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Send(#[from] SendRefused),
    #[error(transparent)]
    Call(#[from] CallRefused),
    #[error(transparent)]
    Number(#[from] NotANumber),
    #[error(transparent)]
    Numbers(#[from] NumbersError),
    #[error(transparent)]
    Http(#[from] http::ClientError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error(transparent)]
    Campaign(#[from] CampaignError),
    #[error(transparent)]
    Customer(#[from] UnfitEdit),
    #[error(transparent)]
    Agent(#[from] AgentError),
    #[error(transparent)]
    Booking(#[from] BookingError),
    #[error("the operating system gave no random bytes ({0}); try again")]
    Random(#[from] getrandom::Error),
    #[error("standard output cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl From<AppError> for CliError {
    fn from(error: AppError) -> Self {
        Self::App(Box::new(error))
    }
}

/// Runs a command and returns the exit code of the process.
pub fn run(command: impl Future<Output = Result<Outcome, CliError>>) -> ExitCode {
    forbid_core_dumps();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return print_error(&format!("the runtime cannot be started: {error}"), 1),
    };
    let ended = runtime.block_on(command);
    // Background work is in the database, so it need not end here.
    runtime.shutdown_background();
    match ended {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        // The reader of our output has seen enough, such as `head`.
        Err(CliError::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error @ CliError::Usage(_)) => print_error(&error.to_string(), 2),
        Err(error) => print_error(&error.to_string(), 1),
    }
}

/// Forbids core dumps, and debuggers of other processes: both would show tokens and customers' messages. Where the system
/// refuses, the program runs all the same.
fn forbid_core_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = setrlimit(Resource::Core, none);
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

fn print_error(text: &str, code: u8) -> ExitCode {
    // Standard error may be closed.
    let _ = writeln!(io::stderr(), "recado: {}", plain::block(text));
    ExitCode::from(code)
}

/// Prints one line on standard output, or several. No control character and no bidirectional mark gets through; text from
/// outside has to be made one line before ([`text::one_line`]), so that it cannot pass for a line of ours.
fn print(text: impl std::fmt::Display) -> Result<(), CliError> {
    Ok(writeln!(io::stdout().lock(), "{}", plain::block(&text.to_string()))?)
}

fn print_json(value: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
    print(plain::json(&text))
}

/// Loads the configuration and starts the log. Commands log warnings only, unless the environment sets a level.
fn configure() -> Result<Config, CliError> {
    let config = Config::load(Path::new(DIR), configuration::environment())?;
    let from_environment =
        config.explain().iter().any(|key| key.name == "LOG_LEVEL" && key.source == Source::Environment);
    let level = if from_environment { config.log_level.as_str() } else { "warn" };
    telemetry::start_log(config.log_format, level).map_err(AppError::from)?;
    Ok(config)
}

/// Opens the installation in the working directory. Only 'recado serve' and 'recado migrate' make or migrate a database.
async fn open_existing() -> Result<Installation, CliError> {
    Ok(Installation::existing(configure()?, Clock::system(), Path::new(DIR)).await?)
}

fn must_exist(database: &Path) -> Result<(), CliError> {
    if database.exists() {
        return Ok(());
    }
    Err(AppError::NoDatabase(database.display().to_string()).into())
}

fn find_tenant(installation: &Installation, slug: &str) -> Result<Arc<Tenant>, CliError> {
    let snapshot = installation.directory.now();
    snapshot.by_slug(slug).cloned().ok_or_else(|| {
        let mut slugs: Vec<&str> = snapshot.tenants().map(|tenant| tenant.slug.as_str()).collect();
        slugs.sort_unstable();
        CliError::Refused(format!("no tenant has the slug '{slug}'; there are: {}", slugs.join(", ")))
    })
}

async fn find_send(installation: &Installation, tenant: TenantId, id: ActionId) -> Result<action::Model, CliError> {
    let action = installation.store.action(tenant, id).await?;
    action.ok_or_else(|| CliError::Refused(format!("the send {id} is gone: was it removed by hand?")))
}

/// The URL by which this machine reaches a server that listens on `listen`.
fn local_url(listen: SocketAddr) -> String {
    let ip = match listen {
        SocketAddr::V4(at) if at.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(at) if at.ip().is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        _ => listen.ip(),
    };
    format!("http://{}", SocketAddr::new(ip, listen.port()))
}

/// The tenant that a command works on.
#[derive(clap::Args)]
pub struct TenantArg {
    /// Slug of the tenant
    #[arg(long, value_name = "SLUG", default_value = DEMO_SLUG)]
    pub tenant: String,
}

/// The option that makes a suggested command work on the same tenant.
fn for_tenant(slug: &str) -> String {
    if slug == DEMO_SLUG { String::new() } else { format!(" --tenant {slug}") }
}

/// Parses the length of a list.
fn list_length(text: &str) -> Result<usize, String> {
    let wanted = text.parse().ok().filter(|wanted| (1..=LIST_MAX).contains(wanted));
    wanted.ok_or_else(|| format!("write a number from 1 to {LIST_MAX}"))
}

/// Parses `NAME=VALUE`.
fn name_and_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE, such as 1=Ana".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_all_addresses_is_reached_on_the_loopback() {
        let check = |listen: &str, url: &str| assert_eq!(local_url(listen.parse().unwrap()), url);
        check("0.0.0.0:8000", "http://127.0.0.1:8000");
        check("[::]:80", "http://[::1]:80");
        check("10.0.0.7:8000", "http://10.0.0.7:8000");
    }

    #[test]
    fn names_and_values_are_told_apart() {
        assert_eq!(name_and_value("1=a=b"), Ok(("1".to_owned(), "a=b".to_owned())));
        assert_eq!(name_and_value("1="), Ok(("1".to_owned(), String::new())));
        assert!(name_and_value("=x").is_err());
        assert!(name_and_value("x").is_err());
    }
}
