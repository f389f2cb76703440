//! Rows of the inbox.

use std::sync::LazyLock;

use sea_orm::Value;
use uuid::Uuid;

use crate::domain::{Action, ContactId, SendBody, TenantId, Timestamp, segments};
use crate::store::db::sql::{Cut, Row, Txn};
use crate::store::error::StoreError;
use crate::store::rows::message;
use crate::store::tables::actions::QueuedSend;

static INSERT: LazyLock<String> = LazyLock::new(|| message::TABLE.insert());
static INSERT_OR_MERGE: LazyLock<String> = LazyLock::new(|| format!("{}{MERGE}", *INSERT));

/// A row that exists keeps its values. Only its status moves forward, and the provider's id is filled in once.
const MERGE: &str = " ON CONFLICT (id) DO UPDATE SET
  provider_sid = coalesce(messages.provider_sid, excluded.provider_sid),
  status = CASE WHEN excluded.status_rank > messages.status_rank THEN excluded.status ELSE messages.status END,
  error_code = CASE WHEN excluded.status_rank > messages.status_rank THEN excluded.error_code ELSE messages.error_code END,
  status_rank = CASE WHEN excluded.status_rank > messages.status_rank THEN excluded.status_rank ELSE messages.status_rank END";

/// The inbox's row of a send; `None` for an action that is no message, or that this version cannot read.
pub(in crate::store) fn row_of_send(
    send: &QueuedSend,
    status: &str,
    rank: i16,
    sid: Option<&str>,
    error_code: Option<i64>,
    at: Timestamp,
) -> Result<Option<[Value; message::TABLE.width()]>, StoreError> {
    let Ok(Action::Send(message)) = send.planned() else { return Ok(None) };
    let (body, extra) = match &message.body {
        SendBody::Text(text) => (text.clone(), "{}".to_owned()),
        SendBody::Call(call) => (call.summary(), "{}".to_owned()),
        SendBody::Email(email) => {
            (email.text.clone(), serde_json::json!({ "subject": email.subject, "html": email.html }).to_string())
        }
        SendBody::Template(template) => {
            (template.content.clone(), serde_json::json!({ "template": template }).to_string())
        }
    };
    let segments = if message.channel.spec().segmented { segments::count(&body).segments } else { 0 };
    Ok(Some(message::new_row(message::Model {
        id: send.id.uuid(),
        tenant_id: send.tenant.uuid(),
        contact_id: send.contact.map(ContactId::uuid),
        channel: message.channel.as_str().to_owned(),
        direction: "out".to_owned(),
        origin: send.origin.as_str().to_owned(),
        peer: send.recipient.clone(),
        peer_key: send.peer_key.clone(),
        ours: send.sender.clone(),
        body,
        extra,
        status: status.to_owned(),
        status_rank: rank,
        provider_sid: sid.map(str::to_owned),
        error_code,
        segments: segments as i32,
        at_us: at.unix_us(),
        late: false,
        repeats: 0,
    })))
}

/// Inserts new rows.
pub(in crate::store) async fn insert(txn: &impl Txn, values: Vec<Value>) -> Result<(), StoreError> {
    txn.rows(&INSERT, message::TABLE.width(), Cut::Exact, values).await
}

/// Inserts rows; the status of a row that exists moves forward.
pub(in crate::store) async fn merge(txn: &impl Txn, values: Vec<Value>) -> Result<(), StoreError> {
    if values.is_empty() {
        return Ok(());
    }
    txn.rows(&INSERT_OR_MERGE, message::TABLE.width(), Cut::Exact, values).await
}

/// Reads the statuses of messages by id. An outbound message has the id of its action, which is unique across tenants.
pub(in crate::store) async fn statuses(txn: &impl Txn, ids: Vec<Value>) -> Result<Vec<(Uuid, String)>, StoreError> {
    txn.query_in("SELECT id, status FROM messages WHERE id IN ({list})", &[], ids, |row| Ok((row.get(0)?, row.get(1)?)))
        .await
}

/// A message that has an id of the provider's.
pub(in crate::store) struct WithSid {
    pub tenant: TenantId,
    pub sid: String,
    pub message: Uuid,
}

/// Finds the messages that have these ids of the provider's.
pub(in crate::store) async fn with_sids(txn: &impl Txn, sids: Vec<String>) -> Result<Vec<WithSid>, StoreError> {
    if sids.is_empty() {
        return Ok(Vec::new());
    }
    let list = sids.into_iter().map(Value::from).collect();
    let text = "SELECT tenant_id, provider_sid, id FROM messages WHERE provider_sid IN ({list})";
    let read = |row: &Row| Ok(WithSid { tenant: TenantId::new(row.get(0)?), sid: row.get(1)?, message: row.get(2)? });
    txn.query_in(text, &[], list, read).await
}
