//! Stored media streams.

use serde::Serialize;

/// Limit of stored received audio: over a minute.
const KEPT_MAX_BYTES: usize = 512 * 1024;
const MARKS_KEPT_MAX: usize = 1_000;

/// A stored stream.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StreamRecord {
    pub sid: String,
    pub call_sid: String,
    pub name: String,
    pub url: String,
    pub frames_sent: u64,
    pub frames_received: u64,
    pub bytes_received: u64,
    /// Received marks, in order.
    pub marks: Vec<String>,
    pub clears: u64,
    /// Audio that `clear` removed before it was played.
    pub bytes_cleared: u64,
    pub over: bool,
    /// The beginning of the received audio, μ-law.
    #[serde(skip)]
    pub sound: Vec<u8>,
}

impl StreamRecord {
    /// Records received audio.
    pub fn take(&mut self, sound: &[u8]) {
        self.frames_received += 1;
        self.bytes_received += sound.len() as u64;
        let room = KEPT_MAX_BYTES.saturating_sub(self.sound.len());
        self.sound.extend(&sound[..sound.len().min(room)]);
    }

    /// Records a received mark.
    pub fn mark(&mut self, name: &str) {
        if self.marks.len() < MARKS_KEPT_MAX {
            self.marks.push(name.to_owned());
        }
    }

    /// Records a `clear` and the audio that it removed.
    pub fn clear(&mut self, bytes: u64) {
        self.clears += 1;
        self.bytes_cleared += bytes;
    }
}
