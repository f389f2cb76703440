//! The stored messages, in the order of creation and of change.

use std::collections::{BTreeMap, HashMap, VecDeque};

use serde::Serialize;

use super::templates::Rendered;
use crate::domain::channel::Channel;
use crate::domain::clock::Timestamp;
use crate::domain::status::DeliveryStatus;

/// The direction of a message, as seen by the business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(const_into_str, serialize_all = "kebab-case")]
pub enum Direction {
    Inbound,
    /// Created by the REST API.
    OutboundApi,
    /// An answer by TwiML, or by the emulator to STOP and the like.
    OutboundReply,
}

impl Direction {
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

/// The result of an inbound message's webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WebhookOutcome {
    /// HTTP status; absent without an answer.
    pub status: Option<u16>,
    pub attempts: u32,
    /// Twilio's code of the failure.
    pub error: Option<u32>,
}

/// A message, from a customer or to one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub sid: String,
    pub account_sid: String,
    pub direction: Direction,
    pub messaging_service_sid: Option<String>,
    /// `None` until a Messaging Service has chosen a number.
    pub from: Option<String>,
    pub to: String,
    pub body: String,
    pub media_urls: Vec<String>,
    pub content_sid: Option<String>,
    pub content_variables: Option<String>,
    /// The rendered template.
    pub template: Option<Rendered>,
    pub status_callback: Option<String>,
    /// The message that it answers.
    pub reply_to: Option<String>,
    /// Absent while the webhook runs, and without a webhook.
    pub webhook: Option<WebhookOutcome>,
    pub status: DeliveryStatus,
    pub error_code: Option<u32>,
    /// The customer opened it before its delivery was reported.
    pub read_early: bool,
    /// When a scheduled message is sent.
    pub send_at: Option<Timestamp>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub sent_at: Option<Timestamp>,
    /// Number of its last change, over all messages.
    pub seq: u64,
}

impl Message {
    /// Creates a message without a text: queued, or received if it comes from a customer.
    pub fn new(sid: String, account_sid: String, direction: Direction, now: Timestamp) -> Self {
        let inbound = direction == Direction::Inbound;
        Self {
            sid,
            account_sid,
            direction,
            messaging_service_sid: None,
            from: None,
            to: String::new(),
            body: String::new(),
            media_urls: Vec::new(),
            content_sid: None,
            content_variables: None,
            template: None,
            status_callback: None,
            reply_to: None,
            webhook: None,
            status: if inbound { DeliveryStatus::Received } else { DeliveryStatus::Queued },
            error_code: None,
            read_early: false,
            send_at: None,
            created_at: now,
            updated_at: now,
            sent_at: inbound.then_some(now),
            seq: 0,
        }
    }

    /// The channel that the addresses name.
    pub fn channel(&self) -> Channel {
        Channel::of_address(&self.to).0
    }

    /// Returns the customer's address, without the channel's prefix.
    pub fn customer(&self) -> &str {
        let address = match self.direction {
            Direction::Inbound => self.from.as_deref().unwrap_or_default(),
            Direction::OutboundApi | Direction::OutboundReply => &self.to,
        };
        bare(address)
    }
}

/// Returns an address without the channel's prefix.
pub fn bare(address: &str) -> &str {
    Channel::of_address(address).1
}

/// Conditions of a list; days in UTC as `YYYY-MM-DD`, which compare as text.
#[derive(Default)]
pub struct Conditions<'a> {
    pub account: &'a str,
    pub to: Option<&'a str>,
    pub from: Option<&'a str>,
    pub sent_on: Option<&'a str>,
    pub sent_on_or_before: Option<&'a str>,
    pub sent_on_or_after: Option<&'a str>,
}

/// In the order of arrival; a message's number counts from the first one.
pub struct Store {
    keep_max: usize,
    first: u64,
    /// `None` for a deleted message.
    messages: VecDeque<Option<Message>>,
    by_sid: HashMap<String, u64>,
    by_to: HashMap<String, VecDeque<u64>>,
    /// The message's number, by that of its last change.
    by_seq: BTreeMap<u64, u64>,
    seq: u64,
}

