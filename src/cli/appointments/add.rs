//! `recado appointments add`.

use crate::cli::{CliError, Outcome, TenantArg, find_tenant, open_existing, print, print_json};
use crate::domain::{By, Phone};
use crate::engine::availability::parse_starts;
use crate::http::views::appointment::AppointmentView;
use crate::store::tables::appointments::{NewAppointment, Starts};

/// Book an appointment; opening hours are not checked
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  recado appointments add --customer +34600111222 --service cut \
    --starts-at 2026-12-01T10:00:00+01:00\n  recado appointments add --customer +34600111222 --name Ana --service cut \
    --staff Marta --starts-at '2026-12-01 10:00' --minutes 45\n\n\
    A new service is created with 30 minutes; an unknown customer is created, too. Without --staff the appointment \
    occupies no staff member.")]
pub struct Args {
    #[command(flatten)]
    of: TenantArg,
    /// Number of the customer
    #[arg(long, value_name = "NUMBER")]
    customer: String,
    /// Name of the customer, used if none is known yet
    #[arg(long, default_value = "")]
    name: String,
    /// Name of the service
    #[arg(long)]
    service: String,
    /// Staff member
    #[arg(long, value_name = "NAME")]
    staff: Option<String>,
    /// Start, with an offset or in local time
    #[arg(long, value_name = "TIME", value_parser = parse_starts)]
    starts_at: Starts,
    /// Duration in minutes, if it differs from the service's
    #[arg(long)]
    minutes: Option<u32>,
    /// Note for the staff
    #[arg(long, default_value = "")]
    note: String,
    /// Id of the appointment in another program; unique within the tenant
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let new = NewAppointment {
        tenant: tenant.id,
        zone: tenant.zone,
        customer: Phone::parse_human(&args.customer, tenant.home())?,
        customer_name: args.name,
        service: args.service,
        new_service: true,
        minutes: args.minutes,
        staff: args.staff,
        starts: args.starts_at,
        note: args.note,
        uid: args.external_id,
        by: By::Staff,
    };
    let booked = installation.store.book(&new).await?;
    if args.json {
        print_json(&AppointmentView::from(booked))?
    } else {
        print(super::line(&booked))?
    }
    Ok(Outcome::Done)
}
