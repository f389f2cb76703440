//! Appointments: bookings, changes, and no double booking.

use chrono::NaiveDateTime;
use chrono_tz::Tz;
use futures_util::future::join_all;
use recado::config::Synchronous;
use recado::domain::clock::Random;
use recado::domain::{
    ActionState, AppointmentState, By, Change, Clock, Effect, Ids, NewTimer, Phone, Purpose, TimerId, Timestamp,
};
use recado::engine::availability::{Availability, SlotSearch};
use recado::features::appointments::sheet;
use recado::features::appointments::sheet::Context;
use recado::store::tables::appointments::{
    BookingError, Filter, Imported, Moved, NewAppointment, NewStaff, Order, Row, Starts,
};
use recado::store::{Options, Store};
use recado::time::WeeklyHours;
use sea_orm::ConnectionTrait;
use serde_json::json;

use super::{ANA, Bench, LUIS, START, on_both};

const MADRID: Tz = Tz::Europe__Madrid;

fn local(text: &str) -> Starts {
    Starts::Local(NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").expect("a local time"))
}

impl Bench {
    fn appointment(&self, customer: &str, starts: Starts) -> NewAppointment {
        NewAppointment {
            tenant: self.tenant,
            zone: MADRID,
            customer: Phone::parse(customer).expect("a number"),
            customer_name: String::new(),
            service: "Cut".to_owned(),
            new_service: true,
            minutes: None,
            staff: None,
            starts,
            note: String::new(),
            uid: None,
            by: By::Staff,
        }
    }

    pub(super) fn with(&self, staff: &str, customer: &str, starts: &str) -> NewAppointment {
        NewAppointment { staff: Some(staff.to_owned()), ..self.appointment(customer, local(starts)) }
    }

    pub(super) fn order(&self, id: recado::domain::AppointmentId, change: Change) -> Order {
        Order { tenant: self.tenant, id, change, to: None, version: None, by: By::Staff }
    }

    pub(super) async fn hire(&self, name: &str) {
        let new = NewStaff { name: name.to_owned(), ..NewStaff::default() };
        self.store.set_staff(self.tenant, &new).await.expect("they can be added");
    }

    async fn appointment_events(&self) -> Vec<serde_json::Value> {
        let mut events = self.store.events(self.tenant, 1_000).await.unwrap();
        events.reverse();
        let data = |data: &str| serde_json::from_str::<serde_json::Value>(data).unwrap();
        events.iter().filter(|event| event.kind.starts_with("appointment_")).map(|event| data(&event.data)).collect()
    }
}

fn code<T: std::fmt::Debug>(result: Result<T, BookingError>) -> &'static str {
    result.expect_err("it is refused").code()
}

#[tokio::test]
async fn a_booking_makes_its_service_its_customer_and_an_event() {
    on_both(|bench| async move {
        let at = Timestamp::parse("2027-06-01T08:00:00Z").unwrap();
        let booked = bench.store.book(&bench.appointment(ANA, Starts::At(at))).await.unwrap();
        assert_eq!(booked.starts_at, at);
        assert_eq!(booked.starts_local.to_string(), "2027-06-01 10:00:00");
        assert_eq!((booked.lasts().as_secs(), booked.state), (1_800, AppointmentState::Booked));
        assert_eq!(booked.customer.as_deref(), Some(ANA));
        assert_eq!(bench.event_kinds().await, ["appointment_booked"]);
        let data = &bench.appointment_events().await[0];
        assert_eq!(data["by"], "staff");
        assert_eq!(data["appointment"], serde_json::to_value(booked.facts()).unwrap());
        let again = bench.appointment(ANA, local("2027-06-01 10:00"));
        let again = bench.store.book(&NewAppointment { service: "CÚT ".to_owned(), ..again }).await.unwrap();
        assert_eq!((again.service.as_str(), again.contact), ("Cut", booked.contact), "the same service and customer");
        assert_eq!(bench.store.services(bench.tenant).await.unwrap().len(), 1);
        let other = bench.other().await;
        assert_eq!(other.store.appointment(other.tenant, booked.id).await.unwrap(), None, "it is another business's");
        assert_eq!(code(other.store.change_appointment(&other.order(booked.id, Change::Cancel)).await), "not_found");
    })
    .await;
}

