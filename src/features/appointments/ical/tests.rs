//! Tests of calendar files: recurrence, zones, what programs write, limits. [`versions`] tests what newer files change.

mod versions;

use proptest::prelude::*;

use super::fields::seconds;
use super::*;
use crate::domain::TenantId;
use chrono_tz::Tz;

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

fn file(parts: &str) -> String {
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{parts}END:VCALENDAR\r\n")
}

fn event(uid: &str, rest: &str) -> String {
    format!("BEGIN:VEVENT\r\nUID:{uid}\r\nSUMMARY:Cut +34 600 111 222\r\n{rest}END:VEVENT\r\n")
}

fn read_bytes(bytes: &[u8], now: &str) -> Result<Read, BadCalendar> {
    let context = Context {
        tenant: TenantId::new(uuid::Uuid::nil()),
        zone: Tz::Europe__Madrid,
        home: None,
        staff: Some("Marta"),
    };
    read(bytes, context, at(now))
}

fn read_at(text: &str, now: &str) -> Read {
    read_bytes(text.as_bytes(), now).unwrap()
}

/// Reads on the first of October 2026.
fn read_now(parts: &str) -> Read {
    read_at(&file(parts), "2026-10-01T00:00:00Z")
}

fn starts(read: &Read) -> Vec<String> {
    let of = |entry: &CalendarEntry| match &entry.row {
        Ok(Row { new: NewAppointment { starts: Starts::At(at), .. }, .. }) => at.to_string(),
        Ok(_) => "by the wall".to_owned(),
        Err(why) => why.clone(),
    };
    read.entries.iter().map(of).collect()
}

/// The starts of one event, and nothing that was left out.
fn check(lines: &str, expected: &[&str]) {
    let lines = lines.replace('\n', "\r\n");
    let read = read_now(&event("a", &lines));
    assert_eq!(starts(&read), expected, "{lines}");
    assert_eq!(read.left_out.named, [], "{lines}");
}

