//! The occurrences of an event: its series, what was changed in it, and what of it no longer takes place.
//!
//! An occurrence is known by the UID of its event and by the time that the series has for it, its RECURRENCE-ID, also where
//! it was moved. Of several versions of an event or an occurrence the highest SEQUENCE counts, then the latest DTSTAMP.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use chrono::{NaiveDate, NaiveDateTime, TimeDelta};

use super::event::Item;
use super::fields::{Moment, minutes};
use super::zones::Zone;
use super::{AHEAD_MAX_DAYS, LeftOut, LeftOuts, OCCURRENCES_MAX};
use crate::domain::Timestamp;
use crate::store::tables::appointments::{
    CalendarPlace, CalendarVersion, CalendarVersions, Withdrawal, WithdrawalScope,
};
use crate::time::recurrence::{Budget, Rule, TooMuch, Until};

/// The farthest that RANGE=THISANDFUTURE moves a series.
const MOVE_MAX_DAYS: i64 = 366;

/// The span of time that is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub from: Timestamp,
    pub to: Timestamp,
}

impl Window {
    pub fn new(now: Timestamp) -> Self {
        Self { from: now, to: now.plus(Duration::from_secs(24 * 3_600) * AHEAD_MAX_DAYS) }
    }

    fn contains(&self, at: Timestamp) -> bool {
        (self.from..=self.to).contains(&at)
    }
}

/// An occurrence within the window.
#[derive(Debug)]
pub(super) struct Occurrence<'i, 'f> {
    /// The event that describes it.
    pub item: &'i Item<'f>,
    pub at: Timestamp,
    pub minutes: Result<Option<u32>, String>,
    pub place: CalendarPlace,
}

/// What a file says of one UID.
#[derive(Debug, Default)]
pub(super) struct Expanded<'i, 'f> {
    pub occurrences: Vec<Occurrence<'i, 'f>>,
    /// Events and parts of the series that are refused.
    pub refused: Vec<String>,
    pub withdrawals: Vec<Withdrawal>,
    /// Occurrences outside of the window.
    pub passed_over: usize,
}

/// Expands the events of one UID.
pub(super) fn expand<'i, 'f>(
    items: &'i [Item<'f>],
    window: Window,
    left_out: &mut LeftOuts,
    budget: &mut Budget,
) -> Expanded<'i, 'f> {
    let series = newest(items.iter().filter(|item| item.instead_of.is_none()), left_out);
    let zone = match series.or(items.first()).map(|item| &item.starts) {
        Some(Ok(Moment::At(_, zone))) => zone.clone(),
        _ => Zone::UTC,
    };
    let mut expansion = Expansion {
        uid: items.first().map(|item| item.uid.clone()).unwrap_or_default(),
        series,
        zone,
        window,
        by_time: BTreeMap::new(),
        by_day: BTreeMap::new(),
        later: Vec::new(),
        listed: HashSet::new(),
        expanded: Expanded::default(),
    };
    expansion.sort_changes(items, left_out);
    let mut is_whole = series.is_some() && !items.iter().any(|item| item.is_damaged);
    if let Some(series) = series.filter(|series| !series.is_cancelled) {
        if let Err(why) = expansion.series(series, budget) {
            expansion.expanded.refused.push(why);
            is_whole = false;
        }
    } else if series.is_none() {
        expansion.changes(&BTreeSet::new(), &BTreeSet::new());
    }
    expansion.withdraw(is_whole);
    expansion.expanded
}

/// The newest version of an event. Of equals it is the first in the file.
fn newest<'i, 'f>(versions: impl Iterator<Item = &'i Item<'f>>, left_out: &mut LeftOuts) -> Option<&'i Item<'f>> {
    let mut newest: Option<&'i Item<'f>> = None;
    for item in versions {
        let Some(other) = newest else {
            newest = Some(item);
            continue;
        };
        let (kept, dropped) = if other.version.is_older_than(item.version) { (item, other) } else { (other, item) };
        let is_older = dropped.version.is_older_than(kept.version);
        let what = if is_older { "an older version of" } else { "of the same UID and version as" };
        let why = format!("it is {what} the event at line {}, which is read instead", kept.event.line);
        left_out.add(LeftOut {
            matters: !is_older && !same_start(kept, dropped),
            ..LeftOut::new(dropped.event.line, "BEGIN", &why)
        });
        newest = Some(kept);
    }
    newest
}

fn too_often() -> String {
    format!("it recurs more than {OCCURRENCES_MAX} times within {AHEAD_MAX_DAYS} days")
}

fn same_start(one: &Item<'_>, other: &Item<'_>) -> bool {
    let instant = |item: &Item<'_>| item.starts.as_ref().ok().map(|starts| starts.instant(&Zone::UTC));
    instant(one) == instant(other)
}

