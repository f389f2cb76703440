//! Reminders before an appointment: they move and end with it, and leave when they may.

use std::time::Duration;

use recado::domain::appointment::By;
use recado::domain::{Change, Phone, Timestamp};
use recado::store::PendingTimer;
use recado::store::rows::tenant;
use recado::store::tables::appointments::{Appointment, Moved, NewAppointment, Order, Starts};

use crate::engine::timers::World;
use crate::faults::rig::customer;
use crate::support::replace_tenant;
use crate::support::wait::eventually;

const WITHIN: Duration = Duration::from_secs(20);
const REMINDER: &str = "rule(\"reminder\").before(\"2h\", \"appointment.starts_at\")
    .then(|e| send_sms(e.contact, `at ${e.appointment.starts_at}`));\n";

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("it is a time")
}

async fn book(world: &World, starts: &str) -> Appointment {
    let new = NewAppointment {
        tenant: world.tenant(),
        zone: chrono_tz::Tz::UTC,
        customer: Phone::parse(&customer(1)).expect("a number"),
        customer_name: String::new(),
        service: "cut".to_owned(),
        new_service: true,
        minutes: None,
        staff: None,
        starts: Starts::At(at(starts)),
        note: String::new(),
        uid: None,
        by: By::Staff,
    };
    let booked = world.store().book(&new).await.expect("nobody is occupied");
    world.pipeline().wake_dispatch(world.tenant());
    booked
}

async fn order(world: &World, one: &Appointment, change: Change, to: Option<&str>) {
    let to = to.map(|to| Moved { starts: Some(Starts::At(at(to))), ..Moved::default() });
    let order = Order { tenant: world.tenant(), id: one.id, change, to, version: None, by: By::Staff };
    world.store().change_appointment(&order).await.expect("it is possible");
    world.pipeline().wake_dispatch(world.tenant());
}

/// The pending timers, once these are their times and every event is decided.
async fn due_at(world: &World, expected: &[&str]) -> Vec<PendingTimer> {
    let expected: Vec<Timestamp> = expected.iter().map(|text| at(text)).collect();
    eventually(WITHIN, || async {
        // The loops check again when time passes.
        world.clock.advance(Duration::from_secs(1));
        let store = world.store();
        let open = store.backlog(100).await.expect("it can be read").events;
        let timers = store.timers(None, 100).await.expect("they can be read");
        let due: Vec<Timestamp> = timers.iter().map(|timer| timer.due).collect();
        if due == expected && open == 0 { Ok(timers) } else { Err((due, open)) }
    })
    .await
}

