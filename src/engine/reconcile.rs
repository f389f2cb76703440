//! Reconciles sends of unknown outcome: it looks for them at the provider, adopts those that it finds, and sends those that
//! the provider surely never took.
//!
//! **No blind resend.** After the grace the provider's own list is read for this sender and recipient. Exactly one unclaimed
//! message with our text is ours. An empty, complete list means that the provider never took the send, and it is sent. Any
//! other send stays `unknown`, with its reason, for a person or a late callback to settle. Routes other than Twilio have no
//! list: their sends are repeated only where that does no harm.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::domain::{Action, Channel, DeliveryStatus, Route, Send, SendBody, SendQueue, Timestamp};
use crate::engine::Engine;
use crate::engine::sending::deliver;
use crate::engine::sending::transports::twilio;
use crate::integrations::http_providers::Providers;
use crate::integrations::twilio::client::{
    Account, CallFilter, CallResource, ListError, MessageFilter, MessageResource,
};
use crate::integrations::twilio::is_sid;
use crate::store::{AttemptOutcome, AttemptResult, QueuedSend, StoreError, Unknown};

/// The interval between two rounds.
const EVERY: Duration = Duration::from_secs(1);
/// Unknown sends in one round.
const ROUND_MAX: usize = 64;
/// Pages of a thousand that are read of one list. A longer list proves nothing.
const PAGES_MAX: usize = 20;
/// The list is read from this long before the first try: if our clock was ahead of the provider's, the message seems older
/// than its own try. Messages that we know already are left out by their SID.
const CLOCK_SKEW: Duration = Duration::from_secs(3_600);
/// The time for all pages of one look.
const LOOK_TIMEOUT: Duration = Duration::from_secs(30);
/// The pause after a look that settled nothing. It doubles.
const LOOK_AGAIN_FIRST: Duration = Duration::from_secs(5);
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(3_600);
/// A claim, its send and the provider's deadline take no longer than this. An older attempt has no living process.
pub const ATTEMPT_MAX: Duration = Duration::from_secs(60);

/// Looks for unknown sends until the future is dropped.
pub async fn run(engine: &Engine) {
    loop {
        if let Err(error) = round(engine).await {
            tracing::warn!(%error, "reconciling waits for the database");
        }
        engine.clock.sleep(EVERY).await;
    }
}

/// Runs one round. Gives the number of sends that it looked for.
pub async fn round(engine: &Engine) -> Result<usize, StoreError> {
    let now = engine.clock.now();
    let began_before = now.minus(ATTEMPT_MAX);
    let look_at = began_before.plus(engine.reconcile_after).max(now);
    let orphans = engine.store.orphans_to_unknown(began_before, look_at).await?;
    if orphans > 0 {
        tracing::warn!(orphans, "sends whose process has ended are looked for at the provider");
    }
    let unknown = engine.store.unknowns(&Route::Twilio, ROUND_MAX).await?;
    let looked = unknown.len();
    let mut accounts: HashMap<String, Vec<Unknown>> = HashMap::new();
    for one in unknown {
        accounts.entry(one.account_sid.clone()).or_default().push(one);
    }
    // Accounts are asked side by side, so that one whose list does not come holds up no other.
    let rounds = accounts.into_values().map(|of_account| search_account(engine, of_account));
    join_all(rounds).await.into_iter().collect::<Result<(), _>>()?;
    Ok(looked + settle_without_list(engine).await?)
}

/// Looks at unknown sends by routes that have no list. They are repeated where that does no harm. Otherwise they wait for
/// the delivery report or a person. Requests are given up, or one bad answer would hold up a customer's requests for ever.
async fn settle_without_list(engine: &Engine) -> Result<usize, StoreError> {
    let providers = &engine.directory.platform().providers;
    let routes = providers.iter().map(|provider| Route::Provider(provider.name.as_str().into()));
    let mut looked = 0;
    for route in routes.chain([Route::Request]) {
        for Unknown { send: queued, .. } in engine.store.unknowns(&route, ROUND_MAX).await? {
            looked += 1;
            let kind = kind_of(&queued, &route, providers);
            let (end, detail) = result_without_list(&queued, kind, engine.clock.now());
            let (queue, action) = (SendQueue::new(queued.tenant, route.clone()), queued.id);
            tracing::info!(%action, outcome = end.name(), reason = %detail, "an unknown send was looked at");
            let attempt = queued.tries;
            let settled =
                AttemptOutcome { attempt, send: queued, result: end, http_status: None, error_code: None, detail };
            engine.store.writer().outcome(settled).await?;
            engine.pipeline.release_ordering_key(queue);
        }
    }
    Ok(looked)
}

/// How a send can still be settled that has no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A repeat does no harm: the receiver knows it by its id, or it has no further effect.
    Harmless,
    /// Its delivery report may settle it, or a person.
    Message,
    /// Nothing will ever settle it.
    Request,
}

