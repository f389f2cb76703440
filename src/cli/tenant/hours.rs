//! Options of `recado tenant set` for opening hours, holidays and quiet hours.

use chrono::NaiveDate;

use super::non_empty;
use crate::cli::{CliError, name_and_value};
use crate::tenants::TenantChange;
use crate::time::hours::NoHours;

#[derive(clap::Args)]
#[group(skip)]
pub struct Args {
    /// Opening hours, such as 'mon-fri 09:00-14:00,16:00-20:00; sat 10:00-13:00'; holidays stay; '' removes both
    #[arg(long, value_name = "HOURS")]
    hours: Option<String>,
    /// Holiday, closed (2026-12-25) or with other hours (2026-12-24=10:00-13:00); repeatable
    #[arg(long = "holiday", value_name = "DATE[=HOURS]", value_parser = holiday)]
    holidays: Vec<(NaiveDate, String)>,
    /// Remove a holiday; repeatable
    #[arg(long = "remove-holiday", value_name = "DATE", value_parser = date)]
    remove_holidays: Vec<NaiveDate>,
    /// Quiet hours in the customer's time zone, by number prefix or for all: +34=22:00-09:00, all=off; without a value,
    /// the installation's hours apply; repeatable
    #[arg(long, value_name = "PREFIX=HOURS", value_parser = name_and_value)]
    quiet: Vec<(String, String)>,
}

/// Adds the options to a change.
pub fn add_to(args: &Args, change: &mut TenantChange) -> Result<(), CliError> {
    change.hours = match args.hours.as_deref().map(str::trim) {
        None => None,
        Some("") => Some(None),
        Some(text) => Some(Some(text.parse().map_err(|error: NoHours| CliError::Refused(error.to_string()))?)),
    };
    // A date that is named twice gets the new hours.
    let removed = args.remove_holidays.iter().map(|date| (*date, None));
    let set = args.holidays.iter().map(|(date, shifts)| (*date, Some(shifts.clone())));
    change.holidays = removed.chain(set).collect();
    change.quiet = args.quiet.iter().map(|(prefix, hours)| (prefix.clone(), non_empty(hours))).collect();
    Ok(())
}

fn date(text: &str) -> Result<NaiveDate, String> {
    text.parse().map_err(|_| "write a date such as 2026-12-25".to_owned())
}

fn holiday(text: &str) -> Result<(NaiveDate, String), String> {
    let (day, hours) = text.split_once('=').unwrap_or((text, "closed"));
    Ok((date(day)?, hours.to_owned()))
}