#[tokio::test]
async fn changes_make_events_and_end_the_plans_of_the_appointment() {
    on_both(|bench| async move {
        bench.hire("Marta").await;
        let booked = bench.store.book(&bench.with("marta", ANA, "2027-06-01 10:00")).await.unwrap();
        let (confirmed, changed) =
            bench.store.change_appointment(&bench.order(booked.id, Change::Confirm)).await.unwrap();
        assert_eq!((confirmed.state, confirmed.version, changed), (AppointmentState::Confirmed, 2, true));
        let (_, changed) = bench.store.change_appointment(&bench.order(booked.id, Change::Confirm)).await.unwrap();
        assert!(!changed, "it was confirmed already");

        let to = Moved { starts: Some(local("2027-06-02 11:00")), ..Moved::default() };
        let order = Order { to: Some(to), ..bench.order(booked.id, Change::Move) };
        let stale = Order { version: Some(1), ..order.clone() };
        assert_eq!(code(bench.store.change_appointment(&stale).await), "changed_meanwhile");
        plan_around(&bench, booked.id.uuid()).await;
        let (moved, _) = bench.store.change_appointment(&order).await.unwrap();
        assert_eq!((moved.state, moved.version), (AppointmentState::Booked, 3));
        assert_eq!(moved.starts_at.to_string(), "2027-06-02T09:00:00Z");
        let (_, changed) = bench.store.change_appointment(&order).await.unwrap();
        assert!(!changed, "it is there already");
        assert_eq!(left_around(&bench).await, ["blocked"], "a reminder of the old time must not leave");

        // The old time is free, the new one is taken.
        bench.store.book(&bench.with("Marta", LUIS, "2027-06-01 10:00")).await.unwrap();
        assert_eq!(code(bench.store.book(&bench.with("Marta", LUIS, "2027-06-02 11:25")).await), "slot_taken");
        bench.store.change_appointment(&bench.order(booked.id, Change::Cancel)).await.unwrap();
        bench.store.book(&bench.with("Marta", LUIS, "2027-06-02 11:25")).await.unwrap();
        assert_eq!(
            code(bench.store.change_appointment(&bench.order(booked.id, Change::Confirm)).await),
            "not_possible"
        );
        assert_eq!(
            bench.event_kinds().await.into_iter().filter(|kind| kind.starts_with("app")).collect::<Vec<_>>(),
            [
                "appointment_booked",
                "appointment_confirmed",
                "appointment_moved",
                "appointment_booked",
                "appointment_cancelled",
                "appointment_booked"
            ]
        );
        assert_eq!(bench.appointment_events().await[2]["previous_starts_at"], booked.starts_at.to_string());
    })
    .await;
}

/// Plans a send and a timer of `subject`.
async fn plan_around(bench: &Bench, subject: uuid::Uuid) {
    let (event, contact) = bench.received("SM1", ANA, "hola").await;
    let send = bench.send(event, contact, 0, ANA, "see you");
    let send = recado::store::NewAction { subject: Some(subject), due: Some(bench.now()), ..send };
    let mut decided = bench.decided(event, contact, vec![send]);
    decided.timers.push(NewTimer {
        id: TimerId::of(bench.tenant, "reminder", subject),
        due: bench.now(),
        tenant: bench.tenant,
        purpose: Purpose::Before,
        rule: "reminder".to_owned(),
        timing: String::new(),
        contact: Some(contact),
        subject: Some(subject),
        payload: json!({}),
    });
    bench.store.writer().decided(vec![decided]).await.unwrap();
}

async fn left_around(bench: &Bench) -> Vec<String> {
    let events = bench.store.events(bench.tenant, 1_000).await.unwrap();
    let event = events.iter().find(|event| event.kind == "inbound_sms").expect("the message is there");
    let actions = bench.store.actions_of(bench.tenant, recado::domain::EventId::new(event.id)).await.unwrap();
    actions.into_iter().map(|action| action.state).collect()
}

