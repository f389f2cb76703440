//! `recado appointments list`.

use crate::cli::{CliError, Outcome, TenantArg, find_tenant, list_length, open_existing, print, print_json};
use crate::domain::{AppointmentState, Phone};
use crate::engine::availability::parse_starts;
use crate::http::views::appointment::AppointmentView;
use crate::store::tables::appointments::{Filter, Starts};

/// List appointments, soonest first
#[derive(clap::Args)]
#[command(after_help = "Example: recado appointments list --from 2026-12-01T00:00 --to 2026-12-08T00:00 --json\n\n\
    Without --from the list starts now.")]
pub struct Args {
    #[command(flatten)]
    of: TenantArg,
    /// Only appointments that end after this time
    #[arg(long, value_name = "TIME", value_parser = parse_starts)]
    from: Option<Starts>,
    /// Only appointments that start before this time
    #[arg(long, value_name = "TIME", value_parser = parse_starts)]
    to: Option<Starts>,
    /// Only appointments of this customer
    #[arg(long, value_name = "NUMBER")]
    customer: Option<String>,
    /// Only appointments in this state: booked, confirmed, cancelled, completed, no_show
    #[arg(long)]
    state: Option<AppointmentState>,
    /// Maximum number of appointments, 1 to 10000
    #[arg(long, default_value_t = 100, value_parser = list_length)]
    limit: usize,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let contact = match &args.customer {
        Some(number) => {
            let key = Phone::parse_human(number, tenant.home())?.key();
            let found = installation.store.contact_by_key(tenant.id, &key).await?;
            Some(found.ok_or_else(|| CliError::Refused(format!("'{}' has no customer {number}", tenant.slug)))?)
        }
        None => None,
    };
    let at = |starts: Starts| starts.at(tenant.zone);
    let filter = Filter {
        from: Some(args.from.map_or_else(|| installation.clock.now(), at)),
        to: args.to.map(at),
        contact,
        state: args.state,
        limit: args.limit,
        ..Filter::default()
    };
    let found = installation.store.appointments(tenant.id, &filter).await?;
    if args.json {
        print_json(&found.into_iter().map(AppointmentView::from).collect::<Vec<_>>())?;
        return Ok(Outcome::Done);
    }
    if found.is_empty() {
        print(format!("'{}' has no such appointment", tenant.slug))?;
    }
    found.iter().try_for_each(|appointment| print(super::line(appointment)))?;
    Ok(Outcome::Done)
}
