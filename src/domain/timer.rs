//! A promise for the future: a row with its due time, which becomes an event when it falls due.

use std::fmt;
use std::str::FromStr;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::id::{Id, noun};
use super::{Channel, ContactId, Event, EventId, EventKind, TenantId, Timestamp};

pub type TimerId = Id<noun::Timer>;

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// `.after("2h")`: so long after the event that the rule listens to.
    After,
    /// `.before("24h", "appointment.starts_at")`: so long before what its subject says.
    Before,
    /// `.cron("0 9 * * MON")`: the next time of a schedule; when it fires, the one after it takes its place.
    Cron,
    /// `.for_each("contacts", …)` under way: the next page, with its cursor.
    Page,
    /// `ask(…)`: nobody has answered.
    Silence,
}

impl Purpose {
    pub const ALL: [Self; 5] = [Self::After, Self::Before, Self::Cron, Self::Page, Self::Silence];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::After => "after",
            Self::Before => "before",
            Self::Cron => "cron",
            Self::Page => "page",
            Self::Silence => "silence",
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no purpose of a timer")]
pub struct UnknownPurpose(String);

impl FromStr for Purpose {
    type Err = UnknownPurpose;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|purpose| purpose.as_str() == text).ok_or_else(|| UnknownPurpose(text.to_owned()))
    }
}

/// A timer to be written down. Planned twice, it is there once: its row is known by its due time and its identity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NewTimer {
    pub id: TimerId,
    pub due: Timestamp,
    pub tenant: TenantId,
    pub purpose: Purpose,
    pub rule: String,
    /// Of what the rule says of time: where that changes, its pending timers are planned anew.
    pub timing: String,
    pub contact: Option<ContactId>,
    /// What it moves and dies with, such as an appointment.
    pub subject: Option<Uuid>,
    /// What the event will have as `data`, when it fires: a JSON object.
    pub payload: Value,
}

/// What a timer hangs on, kept in its payload as `anchor`: the event that planned it, as rules are to see it again.
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
    /// When it occurred.
    pub at: Timestamp,
    /// The moment that the timer comes before, such as an appointment's start: what it leads to is of no use after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Anchor {
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

    /// The anchor in a payload; `None` where it hangs on no event, as a schedule does.
    pub fn in_data(data: &Value) -> Option<Self> {
        Self::deserialize(data.get(ANCHOR)?).ok()
    }

    /// Puts the anchor into the data of its event; what was there under its name gives way.
    pub fn into_data(&self, mut data: Value) -> Value {
        if let (Value::Object(fields), Ok(anchor)) = (&mut data, serde_json::to_value(self)) {
            fields.insert(ANCHOR.to_owned(), anchor);
        }
        data
    }
}

/// What a timer's event says of the timer, as `data.timer`.
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
    /// What the event of a timer says; `None` for events of other kinds.
    pub fn of(event: &Event) -> Option<Self> {
        if event.kind != EventKind::TIMER {
            return None;
        }
        Self::deserialize(event.data.get(TIMER)?).ok()
    }

    /// Puts it into a payload, which makes that the data of the timer's event.
    pub fn into_data(&self, mut payload: Value) -> Value {
        if let (Value::Object(fields), Ok(fired)) = (&mut payload, serde_json::to_value(self)) {
            fields.insert(TIMER.to_owned(), fired);
        }
        payload
    }

    /// As [`Fired::into_data`], for a payload as its row has it. Gives the anchor, too.
    ///
    /// All of the payload is read, so that what becomes an event can be read again, but none of it is kept: many timers
    /// fall due at once.
    ///
    /// # Errors
    /// What is no JSON object.
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

/// What is asked of a payload.
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

/// Any JSON that can be read into a [`Value`]; unlike [`serde::de::IgnoredAny`] it looks at numbers and strings, too.
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
    /// Who has promised what about whom: (tenant, rule, anchor), where the anchor is the event it hangs on, the subject, or
    /// the contact. With the due time it is the identity of a firing, never with the rule's version.
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

    /// Else it would become an event that nobody can read.
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
