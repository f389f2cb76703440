//! `recado forecast`: lists planned sends with their time, reason and cost.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use super::{CliError, Outcome, find_tenant, open_existing, print, print_json, text};
use crate::app;
use crate::domain::Prices;
use crate::ops::forecast;
use crate::ops::forecast::{DAYS_MAX, DECIDED_MAX, FORECAST_MAX, Forecast, ForecastInputs, ForecastSend, calendar};

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// Length limit of a text in the table.
const TEXT_CHARS: usize = 60;

/// List the sends that are planned, with their time, recipient, reason and cost, and those that will be blocked
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  recado forecast --days 7\n  recado forecast --tenant demo --ics > sends.ics\n\n\
    The command only reads, and may run beside a server. It decides waiting events, timers, schedules and all that \
    follows from them, by the current rule files and the current data. It does not predict what customers and staff \
    will do. Running campaigns are shown at their full pace, within their windows. Retries are left out, and so are \
    tries that wait for calls in progress. Times are UTC. Costs need PRICES.")]
pub struct Args {
    /// Days to look ahead, 1 to 366
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
    days: u32,
    /// Only sends of this tenant
    #[arg(long, value_name = "SLUG")]
    tenant: Option<String>,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
    /// Print a calendar (iCalendar)
    #[arg(long, conflicts_with = "json")]
    ics: bool,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = args.tenant.as_deref().map(|slug| find_tenant(&installation, slug)).transpose()?;
    let rules = installation.load_rules();
    let inputs = ForecastInputs {
        store: &installation.store,
        directory: &installation.directory,
        rules: &rules,
        gate: app::gate(&installation),
        prices: &installation.config.prices,
    };
    let until = installation.clock.now().plus(DAY * args.days);
    let forecast = forecast::forecast(&inputs, tenant.map(|tenant| tenant.id), until).await?;
    if args.json {
        print_json(&forecast.sends)?;
    } else if args.ics {
        print(calendar::write(&forecast).trim_end())?;
    } else {
        show(&forecast, &installation.config.prices)?;
    }
    // Notes go to standard error, so that programs can read the result.
    if forecast.replanned {
        let text = "recado: the rules, or what tenants have set, are not what the server has planned by: this is what will be \
                    sent once it has been started with them";
        writeln!(io::stderr(), "{text}")?;
    }
    if let Some(cut) = forecast.cut {
        let text = format!(
            "recado: complete until {} only: a forecast has at most {FORECAST_MAX} sends and {DECIDED_MAX} decisions; \
             ask for fewer days, or for one tenant",
            text::time(cut)
        );
        writeln!(io::stderr(), "{text}")?;
    }
    Ok(Outcome::Done)
}

fn show(forecast: &Forecast, prices: &Prices) -> Result<(), CliError> {
    if forecast.sends.is_empty() {
        return print(format!("nothing is planned until {}", text::time(forecast.until)));
    }
    for send in &forecast.sends {
        lines(send, prices).into_iter().try_for_each(print)?;
    }
    let mut counts: BTreeMap<forecast::Outcome, usize> = BTreeMap::new();
    for send in &forecast.sends {
        *counts.entry(send.outcome).or_default() += 1;
    }
    let counts = counts.into_iter().map(|(outcome, count)| match outcome {
        forecast::Outcome::Send => format!("{count} will be sent"),
        forecast::Outcome::Blocked => format!("{count} will be blocked"),
        forecast::Outcome::Held => format!("{count} will be held"),
        forecast::Outcome::Waits => format!("{count} will have to wait"),
    });
    let counts: Vec<String> = counts.collect();
    let known = forecast.sends.iter().any(|send| send.cost.is_some());
    let total = if known { format!("; about {} {}", forecast.total(), prices.currency) } else { String::new() };
    print(format!("until {}: {}{total}", text::time(forecast.until), counts.join(", ")))
}

fn lines(send: &ForecastSend, prices: &Prices) -> Vec<String> {
    let (channel, to, words) =
        (send.channel.to_string(), text::one_line(&send.to), text::short(&send.text, TEXT_CHARS));
    let cost = send.cost.map(|cost| format!("  {cost} {}", prices.currency)).unwrap_or_default();
    let mut lines = vec![
        format!(
            "{}  {:7}  {:12} {channel:8} {to:16} {words}{cost}",
            text::time(send.at),
            send.outcome.as_str(),
            send.tenant
        ),
        format!("    by \"{}\": {}", text::one_line(&send.rule), text::one_line(&send.reason)),
    ];
    if let (Some(from), Some(why)) = (send.postponed_from, &send.postponed_because) {
        lines.push(format!("    postponed from {}: {}", text::time(from), text::one_line(why)));
    }
    lines.extend(send.why_not.as_ref().map(|why| format!("    {}: {}", send.outcome.as_str(), text::one_line(why))));
    lines
}
