//! Tests of several versions of an event, in one file and in messages between calendars (RFC 5546).

use std::collections::HashSet;

use super::*;
use crate::store::tables::appointments::WithdrawalScope;

const SERIES: &str = "DTSTART;TZID=Europe/Madrid:20261203T100000\r\nDTEND;TZID=Europe/Madrid:20261203T110000\r\n\
                      RRULE:FREQ=WEEKLY;COUNT=4\r\n";

/// The external ids that a withdrawal leaves.
fn listed(read: &Read) -> HashSet<Option<Timestamp>> {
    let [withdrawal] = &read.withdrawals[..] else { panic!("one: {:?}", read.withdrawals) };
    let WithdrawalScope::AllBut { listed, .. } = &withdrawal.of else { panic!("{withdrawal:?}") };
    listed.clone()
}

#[test]
fn this_and_future_moves_all_later_occurrences() {
    let moved = "RECURRENCE-ID;RANGE=THISANDFUTURE;TZID=Europe/Madrid:20261217T100000\r\n\
                 DTSTART;TZID=Europe/Madrid:20261218T160000\r\nDTEND;TZID=Europe/Madrid:20261218T163000\r\n";
    let own = "RECURRENCE-ID;TZID=Europe/Madrid:20261231T100000\r\nDTSTART;TZID=Europe/Madrid:20261231T090000\r\n";
    let series = SERIES.replace("COUNT=4", "COUNT=5");
    let read = read_now(&[event("a", moved), event("a", &series), event("a", own)].concat());
    let expected = [
        "2026-12-03T09:00:00Z",
        "2026-12-10T09:00:00Z",
        "2026-12-18T15:00:00Z",
        "2026-12-25T15:00:00Z",
        "2026-12-31T08:00:00Z",
    ];
    let mut found = starts(&read);
    found.sort();
    assert_eq!(found, expected);
    let by_id = |id: &str| {
        let rows = read.entries.iter().map(|entry| &entry.row.as_ref().unwrap().new);
        rows.filter(|new| new.uid.as_deref() == Some(id)).map(|new| new.minutes).collect::<Vec<_>>()
    };
    assert_eq!(by_id("a/20261224T090000Z"), [Some(30)], "it keeps its id, and has the length of the change");
    assert_eq!(by_id("a/20261231T090000Z"), [None], "its own change counts");
    assert_eq!(by_id("a/20261210T090000Z"), [Some(60)]);
}

#[test]
fn of_several_versions_the_newest_is_read() {
    let version = |hour: u32, version: &str| event("a", &format!("DTSTART:20261224T{hour:02}0000Z\r\n{version}"));
    let check = |one: &str, other: &str, expected: &str| {
        for order in [[version(8, one), version(10, other)], [version(10, other), version(8, one)]] {
            assert_eq!(starts(&read_now(&order.concat())), [expected], "{one} {other}");
        }
    };
    let (eight, ten) = ("2026-12-24T08:00:00Z", "2026-12-24T10:00:00Z");
    check("SEQUENCE:0\r\n", "SEQUENCE:2\r\n", ten);
    check("SEQUENCE:3\r\nDTSTAMP:20261101T000000Z\r\n", "SEQUENCE:2\r\nDTSTAMP:20261102T000000Z\r\n", eight);
    check("DTSTAMP:20261101T000000Z\r\n", "SEQUENCE:0\r\nDTSTAMP:20261102T000000Z\r\n", ten);
    let equal = read_now(&[version(8, ""), version(10, "")].concat());
    assert_eq!(starts(&equal), [eight], "of equals it is the first");
    assert_eq!((left_out(&equal).0, equal.left_out.named[0].matters), (8, true), "and the other one is named");
    let own = |hour: u32, sequence: u32| {
        let start = format!("DTSTART;TZID=Europe/Madrid:20261210T{hour:02}0000\r\nSEQUENCE:{sequence}\r\n");
        event("a", &format!("RECURRENCE-ID;TZID=Europe/Madrid:20261210T100000\r\n{start}"))
    };
    let read = read_now(&[event("a", SERIES), own(12, 2), own(13, 1)].concat());
    assert!(starts(&read).contains(&"2026-12-10T11:00:00Z".to_owned()), "{:?}", starts(&read));
    assert_eq!(read.entries.len(), 4);
}

