//! The catch-up: ingests messages whose webhook was lost, and asks for missing delivery statuses.
//!
//! It reads the provider's list of inbound messages from where it ended last, and ingests what is missing, marked late.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::{ActionId, DeliveryStatus, MessageId, Route, TenantId, Timestamp};
use crate::engine::sending::transports::twilio;
use crate::engine::{Engine, inbound};
use crate::integrations::twilio::client;
use crate::integrations::twilio::client::{MessageFilter, MessageResource};
use crate::integrations::twilio::inbound::{Address, InboundMessage, Media};
use crate::store::{Settled, StatusReport, StoreError, Unsettled};
use crate::tenants::Account;

/// The interval between two rounds; the first is at the start.
pub const EVERY: Duration = Duration::from_secs(3_600);
/// The overlap with the last round, since messages may appear late in the list.
const OVERLAP: Duration = Duration::from_secs(600);
/// The furthest that a round looks back.
const REACH: Duration = Duration::from_secs(3 * 24 * 3_600);
/// Pages of a thousand messages that are held at once.
const PAGES_MAX: usize = 50;
/// The most parts of [`PAGES_MAX`] pages of one account in one round.
const PARTS_MAX: usize = 200;
/// A status that is not final is asked for after this.
const STATUS_OVERDUE: Duration = Duration::from_secs(3_600);
const STATUS_GIVEN_UP: Duration = Duration::from_secs(24 * 3_600);
/// The most statuses of one round. The next round continues after them.
const STATUS_MAX: usize = 500;
/// The setting that holds the last message of a round.
const STATUS_CURSOR: &str = "catch_up: statuses";

/// Runs now and every hour until the future is dropped.
pub async fn run(engine: &Engine) {
    loop {
        if let Err(error) = round(engine).await {
            tracing::warn!(%error, "the catch-up waits for the database");
        }
        engine.clock.sleep(EVERY).await;
    }
}

/// Runs one round over all accounts; returns the number of missed messages.
pub async fn round(engine: &Engine) -> Result<usize, StoreError> {
    let mut accounts: HashMap<String, Arc<Account>> = HashMap::new();
    let platform = &engine.directory.platform().account;
    accounts.insert(platform.sid.clone(), platform.clone());
    for tenant in engine.directory.now().tenants() {
        accounts.entry(tenant.account.sid.clone()).or_insert_with(|| tenant.account.clone());
    }
    let mut missed = 0;
    for account in accounts.values() {
        missed += catch_up_account(engine, account).await?;
    }
    fetch_statuses(engine).await?;
    Ok(missed)
}

/// The result of one account's round.
#[derive(Default)]
struct Found {
    missed: usize,
    /// Messages to numbers that no tenant owns, and one of those numbers.
    unowned: usize,
    unowned_number: String,
}

async fn catch_up_account(engine: &Engine, account: &Account) -> Result<usize, StoreError> {
    let Some(credentials) = twilio::credentials(account) else { return Ok(0) };
    let now = engine.clock.now();
    let cursor = format!("catch_up:{}", account.sid);
    let last = engine.store.setting(&cursor).await?.and_then(|at| Timestamp::parse(&at).ok());
    // Before the first start no message was missed.
    let Some(last) = last else {
        engine.store.set_setting(&cursor, &now.to_string()).await?;
        return Ok(0);
    };
    let mut found = Found::default();
    // What came since the copy of a restored database is missing, however long ago.
    let reach = now.minus(REACH);
    let reach = engine.store.restored().map_or(reach, |restored| restored.copied_at.minus(OVERLAP).min(reach));
    let complete = read_list(engine, &credentials, last.minus(OVERLAP).max(reach), &mut found).await?;
    let Found { missed, unowned, unowned_number } = found;
    if missed > 0 {
        tracing::info!(account = %account.sid, missed, "messages that no webhook had brought were taken in");
    }
    if unowned > 0 {
        tracing::warn!(account = %account.sid, unowned, number = %unowned_number,
            "messages to numbers that no tenant owns were left out: give the number to a tenant with 'recado tenant set'");
    }
    if complete {
        engine.store.set_setting(&cursor, &now.to_string()).await?;
    }
    Ok(missed)
}

/// Reads an account's list part by part; returns whether it reached the end.
async fn read_list(
    engine: &Engine,
    account: &client::Account,
    since: Timestamp,
    found: &mut Found,
) -> Result<bool, StoreError> {
    let filter = MessageFilter { since: Some(since.to_utc()), ..MessageFilter::default() };
    let mut rest = None;
    for _ in 0..PARTS_MAX {
        let part = match rest.take() {
            None => engine.transports.twilio.list_messages(account, &filter, PAGES_MAX).await,
            Some(rest) => engine.transports.twilio.list_next(account, &filter, rest, PAGES_MAX).await,
        };
        let part = match part {
            Ok(part) => part,
            Err(error) => {
                tracing::warn!(account = %account.sid, %error, "the catch-up could not read the provider's list");
                return Ok(false);
            }
        };
        ingest_all(engine, account, part.messages, found).await?;
        rest = part.rest;
        if rest.is_none() {
            return Ok(true);
        }
    }
    tracing::warn!(account = %account.sid, "the provider's list does not end: the catch-up begins anew in an hour");
    Ok(false)
}

