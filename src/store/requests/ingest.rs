//! A message from a customer, with its contact and its event: three rows, one transaction, once.

use std::collections::{HashMap, HashSet};

use sea_orm::Value;

use crate::domain::event::InboundData;
use crate::domain::opt_out::OptOutWord;
use crate::domain::{
    Action, ActionId, ActionState, Channel, ContactId, Event, EventId, EventKind, MessageId, Origin, Phone, Route,
    Send, SendBody, TenantId, Timestamp,
};
use crate::store::context::WriterContext;
use crate::store::db::sql::{Cut, Row, Txn};
use crate::store::error::StoreError;
use crate::store::pending_cache::Committed;
use crate::store::tables::actions;
use crate::store::tables::actions::NewAction;
use crate::store::tables::contacts::{ContactUpsert, Contacts};
use crate::store::writer::{Request, Step, Writer};

/// A parsed, verified message on its way in.
#[derive(Clone, Debug)]
pub struct NewInbound {
    pub tenant: TenantId,
    pub channel: Channel,
    /// `None` where the provider gave something that is no number (a short code, a business-scoped id).
    pub from: Option<Phone>,
    pub data: InboundData,
    /// `data` as the event carries it, but for `nth`; and its text, made here so that the writer need not.
    pub event_data: serde_json::Value,
    pub event_text: String,
    /// No rule listens to such an event: it is stored as decided.
    pub unmatched: bool,
    pub at: Timestamp,
    pub segments: i32,
    /// The customer asked to stop or to start again.
    pub wish: Option<OptOutKeyword>,
}

impl NewInbound {
    pub fn new(
        tenant: TenantId,
        channel: Channel,
        from: Option<Phone>,
        data: InboundData,
        at: Timestamp,
        segments: i32,
        wish: Option<OptOutKeyword>,
    ) -> Self {
        // Texts, numbers and lists: there is nothing in it that JSON could not hold.
        let event_data = serde_json::to_value(&data).unwrap_or_default();
        let event_text = event_data.to_string();
        Self { tenant, channel, from, data, event_data, event_text, unmatched: false, at, segments, wish }
    }

    /// `nth`: which of the customer's messages it is.
    fn data_of_event(&self, nth: Option<i64>) -> serde_json::Value {
        let mut data = self.event_data.clone();
        if let Some(nth) = nth {
            data["nth"] = nth.into();
        }
        data
    }

    fn text_of_event(&self, nth: Option<i64>) -> String {
        match (nth, self.event_text.strip_suffix('}')) {
            // It is never empty: there is always a sender.
            (Some(nth), Some(open)) => format!("{open},\"nth\":{nth}}}"),
            _ => self.event_text.clone(),
        }
    }
}

/// STOP, START or HELP, taken down in the same transaction as the message, so that it holds once we have answered.
#[derive(Clone, Debug)]
pub struct OptOutKeyword {
    pub word: OptOutWord,
    /// What the customer wrote, folded.
    pub text: String,
    /// START words that only count as such for somebody who has opted out.
    pub only_if_opted_out: bool,
    /// Our confirmation, where the provider gives none.
    pub confirmation: Option<Confirmation>,
}

#[derive(Clone, Debug)]
pub struct Confirmation {
    pub sender: String,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingested {
    pub event: Option<EventId>,
    pub message: Option<MessageId>,
    /// The provider had brought this message before: nothing was done but to count the repeat.
    pub duplicate: bool,
    /// A confirmation of STOP, START or HELP was planned.
    pub confirmed: bool,
}

const DUPLICATE: Ingested = Ingested { event: None, message: None, duplicate: true, confirmed: false };

impl Writer {
    /// Stores an inbound message with its event and contact.
    pub async fn ingest(&self, inbound: NewInbound) -> Result<Ingested, StoreError> {
        self.ask(inbound).await
    }
}

impl Request for NewInbound {
    type Reply = Ingested;

    const STEP: Step = Step::Ingest;

