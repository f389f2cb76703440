//! Schedules that run for each customer. A page of customers is one event and one commit.

use super::Pipeline;
use super::dispatch::DECIDE_BUDGET;
use crate::domain::timer::Fired;
use crate::domain::{ContactId, Event, EventKind, Facts, Ids, NewTimer, Purpose, TimerId, Timestamp};
use crate::rules::{Evaluator, FanOutPage, PAGE_CONTACTS};
use crate::store::{Decided, StoreError};
use crate::tenants::Tenant;

/// The key of a page's payload that holds the last customer of the page before.
const CURSOR: &str = "after";

impl Pipeline {
    /// Decides a page: writes an event for each customer that passes and a timer for the next page, in the transaction that
    /// marks this page as decided. So each customer gets one event, even after a crash in between.
    pub(super) async fn decide_page(
        &self,
        tenant: &Tenant,
        event: Event,
        evaluator: &Evaluator,
    ) -> Result<(), StoreError> {
        let contacts = self.store.contacts_after(tenant.id, cursor(&event), PAGE_CONTACTS).await?;
        let facts = Facts { tenant: tenant.facts.clone(), ..Facts::empty(self.clock.now()) };
        let (rules, asked) = (self.rules(), event.clone());
        let page = evaluator.run(move || rules.page(&asked, &facts, contacts, DECIDE_BUDGET)).await;
        let decided = self.plan_page(tenant, event, page.map_err(|_| StoreError::Closed)?);
        self.store.writer().decided(vec![decided]).await?;
        self.wake_dispatch(tenant.id);
        Ok(())
    }

    fn plan_page(&self, tenant: &Tenant, event: Event, page: FanOutPage) -> Decided {
        let at = Timestamp::from_unix_us(self.store.ids().tick_us());
        let (children, next) = follow_ups(self.store.ids(), &event, &page, at, self.clock.now());
        Decided {
            event: event.id,
            tenant: tenant.id,
            contact: None,
            depth: event.depth,
            at,
            trace: Some(serde_json::to_string(&page.trace).unwrap_or_default()),
            actions: Vec::new(),
            children,
            timers: next.into_iter().collect(),
            firings: Vec::new(),
            questions: Vec::new(),
            answer: None,
        }
    }
}

/// The customer behind whom a page begins.
pub fn cursor(event: &Event) -> Option<ContactId> {
    event.data.get(CURSOR).and_then(|cursor| cursor.as_str()?.parse().ok())
}

/// The follow-ups of a page: an event for each customer that passed, and a timer for the next page.
pub fn follow_ups(
    ids: &Ids,
    event: &Event,
    page: &FanOutPage,
    at: Timestamp,
    now: Timestamp,
) -> (Vec<Event>, Option<NewTimer>) {
    let Some(fired) = Fired::of(event) else { return (Vec::new(), None) };
    let child = |contact: &ContactId| Event {
        id: ids.next(),
        tenant: event.tenant,
        kind: EventKind::TIMER,
        channel: None,
        contact: Some(*contact),
        occurred_at: at,
        dedupe_key: Some(format!("each:{}:{}", event.id, contact)),
        depth: event.depth,
        data: fired.clone().into_data(serde_json::json!({})),
    };
    let next = page.goes_on_after.map(|contact| NewTimer {
        id: TimerId::of(event.tenant, &fired.rule, event.id.uuid()),
        due: now,
        tenant: event.tenant,
        purpose: Purpose::Page,
        rule: fired.rule.clone(),
        timing: "next page".to_owned(),
        contact: None,
        subject: None,
        payload: serde_json::json!({ CURSOR: contact }),
    });
    (page.passed.iter().map(child).collect(), next)
}
