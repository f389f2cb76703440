//! `recado cron`: describes a cron schedule and lists its times. It needs no database and no configuration.

use std::time::Duration;

use chrono::SecondsFormat;
use chrono_tz::Tz;

use super::{CliError, Outcome, print, print_json};
use crate::domain::{Clock, Timestamp};
use crate::time::Cron;

const COUNT_MAX: usize = 1_000;

/// Describe a cron schedule and list when it fires
#[derive(clap::Args)]
#[command(after_help = "Example: recado cron '0 9 * * MON-FRI' --zone Europe/Madrid --count 5\n\n\
    Five fields: minute, hour, day of month, month, weekday; or six, with seconds first. * is every value, 1,2 a list, \
    1-5 a range, */2 every second value. Weekdays and months have names (MON, JAN); 0 and 7 are Sunday; L is the last \
    day of the month. If day of month and weekday are both restricted, either is enough.\n\n\
    A time that clocks skip fires at the first instant after the gap; a time that occurs twice fires once. \
    A schedule of every hour (30 * * * *) follows real time.")]
pub struct Args {
    /// Cron expression, in quotes
    #[arg(value_name = "SCHEDULE")]
    cron: Cron,
    /// Time zone of the schedule, an IANA name
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = crate::tenants::fields::zone)]
    zone: Tz,
    /// Start of the list, RFC 3339; now by default
    #[arg(long, value_name = "TIME", value_parser = instant)]
    from: Option<Timestamp>,
    /// Number of times to list, 1 to 1000
    #[arg(long, value_name = "N", default_value = "10", value_parser = count)]
    count: usize,
    /// Print a JSON array of instants in UTC
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<Outcome, CliError> {
    let Args { cron, zone, from, count, json } = args;
    let from = from.unwrap_or_else(|| Clock::system().now());
    // `from` itself may be one of the times.
    let mut at = Some(from.minus(Duration::from_micros(1)));
    let mut times = Vec::new();
    while times.len() < count {
        at = at.and_then(|at| cron.next_after(at, zone));
        let Some(at) = at else { break };
        times.push(at);
    }
    if json {
        print_json(&times)?;
        return Ok(Outcome::Done);
    }
    print(format!("{cron}: {}, in {zone}", cron.describe()))?;
    for at in &times {
        let local = at.to_utc().with_timezone(&zone);
        let utc = at.to_utc().to_rfc3339_opts(SecondsFormat::Secs, true);
        print(format!("{}  {utc}", local.format("%a %Y-%m-%d %H:%M:%S %:z")))?;
    }
    if times.len() < count {
        print("no more within eight years")?;
    }
    Ok(Outcome::Done)
}

pub(super) fn instant(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|_| "write an instant with its offset, such as 2026-03-27T00:00:00Z".to_owned())
}

fn count(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| (1..=COUNT_MAX).contains(count));
    count.ok_or_else(|| format!("write a number from 1 to {COUNT_MAX}"))
}
