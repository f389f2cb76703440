//! Twilio's media stream messages: JSON texts with an `event`; numbers travel as strings
//! (<https://www.twilio.com/docs/voice/media-streams/websocket-messages>).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// μ-law samples per millisecond, one byte each.
pub const BYTES_PER_MS: u64 = 8;

/// A message from Twilio. [`Received::Unknown`] messages are ignored.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "event", rename_all = "camelCase")]
pub enum Received<'a> {
    /// The first message.
    Connected,
    /// The second message.
    Start { start: Start },
    /// Usually 20 ms of the caller's audio.
    Media {
        #[serde(borrow)]
        media: Media<'a>,
    },
    /// The caller pressed a key.
    Dtmf { dtmf: Dtmf },
    /// All audio before the mark of this name has been played, or cleared.
    Mark { mark: Mark },
    /// The last message.
    Stop,
    #[serde(other)]
    Unknown,
}

/// The parameters of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Start {
    pub account_sid: String,
    pub call_sid: String,
    pub stream_sid: String,
    pub media_format: MediaFormat,
    /// The values of `<Parameter>` in the TwiML.
    #[serde(default)]
    pub custom_parameters: BTreeMap<String, String>,
}

/// The audio format of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MediaFormat {
    pub encoding: String,
    #[serde(deserialize_with = "number")]
    pub sample_rate: u64,
    #[serde(deserialize_with = "number")]
    pub channels: u64,
}

impl MediaFormat {
    /// True for telephone audio; Twilio has no other format.
    pub fn is_telephone(&self) -> bool {
        self.encoding == "audio/x-mulaw" && self.sample_rate == 8_000 && self.channels == 1
    }
}

/// A piece of audio from Twilio.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Media<'a> {
    /// The caller's track is `inbound`.
    #[serde(borrow)]
    pub track: Cow<'a, str>,
    /// Milliseconds since the stream began.
    #[serde(rename = "timestamp", deserialize_with = "number")]
    pub timestamp_ms: u64,
    /// Base64 of μ-law at 8 kHz, without a header.
    #[serde(borrow)]
    pub payload: Cow<'a, str>,
}

/// A pressed key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Dtmf {
    pub digit: String,
}

/// A mark that Twilio returns.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Mark {
    pub name: String,
}

/// A message to Twilio.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "camelCase")]
pub enum Sent<'a> {
    #[serde(rename_all = "camelCase")]
    Media { stream_sid: &'a str, media: Payload<'a> },
    /// Twilio returns the mark after it has played the audio before it.
    #[serde(rename_all = "camelCase")]
    Mark { stream_sid: &'a str, mark: Named<'a> },
    /// Drops the audio that waits to be played; its marks come back.
    #[serde(rename_all = "camelCase")]
    Clear { stream_sid: &'a str },
}

/// The audio of an outgoing message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Payload<'a> {
    pub payload: &'a str,
}

/// The name of an outgoing mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Named<'a> {
    pub name: &'a str,
}

impl Sent<'_> {
    /// Formats the message.
    pub fn to_json(&self) -> String {
        // Serializing texts cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Reads a whole number, written as a string or as a number.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(String),
        Number(u64),
    }
    match Written::deserialize(deserializer)? {
        Written::Number(number) => Ok(number),
        Written::Text(text) => text.parse().map_err(|_| D::Error::custom("a whole number is expected")),
    }
}

/// Counts the bytes of the audio in `payload` without decoding it; `None` if it is not base64 (RFC 4648, 4).
pub fn audio_bytes(payload: &str) -> Option<u64> {
    let digits = payload.trim_end_matches('=');
    let good = payload.len().is_multiple_of(4)
        && payload.len() - digits.len() <= 2
        && digits.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'));
    good.then_some(digits.len() as u64 * 3 / 4)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messages_are_read_as_twilio_writes_them() {
        let check = |text: serde_json::Value, expect: Received<'_>| {
            assert_eq!(serde_json::from_str::<Received>(&text.to_string()).unwrap(), expect);
        };
        check(json!({"event": "connected", "protocol": "Call", "version": "1.0.0"}), Received::Connected);
        check(
            json!({
                "event": "start", "sequenceNumber": "1", "streamSid": "MZ1",
                "start": {
                    "accountSid": "AC1", "streamSid": "MZ1", "callSid": "CA1", "tracks": ["inbound"],
                    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": "1"},
                    "customParameters": {"agent": "ana"},
                },
            }),
            Received::Start {
                start: Start {
                    account_sid: "AC1".into(),
                    call_sid: "CA1".into(),
                    stream_sid: "MZ1".into(),
                    media_format: MediaFormat { encoding: "audio/x-mulaw".into(), sample_rate: 8_000, channels: 1 },
                    custom_parameters: [("agent".to_owned(), "ana".to_owned())].into(),
                },
            },
        );
        check(
            json!({
                "event": "media", "sequenceNumber": "4", "streamSid": "MZ1",
                "media": {"track": "inbound", "chunk": "2", "timestamp": "25", "payload": "//79"},
            }),
            Received::Media { media: Media { track: "inbound".into(), timestamp_ms: 25, payload: "//79".into() } },
        );
        check(
            json!({"event": "mark", "sequenceNumber": "4", "streamSid": "MZ1", "mark": {"name": "7"}}),
            Received::Mark { mark: Mark { name: "7".into() } },
        );
        check(
            json!({"event": "dtmf", "streamSid": "MZ1", "dtmf": {"track": "inbound_track", "digit": "#"}}),
            Received::Dtmf { dtmf: Dtmf { digit: "#".into() } },
        );
        check(json!({"event": "stop", "stop": {"accountSid": "AC1", "callSid": "CA1"}}), Received::Stop);
        check(json!({"event": "weather", "weather": {}}), Received::Unknown);
        for bad in ["", "{}", r#"{"event":"media"}"#, r#"{"event":"start","start":{}}"#] {
            assert!(serde_json::from_str::<Received>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn messages_are_written_as_twilio_reads_them() {
        let media = Sent::Media { stream_sid: "MZ1", media: Payload { payload: "//79" } };
        assert_eq!(media.to_json(), r#"{"event":"media","streamSid":"MZ1","media":{"payload":"//79"}}"#);
        let mark = Sent::Mark { stream_sid: "MZ1", mark: Named { name: "7" } };
        assert_eq!(mark.to_json(), r#"{"event":"mark","streamSid":"MZ1","mark":{"name":"7"}}"#);
        assert_eq!(Sent::Clear { stream_sid: "MZ1" }.to_json(), r#"{"event":"clear","streamSid":"MZ1"}"#);
    }

    #[test]
    fn audio_is_measured_without_decoding_it() {
        for (payload, bytes) in [("", Some(0)), ("//79", Some(3)), ("//4=", Some(2)), ("/w==", Some(1))] {
            assert_eq!(audio_bytes(payload), bytes, "{payload}");
        }
        for bad in ["//7", "//7\"", "====", "a===", "//7é", "a b=", "=AAA"] {
            assert_eq!(audio_bytes(bad), None, "{bad}");
        }
    }
}
