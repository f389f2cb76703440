//! Rules that do not run at once: `.after`, `.before`, `.cron` with `.for_each`, and what becomes of what was missed.
//!
//! The event that such a rule listens to plans a timer; when that is due, an event of kind `timer` brings the rule to its
//! `when` and `then`, on the facts of that moment. Planning and judging are pure, as deciding is.

use std::any::TypeId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono_tz::Tz;
use rhai::{Dynamic, Engine, NativeCallContext};
use serde_json::{Value, json};

use super::builder::{Closure, Draft, RuleBuilder, closure_of};
use super::error::Place;
use crate::domain::contact::TenantFacts;
use crate::domain::timer::{Anchor, Fired};
use crate::domain::{ContactId, Event, EventKind, Facts, NewTimer, Purpose, TimerId, Timestamp};
use crate::rules::eval::trace::RuleResult;
use crate::rules::script::values::text_of;
use crate::rules::{Rule, RuleSet};
use crate::time::{Cron, Span};

/// What is found so long after its due time counts as missed: a server that was started anew misses nothing.
pub const MISSED_AFTER: Duration = Duration::from_secs(5 * 60);
/// What comes before something is still worth its while for this part of its span after its due time: a reminder of 24
/// hours for 12, one of 2 hours for one. Never once that moment has come.
pub const BEFORE_LATE_PART: u32 = 2;
/// What `.before` listens to where it is about an appointment and no `.on` says otherwise.
/// A confirmed one keeps its timers.
const OF_APPOINTMENTS: [&str; 2] = ["appointment_booked", "appointment_moved"];
/// The most names in a path such as `appointment.starts_at`.
const PATH_NAMES: usize = 8;

/// When a rule runs that does not run at once.
#[derive(Clone, Debug)]
pub struct Timing {
    pub when: When,
    pub missed: Missed,
}

#[derive(Clone, Debug)]
pub enum When {
    /// So long after the event occurred.
    After(Span),
    /// So long before the moment that the event's data has at this path.
    Before(Span, Vec<String>),
    /// By the tenant's wall clock.
    Cron(Box<Cron>),
}

/// What becomes of what fell due while nobody was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// Of a schedule's times one is made up for, the others are not. For what hangs on an event: as [`Missed::All`].
    RunOnce,
    /// None is made up for.
    Skip,
    All,
}

/// A timer that is pending, as its row has it.
pub struct StoredTimer<'a> {
    pub id: TimerId,
    pub rule: &'a str,
    pub timing: &'a str,
    pub contact: Option<ContactId>,
    pub subject: Option<uuid::Uuid>,
    /// JSON.
    pub payload: &'a str,
}

/// What a rule's statement has said of time so far.
#[derive(Clone, Default)]
pub(in crate::rules) struct Spoken {
    when: Option<When>,
    missed: Option<Missed>,
    pub each: Option<Each>,
    place: Place,
}

/// `.for_each("contacts", |c| …)`
#[derive(Clone)]
pub(in crate::rules) struct Each {
    pub filter: Option<Closure>,
}

pub(in crate::rules) fn register(engine: &mut Engine) {
    engine.register_fn("after", |context: NativeCallContext<'_>, rule: &mut RuleBuilder, span: Dynamic| {
        timed(&context, rule, || Ok(When::After(span_of("after", &span)?)))
    });
    engine.register_fn(
        "before",
        |context: NativeCallContext<'_>, rule: &mut RuleBuilder, span: Dynamic, path: Dynamic| {
            timed(&context, rule, || Ok(When::Before(span_of("before", &span)?, path_of(&path)?)))
        },
    );
    engine.register_fn("cron", |context: NativeCallContext<'_>, rule: &mut RuleBuilder, schedule: Dynamic| {
        timed(&context, rule, || {
            let text = text_of(&schedule).ok_or("cron takes a text such as \"0 9 * * MON-FRI\"")?;
            Ok(When::Cron(Box::new(text.parse().map_err(|bad| format!("cron: {bad}"))?)))
        })
    });
    engine.register_fn("missed", |context: NativeCallContext<'_>, rule: &mut RuleBuilder, word: Dynamic| {
        let missed = match text_of(&word).as_deref() {
            Some("run_once") => Missed::RunOnce,
            Some("skip") => Missed::Skip,
            Some("all") => Missed::All,
            _ => return rule.fault(&context, "missed takes \"run_once\", \"skip\" or \"all\"", ""),
        };
        rule.edit(|draft| draft.timing.missed = Some(missed))
    });
    for closures in 0..=1 {
        let mut types = vec![TypeId::of::<Dynamic>(); 2 + closures];
        types[0] = TypeId::of::<RuleBuilder>();
        engine.register_raw_fn("for_each", &types, |context, args| {
            let filter = args.get(2).map(|filter| (**filter).clone());
            let over = args.get(1).and_then(|over| text_of(over));
            let rule = args.first().and_then(|rule| rule.read_lock::<RuleBuilder>().map(|rule| rule.clone()));
            let rule = rule.ok_or_else(|| {
                crate::rules::script::context::error("for_each belongs to a rule", context.call_position())
            })?;
            Ok(for_each(&context, &rule, over.as_deref(), filter.as_ref()))
        });
    }
}

