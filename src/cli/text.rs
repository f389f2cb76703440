//! Text for terminals. What comes from outside passes one of [`one_line`], [`short`] and [`lines`]: it may contain control
//! sequences and line breaks.

pub use crate::domain::plain::{lines, one_line, short};

use crate::domain::Timestamp;
use crate::integrations::twilio::codes;

/// A time in UTC, to the second.
pub fn time(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%d %H:%M:%SZ").to_string()
}

/// A time in UTC, to the millisecond, for things that happen within one second.
pub fn exact_time(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%d %H:%M:%S%.3fZ").to_string()
}

/// A provider's error code with its meaning and a remedy.
pub fn code(code: i64) -> String {
    let known = u32::try_from(code).ok().and_then(codes::lookup);
    match known {
        Some(known) => format!("{code}: {}; {}", known.meaning, known.remedy),
        None => format!("{code}: see https://www.twilio.com/docs/api/errors/{code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_say_what_helps() {
        assert!(code(21610).contains("opted out"));
        assert!(code(1).contains("errors/1"));
        assert!(code(-1).contains("errors/-1"));
    }
}
