//! Tests of recurrence rules. The examples of RFC 5545 (3.8.5.3) are among them.

use super::*;

fn at(text: &str) -> NaiveDateTime {
    NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M").unwrap()
}

fn between(rule: &str, start: &str, from: &str, to: &str) -> Result<Vec<String>, TooMuch> {
    let rule = Rule::parse(rule).unwrap();
    let found = rule.between(at(start), (at(from), at(to)), 400, &mut Budget::new(1_000_000))?;
    Ok(found.into_iter().map(|at| at.format("%Y%m%dT%H%M").to_string()).collect())
}

/// The first occurrences from the start on.
fn check(rule: &str, start: &str, expected: &[&str]) {
    let to = expected.last().unwrap();
    assert_eq!(between(rule, start, start, to).unwrap(), expected, "{rule}");
}

#[test]
fn each_frequency_takes_the_rest_from_its_start() {
    check("FREQ=YEARLY", "20240229T0900", &["20240229T0900", "20280229T0900", "20320229T0900"]);
    check("FREQ=YEARLY;BYMONTH=1,3", "20260305T0900", &["20260305T0900", "20270105T0900", "20270305T0900"]);
    check("FREQ=MONTHLY", "20260131T0900", &["20260131T0900", "20260331T0900", "20260531T0900"]);
    check("FREQ=WEEKLY;INTERVAL=2", "20261203T0900", &["20261203T0900", "20261217T0900", "20261231T0900"]);
    check("FREQ=DAILY;INTERVAL=10", "20261203T0900", &["20261203T0900", "20261213T0900"]);
    check("FREQ=HOURLY;INTERVAL=3", "20261203T2130", &["20261203T2130", "20261204T0030", "20261204T0330"]);
    check("FREQ=MINUTELY;INTERVAL=90", "20261203T2330", &["20261203T2330", "20261204T0100", "20261204T0230"]);
    check("FREQ=SECONDLY;INTERVAL=3600", "20261203T2330", &["20261203T2330", "20261204T0030"]);
}

#[test]
fn parts_about_days_count_from_both_ends() {
    check("FREQ=MONTHLY;BYDAY=-1FR", "20261127T0900", &["20261127T0900", "20261225T0900", "20270129T0900"]);
    check(
        "FREQ=MONTHLY;BYDAY=1SU,-1SU;INTERVAL=2",
        "19970907T0900",
        &["19970907T0900", "19970928T0900", "19971102T0900", "19971130T0900"],
    );
    check(
        "FREQ=MONTHLY;BYMONTHDAY=-1,1",
        "20270101T0900",
        &["20270101T0900", "20270131T0900", "20270201T0900", "20270228T0900"],
    );
    check(
        "FREQ=YEARLY;BYYEARDAY=1,100,-1",
        "19970101T0900",
        &["19970101T0900", "19970410T0900", "19971231T0900", "19980101T0900"],
    );
    check("FREQ=YEARLY;BYDAY=20MO", "19970519T0900", &["19970519T0900", "19980518T0900", "19990517T0900"]);
    check("FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10", "20261025T0300", &["20261025T0300", "20271031T0300", "20281029T0300"]);
    check("FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13", "19970902T0900", &["19980213T0900", "19980313T0900", "19981113T0900"]);
    check("FREQ=WEEKLY;BYDAY=1MO,TU", "20261207T0900", &["20261207T0900", "20261208T0900", "20261214T0900"]);
}

