//! A tenant's tables as an export has them: one description for reading, checking and writing their rows.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{QueryResult, Value};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::domain::appointment::AppointmentFacts;
use crate::domain::{Action, AppointmentState, CallState, CampaignState, Channel, EventKind, MemberState, Phone};
use crate::store::error::StoreError;
use crate::store::tables::actions::REQUEST_CHANNEL;
use crate::store::tables::campaigns;

/// A text, at most, in bytes; webhooks bring 64 KiB.
const TEXT_MAX_BYTES: usize = 1 << 20;
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

/// A table, without its column `tenant_id`.
pub struct Table {
    /// What one of its rows is called.
    pub kind: &'static str,
    pub(in crate::store) name: &'static str,
    /// The columns by which rows are ordered: its identity.
    pub(in crate::store) order: &'static [&'static str],
    pub(in crate::store) columns: &'static [Column],
}

pub(in crate::store) struct Column {
    pub name: &'static str,
    pub holds: Holds,
}

/// What a column holds, and so what a line may say of it. `Maybe…` may be null.
pub(in crate::store) enum Holds {
    Id,
    MaybeId,
    /// The identity of a row of this table, of the same tenant.
    Of(&'static str),
    MaybeOf(&'static str),
    Text,
    MaybeText,
    /// One of these.
    Word(&'static [&'static str]),
    MaybeWord(&'static [&'static str]),
    /// A text of this form.
    Form(fn(&str) -> bool),
    /// A document for which this is true.
    Document(fn(&Json) -> bool),
    MaybeDocument,
    Big,
    MaybeBig,
    Int,
    MaybeInt,
    Small,
    Flag,
}

use Holds::*;

const fn column(name: &'static str, holds: Holds) -> Column {
    Column { name, holds }
}

