//! Delayed and scheduled rules: the timers that an event plans, and what happens when one fires.
//!
//! The event that such a rule listens to plans a timer. When the timer is due, an event of kind `timer` evaluates the rule
//! on the facts of that moment. Planning is pure, as deciding is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono_tz::Tz;
use serde_json::{Value, json};

use crate::domain::contact::TenantFacts;
use crate::domain::timer::{Anchor, Fired};
use crate::domain::{ContactId, Event, EventKind, Facts, NewTimer, Purpose, TimerId, Timestamp};
use crate::rules::eval::trace::RuleResult;
use crate::rules::model::{Missed, Rule, RuleInfo, Timing, When};
use crate::rules::ruleset::RuleSet;

/// A firing this long after its due time counts as missed. A restart of the server misses nothing.
pub const MISSED_AFTER: Duration = Duration::from_secs(5 * 60);
/// A `.before` rule may still run this part of its span after its due time: a reminder of 24 hours for 12 hours, one of 2
/// hours for one hour. It never runs once its moment has come.
pub const BEFORE_LATE_PART: u32 = 2;

/// A pending timer, as its row has it.
pub struct StoredTimer<'a> {
    pub id: TimerId,
    pub rule: &'a str,
    pub timing: &'a str,
    pub contact: Option<ContactId>,
    pub subject: Option<uuid::Uuid>,
    /// JSON.
    pub payload: &'a str,
}

impl Timing {
    /// Returns when the timer of an event is due, and the moment that it comes before; or why there is no timer.
    fn due(&self, event: &AnchorEvent<'_>, zone: Tz) -> Result<(Timestamp, Option<Timestamp>), RuleResult> {
        match &self.when {
            When::After(span) => Ok((span.after(event.anchor.at, zone), None)),
            When::Before(span, path) => {
                let found = path.iter().try_fold(event.data, |data, name| data.get(name));
                let until = found.and_then(Value::as_str).and_then(|text| Timestamp::parse(text).ok());
                let until = until.ok_or_else(|| RuleResult::NoMoment { path: path.join(".") })?;
                // An appointment's days are those of its own time zone.
                let own = event.data.get(&path[0]).and_then(|about| about.get("zone")).and_then(Value::as_str);
                let zone = own.and_then(|zone| zone.parse().ok()).unwrap_or(zone);
                Ok((span.before(until, zone), Some(until)))
            }
            When::Cron(_) => Err(RuleResult::NoKind { scheduled: true, steps: Vec::new() }),
        }
    }

    /// Returns why a timer that has fired must not run its rule.
    fn refuses_firing(&self, fired: &Fired, event: &Event, facts: &Facts) -> Option<RuleResult> {
        let found = facts.as_of;
        let late = found.since(fired.due);
        let skipped = RuleResult::Skipped { due: fired.due, found };
        if self.missed == Missed::Skip && late > MISSED_AFTER {
            return Some(skipped);
        }
        let When::Before(span, path) = &self.when else { return None };
        let until = Anchor::in_data(&event.data)?.until?;
        if found >= until || late > span.nominal() / BEFORE_LATE_PART {
            return Some(skipped);
        }
        if path[0] == "appointment" {
            appointment_mismatch(until, facts).map(|why| RuleResult::Void { why })
        } else {
            None
        }
    }
}

/// Returns why an appointment no longer matches the timer.
fn appointment_mismatch(starts_at: Timestamp, facts: &Facts) -> Option<String> {
    let appointment = facts.appointment.as_ref()?;
    if appointment.starts_at != starts_at {
        return Some(format!("the appointment has been moved to {}", appointment.starts_at));
    }
    let stands = ["booked", "confirmed"].contains(&appointment.state.as_str());
    (!stands).then(|| format!("the appointment is {}", appointment.state))
}

/// An event as the anchor of a timer: at first, or read again from a timer's payload.
struct AnchorEvent<'a> {
    anchor: Anchor,
    data: &'a Value,
}

