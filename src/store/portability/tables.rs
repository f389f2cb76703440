//! A tenant's tables as an export has them: one description for reading, checking and writing their rows.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::domain::appointment::AppointmentFacts;
use crate::domain::{Action, AppointmentState, CallState, CampaignState, Channel, EventKind, MemberState, Phone};
use crate::store::rows::contact;
use crate::store::rows::table::Holds::*;
use crate::store::rows::table::{Table, column, is};
use crate::store::tables::actions::REQUEST_CHANNEL;
use crate::store::tables::campaigns;

const CHANNELS: &[&str] = &Channel::NAMES;
/// The channels of an action: those of messages, and the word that requests have instead.
const ACTION_CHANNELS: &[&str] = &{
    let mut names = [REQUEST_CHANNEL; CHANNELS.len() + 1];
    let mut at = 0;
    while at < CHANNELS.len() {
        names[at] = CHANNELS[at];
        at += 1;
    }
    names
};
const CALL_STATUSES: &[&str] =
    &["queued", "initiated", "ringing", "in-progress", "completed", "busy", "failed", "no-answer", "canceled"];
const ORIGINS: &[&str] = &["answer", "business", "manual", "system"];
const STATES: &[&str] = &["planned", "sending", "sent", "failed", "blocked", "held", "unknown", "done"];

const PURPOSES: &[&str] = &["after", "before", "cron", "page", "silence"];
/// A timer that does not fire by itself.
pub const SET_ASIDE: &str = "timer_set_aside";
/// A customer's last message on a channel.
pub const CUSTOMER_CHANNEL: &str = "customer_channel";

