//! Rows of the inbox.

use sea_orm::Value;
use uuid::Uuid;

use crate::domain::{Action, ContactId, SendBody, Timestamp, segments};
use crate::store::db::sql::{Cut, Txn};
use crate::store::error::StoreError;
use crate::store::tables::actions::QueuedSend;

/// Columns of a message row, in the order of [`insert`]'s values.
const COLUMNS: usize = 19;

const INSERT: &str =
    "INSERT INTO messages (id, tenant_id, contact_id, channel, direction, origin, peer, peer_key, ours,
  body, extra, status, status_rank, provider_sid, error_code, segments, at_us, late, repeats) VALUES {rows}";

/// A row stays as it is where one with its id exists, but for what moves forward: the status, and what was not known.
const MERGE: &str = " ON CONFLICT (id) DO UPDATE SET
  provider_sid = coalesce(messages.provider_sid, excluded.provider_sid),
  status = CASE WHEN excluded.status_rank > messages.status_rank THEN excluded.status ELSE messages.status END,
  error_code = CASE WHEN excluded.status_rank > messages.status_rank THEN excluded.error_code ELSE messages.error_code END,
  status_rank = CASE WHEN excluded.status_rank > messages.status_rank THEN excluded.status_rank ELSE messages.status_rank END";

/// The inbox's row of a send; `None` for what is no message.
pub(in crate::store) fn row_of_send(
    send: &QueuedSend,
    status: &str,
    rank: i16,
    sid: Option<&str>,
    error_code: Option<i64>,
    at: Timestamp,
) -> Result<Option<[Value; COLUMNS]>, StoreError> {
    let Action::Send(message) = send.planned()? else { return Ok(None) };
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
    Ok(Some([
        send.id.uuid().into(),
        send.tenant.uuid().into(),
        send.contact.map(ContactId::uuid).into(),
        message.channel.as_str().into(),
        "out".into(),
        send.origin.as_str().into(),
        send.recipient.clone().into(),
        send.peer_key.clone().into(),
        send.sender.clone().into(),
        body.into(),
        extra.into(),
        status.into(),
        rank.into(),
        sid.map(str::to_owned).into(),
        error_code.into(),
        (segments as i32).into(),
        at.unix_us().into(),
        false.into(),
        0i32.into(),
    ]))
}

/// New rows only.
pub(in crate::store) async fn insert(txn: &impl Txn, values: Vec<Value>) -> Result<(), StoreError> {
    txn.rows(INSERT, COLUMNS, Cut::Exact, values).await
}

/// New rows, or the same again with a status that may have moved forward.
pub(in crate::store) async fn merge(txn: &impl Txn, values: Vec<Value>) -> Result<(), StoreError> {
    if values.is_empty() {
        return Ok(());
    }
    txn.rows(&format!("{INSERT}{MERGE}"), COLUMNS, Cut::Exact, values).await
}

/// Statuses of messages by id; an outbound message has its action's id, which no other tenant's has.
pub(in crate::store) async fn statuses(txn: &impl Txn, ids: Vec<Value>) -> Result<Vec<(Uuid, String)>, StoreError> {
    txn.query_in("SELECT id, status FROM messages WHERE id IN ({list})", &[], ids, |row| Ok((row.get(0)?, row.get(1)?)))
        .await
}
