//! New sends in a database that was put back from a copy: those with a cause from before the restore may have left already.

use std::collections::HashMap;
use std::time::Duration;

use sea_orm::Value;
use uuid::Uuid;

use super::actions::NewAction;
use crate::domain::timer::Fired;
use crate::domain::{ActionState, Event, EventId, Origin, TenantId, Timestamp};
use crate::store::context::{Restored, WriterContext};
use crate::store::db::sql::{Row, Txn};
use crate::store::error::StoreError;
use crate::store::rows::action;

/// For this time after the restore, events that are caused by others count as caused by what came before.
const SETTLING: Duration = Duration::from_secs(15 * 60);
/// After this time nothing is caused by what came before the restore.
const ENDS_AFTER: Duration = Duration::from_secs(30 * 24 * 3_600);
/// The reason of a send that is looked for first.
pub(in crate::store) const RESTORED: &str =
    "the database was restored: it is looked for at the provider before it is sent";

/// The events of new sends that may have left before the restore, each with the instant of its cause.
pub(in crate::store) struct OldCauses {
    restored: Option<Restored>,
    causes: HashMap<EventId, Timestamp>,
}

impl OldCauses {
    /// Finds the events among those of `actions`. Without a restore it reads nothing.
    pub async fn find(txn: &impl Txn, context: &WriterContext, actions: &[NewAction]) -> Result<Self, StoreError> {
        let now = context.clock.now();
        let restored = context.restored.get().copied();
        let Some(restored) = restored.filter(|restored| now < restored.restored_at.plus(ENDS_AFTER)) else {
            return Ok(Self { restored: None, causes: HashMap::new() });
        };
        let sends = actions.iter().filter(|new| new.route.is_some() && new.state == ActionState::Planned);
        let list: Vec<Value> = sends.map(|new| new.event.uuid().into()).collect();
        if list.is_empty() {
            return Ok(Self { restored: None, causes: HashMap::new() });
        }
        let settling = now < restored.restored_at.plus(SETTLING);
        let text = "SELECT id, tenant_id, kind, occurred_us, depth, data FROM events WHERE id IN ({list})";
        let events = txn.query_in(text, &[], list, read_cause).await?;
        let old = events.into_iter().filter(|(_, at, depth)| *at < restored.restored_at || (settling && *depth > 0));
        Ok(Self { restored: Some(restored), causes: old.map(|(event, at, _)| (event, at)).collect() })
    }

    /// Makes the row of a new send that may have left before an unknown one. An answer left after its message; other
    /// sends left after the copy.
    pub fn doubt(&self, new: &NewAction, row: &mut action::Model) {
        let (Some(restored), Some(cause)) = (self.restored, self.causes.get(&new.event)) else { return };
        if new.route.is_none() || new.state != ActionState::Planned {
            return;
        }
        let first = if new.origin == Origin::Answer { *cause } else { restored.copied_at.min(*cause) };
        row.state = ActionState::Unknown.as_str().to_owned();
        // Looked for at once, also where it is due later.
        row.due_us = restored.restored_at.unix_us();
        row.first_try_us = Some(first.min(restored.restored_at).unix_us());
        row.tried_us = Some(restored.restored_at.unix_us());
        row.reason = Some(RESTORED.to_owned());
    }
}

/// Reads an event's id, the instant of its cause, and its depth.
fn read_cause(row: &Row) -> Result<(EventId, Timestamp, i16), StoreError> {
    let depth: i16 = row.get(4)?;
    let event = Event {
        id: EventId::new(row.get::<Uuid>(0)?),
        tenant: TenantId::new(row.get(1)?),
        kind: row.get::<String>(2)?.try_into().map_err(StoreError::stored)?,
        channel: None,
        contact: None,
        occurred_at: Timestamp::from_unix_us(row.get(3)?),
        dedupe_key: None,
        depth: 0,
        data: serde_json::from_str(&row.get::<String>(5)?).map_err(StoreError::json)?,
    };
    let at = Fired::of(&event).map_or(event.occurred_at, |fired| fired.due);
    Ok((event.id, at, depth))
}
