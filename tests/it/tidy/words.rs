//! Words that the code no longer uses: each has a standard term instead.

use super::{assert_none, rust_files};

/// A retired name, and what to write.
const RETIRED: [(&str, &str); 36] = [
    ("Outlet", "SendQueue"),
    ("Ways", "Transports"),
    ("Door", "SendTarget"),
    ("RecentStops", "RecentOptOuts"),
    ("Verdict", "AttemptOutcome, RuleResult or CodeAdvice"),
    ("Trouble", "AccountFailure"),
    ("Frozen", "Snapshot"),
    ("Heeded", "Resolution"),
    ("heed", "resolve"),
    ("Card", "ContactEdit"),
    ("Meeting", "ContactUpsert"),
    ("Sleeper", "TimerWake"),
    ("nearer_timer", "timer_wake"),
    ("Fresh", "PendingCache"),
    ("at_hand", "cached"),
    ("of_no_concern", "unmatched"),
    ("Wish", "OptOutKeyword"),
    ("obey", "apply"),
    ("aim", "shift_out_of_quiet_hours"),
    ("conclude", "commit"),
    ("Means", "a context, named for its use"),
    ("Wanted", "a request, named for its noun"),
    ("Told", "a report, named for its noun"),
    ("Lane", "an ordering key or a queue"),
    ("Lanes", "FastSlowQueues"),
    ("become_so", "transition"),
    ("one_moment", "hold_response"),
    ("patience", "hold_response"),
    ("Heard", "TwimlResponse, or the event's own name"),
    ("WaitingLine", "CallQueue"),
    ("Strike", "RequestFaults"),
    ("Foreseen", "ForecastSend"),
    ("Judged", "GateDecision"),
    ("Beginnings", "TextPrefixes"),
    ("NoList", "ListUnavailable"),
    ("block_unheard", "block_late_steps"),
];

/// Old names of files.
const RETIRED_FILES: [&str; 16] = [
    "desk.rs",
    "lane.rs",
    "lanes.rs",
    "line.rs",
    "each.rs",
    "worked.rs",
    "talk.rs",
    "calling.rs",
    "ways.rs",
    "stops.rs",
    "outbox.rs",
    "lost.rs",
    "ended.rs",
    "waiting_line.rs",
    "voice_words.rs",
    "twin.rs",
];

#[test]
fn retired_names_stay_retired() {
    let mut faults = Vec::new();
    for (file, parted) in rust_files().iter().filter(|(file, _)| file.path != "tests/it/tidy/words.rs") {
        for (old, new) in RETIRED {
            faults.extend(
                identifiers(&parted.code, old)
                    .map(|at| format!("{}:{} has {old}: write {new}", file.path, parted.line(at))),
            );
        }
        let name = file.path.rsplit('/').next().unwrap_or_default();
        if file.path.starts_with("src/") && RETIRED_FILES.contains(&name) {
            faults.push(format!("{}: give the file its standard name", file.path));
        }
    }
    assert_none("use the standard term", faults);
}

/// Returns the places where a name is a whole identifier.
fn identifiers<'a>(code: &'a str, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name)
        .map(|(at, _)| at)
        .filter(move |&at| !code[..at].ends_with(is_part) && !code[at + name.len()..].starts_with(is_part))
}

#[test]
fn names_are_found_as_whole_words() {
    let found: Vec<_> = identifiers("let Door = DoorBell::new(Door); MyDoor", "Door").collect();
    assert_eq!(found, [4, 25]);
}
