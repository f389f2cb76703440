//! Schedules and opening hours on the command line.

use super::{alone, beside, options};
use crate::support::server::Server;

#[test]
fn a_schedule_is_said_in_words_and_listed() {
    let args = ["cron", "0 9 * * MON-FRI", "--zone", "Europe/Madrid", "--from", "2026-03-27T00:00:00Z"];
    let said = alone(&[], &[&args[..], &["--count", "2"]].concat()).ok();
    let expect = "0 9 * * MON-FRI: at 09:00 on Monday to Friday, in Europe/Madrid\n\
                  Fri 2026-03-27 09:00:00 +01:00  2026-03-27T08:00:00Z\n\
                  Mon 2026-03-30 09:00:00 +02:00  2026-03-30T07:00:00Z\n";
    assert_eq!(said, expect);
    let listed = alone(&[], &[&args[..], &["--json"]].concat()).json();
    let listed = listed.as_array().expect("one array");
    assert_eq!(listed.len(), 10);
    assert_eq!((&listed[0], &listed[1]), (&"2026-03-27T08:00:00Z".into(), &"2026-03-30T07:00:00Z".into()));
    // The start itself is one of the times.
    let from = ["cron", "0 9 * * *", "--from", "2026-03-27T09:00:00Z", "--count", "1", "--json"];
    assert_eq!(alone(&[], &from).json()[0], "2026-03-27T09:00:00Z");
}

#[test]
fn a_schedule_that_cannot_be_read_is_wrong_usage() {
    // A broken configuration does not matter, because none is read.
    let broken = [("recado.toml", "colour = 1\n")];
    alone(&broken, &["cron", "@daily", "--count", "1"]).ok();
    for (args, says) in [
        (&["cron", "0 9 * *"][..], "this has 4"),
        (&["cron", "0 25 * * *"], "hour: '25' is not understood: write numbers from 0 to 23"),
        (&["cron", "0 0 30 2 *"], "never fire"),
        (&["cron", "@daily", "--zone", "Madrid"], "such as Europe/Madrid"),
        (&["cron", "@daily", "--from", "tomorrow"], "such as 2026-03-27T00:00:00Z"),
        (&["cron", "@daily", "--count", "0"], "1 to 1000"),
        (&["cron", "@daily", "--count", "1001"], "1 to 1000"),
    ] {
        alone(&[], args).fails(2, &[says]);
    }
}

#[tokio::test]
async fn a_tenant_has_its_hours_its_holidays_and_its_quiet_hours() {
    let server = Server::start(options()).await;
    let set = |args: &[&str]| beside(&server, &[&["tenant", "set", "demo"], args].concat());
    let open = "mon-fri 09:00-14:00,16:00-20:00; sat 10:00-13:00";
    set(&["--hours", open, "--holiday", "2026-12-25", "--holiday", "2026-12-24=10:00-13:00"]).ok();
    set(&["--quiet", "+34=22:00-10:00", "--quiet", "all=off"]).ok();
    let shown = beside(&server, &["tenant", "show", "demo"]).ok();
    let expect = format!("  open: {open}; 2026-12-24 10:00-13:00; 2026-12-25 closed\n");
    assert!(shown.contains(&expect), "{shown}");
    assert!(shown.contains("  quiet hours for +34: 22:00-10:00\n  quiet hours for all: off\n"), "{shown}");
    set(&["--hours", "mon 09:00-10:00", "--remove-holiday", "2026-12-24", "--quiet", "all="]).ok();
    let json = beside(&server, &["tenant", "show", "demo", "--json"]).json();
    assert_eq!(json["hours"], "mon 09:00-10:00; 2026-12-25 closed");
    assert_eq!(json["quiet"], serde_json::json!({"+34": "22:00-10:00"}));
    for (args, says) in [
        (&["--hours", "lunes 09:00-14:00"][..], "no weekday"),
        (&["--holiday", "2026-12-26=9-14"], "no shift"),
        (&["--remove-holiday", "2026-12-24"], "no holiday on 2026-12-24"),
        (&["--quiet", "34=22:00-10:00"], "no prefix"),
        (&["--quiet", "+34=22-10"], "no quiet hours"),
    ] {
        set(args).fails(1, &[says]);
    }
    set(&["--holiday", "Christmas"]).fails(2, &["such as 2026-12-25"]);
    set(&["--hours", ""]).ok();
    assert_eq!(beside(&server, &["tenant", "show", "demo", "--json"]).json()["hours"], serde_json::Value::Null);
}