impl Store {
    /// Creates a store of at most `keep_max` messages.
    pub fn new(keep_max: usize) -> Self {
        Self {
            keep_max,
            first: 0,
            messages: VecDeque::new(),
            by_sid: HashMap::new(),
            by_to: HashMap::new(),
            by_seq: BTreeMap::new(),
            seq: 0,
        }
    }

    /// Returns the number of the last change.
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Stores a message and returns it.
    pub fn push(&mut self, mut message: Message) -> Message {
        let number = self.first + self.messages.len() as u64;
        self.seq += 1;
        message.seq = self.seq;
        self.by_seq.insert(self.seq, number);
        self.by_sid.insert(message.sid.clone(), number);
        self.by_to.entry(message.to.clone()).or_default().push_back(number);
        self.messages.push_back(Some(message.clone()));
        if self.messages.len() > self.keep_max {
            self.forget_oldest();
        }
        message
    }

    /// Returns the messages, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Message> {
        self.messages.iter().flatten()
    }

    /// Returns the messages to one address, oldest first.
    pub fn to(&self, to: &str) -> impl Iterator<Item = &Message> {
        self.by_to.get(to).into_iter().flatten().filter_map(|number| self.at(*number))
    }

    /// Returns a message.
    pub fn find(&self, sid: &str) -> Option<&Message> {
        self.at(*self.by_sid.get(sid)?)
    }

    /// Changes a message and returns it; `None` if there is no such message.
    pub fn change(&mut self, sid: &str, now: Timestamp, change: impl FnOnce(&mut Message)) -> Option<Message> {
        let number = *self.by_sid.get(sid)?;
        let index = number.checked_sub(self.first)? as usize;
        let message = self.messages.get_mut(index)?.as_mut()?;
        change(message);
        message.updated_at = now;
        self.seq += 1;
        self.by_seq.remove(&message.seq);
        message.seq = self.seq;
        self.by_seq.insert(self.seq, number);
        Some(message.clone())
    }

    /// Removes a message from every list.
    pub fn remove(&mut self, sid: &str) {
        let Some(number) = self.by_sid.remove(sid) else { return };
        let gone = number.checked_sub(self.first).and_then(|index| self.messages.get_mut(index as usize)?.take());
        if let Some(message) = gone {
            self.by_seq.remove(&message.seq);
        }
    }

    /// Returns the messages that changed after `seq`, oldest change first; of one customer, or of all.
    pub fn changed_after(&self, seq: u64, customer: Option<&str>, limit: usize) -> Vec<Message> {
        let changed = self.by_seq.range(seq.saturating_add(1)..).filter_map(|(_, number)| self.at(*number));
        let concerned = changed.filter(|message| customer.is_none_or(|customer| message.customer() == customer));
        concerned.take(limit).cloned().collect()
    }

    /// Returns a page of the messages created before `before`, newest first, and whether more follow.
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
            .filter(|message| conditions.matches(message));
        let page = found.by_ref().take(size).cloned().collect();
        (page, found.next().is_some())
    }

    fn at(&self, number: u64) -> Option<&Message> {
        self.messages.get(number.checked_sub(self.first)? as usize)?.as_ref()
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.messages.pop_front() else { return };
        let number = self.first;
        self.first += 1;
        let Some(oldest) = oldest else { return };
        // A SID that `add_inbound` used twice belongs to the newer message.
        if self.by_sid.get(&oldest.sid) == Some(&number) {
            self.by_sid.remove(&oldest.sid);
        }
        self.by_seq.remove(&oldest.seq);
        if let Some(numbers) = self.by_to.get_mut(&oldest.to) {
            // Messages deleted earlier may precede it.
            while numbers.front().is_some_and(|to| *to <= number) {
                numbers.pop_front();
            }
            if numbers.is_empty() {
                self.by_to.remove(&oldest.to);
            }
        }
    }
}

impl Conditions<'_> {
    fn matches(&self, message: &Message) -> bool {
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