async fn settings(world: &World, settings: &str) {
    let store = world.store();
    let (_, rows, _) = store.directory().await.expect("it can be read");
    let demo = rows.into_iter().find(|row| row.slug == "demo").expect("it is made");
    replace_tenant(store, tenant::Model { settings: settings.to_owned(), ..demo }).await.expect("it can be changed");
    world.directory().refresh().await.expect("it can be read");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_moves_and_ends_with_its_appointment() {
    let world = World::start(REMINDER).await;
    let one = book(&world, "2026-11-25T12:00:00Z").await;
    due_at(&world, &["2026-11-25T10:00:00Z"]).await;
    order(&world, &one, Change::Confirm, None).await;
    due_at(&world, &["2026-11-25T10:00:00Z"]).await;
    order(&world, &one, Change::Move, Some("2026-11-24T12:00:00Z")).await;
    due_at(&world, &["2026-11-24T10:00:00Z"]).await;
    let other = book(&world, "2026-11-24T15:00:00Z").await;
    due_at(&world, &["2026-11-24T10:00:00Z", "2026-11-24T13:00:00Z"]).await;
    order(&world, &other, Change::Cancel, None).await;
    due_at(&world, &["2026-11-24T10:00:00Z"]).await;
    world.clock.set(at("2026-11-24T10:00:01Z"));
    assert_eq!(world.sent(1).await, ["at 2026-11-24T12:00:00Z"]);
    world.clock.set(at("2026-11-25T12:00:00Z"));
    due_at(&world, &[]).await;
    assert_eq!(world.sent(1).await.len(), 1, "nothing of what it was before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reminder_for_the_night_leaves_the_evening_before_or_in_the_morning() {
    let world = World::start(REMINDER).await;
    settings(&world, r#"{"quiet": {"all": "21:00-09:00"}}"#).await;
    // Eight in Madrid, two hours before nine at night: after it would be too late.
    let early = book(&world, "2026-11-25T07:00:00Z").await;
    due_at(&world, &["2026-11-24T19:55:00Z"]).await;
    order(&world, &early, Change::Confirm, None).await;
    // Half past ten there: half past eight becomes nine.
    book(&world, "2026-11-26T09:30:00Z").await;
    due_at(&world, &["2026-11-24T19:55:00Z", "2026-11-26T08:00:00Z"]).await;
    world.clock.set(at("2026-11-24T19:55:01Z"));
    assert_eq!(world.sent(1).await, ["at 2026-11-25T07:00:00Z"]);
    // Confirmed at night, when its reminder has left: no second one.
    world.clock.set(at("2026-11-24T22:00:00Z"));
    order(&world, &early, Change::Confirm, None).await;
    due_at(&world, &["2026-11-26T08:00:00Z"]).await;
    world.clock.set(at("2026-11-26T08:00:01Z"));
    assert_eq!(world.sent(2).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn other_quiet_hours_move_what_is_planned() {
    let world = World::start(REMINDER).await;
    book(&world, "2026-11-25T07:00:00Z").await;
    due_at(&world, &["2026-11-25T05:00:00Z"]).await;
    settings(&world, r#"{"quiet": {"all": "21:00-09:00"}}"#).await;
    due_at(&world, &["2026-11-24T19:55:00Z"]).await;
    settings(&world, "{}").await;
    due_at(&world, &["2026-11-25T05:00:00Z"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blueprint_has_reminders_for_what_was_booked_before_it_was_used() {
    let world = World::start(&REMINDER.replace(".before", ".blueprint().before")).await;
    book(&world, "2026-11-25T12:00:00Z").await;
    let gone = book(&world, "2026-11-25T13:00:00Z").await;
    order(&world, &gone, Change::Cancel, None).await;
    due_at(&world, &[]).await;
    settings(&world, r#"{"blueprints": {"reminder": {}}}"#).await;
    due_at(&world, &["2026-11-25T10:00:00Z"]).await;
    settings(&world, r#"{"blueprints": {}}"#).await;
    settings(&world, r#"{"blueprints": {"reminder": {}}}"#).await;
    let timers = due_at(&world, &["2026-11-25T10:00:00Z"]).await;
    assert_eq!(timers[0].rule, "reminder", "still once");
    world.clock.set(at("2026-11-25T10:00:01Z"));
    assert_eq!(world.sent(1).await.len(), 1);
}

/// The order of events at one instant is undefined: all but the cancellation end.
#[tokio::test(flavor = "multi_thread")]
async fn timers_decided_beside_a_cancellation_end_with_it() {
    const LATER: usize = 8;
    let rule = |name: &str, then: &str| {
        format!("rule(\"{name}\").before(\"2h\", \"appointment.starts_at\").then(|e| {then});\n")
    };
    let mut rules = rule("gives up", "cancel_appointment()");
    (0..LATER).for_each(|n| rules += &rule(&format!("later {n}"), "send_sms(e.contact, \"later\").in(\"10m\")"));
    let world = World::start(&rules).await;
    book(&world, "2026-11-25T12:00:00Z").await;
    due_at(&world, &["2026-11-25T10:00:00Z"; LATER + 1]).await;
    world.clock.set(at("2026-11-25T10:00:00Z"));
    world.decided("timer", LATER + 1).await;
    world.decided("appointment_cancelled", 1).await;
    let planned = world.store().planned_sends(world.tenant(), at("2026-11-26T00:00:00Z")).await;
    let planned: Vec<String> = planned.expect("they can be read").into_iter().map(|send| send.rule).collect();
    assert_eq!(planned, [] as [String; 0]);
}
