//! `recado appointments move|confirm|cancel|complete|no-show`.

use crate::cli::{CliError, Outcome, TenantArg, find_tenant, open_existing, print, print_json};
use crate::domain::{AppointmentId, By, Change};
use crate::engine::availability::parse_starts;
use crate::http::views::appointment::AppointmentView;
use crate::store::tables::appointments::{Moved, Order, Starts};

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    of: TenantArg,
    /// Id of the appointment
    #[arg(value_parser = super::id)]
    id: AppointmentId,
    /// Only if the appointment still has this version
    #[arg(long, value_name = "N")]
    version: Option<i32>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Move an appointment and its reminders
#[derive(clap::Args)]
#[command(after_help = "Example: recado appointments move 0199a1b2-… --starts-at '2026-12-02 11:00' --staff Marta\n\n\
    A confirmed appointment must be confirmed again after a move.")]
pub struct MoveArgs {
    #[command(flatten)]
    which: Args,
    /// New start, with an offset or in local time
    #[arg(long, value_name = "TIME", value_parser = parse_starts)]
    starts_at: Option<Starts>,
    /// New staff member
    #[arg(long, value_name = "NAME")]
    staff: Option<String>,
    /// Remove the staff member
    #[arg(long, conflicts_with = "staff")]
    no_staff: bool,
    /// New duration in minutes
    #[arg(long)]
    minutes: Option<u32>,
}

pub async fn run(args: Args, change: Change) -> Result<Outcome, CliError> {
    order(args, change, None).await
}

pub async fn run_move(args: MoveArgs) -> Result<Outcome, CliError> {
    let staff = if args.no_staff { Some(None) } else { args.staff.map(Some) };
    if args.starts_at.is_none() && staff.is_none() && args.minutes.is_none() {
        return Err(CliError::Usage("say where to: --starts-at, --staff, --no-staff or --minutes".to_owned()));
    }
    order(args.which, Change::Move, Some(Moved { starts: args.starts_at, staff, minutes: args.minutes })).await
}

async fn order(args: Args, change: Change, to: Option<Moved>) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let order = Order { tenant: tenant.id, id: args.id, change, to, version: args.version, by: By::Staff };
    let (appointment, changed) = installation.store.change_appointment(&order).await?;
    if args.json {
        print_json(&AppointmentView::from(appointment))?;
    } else {
        let already = if changed { "" } else { "  (it was so already)" };
        print(format!("{}{already}", super::line(&appointment)))?;
    }
    Ok(Outcome::Done)
}