    async fn execute(
        inbound: &[Self],
        txn: &impl Txn,
        context: &WriterContext,
        committed: &mut Committed,
    ) -> Result<Vec<Ingested>, StoreError> {
        ingest(txn, context, inbound, committed).await
    }
}

async fn ingest(
    txn: &impl Txn,
    context: &WriterContext,
    inbound: &[NewInbound],
    committed: &mut Committed,
) -> Result<Vec<Ingested>, StoreError> {
    if inbound.is_empty() {
        return Ok(Vec::new());
    }
    let mut seen = known_sids(txn, inbound).await?;
    let mut fresh = Vec::with_capacity(inbound.len());
    let mut repeats: HashMap<(&str, TenantId), i32> = HashMap::new();
    for item in inbound {
        let new = seen.insert((item.tenant, item.data.provider_sid.as_str()));
        fresh.push(new);
        if !new {
            *repeats.entry((&item.data.provider_sid, item.tenant)).or_default() += 1;
        }
    }
    let news: Vec<&NewInbound> = inbound.iter().zip(&fresh).filter(|(_, new)| **new).map(|(item, _)| item).collect();
    let mut upsert = ContactUpsert::default();
    for item in &news {
        if let Some(phone) = &item.from {
            let name = item.data.profile_name.as_deref().unwrap_or_default();
            upsert.add_inbound(item.tenant, phone, name, item.channel, item.at);
        }
    }
    let mut contacts = upsert.upsert(txn, context).await?;
    // Back to the count before the batch: each of its messages has a number of its own.
    for item in &news {
        if let Some((_, count)) = item.from.as_ref().and_then(|phone| contacts.get_mut(&(item.tenant, phone.key()))) {
            *count -= 1;
        }
    }
    let mut stored = write_rows(txn, context, &news, contacts, committed).await?.into_iter();
    // After the rows, since some repeat a message of this very batch.
    count_repeats(txn, repeats).await?;
    Ok(fresh.into_iter().map(|new| if new { stored.next().unwrap_or(DUPLICATE) } else { DUPLICATE }).collect())
}

async fn known_sids<'a>(txn: &impl Txn, inbound: &'a [NewInbound]) -> Result<HashSet<(TenantId, &'a str)>, StoreError> {
    let list = inbound.iter().map(|item| item.data.provider_sid.as_str().into()).collect();
    let text = "SELECT tenant_id, provider_sid, late FROM messages WHERE provider_sid IN ({list})";
    let read = |row: &Row| Ok((TenantId::new(row.get(0)?), row.get::<String>(1)?, row.get::<bool>(2)?));
    let found = txn.query_in(text, &[], list, read).await?;
    let mut known = HashSet::with_capacity(inbound.len());
    for (tenant, sid, late) in found {
        // The catch-up names a tenant by the number alone, a webhook by its URL: they may differ about one message,
        // which is then whoever's had it first.
        let same = |item: &&NewInbound| item.tenant == tenant || late || item.data.late;
        // Borrow the request's own text, so that the set can take in the batch's ids too.
        for item in inbound.iter().filter(|item| item.data.provider_sid == sid).filter(same) {
            known.insert((item.tenant, item.data.provider_sid.as_str()));
        }
    }
    Ok(known)
}

/// A repeat has no effect, but it leaves a trace: it is how a replayed webhook shows.
async fn count_repeats(txn: &impl Txn, repeats: HashMap<(&str, TenantId), i32>) -> Result<(), StoreError> {
    if repeats.is_empty() {
        return Ok(());
    }
    let rows = repeats.into_iter().flat_map(|((sid, tenant), count)| [sid.into(), tenant.uuid().into(), count.into()]);
    txn.rows(
        "UPDATE messages SET repeats = repeats + v.column3 FROM (VALUES {rows}) AS v
         WHERE messages.provider_sid = v.column1 AND messages.tenant_id = v.column2",
        3,
        Cut::Exact,
        rows.collect(),
    )
    .await
}

async fn write_rows(
    txn: &impl Txn,
    context: &WriterContext,
    news: &[&NewInbound],
    mut contacts: Contacts,
    committed: &mut Committed,
) -> Result<Vec<Ingested>, StoreError> {
    let mut messages: Vec<Value> = Vec::with_capacity(news.len() * 19);
    let mut events: Vec<Value> = Vec::with_capacity(news.len() * 10);
    let mut stored = Vec::with_capacity(news.len());
    let mut wishes = Vec::new();
    for item in news {
        let key = item.from.as_ref().map_or_else(|| item.data.from.clone(), Phone::key);
        let (contact, nth) = contacts
            .get_mut(&(item.tenant, key.clone()))
            .map(|(contact, count)| {
                *count += 1;
                (*contact, *count)
            })
            .unzip();
        let message: MessageId = context.ids.next();
        let event = Event {
            // A message and its event are two sides of one thing.
            id: EventId::new(message.uuid()),
            tenant: item.tenant,
            kind: EventKind::inbound(item.channel),
            channel: Some(item.channel),
            contact,
            occurred_at: item.at,
            dedupe_key: None,
            depth: 0,
            data: if item.unmatched { serde_json::Value::Null } else { item.data_of_event(nth) },
        };
        let handled = item.unmatched.then_some(item.at);
        events.extend(crate::store::tables::events::row(&event, item.text_of_event(nth), handled));
        messages.extend([
            message.uuid().into(),
            item.tenant.uuid().into(),
            contact.map(ContactId::uuid).into(),
            item.channel.as_str().into(),
            "in".into(),
            "customer".into(),
            item.data.from.clone().into(),
            key.clone().into(),
            item.data.to.clone().into(),
            item.data.body.clone().into(),
            extra(&item.data)?.into(),
            "received".into(),
            5i16.into(),
            item.data.provider_sid.clone().into(),
            Value::BigInt(None),
            item.segments.into(),
            item.at.unix_us().into(),
            item.data.late.into(),
            0i32.into(),
        ]);
        stored.push(Ingested {
            event: Some(event.id),
            message: Some(message),
            duplicate: false,
            confirmed: item.wish.as_ref().is_some_and(|wish| wish.confirmation.is_some()),
        });
        if let Some(wish) = &item.wish {
            wishes.push((*item, wish, key, contact, event.id));
        }
        if handled.is_none() {
            committed.events.push(event);
        }
    }
    crate::store::tables::messages::insert(txn, messages).await?;
    crate::store::tables::events::insert_rows(txn, events).await?;
    for (item, wish, key, contact, cause) in wishes {
        let told = apply_keyword(txn, context, item, wish, key, contact, cause).await?;
        committed.changed_customers |= told.is_some();
        committed.events.extend(told);
    }
    Ok(stored)
}