#[test]
fn answers_change_nothing_and_cancellations_withdraw() {
    let message = |method: &str, lines: &str| read_now(&format!("METHOD:{method}\r\n{}", event("a", lines)));
    for method in ["REPLY", "COUNTER", "refresh", "DECLINECOUNTER"] {
        let read = message(method, SERIES);
        assert_eq!((read.entries.len(), read.withdrawals.len()), (0, 0), "{method}");
        assert!(left_out(&read).2.contains("changes no appointment") && !read.left_out.named[0].matters);
    }
    for method in ["PUBLISH", "REQUEST", "X-OTHER"] {
        assert_eq!(message(method, SERIES).entries.len(), 4, "{method}");
    }
    let cancelled = |lines: &str| {
        let read = message("CANCEL", &format!("{lines}SEQUENCE:1\r\n"));
        assert_eq!(read.entries.len(), 0, "{lines}");
        let [withdrawal] = &read.withdrawals[..] else { panic!("one: {:?}", read.withdrawals) };
        assert_eq!((withdrawal.uid.as_str(), withdrawal.version.sequence), ("a", 1));
        withdrawal.of.clone()
    };
    assert_eq!(cancelled("DTSTART:20261224T080000Z\r\n"), WithdrawalScope::All);
    assert_eq!(cancelled(""), WithdrawalScope::All, "it needs no start");
    let id = at("2026-12-10T09:00:00Z");
    assert_eq!(cancelled("RECURRENCE-ID:20261210T090000Z\r\n"), WithdrawalScope::One(Some(id)));
    assert_eq!(cancelled("RECURRENCE-ID;RANGE=THISANDFUTURE:20261210T090000Z\r\n"), WithdrawalScope::From(id));
    // ADD brings one more occurrence, and says nothing of the others.
    let added = message("ADD", "DTSTART:20261224T080000Z\r\n");
    assert_eq!((starts(&added), added.withdrawals.len()), (vec!["2026-12-24T08:00:00Z".to_owned()], 0));
    let row = added.entries[0].row.as_ref().unwrap();
    assert_eq!(row.new.uid.as_deref(), Some("a/20261224T080000Z"));
}

#[test]
fn a_file_lists_what_takes_place_and_withdraws_the_rest() {
    let status = "RECURRENCE-ID;TZID=Europe/Madrid:20261210T100000\r\nDTSTART;TZID=Europe/Madrid:20261210T100000\r\nSTATUS:CANCELLED\r\n";
    let times = |texts: &[&str]| texts.iter().map(|text| Some(at(text))).collect::<HashSet<_>>();
    let excluded = read_now(&event("a", &format!("{SERIES}EXDATE;TZID=Europe/Madrid:20261210T100000\r\n")));
    let left = ["2026-12-03T09:00:00Z", "2026-12-17T09:00:00Z", "2026-12-24T09:00:00Z"];
    // The first occurrence may be known as the event before it recurred.
    assert_eq!(listed(&excluded), times(&left).into_iter().chain([None]).collect());
    let cancelled = read_now(&[event("a", SERIES), event("a", status)].concat());
    assert_eq!(starts(&cancelled), left);
    assert!(cancelled.withdrawals.iter().any(|one| matches!(one.of, WithdrawalScope::AllBut { .. })));
    let whole = read_now(&event("a", &format!("{SERIES}STATUS:CANCELLED\r\n")));
    assert_eq!((whole.entries.len(), &whole.withdrawals[0].of), (0, &WithdrawalScope::All));
    // Where not all of the event is there, or not all of it could be read, nothing is withdrawn.
    let part = read_now(&event("a", &status.replace("STATUS:CANCELLED", "STATUS:CONFIRMED")));
    assert_eq!((part.entries.len(), part.withdrawals.len()), (1, 0));
    let damaged = read_now(&event("a", &format!("{SERIES}EXDATE:soon\r\n")));
    assert_eq!((damaged.entries.len(), damaged.withdrawals.len()), (4, 0));
    // An occurrence that is refused is still one of the file.
    let long = "RECURRENCE-ID:20261210T090000Z\r\nDTSTART:20261210T090000Z\r\nDURATION:P3D\r\n";
    let refused = read_now(&[event("a", SERIES), event("a", long)].concat());
    assert!(listed(&refused).contains(&Some(at("2026-12-10T09:00:00Z"))));
}

#[test]
fn events_without_a_uid_are_known_as_lines_of_a_spreadsheet_are() {
    let one = |hour: u32| event("", &format!("DTSTART:20261224T{hour:02}0000Z\r\n"));
    let read = read_now(&[one(8), one(10)].concat());
    assert_eq!(read.entries.len(), 2);
    assert!(read.entries.iter().all(|entry| entry.row.as_ref().unwrap().new.uid.is_none()));
    assert_eq!(read.withdrawals, []);
}