/// Ingests the unknown messages, oldest first, so that a customer's messages are decided in order.
async fn ingest_all(
    engine: &Engine,
    account: &client::Account,
    listed: Vec<MessageResource>,
    found: &mut Found,
) -> Result<(), StoreError> {
    let inbound: Vec<_> = listed.into_iter().rev().filter(|message| message.direction == "inbound").collect();
    let sids: Vec<String> = inbound.iter().map(|message| message.sid.clone()).collect();
    // All tenants count: a webhook may have delivered it to a tenant that does not own the number.
    let known: HashSet<String> = engine.store.known_sids(&sids).await?.into_iter().collect();
    for message in inbound.into_iter().filter(|message| !known.contains(&message.sid)) {
        ingest_message(engine, account, message, found).await?;
    }
    Ok(())
}

async fn ingest_message(
    engine: &Engine,
    account: &client::Account,
    message: MessageResource,
    found: &mut Found,
) -> Result<(), StoreError> {
    let (from, to) = (message.from.unwrap_or_default(), message.to.unwrap_or_default());
    let (from, to) = (Address::parse(&from), Address::parse(&to));
    let channel = inbound::prefixed_channel(&from, &to);
    let service = message.messaging_service_sid.as_deref();
    let snapshot = engine.directory.now();
    let Some(tenant) = inbound::tenant_of(&snapshot, channel, &to.value, service, &account.sid) else {
        found.unowned += 1;
        found.unowned_number = to.value;
        return Ok(());
    };
    let at = message.date_sent.or(message.date_created).map_or_else(|| engine.clock.now(), Timestamp::from);
    let media = if message.num_media > 0 { media_of(engine, account, &message.sid).await } else { Vec::new() };
    let parsed = InboundMessage {
        message_sid: message.sid,
        account_sid: account.sid.clone(),
        messaging_service_sid: message.messaging_service_sid,
        from,
        to,
        body: message.body,
        media,
        num_segments: message.num_segments,
        ..InboundMessage::default()
    };
    let ingested = engine.pipeline.ingest(inbound::parse(&tenant, channel, parsed, at, true)).await?;
    found.missed += usize::from(!ingested.duplicate);
    Ok(())
}

/// Reads the media of a message: the list has only their number. On an error the message is ingested without them.
async fn media_of(engine: &Engine, account: &client::Account, sid: &str) -> Vec<Media> {
    let media = engine.transports.twilio.list_media(account, sid).await.unwrap_or_else(|error| {
        tracing::warn!(sid, %error, "a late message is taken in without its media");
        Vec::new()
    });
    media.into_iter().map(|one| Media { url: one.url, content_type: one.content_type }).collect()
}

/// Fetches the status of messages without a final one: callbacks are best effort.
async fn fetch_statuses(engine: &Engine) -> Result<(), StoreError> {
    // Accounts that gave no answer in this round.
    let mut silent: HashSet<String> = HashSet::new();
    for message in overdue_messages(engine).await? {
        let snapshot = engine.directory.now();
        let tenant = snapshot.by_id(TenantId::new(message.tenant_id));
        let Some(account) = tenant.and_then(|tenant| twilio::credentials(&tenant.account)) else { continue };
        if silent.contains(&account.sid) {
            continue;
        }
        match engine.transports.twilio.fetch_message(&account, &message.provider_sid).await {
            Ok(Some(resource)) => settle(engine, message, &resource).await?,
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(account = %account.sid, %error, "this account's statuses are asked for again later");
                silent.insert(account.sid);
            }
        }
    }
    Ok(())
}

/// Returns the next overdue messages. Many may never get a final status, so each round continues after the last one.
async fn overdue_messages(engine: &Engine) -> Result<Vec<Unsettled>, StoreError> {
    let now = engine.clock.now();
    let (from, to) = (now.minus(STATUS_GIVEN_UP), now.minus(STATUS_OVERDUE));
    let after: Option<MessageId> = engine.store.setting(STATUS_CURSOR).await?.and_then(|cursor| cursor.parse().ok());
    let overdue = engine.store.unsettled(from, to, after, STATUS_MAX).await?;
    let next = overdue.last().filter(|_| overdue.len() == STATUS_MAX).map(|last| MessageId::new(last.id));
    if next != after {
        let next = next.map(|id| id.to_string()).unwrap_or_default();
        engine.store.set_setting(STATUS_CURSOR, &next).await?;
    }
    Ok(overdue)
}

async fn settle(engine: &Engine, message: Unsettled, resource: &MessageResource) -> Result<(), StoreError> {
    let Some(status) = DeliveryStatus::parse(&resource.status) else { return Ok(()) };
    let report = StatusReport {
        tenant: TenantId::new(message.tenant_id),
        action: ActionId::new(message.id),
        sid: message.provider_sid,
        status,
        error_code: resource.error_code.map(i64::from),
        unmatched: false,
        at: engine.clock.now(),
    };
    if engine.pipeline.settle(Route::Twilio, report).await? == Settled::Advanced {
        tracing::debug!(message = %message.id, %status, "a status that no callback had brought");
    }
    Ok(())
}
