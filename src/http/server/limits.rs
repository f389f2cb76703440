//! The limits of a listener.

use std::time::Duration;

use rustix::process::{Resource, getrlimit};

/// The time from the first byte of a request, or from the start of a connection, to the end of the request's head.
const HEADER_WITHIN: Duration = Duration::from_secs(10);
/// The largest head: request line and header fields. Twilio's have about 2 kB.
const HEADER_MAX_BYTES: usize = 32 * 1024;
/// The time from the head to the last byte of the body. Handlers have shorter limits of their own, which answer 408.
const BODY_WITHIN: Duration = Duration::from_secs(75);
/// The time that a peer may leave a response unread.
const WRITE_WITHIN: Duration = Duration::from_secs(30);
/// The time that a connection may stay open between two requests. Proxies keep theirs for 60 s (nginx), and must be the
/// ones that close it: otherwise a request may meet a connection that closes.
const IDLE_WITHIN: Duration = Duration::from_secs(65);
/// The most connections, whatever the system allows: each takes memory.
const CONNECTIONS_MAX: usize = 10_000;
/// Descriptors that connections of clients leave to the rest, at least: the database (three for each of its connections),
/// requests to providers, the log, rule files.
const DESCRIPTORS_RESERVED: usize = 64;

/// The limits of a listener and of each of its connections.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionLimits {
    pub header_within: Duration,
    pub header_max_bytes: usize,
    pub body_within: Duration,
    pub write_within: Duration,
    pub idle_within: Duration,
    /// The most open connections, WebSockets included. One more closes the one that has been without a request for the
    /// longest time.
    pub connections_max: usize,
}

impl ConnectionLimits {
    /// The limits of this process. The number of connections follows from the number of files that it may open.
    pub fn of_process() -> Self {
        let descriptors = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok());
        Self {
            header_within: HEADER_WITHIN,
            header_max_bytes: HEADER_MAX_BYTES,
            body_within: BODY_WITHIN,
            write_within: WRITE_WITHIN,
            idle_within: IDLE_WITHIN,
            connections_max: connections_max(descriptors),
        }
    }
}

/// The most connections of a process that may have so many `descriptors`; `None` is without a limit.
fn connections_max(descriptors: Option<usize>) -> usize {
    let Some(descriptors) = descriptors else { return CONNECTIONS_MAX };
    let reserved = DESCRIPTORS_RESERVED.max(descriptors / 4);
    descriptors.saturating_sub(reserved).clamp(1, CONNECTIONS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_head_is_given_ten_seconds_at_most() {
        assert!(ConnectionLimits::of_process().header_within <= Duration::from_secs(10));
    }

    #[test]
    fn connections_leave_descriptors_to_the_rest() {
        for (descriptors, expected) in
            [(None, 10_000), (Some(1_048_576), 10_000), (Some(1_024), 768), (Some(128), 64), (Some(60), 1)]
        {
            assert_eq!(connections_max(descriptors), expected, "{descriptors:?}");
        }
    }
}
