//! Changes of customers by people. They are dated like changes by rules.

use crate::domain::{
    Action, ActionId, ActionState, Channel, ContactId, Effect, Event, EventId, EventKind, Origin, Phone, TenantId,
};
use crate::store::db::sql;
use crate::store::db::sql::begin;
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::pending_cache::Committed;
use crate::store::requests::decide;
use crate::store::tables::actions::NewAction;
use crate::store::tables::contacts::ContactUpsert;
use crate::store::tables::decided::Decided;
use crate::store::tables::{events, opt_outs};

/// The rule name of changes by hand in the ledger.
pub(in crate::store) const BY_HAND: &str = "by hand";

/// A change of a customer.
#[derive(Clone, Debug)]
pub struct CustomerChange {
    /// The event of the change. A repeat with the same event does nothing more.
    pub event: EventId,
    pub tenant: TenantId,
    /// The source of the change, stored with the event.
    pub by: String,
    pub effects: Vec<Effect>,
    /// The do-not-call flag: an opt-out of calls. `None` leaves it.
    pub do_not_call: Option<bool>,
}

impl Store {
    /// Makes a customer. Gives `None` if the tenant has one with this number, unless this same change made it.
    pub async fn add_customer(&self, phone: &Phone, change: CustomerChange) -> Result<Option<ContactId>, StoreError> {
        let tenant = change.tenant;
        let txn = begin(&self.write).await?;
        let known =
            "SELECT c.id, EXISTS (SELECT 1 FROM events e WHERE e.id = ? AND e.tenant_id = c.tenant_id) FROM contacts c
          WHERE c.tenant_id = ? AND c.phone_key = ?";
        let values = vec![change.event.uuid().into(), tenant.uuid().into(), phone.key().into()];
        if let Some(row) = sql::query_one(&txn, known, values).await? {
            let ours: bool = row.try_get_by_index(1)?;
            return Ok(if ours { Some(ContactId::new(row.try_get_by_index(0)?)) } else { None });
        }
        let mut upsert = ContactUpsert::default();
        let address = phone.clone().into();
        upsert.add(tenant, &address, self.clock().now());
        let (id, _) = upsert.upsert(&txn, &self.context).await?.get(tenant, &address).ok_or(StoreError::Busy)?;
        self.write_change(&txn, id, phone.key(), change).await?;
        txn.commit().await?;
        self.context.pending.forget(tenant);
        Ok(Some(id))
    }

    /// Changes a customer; `false` if the tenant has no such customer.
    pub async fn change_customer(&self, id: ContactId, change: CustomerChange) -> Result<bool, StoreError> {
        let tenant = change.tenant;
        let txn = begin(&self.write).await?;
        let known = "SELECT phone_key FROM contacts WHERE id = ? AND tenant_id = ?";
        let Some(row) = sql::query_one(&txn, known, vec![id.uuid().into(), tenant.uuid().into()]).await? else {
            return Ok(false);
        };
        self.write_change(&txn, id, row.try_get_by_index(0)?, change).await?;
        txn.commit().await?;
        // Cached events have the customer as it was.
        self.context.pending.forget(tenant);
        Ok(true)
    }

    /// Sets or lifts the do-not-call flag of a number. The flag is an opt-out of calls, dated like any other.
    pub async fn set_do_not_call(&self, tenant: TenantId, phone: &Phone, active: bool) -> Result<(), StoreError> {
        let txn = begin(&self.write).await?;
        self.write_do_not_call(&txn, tenant, phone.key(), active).await?;
        txn.commit().await?;
        // Cached events have the customer as it was.
        self.context.pending.forget(tenant);
        Ok(())
    }

    async fn write_do_not_call(
        &self,
        txn: &sea_orm::DatabaseTransaction,
        tenant: TenantId,
        peer_key: String,
        active: bool,
    ) -> Result<(), StoreError> {
        let entry = opt_outs::OptOutChange {
            tenant,
            channel: Channel::Voice,
            peer_key,
            sender: String::new(),
            active,
            word: BY_HAND.to_owned(),
            at: self.clock().now(),
        };
        opt_outs::record(txn, &self.context, &entry).await
    }

    /// Stores a change as a decided event, with its effects in the ledger, so that it can be explained.
    async fn write_change(
        &self,
        txn: &sea_orm::DatabaseTransaction,
        contact: ContactId,
        peer_key: String,
        change: CustomerChange,
    ) -> Result<(), StoreError> {
        let CustomerChange { event, tenant, by, effects, do_not_call } = change;
        if events::find(txn, tenant, event).await?.is_some() {
            return Ok(());
        }
        if let Some(active) = do_not_call {
            self.write_do_not_call(txn, tenant, peer_key, active).await?;
        }
        let now = self.clock().now();
        let row = Event {
            id: event,
            tenant,
            kind: EventKind::MANUAL,
            channel: None,
            contact: Some(contact),
            occurred_at: now,
            dedupe_key: None,
            depth: 0,
            data: serde_json::json!({ "by": by }),
        };
        events::insert(txn, [(&row, None)]).await?;
        let action = |(index, effect)| NewAction {
            id: ActionId::of(event, BY_HAND, index),
            tenant,
            event,
            contact: Some(contact),
            rule: BY_HAND.to_owned(),
            index,
            state: ActionState::Done,
            reason: None,
            origin: Origin::Manual,
            action: Action::Effect(effect),
            route: None,
            sender: None,
            due: None,
            subject: None,
            expires: None,
        };
        let actions = effects.into_iter().enumerate().map(action).collect();
        let decided = Decided {
            event,
            tenant,
            contact: Some(contact),
            depth: 0,
            at: now,
            trace: None,
            actions,
            children: Vec::new(),
            timers: Vec::new(),
            firings: Vec::new(),
            questions: Vec::new(),
            answer: None,
        };
        decide::write(txn, &self.context, &[decided], &mut Committed::default()).await?;
        Ok(())
    }
}
