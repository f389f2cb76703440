//! Checks of a rule's timing once its statement is complete.

use crate::domain::EventKind;
use crate::rules::load::builder::draft::{Draft, DraftTiming};
use crate::rules::load::error::SourcePosition;
use crate::rules::model::{Missed, Timing, When};

/// The kinds that `.before` listens to if it is about an appointment and the rule has no `.on`. A confirmed appointment
/// keeps its timers.
const OF_APPOINTMENTS: [&str; 2] = ["appointment_booked", "appointment_moved"];

/// Checks the declared timing. An error has its position, its text and a hint.
pub(in crate::rules) fn checked(draft: &mut Draft) -> Result<Option<Timing>, (SourcePosition, String, &'static str)> {
    let DraftTiming { when, missed, for_each, at } = draft.timing.clone();
    let listens = !draft.kinds.is_empty();
    let Some(when) = when else {
        let word = if for_each.is_some() { "for_each" } else { "missed" };
        return if for_each.is_some() || missed.is_some() {
            Err((draft.at, format!("{word} belongs to a rule that runs at a certain time"), "add .cron(\"0 9 * * *\")"))
        } else {
            Ok(None)
        };
    };
    if for_each.is_some() && !matches!(when, When::Cron(_)) {
        return Err((at, "for_each belongs to a schedule".to_owned(), "use .cron(…) with it"));
    }
    match &when {
        When::Cron(_) if listens || !draft.keywords.is_empty() => {
            return Err((at, "a schedule listens to nothing".to_owned(), "take .on and .keyword away, or .cron"));
        }
        When::Before(_, path) if !listens && path[0] == "appointment" => {
            let kinds = OF_APPOINTMENTS.iter().filter_map(|kind| EventKind::parse(kind).ok());
            draft.implied = kinds.collect();
        }
        _ => {}
    }
    let missed = missed.unwrap_or(match when {
        When::Cron(_) => Missed::RunOnce,
        When::After(_) | When::Before(..) => Missed::All,
    });
    Ok(Some(Timing { when, missed }))
}
