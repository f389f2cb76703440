//! The audio of calls: μ-law, 8,000 samples per second, one byte each (ITU-T G.711).

use std::f64::consts::TAU;
use std::path::Path;

use serde::{Deserialize, Serialize};

const SAMPLES_PER_MS: u64 = 8;
/// Bytes of a frame of 20 ms.
pub const FRAME_BYTES: usize = 160;
/// A silent sample.
pub const SILENCE: u8 = 0xff;
/// Limit of one sound: ten minutes.
const SOUND_MAX_MS: u64 = 600_000;
const HZ: f64 = 440.0;

/// A sound of a party: `{"tone_ms": 2000, "hz": 440}`, or `{"file": "/tmp/hola.ulaw"}` on this machine, μ-law without a
/// header.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Sound {
    Tone {
        tone_ms: u64,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hz: Option<f64>,
    },
    File {
        file: String,
    },
}

impl Sound {
    /// Checks the limits of the sound.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Tone { tone_ms, hz } => {
                if *tone_ms > SOUND_MAX_MS || hz.is_some_and(|hz| !(1.0..=4_000.0).contains(&hz)) {
                    return Err(format!("tone_ms is {SOUND_MAX_MS} at most, hz is 1 to 4000"));
                }
            }
            Self::File { file } => {
                let most = SOUND_MAX_MS * SAMPLES_PER_MS;
                let known = std::fs::metadata(file).map_err(|error| format!("{file} cannot be read: {error}"))?;
                if !known.is_file() || known.len() > most {
                    return Err(format!("{file} is no file of {most} bytes at most"));
                }
            }
        }
        Ok(())
    }

    /// Returns its bytes; empty if its file is gone.
    pub async fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Tone { tone_ms, hz } => tone(*tone_ms, hz.unwrap_or(HZ)),
            Self::File { file } => {
                let file = Path::new(file).to_owned();
                // Reading a file may block.
                tokio::task::spawn_blocking(move || std::fs::read(file).unwrap_or_default()).await.unwrap_or_default()
            }
        }
    }
}

/// Returns a tone as long as the words would take.
pub fn speech_tone(text: &str) -> Vec<u8> {
    tone(200 + text.chars().count() as u64 * 1_000 / 15, HZ)
}

/// Returns a tone of so many seconds.
pub fn tone_of(seconds: u64) -> Vec<u8> {
    tone(seconds.saturating_mul(1_000), HZ)
}

/// Returns silence.
pub fn silence(ms: u64) -> Vec<u8> {
    vec![SILENCE; (ms.min(SOUND_MAX_MS) * SAMPLES_PER_MS) as usize]
}

fn tone(ms: u64, hz: f64) -> Vec<u8> {
    let samples = ms.min(SOUND_MAX_MS) * SAMPLES_PER_MS;
    let at = |sample: u64| (8_000.0 * (TAU * hz * sample as f64 / 8_000.0).sin()) as i16;
    (0..samples).map(|sample| encode(at(sample))).collect()
}

/// Encodes a sample of 16 bits by G.711: sign, segment, step, all inverted.
const fn encode(sample: i16) -> u8 {
    const BIAS: i32 = 0x84;
    let sign = if sample < 0 { 0x80 } else { 0 };
    let size = (sample as i32).abs();
    let size = (if size > 32_635 { 32_635 } else { size }) + BIAS;
    let segment = 31 - (size >> 7).leading_zeros() as i32;
    let step = (size >> (segment + 3)) & 0x0f;
    !(sign | (segment << 4) | step) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_written_as_g_711_has_them() {
        for (sample, byte) in [(0, 0xff), (-1, 0x7f), (32_767, 0x80), (-32_768, 0x00), (1_000, 0xce), (-1_000, 0x4e)] {
            assert_eq!(encode(sample), byte, "{sample}");
        }
        assert_eq!((tone(20, 440.0).len(), silence(20)), (FRAME_BYTES, vec![SILENCE; FRAME_BYTES]));
    }
}
