//! Open questions. A customer has at most one on each channel, with one end.
//!
//! The time of a question runs from the moment at which its text is sent: [`sent`] plans the timer of its silence then. If
//! the text is never sent, [`never_sent`] plans a timer that is due at once, with the reason as `unsent` in its payload.

use std::collections::{BTreeMap, HashMap, HashSet};
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

    /// Lists these customers' questions whose texts will leave later, or never. A question whose text is due counts as
    /// asked: it may have reached the customer already.
    pub async fn unasked_questions(
        &self,
        tenant: TenantId,
        contacts: &[ContactId],
    ) -> Result<HashSet<ActionId>, StoreError> {
        let text = "SELECT q.id FROM questions q WHERE NOT EXISTS (
            SELECT 1 FROM actions a WHERE a.id = q.id AND q.wait_us > 0
              AND (a.state IN ('sending', 'unknown', 'sent') OR (a.state = 'planned' AND a.due_us <= ?)))
            AND q.wait_us IS NOT NULL AND q.tenant_id = ? AND q.contact_id IN ({list})";
        let before: [Value; 2] = [self.clock().now().unix_us().into(), tenant.uuid().into()];
        let list = contacts.iter().map(|contact| contact.uuid().into()).collect();
        let rows = sql::query_in(&self.read, text, &before, list).await?;
        rows.iter().map(|row| Ok(ActionId::new(Row::Sea(row).get(0)?))).collect()
    }

    /// Lists a tenant's questions whose texts have not been sent, each with its customer.
    pub async fn unsent_questions(&self, tenant: TenantId) -> Result<Vec<(ContactId, Question)>, StoreError> {
        let columns = question::TABLE.column_list();
        let text =
            format!("SELECT {columns} FROM questions WHERE tenant_id = ? AND wait_us IS NOT NULL AND wait_us > 0");
        let rows = sql::query(&self.read, &text, vec![tenant.uuid().into()]).await?;
        let read = |row| {
            let row = Row::Sea(row);
            Ok((ContactId::new(row.get(0)?), read(&row)?))
        };
        rows.iter().map(read).collect()
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
                let has_text = decided.actions.iter().any(|action| action.id == question.id);
                open(txn, context, decided.tenant, contact, question, has_text).await?;
            }
        }
    }
    Ok(true)
}

static INSERT: LazyLock<String> = LazyLock::new(|| question::TABLE.insert());

/// Opens a question. If it `has_text`, its time runs from the moment at which that is sent, else at once.
async fn open(
    txn: &impl Txn,
    context: &WriterContext,
    tenant: TenantId,
    contact: ContactId,
    question: &Question,
    has_text: bool,
) -> Result<(), StoreError> {
    let wait_us = has_text.then(|| span_us(question).max(1));
    let values = question::new_row(tenant, contact, question, wait_us).to_vec();
    txn.rows(&INSERT, question::TABLE.width(), Cut::Exact, values).await?;
    if has_text { Ok(()) } else { timers::plan(txn, context, [&silence_of(tenant, contact, question)]).await }
}

fn span_us(question: &Question) -> i64 {
    question.expires_at.unix_us() - question.asked_at.unix_us()
}

/// The question with its time running from `at`, when its text was sent.
pub fn running_from(question: Question, at: Timestamp) -> Question {
    Question { expires_at: Timestamp::from_unix_us(at.unix_us() + span_us(&question)), ..question }
}

/// Finds questions among these sends whose texts have not been sent yet.
async fn unsent_among(
    txn: &impl Txn,
    ids: impl Iterator<Item = ActionId>,
) -> Result<Vec<(TenantId, ContactId, Question)>, StoreError> {
    let list: Vec<Value> = ids.map(|id| id.uuid().into()).collect();
    if list.is_empty() {
        return Ok(Vec::new());
    }
    let columns = question::TABLE.column_list();
    let text = format!(
        "SELECT {columns}, tenant_id FROM questions WHERE wait_us IS NOT NULL AND wait_us > 0 AND id IN ({{list}})"
    );
    let tenant_at = question::TABLE.columns.len();
    let read = |row: &Row| Ok((TenantId::new(row.get(tenant_at)?), ContactId::new(row.get(0)?), read(row)?));
    txn.query_in(&text, &[], list, read).await
}

/// Starts the time of the questions among these sends, each with the moment at which it was sent.
pub(in crate::store) async fn sent(
    txn: &impl Txn,
    context: &WriterContext,
    sends: &[(ActionId, Timestamp)],
) -> Result<(), StoreError> {
    for (tenant, contact, question) in unsent_among(txn, sends.iter().map(|(id, _)| *id)).await? {
        let Some((_, at)) = sends.iter().find(|(id, _)| *id == question.id) else { continue };
        let question = running_from(question, *at);
        set_time(txn, tenant, contact, &question, None).await?;
        timers::plan(txn, context, [&silence_of(tenant, contact, &question)]).await?;
    }
    Ok(())
}

/// Ends the questions among these sends, which will never leave, each with the reason. The rule learns it by an event.
pub(in crate::store) async fn never_sent(
    txn: &impl Txn,
    context: &WriterContext,
    sends: &[(ActionId, String)],
) -> Result<(), StoreError> {
    for (tenant, contact, question) in unsent_among(txn, sends.iter().map(|(id, _)| *id)).await? {
        let Some((_, why)) = sends.iter().find(|(id, _)| *id == question.id) else { continue };
        let question = Question { expires_at: context.clock.now(), ..question };
        set_time(txn, tenant, contact, &question, Some(0)).await?;
        timers::plan(txn, context, [&unsent_of(tenant, contact, &question, why)]).await?;
    }
    Ok(())
}

async fn set_time(
    txn: &impl Txn,
    tenant: TenantId,
    contact: ContactId,
    question: &Question,
    wait_us: Option<i64>,
) -> Result<(), StoreError> {
    let values = vec![
        question.expires_at.unix_us().into(),
        wait_us.into(),
        tenant.uuid().into(),
        contact.uuid().into(),
        question.channel.as_str().into(),
    ];
    txn.execute(
        "UPDATE questions SET expires_us = ?, wait_us = ? WHERE tenant_id = ? AND contact_id = ? AND channel = ?",
        values,
    )
    .await?;
    Ok(())
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

/// The timer that tells at once that a question will never be sent, and why.
pub fn unsent_of(tenant: TenantId, contact: ContactId, question: &Question, why: &str) -> NewTimer {
    let mut timer = silence_of(tenant, contact, question);
    timer.payload["unsent"] = why.into();
    timer
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
