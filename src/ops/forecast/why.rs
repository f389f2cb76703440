//! Describes the causes of sends.

use crate::domain::contact::TenantFacts;
use crate::domain::timer::Anchor;
use crate::domain::{Event, Purpose, Timestamp};
use crate::engine::timers::sync::stored_timer;
use crate::rules::RuleSet;
use crate::store::PendingTimer;

/// Describes the cause of a timer.
pub fn of_timer(timer: &PendingTimer, rules: &RuleSet, tenant: &TenantFacts) -> String {
    let anchor = serde_json::from_str(&timer.payload).ok().and_then(|data| Anchor::in_data(&data));
    match (timer.purpose.parse(), anchor) {
        (Ok(Purpose::After), Some(anchor)) => format!("{} {} of {}", timer.timing, anchor.kind, second(anchor.at)),
        (Ok(Purpose::Before), Some(Anchor { until: Some(until), .. })) => {
            let own = own_time(timer, rules, tenant).filter(|own| *own != timer.due);
            let moved = own.map(|own| format!("; its own time, {}, lies in quiet hours", second(own)));
            format!("{}, {}{}", timer.timing, second(until), moved.unwrap_or_default())
        }
        (Ok(Purpose::Silence), _) if let Some(why) = unsent(timer) => format!("a question is not sent: {why}"),
        (Ok(Purpose::Silence), _) => format!("nobody has answered by {}", second(timer.due)),
        (Ok(Purpose::Page), _) => "schedule".to_owned(),
        _ => timer.timing.clone(),
    }
}

/// The reason of a timer which tells that a question will never be sent.
fn unsent(timer: &PendingTimer) -> Option<String> {
    let payload: serde_json::Value = serde_json::from_str(&timer.payload).ok()?;
    Some(payload.get("unsent")?.as_str()?.to_owned())
}

/// The time that the rule asks for, quiet hours aside.
fn own_time(timer: &PendingTimer, rules: &RuleSet, tenant: &TenantFacts) -> Option<Timestamp> {
    Some(rules.replan(&stored_timer(timer), tenant, Timestamp::from_unix_us(0), true)??.due)
}

/// Describes an event that is not decided yet.
pub fn of_undecided(event: &Event) -> String {
    format!("{} of {}, which waits to be decided", event.kind, second(event.occurred_at))
}

/// Formats a time in UTC, to the second.
pub fn second(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%d %H:%M:%SZ").to_string()
}