#[test]
fn weeks_are_counted_from_their_first_day() {
    check("FREQ=YEARLY;BYWEEKNO=20;BYDAY=MO", "19970512T0900", &["19970512T0900", "19980511T0900", "19990517T0900"]);
    check("FREQ=YEARLY;BYWEEKNO=53;BYDAY=FR", "20210101T0900", &["20210101T0900", "20270101T0900", "20321231T0900"]);
    check("FREQ=YEARLY;BYWEEKNO=-1;BYDAY=MO", "20261228T0900", &["20261228T0900", "20271227T0900", "20281225T0900"]);
    check("FREQ=YEARLY;BYWEEKNO=2", "20270113T0900", &["20270113T0900", "20280112T0900"]);
    check(
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=MO",
        "19970805T0900",
        &["19970805T0900", "19970810T0900", "19970819T0900", "19970824T0900"],
    );
    check(
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU",
        "19970805T0900",
        &["19970805T0900", "19970817T0900", "19970819T0900", "19970831T0900"],
    );
}

#[test]
fn positions_choose_from_a_whole_period() {
    check(
        "FREQ=MONTHLY;BYDAY=TU,WE,TH;BYSETPOS=3",
        "19970904T0900",
        &["19970904T0900", "19971007T0900", "19971106T0900"],
    );
    check(
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-2",
        "19970929T0900",
        &["19970929T0900", "19971030T0900", "19971127T0900"],
    );
    check(
        "FREQ=DAILY;BYHOUR=9,12,15;BYSETPOS=1,-1",
        "20261201T0900",
        &["20261201T0900", "20261201T1500", "20261202T0900"],
    );
    // The first day of the first week is before the start, so the rule begins a week later.
    check("FREQ=WEEKLY;BYDAY=MO,WE;BYSETPOS=1", "20261202T0900", &["20261207T0900", "20261214T0900"]);
}

#[test]
fn a_count_counts_from_the_start_and_not_from_the_window() {
    assert_eq!(
        between("FREQ=DAILY;COUNT=3", "20261201T0900", "20261202T0000", "20270101T0000").unwrap(),
        ["20261202T0900", "20261203T0900"]
    );
    assert!(between("FREQ=DAILY;COUNT=3", "16010101T0900", "20261202T0000", "20270101T0000").unwrap().is_empty());
    // The start is no Monday: it does not count.
    check("FREQ=WEEKLY;BYDAY=MO;COUNT=2", "20261215T1000", &["20261221T1000", "20261228T1000"]);
    assert!(between("FREQ=DAILY;COUNT=0", "20261201T0900", "20261201T0000", "20270101T0000").unwrap().is_empty());
    assert_eq!(between("FREQ=DAILY;COUNT=-1", "20261201T0900", "20261201T0000", "20261202T2300").unwrap().len(), 2);
}

#[test]
fn a_rule_from_long_ago_costs_no_more_than_a_new_one() {
    for rule in ["FREQ=SECONDLY;INTERVAL=1800", "FREQ=MINUTELY;INTERVAL=30", "FREQ=MINUTELY;BYMINUTE=0,30"] {
        let rule = Rule::parse(rule).unwrap();
        let window = (at("20261201T0900"), at("20261201T1000"));
        let found = rule.between(at("16010101T0000"), window, 400, &mut Budget::new(1_000)).unwrap();
        assert_eq!(found.len(), 3, "{rule:?}");
    }
    let rule = Rule::parse("FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU").unwrap();
    let window = (at("20260101T0000"), at("20271231T0000"));
    assert_eq!(rule.between(at("16010101T0000"), window, 400, &mut Budget::new(200)).unwrap().len(), 2);
}

#[test]
fn no_rule_is_computed_without_end() {
    let year = ("20261201T0000", "20271201T0000");
    let check = |rule: &str, expected| assert_eq!(between(rule, year.0, year.0, year.1), Err(expected), "{rule}");
    check("FREQ=SECONDLY", TooMuch::Occurrences);
    check("FREQ=HOURLY", TooMuch::Occurrences);
    check("FREQ=DAILY;BYHOUR=8,12", TooMuch::Occurrences);
    let all = |max: u32| (0..=max).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    check(
        &format!("FREQ=YEARLY;BYDAY=MO,TU;BYHOUR={};BYMINUTE={};BYSECOND={};BYSETPOS=1", all(23), all(59), all(59)),
        TooMuch::Steps,
    );
    assert_eq!(between("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", year.0, year.0, year.1).unwrap().len(), 0);
    assert_eq!(between("FREQ=SECONDLY;BYMONTH=6;BYMONTHDAY=31", year.0, year.0, year.1).unwrap().len(), 0);
    assert_eq!(between("FREQ=SECONDLY;INTERVAL=2147483647", year.0, year.0, year.1).unwrap().len(), 1);
    assert_eq!(between("FREQ=YEARLY;INTERVAL=2147483647", year.0, year.0, year.1).unwrap().len(), 1);
}

