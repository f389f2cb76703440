//! Open questions. A customer has at most one on each channel, with a timer and one end.

use std::collections::{BTreeMap, HashMap};
use std::sync::LazyLock;

use sea_orm::{ConnectionTrait, Value};

use super::timers;
use crate::domain::{
    ActionId, Channel, ContactId, NewTimer, Purpose, Question, QuestionChange, TenantId, TimerId, Timestamp,
};
use crate::store::context::WriterContext;
use crate::store::db::sql;
use crate::store::db::sql::{Cut, Row, Txn};
use crate::store::error::StoreError;
use crate::store::handle::Store;
use crate::store::rows::question;
use crate::store::tables::decided::Decided;

/// The open questions by customer and channel.
pub type Open = HashMap<ContactId, BTreeMap<Channel, Question>>;

impl Store {
    /// Reads the open questions of these customers.
    pub async fn open_questions(&self, tenant: TenantId, contacts: &[ContactId]) -> Result<Open, StoreError> {
        let list = contacts.iter().map(|contact| contact.uuid().into()).collect();
        let mut open = Open::new();
        for row in sql::query_in(&self.read, &OPEN, &[tenant.uuid().into()], list).await? {
            let row = Row::Sea(&row);
            let question = read(&row)?;
            open.entry(ContactId::new(row.get(0)?)).or_default().insert(question.channel, question);
        }
        Ok(open)
    }

    /// Removes questions that expired before `before` and whose timer never fired.
    pub async fn remove_stale_questions(&self, tenant: TenantId, before: Timestamp) -> Result<u64, StoreError> {
        let values = vec![tenant.uuid().into(), before.unix_us().into()];
        Ok(sql::execute(&self.write, "DELETE FROM questions WHERE tenant_id = ? AND expires_us < ?", values).await?)
    }
}

/// The open questions of customers, for [`read`].
static OPEN: LazyLock<String> = LazyLock::new(|| {
    let columns = question::TABLE.column_list();
    format!("SELECT {columns} FROM questions WHERE tenant_id = ? AND contact_id IN ({{list}})")
});

fn read(row: &Row) -> Result<Question, StoreError> {
    Ok(Question {
        channel: row.get::<String>(1)?.parse().map_err(StoreError::stored)?,
        id: ActionId::new(row.get(2)?),
        rule: row.get(3)?,
        name: row.get(4)?,
        state: serde_json::from_str(&row.get::<String>(5)?).map_err(StoreError::json)?,
        asked_at: Timestamp::from_unix_us(row.get(6)?),
        expires_at: Timestamp::from_unix_us(row.get(7)?),
    })
}

/// Opens and closes the questions of a decision. Gives `false` if a question to be closed is not open any more, because
/// another process or a STOP was first: the decision does not hold then.
pub(in crate::store) async fn write(
    txn: &impl Txn,
    context: &WriterContext,
    decided: &Decided,
) -> Result<bool, StoreError> {
    let Some(contact) = decided.contact else { return Ok(true) };
    for change in &decided.questions {
        let whose = [decided.tenant.uuid().into(), contact.uuid().into()];
        match change {
            QuestionChange::Close(question) => {
                let and = "channel = ? AND id = ?";
                let which = vec![question.channel.as_str().into(), question.id.uuid().into()];
                if end(txn, decided.tenant, whose, and, which).await? == 0 {
                    return Ok(false);
                }
            }
            QuestionChange::Open(question) => {
                end(txn, decided.tenant, whose, "channel = ?", vec![question.channel.as_str().into()]).await?;
                open(txn, context, decided.tenant, contact, question).await?;
            }
        }
    }
    Ok(true)
}

static INSERT: LazyLock<String> = LazyLock::new(|| question::TABLE.insert());

async fn open(
    txn: &impl Txn,
    context: &WriterContext,
    tenant: TenantId,
    contact: ContactId,
    question: &Question,
) -> Result<(), StoreError> {
    let values = question::new_row(tenant, contact, question).to_vec();
    txn.rows(&INSERT, question::TABLE.width(), Cut::Exact, values).await?;
    timers::plan(txn, context, [&silence_of(tenant, contact, question)]).await
}

/// The timer that fires if a question is not answered.
pub fn silence_of(tenant: TenantId, contact: ContactId, question: &Question) -> NewTimer {
    let Question { id, channel, rule, name, .. } = question;
    NewTimer {
        id: timer_of(tenant, rule, *id),
        due: question.expires_at,
        tenant,
        purpose: Purpose::Silence,
        rule: rule.clone(),
        timing: String::new(),
        contact: Some(contact),
        subject: None,
        payload: serde_json::json!({"question": {"id": id, "channel": channel, "rule": rule, "name": name}}),
    }
}

fn timer_of(tenant: TenantId, rule: &str, question: ActionId) -> TimerId {
    TimerId::of(tenant, rule, question.uuid())
}

/// Ends a customer's open questions and their timers. Gives the number of questions.
async fn end(
    txn: &impl Txn,
    tenant: TenantId,
    whose: [Value; 2],
    and: &str,
    which: Vec<Value>,
) -> Result<usize, StoreError> {
    let text = format!(
        "DELETE FROM questions WHERE tenant_id = ? AND contact_id = ? AND {and} RETURNING id, rule, expires_us"
    );
    let read = |row: &Row| Ok((ActionId::new(row.get(0)?), row.get::<String>(1)?, row.get::<i64>(2)?));
    let ended = txn.query(&text, whose.into_iter().chain(which).collect(), read).await?;
    for (id, rule, due_us) in &ended {
        let values = vec![(*due_us).into(), timer_of(tenant, rule, *id).uuid().into(), tenant.uuid().into()];
        txn.execute("DELETE FROM timers WHERE due_us = ? AND id = ? AND tenant_id = ?", values).await?;
    }
    Ok(ended.len())
}

/// Ends the question of a customer who has opted out of its channel.
pub(in crate::store) async fn end_on(
    txn: &impl Txn,
    tenant: TenantId,
    contact: ContactId,
    channel: Channel,
) -> Result<(), StoreError> {
    let whose = [tenant.uuid().into(), contact.uuid().into()];
    end(txn, tenant, whose, "channel = ?", vec![channel.as_str().into()]).await?;
    Ok(())
}

/// Deletes a customer's questions. The erasure deletes their timers with the others.
pub(in crate::store) async fn forget(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    contact: ContactId,
) -> Result<u64, StoreError> {
    let of = vec![tenant.uuid().into(), contact.uuid().into()];
    Ok(sql::execute(db, "DELETE FROM questions WHERE tenant_id = ? AND contact_id = ?", of).await?)
}
