//! `recado appointments free`.

use std::time::Duration;

use crate::cli::{CliError, Outcome, TenantArg, find_tenant, open_existing, print, print_json, text};
use crate::engine::availability::parse_starts;
use crate::engine::availability::{Availability, FREE_DAYS_MAX, FREE_MAX, SlotSearch};
use crate::http::views::appointment::SlotView;
use crate::store::tables::appointments::Starts;

/// The default length of the period.
const DEFAULT_DAYS: u32 = 7;

/// List free times that customers can book
#[derive(clap::Args)]
#[command(after_help = "Example: recado appointments free --service cut --staff Marta --from 2026-12-01T00:00\n\n\
    'recado tenant set --hours' sets the business's hours, 'recado staff add --hours' those of a staff member.")]
pub struct Args {
    #[command(flatten)]
    of: TenantArg,
    /// Name of the service
    #[arg(long)]
    service: String,
    /// Only times of this staff member
    #[arg(long, value_name = "NAME")]
    staff: Option<String>,
    /// Start of the period; now by default
    #[arg(long, value_name = "TIME", value_parser = parse_starts)]
    from: Option<Starts>,
    /// End of the period, at most 62 days later; one week by default
    #[arg(long, value_name = "TIME", value_parser = parse_starts)]
    to: Option<Starts>,
    /// Maximum number of times
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=FREE_MAX as i64))]
    limit: u16,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let from = args.from.map_or_else(|| installation.clock.now(), |from| from.at(tenant.zone));
    let days = Duration::from_secs(u64::from(DEFAULT_DAYS.min(FREE_DAYS_MAX)) * 24 * 3_600);
    let to = args.to.map_or_else(|| from.plus(days), |to| to.at(tenant.zone));
    let wanted = SlotSearch { service: args.service, staff: args.staff, from, to, limit: usize::from(args.limit) };
    let slots = Availability::new(&installation.store, &tenant).free_slots(&wanted).await?;
    if args.json {
        print_json(&slots.into_iter().map(SlotView::from).collect::<Vec<_>>())?;
        return Ok(Outcome::Done);
    }
    if slots.is_empty() {
        print("nothing is free then")?;
    }
    for slot in &slots {
        let with = slot.staff.as_deref().map(|staff| format!("  with {}", text::short(staff, 30))).unwrap_or_default();
        print(format!("{} {}{with}", slot.starts_local.format("%Y-%m-%d %H:%M"), slot.zone))?;
    }
    Ok(Outcome::Done)
}
