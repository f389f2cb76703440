//! The stored calls, in the order of creation and of change.

use std::collections::{BTreeMap, HashMap};

use super::call::Call;
use crate::domain::Timestamp;

/// Conditions of a list. Times are ranges; a call without the time matches none.
#[derive(Default)]
pub struct Conditions<'a> {
    pub account: &'a str,
    pub to: Option<&'a str>,
    pub from: Option<&'a str>,
    pub parent: Option<&'a str>,
    pub status: Option<&'a str>,
    pub started: Vec<Range>,
    pub ended: Vec<Range>,
}

/// From the first on, before the second.
pub type Range = (Option<Timestamp>, Option<Timestamp>);

impl Conditions<'_> {
    fn matches(&self, call: &Call) -> bool {
        let within = |ranges: &[Range], at: Option<Timestamp>| {
            ranges.iter().all(|(from, before)| {
                at.is_some_and(|at| from.is_none_or(|from| at >= from) && before.is_none_or(|before| at < before))
            })
        };
        call.account_sid == self.account
            && self.to.is_none_or(|to| call.to == to)
            && self.from.is_none_or(|from| call.from == from)
            && self.parent.is_none_or(|parent| call.parent_sid.as_deref() == Some(parent))
            && self.status.is_none_or(|status| call.status.as_str() == status)
            && within(&self.started, call.started_at)
            && within(&self.ended, call.ended_at)
    }
}

/// The stored calls.
#[derive(Default)]
pub struct CallStore {
    keep_max: usize,
    next: u64,
    calls: BTreeMap<u64, Call>,
    by_sid: HashMap<String, u64>,
    /// A call's number, by that of its last change.
    by_seq: BTreeMap<u64, u64>,
    seq: u64,
}

impl CallStore {
    /// Creates a store of at most `keep_max` calls.
    pub fn new(keep_max: usize) -> Self {
        Self { keep_max, ..Self::default() }
    }

    /// Returns the number of the last change.
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Stores a call, and drops the oldest beyond the limit.
    pub fn push(&mut self, mut call: Call) {
        self.next += 1;
        self.seq += 1;
        call.seq = self.seq;
        self.by_sid.insert(call.sid.clone(), self.next);
        self.by_seq.insert(self.seq, self.next);
        self.calls.insert(self.next, call);
        if self.calls.len() > self.keep_max
            && let Some((_, oldest)) = self.calls.pop_first()
        {
            self.by_sid.remove(&oldest.sid);
            self.by_seq.remove(&oldest.seq);
        }
    }

    /// Returns the calls, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Call> {
        self.calls.values()
    }

    /// Returns a call.
    pub fn find(&self, sid: &str) -> Option<&Call> {
        self.calls.get(self.by_sid.get(sid)?)
    }

    /// Changes a call; `None` if there is no such call.
    pub fn change<T>(&mut self, sid: &str, now: Timestamp, change: impl FnOnce(&mut Call) -> T) -> Option<T> {
        let number = *self.by_sid.get(sid)?;
        let call = self.calls.get_mut(&number)?;
        let changed = change(call);
        call.updated_at = now;
        self.seq += 1;
        self.by_seq.remove(&call.seq);
        call.seq = self.seq;
        self.by_seq.insert(self.seq, number);
        Some(changed)
    }

    /// Removes a call.
    pub fn remove(&mut self, sid: &str) {
        let call = self.by_sid.remove(sid).and_then(|number| self.calls.remove(&number));
        if let Some(call) = call {
            self.by_seq.remove(&call.seq);
        }
    }

    /// Returns the calls that changed after `seq`, oldest change first; of one customer, or of all.
    pub fn changed_after(&self, seq: u64, customer: Option<&str>, limit: usize) -> Vec<&Call> {
        let changed = self.by_seq.range(seq.saturating_add(1)..).filter_map(|(_, number)| self.calls.get(number));
        changed.filter(|call| customer.is_none_or(|customer| call.customer() == customer)).take(limit).collect()
    }

    /// Returns a page of the calls created before `before`, newest first, and whether more follow.
    pub fn page(&self, conditions: &Conditions, before: Option<&str>, size: usize) -> (Vec<&Call>, bool) {
        let end = before.and_then(|sid| self.by_sid.get(sid)).copied().unwrap_or(u64::MAX);
        let mut found = self.calls.range(..end).rev().map(|(_, call)| call).filter(|call| conditions.matches(call));
        let page = found.by_ref().take(size).collect();
        (page, found.next().is_some())
    }
}