fn kind_of(queued: &QueuedSend, route: &Route, providers: &Providers) -> Kind {
    let provider = match route {
        Route::Provider(name) => providers.named(name),
        _ => None,
    };
    match (provider, queued.planned()) {
        (Some(provider), _) if provider.idempotent => Kind::Harmless,
        (None, Ok(Action::Request(request))) if request.method.is_idempotent() => Kind::Harmless,
        (None, Ok(Action::Request(_))) => Kind::Request,
        _ => Kind::Message,
    }
}

/// Decides the outcome of a send without a list. Pure.
fn result_without_list(queued: &QueuedSend, kind: Kind, now: Timestamp) -> (AttemptResult, String) {
    let first = queued.first_try_at.unwrap_or(now);
    match kind {
        Kind::Harmless if now.since(first) < deliver::GIVE_UP_AFTER => {
            (AttemptResult::Repeatable, "repeated with the same id: done twice is done once".to_owned())
        }
        Kind::Harmless | Kind::Message => (
            remain_unknown(queued, now),
            "whether it was taken is not known: its delivery report decides, or a person with 'recado settle'"
                .to_owned(),
        ),
        Kind::Request => (
            AttemptResult::GivenUp,
            "nobody can say whether it was done, and done again it could be done twice".to_owned(),
        ),
    }
}

/// Searches for the unknown sends of one account, one by one. Once its list cannot be read, the others wait for a later
/// round.
async fn search_account(engine: &Engine, of_account: Vec<Unknown>) -> Result<(), StoreError> {
    let mut unreadable = None;
    for unknown in of_account {
        let found = match &unreadable {
            Some(why) => Err(ListUnavailable::OfAccount(String::clone(why))),
            None => listed_messages(engine, &unknown).await,
        };
        if let Err(ListUnavailable::OfAccount(why)) = &found {
            unreadable.get_or_insert_with(|| why.clone());
        }
        let settled = settle(engine, unknown.send, found).await?;
        let (tenant, action, outcome) = (settled.send.tenant, settled.send.id, settled.result.name());
        tracing::info!(%action, outcome, reason = %settled.detail, "an unknown send was looked for");
        engine.store.writer().outcome(settled).await?;
        engine.pipeline.release_ordering_key(SendQueue::new(tenant, Route::Twilio));
    }
    Ok(())
}

/// The reason why a list cannot be read, in words for people.
enum ListUnavailable {
    /// It holds for every send of the account.
    OfAccount(String),
    OfSend(String),
}

/// Settles one send by the provider's list.
async fn settle(
    engine: &Engine,
    queued: Arc<QueuedSend>,
    found: Result<Vec<Listed>, ListUnavailable>,
) -> Result<AttemptOutcome, StoreError> {
    let now = engine.clock.now();
    let (end, detail) = match found {
        Err(ListUnavailable::OfAccount(why) | ListUnavailable::OfSend(why)) => (remain_unknown(&queued, now), why),
        Ok(found) => {
            let sids: Vec<String> = found.iter().map(|message| message.sid.clone()).collect();
            let claimed = engine.store.known_sids(&sids).await?;
            let unclaimed: Vec<Listed> = found.into_iter().filter(|message| !claimed.contains(&message.sid)).collect();
            judge(&queued, &unclaimed, now)
        }
    };
    Ok(AttemptOutcome { attempt: queued.tries, send: queued, result: end, http_status: None, error_code: None, detail })
}

/// The account that a send went through, if it still belongs to the tenant or the platform.
fn account_of(engine: &Engine, unknown: &Unknown) -> Result<Account, ListUnavailable> {
    let snapshot = engine.directory.now();
    let tenant = snapshot.by_id(unknown.send.tenant).map(|tenant| &tenant.account);
    let accounts = tenant.into_iter().chain([&engine.directory.platform().account]);
    let same = accounts.into_iter().find(|account| account.sid == unknown.account_sid);
    same.and_then(|account| twilio::credentials(account)).ok_or_else(|| {
        ListUnavailable::OfSend(format!(
            "it went through the account {}, which is no longer configured: look there whether it was taken",
            unknown.account_sid
        ))
    })
}