#[test]
fn a_rule_is_read_as_programs_write_it_and_refused_with_its_part() {
    let rule = Rule::parse("freq=weekly;;byday=mo, tu ;UNTIL=20261231T090000Z;X-A=1;").unwrap();
    assert_eq!((rule.frequency, rule.days.len()), (Frequency::Weekly, 2));
    assert!(matches!(rule.until, Some(Until::Utc(_))));
    assert!(matches!(Rule::parse("FREQ=DAILY;UNTIL=20261231").unwrap().until, Some(Until::Day(_))));
    assert!(matches!(Rule::parse("FREQ=DAILY;UNTIL=20261231T090000").unwrap().until, Some(Until::Local(_))));
    for (bad, part) in [
        ("INTERVAL=2", "FREQ"),
        ("FREQ=NEVER", "FREQ"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL"),
        ("FREQ=DAILY;UNTIL=", "UNTIL"),
        ("FREQ=DAILY;BYDAY=XX", "BYDAY"),
        ("FREQ=DAILY;BYDAY=ñ", "BYDAY"),
        ("FREQ=DAILY;BYMONTH=13", "BYMONTH"),
        ("FREQ=DAILY;BYMONTHDAY=0", "BYMONTHDAY"),
        ("FREQ=DAILY;BYEASTER=1", "BYEASTER"),
        ("FREQ", "FREQ"),
        ("FREQ=YEARLY;RSCALE=CHINESE", "RSCALE"),
    ] {
        let why = Rule::parse(bad).unwrap_err().to_string();
        assert!(why.contains(part), "{bad}: {why}");
    }
}

#[test]
fn finer_rules_keep_their_step_over_what_they_leave_out() {
    type Takes = fn(&NaiveDateTime) -> bool;
    let cases: [(&str, i64, Takes); 4] = [
        ("FREQ=SECONDLY;INTERVAL=18;BYMINUTE=28,10,5", 18, |at| matches!(at.minute(), 5 | 10 | 28)),
        ("FREQ=SECONDLY;INTERVAL=17;BYMONTH=6,8;BYMINUTE=45,17", 17, |at| {
            matches!(at.month(), 6 | 8) && matches!(at.minute(), 17 | 45)
        }),
        ("FREQ=MINUTELY;INTERVAL=7;BYDAY=TU;BYHOUR=3", 7 * 60, |at| at.weekday() == Weekday::Tue && at.hour() == 3),
        ("FREQ=HOURLY;INTERVAL=5;BYMONTH=5;BYDAY=SA", 5 * 3_600, |at| at.month() == 5 && at.weekday() == Weekday::Sat),
    ];
    let (start, to) = (at("19890412T1343") + Duration::seconds(52), at("19890602T0000"));
    for (text, step, takes) in cases {
        let stepped = std::iter::successors(Some(start), |at| Some(*at + Duration::seconds(step)));
        let expected: Vec<_> = stepped.take_while(|at| *at <= to).filter(takes).collect();
        let rule = Rule::parse(text).unwrap();
        let found = rule.between(start, (start, to), 20_000, &mut Budget::new(20_000_000)).unwrap();
        assert_eq!(found, expected, "{text}");
        assert!(!found.is_empty(), "{text}");
    }
}
