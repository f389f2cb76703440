//! Timers: a row with a due time that becomes an event when it is due.

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::channel::Channel;
use super::clock::Timestamp;
use super::event::{Event, EventKind};
use super::id::{ContactId, EventId, Id, TenantId, noun};

pub type TimerId = Id<noun::Timer>;

/// The purpose of a timer.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::Display,
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", const_into_str, parse_err_ty = UnknownPurpose, parse_err_fn = UnknownPurpose::new)]
pub enum Purpose {
    /// `.after("2h")`: this long after the event of the rule.
    After,
    /// `.before("24h", "appointment.starts_at")`: this long before a time of its subject.
    Before,
    /// `.cron("0 9 * * MON")`: the next time of a schedule. When it fires, the following one replaces it.
    Cron,
    /// `.for_each("contacts", …)`: the next page, with its cursor.
    Page,
    /// `ask(…)`: the question was not answered.
    Silence,
}

impl Purpose {
    /// The stable name.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

/// A name that is not one of [`Purpose`].
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no purpose of a timer")]
pub struct UnknownPurpose(String);

impl UnknownPurpose {
    fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// A timer to be stored. If it is planned twice, there is one row: the key is its due time and its id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewTimer {
    pub id: TimerId,
    pub due: Timestamp,
    pub tenant: TenantId,
    pub purpose: Purpose,
    pub rule: String,
    /// The rule's timing. If it changes, the rule's pending timers are planned again.
    pub timing: String,
    pub contact: Option<ContactId>,
    /// The subject that it moves and ends with, such as an appointment.
    pub subject: Option<Uuid>,
    /// The `data` of the event when it fires: a JSON object.
    pub payload: Value,
}

/// The event that planned a timer, as rules see it when the timer fires. It is stored in the payload as `anchor`.
///
/// ```json
/// {"event": "0199…", "kind": "inbound_sms", "channel": "sms", "depth": 0, "at": "2026-12-01T09:00:00Z"}
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Anchor {
    pub event: EventId,
    pub kind: EventKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<Channel>,
    #[serde(default)]
    pub depth: u8,
    /// When the event occurred.
    pub at: Timestamp,
    /// The moment that the timer comes before, such as the start of an appointment. Its actions are useless afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Anchor {
    /// Makes the anchor of an event.
    pub fn of(event: &Event) -> Self {
        Self {
            event: event.id,
            kind: event.kind.clone(),
            channel: event.channel,
            depth: event.depth,
            at: event.occurred_at,
            until: None,
        }
    }

    /// Reads the anchor of a payload; `None` if there is none, as for a schedule.
    pub fn in_data(data: &Value) -> Option<Self> {
        Self::deserialize(data.get(ANCHOR)?).ok()
    }

    /// Adds the anchor to the data of its event and replaces an entry of the same name.
    pub fn into_data(&self, mut data: Value) -> Value {
        if let (Value::Object(fields), Ok(anchor)) = (&mut data, serde_json::to_value(self)) {
            fields.insert(ANCHOR.to_owned(), anchor);
        }
        data
    }
}

/// The timer of an event, as `data.timer`.
///
/// ```json
/// {"rule": "thanks", "purpose": "after", "due": "2026-12-01T11:00:00Z"}
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fired {
    pub rule: String,
    pub purpose: Purpose,
    pub due: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Uuid>,
}

impl Fired {
    /// Reads the timer of an event; `None` for other kinds of events.
    pub fn of(event: &Event) -> Option<Self> {
        if event.kind != EventKind::TIMER {
            return None;
        }
        Self::deserialize(event.data.get(TIMER)?).ok()
    }

    /// Adds it to a payload, which makes the data of the timer's event.
    pub fn into_data(&self, mut payload: Value) -> Value {
        if let (Value::Object(fields), Ok(fired)) = (&mut payload, serde_json::to_value(self)) {
            fields.insert(TIMER.to_owned(), fired);
        }
        payload
    }