/// In the order in which they are exported: what a row names comes before it.
pub const TABLES: [Table; 26] = [
    Table {
        kind: "sender",
        name: "senders",
        order: &["id"],
        columns: &[
            column("id", Id),
            column("channel", Word(CHANNELS)),
            column("number", Text),
            column("base_url", MaybeText),
            column("created_us", Big),
        ],
    },
    Table {
        kind: "customer",
        name: "contacts",
        order: &["id"],
        columns: &[
            column("id", Id),
            column("phone", Form(|phone| Phone::parse(phone).is_ok())),
            column("phone_key", Text),
            column("name", Text),
            column("profile_name", Text),
            column("tags", Document(is::<BTreeSet<String>>)),
            column("fields", Document(is::<BTreeMap<String, Json>>)),
            column("inbound_count", Big),
            column("created_us", Big),
        ],
    },
    Table {
        kind: CUSTOMER_CHANNEL,
        name: "contact_channels",
        order: &["contact_id", "channel"],
        columns: &[column("contact_id", Of("contacts")), column("channel", Word(CHANNELS)), column("last_us", Big)],
    },
    Table {
        kind: "customer_change",
        name: "contact_history",
        order: &["id"],
        columns: &[
            column("id", Id),
            column("contact_id", Of("contacts")),
            column("at_us", Big),
            column("kind", Word(&["tag", "field", "note"])),
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
            column("channel", Word(CHANNELS)),
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
            column("channel", Word(CHANNELS)),
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
            column("channel", Word(CHANNELS)),
            column("direction", Word(&["in", "out"])),
            column("origin", Word(&["customer", "answer", "business", "manual", "system"])),
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
            column("state", Word(STATES)),
            column("channel", MaybeWord(ACTION_CHANNELS)),
            column("sender", MaybeText),
            column("recipient", MaybeText),
            column("peer_key", MaybeText),
            column("lane", MaybeText),
            column("route", MaybeText),
            column("account_sid", MaybeText),
            column("origin", Word(ORIGINS)),
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
            column("channel", Word(CHANNELS)),
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
            column("direction", Word(&["in", "out"])),
            column("peer", Text),
            column("peer_key", Text),
            column("number", Text),
            column("action_id", MaybeId),
            column("status", Word(CALL_STATUSES)),
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
            column("status", Word(CALL_STATUSES)),
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
            column("purpose", Word(PURPOSES)),
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

fn is<T: serde::de::DeserializeOwned>(document: &Json) -> bool {
    serde_json::from_value::<T>(document.clone()).is_ok()
}

/// A line's object is no row of its table.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotARow {
    #[error("'{0}' is missing or not what that column holds")]
    Column(&'static str),
    #[error("'{0}' is no column of it")]
    Unknown(String),
}

impl Table {
    /// The table of which a row is called so, and its place in the order.
    pub fn of_kind(kind: &str) -> Option<(usize, &'static Self)> {
        TABLES.iter().enumerate().find(|(_, table)| table.kind == kind)
    }

    pub(in crate::store) fn column_list(&self) -> String {
        self.columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
    }

    pub(in crate::store) fn object(&self, row: &QueryResult) -> Result<Json, StoreError> {
        let mut object = Map::new();
        for (index, column) in self.columns.iter().enumerate() {
            object.insert(column.name.to_owned(), column.holds.read(row, index)?);
        }
        Ok(Json::Object(object))
    }

    /// The values of a row, in the order of its columns. Nothing may be missing, nothing more be there.
    pub fn values(&self, mut object: Map<String, Json>) -> Result<Vec<Value>, NotARow> {
        let mut values = Vec::with_capacity(self.columns.len());
        for column in self.columns {
            let value = object.remove(column.name).and_then(|json| column.holds.value(json));
            values.push(value.ok_or(NotARow::Column(column.name))?);
        }
        match object.into_iter().next() {
            Some((name, _)) => Err(NotARow::Unknown(name)),
            None => Ok(values),
        }
    }
}

impl Holds {
    fn read(&self, row: &QueryResult, index: usize) -> Result<Json, StoreError> {
        let document = |text: String| serde_json::from_str::<Json>(&text).map_err(StoreError::json);
        Ok(match self {
            Id | Of(_) => row.try_get_by_index::<Uuid>(index)?.to_string().into(),
            MaybeId | MaybeOf(_) => row.try_get_by_index::<Option<Uuid>>(index)?.map(|id| id.to_string()).into(),
            Text | Word(_) | Form(_) => row.try_get_by_index::<String>(index)?.into(),
            MaybeText | MaybeWord(_) => row.try_get_by_index::<Option<String>>(index)?.into(),
            Document(_) => document(row.try_get_by_index(index)?)?,
            // A document that says null is another thing than none, but context the same.
            MaybeDocument => row.try_get_by_index::<Option<String>>(index)?.map(document).transpose()?.into(),
            Big => row.try_get_by_index::<i64>(index)?.into(),
            MaybeBig => row.try_get_by_index::<Option<i64>>(index)?.into(),
            Int => row.try_get_by_index::<i32>(index)?.into(),
            MaybeInt => row.try_get_by_index::<Option<i32>>(index)?.into(),
            Small => row.try_get_by_index::<i16>(index)?.into(),
            Flag => row.try_get_by_index::<bool>(index)?.into(),
        })
    }

    /// The value that is stored, or `None` where the column does not hold such.
    fn value(&self, json: Json) -> Option<Value> {
        // PostgreSQL has no place for NUL in a text.
        let text = |json: Json| match json {
            Json::String(text) if text.len() <= TEXT_MAX_BYTES && !text.contains('\0') => Some(text),
            _ => None,
        };
        let id = |json: Json| text(json).and_then(|text| Uuid::parse_str(&text).ok());
        let big = |json: Json| json.as_i64();
        let int = |json: Json| json.as_i64().and_then(|number| i32::try_from(number).ok());
        Some(match self {
            Id | Of(_) => id(json)?.into(),
            MaybeId | MaybeOf(_) => or_null(json, id)?.into(),
            Text => text(json)?.into(),
            MaybeText => or_null(json, text)?.into(),
            Word(words) => text(json).filter(|word| words.contains(&word.as_str()))?.into(),
            MaybeWord(words) => or_null(json, |json| text(json).filter(|word| words.contains(&word.as_str())))?.into(),
            Form(is_such) => text(json).filter(|text| is_such(text))?.into(),
            Document(is_such) => Some(json).filter(is_such)?.to_string().into(),
            MaybeDocument => or_null(json, Some)?.map(|json| json.to_string()).into(),
            Big => big(json)?.into(),
            MaybeBig => or_null(json, big)?.into(),
            Int => int(json)?.into(),
            MaybeInt => or_null(json, int)?.into(),
            Small => int(json).and_then(|number| i16::try_from(number).ok())?.into(),
            Flag => json.as_bool()?.into(),
        })
    }
}

/// `Some(None)` for null, `None` where it is neither null nor a value.
fn or_null<T>(json: Json, read: impl FnOnce(Json) -> Option<T>) -> Option<Option<T>> {
    if json.is_null() { Some(None) } else { read(json).map(Some) }
}
