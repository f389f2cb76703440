//! Stores a message from a customer, with its contact and its event: three rows in one transaction, once.

use std::collections::{HashMap, HashSet};

use sea_orm::Value;

use crate::domain::event::InboundData;
use crate::domain::opt_out::OptOutWord;
use crate::domain::{
    Action, ActionId, ActionState, Address, Channel, ContactId, Event, EventId, EventKind, MessageId, Origin, Route,
    Send, SendBody, TenantId, Timestamp, WhatsAppId,
};
use crate::store::context::WriterContext;
use crate::store::db::sql::{Cut, Row, Txn};
use crate::store::error::StoreError;
use crate::store::pending_cache::Committed;
use crate::store::rows::{event, message};
use crate::store::tables::actions;
use crate::store::tables::actions::NewAction;
use crate::store::tables::contacts::{ContactUpsert, Contacts};
use crate::store::writer::{Request, Step, Writer};

/// A verified and parsed message.
#[derive(Clone, Debug)]
pub struct NewInbound {
    pub tenant: TenantId,
    pub channel: Channel,
    /// `None` if the provider gave neither a number nor a WhatsApp id, but a short code.
    pub from: Option<Address>,
    /// The WhatsApp id that the provider gave beside the number.
    pub whatsapp_id: Option<WhatsAppId>,
    pub data: InboundData,
    /// `data` as the event has it, without `nth`. The text is made here, so that the writer need not make it.
    pub event_data: serde_json::Value,
    pub event_text: String,
    /// No rule listens to such an event. It is stored as decided.
    pub unmatched: bool,
    pub at: Timestamp,
    pub segments: i32,
    /// The customer's STOP, START or HELP.
    pub opt_out_keyword: Option<OptOutKeyword>,
}

impl NewInbound {
    pub fn new(
        tenant: TenantId,
        channel: Channel,
        from: Option<Address>,
        data: InboundData,
        at: Timestamp,
        segments: i32,
        opt_out_keyword: Option<OptOutKeyword>,
    ) -> Self {
        // The data has texts, numbers and lists only, which JSON can always hold.
        let event_data = serde_json::to_value(&data).unwrap_or_default();
        let event_text = event_data.to_string();
        Self {
            tenant,
            channel,
            from,
            whatsapp_id: None,
            data,
            event_data,
            event_text,
            unmatched: false,
            at,
            segments,
            opt_out_keyword,
        }
    }

    /// The keys of the customer's addresses: that of the customer's row, and that of the WhatsApp id if it is another.
    fn keys(&self, of_row: String) -> Vec<String> {
        let ids = self.whatsapp_id.as_ref().or_else(|| self.from.as_ref()?.whatsapp_id());
        let other = ids.map(ToString::to_string).filter(|id| *id != of_row);
        std::iter::once(of_row).chain(other).collect()
    }

    /// The data of the event; `nth` is the number of the message among the customer's messages.
    fn data_of_event(&self, nth: Option<i64>) -> serde_json::Value {
        let mut data = self.event_data.clone();
        if let Some(nth) = nth {
            data["nth"] = nth.into();
        }
        data
    }

    fn text_of_event(&self, nth: Option<i64>) -> String {
        match (nth, self.event_text.strip_suffix('}')) {
            // The text always has a sender, so it is never empty.
            (Some(nth), Some(open)) => format!("{open},\"nth\":{nth}}}"),
            _ => self.event_text.clone(),
        }
    }
}

/// STOP, START or HELP. It is stored in the transaction of the message, so that it is in force when we have answered.
#[derive(Clone, Debug)]
pub struct OptOutKeyword {
    pub word: OptOutWord,
    /// The customer's folded text.
    pub text: String,
    /// The word counts only if the customer has opted out: some START words are ordinary words.
    pub only_if_opted_out: bool,
    /// Our confirmation, if the provider sends none.
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
    /// The message is known. Only its repeats were counted.
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
        if let Some(from) = &item.from {
            let name = item.data.profile_name.as_deref().unwrap_or_default();
            upsert.add_inbound(item.tenant, from, item.whatsapp_id.as_ref(), name, item.channel, item.at);
        }
    }
    let mut contacts = upsert.upsert(txn, context).await?;
    // The counts go back to those before the batch, so that each message gets its own number.
    for item in &news {
        if let Some((_, count)) = item.from.as_ref().and_then(|from| contacts.get_mut(item.tenant, from)) {
            *count -= 1;
        }
    }
    let mut stored = write_rows(txn, context, &news, contacts, committed).await?.into_iter();
    // After the rows, since a repeat may be of a message in this batch.
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
        // The catch-up finds a tenant by the number alone, a webhook by its URL. If they differ about a message, the
        // first tenant keeps it.
        let same = |item: &&NewInbound| item.tenant == tenant || late || item.data.late;
        // The set borrows the text of the requests, so that it can take the ids of the batch too.
        for item in inbound.iter().filter(|item| item.data.provider_sid == sid).filter(same) {
            known.insert((item.tenant, item.data.provider_sid.as_str()));
        }
    }
    Ok(known)
}