struct Expansion<'i, 'f> {
    uid: String,
    series: Option<&'i Item<'f>>,
    /// The zone of the series.
    zone: Zone,
    window: Window,
    /// Changed occurrences, by the time that the series has for them.
    by_time: BTreeMap<Timestamp, &'i Item<'f>>,
    /// Those whose RECURRENCE-ID is a date.
    by_day: BTreeMap<NaiveDate, &'i Item<'f>>,
    /// Those that stand for all later occurrences as well, earliest first.
    later: Vec<(Timestamp, &'i Item<'f>)>,
    /// The occurrences that take place.
    listed: HashSet<Option<Timestamp>>,
    expanded: Expanded<'i, 'f>,
}

impl<'i, 'f> Expansion<'i, 'f> {
    fn sort_changes(&mut self, items: &'i [Item<'f>], left_out: &mut LeftOuts) {
        let mut versions: BTreeMap<Timestamp, Vec<&'i Item<'f>>> = BTreeMap::new();
        for item in items {
            if let Some(instead_of) = &item.instead_of {
                versions.entry(instead_of.instant(&self.zone)).or_default().push(item);
            }
        }
        for (at, versions) in versions {
            let Some(item) = newest(versions.into_iter(), left_out) else { continue };
            match &item.instead_of {
                Some(Moment::Day(day)) => self.by_day.insert(*day, item),
                _ => self.by_time.insert(at, item),
            };
            if item.and_later {
                self.later.push((at, item));
            }
        }
    }

    /// Finds the occurrences of the series, changed ones included.
    fn series(&mut self, series: &'i Item<'f>, budget: &mut Budget) -> Result<(), String> {
        let start = match &series.starts {
            Ok(Moment::At(wall, _)) => *wall,
            Ok(Moment::Day(_)) => return Err("it is about whole days: an appointment has a time".to_owned()),
            Err(why) => return Err(why.clone()),
        };
        let began = self.zone.to_instant(start);
        let slack = TimeDelta::days(2)
            + self.later.iter().map(|(at, item)| self.moved_by(*at, item).abs()).max().unwrap_or_default();
        let walls = (self.zone.to_wall(self.window.from) - slack, self.zone.to_wall(self.window.to) + slack);
        let mut times = BTreeMap::new();
        // A series whose rules all end before its start has no occurrence, as other readers have it.
        let ended = |rule: &Rule| rule.until.is_some_and(|until| self.last(until) < began);
        if series.rules.is_empty() || !series.rules.iter().all(ended) {
            times.insert(began, None);
        }
        for rule in &series.rules {
            times.extend(self.times(rule, start, walls, budget)?.into_iter().map(|at| (at, None)));
        }
        for (at, length) in &series.more {
            let at = match at {
                Moment::Day(day) => self.zone.to_instant(day.and_time(start.time())),
                at => at.instant(&self.zone),
            };
            times.insert(at, *length);
        }
        let (mut less, mut days) = (BTreeSet::new(), BTreeSet::new());
        for rule in &series.not_rules {
            less.extend(self.times(rule, start, walls, budget)?);
        }
        for moment in &series.less {
            if let Moment::Day(day) = moment {
                days.insert(*day);
            } else {
                less.insert(moment.instant(&self.zone));
            }
        }
        for (at, length) in times {
            let wall = self.zone.to_wall(at);
            let is_changed = self.by_time.contains_key(&at) || self.by_day.contains_key(&wall.date());
            if !is_changed && !less.contains(&at) && !days.contains(&wall.date()) {
                self.plain(series, at, length, at == began);
            }
            if let Some(item) = self.by_day.remove(&wall.date()) {
                self.by_time.entry(at).or_insert(item);
            }
        }
        self.changes(&less, &days);
        if self.expanded.occurrences.len() > usize::from(OCCURRENCES_MAX) {
            self.expanded.occurrences.clear();
            return Err(too_often());
        }
        Ok(())
    }

    fn last(&self, until: Until) -> Timestamp {
        match until {
            Until::Day(day) => Moment::Day(day).instant(&self.zone),
            Until::Local(wall) => self.zone.to_instant(wall),
            Until::Utc(utc) => Zone::UTC.to_instant(utc),
        }
    }

    /// The times of a rule in the window.
    fn times(
        &self,
        rule: &Rule,
        start: NaiveDateTime,
        walls: (NaiveDateTime, NaiveDateTime),
        budget: &mut Budget,
    ) -> Result<Vec<Timestamp>, String> {
        // A series that is moved is computed beyond the window.
        let max = usize::from(OCCURRENCES_MAX) * 4;
        let last = rule.until.map(|until| self.last(until));
        let end = last.map_or(walls.1, |last| walls.1.min(self.zone.to_wall(last) + TimeDelta::days(1)));
        let walls = rule.between(start, (walls.0, end), max, budget).map_err(|too_much| match too_much {
            TooMuch::Occurrences => too_often(),
            TooMuch::Steps => "its RRULE, with those before it, takes too long to compute: part the file".to_owned(),
        })?;
        let times = walls.into_iter().map(|wall| self.zone.to_instant(wall));
        Ok(times.filter(|at| last.is_none_or(|last| *at <= last)).collect())
    }

    /// How far RANGE=THISANDFUTURE moves the later occurrences, in local time of the series.
    fn moved_by(&self, at: Timestamp, item: &Item<'_>) -> TimeDelta {
        let Ok(starts @ Moment::At(..)) = &item.starts else { return TimeDelta::zero() };
        let moved = self.zone.to_wall(starts.instant(&self.zone)) - self.zone.to_wall(at);
        moved.clamp(TimeDelta::days(-MOVE_MAX_DAYS), TimeDelta::days(MOVE_MAX_DAYS))
    }

    /// An occurrence that has no event of its own.
    fn plain(&mut self, series: &'i Item<'f>, at: Timestamp, length: Option<i64>, is_first: bool) {
        let change = self.later.iter().rev().find(|(from, _)| *from < at).copied();
        let (item, moved) = match change {
            Some((from, item)) => (item, self.zone.to_instant(self.zone.to_wall(at) + self.moved_by(from, item))),
            None => (series, at),
        };
        if item.is_cancelled {
            return;
        }
        // An event becomes a series, or a series an event: its first occurrence stays the same appointment.
        let (occurrence, other) = if series.recurs { (Some(at), None) } else { (None, Some(at)) };
        let former = is_first.then_some(other);
        self.add(item, moved, length.or(item.lasts_s), (occurrence, former), None);
    }

    /// The changed occurrences that were not excluded.
    fn changes(&mut self, less: &BTreeSet<Timestamp>, days: &BTreeSet<NaiveDate>) {
        let by_day = std::mem::take(&mut self.by_day);
        let by_day =
            by_day.into_iter().map(|(day, item)| (Moment::Day(day).instant(&self.zone), item)).collect::<Vec<_>>();
        let changes: Vec<_> = std::mem::take(&mut self.by_time).into_iter().chain(by_day).collect();
        for (at, item) in changes {
            if item.is_cancelled {
                let of = if item.and_later { WithdrawalScope::From(at) } else { WithdrawalScope::One(Some(at)) };
                self.withdrawal(item.version, of);
                continue;
            }
            if less.contains(&at) || days.contains(&self.zone.to_wall(at).date()) {
                continue;
            }
            let starts = match &item.starts {
                Ok(Moment::Day(_)) => Err("it is about whole days: an appointment has a time".to_owned()),
                Ok(starts) => Ok(starts.instant(&self.zone)),
                Err(why) => Err(why.clone()),
            };
            match starts {
                Ok(starts) => {
                    let former = self.series.is_some_and(|series| !series.recurs).then_some(None);
                    self.add(item, starts, item.lasts_s, (Some(at), former), Some(item.version));
                }
                Err(why) => {
                    self.listed.insert(Some(at));
                    self.expanded.refused.push(why);
                }
            }
        }
    }

    fn add(
        &mut self,
        item: &'i Item<'f>,
        at: Timestamp,
        lasts_s: Option<i64>,
        (occurrence, former): (Option<Timestamp>, Option<Option<Timestamp>>),
        own: Option<CalendarVersion>,
    ) {
        self.listed.insert(occurrence);
        self.listed.extend(former);
        if !self.window.contains(at) {
            // Of a series only the part in the window is asked for.
            self.expanded.passed_over += usize::from(occurrence.is_none() || own.is_some());
            return;
        }
        let versions = CalendarVersions { series: self.series.map(|series| series.version), own, withdrawn: false };
        let place = CalendarPlace { uid: item.uid.clone(), occurrence, former, versions };
        self.expanded.occurrences.push(Occurrence { item, at, minutes: minutes(lasts_s), place });
    }

    /// Withdraws what the file no longer contains. Only a file with the whole series can say so.
    fn withdraw(&mut self, is_whole: bool) {
        let Some(series) = self.series else { return };
        let Window { from, to } = self.window;
        if series.is_cancelled {
            self.withdrawal(series.version, WithdrawalScope::All);
        } else if is_whole && (series.recurs || !self.expanded.occurrences.is_empty()) {
            let listed = std::mem::take(&mut self.listed);
            self.withdrawal(series.version, WithdrawalScope::AllBut { listed, from, to });
        }
    }

    fn withdrawal(&mut self, version: CalendarVersion, of: WithdrawalScope) {
        self.expanded.withdrawals.push(Withdrawal { uid: self.uid.clone(), version, of });
    }
}
