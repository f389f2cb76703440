//! What came while nobody listened: the provider's list of inbound messages is read from where it was read last, and
//! what is missing here is taken in, marked late. Messages long without a final status are asked for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::{ActionId, DeliveryStatus, MessageId, Route, TenantId, Timestamp};
use crate::engine::Engine;
use crate::engine::sending::transports::twilio;
use crate::http::webhooks::inbound;
use crate::integrations::twilio::client;
use crate::integrations::twilio::client::{MessageFilter, MessageResource};
use crate::integrations::twilio::inbound::{Address, InboundMessage, Media};
use crate::store::{Settled, StatusReport, StoreError, Unsettled};
use crate::tenants::Account;

/// How often, besides at the start.
pub const EVERY: Duration = Duration::from_secs(3_600);
/// Read again from the last time, in case a message showed late in the list.
const OVERLAP: Duration = Duration::from_secs(600);
/// The first time, and after a long rest, no further back than this.
const REACH: Duration = Duration::from_secs(3 * 24 * 3_600);
/// Pages of a thousand that are held at once.
const PAGES_MAX: usize = 50;
/// So often that many are read of one account in one round.
const PARTS_MAX: usize = 200;
/// A status that is not final is asked for after this, up to a day.
const STATUS_OVERDUE: Duration = Duration::from_secs(3_600);
const STATUS_GIVEN_UP: Duration = Duration::from_secs(24 * 3_600);
/// Statuses asked for in one round; the next one goes on behind them.
const STATUS_MAX: usize = 500;
/// The setting that says behind which message.
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

/// One round over all accounts; gives how many messages had been missed.
pub async fn round(engine: &Engine) -> Result<usize, StoreError> {
    let mut accounts: HashMap<String, Arc<Account>> = HashMap::new();
    let platform = &engine.directory.platform().account;
    accounts.insert(platform.sid.clone(), platform.clone());
    for tenant in engine.directory.now().tenants() {
        accounts.entry(tenant.account.sid.clone()).or_insert_with(|| tenant.account.clone());
    }
    let mut missed = 0;
    for account in accounts.values() {
        missed += inbound(engine, account).await?;
    }
    statuses(engine).await?;
    Ok(missed)
}

/// What one account's round has found.
#[derive(Default)]
struct Found {
    missed: usize,
    /// Messages to numbers that no tenant owns, and one of those numbers.
    unowned: usize,
    unowned_number: String,
}

async fn inbound(engine: &Engine, account: &Account) -> Result<usize, StoreError> {
    let Some(credentials) = twilio::credentials(account) else { return Ok(0) };
    let now = engine.clock.now();
    let cursor = format!("catch_up:{}", account.sid);
    let last = engine.store.setting(&cursor).await?.and_then(|at| Timestamp::parse(&at).ok());
    // On the very first start there is nothing to have missed.
    let Some(last) = last else {
        engine.store.set_setting(&cursor, &now.to_string()).await?;
        return Ok(0);
    };
    let mut found = Found::default();
    let complete = walk(engine, &credentials, last.minus(OVERLAP).max(now.minus(REACH)), &mut found).await?;
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

/// Reads an account's list to its end, part after part; gives whether it came there.
async fn walk(
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
        take_in_all(engine, account, part.messages, found).await?;
        rest = part.rest;
        if rest.is_none() {
            return Ok(true);
        }
    }
    tracing::warn!(account = %account.sid, "the provider's list does not end: the catch-up begins anew in an hour");
    Ok(false)
}

/// Takes in what is not known here. Oldest first, so that a customer's messages are decided in order.
async fn take_in_all(
    engine: &Engine,
    account: &client::Account,
    listed: Vec<MessageResource>,
    found: &mut Found,
) -> Result<(), StoreError> {
    let inbound: Vec<_> = listed.into_iter().rev().filter(|message| message.direction == "inbound").collect();
    let sids: Vec<String> = inbound.iter().map(|message| message.sid.clone()).collect();
    // Of whatever tenant: a webhook may have brought it to another than the one whose number it is.
    let known: HashSet<String> = engine.store.known_sids(&sids).await?.into_iter().collect();
    for message in inbound.into_iter().filter(|message| !known.contains(&message.sid)) {
        take_in(engine, account, message, found).await?;
    }
    Ok(())
}

async fn take_in(
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

/// The list counts what hangs on a message, and no more. Better a message without it than none.
async fn media_of(engine: &Engine, account: &client::Account, sid: &str) -> Vec<Media> {
    let media = engine.transports.twilio.list_media(account, sid).await.unwrap_or_else(|error| {
        tracing::warn!(sid, %error, "a late message is taken in without its media");
        Vec::new()
    });
    media.into_iter().map(|one| Media { url: one.url, content_type: one.content_type }).collect()
}

/// Callbacks are best effort: what has been without a final status for long is asked for.
async fn statuses(engine: &Engine) -> Result<(), StoreError> {
    // Accounts that gave no answer in this round.
    let mut silent: HashSet<String> = HashSet::new();
    for message in overdue(engine).await? {
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

/// The next of those that are overdue: many may never get a final status, and must not crowd out the others.
async fn overdue(engine: &Engine) -> Result<Vec<Unsettled>, StoreError> {
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
