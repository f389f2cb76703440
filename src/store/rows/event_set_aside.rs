//! An event that could not be decided.

use super::table::Holds::{Big, Int, MaybeBig, Of, Text};
use super::table::{Table, column};

pub(in crate::store) const TABLE: Table = Table {
    kind: "event_set_aside",
    name: "events_set_aside",
    order: &["event_id"],
    columns: &[
        column("event_id", Of("events")),
        // When it was set aside. It is the event's `handled_us`, too, until it is tried again.
        column("at_us", Big),
        column("tries", Int),
        column("retry_us", MaybeBig),
        column("error", Text),
    ],
};
