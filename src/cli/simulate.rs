//! `recado simulate`: runs the engine on a simulated clock, on a copy of the database.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::{CliError, DIR, Outcome, configure, cron, find_tenant, must_exist, print, print_json, text};
use crate::app::AppError;
use crate::app::rehearsal::Rehearsal;
use crate::domain::{Clock, TenantId, Timestamp};
use crate::http::views::action::SettledSendView;
use crate::store;

/// The longest simulation.
const DAYS_MAX: u32 = 366;
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// A `--from` that is past by less than this means now: clocks differ.
const SLACK: Duration = Duration::from_secs(60);
/// Length limit of a text in the list.
const TEXT_CHARS: usize = 60;

/// Run the engine on a simulated clock, on a copy of the database, and list its sends
#[derive(clap::Args)]
#[command(after_help = "Example: recado simulate --to 2027-01-01T00:00:00Z\n\n\
    The simulation runs the server's own code with the built-in carrier. Nothing leaves this machine, and the \
    database is not changed. The command may run beside a server. Sends that fell due before --from are handled \
    first, as after a downtime.")]
pub struct Args {
    /// Start of the simulated time, RFC 3339, not in the past; default: now
    #[arg(long, value_name = "TIME", value_parser = cron::instant)]
    from: Option<Timestamp>,
    /// End of the simulated time, at most 366 days later
    #[arg(long, value_name = "TIME", value_parser = cron::instant)]
    to: Timestamp,
    /// Speed: max is as fast as the machine can
    #[arg(long, default_value = "max", value_parser = ["max"])]
    speed: String,
    /// Only sends of this tenant
    #[arg(long, value_name = "SLUG")]
    tenant: Option<String>,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let real = Clock::system();
    let begun = real.now();
    if let Some(from) = args.from.filter(|from| from.plus(SLACK) < begun) {
        return Err(CliError::Usage(format!(
            "--from {} is in the past, and a copy of the database is as it is now: leave --from out to begin now; what was \
             sent is in 'recado messages'",
            text::time(from)
        )));
    }
    let from = args.from.map_or(begun, |from| from.max(begun));
    if args.to <= from || args.to > from.plus(DAY * DAYS_MAX) {
        return Err(CliError::Usage(format!("--to must come after --from, by at most {DAYS_MAX} days")));
    }
    let config = configure()?;
    match store::sqlite_path(config.database_url.expose_secret()) {
        Some(path) => must_exist(&path)?,
        None => return Err(AppError::NoCopy.into()),
    }
    let mut rehearsal = Rehearsal::begin(config, Path::new(DIR), from).await?;
    let tenants: Vec<(TenantId, String)> = match &args.tenant {
        Some(slug) => vec![(find_tenant(&rehearsal.installation, slug)?.id, slug.clone())],
        None => {
            let snapshot = rehearsal.installation.directory.now();
            let mut all: Vec<_> = snapshot.tenants().map(|tenant| (tenant.id, tenant.slug.clone())).collect();
            all.sort_by(|one, other| one.1.cmp(&other.1));
            all
        }
    };
    let (mut rows, mut counts) = (Vec::new(), BTreeMap::<String, usize>::new());
    // Sends that fall due at the first instant belong to it.
    let mut seen = from.minus(Duration::from_micros(1));
    while seen < args.to {
        let until = seen.plus(DAY).min(args.to);
        rehearsal.go_to(until).await?;
        let mut day = Vec::new();
        for (tenant, slug) in &tenants {
            let sends = rehearsal.installation.store.settled_sends(*tenant, seen, until).await?;
            day.extend(sends.into_iter().map(|send| SettledSendView::new(slug, send)));
        }
        day.sort_by_key(|row| row.at);
        for row in &day {
            *counts.entry(row.state.clone()).or_default() += 1;
            if !args.json {
                lines(row).into_iter().try_for_each(print)?;
            }
        }
        if args.json {
            rows.extend(day);
        }
        seen = until;
    }
    if args.json {
        print_json(&rows)?;
        return Ok(Outcome::Done);
    }
    let counts: Vec<String> = counts.into_iter().map(|(state, count)| format!("{count} {state}")).collect();
    let counts = if counts.is_empty() { "nothing sent".to_owned() } else { counts.join(", ") };
    let days = args.to.since(from).as_secs_f64() / DAY.as_secs_f64();
    print(format!("{days:.1} days in {:.1} seconds: {counts}", real.now().since(begun).as_secs_f64()))?;
    Ok(Outcome::Done)
}

fn lines(row: &SettledSendView) -> Vec<String> {
    let words = text::short(&row.text, TEXT_CHARS);
    let (to, rule) = (text::one_line(&row.to), text::one_line(&row.rule));
    let at = text::time(row.at);
    let mut lines =
        vec![format!("{at}  {:7}  {:12} {:8} {to:16} {words}  (by \"{rule}\")", row.state, row.tenant, row.channel)];
    lines.extend(row.reason.as_ref().map(|reason| format!("    {}", text::one_line(reason))));
    lines
}
