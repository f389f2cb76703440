//! Recordings: a JSON resource, and an audio file of the right length (a tone; the words are in the call's events).
//!
//! After <https://www.twilio.com/docs/voice/api/recording>.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::super::answer::{self, PageMeta, PageQuery, rfc2822};
use super::super::carrier::Carrier;
use super::super::request::{Authenticated, ListQuery};
use super::call::{Call, CallEvent};
use super::sound;
use crate::domain::Timestamp;
use crate::integrations::twilio::form::Params;

/// Lists recordings, the newest first.
pub async fn list(
    State(carrier): State<Carrier>,
    Authenticated(account): Authenticated<String>,
    ListQuery(query): ListQuery,
) -> Response {
    let call = query.filled("CallSid").map(str::to_owned);
    carrier.list_recordings(
        &account,
        call.as_deref(),
        &format!("/2010-04-01/Accounts/{account}/Recordings.json"),
        &query,
    )
}

/// Lists the recordings of a call.
pub async fn list_of_call(
    State(carrier): State<Carrier>,
    Authenticated((account, call)): Authenticated<(String, String)>,
    ListQuery(query): ListQuery,
) -> Response {
    let path = format!("/2010-04-01/Accounts/{account}/Calls/{call}/Recordings.json");
    carrier.list_recordings(&account, Some(&call), &path, &query)
}

#[derive(Serialize)]
struct Page {
    #[serde(flatten)]
    meta: PageMeta,
    recordings: Vec<Value>,
}

impl Carrier {
    fn list_recordings(&self, account: &str, call: Option<&str>, path: &str, query: &Params) -> Response {
        let page = PageQuery::from_query(query);
        let store = self.0.calls.store();
        let of = |known: &&Call| known.account_sid == account && call.is_none_or(|sid| known.sid == sid);
        let mut all: Vec<(Timestamp, String, Value)> = Vec::new();
        for known in store.iter().filter(of) {
            for (sid, at, seconds) in recordings_of(known) {
                all.push((at, sid.to_owned(), resource(account, &known.sid, sid, at, seconds)));
            }
        }
        drop(store);
        all.sort_by(|one, other| (other.0, &other.1).cmp(&(one.0, &one.1)));
        let on = query.filled("DateCreated").map(|day| day.get(..10).unwrap_or(day).to_owned());
        let all = all.iter().filter(|(at, ..)| on.as_deref().is_none_or(|day| at.to_string().starts_with(day)));
        let Some((found, last)) = page.cut(all, |(_, sid, _)| sid) else { return answer::unknown_page() };
        let meta = page.meta(path, found.len(), last.as_deref());
        Json(Page { meta, recordings: found.into_iter().map(|(.., one)| one.clone()).collect() }).into_response()
    }
}

/// The recordings of a call: SID, time and seconds.
fn recordings_of(call: &Call) -> impl Iterator<Item = (&str, Timestamp, u64)> {
    call.entries.iter().filter_map(|entry| match &entry.what {
        CallEvent::Recorded { sid, seconds, .. } => Some((sid.as_str(), entry.at, *seconds)),
        _ => None,
    })
}

fn resource(account: &str, call_sid: &str, sid: &str, at: Timestamp, seconds: u64) -> Value {
    json!({
        "sid": sid, "account_sid": account, "call_sid": call_sid, "status": "completed", "channels": 1,
        "duration": seconds.to_string(), "date_created": rfc2822(at), "api_version": "2010-04-01",
        "uri": format!("/2010-04-01/Accounts/{account}/Recordings/{sid}.json"),
    })
}

/// Fetches `RE….json`, `RE….wav`, or `RE…` alone, which is the audio as well.
pub async fn fetch(
    State(carrier): State<Carrier>,
    Authenticated((account, file)): Authenticated<(String, String)>,
) -> Response {
    let (sid, kind) = file.split_once('.').unwrap_or((&file, "wav"));
    let store = carrier.0.calls.store();
    let own = store.iter().rev().filter(|call| call.account_sid == account);
    let recorded = |call: &Call| recordings_of(call).find(|(known, ..)| *known == sid).map(|(_, at, s)| (at, s));
    let found = own.filter_map(|call| Some((call.sid.clone(), recorded(call)?))).next();
    drop(store);
    let Some((call_sid, (at, seconds))) = found else {
        return answer::not_found(&format!("/2010-04-01/Accounts/{account}/Recordings/{file}"));
    };
    if kind != "json" {
        return ([("content-type", "audio/x-wav")], wav(sound::tone_of(seconds))).into_response();
    }
    Json(resource(&account, &call_sid, sid, at, seconds)).into_response()
}

/// μ-law in a WAV file: format 7, one channel, 8,000 bytes per second.
fn wav(sound: Vec<u8>) -> Vec<u8> {
    let length = sound.len() as u32;
    let mut file = Vec::with_capacity(sound.len() + 46);
    file.extend(b"RIFF");
    file.extend((38 + length).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(18u32.to_le_bytes());
    for part in [7u16, 1] {
        file.extend(part.to_le_bytes());
    }
    for part in [8_000u32, 8_000] {
        file.extend(part.to_le_bytes());
    }
    for part in [1u16, 8, 0] {
        file.extend(part.to_le_bytes());
    }
    file.extend(b"data");
    file.extend(length.to_le_bytes());
    file.extend(sound);
    file
}
