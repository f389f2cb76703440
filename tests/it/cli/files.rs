//! Files that people bring: tables as spreadsheets write them, calendars with numbers in their texts.

use recado::domain::Clock;
use serde_json::{Value, json};

use super::{command, run};

/// Imports appointments from a file into a new installation; returns the report, and what is booked.
fn imported(name: &str, bytes: &[u8], settings: &[&str]) -> (Value, Vec<Value>) {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    std::fs::write(folder.path().join(name), bytes).expect("a file can be written");
    run(&mut command(folder.path(), &["migrate"])).ok();
    if !settings.is_empty() {
        run(&mut command(folder.path(), &[&["tenant", "set", "demo"], settings].concat())).ok();
    }
    let report = run(&mut command(folder.path(), &["appointments", "import", name, "--json"]));
    let report = serde_json::from_str(&report.out).unwrap_or_else(|error| panic!("{error}: {report:?}"));
    let listed = run(&mut command(folder.path(), &["appointments", "list", "--json"])).json();
    (report, listed.as_array().expect("a list").clone())
}

/// A calendar with one event, next month. Lines of `event` are parted by line feeds.
fn calendar(event: &str) -> String {
    let starts = Clock::system().now().to_utc() + chrono::TimeDelta::days(30);
    let starts = starts.format("%Y%m%dT100000Z");
    let text = format!(
        "BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nUID:one\n{event}\nDTSTART:{starts}\nDURATION:PT30M\nEND:VEVENT\n\
         END:VCALENDAR\n"
    );
    text.replace('\n', "\r\n")
}

#[test]
fn an_event_is_of_the_one_customer_that_its_text_names() {
    for (event, phone, service) in [
        ("SUMMARY:Corte Ana +34 600 111 222 - 30 min", "+34600111222", "Corte Ana 30 min"),
        ("SUMMARY:Haircut\nDESCRIPTION:Tom\\, +44 (0)7911 123456\\nPrice 30", "+447911123456", "Haircut"),
        (
            "SUMMARY:Corte\nATTENDEE;CN=Ana:mailto:ana+20361219@example.com\nCONTACT:+34 600 111 222",
            "+34600111222",
            "Corte",
        ),
        (
            "SUMMARY:Videollamada Ana\nDESCRIPTION:Ana +34 600 111 222\\n\\nUnirse por Zoom\\nDial-in: +1 415 555 2671\\,\\,123#",
            "+34600111222",
            "Videollamada Ana",
        ),
    ] {
        let (report, booked) = imported("week.ics", calendar(event).as_bytes(), &[]);
        assert_eq!((&report["new"], booked.len()), (&json!(1), 1), "{event}: {report}");
        assert_eq!((&booked[0]["phone"], &booked[0]["service"]), (&json!(phone), &json!(service)), "{event}");
    }
    let (report, booked) =
        imported("week.ics", calendar("SUMMARY:Corte Ana 600 111 222").as_bytes(), &["--country", "ES"]);
    assert_eq!((&report["new"], &booked[0]["phone"]), (&json!(1), &json!("+34600111222")));
}

#[test]
fn an_event_without_a_clear_customer_is_refused_and_says_why() {
    for (event, why) in [
        ("SUMMARY:Corte +34600111222 +34600333444", "more than one number, +34600111222 and +34600333444"),
        ("SUMMARY:Corte\nATTENDEE:mailto:ana+34600111222@example.com", "names no customer"),
        ("SUMMARY:Corte 600 111 222", "names no customer"),
        ("SUMMARY:Corte +34 500 111 222", "'+34 500 111 222' is no number that exists"),
        ("SUMMARY:Equipo\nDESCRIPTION:Join by phone\\n(US) +1 415 555 2671 PIN: 123#", "is of a conference"),
    ] {
        let (report, booked) = imported("week.ics", calendar(event).as_bytes(), &[]);
        assert_eq!((booked.len(), &report["refused"][0]["at"]), (0, &json!("UID one")), "{event}: {report}");
        assert!(report["refused"][0]["reason"].as_str().is_some_and(|said| said.contains(why)), "{event}: {report}");
    }
}

