//! Delivery statuses. A status only moves forward, and each is stored once, in any order of the reports.

use std::collections::HashMap;

use sea_orm::Value;
use uuid::Uuid;

use super::fallback;
use crate::domain::event::StatusData;
use crate::domain::{ActionId, DeliveryStatus, Event, EventId, EventKind, Route, TenantId, Timestamp};
use crate::store::context::WriterContext;
use crate::store::db::sql::{Cut, Txn};
use crate::store::error::StoreError;
use crate::store::pending_cache::Committed;
use crate::store::tables::actions::{OPTED_OUT_CODE, QueuedSend};
use crate::store::tables::{actions, events, messages, opt_outs, ordering_keys, questions};
use crate::store::writer::{Request, Step, Writer};

/// A provider's report of the status of a message.
#[derive(Clone, Debug)]
pub struct StatusReport {
    pub tenant: TenantId,
    /// The action, from the URL of the callback or from the row of the polled message.
    pub action: ActionId,
    pub sid: String,
    pub status: DeliveryStatus,
    pub error_code: Option<i64>,
    /// No rule listens to the event of this report. It is stored as decided.
    pub unmatched: bool,
    pub at: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The status moved forward, and an event was stored.
    Advanced,
    /// The status was known, or is older than the known one. Nothing was done.
    Stale,
    /// The tenant has no such action.
    UnknownAction,
}

impl Writer {
    /// Applies a delivery status.
    pub async fn settle(&self, report: StatusReport) -> Result<Settled, StoreError> {
        self.ask(report).await
    }
}

impl Request for StatusReport {
    type Reply = Settled;

    const STEP: Step = Step::Status;

    async fn execute(
        reports: &[Self],
        txn: &impl Txn,
        context: &WriterContext,
        committed: &mut Committed,
    ) -> Result<Vec<Settled>, StoreError> {
        settle(txn, context, reports, committed).await
    }
}

/// A send before its reports, with the status of its message, if there is a message.
struct SendStatus {
    send: QueuedSend,
    state: String,
    status: Option<DeliveryStatus>,
    /// The latest status of this batch, and its report.
    latest: Option<(DeliveryStatus, StatusReport)>,
}

async fn settle(
    txn: &impl Txn,
    context: &WriterContext,
    reports: &[StatusReport],
    committed: &mut Committed,
) -> Result<Vec<Settled>, StoreError> {
    if reports.is_empty() {
        return Ok(Vec::new());
    }
    let mut known = load(txn, reports).await?;
    let (mut new_events, mut failed) = (Vec::new(), Vec::new());
    let mut settled = Vec::with_capacity(reports.len());
    for report in reports {
        let Some(entry) = known.get_mut(&report.action.uuid()).filter(|entry| entry.send.tenant == report.tenant)
        else {
            settled.push(Settled::UnknownAction);
            continue;
        };
        let before = entry.latest.as_ref().map(|(status, _)| *status).or(entry.status);
        let after = before.map_or(report.status, |before| before.advance(report.status));
        if Some(after) == before {
            settled.push(Settled::Stale);
            continue;
        }
        entry.latest = Some((after, report.clone()));
        new_events.push(new_event(context, entry, report)?);
        if matches!(report.status, DeliveryStatus::Failed | DeliveryStatus::Undelivered) {
            let code = report.error_code.map_or_else(String::new, |code| format!(" (error {code})"));
            failed.push((entry.send.clone(), format!("it is {}{code}", report.status)));
        }
        settled.push(Settled::Advanced);
    }
    committed.changed_customers |= reports.iter().any(|report| report.error_code == Some(OPTED_OUT_CODE));
    write(txn, context, known.into_values()).await?;
    let concerns = |event: &Event| reports.iter().any(|report| report.tenant == event.tenant && !report.unmatched);
    let handled = |event: &Event| (!concerns(event)).then_some(event.occurred_at);
    events::insert(txn, new_events.iter().map(|event| (event, handled(event)))).await?;
    committed.events.extend(new_events.into_iter().filter(concerns));
    let failed = failed.iter().map(|(send, reason)| (send, reason.clone()));
    fallback::insert_events(txn, context, failed, committed).await?;
    Ok(settled)
}