fn timed(
    context: &NativeCallContext<'_>,
    rule: &RuleBuilder,
    when: impl FnOnce() -> Result<When, String>,
) -> RuleBuilder {
    match when() {
        Ok(when) => {
            let mut twice = false;
            let place = context.call_position().into();
            rule.edit(|draft| {
                twice = draft.timing.when.replace(when).is_some();
                draft.timing.place = place;
            });
            if twice {
                rule.fault(context, "a rule has one of after, before and cron, once", "make two rules of it")
            } else {
                rule.clone()
            }
        }
        Err(message) => rule.fault(context, message, ""),
    }
}

fn for_each(
    context: &NativeCallContext<'_>,
    rule: &RuleBuilder,
    over: Option<&str>,
    filter: Option<&Dynamic>,
) -> RuleBuilder {
    const HINT: &str = "write .for_each(\"contacts\", |c| c.tag(\"member\"))";
    if over != Some("contacts") {
        return rule.fault(context, "for_each goes over \"contacts\"", HINT);
    }
    let filter = match filter.map(|filter| closure_of(filter, context)) {
        Some(None) => return rule.fault(context, "for_each takes a closure", HINT),
        Some(filter) => filter,
        None => None,
    };
    rule.edit(|draft| draft.timing.each = Some(Each { filter }))
}

fn span_of(function: &str, span: &Dynamic) -> Result<Span, String> {
    let text = text_of(span).ok_or_else(|| format!("{function} takes a text such as \"2h\""))?;
    text.parse().map_err(|bad| format!("{function}: {bad}"))
}

/// `appointment.starts_at` and `data.appointment.starts_at` are the same: both say where in the event's data.
fn path_of(path: &Dynamic) -> Result<Vec<String>, String> {
    let bad = || "before takes a span and where its moment stands, such as \"appointment.starts_at\"".to_owned();
    let text = text_of(path).ok_or_else(bad)?;
    let text = text.strip_prefix("data.").unwrap_or(&text);
    let names: Vec<String> = text.split('.').map(str::to_owned).collect();
    let good = |name: &String| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if names.len() <= PATH_NAMES && names.iter().all(good) { Ok(names) } else { Err(bad()) }
}

