//! What came while nobody listened: the provider's list of inbound messages is read from where it was read last, and
//! what is missing here is taken in, marked late. Messages long without a final status are asked for.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::actions::deliver;
use crate::directory::Account;
use crate::domain::{ActionId, Channel, DeliveryStatus, TenantId, Timestamp};
use crate::intake;
use crate::pipeline::Pipeline;
use crate::store::{Settled, StatusReport, StoreError};
use crate::twilio::client::{Filter, MessageResource};
use crate::twilio::inbound::{Address, InboundMessage};

/// How often, besides at the start.
pub const EVERY: Duration = Duration::from_secs(3_600);
/// Read again from the last time, in case a message showed late in the list.
const OVERLAP: Duration = Duration::from_secs(600);
/// The first time, and after a long rest, no further back than this.
const REACH: Duration = Duration::from_secs(3 * 24 * 3_600);
/// Pages of a thousand per account and round.
const PAGES_MAX: usize = 50;
/// A status that is not final is asked for after this, up to a day.
const STATUS_OVERDUE: Duration = Duration::from_secs(3_600);
const STATUS_GIVEN_UP: Duration = Duration::from_secs(24 * 3_600);
/// Statuses asked for in one round.
const STATUS_MAX: usize = 500;

/// Runs now and every hour until the future is dropped.
pub async fn run(pipeline: &Pipeline) {
    loop {
        if let Err(error) = round(pipeline).await {
            tracing::warn!(%error, "the catch-up waits for the database");
        }
        pipeline.clock.sleep(EVERY).await;
    }
}

/// One round over all accounts; gives how many messages had been missed.
pub async fn round(pipeline: &Pipeline) -> Result<usize, StoreError> {
    let mut accounts: HashMap<String, Arc<Account>> = HashMap::new();
    let platform = &pipeline.directory.platform().account;
    accounts.insert(platform.sid.clone(), platform.clone());
    for tenant in pipeline.directory.now().tenants() {
        accounts.entry(tenant.account.sid.clone()).or_insert_with(|| tenant.account.clone());
    }
    let mut missed = 0;
    for account in accounts.values() {
        missed += inbound(pipeline, account).await?;
    }
    statuses(pipeline).await?;
    Ok(missed)
}

async fn inbound(pipeline: &Pipeline, account: &Account) -> Result<usize, StoreError> {
    let Some(credentials) = deliver::credentials(account) else { return Ok(0) };
    let now = pipeline.clock.now();
    let cursor = format!("catch_up:{}", account.sid);
    let last = pipeline.store.setting(&cursor).await?.and_then(|at| Timestamp::parse(&at).ok());
    // On the very first start there is nothing to have missed.
    let Some(last) = last else {
        pipeline.store.set_setting(&cursor, &now.to_string()).await?;
        return Ok(0);
    };
    let since = last.minus(OVERLAP).max(now.minus(REACH));
    let filter = Filter { since: Some(since.to_utc()), ..Filter::default() };
    let listing = match pipeline.client.list_messages(&credentials, &filter, PAGES_MAX).await {
        Ok(listing) => listing,
        Err(error) => {
            tracing::warn!(account = %account.sid, %error, "the catch-up could not read the provider's list");
            return Ok(0);
        }
    };
    let mut missed = 0;
    // Oldest first, so that a customer's messages are decided in order.
    for message in listing.messages.into_iter().rev().filter(|message| message.direction == "inbound") {
        missed += usize::from(take_in(pipeline, account, message).await?);
    }
    if missed > 0 {
        tracing::info!(account = %account.sid, missed, "messages that no webhook had brought were taken in");
    }
    if listing.complete {
        pipeline.store.set_setting(&cursor, &now.to_string()).await?;
    } else {
        tracing::warn!(account = %account.sid, "the provider's list is longer than one round reads: the next one goes on");
    }
    Ok(missed)
}

async fn take_in(pipeline: &Pipeline, account: &Account, message: MessageResource) -> Result<bool, StoreError> {
    let (from, to) = (message.from.unwrap_or_default(), message.to.unwrap_or_default());
    let (from, to) = (Address::parse(&from), Address::parse(&to));
    let channel = if to.value.is_empty() { return Ok(false) } else { channel_of(&from, &to) };
    let Some(tenant) = intake::tenant_of(pipeline, channel, &to.value, &account.sid) else { return Ok(false) };
    if tenant.account.sid != account.sid {
        return Ok(false);
    }
    let at = message.date_sent.or(message.date_created).map_or_else(|| pipeline.clock.now(), Timestamp::from);
    let parsed = InboundMessage {
        message_sid: message.sid,
        account_sid: account.sid.clone(),
        messaging_service_sid: message.messaging_service_sid,
        from,
        to,
        body: message.body,
        num_segments: message.num_segments,
        ..InboundMessage::default()
    };
    let ingested = pipeline.ingest(intake::parse(&tenant, channel, parsed, at, true)).await?;
    Ok(!ingested.duplicate)
}

fn channel_of(from: &Address, to: &Address) -> Channel {
    use crate::twilio::inbound::Prefix::WhatsApp;
    if from.prefix == WhatsApp || to.prefix == WhatsApp { Channel::WhatsApp } else { Channel::Sms }
}

/// Callbacks are best effort: what has been without a final status for long is asked for.
async fn statuses(pipeline: &Pipeline) -> Result<(), StoreError> {
    let now = pipeline.clock.now();
    let overdue = pipeline.store.unsettled(now.minus(STATUS_GIVEN_UP), now.minus(STATUS_OVERDUE), STATUS_MAX).await?;
    for message in overdue {
        let snapshot = pipeline.directory.now();
        let tenant = snapshot.by_id(TenantId::new(message.tenant_id));
        let Some(credentials) = tenant.and_then(|tenant| deliver::credentials(&tenant.account)) else { continue };
        let resource = match pipeline.client.fetch_message(&credentials, &message.provider_sid).await {
            Ok(Some(resource)) => resource,
            Ok(None) => continue,
            Err(error) => {
                tracing::warn!(%error, "statuses are asked for again later");
                return Ok(());
            }
        };
        let Some(status) = DeliveryStatus::parse(&resource.status) else { continue };
        let report = StatusReport {
            tenant: TenantId::new(message.tenant_id),
            action: ActionId::new(message.id),
            sid: message.provider_sid,
            status,
            error_code: resource.error_code.map(i64::from),
            of_no_concern: false,
            at: now,
        };
        if pipeline.settle(report).await? == Settled::Advanced {
            tracing::debug!(message = %message.id, %status, "a status that no callback had brought");
        }
    }
    Ok(())
}