async fn load(txn: &impl Txn, reports: &[StatusReport]) -> Result<HashMap<Uuid, SendStatus>, StoreError> {
    let ids: Vec<Value> = reports.iter().map(|report| report.action.uuid().into()).collect();
    let found = actions::find(txn, ids.clone()).await?.into_iter();
    // Requests have no delivery reports.
    let found = found.filter(|(send, _)| send.route.as_ref().is_some_and(|route| *route != Route::Request));
    let entry =
        |(send, state): (QueuedSend, String)| (send.id.uuid(), SendStatus { send, state, status: None, latest: None });
    let mut known: HashMap<Uuid, SendStatus> = found.map(entry).collect();
    for (id, status) in messages::statuses(txn, ids).await? {
        if let Some(entry) = known.get_mut(&id) {
            entry.status = DeliveryStatus::parse(&status);
        }
    }
    Ok(known)
}

fn new_event(context: &WriterContext, entry: &SendStatus, report: &StatusReport) -> Result<Event, StoreError> {
    let data = StatusData {
        message: report.action.to_string(),
        status: report.status.to_string(),
        error_code: report.error_code,
    };
    let id: EventId = context.ids.next();
    Ok(Event {
        id,
        tenant: report.tenant,
        kind: EventKind::MESSAGE_STATUS,
        channel: entry.send.channel,
        contact: entry.send.contact,
        occurred_at: report.at,
        dedupe_key: Some(format!("status:{}:{}", report.action, report.status)),
        depth: 0,
        data: serde_json::to_value(data).map_err(StoreError::json)?,
    })
}

async fn write(
    txn: &impl Txn,
    context: &WriterContext,
    known: impl Iterator<Item = SendStatus>,
) -> Result<(), StoreError> {
    let (mut rows, mut taken): (Vec<Value>, Vec<Value>) = Default::default();
    let mut sent = Vec::new();
    let known: Vec<SendStatus> = known.collect();
    // A provider may repeat its ids. Twilio does not.
    let of_others = known.iter().filter(|entry| matches!(entry.send.route, Some(Route::Provider(_))));
    let sids = of_others.filter_map(|entry| Some(entry.latest.as_ref()?.1.sid.clone())).collect();
    let mut named: HashMap<(TenantId, String), Uuid> =
        messages::with_sids(txn, sids).await?.into_iter().map(|row| ((row.tenant, row.sid), row.message)).collect();
    let mut freed = Vec::new();
    for entry in known {
        let Some((status, report)) = entry.latest else { continue };
        let send = &entry.send;
        let owner = *named.entry((send.tenant, report.sid.clone())).or_insert_with(|| send.id.uuid());
        rows.extend(
            messages::row_of_send(
                send,
                status.as_str(),
                status.rank(),
                (owner == send.id.uuid()).then_some(&*report.sid),
                report.error_code,
                report.at,
            )?
            .into_iter()
            .flatten(),
        );
        // A report of the provider means that it has taken the message, whatever the ledger says. A callback may come
        // before the answer to the create, or after the attempt was given up.
        if entry.state != "sent" {
            taken.extend([send.id.uuid().into(), report.sid.clone().into(), send.tenant.uuid().into()]);
            sent.push((send.id, send.tried_at.unwrap_or(report.at)));
            freed.extend(send.ordering_key.clone());
        }
        if report.error_code == Some(OPTED_OUT_CODE) && send.route == Some(Route::Twilio) {
            let entry = opt_outs::OptOutChange {
                tenant: report.tenant,
                channel: send.message()?.channel,
                peer_key: send.peer_key.clone(),
                sender: send.sender.clone(),
                active: true,
                word: OPTED_OUT_CODE.to_string(),
                at: report.at,
            };
            opt_outs::record(txn, context, &entry).await?;
        }
    }
    messages::merge(txn, rows).await?;
    questions::sent(txn, context, &sent).await?;
    let adopted = actions::adopted();
    txn.rows(
        &format!(
            "UPDATE actions SET state = 'sent', provider_sid = v.column2, reason = NULL FROM (VALUES {{rows}}) AS v
             WHERE actions.id = v.column1 AND actions.tenant_id = v.column3 AND actions.state IN ({adopted})"
        ),
        3,
        Cut::Padded,
        taken,
    )
    .await?;
    ordering_keys::promote(txn, context, freed).await
}