    /// Does the same as [`Fired::into_data`] for the text of a payload, and returns the anchor, too.
    ///
    /// It validates the whole payload, so that the event can be read later, but keeps none of it, because many timers are
    /// due at once.
    ///
    /// # Errors
    /// If the payload is no JSON object.
    pub fn into_text(&self, payload: &str) -> serde_json::Result<(Option<Anchor>, String)> {
        let Payload { anchor, empty } = serde_json::from_str(payload)?;
        let fired = serde_json::to_string(self)?;
        let payload = payload.trim_end();
        // An object ends with its brace.
        let fields = payload.strip_suffix('}').unwrap_or(payload);
        let comma = if empty { "" } else { "," };
        Ok((anchor, format!("{fields}{comma}\"{TIMER}\":{fired}}}")))
    }
}

/// The parts of a payload that [`Fired::into_text`] needs.
struct Payload {
    anchor: Option<Anchor>,
    empty: bool,
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Payload;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Payload, A::Error> {
                let mut payload = Payload { anchor: None, empty: true };
                while let Some(name) = map.next_key::<String>()? {
                    payload.empty = false;
                    if name == ANCHOR {
                        payload.anchor = Anchor::deserialize(map.next_value::<Value>()?).ok();
                    } else {
                        map.next_value::<Readable>()?;
                    }
                }
                Ok(payload)
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

/// Any JSON that can be read into a [`Value`]. Unlike [`serde::de::IgnoredAny`] it validates numbers and strings, too.
struct Readable;

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Readable {
    type Value = Self;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(self)
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<Self, Self>()?.is_some() {}
        Ok(self)
    }
}

const ANCHOR: &str = "anchor";
const TIMER: &str = "timer";

impl TimerId {
    /// Derives the id of a timer from (tenant, rule, anchor), where the anchor is the event, the subject or the contact.
    /// With the due time it identifies a firing. The rule's version is no part of it.
    pub fn of(tenant: TenantId, rule: &str, anchor: Uuid) -> Self {
        let mut hash = Sha256::new();
        hash.update(tenant.uuid().as_bytes());
        hash.update(rule.as_bytes());
        hash.update([0]);
        hash.update(anchor.as_bytes());
        let mut id = [0u8; 16];
        id.copy_from_slice(&hash.finalize()[..16]);
        Self::new(uuid::Builder::from_custom_bytes(id).into_uuid())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fired() -> Fired {
        Fired { rule: "thanks".to_owned(), purpose: Purpose::After, due: Timestamp::from_unix_us(0), subject: None }
    }

    #[test]
    fn the_text_of_a_timers_event_is_its_data() {
        let anchor =
            r#"{"event":"019a0000-0000-7000-8000-000000000001","kind":"order","depth":2,"at":"2026-12-01T09:00:00Z"}"#;
        let more = r#""a":[1,-2,3.5,null,true,{"b":"\u00e1\ud83d\ude00 \"x\"}"}]"#;
        for payload in ["{}".to_owned(), format!("{{{more}}}\n"), format!("{{{more}, \"anchor\": {anchor} }}")] {
            let (found, text) = fired().into_text(&payload).unwrap();
            let value: Value = serde_json::from_str(&payload).unwrap();
            assert_eq!(found, Anchor::in_data(&value), "{payload}");
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), fired().into_data(value), "{payload}");
        }
        let (found, _) = fired().into_text(&format!("{{\"anchor\":{anchor}}}")).unwrap();
        assert_eq!(found.map(|anchor| anchor.depth), Some(2));
    }

    /// Otherwise it would become an event that cannot be read.
    #[test]
    fn what_could_not_be_read_again_is_refused() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(200), "]".repeat(200));
        for payload in
            ["", "7", "[]", "\"{}\"", "{\"a\":1e999}", r#"{"a":"\ud800"}"#, r#"{"a":{"\ud800":1}}"#, "{} {}", &deep]
        {
            assert!(serde_json::from_str::<serde_json::Map<String, Value>>(payload).is_err(), "{payload}");
            assert!(fired().into_text(payload).is_err(), "{payload}");
        }
    }
}