#[tokio::test]
async fn a_thousand_bookings_of_a_hundred_slots_book_a_hundred() {
    on_both_in_parallel(|stores| async move {
        let bench = &stores[0];
        bench.hire("Marta").await;
        bench.hire("Jon").await;
        let attempts = (0..1_000u32).map(|n| {
            let (slot, staff) = (n % 50, if n % 100 < 50 { "Marta" } else { "Jon" });
            let start = Timestamp::from_unix_us(START.unix_us() + i64::from(slot) * 1_800_000_000);
            let new = NewAppointment {
                staff: Some(staff.to_owned()),
                ..bench.appointment(&format!("+3460{:07}", n), Starts::At(start))
            };
            let store = stores[n as usize % stores.len()].store.clone();
            tokio::spawn(async move {
                loop {
                    // A time-out of a lock or a connection is no answer.
                    match store.book(&new).await {
                        Err(BookingError::Store(error)) if error.is_outage() => {}
                        answer => return answer,
                    }
                }
            })
        });
        let mut booked = 0;
        for attempt in join_all(attempts).await {
            match attempt.expect("it does not panic") {
                Ok(_) => booked += 1,
                Err(refused) => assert_eq!(refused.code(), "slot_taken", "{refused}"),
            }
        }
        assert_eq!(booked, 100);
        let filter = Filter { limit: 1_000, ..Filter::default() };
        let stand = bench.store.appointments(bench.tenant, &filter).await.unwrap();
        assert_eq!(stand.len(), 100, "as many stand in the database");
        let mut slots: Vec<_> = stand.iter().map(|one| (one.staff.clone(), one.starts_at)).collect();
        slots.sort();
        slots.dedup();
        assert_eq!(slots.len(), 100, "each once");
    })
    .await;
}

/// Runs a check as [`on_both`] does, with several stores on the same database, like several processes.
async fn on_both_in_parallel<F: Future<Output = ()>>(check: impl Fn(Vec<Bench>) -> F) {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let database = crate::support::postgres::Database::fresh().await;
    let sqlite = format!("sqlite://{}", folder.path().join("t.db").display());
    for url in [sqlite, database.url()] {
        let mut stores = vec![Bench::open(&url).await];
        for seed in 2..6 {
            let clock = Clock::simulated(START);
            let ids = std::sync::Arc::new(Ids::new(clock.clone(), Random::seeded(seed)));
            let options = Options { url: url.clone().into(), synchronous: Synchronous::Normal };
            let store = Store::open(&options, clock, ids).await.expect("it can be opened again");
            stores.push(Bench { store, tenant: stores[0].tenant });
        }
        check(stores).await;
    }
}

/// Removes the key and books twice. Nothing else stops the second booking, so the test above tests the key.
#[tokio::test]
async fn without_the_databases_key_a_slot_is_booked_twice() {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let url = format!("sqlite://{}", folder.path().join("t.db").display());
    let bench = Bench::open(&url).await;
    bench.hire("Marta").await;
    let book = async || bench.store.book(&bench.with("Marta", ANA, "2027-06-01 10:00")).await;
    book().await.unwrap();
    assert_eq!(code(book().await), "slot_taken");
    let db = sea_orm::Database::connect(&url).await.unwrap();
    db.execute_unprepared("DROP TABLE occupied").await.unwrap();
    let columns = "tenant_id blob, staff_id blob, granule bigint, appointment_id blob";
    db.execute_unprepared(&format!("CREATE TABLE occupied ({columns})")).await.unwrap();
    book().await.unwrap();
    book().await.unwrap();
}

