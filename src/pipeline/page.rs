//! A schedule that runs for each customer: one page of them is one event, one commit.

use super::{DECIDE_BUDGET, Pipeline};
use crate::directory::Tenant;
use crate::domain::timer::Fired;
use crate::domain::{ContactId, Event, EventKind, Facts, NewTimer, Purpose, TimerId, Timestamp};
use crate::rules::{Evaluator, PAGE_CONTACTS, Page};
use crate::store::{Decided, StoreError};

/// Where a page's payload says behind whom it begins.
const CURSOR: &str = "after";

impl Pipeline {
    /// Decides a page: an event for each customer that passes, and a timer for the next page, in the transaction that marks
    /// this one decided. Whatever happens in between, each customer is met once.
    pub(super) async fn decide_page(
        &self,
        tenant: &Tenant,
        event: Event,
        evaluator: &Evaluator,
    ) -> Result<(), StoreError> {
        let cursor = event.data.get(CURSOR).and_then(|cursor| cursor.as_str()?.parse::<ContactId>().ok());
        let contacts = self.store.contacts_after(tenant.id, cursor, PAGE_CONTACTS).await?;
        let facts = Facts { tenant: tenant.facts.clone(), ..Facts::empty(self.clock.now()) };
        let (rules, asked) = (self.rules(), event.clone());
        let page = evaluator.run(move || rules.page(&asked, &facts, contacts, DECIDE_BUDGET)).await;
        let decided = self.page_decided(tenant, event, page.map_err(|_| StoreError::Closed)?);
        self.store.writer().decided(vec![decided]).await?;
        self.wake_dispatch(tenant.id);
        Ok(())
    }

    fn page_decided(&self, tenant: &Tenant, event: Event, page: Page) -> Decided {
        let at = Timestamp::from_unix_us(self.store.ids().tick_us());
        let fired = Fired::of(&event);
        let of_each = |contact: &ContactId| {
            let fired = fired.clone()?;
            Some(Event {
                id: self.store.ids().next(),
                tenant: tenant.id,
                kind: EventKind::TIMER,
                channel: None,
                contact: Some(*contact),
                occurred_at: at,
                dedupe_key: Some(format!("each:{}:{}", event.id, contact)),
                depth: event.depth,
                data: fired.into_data(serde_json::json!({})),
            })
        };
        let next = page.goes_on_after.and_then(|contact| {
            let rule = fired.as_ref()?.rule.clone();
            Some(NewTimer {
                id: TimerId::of(tenant.id, &rule, event.id.uuid()),
                due: self.clock.now(),
                tenant: tenant.id,
                purpose: Purpose::Page,
                rule,
                timing: "next page".to_owned(),
                contact: None,
                subject: None,
                payload: serde_json::json!({ CURSOR: contact }),
            })
        });
        Decided {
            event: event.id,
            tenant: tenant.id,
            contact: None,
            depth: event.depth,
            at,
            trace: Some(serde_json::to_string(&page.trace).unwrap_or_default()),
            actions: Vec::new(),
            children: page.passed.iter().filter_map(of_each).collect(),
            timers: next.into_iter().collect(),
            firings: Vec::new(),
            questions: Vec::new(),
        }
    }
}