/// In the order in which they are exported: what a row names comes before it.
pub const TABLES: [Table; 26] = [
    Table {
        kind: "sender",
        name: "senders",
        order: &["id"],
        columns: &[
            column("id", Id),
            column("channel", OneOf(CHANNELS)),
            column("number", Text),
            column("base_url", MaybeText),
            column("created_us", Big),
        ],
    },
    contact::TABLE,
    Table {
        kind: CUSTOMER_CHANNEL,
        name: "contact_channels",
        order: &["contact_id", "channel"],
        columns: &[column("contact_id", Of("contacts")), column("channel", OneOf(CHANNELS)), column("last_us", Big)],
    },
    Table {
        kind: "customer_change",
        name: "contact_history",
        order: &["id"],
        columns: &[
            column("id", Id),
            column("contact_id", Of("contacts")),
            column("at_us", Big),
            column("kind", OneOf(&["tag", "field", "note"])),
            column("name", Text),
            column("old", MaybeDocument),
            column("new", MaybeDocument),
            column("action_id", MaybeId),
        ],
    },
    Table {
        kind: "service",
        name: "services",
        order: &["id"],
        columns: &[
            column("id", Id),
            column("name", Text),
            column("name_key", Text),
            column("minutes", Int),
            column("active", Flag),
            column("created_us", Big),
        ],
    },
    Table {
        kind: "staff",
        name: "staff",
        order: &["id"],
        columns: &[
            column("id", Id),
            column("name", Text),
            column("name_key", Text),
            column("zone", MaybeText),
            column("hours", MaybeText),
            column("active", Flag),
            column("feed_us", MaybeBig),
            column("created_us", Big),
        ],
    },
    Table {
        kind: "staff_service",
        name: "staff_services",
        order: &["staff_id", "service_id"],
        columns: &[column("staff_id", Of("staff")), column("service_id", Of("services"))],
    },
    Table {
        kind: "appointment",
        name: "appointments",
        order: &["id"],
        columns: &[
            column("id", Id),
            column("contact_id", MaybeOf("contacts")),
            column("service_id", Of("services")),
            column("staff_id", MaybeOf("staff")),
            column("starts_local", Form(|local| local.parse::<chrono::NaiveDateTime>().is_ok())),
            column("zone", Form(|zone| zone.parse::<chrono_tz::Tz>().is_ok())),
            column("starts_us", Big),
            column("ends_us", Big),
            column("state", Form(|state| state.parse::<AppointmentState>().is_ok())),
            column("note", Text),
            column("version", Int),
            column("uid", Text),
            column("created_us", Big),
            column("updated_us", Big),
        ],
    },
    Table {
        kind: "appointment_change",
        name: "appointment_history",
        order: &["id"],
        columns: &[
            column("id", Id),
            column("appointment_id", Of("appointments")),
            column("contact_id", MaybeOf("contacts")),
            column("at_us", Big),
            column("version", Int),
            column("what", Text),
            column("made_by", Text),
            column("facts", Document(is::<AppointmentFacts>)),
        ],
    },
    Table {
        kind: "occupied",
        name: "occupied",
        order: &["staff_id", "granule"],
        columns: &[
            column("staff_id", Of("staff")),
            column("granule", Big),
            column("appointment_id", Of("appointments")),
        ],
    },
    Table {
        kind: "opt_out",
        name: "opt_outs",
        order: &["peer_key", "channel", "sender"],
        columns: &[
            column("channel", OneOf(CHANNELS)),
            column("peer_key", Text),
            column("sender", Text),
            column("active", Flag),
            column("word", Text),
            column("at_us", Big),
        ],
    },
    Table {
        kind: "opt_out_change",
        name: "opt_out_history",
        order: &["id"],
        columns: &[
            column("id", Id),
            column("channel", OneOf(CHANNELS)),
            column("peer_key", Text),
            column("sender", Text),
            column("active", Flag),
            column("word", Text),
            column("at_us", Big),
        ],
    },
    Table {
        kind: "message",
        name: "messages",
        order: &["id"],
        columns: &[
            column("id", Id),
            column("contact_id", MaybeOf("contacts")),
            column("channel", OneOf(CHANNELS)),
            column("direction", OneOf(&["in", "out"])),
            column("origin", OneOf(&["customer", "answer", "business", "manual", "system"])),
            column("peer", Text),
            column("peer_key", Text),
            column("ours", Text),
            column("body", Text),
            column("extra", Document(Json::is_object)),
            column("status", Text),
            column("status_rank", Small),
            column("provider_sid", MaybeText),
            column("error_code", MaybeBig),
            column("segments", Int),
            column("at_us", Big),
            column("late", Flag),
            column("repeats", Int),
        ],
    },
    Table {
        kind: "event",
        name: "events",
        order: &["id"],
        columns: &[
            column("id", Id),
            column("kind", Form(|kind| EventKind::parse(kind).is_ok())),
            column("channel", MaybeWord(CHANNELS)),
            column("contact_id", MaybeOf("contacts")),
            column("occurred_us", Big),
            column("dedupe_key", MaybeText),
            column("depth", Small),
            column("data", Document(|_| true)),
            column("handled_us", MaybeBig),
        ],
    },
    Table {
        kind: "rule_run",
        name: "rule_runs",
        order: &["event_id"],
        columns: &[
            column("event_id", Of("events")),
            column("decided_us", Big),
            column("trace", Document(Json::is_object)),
        ],
    },
    Table {
        kind: "action",
        name: "actions",
        order: &["id"],
        columns: &[
            column("id", Id),
            column("event_id", Of("events")),
            column("contact_id", MaybeOf("contacts")),
            column("rule", Text),
            column("idx", Int),
            column("kind", Text),
            column("state", OneOf(STATES)),
            column("channel", MaybeWord(ACTION_CHANNELS)),
            column("sender", MaybeText),
            column("recipient", MaybeText),
            column("peer_key", MaybeText),
            column("lane", MaybeText),
            column("route", MaybeText),
            column("account_sid", MaybeText),
            column("origin", OneOf(ORIGINS)),
            column("payload", Document(is::<Action>)),
            column("tries", Int),
            column("planned_us", Big),
            column("due_us", Big),
            column("first_try_us", MaybeBig),
            column("tried_us", MaybeBig),
            column("reason", MaybeText),
            column("error_code", MaybeBig),
            column("provider_sid", MaybeText),
            column("subject_id", MaybeId),
            column("expires_us", MaybeBig),
        ],
    },
    Table {
        kind: "firing",
        name: "rule_firings",
        order: &["contact_id", "rule", "at_us", "event_id"],
        columns: &[
            column("contact_id", Of("contacts")),
            column("rule", Text),
            column("at_us", Big),
            // Its event may be gone already: retention takes that first.
            column("event_id", Id),
        ],
    },
    Table {
        kind: "question",
        name: "questions",
        order: &["contact_id", "channel"],
        columns: &[
            column("contact_id", Of("contacts")),
            column("channel", OneOf(CHANNELS)),
            column("id", Id),
            column("rule", Text),
            column("name", Text),
            column("state", Document(|_| true)),
            column("asked_us", Big),
            column("expires_us", Big),
        ],
    },
    Table {
        kind: "attempt",
        name: "attempts",
        order: &["action_id", "n"],
        columns: &[
            column("action_id", Of("actions")),
            column("n", Int),
            column("started_us", Big),
            column("not_after_us", Big),
            column("finished_us", MaybeBig),
            column("outcome", MaybeText),
            column("http_status", MaybeInt),
            column("error_code", MaybeBig),
            column("detail", MaybeText),
        ],
    },
    Table {
        kind: "call",
        name: "calls",
        order: &["id"],
        columns: &[
            column("id", Id),
            column("contact_id", MaybeOf("contacts")),
            column("provider_sid", Text),
            column("direction", OneOf(&["in", "out"])),
            column("peer", Text),
            column("peer_key", Text),
            column("number", Text),
            column("action_id", MaybeId),
            column("status", OneOf(CALL_STATUSES)),
            column("answered_by", MaybeText),
            column("duration_s", MaybeInt),
            column("recording_sid", MaybeText),
            column("recording_url", MaybeText),
            column("error_code", MaybeBig),
            column("detail", MaybeText),
            column("state", Document(is::<CallState>)),
            column("turns", Int),
            column("heard", Flag),
            column("result", MaybeText),
            column("started_us", Big),
            column("ended_us", MaybeBig),
            column("told", Flag),
            column("streamed", Int),
        ],
    },
    Table {
        kind: "call_turn",
        name: "call_turns",
        order: &["call_id", "n"],
        columns: &[
            column("call_id", Of("calls")),
            column("n", Int),
            column("key_text", Text),
            column("event_id", Id),
            column("at_us", Big),
            column("heard", Text),
            column("answer", MaybeText),
            column("how", MaybeText),
            column("took_ms", MaybeInt),
        ],
    },
    Table {
        kind: "call_leg",
        name: "call_legs",
        order: &["call_id", "n"],
        columns: &[
            column("call_id", Of("calls")),
            column("n", Int),
            column("provider_sid", MaybeText),
            column("peer", Text),
            column("peer_key", Text),
            column("status", OneOf(CALL_STATUSES)),
            column("status_rank", Small),
            column("duration_s", MaybeInt),
            column("began_us", Big),
            column("ended_us", MaybeBig),
        ],
    },
    Table {
        kind: "campaign",
        name: "campaigns",
        order: &["id"],
        columns: &[
            // Its actions hang on the event of this identity.
            column("id", Of("events")),
            column("name", Form(campaigns::is_name)),
            column("state", Form(|state| state.parse::<CampaignState>().is_ok())),
            column("plan", Document(Json::is_object)),
            column("paced_us", Big),
            column("created_us", Big),
            column("changed_us", Big),
        ],
    },
    Table {
        kind: "campaign_member",
        name: "campaign_members",
        order: &["campaign_id", "peer_key"],
        columns: &[
            column("campaign_id", Of("campaigns")),
            column("peer_key", Text),
            column("phone", Form(|phone| Phone::parse(phone).is_ok())),
            column("name", Text),
            column("fields", Document(is::<BTreeMap<String, String>>)),
            column("state", Form(|state| state.parse::<MemberState>().is_ok())),
            column("n", Int),
            column("tries", Int),
            column("due_us", Big),
            column("action_id", MaybeId),
            column("outcome", MaybeText),
            column("detail", MaybeText),
        ],
    },
    Table {
        kind: "timer",
        name: "timers",
        order: &["due_us", "id"],
        columns: &[
            column("due_us", Big),
            column("id", Id),
            column("purpose", OneOf(PURPOSES)),
            column("rule", Text),
            column("timing", Text),
            column("contact_id", MaybeOf("contacts")),
            column("subject_id", MaybeId),
            column("payload", Text),
        ],
    },
    Table {
        kind: SET_ASIDE,
        name: "timers_set_aside",
        order: &["due_us", "id"],
        columns: &[
            column("due_us", Big),
            column("id", Id),
            column("purpose", Text),
            column("rule", Text),
            column("timing", Text),
            column("contact_id", MaybeOf("contacts")),
            column("subject_id", MaybeId),
            column("payload", Text),
            column("tries", Int),
            column("retry_us", MaybeBig),
            column("error", Text),
        ],
    },
];

impl Table {
    /// The table of which a row is called so, and its place in the order.
    pub fn of_kind(kind: &str) -> Option<(usize, &'static Self)> {
        TABLES.iter().enumerate().find(|(_, table)| table.kind == kind)
    }
}