#[tokio::test]
async fn odd_lengths_are_rounded_outwards() {
    on_both(|bench| async move {
        bench.hire("Marta").await;
        let odd = NewAppointment { minutes: Some(38), ..bench.with("Marta", ANA, "2027-06-01 10:03") };
        bench.store.book(&odd).await.unwrap();
        let short = |at: &str| NewAppointment { minutes: Some(1), ..bench.with("Marta", LUIS, at) };
        assert_eq!(code(bench.store.book(&short("2027-06-01 10:00")).await), "slot_taken");
        assert_eq!(code(bench.store.book(&short("2027-06-01 10:44")).await), "slot_taken");
        bench.store.book(&short("2027-06-01 09:59")).await.unwrap();
        bench.store.book(&short("2027-06-01 10:45")).await.unwrap();
        // An appointment without staff occupies nobody.
        bench.store.book(&bench.appointment(LUIS, local("2027-06-01 10:03"))).await.unwrap();
        bench.store.book(&bench.appointment(ANA, local("2027-06-01 10:03"))).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn where_the_clock_changes_the_local_time_decides() {
    on_both(|bench| async move {
        let book = async |starts: Starts| bench.store.book(&bench.appointment(ANA, starts)).await;
        // Madrid in 2027: the clock goes from 02:00 to 03:00 on 28 March, and from 03:00 to 02:00 on 31 October.
        let gap = book(local("2027-03-28 02:30")).await.unwrap();
        assert_eq!(gap.starts_at.to_string(), "2027-03-28T01:00:00Z", "the first instant after the gap");
        assert_eq!(gap.starts_local.to_string(), "2027-03-28 02:30:00", "what was agreed stays");
        let overlap = book(local("2027-10-31 02:30")).await.unwrap();
        assert_eq!(overlap.starts_at.to_string(), "2027-10-31T00:30:00Z", "the first of the two");
        assert_eq!(overlap.ends_at.to_string(), "2027-10-31T01:00:00Z");
        let second = Starts::At(Timestamp::parse("2027-10-31T02:30:00+01:00").unwrap());
        assert_eq!(code(book(second).await), "ambiguous_time");
        // After a move by a day the appointment has the same time on the wall.
        let to = Moved { starts: Some(local("2027-11-01 02:30")), ..Moved::default() };
        let order = Order { to: Some(to), ..bench.order(overlap.id, Change::Move) };
        let (moved, _) = bench.store.change_appointment(&order).await.unwrap();
        assert_eq!(moved.starts_at.to_string(), "2027-11-01T01:30:00Z");
        assert_eq!(moved.lasts(), overlap.lasts());
    })
    .await;
}

#[tokio::test]
async fn a_wrong_booking_is_refused_and_leaves_nothing() {
    on_both(|bench| async move {
        bench.hire("Marta").await;
        let new = bench.with("Marta", ANA, "2027-06-01 10:00");
        let cases = [
            ("unknown_staff", NewAppointment { staff: Some("Nobody".to_owned()), ..new.clone() }),
            ("bad_name", NewAppointment { service: " \n".to_owned(), ..new.clone() }),
            ("bad_minutes", NewAppointment { minutes: Some(0), ..new.clone() }),
            ("bad_minutes", NewAppointment { minutes: Some(1_441), ..new.clone() }),
            ("note_too_long", NewAppointment { note: "x".repeat(2_001), ..new.clone() }),
            ("unknown_service", NewAppointment { new_service: false, ..new.clone() }),
            ("bad_time", NewAppointment { starts: local("9999-01-01 10:00"), ..new.clone() }),
        ];
        for (expected, case) in cases {
            assert_eq!(code(bench.store.book(&case).await), expected);
        }
        assert!(bench.event_kinds().await.is_empty());
        assert!(bench.store.services(bench.tenant).await.unwrap().is_empty(), "rolled back with the rest");
        let does =
            NewStaff { name: "marta".to_owned(), services: Some(vec!["Colour".to_owned()]), ..NewStaff::default() };
        bench.store.set_staff(bench.tenant, &does).await.unwrap();
        assert_eq!(code(bench.store.book(&new).await), "staff_does_not_do");
        let uid = NewAppointment { uid: Some("x-1".to_owned()), staff: None, ..new.clone() };
        bench.store.book(&uid).await.unwrap();
        assert_eq!(code(bench.store.book(&uid).await), "uid_taken");
        bench.store.set_service(bench.tenant, "cut", None, Some(false)).await.unwrap();
        assert_eq!(code(bench.store.book(&bench.appointment(ANA, local("2027-06-01 10:00"))).await), "service_is_off");
    })
    .await;
}

#[tokio::test]
async fn a_rules_change_is_made_once_with_its_decision() {
    on_both(|bench| async move {
        let booked = bench.store.book(&bench.appointment(ANA, local("2027-06-01 10:00"))).await.unwrap();
        let (event, contact) = bench.received("SM1", ANA, "C").await;
        let confirm = Effect::ConfirmAppointment { appointment: booked.id };
        let decided = || bench.decided(event, contact, vec![bench.effect(event, contact, 0, confirm.clone())]);
        let receipt = bench.store.writer().decided(vec![decided()]).await.unwrap();
        assert_eq!(receipt.emitted, 1);
        bench.store.writer().decided(vec![decided()]).await.unwrap();
        let stands = bench.store.appointment(bench.tenant, booked.id).await.unwrap().unwrap();
        assert_eq!((stands.state, stands.version), (AppointmentState::Confirmed, 2));
        let events = bench.appointment_events().await;
        assert_eq!(events.len(), 2);
        assert_eq!(events[1]["by"], "customer");
        let action = bench.store.actions_of(bench.tenant, event).await.unwrap();
        assert_eq!(action[0].state, ActionState::Done.as_str());

        // A change that is not possible changes nothing. The rest of the decision holds.
        bench.store.change_appointment(&bench.order(booked.id, Change::Complete)).await.unwrap();
        let (event, contact) = bench.received("SM2", ANA, "X").await;
        let cancel = Effect::CancelAppointment { appointment: booked.id };
        let tag = Effect::Tag { tag: "late".to_owned() };
        let actions = vec![bench.effect(event, contact, 0, cancel), bench.effect(event, contact, 1, tag)];
        bench.decide(event, contact, actions).await;
        let (facts, _) = bench.store.contact_facts(bench.tenant, &[contact], None).await.unwrap();
        assert!(facts[&contact].tags.contains("late"));
        let stands = bench.store.appointment(bench.tenant, booked.id).await.unwrap().unwrap();
        assert_eq!(stands.state, AppointmentState::Completed);
    })
    .await;
}

#[tokio::test]
async fn facts_are_those_of_now_or_of_then() {
    on_both(|bench| async move {
        let booked = bench.store.book(&bench.appointment(ANA, local("2027-06-01 10:00"))).await.unwrap();
        let contact = booked.contact.unwrap();
        bench.pass(60);
        let then = bench.now();
        bench.pass(60);
        bench.store.change_appointment(&bench.order(booked.id, Change::Confirm)).await.unwrap();
        let state = async |as_of| {
            let facts = bench.store.appointment_facts(bench.tenant, &[booked.id], as_of).await.unwrap();
            facts.get(&booked.id).map(|facts| facts.state.clone())
        };
        assert_eq!(state(None).await.as_deref(), Some("confirmed"));
        assert_eq!(state(Some(then)).await.as_deref(), Some("booked"));
        assert_eq!(state(Some(START)).await, None, "it was not there yet");
        let sooner = bench.store.book(&bench.appointment(ANA, local("2027-05-01 10:00"))).await.unwrap();
        let next = async || {
            let next = bench.store.next_appointments(bench.tenant, &[contact], bench.now()).await.unwrap();
            next.get(&contact).map(|facts| facts.id)
        };
        assert_eq!(next().await, Some(sooner.id));
        bench.store.change_appointment(&bench.order(sooner.id, Change::NoShow)).await.unwrap();
        assert_eq!(next().await, Some(booked.id));
    })
    .await;
}

#[tokio::test]
async fn customers_book_within_hours_with_free_staff() {
    on_both(|bench| async move {
        bench.hire("Marta").await;
        bench.hire("Jon").await;
        bench.store.set_service(bench.tenant, "Cut", Some(60), None).await.unwrap();
        let hours: WeeklyHours = "daily 09:00-11:00".parse().unwrap();
        let desk = Availability { store: &bench.store, tenant: bench.tenant, zone: MADRID, hours: Some(hours) };
        // 15 January 2027 is a Friday. The clock shows 09:00 in Madrid.
        assert_eq!(bench.now().to_string(), "2027-01-15T08:00:00Z");
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let wanted = SlotSearch {
            service: "cut".to_owned(),
            staff: None,
            from: at("2027-01-16T00:00:00Z"),
            to: at("2027-01-17T00:00:00Z"),
            limit: 100,
        };
        let free = async || {
            let slots = desk.free_slots(&wanted).await.unwrap();
            slots.into_iter().map(|slot| slot.starts_local.format("%H:%M").to_string()).collect::<Vec<_>>()
        };
        let twice =
            |times: &[&str]| times.iter().flat_map(|time| [(*time).to_owned(), (*time).to_owned()]).collect::<Vec<_>>();
        assert_eq!(free().await, twice(&["09:00", "09:15", "09:30", "09:45", "10:00"]));
        let asks = |starts: &str| NewAppointment { by: By::Customer, ..bench.appointment(ANA, local(starts)) };
        let first = desk.book(&asks("2027-01-16 09:00")).await.unwrap();
        let second = desk.book(&asks("2027-01-16 09:00")).await.unwrap();
        assert_ne!(first.staff, second.staff, "whoever is free");
        assert_eq!(code(desk.book(&asks("2027-01-16 09:00")).await), "slot_taken");
        assert_eq!(free().await, twice(&["10:00"]));
        assert_eq!(code(desk.book(&asks("2027-01-16 10:30")).await), "closed");
        assert_eq!(code(desk.book(&asks("2027-01-15 08:59")).await), "in_the_past");
        assert_eq!(code(desk.book(&asks("2028-01-16 09:00")).await), "too_far_ahead");
        let other = NewAppointment { service: "Massage".to_owned(), ..asks("2027-01-16 10:00") };
        assert_eq!(code(desk.book(&other).await), "unknown_service");
        let unsaid = Availability { hours: None, store: &bench.store, ..desk };
        assert_eq!(code(unsaid.book(&asks("2027-01-16 10:00")).await), "no_hours");
    })
    .await;
}

#[tokio::test]
async fn a_file_imported_twice_changes_nothing_the_second_time() {
    on_both(|bench| async move {
        bench.hire("Marta").await;
        let text = "external_id,customer,service,staff,starts_at,minutes,state\n\
            a-1,+34600111222,cut,Marta,2027-06-01 10:00,,\n\
            ,+34600333444,cut,Marta,2027-06-01 10:15,,\n\
            ,+34600333444,cut,Marta,2027-06-01 11:00,45,confirmed\n\
            ,+34600333444,cut,,2026-06-01 11:00,,completed\n";
        let context = Context { tenant: bench.tenant, zone: MADRID, home: None, staff: None };
        let rows = |text: &str| -> Vec<Row> {
            sheet::read(text.as_bytes(), context).unwrap().into_iter().map(|line| line.row.unwrap()).collect()
        };
        let import = async |text: &str, preview: bool| {
            let done = bench.store.import_appointments(bench.tenant, &rows(text), preview).await.unwrap();
            let word = |one: &Result<Imported, BookingError>| match one {
                Ok(Imported::New(_)) => "new",
                Ok(Imported::Changed(_)) => "changed",
                Ok(Imported::Unchanged(_)) => "unchanged",
                Ok(Imported::Older) => "older",
                Err(refused) => refused.code(),
            };
            done.iter().map(word).collect::<Vec<_>>()
        };
        let expected = ["new", "slot_taken", "new", "is_over"];
        assert_eq!(import(text, true).await, expected);
        assert!(bench.event_kinds().await.is_empty(), "a preview changes nothing");
        assert!(bench.store.contact_by_key(bench.tenant, ANA).await.unwrap().is_none());
        assert_eq!(import(text, false).await, expected);
        assert_eq!(import(text, false).await, ["unchanged", "slot_taken", "unchanged", "is_over"]);
        let events = bench.event_kinds().await.len();
        let moved = text.replace("10:00", "12:00").replace("confirmed", "cancelled");
        assert_eq!(import(&moved, false).await, ["changed", "new", "changed", "is_over"]);
        assert!(bench.event_kinds().await.len() > events);
        // An export can be imported again.
        let all = bench.store.appointments(bench.tenant, &Filter { limit: 100, ..Filter::default() }).await.unwrap();
        assert_eq!(all.len(), 3);
        assert_eq!(import(&sheet::write(&all), false).await, ["unchanged"; 3]);
    })
    .await;
}

#[tokio::test]
async fn an_erased_customer_leaves_a_free_time() {
    on_both(|bench| async move {
        bench.hire("Marta").await;
        let noted = NewAppointment { note: "allergic".to_owned(), ..bench.with("Marta", ANA, "2027-06-01 10:00") };
        let booked = bench.store.book(&noted).await.unwrap();
        bench.store.erase_contact(bench.tenant, ANA).await.unwrap();
        let left = bench.store.appointment(bench.tenant, booked.id).await.unwrap().unwrap();
        assert_eq!((left.contact, left.customer, left.note.as_str()), (None, None, ""));
        assert_eq!(left.state, AppointmentState::Cancelled);
        bench.store.book(&bench.with("Marta", LUIS, "2027-06-01 10:00")).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn old_appointments_go_with_their_history() {
    on_both(|bench| async move {
        bench.hire("Marta").await;
        let old = bench.store.book(&bench.with("Marta", ANA, "2026-06-01 10:00")).await.unwrap();
        let ahead = bench.store.book(&bench.with("Marta", ANA, "2027-06-01 10:00")).await.unwrap();
        let remove = async |before| bench.store.remove_old_appointments(bench.tenant, before, false).await.unwrap();
        assert_eq!(remove(bench.now()).await, 0, "it was written down only now");
        bench.pass(60);
        assert_eq!(remove(bench.now()).await, 1);
        assert!(bench.store.appointment(bench.tenant, old.id).await.unwrap().is_none());
        assert!(bench.store.appointment(bench.tenant, ahead.id).await.unwrap().is_some());
        bench.store.book(&bench.with("Marta", LUIS, "2026-06-01 10:00")).await.unwrap();
    })
    .await;
}