/// Media and the like as one document; `{}` for a plain text.
fn extra(data: &InboundData) -> Result<String, StoreError> {
    let plain = data.media.is_empty()
        && data.button.is_none()
        && data.location.is_none()
        && data.replied_to.is_none()
        && data.opt_out_type.is_none();
    if plain {
        return Ok("{}".to_owned());
    }
    let slim = InboundData {
        from: String::new(),
        to: String::new(),
        body: String::new(),
        provider_sid: String::new(),
        ..data.clone()
    };
    let mut document = serde_json::to_value(slim).map_err(StoreError::json)?;
    if let Some(fields) = document.as_object_mut() {
        fields.retain(|_, value| value.as_str() != Some(""));
    }
    Ok(document.to_string())
}

async fn apply_keyword(
    txn: &impl Txn,
    context: &WriterContext,
    item: &NewInbound,
    wish: &OptOutKeyword,
    peer_key: String,
    contact: Option<ContactId>,
    cause: EventId,
) -> Result<Option<Event>, StoreError> {
    let standing = crate::store::tables::opt_outs::standing(txn, item.tenant, item.channel, &peer_key).await?;
    let opted_out = standing.iter().any(|(out, _)| *out);
    // What comes late does not undo what the customer has said since. What comes live is the newest, whatever the clock.
    let overtaken = |(out, at): &(bool, Timestamp)| *out == (wish.word == OptOutWord::Start) && *at > item.at;
    if item.data.late && wish.word != OptOutWord::Help && standing.iter().any(overtaken) {
        return Ok(None);
    }
    let change = match wish.word {
        OptOutWord::Stop => Some(false),
        OptOutWord::Start if opted_out => Some(true),
        OptOutWord::Start | OptOutWord::Help => None,
    };
    if wish.word == OptOutWord::Start && wish.only_if_opted_out && !opted_out {
        return Ok(None);
    }
    let mut told = None;
    if let Some(back_in) = change {
        let entry = crate::store::tables::opt_outs::OptOutChange {
            tenant: item.tenant,
            channel: item.channel,
            peer_key: peer_key.clone(),
            sender: String::new(),
            active: !back_in,
            word: wish.text.clone(),
            at: item.at,
        };
        crate::store::tables::opt_outs::record(txn, context, &entry).await?;
        if let (false, Some(contact)) = (back_in, contact) {
            crate::store::tables::questions::end_on(txn, item.tenant, contact, item.channel).await?;
        }
        let event = Event {
            id: context.ids.next(),
            tenant: item.tenant,
            kind: if back_in { EventKind::OPTED_IN } else { EventKind::OPTED_OUT },
            channel: Some(item.channel),
            contact,
            occurred_at: item.at,
            dedupe_key: None,
            depth: 0,
            data: serde_json::json!({"channel": item.channel, "word": wish.text}),
        };
        crate::store::tables::events::insert(txn, [(&event, None)]).await?;
        told = Some(event);
    }
    if let (Some(confirmation), Some(phone)) = (&wish.confirmation, &item.from) {
        let action = confirmation_of(cause, item, phone, contact, confirmation);
        actions::plan(txn, context, vec![action]).await?;
    }
    Ok(told)
}

/// Our answer to STOP, START or HELP, where the provider gives none.
fn confirmation_of(
    cause: EventId,
    item: &NewInbound,
    to: &Phone,
    contact: Option<ContactId>,
    confirmation: &Confirmation,
) -> NewAction {
    NewAction {
        id: ActionId::of(cause, NewAction::CONFIRMATION_RULE, 0),
        tenant: item.tenant,
        event: cause,
        contact,
        rule: NewAction::CONFIRMATION_RULE.to_owned(),
        index: 0,
        state: ActionState::Planned,
        reason: None,
        origin: Origin::System,
        action: Action::Send(Send {
            channel: item.channel,
            to: to.clone().into(),
            reply: true,
            fallback: None,
            body: SendBody::Text(confirmation.text.clone()),
        }),
        // From the number that was written to, and so by its provider.
        route: Some(Route::Twilio),
        sender: Some(confirmation.sender.clone()),
        due: None,
        subject: None,
        expires: None,
    }
}