impl Rule {
    /// Returns the timer that this event plans, or why it plans none.
    pub(in crate::rules) fn plan(&self, event: &Event, facts: &Facts) -> Result<NewTimer, RuleResult> {
        let timing = self.timing.as_ref().ok_or(RuleResult::NoKind { scheduled: false, steps: Vec::new() })?;
        let zone = zone_of(&facts.tenant);
        let anchored = AnchorEvent { anchor: Anchor::of(event), data: &event.data };
        let (due, until) = timing.due(&anchored, zone)?;
        if until.is_some() && due <= facts.as_of {
            return Err(RuleResult::TooLate { due });
        }
        let about = matches!(&timing.when, When::Before(_, path) if path[0] == "appointment");
        if about && let Some(why) = until.and_then(|until| appointment_mismatch(until, facts)) {
            return Err(RuleResult::Void { why });
        }
        let subject = if about { subject_of(&event.data) } else { None };
        let anchor = Anchor { until, ..anchored.anchor };
        Ok(NewTimer {
            id: TimerId::of(event.tenant, &self.info.name, subject.unwrap_or(event.id.uuid())),
            due,
            tenant: event.tenant,
            purpose: if until.is_some() { Purpose::Before } else { Purpose::After },
            rule: self.info.name.clone(),
            timing: timing.text(),
            contact: event.contact,
            subject,
            payload: anchor.into_data(event.data.clone()),
        })
    }

    /// Returns why a fired timer must not run this rule; `None` if it may.
    pub(in crate::rules) fn refuses_firing(&self, fired: &Fired, event: &Event, facts: &Facts) -> Option<RuleResult> {
        if !self.is_enabled_for(&facts.tenant) {
            return Some(RuleResult::NotEnabled);
        }
        self.timing.as_ref().and_then(|timing| timing.refuses_firing(fired, event, facts))
    }
}

impl RuleSet {
    /// Returns the timer for a schedule's first time after `after`; `None` if the rule has no schedule or is not enabled.
    pub fn next_of_schedule(&self, rule: &str, tenant: &TenantFacts, after: Timestamp) -> Option<NewTimer> {
        let rule = self.rule(rule)?;
        let Some(Timing { when: When::Cron(cron), .. }) = &rule.timing else { return None };
        if !rule.is_enabled_for(tenant) {
            return None;
        }
        Some(NewTimer {
            id: TimerId::of(tenant.id, &rule.info.name, tenant.id.uuid()),
            due: cron.next_after(after, zone_of(tenant))?,
            tenant: tenant.id,
            purpose: Purpose::Cron,
            rule: rule.info.name.clone(),
            timing: format!("cron {cron} {}", tenant.zone),
            contact: None,
            subject: None,
            payload: json!({}),
        })
    }

    /// Returns the moment after which the next time of a fired schedule is looked for: the due time if every missed time runs,
    /// else now.
    pub fn schedule_resumes_after(&self, rule: &str, due: Timestamp, now: Timestamp) -> Timestamp {
        let timing = self.rule(rule).and_then(|rule| rule.timing.as_ref());
        if timing.is_some_and(|timing| timing.missed == Missed::All) { due } else { due.max(now) }
    }

    /// Returns the next timer of a schedule whose timer fires at `now`.
    pub fn next_schedule_timer(
        &self,
        rule: &str,
        due: Timestamp,
        tenant: &TenantFacts,
        now: Timestamp,
    ) -> Option<NewTimer> {
        self.next_of_schedule(rule, tenant, self.schedule_resumes_after(rule, due, now))
    }

