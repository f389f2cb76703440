//! `recado appointments add`.

use crate::cli::{CliError, OfTenant, Outcome, find_tenant, open, print, print_json};
use crate::domain::{By, Phone};
use crate::engine::availability::parse_starts;
use crate::store::tables::appointments::{NewAppointment, Starts};

/// Book an appointment, as staff do: opening hours do not bind
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  recado appointments add --customer +34600111222 --service cut \
    --starts-at 2026-12-01T10:00:00+01:00\n  recado appointments add --customer +34600111222 --name Ana --service cut \
    --staff Marta --starts-at '2026-12-01 10:00' --minutes 45\n\n\
    A service that is named for the first time is made, 30 minutes long; an unknown customer is made, too. Without \
    --staff it occupies nobody.")]
pub struct Args {
    #[command(flatten)]
    of: OfTenant,
    /// The customer's number
    #[arg(long, value_name = "NUMBER")]
    customer: String,
    /// The customer's name, where none is known yet
    #[arg(long, default_value = "")]
    name: String,
    /// What is to be done
    #[arg(long)]
    service: String,
    /// With whom
    #[arg(long, value_name = "NAME")]
    staff: Option<String>,
    /// When: with its offset, or by the clock on the wall there
    #[arg(long, value_name = "TIME", value_parser = parse_starts)]
    starts_at: Starts,
    /// How long, if not as long as the service
    #[arg(long)]
    minutes: Option<u32>,
    /// A note for the staff
    #[arg(long, default_value = "")]
    note: String,
    /// What another program knows it by; unique within the business
    #[arg(long, value_name = "ID")]
    external_id: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let new = NewAppointment {
        tenant: tenant.id,
        zone: tenant.zone,
        customer: Phone::parse_human(&args.customer)?,
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
        print_json(&booked)?
    } else {
        print(super::line(&booked))?
    }
    Ok(Outcome::Done)
}
