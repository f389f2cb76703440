//! Calendar files that are imported again: what moves, what is withdrawn, and which version counts. It is January 2027.

use std::collections::BTreeMap;

use recado::domain::{AppointmentState, Change};
use recado::features::appointments::ical;
use recado::features::appointments::sheet::Context;
use recado::migrations::MIGRATIONS;
use recado::store::tables::appointments::{Appointment, BookingError, Filter, Imported};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};

use super::{Bench, on_both};

const SERIES: &str = "DTSTART;TZID=Europe/Madrid:20270204T180000\r\nDURATION:PT30M\r\nRRULE:FREQ=WEEKLY;COUNT=4\r\n";

fn file(method: &str, events: &[&str]) -> String {
    let event = |lines: &&str| format!("BEGIN:VEVENT\r\nUID:a\r\nSUMMARY:Cut +34600111222\r\n{lines}END:VEVENT\r\n");
    let events: String = events.iter().map(event).collect();
    format!("BEGIN:VCALENDAR\r\nMETHOD:{method}\r\n{events}END:VCALENDAR\r\n")
}

impl Bench {
    /// The results of the rows, and the dates of the withdrawn appointments.
    async fn import_file(&self, text: &str, preview: bool) -> (BTreeMap<&'static str, usize>, Vec<String>) {
        let context =
            Context { tenant: self.tenant, zone: chrono_tz::Tz::Europe__Madrid, home: None, staff: Some("Marta") };
        let read = ical::read(text.as_bytes(), context, self.store.clock().now()).expect("a calendar");
        let rows: Vec<_> = read.entries.into_iter().map(|entry| entry.row.expect("a row")).collect();
        let done =
            self.store.import_calendar(self.tenant, &rows, &read.withdrawals, preview).await.expect("it is stored");
        let mut results = BTreeMap::new();
        for one in &done.rows {
            let word = match one {
                Ok(Imported::New(_)) => "new",
                Ok(Imported::Changed(_)) => "changed",
                Ok(Imported::Unchanged(_)) => "unchanged",
                Ok(Imported::Older) => "older",
                Err(refused) => BookingError::code(refused),
            };
            *results.entry(word).or_default() += 1;
        }
        (results, done.withdrawn.iter().map(day).collect())
    }

    async fn booked(&self) -> Vec<String> {
        let all = self.store.appointments(self.tenant, &Filter { limit: 100, ..Filter::default() }).await.unwrap();
        all.iter().filter(|one| one.state.is_active()).map(day).collect()
    }

    async fn known_as(&self, uid: &str) -> Appointment {
        self.store.appointment_by_uid(self.tenant, uid).await.unwrap().expect("it is known")
    }
}

fn day(one: &Appointment) -> String {
    one.starts_local.format("%m-%d %H:%M").to_string()
}