/// Lists the provider's messages between the send's sender and recipient since the first try.
async fn listed_messages(engine: &Engine, unknown: &Unknown) -> Result<Vec<Listed>, ListUnavailable> {
    let queued = &unknown.send;
    let account = account_of(engine, unknown)?;
    let send = queued.message().map_err(|error| ListUnavailable::OfSend(error.to_string()))?;
    if send.channel == Channel::Voice {
        return listed_calls(engine, &account, queued).await;
    }
    let since = queued.first_try_at.unwrap_or(Timestamp::from_unix_us(0)).minus(CLOCK_SKEW);
    // A Messaging Service chooses the number later. Then only the recipient is known.
    let from = (!is_sid("MG", &queued.sender)).then(|| send.channel.address(&queued.sender));
    let filter = MessageFilter {
        to: Some(send.channel.address(&queued.recipient)),
        from,
        date_sent_from: None,
        since: Some(since.to_utc()),
    };
    let list = engine.transports.twilio.list_messages(&account, &filter, PAGES_MAX);
    let listing = tokio::time::timeout(LOOK_TIMEOUT, list)
        .await
        .map_err(|_| {
            ListUnavailable::OfAccount(format!("the provider's list took longer than {} s", LOOK_TIMEOUT.as_secs()))
        })?
        .map_err(|error| match error {
            ListError::Refused { .. } => ListUnavailable::OfSend(error.to_string()),
            error => ListUnavailable::OfAccount(error.to_string()),
        })?;
    if !listing.complete() {
        let why = format!("the provider lists more than {PAGES_MAX} pages: what is not seen proves nothing");
        return Err(ListUnavailable::OfSend(why));
    }
    let outbound = listing.messages.into_iter().filter(|message| message.direction.starts_with("outbound"));
    Ok(outbound.map(|message| Listed::message(send, message)).collect())
}

/// Lists the provider's calls between the two numbers since the first try. The query names no start, because a queued call
/// has none.
async fn listed_calls(engine: &Engine, account: &Account, queued: &QueuedSend) -> Result<Vec<Listed>, ListUnavailable> {
    let since = queued.first_try_at.unwrap_or(Timestamp::from_unix_us(0)).minus(CLOCK_SKEW).to_utc();
    let filter =
        CallFilter { to: Some(queued.recipient.clone()), from: Some(queued.sender.clone()), ..CallFilter::default() };
    let list = engine.transports.twilio.list_calls(account, &filter, PAGES_MAX);
    let calls = tokio::time::timeout(LOOK_TIMEOUT, list)
        .await
        .map_err(|_| {
            ListUnavailable::OfAccount(format!("the provider's list took longer than {} s", LOOK_TIMEOUT.as_secs()))
        })?
        .map_err(|error| match error {
            ListError::Refused { .. } | ListError::TooLong { .. } => ListUnavailable::OfSend(error.to_string()),
            error => ListUnavailable::OfAccount(error.to_string()),
        })?;
    let ours = |call: &CallResource| {
        call.direction == "outbound-api" && call.date_created.is_none_or(|created| created >= since)
    };
    Ok(calls.into_iter().filter(ours).map(Listed::call).collect())
}

/// A message or a call in the provider's list.
struct Listed {
    sid: String,
    status: DeliveryStatus,
    /// It may be the send that is looked for.
    fits: bool,
}

impl Listed {
    fn message(send: &Send, message: MessageResource) -> Self {
        // Trial accounts put a sentence before the text. Only the provider knows the words of a template.
        let fits = match &send.body {
            SendBody::Text(text) => message.body.ends_with(text.as_str()),
            SendBody::Template(_) | SendBody::Email(_) | SendBody::Call(_) => true,
        };
        Self {
            status: DeliveryStatus::parse(&message.status).unwrap_or(DeliveryStatus::Queued),
            sid: message.sid,
            fits,
        }
    }

    /// A call does not tell what it is about. Between two numbers there is one at a time.
    fn call(call: CallResource) -> Self {
        Self { sid: call.sid, status: DeliveryStatus::Queued, fits: true }
    }
}

/// Judges what the unclaimed messages between two numbers mean for a send. Pure.
fn judge(queued: &QueuedSend, unclaimed: &[Listed], now: Timestamp) -> (AttemptResult, String) {
    let ours: Vec<&Listed> = unclaimed.iter().filter(|seen| seen.fits).collect();
    match (ours.as_slice(), unclaimed.len()) {
        ([message], _) => {
            let detail = "found in the provider's list: it had been taken".to_owned();
            (AttemptResult::Adopted { sid: message.sid.clone(), status: message.status }, detail)
        }
        ([], 0) => (
            AttemptResult::NeverTaken,
            "the provider's complete list shows no such message: it was never taken".to_owned(),
        ),
        ([], others) => (
            remain_unknown(queued, now),
            format!(
                "the provider lists {others} message(s) from and to these numbers that are not known here: look at them"
            ),
        ),
        (several, _) => (
            remain_unknown(queued, now),
            format!(
                "the provider lists {} messages with this very text, or calls, that may be it: a person must say which",
                several.len()
            ),
        ),
    }
}

/// Keeps a send unknown. The longer it has been unknown, the rarer it is looked for.
fn remain_unknown(queued: &QueuedSend, now: Timestamp) -> AttemptResult {
    let tried = queued.tried_at.unwrap_or(now);
    let pause = now.since(tried).clamp(LOOK_AGAIN_FIRST, LOOK_AGAIN_MAX);
    AttemptResult::StillUnknown { look_at: now.plus(pause) }
}
