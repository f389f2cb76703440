//! Tests of calendar files: recurrence, refusals, limits.

use proptest::prelude::*;

use super::fields::seconds;
use super::*;
use crate::domain::TenantId;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn file(events: &str) -> String {
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{events}END:VCALENDAR\r\n")
}

fn event(uid: &str, rest: &str) -> String {
    format!("BEGIN:VEVENT\r\nUID:{uid}\r\nSUMMARY:Cut +34 600 111 222\r\n{rest}END:VEVENT\r\n")
}

fn read_at(text: &str, now: &str) -> Read {
    let context =
        Context { tenant: TenantId::new(uuid::Uuid::nil()), zone: Tz::Europe__Madrid, home: None, staff: None };
    read(text.as_bytes(), context, at(now)).unwrap()
}

fn starts(read: &Read) -> Vec<String> {
    let of = |entry: &CalendarEntry| match &entry.row {
        Ok(Row { new: NewAppointment { starts: Starts::At(at), .. }, .. }) => at.to_string(),
        Ok(_) => "by the wall".to_owned(),
        Err(why) => why.clone(),
    };
    read.entries.iter().map(of).collect()
}

#[test]
fn a_weekly_event_keeps_its_hour_across_the_clock_change() {
    let series = event(
        "a",
        "DTSTART;TZID=Europe/Madrid:20261012T100000\r\nDTEND;TZID=Europe/Madrid:20261012T104500\r\n\
         RRULE:FREQ=WEEKLY;UNTIL=20261109T090000Z\r\nEXDATE;TZID=Europe/Madrid:20261019T100000\r\n",
    );
    let own = event(
        "a",
        "RECURRENCE-ID;TZID=Europe/Madrid:20261102T100000\r\nDTSTART;TZID=Europe/Madrid:20261102T120000\r\n",
    );
    let text = file(&[series, own].concat());
    let read = read_at(&text, "2026-10-01T00:00:00Z");
    // Mondays the 12th and 26th, not the 19th; the 2nd of November has an event of its own; UNTIL is included.
    let expected = ["2026-10-12T08:00:00Z", "2026-10-26T09:00:00Z", "2026-11-09T09:00:00Z", "2026-11-02T11:00:00Z"];
    assert_eq!(starts(&read), expected);
    let first = read.entries[0].row.as_ref().unwrap();
    assert_eq!((first.new.service.as_str(), first.new.customer.as_str()), ("Cut", "+34600111222"));
    assert_eq!((first.new.minutes, first.new.uid.as_deref()), (Some(45), Some("a/20261012T080000Z")));
    let moved = read.entries[3].row.as_ref().unwrap();
    assert_eq!(moved.new.uid.as_deref(), Some("a/20261102T090000Z"), "it is known by the time that it stands for");
}

#[test]
fn what_is_refused_says_why() {
    let check = |rest: &str, says: &str| {
        let read = read_at(&file(&event("a", rest)), "2026-10-01T00:00:00Z");
        assert!(starts(&read).first().is_some_and(|said| said.contains(says)), "{rest}: {:?}", starts(&read));
    };
    check("", "no DTSTART");
    check("DTSTART;VALUE=DATE:20261201\r\n", "whole days");
    check("DTSTART;TZID=Mars/Olympus:20261201T100000\r\n", "none of IANA's");
    check("DTSTART:20261201T1000\r\n", "no time");
    check("DTSTART:20261201T100000Z\r\nDTEND:20261205T100000Z\r\n", "minutes");
    check("DTSTART:20261201T100000Z\r\nRRULE:FREQ=SECONDLY\r\n", "more often than daily");
    check("DTSTART:20261201T100000Z\r\nRRULE:FREQ=DAILY;BYHOUR=1,2,3,4\r\n", "more than 400 times");
    check("DTSTART:20261201T100000Z\r\nRRULE:FREQ=NEVER\r\n", "RRULE");
    check("DTSTART:19700101T100000Z\r\nRRULE:FREQ=DAILY\r\n", "20 years ago");
    let nobody = "BEGIN:VEVENT\r\nUID:b\r\nSUMMARY:Lunch\r\nDTSTART:20261201T100000Z\r\nEND:VEVENT\r\n";
    assert!(starts(&read_at(&file(nobody), "2026-10-01T00:00:00Z"))[0].contains("names no customer"));
    let past = read_at(&file(&event("a", "DTSTART:20200101T100000Z\r\n")), "2026-10-01T00:00:00Z");
    assert_eq!((past.entries.len(), past.passed_over), (0, 1));
}

#[test]
fn deep_long_and_foreign_files_are_refused() {
    let context = Context { tenant: TenantId::new(uuid::Uuid::nil()), zone: Tz::UTC, home: None, staff: None };
    let read = |text: &str| read(text.as_bytes(), context, at("2026-10-01T00:00:00Z"));
    assert!(matches!(read(&"BEGIN:VCALENDAR\r\n".repeat(100_000)), Err(BadCalendar::TooDeep(5))));
    let long = file(&format!("X-A:{}\r\n", "x".repeat(20_000)));
    assert!(matches!(read(&long), Err(BadCalendar::LongLine(_))));
    assert!(matches!(read("hello"), Err(BadCalendar::NotACalendar)));
    assert!(matches!(read(&file(&"X-A:1\r\n".repeat(200_001))), Err(BadCalendar::TooLong)));
}

#[test]
fn durations_are_read() {
    for (text, expected) in
        [("PT1H30M", Some(5_400)), ("P1D", Some(86_400)), ("P1W", Some(604_800)), ("1H", None), ("PT9", None)]
    {
        assert_eq!(seconds(text), expected, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn no_file_makes_it_panic(
        noise in "\\PC{0,60}",
        name in prop::sample::select(vec!["DTSTART", "DTEND", "RRULE", "EXDATE", "RDATE", "DURATION", "SUMMARY", "UID"]),
        param in prop::sample::select(vec!["", ";TZID=Europe/Madrid", ";TZID=", ";VALUE=DATE", ";X=\"a:b\""]),
        rule in "FREQ=(DAILY|WEEKLY|MONTHLY|YEARLY)(;(COUNT|INTERVAL|BYMONTHDAY|BYSETPOS|BYMONTH|BYWEEKNO)=-?[0-9]{1,3}){0,2}(;BYDAY=(-?[1-5])?(MO|SU))?",
        day in 1u32..32, hour in 0u32..24,
    ) {
        let text = file(&event("a", &format!(
            "DTSTART;TZID=Europe/Madrid:202603{day:02}T{hour:02}3000\r\nRRULE:{rule}\r\n{name}{param}:{noise}\r\n"
        )));
        let context = Context { tenant: TenantId::new(uuid::Uuid::nil()), zone: Tz::Europe__Madrid, home: None, staff: None };
        let _ = read(text.as_bytes(), context, at("2026-02-01T00:00:00Z"));
        let _ = read(noise.as_bytes(), context, at("2026-02-01T00:00:00Z"));
    }
}