fn only(word: &'static str, count: usize) -> BTreeMap<&'static str, usize> {
    BTreeMap::from([(word, count)])
}

#[tokio::test]
async fn what_a_newer_file_no_longer_has_is_withdrawn() {
    on_both(|bench| async move {
        bench.hire("Marta").await;
        let import = async |lines: &[&str]| bench.import_file(&file("PUBLISH", lines), false).await;
        assert_eq!(import(&[SERIES]).await, (only("new", 4), vec![]));
        assert_eq!(import(&[SERIES]).await, (only("unchanged", 4), vec![]));
        let excluded = format!("{SERIES}SEQUENCE:1\r\nEXDATE;TZID=Europe/Madrid:20270211T180000\r\n");
        let withdrawn = vec!["02-11 18:00".to_owned()];
        let preview = bench.import_file(&file("PUBLISH", &[&excluded]), true).await;
        assert_eq!(preview, (only("unchanged", 3), withdrawn.clone()));
        assert_eq!(bench.booked().await.len(), 4, "a preview changes nothing");
        assert_eq!(import(&[&excluded]).await, (only("unchanged", 3), withdrawn));
        assert_eq!(bench.booked().await, ["02-04 18:00", "02-18 18:00", "02-25 18:00"]);
        let kinds = bench.event_kinds().await;
        assert_eq!(kinds.last().map(String::as_str), Some("appointment_cancelled"), "rules hear of it");
        assert_eq!(import(&[&excluded]).await, (only("unchanged", 3), vec![]));
        // The older file comes late, with one more week: nothing of it counts.
        let older = SERIES.replace("COUNT=4", "COUNT=5");
        assert_eq!(import(&[&older]).await, (only("older", 5), vec![]));
        assert_eq!(bench.booked().await.len(), 3);
        // The occurrence comes back. The cancelled appointment stays, and a new one is booked.
        let again = format!("{SERIES}SEQUENCE:2\r\n");
        assert_eq!(import(&[&again]).await, (BTreeMap::from([("new", 1), ("unchanged", 3)]), vec![]));
        assert_eq!(bench.booked().await.len(), 4);
        // What a customer cancelled stays cancelled, whatever the file says.
        let id = bench.known_as("a/20270225T170000Z").await.id;
        bench.store.change_appointment(&bench.order(id, Change::Cancel)).await.unwrap();
        assert_eq!(import(&[&again]).await, (only("unchanged", 4), vec![]));
        assert_eq!(bench.booked().await.len(), 3);
    })
    .await;
}

#[tokio::test]
async fn occurrences_move_and_keep_their_identity() {
    on_both(|bench| async move {
        bench.hire("Marta").await;
        let import = async |lines: &[&str]| bench.import_file(&file("PUBLISH", lines), false).await;
        import(&[SERIES]).await;
        let before = bench.known_as("a/20270218T170000Z").await;
        let later = "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Madrid:20270218T180000\r\n\
                     DTSTART;TZID=Europe/Madrid:20270219T090000\r\nDURATION:PT45M\r\n";
        let moved = import(&[SERIES, later]).await;
        assert_eq!(moved, (BTreeMap::from([("changed", 2), ("unchanged", 2)]), vec![]));
        assert_eq!(bench.booked().await, ["02-04 18:00", "02-11 18:00", "02-19 09:00", "02-26 09:00"]);
        let after = bench.known_as("a/20270218T170000Z").await;
        assert_eq!((after.id, after.lasts().as_secs()), (before.id, 45 * 60));
        // The time of a withdrawn occurrence is free for another of the same file.
        let swap = "EXDATE;TZID=Europe/Madrid:20270204T180000\r\n";
        let other = "RECURRENCE-ID;TZID=Europe/Madrid:20270211T180000\r\nDTSTART;TZID=Europe/Madrid:20270204T181500\r\n\
                     DURATION:PT30M\r\n";
        let swapped = import(&[&format!("{SERIES}{swap}"), other]).await;
        assert_eq!(swapped, (BTreeMap::from([("changed", 3)]), vec!["02-04 18:00".to_owned()]));
        assert_eq!(bench.booked().await, ["02-04 18:15", "02-18 18:00", "02-25 18:00"]);
    })
    .await;
}

#[tokio::test]
async fn an_event_that_becomes_a_series_stays_the_same_appointment() {
    on_both(|bench| async move {
        bench.hire("Marta").await;
        let import = async |lines: &[&str]| bench.import_file(&file("PUBLISH", lines), false).await;
        let single = SERIES.replace("RRULE:FREQ=WEEKLY;COUNT=4\r\n", "");
        assert_eq!(import(&[&single]).await, (only("new", 1), vec![]));
        let first = bench.known_as("a").await.id;
        assert_eq!(import(&[SERIES]).await, (BTreeMap::from([("new", 3), ("unchanged", 1)]), vec![]));
        assert_eq!(bench.known_as("a/20270204T170000Z").await.id, first);
        let (results, withdrawn) = import(&[&single]).await;
        assert_eq!((results, withdrawn.len()), (only("unchanged", 1), 3));
        assert_eq!(bench.known_as("a").await.id, first);
        assert_eq!(bench.booked().await, ["02-04 18:00"]);
        let moved = single.replace("T180000", "T190000");
        assert_eq!(import(&[&moved]).await, (only("changed", 1), vec![]));
        assert_eq!(bench.known_as("a").await.id, first);
    })
    .await;
}

#[tokio::test]
async fn a_cancellation_cancels_and_an_older_one_does_not() {
    on_both(|bench| async move {
        bench.hire("Marta").await;
        let series = format!("{SERIES}SEQUENCE:2\r\nDTSTAMP:20270101T000000Z\r\n");
        bench.import_file(&file("REQUEST", &[&series]), false).await;
        let cancel = async |lines: &str| bench.import_file(&file("CANCEL", &[lines]), false).await.1;
        let one = "RECURRENCE-ID:20270211T170000Z\r\n";
        assert!(cancel(&format!("{one}SEQUENCE:1\r\n")).await.is_empty(), "it is older");
        assert!(cancel(&format!("{one}SEQUENCE:2\r\nDTSTAMP:20261231T000000Z\r\n")).await.is_empty(), "by its stamp");
        assert_eq!(cancel(&format!("{one}SEQUENCE:3\r\n")).await, ["02-11 18:00"]);
        assert!(cancel("SEQUENCE:1\r\n").await.is_empty());
        let later = "RECURRENCE-ID;RANGE=THISANDFUTURE:20270225T170000Z\r\nSEQUENCE:3\r\n";
        assert_eq!(cancel(later).await, ["02-25 18:00"]);
        // A reply of a customer who declines changes nothing.
        let reply = file("REPLY", &[&series]);
        assert_eq!(bench.import_file(&reply, false).await, (BTreeMap::new(), vec![]));
        assert_eq!(bench.booked().await, ["02-04 18:00", "02-18 18:00"]);
        assert_eq!(cancel("SEQUENCE:4\r\n").await, ["02-04 18:00", "02-18 18:00"]);
        // An event that is cancelled before it was known is none.
        let unknown = bench.import_file(&file("CANCEL", &[&series]).replace("UID:a", "UID:b"), false).await;
        assert_eq!(unknown, (BTreeMap::new(), vec![]));
        assert_eq!(bench.known_as("a/20270204T170000Z").await.state, AppointmentState::Cancelled);
    })
    .await;
}

#[tokio::test]
async fn a_file_withdraws_nothing_of_another_business_nor_of_the_past() {
    on_both(|bench| async move {
        bench.hire("Marta").await;
        let other = bench.other().await;
        other.hire("Marta").await;
        for bench in [&bench, &other] {
            bench.import_file(&file("PUBLISH", &[SERIES]), false).await;
        }
        bench.store.clock().set(recado::domain::Timestamp::parse("2027-02-12T00:00:00Z").unwrap());
        let short = SERIES.replace("COUNT=4", "COUNT=1").replace("20270204", "20270218");
        assert_eq!(bench.import_file(&file("PUBLISH", &[&short]), false).await.1, ["02-25 18:00"]);
        assert_eq!(bench.booked().await.len(), 3, "those of the past stay");
        assert_eq!(other.booked().await.len(), 4);
    })
    .await;
}

/// Runs all migrations before `m0015`, stores appointments of old imports, and runs `m0015`.
async fn migrated(db: DatabaseConnection) -> Vec<(String, Option<String>)> {
    let backend = db.get_database_backend();
    let place = MIGRATIONS.iter().position(|step| step.name == "m0015_calendar_versions").expect("it is a step");
    let run = async |text: &str| {
        db.execute_unprepared(text).await.expect("it can be run");
    };
    for text in MIGRATIONS[..place].iter().flat_map(|step| step.statements(backend)) {
        run(&text).await;
    }
    let id = |number: u32| match backend {
        sea_orm::DatabaseBackend::Postgres => format!("'{}'", uuid::Uuid::from_u128(number.into())),
        _ => format!("x'{}'", uuid::Uuid::from_u128(number.into()).simple()),
    };
    let tenant = id(1);
    run(&format!("INSERT INTO tenants (id, slug, name, zone, language, settings, created_us) VALUES ({tenant}, 'demo', 'Demo', 'UTC', 'es', '{{}}', 0)")).await;
    for (number, uid) in [(2, "a/b/20270204T170000Z"), (3, "single"), (4, "a/20270204")] {
        let (id, service) = (id(number), id(9));
        run(&format!(
            "INSERT INTO appointments (id, tenant_id, service_id, starts_local, zone, starts_us, ends_us, state, note,
               version, uid, created_us, updated_us)
             VALUES ({id}, {tenant}, {service}, '2027-02-04T18:00:00', 'UTC', 1, 2, 'booked', '', 1, '{uid}', 0, 0)"
        ))
        .await;
    }
    for text in MIGRATIONS[place..].iter().flat_map(|step| step.statements(backend)) {
        run(&text).await;
    }
    let text = "SELECT uid, calendar_uid FROM appointments ORDER BY uid";
    let rows = db.query_all_raw(Statement::from_string(backend, text)).await.expect("rows");
    rows.iter().map(|row| (row.try_get("", "uid").unwrap(), row.try_get("", "calendar_uid").unwrap())).collect()
}

#[tokio::test]
async fn appointments_of_old_imports_are_known_by_their_event() {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let sqlite = format!("sqlite://{}?mode=rwc", folder.path().join("old.db").display());
    let postgres = crate::support::postgres::Database::fresh().await;
    for url in [sqlite, postgres.url()] {
        let found = migrated(sea_orm::Database::connect(&url).await.expect("it can be opened")).await;
        let event = |uid: &str, of: Option<&str>| (uid.to_owned(), of.map(str::to_owned));
        let expected = [event("a/20270204", None), event("a/b/20270204T170000Z", Some("a/b")), event("single", None)];
        assert_eq!(found, expected, "{url}");
    }
}
