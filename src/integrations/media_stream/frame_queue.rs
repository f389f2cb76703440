//! The queues between reading one socket and writing the other, each with its own limit.

use std::collections::VecDeque;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::message::BYTES_PER_MS;

/// Limit of waiting messages without audio to ElevenLabs: pongs and tool results.
pub const CONTROLS_MAX: usize = 64;
/// Limit of waiting pieces of the agent's audio to Twilio, however short.
pub const AGENT_PIECES_MAX: usize = 5_000;

/// A queue that notifies its reader.
#[derive(Default)]
pub struct FrameQueue<Q> {
    queue: Mutex<Q>,
    more: Notify,
}

/// A bounded queue of one direction.
pub trait Queue {
    type Item;
    fn pop(&mut self) -> Option<Self::Item>;
}

impl<Q: Queue> FrameQueue<Q> {
    /// Changes the queue and notifies the reader.
    pub fn change<R>(&self, change: impl FnOnce(&mut Q) -> R) -> R {
        let changed = change(&mut self.lock());
        self.more.notify_one();
        changed
    }

    /// Waits for the oldest item. For one reader only.
    pub async fn next(&self) -> Q::Item {
        loop {
            let item = self.lock().pop();
            if let Some(item) = item {
                return item;
            }
            self.more.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Q> {
        // Every change is whole before anything in it can panic.
        self.queue.lock()
    }
}

/// Messages to ElevenLabs, in order.
#[derive(Default)]
pub struct ToAgent {
    items: VecDeque<(Kind, String)>,
    audio: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Audio,
    Control,
}

impl ToAgent {
    /// Adds audio and drops the oldest beyond `max`: the caller goes on speaking even if the agent does not keep up.
    /// Returns true if it dropped audio.
    pub fn push_audio(&mut self, message: String, max: usize) -> bool {
        let full = self.audio >= max;
        let oldest = || self.items.iter().position(|(kind, _)| *kind == Kind::Audio);
        if full && let Some(oldest) = oldest() {
            self.items.remove(oldest);
            self.audio -= 1;
        }
        self.items.push_back((Kind::Audio, message));
        self.audio += 1;
        full
    }

    /// Adds a control message; false if there is no room.
    pub fn push_control(&mut self, message: String) -> bool {
        let room = self.items.len() - self.audio < CONTROLS_MAX;
        if room {
            self.items.push_back((Kind::Control, message));
        }
        room
    }
}

impl Queue for ToAgent {
    type Item = String;

    fn pop(&mut self) -> Option<String> {
        let (kind, message) = self.items.pop_front()?;
        self.audio -= usize::from(kind == Kind::Audio);
        Some(message)
    }
}

/// An item to Twilio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spoken {
    Audio(Piece),
    Clear,
}

/// A piece of the agent's audio and the mark that follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub event_id: i64,
    /// Increases through the stream.
    pub mark: u64,
    pub bytes: u64,
    pub payload: String,
}

/// Items to Twilio; only an interruption drops audio.
#[derive(Default)]
pub struct ToCaller {
    items: VecDeque<Spoken>,
    bytes: u64,
}

impl ToCaller {
    /// Adds a piece; false if there is no room, by `max_ms` of audio or by [`AGENT_PIECES_MAX`].
    pub fn push(&mut self, piece: Piece, max_ms: u64) -> bool {
        let bytes = self.bytes + piece.bytes;
        let room = bytes <= max_ms * BYTES_PER_MS && self.items.len() < AGENT_PIECES_MAX;
        if room {
            self.bytes = bytes;
            self.items.push_back(Spoken::Audio(piece));
        }
        room
    }

    /// Removes the audio up to `event_id` and puts a clear before the rest. Returns the number of removed pieces, and
    /// the mark of the first remaining one.
    pub fn interrupt(&mut self, event_id: i64) -> (u64, Option<u64>) {
        let before = self.items.len();
        // The new clear includes an older one.
        let clears = self.items.iter().filter(|item| **item == Spoken::Clear).count();
        self.items.retain(|item| matches!(item, Spoken::Audio(piece) if piece.event_id > event_id));
        let pieces = self.items.iter().filter_map(|item| match item {
            Spoken::Audio(piece) => Some(piece),
            Spoken::Clear => None,
        });
        self.bytes = pieces.clone().map(|piece| piece.bytes).sum();
        let first = pieces.map(|piece| piece.mark).next();
        let gone = before - clears - self.items.len();
        self.items.push_front(Spoken::Clear);
        (gone as u64, first)
    }
}

impl Queue for ToCaller {
    type Item = Spoken;

    fn pop(&mut self) -> Option<Spoken> {
        let item = self.items.pop_front()?;
        if let Spoken::Audio(piece) = &item {
            self.bytes -= piece.bytes;
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(event_id: i64, mark: u64) -> Piece {
        Piece { event_id, mark, bytes: 800, payload: String::new() }
    }

    #[test]
    fn the_oldest_audio_goes_and_nothing_else() {
        let mut queue = ToAgent::default();
        assert!(queue.push_control("pong".into()));
        assert!(!queue.push_audio("a".into(), 2));
        assert!(!queue.push_audio("b".into(), 2));
        assert!(queue.push_audio("c".into(), 2));
        let left: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(left, ["pong", "b", "c"]);
        assert!((0..CONTROLS_MAX).all(|_| queue.push_control("pong".into())));
        assert!(!queue.push_control("pong".into()));
        assert!(!queue.push_audio("d".into(), 1), "a flood of pings takes no room from audio");
    }

    #[test]
    fn an_interruption_takes_back_what_was_not_sent() {
        let mut queue = ToCaller::default();
        for (event_id, mark) in [(1, 1), (2, 2), (3, 3)] {
            assert!(queue.push(piece(event_id, mark), 1_000));
        }
        assert_eq!(queue.interrupt(2), (2, Some(3)));
        assert_eq!(
            (queue.pop(), queue.pop(), queue.pop()),
            (Some(Spoken::Clear), Some(Spoken::Audio(piece(3, 3))), None)
        );
        assert_eq!(queue.bytes, 0);
        assert_eq!(queue.interrupt(9), (0, None));
        assert_eq!(queue.interrupt(9), (0, None));
        assert_eq!((queue.pop(), queue.pop()), (Some(Spoken::Clear), None));
    }

    #[test]
    fn agent_audio_is_bounded_by_its_time() {
        let mut queue = ToCaller::default();
        assert!((0..10).all(|mark| queue.push(piece(1, mark), 1_000)));
        assert!(!queue.push(piece(1, 11), 1_000), "a second of audio waits");
        queue.pop();
        assert!(queue.push(piece(1, 11), 1_000));
    }

    #[tokio::test]
    async fn a_frame_wakes_the_reader() {
        let queue = FrameQueue::<ToAgent>::default();
        let (got, ()) = tokio::join!(queue.next(), async {
            tokio::task::yield_now().await;
            queue.change(|queue| queue.push_audio("a".into(), 9));
        });
        assert_eq!(got, "a");
    }
}
