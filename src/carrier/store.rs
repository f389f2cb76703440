//! The messages that the carrier remembers.

use std::collections::{HashMap, VecDeque};

use crate::domain::clock::Timestamp;
use crate::domain::status::DeliveryStatus;

/// A message, from a customer or to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub sid: String,
    pub account_sid: String,
    pub messaging_service_sid: Option<String>,
    /// `None` where a Messaging Service would choose.
    pub from: Option<String>,
    pub to: String,
    pub body: String,
    pub media_urls: Vec<String>,
    pub content_sid: Option<String>,
    pub content_variables: Option<String>,
    pub status_callback: Option<String>,
    /// `received` marks what came from a customer.
    pub status: DeliveryStatus,
    pub created_at: Timestamp,
    pub sent_at: Option<Timestamp>,
}

/// Conditions on a list; days in UTC as `YYYY-MM-DD`, which compare as text.
#[derive(Default)]
pub struct Conditions<'a> {
    pub account: &'a str,
    pub to: Option<&'a str>,
    pub from: Option<&'a str>,
    pub sent_on: Option<&'a str>,
    pub sent_on_or_before: Option<&'a str>,
    pub sent_on_or_after: Option<&'a str>,
}

/// In the order of arrival; a message's number counts from the first ever taken.
pub struct Store {
    keep_max: usize,
    first: u64,
    messages: VecDeque<Message>,
    by_sid: HashMap<String, u64>,
    by_to: HashMap<String, VecDeque<u64>>,
}

impl Store {
    pub fn new(keep_max: usize) -> Self {
        Self { keep_max, first: 0, messages: VecDeque::new(), by_sid: HashMap::new(), by_to: HashMap::new() }
    }

    pub fn push(&mut self, message: Message) {
        let number = self.first + self.messages.len() as u64;
        self.by_sid.insert(message.sid.clone(), number);
        self.by_to.entry(message.to.clone()).or_default().push_back(number);
        self.messages.push_back(message);
        if self.messages.len() > self.keep_max {
            self.forget_oldest();
        }
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Message> {
        self.messages.iter()
    }

    /// The messages to one address, the oldest first.
    pub fn to(&self, to: &str) -> impl Iterator<Item = &Message> {
        self.by_to.get(to).into_iter().flatten().filter_map(|number| self.at(*number))
    }

    pub fn find(&self, sid: &str) -> Option<&Message> {
        self.at(*self.by_sid.get(sid)?)
    }

    /// Moves a message's status forward.
    pub fn report(&mut self, sid: &str, status: DeliveryStatus, now: Timestamp) {
        let Some(number) = self.by_sid.get(sid) else { return };
        if let Some(message) = self.messages.get_mut((number - self.first) as usize) {
            message.status = message.status.advance(status);
            message.sent_at.get_or_insert(now);
        }
    }

    /// A page, the newest first, of what came before the message `before`; and whether more follows.
    pub fn page(&self, conditions: &Conditions, before: Option<&str>, size: usize) -> (Vec<Message>, bool) {
        let end = before.and_then(|sid| self.by_sid.get(sid)).copied().unwrap_or(u64::MAX);
        let all = self.first..self.first + self.messages.len() as u64;
        let numbers: Box<dyn Iterator<Item = u64>> = match conditions.to {
            Some(to) => Box::new(self.by_to.get(to).into_iter().flatten().rev().copied()),
            None => Box::new(all.rev()),
        };
        let mut found = numbers
            .filter(|number| *number < end)
            .filter_map(|number| self.at(number))
            .filter(|message| conditions.hold(message));
        let page = found.by_ref().take(size).cloned().collect();
        (page, found.next().is_some())
    }

    fn at(&self, number: u64) -> Option<&Message> {
        self.messages.get(number.checked_sub(self.first)? as usize)
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.messages.pop_front() else { return };
        // A SID given twice by `add_inbound` belongs to the newer one.
        if self.by_sid.get(&oldest.sid) == Some(&self.first) {
            self.by_sid.remove(&oldest.sid);
        }
        self.first += 1;
        if let Some(numbers) = self.by_to.get_mut(&oldest.to) {
            numbers.pop_front();
            if numbers.is_empty() {
                self.by_to.remove(&oldest.to);
            }
        }
    }
}

impl Conditions<'_> {
    fn hold(&self, message: &Message) -> bool {
        let sent_on = || message.sent_at.map(|at| at.to_utc().format("%Y-%m-%d").to_string());
        let day = |limit: Option<&str>, test: fn(&str, &str) -> bool| {
            limit.is_none_or(|limit| sent_on().is_some_and(|sent_on| test(&sent_on, limit)))
        };
        message.account_sid == self.account
            && self.from.is_none_or(|from| message.from.as_deref() == Some(from))
            && day(self.sent_on, |sent_on, limit| sent_on == limit)
            && day(self.sent_on_or_before, |sent_on, limit| sent_on <= limit)
            && day(self.sent_on_or_after, |sent_on, limit| sent_on >= limit)
    }
}
