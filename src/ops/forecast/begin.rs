//! The start of a forecast: undecided events, planned timers and sends, and timers that the server will plan again.
//!
//! A running server turns timers into events and events into sends. They are read in this order, and each is noted, so that
//! nothing is lost and nothing comes twice.

use super::outlook::DueSend;
use super::walk::{Item, Walk};
use super::{DECIDED_MAX, why};
use crate::domain::TenantId;
use crate::engine::timers::sync::{Schedules, TimerSync};
use crate::store::{PendingTimer, Replanned, StoreError, TIMERS_PAGE};

impl Walk<'_> {
    /// Fills the queue with everything that is open now.
    pub async fn begin(&mut self) -> Result<(), StoreError> {
        self.sync_timers().await?;
        self.read_timers().await?;
        let snapshot = self.snapshot.clone();
        let wanted = self.tenant;
        let tenants = || snapshot.tenants().map(|tenant| tenant.id).filter(|id| wanted.is_none_or(|only| only == *id));
        let mut room = DECIDED_MAX;
        for tenant in tenants() {
            self.read_events(tenant, &mut room).await?;
        }
        self.read_campaigns().await?;
        for tenant in tenants() {
            for (contact, question) in self.inputs.store.unsent_questions(tenant).await? {
                self.unsent.insert(question.id, (tenant, contact, question));
            }
            for send in self.inputs.store.planned_sends(tenant, self.until).await? {
                let why = send
                    .reason
                    .clone()
                    .map_or_else(|| "planned already".to_owned(), |why| format!("planned already; {why}"));
                if !self.planned.insert(send.send.id.uuid()) {
                    continue;
                }
                self.put(send.due, Item::Send(Box::new(DueSend::new(send, why))));
            }
        }
        Ok(())
    }

    /// Reads events that are not decided yet, because the server is down or busy.
    async fn read_events(&mut self, tenant: TenantId, room: &mut usize) -> Result<(), StoreError> {
        let mut after = None;
        while *room > 0 {
            let page = self.inputs.store.undecided_after(tenant, after).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            for event in page {
                *room = room.saturating_sub(1);
                self.fired.extend(event.dedupe_key.clone());
                let why = why::of_undecided(&event);
                self.put_event(event, why);
            }
        }
        Ok(())
    }

    /// Brings timers in step with the rules and tenants like a starting server, by the same functions, without writing.
    async fn sync_timers(&mut self) -> Result<(), StoreError> {
        let (store, rules) = (self.inputs.store, self.inputs.rules);
        let snapshot = self.snapshot.clone();
        let Schedules { gone, missing } = Schedules::compare(store, rules, &snapshot).await?;
        self.replanned = !gone.is_empty() || !missing.is_empty();
        self.remove_timers(gone);
        let missing = missing.into_iter().filter(|timer| self.tenant.is_none_or(|only| only == timer.tenant));
        let missing: Vec<PendingTimer> = missing.map(PendingTimer::from).collect();
        self.put_timers(missing);
        let platform = self.inputs.directory.platform();
        let timer_sync = TimerSync { store, rules, directory: &snapshot, platform };
        let Some(changed) = timer_sync.find_changes().await? else { return Ok(()) };
        self.replanned = true;
        let mut after = None;
        loop {
            let page = store.timers_ahead(self.tenant, after).await?;
            after = page.last().map(|last| (last.due, last.id));
            self.remove_timers(timer_sync.replan_page(&page, &changed).await?);
            if page.len() < TIMERS_PAGE {
                break;
            }
        }
        let mut coming = timer_sync.new_timers(&changed, self.tenant);
        while let Some(timers) = coming.next().await? {
            self.put_timers(timers.into_iter().map(PendingTimer::from));
        }
        Ok(())
    }

    /// Takes replaced timers out. Their replacement may be due at the same time.
    fn remove_timers(&mut self, replanned: Vec<Replanned>) {
        for Replanned { due, id, by, .. } in replanned {
            self.met.insert((due, id));
            match by.map(PendingTimer::from) {
                Some(by) if (by.due, by.id) == (due, id) => self.put(due, Item::Timer(by)),
                by => self.put_timers(by),
            }
        }
    }
}
