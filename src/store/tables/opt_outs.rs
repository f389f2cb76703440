//! Opt-outs of customers, with their history.

use crate::domain::id::{Id, noun};
use crate::domain::{Channel, TenantId, Timestamp};
use crate::store::context::WriterContext;
use crate::store::db::sql::Txn;
use crate::store::error::StoreError;

/// One change: out or in again, on a channel, for all of the tenant's senders or for one.
#[derive(Clone, Debug)]
pub struct OptOutChange {
    pub tenant: TenantId,
    pub channel: Channel,
    pub peer_key: String,
    /// Empty for all senders.
    pub sender: String,
    pub active: bool,
    /// The customer's word, or the provider's code.
    pub word: String,
    pub at: Timestamp,
}

/// What stands of the customer on the channel, for all senders and for single ones: whether they are out, since when.
pub(in crate::store) async fn standing(
    txn: &impl Txn,
    tenant: TenantId,
    channel: Channel,
    peer_key: &str,
) -> Result<Vec<(bool, Timestamp)>, StoreError> {
    txn.query(
        "SELECT active, at_us FROM opt_outs WHERE tenant_id = ? AND channel = ? AND peer_key = ?",
        vec![tenant.uuid().into(), channel.as_str().into(), peer_key.into()],
        |row| Ok((row.get(0)?, Timestamp::from_unix_us(row.get(1)?))),
    )
    .await
}

/// Takes a change down. Opting in again ends every opt-out of that channel, those of single senders too.
pub(in crate::store) async fn record(
    txn: &impl Txn,
    context: &WriterContext,
    change: &OptOutChange,
) -> Result<(), StoreError> {
    let id: Id<noun::Attempt> = context.ids.next();
    txn.execute(
        "INSERT INTO opt_out_history (id, tenant_id, channel, peer_key, sender, active, word, at_us)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        vec![
            id.uuid().into(),
            change.tenant.uuid().into(),
            change.channel.as_str().into(),
            change.peer_key.clone().into(),
            change.sender.clone().into(),
            change.active.into(),
            change.word.clone().into(),
            change.at.unix_us().into(),
        ],
    )
    .await?;
    if !change.active {
        txn.execute(
            "UPDATE opt_outs SET active = ?, word = ?, at_us = ? WHERE tenant_id = ? AND channel = ? AND peer_key = ?",
            vec![
                false.into(),
                change.word.clone().into(),
                change.at.unix_us().into(),
                change.tenant.uuid().into(),
                change.channel.as_str().into(),
                change.peer_key.clone().into(),
            ],
        )
        .await?;
        return Ok(());
    }
    txn.execute(
        "INSERT INTO opt_outs (tenant_id, peer_key, channel, sender, active, word, at_us) VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT (tenant_id, peer_key, channel, sender)
         DO UPDATE SET active = excluded.active, word = excluded.word, at_us = excluded.at_us",
        vec![
            change.tenant.uuid().into(),
            change.peer_key.clone().into(),
            change.channel.as_str().into(),
            change.sender.clone().into(),
            true.into(),
            change.word.clone().into(),
            change.at.unix_us().into(),
        ],
    )
    .await?;
    Ok(())
}