#[test]
fn a_table_is_read_as_spreadsheets_write_it() {
    let table = "customer;service;starts_at;name;;\r\n+34 600 111 222;Peluquería;2036-12-20 10:00;\"Núñez, Ana\";;\r\n";
    let windows: Vec<u8> = table.chars().map(|c| u8::try_from(u32::from(c)).expect("a letter of Latin-1")).collect();
    let utf16: Vec<u8> = format!("\u{feff}{table}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let files = [
        table.as_bytes().to_vec(),
        format!("\u{feff}sep=;\r\n{table}").into_bytes(),
        table.replace("\r\n", "\r").into_bytes(),
        table.replace(';', "\t").into_bytes(),
        windows,
        utf16,
    ];
    for bytes in files {
        let (report, booked) = imported("week.csv", &bytes, &[]);
        assert_eq!(
            (&report["new"], &report["refused"]),
            (&json!(1), &json!([])),
            "{:?}",
            String::from_utf8_lossy(&bytes)
        );
        let one = (&booked[0]["phone"], &booked[0]["service"], &booked[0]["customer_name"]);
        assert_eq!(one, (&json!("+34600111222"), &json!("Peluquería"), &json!("Núñez, Ana")));
    }
}

#[test]
fn a_refused_row_is_named_by_the_line_that_an_editor_shows() {
    for end in ["\n", "\r\n", "\r"] {
        let lines = [
            "customer,service,starts_at,note",
            "+34600111222,cut,2036-12-20 10:00,\"two",
            "lines\"",
            "",
            "3.46E+10,cut,2036-12-20 11:00,",
            "+44 (0)7911 1234,cut,2036-12-20 12:00,",
            "600 111 333,cut,2036-12-20 13:00,",
        ];
        let (report, booked) = imported("week.csv", lines.join(end).as_bytes(), &[]);
        assert_eq!(booked.len(), 1, "{report}");
        let refused = report["refused"].as_array().expect("a list");
        let says = ["format the column as text", "no possible number of GB", "--country"];
        for ((line, why), one) in [5, 6, 7].into_iter().zip(says).zip(refused) {
            assert_eq!(one["at"], json!(format!("line {line}")), "{end:?}: {report}");
            assert!(one["reason"].as_str().is_some_and(|said| said.contains(why)), "{one}");
        }
    }
}

#[test]
fn numbers_are_read_in_any_spelling_on_the_command_line() {
    let folder = tempfile::TempDir::new().expect("a temporary folder can be made");
    let recado = |args: &[&str]| run(&mut command(folder.path(), args));
    recado(&["migrate"]).ok();
    for spelling in
        ["+44 (0)7911 123456", "0044 7911 123456", "+44\u{a0}07911\u{2011}123456", "tel:+44-7911-123456;ext=1"]
    {
        let said = recado(&["do-not-call", spelling]).ok();
        assert!(said.starts_with("+447911123456 is not called"), "{spelling}: {said}");
    }
    recado(&["do-not-call", "07911 123456"]).fails(1, &["no country code", "--country"]);
    recado(&["tenant", "set", "demo", "--country", "GB"]).ok();
    assert_eq!(recado(&["tenant", "show", "demo", "--json"]).json()["country"], "GB");
    assert!(recado(&["do-not-call", "07911 123456"]).ok().starts_with("+447911123456 is not called"));
    recado(&["do-not-call", "+44 7911 1234"]).fails(1, &["no possible number of GB"]);
    recado(&["tenant", "set", "demo", "--country", "own"]).ok();
    // The country of the tenant's own numbers, where no other is set.
    recado(&["tenant", "set", "demo", "--sms", "+34911000111"]).ok();
    assert!(recado(&["do-not-call", "600 111 222"]).ok().starts_with("+34600111222 is not called"));
    recado(&["tenant", "set", "demo", "--country", "Spain"]).fails(2, &["such as ES"]);
}
