//! `recado cron`: a schedule in words, and when it fires. Needs no database and no configuration.

use std::time::Duration;

use chrono::SecondsFormat;
use chrono_tz::Tz;

use super::{CliError, Outcome, print, print_json};
use crate::domain::{Clock, Timestamp};
use crate::time::Cron;

/// Times listed, at most.
const COUNT_MAX: usize = 1_000;

/// Say a schedule in words, and list when it fires
#[derive(clap::Args)]
#[command(after_help = "Example: recado cron '0 9 * * MON-FRI' --zone Europe/Madrid --count 5\n\n\
    Five fields: minute, hour, day of month, month, weekday; or six, with seconds first. * stands for all, 1,2 for some, \
    1-5 for a range, */2 for every other. Weekdays and months have names (MON, JAN); 0 and 7 are Sunday; L is the last day \
    of the month. Where day of month and weekday are both chosen, either will do.\n\n\
    Where clocks are set forward over a time, it fires at the first instant after; a time that comes twice fires once. \
    Where every hour is meant (30 * * * *), real time goes on.")]
pub struct Args {
    /// The schedule, in quotes
    #[arg(value_name = "SCHEDULE")]
    cron: Cron,
    /// The time zone on whose clocks it is meant, an IANA name
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = super::tenant::zone)]
    zone: Tz,
    /// From this instant on, RFC 3339; now if left out
    #[arg(long, value_name = "TIME", value_parser = instant)]
    from: Option<Timestamp>,
    /// How many times, 1 to 1000
    #[arg(long, value_name = "N", default_value = "10", value_parser = count)]
    count: usize,
    /// As JSON: one array of instants in UTC
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<Outcome, CliError> {
    let Args { cron, zone, from, count, json } = args;
    let from = from.unwrap_or_else(|| Clock::system().now());
    // The instant itself may be one of its times.
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
    print(format!("{cron}: {}, in {zone}", cron.in_words()))?;
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