    /// Returns what happens to a pending timer under these rules: `None` if it stays, else its replacement, if it has one.
    /// Past times get no timer.
    pub fn replan(
        &self,
        timer: &StoredTimer<'_>,
        tenant: &TenantFacts,
        now: Timestamp,
        anyway: bool,
    ) -> Option<Option<NewTimer>> {
        let Some(rule) = self.rule(timer.rule) else {
            // A rule that could not be loaded may come back, so its timers wait for it.
            return self.complete.then_some(None);
        };
        let Some(timing) = &rule.timing else { return Some(None) };
        if timing.text() == timer.timing && !anyway {
            return None;
        }
        let again = || {
            let data: Value = serde_json::from_str(timer.payload).ok()?;
            let anchored = AnchorEvent { anchor: Anchor::in_data(&data)?, data: &data };
            let (due, until) = timing.due(&anchored, zone_of(tenant)).ok().filter(|(due, _)| *due > now)?;
            let payload = Anchor { until, ..anchored.anchor }.into_data(data.clone());
            let purpose = if until.is_some() { Purpose::Before } else { Purpose::After };
            Some(NewTimer {
                id: timer.id,
                due,
                tenant: tenant.id,
                purpose,
                rule: timer.rule.to_owned(),
                timing: timing.text(),
                contact: timer.contact,
                subject: timer.subject,
                payload,
            })
        };
        Some(again())
    }

    /// Returns the rules with a `.before` on an appointment.
    pub fn before_appointments(&self) -> impl Iterator<Item = &RuleInfo> {
        let is_such = |rule: &&Rule| match &rule.timing {
            Some(Timing { when: When::Before(_, path), .. }) => path[0] == "appointment",
            _ => false,
        };
        self.rules.iter().filter(is_such).map(|rule| &rule.info)
    }

    /// Returns the event kinds that these rules listen to.
    pub fn kinds_of(&self, rules: &BTreeSet<String>) -> BTreeSet<EventKind> {
        let of_these = self.rules.iter().filter(|rule| rules.contains(&rule.info.name));
        of_these.flat_map(|rule| rule.info.kinds.iter().cloned()).collect()
    }

    /// Returns the timers that these rules would have planned for a past event.
    pub fn planned_by(&self, rules: &BTreeSet<String>, event: &Event, facts: &Facts) -> Vec<NewTimer> {
        let of_these = self.rules.iter().filter(|rule| rules.contains(&rule.info.name));
        let listens = |rule: &&Rule| rule.info.kinds.contains(&event.kind) && rule.keywords.is_empty();
        let concerned = of_these.filter(listens).filter(|rule| rule.is_enabled_for(&facts.tenant));
        concerned.filter_map(|rule| rule.plan(event, facts).ok()).collect()
    }

    /// Returns the timing of each rule that follows an event, by the rule's name.
    pub fn timings(&self) -> BTreeMap<String, String> {
        let timed = self.rules.iter().filter_map(|rule| Some((rule, rule.timing.as_ref()?)));
        let of_events = timed.filter(|(_, timing)| !matches!(timing.when, When::Cron(_)));
        of_events.map(|(rule, timing)| (rule.info.name.clone(), timing.text())).collect()
    }

    /// Returns the names of the rules that run by a schedule.
    pub fn schedules(&self) -> impl Iterator<Item = &str> {
        let of_schedule =
            |rule: &&Rule| rule.timing.as_ref().is_some_and(|timing| matches!(timing.when, When::Cron(_)));
        self.rules.iter().filter(of_schedule).map(|rule| rule.info.name.as_str())
    }
}

/// Returns the event as its rule sees it: for a timer, the event that planned it.
pub(in crate::rules) fn anchor_event(event: &Event) -> Event {
    let mut seen = event.clone();
    if let Some(anchor) = Fired::of(event).and_then(|_| Anchor::in_data(&event.data)) {
        seen.kind = anchor.kind;
        seen.channel = anchor.channel;
    }
    seen
}

fn subject_of(data: &Value) -> Option<uuid::Uuid> {
    data.get("appointment")?.get("id")?.as_str()?.parse().ok()
}

/// The tenant's time zone. It was checked when it was set.
fn zone_of(tenant: &TenantFacts) -> Tz {
    tenant.zone.parse().unwrap_or(Tz::UTC)
}