/// Counts repeats. A repeat has no other effect; the count shows a replayed webhook.
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
    let mut messages: Vec<Value> = Vec::with_capacity(news.len() * message::TABLE.width());
    let mut events: Vec<Value> = Vec::with_capacity(news.len() * event::TABLE.width());
    let mut stored = Vec::with_capacity(news.len());
    let mut keywords = Vec::new();
    for item in news {
        let from = item.from.as_ref();
        let key = from.map_or_else(|| item.data.from.clone(), |from| contacts.key_of(item.tenant, from));
        let (contact, nth) = from
            .and_then(|from| contacts.get_mut(item.tenant, from))
            .map(|(contact, count)| {
                *count += 1;
                (*contact, *count)
            })
            .unzip();
        let id: MessageId = context.ids.next();
        let event = Event {
            // A message and its event have the same id.
            id: EventId::new(id.uuid()),
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
        events.extend(event::new_row(&event, item.text_of_event(nth), handled));
        messages.extend(message::new_row(message::Model {
            id: id.uuid(),
            tenant_id: item.tenant.uuid(),
            contact_id: contact.map(ContactId::uuid),
            channel: item.channel.as_str().to_owned(),
            direction: "in".to_owned(),
            origin: "customer".to_owned(),
            peer: item.data.from.clone(),
            peer_key: key.clone(),
            ours: item.data.to.clone(),
            body: item.data.body.clone(),
            extra: extra(&item.data)?,
            status: "received".to_owned(),
            status_rank: 5,
            provider_sid: Some(item.data.provider_sid.clone()),
            error_code: None,
            segments: item.segments,
            at_us: item.at.unix_us(),
            late: item.data.late,
            repeats: 0,
        }));
        stored.push(Ingested {
            event: Some(event.id),
            message: Some(id),
            duplicate: false,
            confirmed: item.opt_out_keyword.as_ref().is_some_and(|keyword| keyword.confirmation.is_some()),
        });
        if let Some(keyword) = &item.opt_out_keyword {
            keywords.push((*item, keyword, key, contact, event.id));
        }
        if handled.is_none() {
            committed.events.push(event);
        }
    }
    crate::store::tables::messages::insert(txn, messages).await?;
    crate::store::tables::events::insert_rows(txn, events).await?;
    for (item, keyword, key, contact, cause) in keywords {
        let event = apply_keyword(txn, context, item, keyword, key, contact, cause).await?;
        committed.changed_customers |= event.is_some();
        committed.events.extend(event);
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
    keyword: &OptOutKeyword,
    peer_key: String,
    contact: Option<ContactId>,
    cause: EventId,
) -> Result<Option<Event>, StoreError> {
    let standing = crate::store::tables::opt_outs::standing(txn, item.tenant, item.channel, &peer_key).await?;
    let opted_out = standing.iter().any(|(out, _)| *out);
    // A late message does not undo what the customer has said since. A live message is the newest, whatever its clock.
    let overtaken = |(out, at): &(bool, Timestamp)| *out == (keyword.word == OptOutWord::Start) && *at > item.at;
    if item.data.late && keyword.word != OptOutWord::Help && standing.iter().any(overtaken) {
        return Ok(None);
    }
    let change = match keyword.word {
        OptOutWord::Stop => Some(false),
        OptOutWord::Start if opted_out => Some(true),
        OptOutWord::Start | OptOutWord::Help => None,
    };
    if keyword.word == OptOutWord::Start && keyword.only_if_opted_out && !opted_out {
        return Ok(None);
    }
    let mut stored = None;
    if let Some(back_in) = change {
        for peer_key in item.keys(peer_key) {
            let entry = crate::store::tables::opt_outs::OptOutChange {
                tenant: item.tenant,
                channel: item.channel,
                peer_key,
                sender: String::new(),
                active: !back_in,
                word: keyword.text.clone(),
                at: item.at,
            };
            crate::store::tables::opt_outs::record(txn, context, &entry).await?;
        }
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
            data: serde_json::json!({"channel": item.channel, "word": keyword.text}),
        };
        crate::store::tables::events::insert(txn, [(&event, None)]).await?;
        stored = Some(event);
    }
    if let (Some(confirmation), Some(from)) = (&keyword.confirmation, &item.from) {
        let action = confirmation_of(cause, item, from, contact, confirmation);
        actions::plan(txn, context, vec![action]).await?;
    }
    Ok(stored)
}

/// Our confirmation of STOP, START or HELP, if the provider sends none.
fn confirmation_of(
    cause: EventId,
    item: &NewInbound,
    to: &Address,
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
            to: to.clone(),
            reply: true,
            fallback: None,
            body: SendBody::Text(confirmation.text.clone()),
        }),
        // The confirmation comes from the number that the customer wrote to, and so through that number's provider.
        route: Some(Route::Twilio),
        sender: Some(confirmation.sender.clone()),
        due: None,
        subject: None,
        expires: None,
    }
}
