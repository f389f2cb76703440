//! What `recado tenant set` says of hours: when the business is open, and when its customers are not to hear from it.

use chrono::NaiveDate;

use crate::cli::{CliError, name_and_value};
use crate::tenants::TenantSettings;
use crate::time::WeeklyHours;
use crate::time::hours::NoHours;

#[derive(clap::Args)]
#[group(skip)]
pub struct Args {
    /// When it is open, such as 'mon-fri 09:00-14:00,16:00-20:00; sat 10:00-13:00'; holidays stay; '' forgets both
    #[arg(long, value_name = "HOURS")]
    hours: Option<String>,
    /// A day on which it is closed, 2026-12-25, or has other hours, 2026-12-24=10:00-13:00; any number of times
    #[arg(long = "holiday", value_name = "DATE[=HOURS]", value_parser = holiday)]
    holidays: Vec<(NaiveDate, String)>,
    /// This day has the hours of its weekday again; any number of times
    #[arg(long = "remove-holiday", value_name = "DATE", value_parser = date)]
    remove_holidays: Vec<NaiveDate>,
    /// Quiet hours on the clock of customers whose number begins so, or of all: +34=22:00-09:00, all=off; without a value,
    /// as the installation has them; any number of times
    #[arg(long, value_name = "PREFIX=HOURS", value_parser = name_and_value)]
    quiet: Vec<(String, String)>,
}

pub fn change(slug: &str, args: &Args, settings: &mut TenantSettings) -> Result<(), CliError> {
    let refused = |error: NoHours| CliError::Refused(error.to_string());
    match args.hours.as_deref().map(str::trim) {
        None => {}
        Some("") => settings.hours = None,
        Some(text) => {
            let hours: WeeklyHours = text.parse().map_err(refused)?;
            let before = settings.hours.take().unwrap_or_default();
            settings.hours = Some(hours.with_holidays_of(&before));
        }
    }
    for date in &args.remove_holidays {
        if !settings.hours.as_mut().is_some_and(|hours| hours.remove_holiday(*date)) {
            return Err(CliError::Refused(format!("'{slug}' has no holiday on {date}")));
        }
    }
    for (date, shifts) in &args.holidays {
        // Without weekly hours, it is open on all other days.
        settings.hours.get_or_insert_with(WeeklyHours::always).set_holiday(*date, shifts).map_err(refused)?;
    }
    for (prefix, hours) in &args.quiet {
        settings.quiet.set(prefix, hours).map_err(|error| CliError::Refused(error.to_string()))?;
    }
    Ok(())
}

fn date(text: &str) -> Result<NaiveDate, String> {
    text.parse().map_err(|_| "write a date such as 2026-12-25".to_owned())
}

fn holiday(text: &str) -> Result<(NaiveDate, String), String> {
    let (day, hours) = text.split_once('=').unwrap_or((text, "closed"));
    Ok((date(day)?, hours.to_owned()))
}
