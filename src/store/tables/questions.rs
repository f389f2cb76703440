//! Open questions: one at most for a customer on a channel, each with its timer, each with one end.

use std::collections::{BTreeMap, HashMap};

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
use crate::store::tables::decided::Decided;

/// By customer and channel.
pub type Open = HashMap<ContactId, BTreeMap<Channel, Question>>;

impl Store {
    /// The questions that these customers have not answered yet.
    pub async fn open_questions(&self, tenant: TenantId, contacts: &[ContactId]) -> Result<Open, StoreError> {
        let text = "SELECT contact_id, channel, id, rule, name, state, asked_us, expires_us FROM questions
          WHERE tenant_id = ? AND contact_id IN ({list})";
        let list = contacts.iter().map(|contact| contact.uuid().into()).collect();
        let mut open = Open::new();
        for row in sql::query_in(&self.read, text, &[tenant.uuid().into()], list).await? {
            let row = Row::Sea(&row);
            let question = read(&row)?;
            open.entry(ContactId::new(row.get(0)?)).or_default().insert(question.channel, question);
        }
        Ok(open)
    }

    /// Removes questions that should have ended before `before` and whose silence nobody has told.
    pub async fn remove_stale_questions(&self, tenant: TenantId, before: Timestamp) -> Result<u64, StoreError> {
        let values = vec![tenant.uuid().into(), before.unix_us().into()];
        Ok(sql::execute(&self.write, "DELETE FROM questions WHERE tenant_id = ? AND expires_us < ?", values).await?)
    }
}

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

/// Does what a decision does to the customer's questions. `false` where one that it closes is not open any more:
/// another process, or a STOP, was quicker, and what was decided does not hold.
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

async fn open(
    txn: &impl Txn,
    context: &WriterContext,
    tenant: TenantId,
    contact: ContactId,
    question: &Question,
) -> Result<(), StoreError> {
    let values = vec![
        tenant.uuid().into(),
        contact.uuid().into(),
        question.channel.as_str().into(),
        question.id.uuid().into(),
        question.rule.clone().into(),
        question.name.clone().into(),
        question.state.to_string().into(),
        question.asked_at.unix_us().into(),
        question.expires_at.unix_us().into(),
    ];
    txn.rows(
        "INSERT INTO questions (tenant_id, contact_id, channel, id, rule, name, state, asked_us, expires_us)
         VALUES {rows}",
        9,
        Cut::Exact,
        values,
    )
    .await?;
    timers::plan(txn, context, [&silence_of(tenant, contact, question)]).await
}

/// The timer that tells that nobody has answered.
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

/// Ends a customer's open questions, with their timers; gives how many there were.
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

/// A customer who has opted out of a channel is asked nothing there any more.
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

/// What a customer was asked, forgotten; the timers of it go with all others of theirs.
pub(in crate::store) async fn forget(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    contact: ContactId,
) -> Result<u64, StoreError> {
    let of = vec![tenant.uuid().into(), contact.uuid().into()];
    Ok(sql::execute(db, "DELETE FROM questions WHERE tenant_id = ? AND contact_id = ?", of).await?)
}