/// What a rule says of time, checked; where it is wrong, where and how, and a hint.
pub(in crate::rules) fn settled(draft: &mut Draft) -> Result<Option<Timing>, (Place, String, &'static str)> {
    let Spoken { when, missed, each, place } = draft.timing.clone();
    let listens = !draft.kinds.is_empty();
    let Some(when) = when else {
        let word = if each.is_some() { "for_each" } else { "missed" };
        return if each.is_some() || missed.is_some() {
            Err((
                draft.place,
                format!("{word} belongs to a rule that runs at a certain time"),
                "add .cron(\"0 9 * * *\")",
            ))
        } else {
            Ok(None)
        };
    };
    if each.is_some() && !matches!(when, When::Cron(_)) {
        return Err((place, "for_each belongs to a schedule".to_owned(), "use .cron(…) with it"));
    }
    match &when {
        When::Cron(_) if listens || !draft.keywords.is_empty() => {
            return Err((place, "a schedule listens to nothing".to_owned(), "take .on and .keyword away, or .cron"));
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

impl Timing {
    /// What of it decides when its timers are due: where this changes, those that are pending are planned anew.
    pub fn text(&self) -> String {
        match &self.when {
            When::After(span) => format!("after {span}"),
            When::Before(span, path) => format!("before {span} {}", path.join(".")),
            When::Cron(cron) => format!("cron {cron}"),
        }
    }

    /// When the timer of an event is due, and the moment that it comes before; or the result where there is to be none.
    fn due(&self, event: &Anchored<'_>, zone: Tz) -> Result<(Timestamp, Option<Timestamp>), RuleResult> {
        match &self.when {
            When::After(span) => Ok((span.after(event.anchor.at, zone), None)),
            When::Before(span, path) => {
                let found = path.iter().try_fold(event.data, |data, name| data.get(name));
                let until = found.and_then(Value::as_str).and_then(|text| Timestamp::parse(text).ok());
                let until = until.ok_or_else(|| RuleResult::NoMoment { path: path.join(".") })?;
                // An appointment's days are those of its own place.
                let own = event.data.get(&path[0]).and_then(|about| about.get("zone")).and_then(Value::as_str);
                let zone = own.and_then(|zone| zone.parse().ok()).unwrap_or(zone);
                Ok((span.before(until, zone), Some(until)))
            }
            When::Cron(_) => Err(RuleResult::OtherKind { kinds: Vec::new() }),
        }
    }

    /// Why a timer that has fired leads to nothing, before any script is asked.
    fn when_due(&self, fired: &Fired, event: &Event, facts: &Facts) -> Option<RuleResult> {
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
        if path[0] == "appointment" { voided(until, facts).map(|why| RuleResult::Void { why }) } else { None }
    }
}

/// Why an appointment is no longer what the timer was planned for.
fn voided(starts_at: Timestamp, facts: &Facts) -> Option<String> {
    let appointment = facts.appointment.as_ref()?;
    if appointment.starts_at != starts_at {
        return Some(format!("the appointment has been moved to {}", appointment.starts_at));
    }
    let stands = ["booked", "confirmed"].contains(&appointment.state.as_str());
    (!stands).then(|| format!("the appointment is {}", appointment.state))
}

/// An event as the timer's anchor: at its first planning, or read again from a timer's payload.
struct Anchored<'a> {
    anchor: Anchor,
    data: &'a Value,
}

impl Rule {
    /// The timer that this event plans, or why it plans none.
    pub(in crate::rules) fn plan(&self, event: &Event, facts: &Facts) -> Result<NewTimer, RuleResult> {
        let timing = self.timing.as_ref().ok_or(RuleResult::OtherKind { kinds: Vec::new() })?;
        let zone = zone_of(&facts.tenant);
        let anchored = Anchored { anchor: Anchor::of(event), data: &event.data };
        let (due, until) = timing.due(&anchored, zone)?;
        if until.is_some() && due <= facts.as_of {
            return Err(RuleResult::TooLate { due });
        }
        let about = matches!(&timing.when, When::Before(_, path) if path[0] == "appointment");
        if about && let Some(why) = until.and_then(|until| voided(until, facts)) {
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

    /// Why this rule is not run for a timer that has fired; `None` where it is to be.
    pub(in crate::rules) fn when_due(&self, fired: &Fired, event: &Event, facts: &Facts) -> Option<RuleResult> {
        if self.info.blueprint && !facts.tenant.blueprints.contains_key(&self.info.name) {
            return Some(RuleResult::NotEnabled);
        }
        self.timing.as_ref().and_then(|timing| timing.when_due(fired, event, facts))
    }
}

impl RuleSet {
    /// The timer of a schedule's first time after `after`; `None` where the rule has none, or the tenant does not use it.
    pub fn next_of_schedule(&self, rule: &str, tenant: &TenantFacts, after: Timestamp) -> Option<NewTimer> {
        let rule = self.rule(rule)?;
        let Some(Timing { when: When::Cron(cron), .. }) = &rule.timing else { return None };
        if rule.info.blueprint && !tenant.blueprints.contains_key(&rule.info.name) {
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

    /// From when on the next time of a schedule counts that has fired now: of times missed, one is made up for, or all.
    pub fn schedule_goes_on(&self, rule: &str, due: Timestamp, now: Timestamp) -> Timestamp {
        let timing = self.rule(rule).and_then(|rule| rule.timing.as_ref());
        if timing.is_some_and(|timing| timing.missed == Missed::All) { due } else { due.max(now) }
    }

    /// The timer that takes the place of one of a schedule's that fires at `now`.
    pub fn follows(&self, rule: &str, due: Timestamp, tenant: &TenantFacts, now: Timestamp) -> Option<NewTimer> {
        self.next_of_schedule(rule, tenant, self.schedule_goes_on(rule, due, now))
    }

    /// What becomes of a pending timer under these rules: `None` where it stays, else its successor, if it has one. Nothing
    /// is planned for a time that has passed.
    pub fn replanned(
        &self,
        timer: &StoredTimer<'_>,
        tenant: &TenantFacts,
        now: Timestamp,
        anyway: bool,
    ) -> Option<Option<NewTimer>> {
        let Some(rule) = self.rule(timer.rule) else {
            // A rule that could not be loaded may come back: its timers wait for it, while they can.
            return self.whole.then_some(None);
        };
        let Some(timing) = &rule.timing else { return Some(None) };
        if timing.text() == timer.timing && !anyway {
            return None;
        }
        let again = || {
            let data: Value = serde_json::from_str(timer.payload).ok()?;
            let anchored = Anchored { anchor: Anchor::in_data(&data)?, data: &data };
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

    /// Rules that come before an appointment's moment, by name.
    pub fn before_appointments(&self) -> impl Iterator<Item = &crate::rules::RuleInfo> {
        let is_such = |rule: &&Rule| match &rule.timing {
            Some(Timing { when: When::Before(_, path), .. }) => path[0] == "appointment",
            _ => false,
        };
        self.rules.iter().filter(is_such).map(|rule| &rule.info)
    }

    /// The kinds of events that these rules listen to.
    pub fn kinds_of(&self, rules: &BTreeSet<String>) -> BTreeSet<EventKind> {
        let of_these = self.rules.iter().filter(|rule| rules.contains(&rule.info.name));
        of_these.flat_map(|rule| rule.info.kinds.iter().cloned()).collect()
    }

    /// The timers that these rules would have planned for an event of the past.
    pub fn planned_by(&self, rules: &BTreeSet<String>, event: &Event, facts: &Facts) -> Vec<NewTimer> {
        let of_these = self.rules.iter().filter(|rule| rules.contains(&rule.info.name));
        let sleeps = |rule: &&Rule| rule.info.blueprint && !facts.tenant.blueprints.contains_key(&rule.info.name);
        let concerned =
            of_these.filter(|rule| rule.info.kinds.contains(&event.kind) && rule.keywords.is_empty() && !sleeps(rule));
        concerned.filter_map(|rule| rule.plan(event, facts).ok()).collect()
    }

    /// What the rules that hang on events say of time: each such rule's name and timing.
    pub fn timings(&self) -> BTreeMap<String, String> {
        let timed = self.rules.iter().filter_map(|rule| Some((rule, rule.timing.as_ref()?)));
        let of_events = timed.filter(|(_, timing)| !matches!(timing.when, When::Cron(_)));
        of_events.map(|(rule, timing)| (rule.info.name.clone(), timing.text())).collect()
    }

    /// The rules that run by a schedule.
    pub fn schedules(&self) -> impl Iterator<Item = &str> {
        let of_schedule =
            |rule: &&Rule| rule.timing.as_ref().is_some_and(|timing| matches!(timing.when, When::Cron(_)));
        self.rules.iter().filter(of_schedule).map(|rule| rule.info.name.as_str())
    }

    /// Whether a rule of this name is there, or surely is not; a folder with errors may have it tomorrow.
    pub fn knows_of(&self, rule: &str) -> bool {
        self.whole || self.rule(rule).is_some()
    }

    pub(in crate::rules) fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.info.name == name)
    }
}

/// An event as its rule is to see it: for a timer, the one that it hangs on.
pub(in crate::rules) fn as_seen(event: &Event) -> Event {
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

/// The zone was checked when it was set.
fn zone_of(tenant: &TenantFacts) -> Tz {
    tenant.zone.parse().unwrap_or(Tz::UTC)
}
