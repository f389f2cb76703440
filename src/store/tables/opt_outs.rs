//! Opt-outs of customers, with their history.

use std::sync::LazyLock;

use crate::domain::id::{Id, noun};
use crate::domain::{Channel, TenantId, Timestamp};
use crate::store::context::WriterContext;
use crate::store::db::sql::{Cut, Txn};
use crate::store::error::StoreError;
use crate::store::rows::{opt_out, opt_out_history};

/// A change of an opt-out: out or in again, on a channel, for all of the tenant's senders or for one.
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

/// Reads a customer's opt-outs of a channel, for all senders and for single ones: whether each is in force, and since
/// when.
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

static INSERT_HISTORY: LazyLock<String> = LazyLock::new(|| opt_out_history::TABLE.insert());
static INSERT: LazyLock<String> = LazyLock::new(|| {
    opt_out::TABLE.insert()
        + " ON CONFLICT (tenant_id, peer_key, channel, sender)
         DO UPDATE SET active = excluded.active, word = excluded.word, at_us = excluded.at_us"
});

/// Stores a change and its history. Opting in again ends every opt-out of that channel, including those of single
/// senders.
pub(in crate::store) async fn record(
    txn: &impl Txn,
    context: &WriterContext,
    change: &OptOutChange,
) -> Result<(), StoreError> {
    let id: Id<noun::Attempt> = context.ids.next();
    let row = opt_out::Model {
        tenant_id: change.tenant.uuid(),
        peer_key: change.peer_key.clone(),
        channel: change.channel.as_str().to_owned(),
        sender: change.sender.clone(),
        active: change.active,
        word: change.word.clone(),
        at_us: change.at.unix_us(),
    };
    let history = opt_out_history::new_row(id.uuid(), row.clone()).to_vec();
    txn.rows(&INSERT_HISTORY, opt_out_history::TABLE.width(), Cut::Exact, history).await?;
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
    txn.rows(&INSERT, opt_out::TABLE.width(), Cut::Exact, opt_out::new_row(row).to_vec()).await
}