/// The first line that was left out.
fn left_out(read: &Read) -> (usize, &str, &str) {
    let one = &read.left_out.named[0];
    (one.line, &one.property, &one.reason)
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
    let read = read_now(&[series, own].concat());
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
fn a_series_recurs_by_the_clock_of_its_start() {
    // In UTC it is an hour earlier on the wall after the change of clocks, also after midnight on another day.
    check(
        "DTSTART:20261020T223000Z\nRRULE:FREQ=WEEKLY;BYDAY=TU;COUNT=2\n",
        &["2026-10-20T22:30:00Z", "2026-10-27T22:30:00Z"],
    );
    // A time without a zone is one of the business.
    check("DTSTART:20261020T100000\nRRULE:FREQ=WEEKLY;COUNT=2\n", &["2026-10-20T08:00:00Z", "2026-10-27T09:00:00Z"]);
    // A time that the clocks skip is an hour later, and of one that comes twice it is the first.
    check(
        "DTSTART;TZID=Europe/Madrid:20270327T023000\nRRULE:FREQ=DAILY;COUNT=3\n",
        &["2027-03-27T01:30:00Z", "2027-03-28T01:30:00Z", "2027-03-29T00:30:00Z"],
    );
    check("DTSTART;TZID=Europe/Madrid:20261025T023000\n", &["2026-10-25T00:30:00Z"]);
    let calendar = ["X-WR-TIMEZONE:America/Bogota\r\n", &event("a", "DTSTART:20261201T100000\r\n")].concat();
    assert_eq!(starts(&read_now(&calendar)), ["2026-12-01T15:00:00Z"], "the calendar says of which zone it is");
}

#[test]
fn dates_are_read_in_the_forms_that_programs_write() {
    let start = "DTSTART;TZID=Europe/Madrid:20261201T100000\n";
    let weekly = |rest: &str| format!("{start}RRULE:FREQ=WEEKLY;COUNT=3\n{rest}");
    let all = ["2026-12-01T09:00:00Z", "2026-12-08T09:00:00Z", "2026-12-15T09:00:00Z"];
    check(&weekly("EXDATE:\nRDATE:\n"), &all);
    for exdate in [
        "EXDATE;VALUE=DATE:20261208",
        "EXDATE:20261208",
        "EXDATE:20261208T090000Z",
        "EXDATE:20261208T100000",
        "EXDATE;TZID=America/Bogota:20261208T040000",
        "EXDATE;TZID=Romance Standard Time:20261201T090000,20261208T100000",
        "EXRULE:FREQ=MONTHLY;BYMONTHDAY=8",
    ] {
        check(&weekly(&format!("{exdate}\n")), &[all[0], all[2]]);
    }
    check(&format!("{start}RDATE;VALUE=DATE:20261203\n"), &[all[0], "2026-12-03T09:00:00Z"]);
    check(&format!("{start}RDATE:20261203T080000Z,20261201T090000Z\n"), &[all[0], "2026-12-03T08:00:00Z"]);
    let periods = "RDATE;VALUE=PERIOD:20261202T093000Z/20261202T110000Z,20261203T093000Z/PT20M\r\n";
    let read = read_now(&event("a", &format!("DTSTART:20261201T093000Z\r\nDURATION:PT1H\r\n{periods}")));
    assert_eq!(starts(&read), ["2026-12-01T09:30:00Z", "2026-12-02T09:30:00Z", "2026-12-03T09:30:00Z"]);
    let minutes: Vec<_> = read.entries.iter().map(|entry| entry.row.as_ref().unwrap().new.minutes).collect();
    assert_eq!(minutes, [Some(60), Some(90), Some(20)], "a period has its own length");
    // The start is an occurrence, although it is no Monday.
    check(
        &format!("{start}RRULE:FREQ=WEEKLY;BYDAY=MO;COUNT=2\n"),
        &["2026-12-01T09:00:00Z", "2026-12-07T09:00:00Z", "2026-12-14T09:00:00Z"],
    );
    let one_day = |recurrence: &str| {
        let own = format!("{recurrence}\r\nDTSTART;TZID=Europe/Madrid:20261208T160000\r\n");
        read_now(&[event("a", &weekly("").replace('\n', "\r\n")), event("a", &own)].concat())
    };
    for id in ["RECURRENCE-ID;VALUE=DATE:20261208", "RECURRENCE-ID:20261208T090000Z", "RECURRENCE-ID:20261208T100000"] {
        let read = one_day(id);
        assert_eq!(starts(&read), [all[0], all[2], "2026-12-08T15:00:00Z"], "{id}");
        let changed = read.entries[2].row.as_ref().unwrap();
        assert_eq!(changed.new.uid.as_deref(), Some("a/20261208T090000Z"), "{id}");
    }
}

#[test]
fn a_rule_ends_where_other_readers_end_it() {
    let check_until = |until: &str, count: usize| {
        let read = read_now(&event(
            "a",
            &format!("DTSTART;TZID=America/Bogota:20261201T200000\r\nRRULE:FREQ=DAILY;UNTIL={until}\r\n"),
        ));
        assert_eq!(read.entries.len(), count, "{until}");
    };
    // The third is at 20:00 in Bogota, 01:00 in UTC on the fourth.
    for (until, count) in [
        ("20261204T010000Z", 3),
        ("20261204T005959Z", 2),
        ("20261203T200000", 3),
        ("20261203T195959", 2),
        ("20261203", 2),
        ("20261204", 3),
        ("20261201T000000Z", 0),
        ("20261201", 0),
    ] {
        check_until(until, count);
    }
}

#[test]
fn long_ago_and_far_ahead_are_passed_over_and_cost_nothing() {
    let read = read_now(&event("a", "DTSTART;TZID=Europe/Madrid:16040229T100000\r\nRRULE:FREQ=DAILY;INTERVAL=100\r\n"));
    assert_eq!(read.entries.len(), 4);
    let old = event("a", "DTSTART:20200101T100000Z\r\n");
    let far = event("b", "DTSTART:20300101T100000Z\r\n");
    let read = read_now(&[old, far].concat());
    assert_eq!((read.entries.len(), read.passed_over), (0, 2));
}

#[test]
fn the_zones_of_a_file_are_known_by_their_descriptions_and_names() {
    let zone = |id: &str, ahead: &str| {
        format!(
            "BEGIN:VTIMEZONE\r\nTZID:{id}\r\nBEGIN:STANDARD\r\nDTSTART:16010101T030000\r\nTZOFFSETFROM:+0{ahead}00\r\n\
             TZOFFSETTO:+0100\r\nRRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=10\r\nEND:STANDARD\r\nBEGIN:DAYLIGHT\r\n\
             DTSTART:16010101T020000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0{ahead}00\r\n\
             RRULE:FREQ=YEARLY;INTERVAL=1;BYDAY=-1SU;BYMONTH=3\r\nEND:DAYLIGHT\r\nEND:VTIMEZONE\r\n"
        )
    };
    let at = |id: &str| {
        [10, 11].map(|month| event(&month.to_string(), &format!("DTSTART;TZID={id}:2026{month}10T130000\r\n"))).concat()
    };
    let check = |definition: &str, id: &str, expected: [&str; 2]| {
        assert_eq!(starts(&read_now(&[definition, &at(id)].concat())), expected, "{id}");
    };
    let madrid = ["2026-10-10T11:00:00Z", "2026-11-10T12:00:00Z"];
    check(&zone("Customized Time Zone", "2"), "Customized Time Zone", madrid);
    check(&zone("My, own", "3"), "\"My, own\"", ["2026-10-10T10:00:00Z", madrid[1]]);
    // The file's rules come before those of Windows, and IANA's come before the file's.
    check(&zone("Romance Standard Time", "3"), "Romance Standard Time", ["2026-10-10T10:00:00Z", madrid[1]]);
    check(&zone("Europe/Madrid", "3"), "Europe/Madrid", madrid);
    for id in [
        "W. Europe Standard Time",
        "/freeassociation.sourceforge.net/Europe/Madrid",
        "(UTC+01:00) Madrid, Paris",
        "\"(UTC+01:00) Brussels, Copenhagen, Madrid, Paris\"",
        "europe/madrid",
        "\"Europe/Madrid\"",
    ] {
        check("", id, madrid);
    }
    check("", "GMT+0200", ["2026-10-10T11:00:00Z", "2026-11-10T11:00:00Z"]);
    let unknown = read_now(&at("Customized Time Zone"));
    assert!(
        starts(&unknown)[0].contains("line 6: DTSTART: its zone 'Customized Time Zone' is not known"),
        "{unknown:?}"
    );
    let broken = zone("X/Own", "2").replace("+0100", "noon");
    assert!(starts(&read_now(&[broken, at("X/Own")].concat()))[0].contains("see line"), "it says where");
}

#[test]
fn a_line_that_cannot_be_read_is_left_out_and_named() {
    let start = "DTSTART:20261201T100000Z\r\n";
    let check = |line: &str, property: &str, says: &str| {
        let read = read_now(&[event("a", &format!("{start}{line}\r\n")), event("b", start)].concat());
        assert_eq!(starts(&read), ["2026-12-01T10:00:00Z"; 2], "{line}");
        let named = left_out(&read);
        assert_eq!((named.0, named.1), (7, property), "{line}");
        assert!(named.2.contains(says), "{line}: {}", named.2);
    };
    check("DTEND:next week", "DTEND", "'next week' is no time");
    check("DTEND;VALUE=DATE:20261202", "DTEND", "a date");
    check("DURATION:1H", "DURATION", "no length");
    check("RRULE:FREQ=NEVER", "RRULE", "FREQ cannot be 'NEVER'");
    check("RRULE:FREQ=WEEKLY;UNTL=20261231", "RRULE", "UNTL");
    check("EXDATE:20261208T100000Z,soon", "EXDATE", "'soon'");
    check("RDATE;TZID=Mars/Olympus:20261208T100000", "RDATE", "not known");
    check("SEQUENCE:two", "SEQUENCE", "no number");
    check("a line without a colon", "", "not a property");
    check("ATTENDEE;CN=\"Ana:mailto:ana@example.com", "ATTENDEE", "not closed");
    let phone = "X-APPLE-STRUCTURED-LOCATION;VALUE=URI;X-TITLE=Mayor 1\\; 28013 Madrid:geo:40.4,-3.7";
    check(phone, "X-APPLE-STRUCTURED-LOCATION", "28013 Madrid");
    let read = read_now(&event("a", &format!("{start}{phone}\r\n")));
    assert!(!read.left_out.named[0].matters, "nothing of it would have been read");
    // Without a start there is no appointment.
    let read = read_now(&[event("a", "DTSTART:20261201T1000\r\n"), event("b", start)].concat());
    assert_eq!(starts(&read), ["line 6: DTSTART: '20261201T1000' is no time", "2026-12-01T10:00:00Z"]);
}

#[test]
fn files_are_read_as_programs_write_them() {
    let one = file(&event("a", "DTSTART:20261201T100000Z\r\nX-ALT-DESC;FMTTYPE=text/html:"));
    let long = one.replace("text/html:END", &format!("text/html:{}\r\nEND", "<p>".repeat(20_000)));
    let attached = one
        .replace("X-ALT-DESC;FMTTYPE=text/html:", &format!("ATTACH;ENCODING=BASE64:{}\r\n", "QUJD\r\n ".repeat(9_000)));
    let many =
        [file(&event("a", "DTSTART:20261201T100000Z\r\n")), file(&event("b", "DTSTART:20261201T100000Z\r\n"))].concat();
    for (text, count) in [
        (format!("\r\n\r\n{long}"), 1),
        (format!("\u{feff}{long}"), 1),
        (attached, 1),
        (many.clone(), 2),
        (many.replace("\r\n", "\n"), 2),
        (many.to_lowercase().replace("cut", "Cut"), 2),
        (many.replace("END:VEVENT\r\nEND", "END"), 2),
        (format!("{many}END:VEVENT\r\n"), 2),
    ] {
        let read = read_at(&text, "2026-10-01T00:00:00Z");
        assert_eq!(starts(&read), vec!["2026-12-01T10:00:00Z"; count], "{}", &text[..300.min(text.len())]);
    }
    let mut folded =
        file(&event("a", "DTSTART:20261201T100000Z\r\nDESCRIPTION:Señora Núñez\\, a las diez\r\n")).into_bytes();
    let letter = folded.windows(2).position(|pair| pair == "ñ".as_bytes()).unwrap();
    folded.splice(letter + 1..letter + 1, *b"\r\n ");
    let read = read_bytes(&folded, "2026-10-01T00:00:00Z").unwrap();
    assert_eq!(read.entries[0].row.as_ref().unwrap().new.note, "Señora Núñez, a las diez");
    let cut = many.strip_suffix("END:VEVENT\r\nEND:VCALENDAR\r\n").unwrap();
    let read = read_at(cut, "2026-10-01T00:00:00Z");
    assert_eq!((read.entries.len(), left_out(&read).0), (1, 11), "an event that is cut off is not read");
}

#[test]
fn what_is_refused_says_why() {
    let check = |rest: &str, says: &str| {
        let read = read_now(&event("a", rest));
        assert!(starts(&read).first().is_some_and(|said| said.contains(says)), "{rest}: {:?}", starts(&read));
        assert_eq!(read.withdrawals, [], "{rest}");
    };
    check("", "no DTSTART");
    check("DTSTART;VALUE=DATE:20261201\r\n", "whole days");
    check("DTSTART;TZID=Mars/Olympus:20261201T100000\r\n", "not known");
    check("DTSTART:20261201T100000Z\r\nRRULE:FREQ=SECONDLY\r\n", "more than 400 times");
    check("DTSTART:20261201T100000Z\r\nRRULE:FREQ=DAILY;BYHOUR=1,2,3,4\r\n", "more than 400 times");
    let minute = format!("DTSTART:20261201T100000Z\r\nEXDATE:{}\r\n", ["20261201T100000Z"; 5_001].join(","));
    check(&minute, "more than 5000 dates");
    for (rest, says) in [("DTEND:20261205T100000Z\r\n", "minutes"), ("DTEND:20261201T090000Z\r\n", "ends before")] {
        let read = read_now(&event("a", &format!("DTSTART:20261201T100000Z\r\n{rest}")));
        assert!(starts(&read)[0].contains(says), "{rest}: {:?}", starts(&read));
    }
    let nobody =
        "BEGIN:VEVENT\r\nUID:b\r\nSUMMARY:Lunch\r\nDTSTART:20261201T100000Z\r\nRRULE:FREQ=DAILY\r\nEND:VEVENT\r\n";
    let read = read_now(nobody);
    assert_eq!(read.entries.len(), 1, "it is said once");
    assert!(starts(&read)[0].contains("names no customer"));
}

#[test]
fn an_event_without_a_length_has_that_of_its_service_and_a_transparent_one_takes_nobody() {
    let row = |rest: &str| {
        let read = read_now(&event("a", &format!("DTSTART:20261201T100000Z\r\n{rest}")));
        let new = &read.entries[0].row.as_ref().unwrap().new;
        (new.minutes, new.staff.clone())
    };
    let marta = Some("Marta".to_owned());
    assert_eq!(row(""), (None, marta.clone()));
    assert_eq!(row("DTEND:20261201T100000Z\r\n"), (None, marta.clone()));
    assert_eq!(row("DURATION:PT45M\r\nTRANSP:OPAQUE\r\n"), (Some(45), marta));
    assert_eq!(row("DTEND;TZID=Europe/Madrid:20261201T120000\r\nTRANSP:TRANSPARENT\r\n"), (Some(60), None));
}

#[test]
fn deep_and_foreign_files_are_refused_and_hostile_ones_end() {
    let read = |text: &str| read_bytes(text.as_bytes(), "2026-10-01T00:00:00Z");
    assert!(matches!(read(&"BEGIN:VCALENDAR\r\n".repeat(100_000)), Err(BadCalendar::TooDeep(33))));
    assert!(matches!(read("hello"), Err(BadCalendar::NotACalendar)));
    assert!(matches!(read(""), Err(BadCalendar::NotACalendar)));
    let noise = read(&file(&"noise\n".repeat(200_000))).unwrap();
    assert_eq!((noise.left_out.named.len(), noise.left_out.more), (1_000, 199_000));
    let rule = "DTSTART:20261201T100000Z\r\nRRULE:FREQ=YEARLY;BYHOUR=1;BYSECOND=1,2;COUNT=1000000\r\n";
    let all: String = (0..3_000).map(|number| event(&number.to_string(), rule)).collect();
    let many = read(&file(&all));
    assert!(matches!(many, Err(BadCalendar::TooMany)), "{:?}", many.map(|read| read.entries.len()));
    let slow =
        "DTSTART:20261201T100000Z\r\nRRULE:FREQ=SECONDLY;BYSECOND=1;BYMINUTE=1;BYHOUR=1;BYMONTHDAY=30;BYMONTH=2\r\n";
    let all: String = (0..300).map(|number| event(&number.to_string(), slow)).collect();
    assert!(read(&file(&all)).is_ok());
}

#[test]
fn durations_are_read() {
    for (text, expected) in [
        ("PT1H30M", Some(5_400)),
        ("p1d", Some(86_400)),
        ("P1W", Some(604_800)),
        ("+P1DT2H", Some(93_600)),
        ("1H", None),
        ("PT9", None),
        ("-PT1H", None),
    ] {
        assert_eq!(seconds(text), expected, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn no_file_makes_it_panic(
        noise in "\\PC{0,60}",
        name in prop::sample::select(vec![
            "DTSTART", "DTEND", "RRULE", "EXDATE", "RDATE", "DURATION", "SUMMARY", "UID", "RECURRENCE-ID", "BEGIN", "END",
        ]),
        param in prop::sample::select(vec!["", ";TZID=Europe/Madrid", ";TZID=", ";VALUE=DATE", ";X=\"a:b\"", ";TZID=(é"]),
        rule in "FREQ=(HOURLY|DAILY|WEEKLY|MONTHLY|YEARLY)(;(COUNT|INTERVAL|BYMONTHDAY|BYSETPOS|BYMONTH|BYWEEKNO)=-?[0-9]{1,3}){0,2}(;BYDAY=(-?[1-5])?(MO|SU))?",
        day in 1u32..32, hour in 0u32..24,
    ) {
        let text = file(&event("a", &format!(
            "DTSTART;TZID=Europe/Madrid:202603{day:02}T{hour:02}3000\r\nRRULE:{rule}\r\n{name}{param}:{noise}\r\n"
        )));
        let _ = read_bytes(text.as_bytes(), "2026-02-01T00:00:00Z");
        let _ = read_bytes(noise.as_bytes(), "2026-02-01T00:00:00Z");
    }
}
