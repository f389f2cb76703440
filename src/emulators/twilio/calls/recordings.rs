//! Recordings: a JSON resource, and an audio file of the right length (a tone; the words are in the call's events).
//!
//! After <https://www.twilio.com/docs/voice/api/recording>.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::super::answer::{self, rfc2822};
use super::super::carrier::Carrier;
use super::super::request::Authenticated;
use super::call::{Call, CallEvent};
use super::sound;
use crate::domain::Timestamp;

/// Fetches `RE….json`, `RE….wav`, or `RE…` alone, which is the audio as well.
pub async fn fetch(
    State(carrier): State<Carrier>,
    Authenticated((account, file)): Authenticated<(String, String)>,
) -> Response {
    let (sid, kind) = file.split_once('.').unwrap_or((&file, "wav"));
    let store = carrier.0.calls.store();
    let own = store.iter().rev().filter(|call| call.account_sid == account);
    let found = own.filter_map(|call| Some((call.sid.clone(), recorded(call, sid)?))).next();
    drop(store);
    let Some((call_sid, (at, seconds))) = found else {
        return answer::not_found(&format!("/2010-04-01/Accounts/{account}/Recordings/{file}"));
    };
    if kind != "json" {
        return ([("content-type", "audio/x-wav")], wav(sound::tone_of(seconds))).into_response();
    }
    Json(json!({
        "sid": sid, "account_sid": account, "call_sid": call_sid, "status": "completed", "channels": 1,
        "duration": seconds.to_string(), "date_created": rfc2822(at), "api_version": "2010-04-01",
        "uri": format!("/2010-04-01/Accounts/{account}/Recordings/{sid}.json"),
    }))
    .into_response()
}

fn recorded(call: &Call, wanted: &str) -> Option<(Timestamp, u64)> {
    call.entries.iter().find_map(|entry| match &entry.what {
        CallEvent::Recorded { sid, seconds, .. } if sid == wanted => Some((entry.at, *seconds)),
        _ => None,
    })
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
