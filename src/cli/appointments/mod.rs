//! `recado appointments`: books, moves, cancels and lists appointments.

mod add;
mod change;
mod files;
mod free;
mod list;

use super::{CliError, Outcome, text};
use crate::domain::AppointmentId;
use crate::store::tables::appointments::Appointment;

/// Book, move, cancel, list, import and export appointments
#[derive(clap::Args)]
#[command(after_help = "Example: recado appointments add --customer +34600111222 --service cut \
    --starts-at 2026-12-01T10:00:00+01:00\n\nA running 'recado serve' sees every change within a second.")]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    Add(Box<add::Args>),
    Move(change::MoveArgs),
    /// Mark an appointment as confirmed by the customer
    Confirm(change::Args),
    /// Cancel an appointment
    Cancel(change::Args),
    /// Mark an appointment as completed
    Complete(change::Args),
    /// Mark an appointment as missed by the customer
    NoShow(change::Args),
    List(list::Args),
    Free(free::Args),
    Import(files::ImportArgs),
    Export(files::ExportArgs),
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    use crate::domain::Change;
    match args.command {
        Command::Add(args) => add::run(*args).await,
        Command::Move(args) => change::run_move(args).await,
        Command::Confirm(args) => change::run(args, Change::Confirm).await,
        Command::Cancel(args) => change::run(args, Change::Cancel).await,
        Command::Complete(args) => change::run(args, Change::Complete).await,
        Command::NoShow(args) => change::run(args, Change::NoShow).await,
        Command::List(args) => list::run(args).await,
        Command::Free(args) => free::run(args).await,
        Command::Import(args) => files::import(args).await,
        Command::Export(args) => files::export(args).await,
    }
}

/// Parses an appointment's id.
fn id(text: &str) -> Result<AppointmentId, String> {
    text.parse().map_err(|_| "write an id as 'recado appointments list' shows it".to_owned())
}

/// One line of a list.
fn line(appointment: &Appointment) -> String {
    let who = appointment.customer.as_deref().unwrap_or("(erased)");
    let name = match appointment.customer_name.as_str() {
        "" => String::new(),
        name => format!(" {}", text::short(name, 30)),
    };
    let with =
        appointment.staff.as_deref().map(|staff| format!(" with {}", text::short(staff, 30))).unwrap_or_default();
    format!(
        "{}  {} {}  {:<9}  {}{with}  {who}{name}",
        appointment.id,
        appointment.starts_local.format("%Y-%m-%d %H:%M"),
        appointment.zone.name(),
        appointment.state,
        text::short(&appointment.service, 30),
    )
}
