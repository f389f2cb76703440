//! A log line that anybody outside can provoke is written once a minute for each kind.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::domain::Timestamp;

/// The time between two lines of one kind.
const EVERY: Duration = Duration::from_secs(60);
/// The most kinds that are told apart. Further kinds share one place.
const KINDS_MAX: usize = 1_000;

/// Decides which lines are written.
#[derive(Debug, Default)]
pub struct Throttle(Mutex<HashMap<String, Seen>>);

#[derive(Debug)]
struct Seen {
    logged_at: Timestamp,
    left_out: u64,
}

impl Throttle {
    /// Whether a line of this kind is to be written now: if so, the number of lines that were left out since the last one.
    pub fn admit(&self, kind: &str, now: Timestamp) -> Option<u64> {
        let mut seen = self.0.lock();
        if !seen.contains_key(kind) && seen.len() >= KINDS_MAX {
            seen.retain(|_, one| now.since(one.logged_at) < EVERY);
        }
        let kind = if seen.contains_key(kind) || seen.len() < KINDS_MAX { kind } else { "" };
        let Some(one) = seen.get_mut(kind) else {
            seen.insert(kind.to_owned(), Seen { logged_at: now, left_out: 0 });
            return Some(0);
        };
        if now.since(one.logged_at) < EVERY {
            one.left_out += 1;
            return None;
        }
        let left_out = std::mem::take(&mut one.left_out);
        one.logged_at = now;
        Some(left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_logged_once_a_minute_with_the_number_left_out() {
        let throttle = Throttle::default();
        let at = |s: i64| Timestamp::from_unix_us(s * 1_000_000);
        assert_eq!(throttle.admit("a", at(0)), Some(0));
        assert_eq!((throttle.admit("a", at(1)), throttle.admit("a", at(59))), (None, None));
        assert_eq!(throttle.admit("b", at(59)), Some(0));
        assert_eq!(throttle.admit("a", at(60)), Some(2));
        assert_eq!(throttle.admit("a", at(61)), None);
    }

    #[test]
    fn kinds_without_end_take_little_room() {
        let throttle = Throttle::default();
        let logged = (0..5_000).filter(|n| throttle.admit(&n.to_string(), Timestamp::from_unix_us(1)).is_some());
        assert!(logged.count() <= KINDS_MAX + 1);
        assert!(throttle.0.lock().len() <= KINDS_MAX + 1);
    }
}
