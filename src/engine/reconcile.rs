//! Reconciles sends of unknown outcome: it looks for them at the provider, adopts those that it finds, and sends those that
//! the provider surely never took.
//!
//! **No blind resend.** After the grace the provider's own list is read for this sender and recipient. Exactly one unclaimed
//! message with our exact text, created while we tried, is ours. A complete list without any that may be ours means that
//! the provider never took the send, and it is sent. Any other send stays `unknown`, with its reason, for a person or a
//! late callback to settle. Routes other than Twilio have no list: their sends are repeated only where that does no harm.
//! `reconcile/listed.rs` compares.

mod listed;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::future::join_all;

use self::listed::{Listed, Read, Window, Words, judge, judge_restored};
use crate::domain::{Action, Channel, Route, Send, SendBody, SendQueue, Timestamp};
use crate::engine::Engine;
use crate::engine::sending::deliver;
use crate::engine::sending::transports::twilio;
use crate::integrations::http_providers::Providers;
use crate::integrations::twilio::client::{
    Account, CallFilter, CallList, ListError, MessageFilter, MessageList, MessageResource,
};
use crate::integrations::twilio::is_sid;
use crate::store::{AttemptOutcome, AttemptResult, QueuedSend, StoreError, Unknown};

/// The interval between two rounds.
const EVERY: Duration = Duration::from_secs(1);
/// Unknown sends in one round.
const ROUND_MAX: usize = 64;
/// Pages of a thousand that are read of one list. A longer list proves nothing.
const PAGES_MAX: usize = 20;
/// The time for all pages of one look.
const LOOK_TIMEOUT: Duration = Duration::from_secs(30);
/// The pause after a look that settled nothing. It doubles.
const LOOK_AGAIN_FIRST: Duration = Duration::from_secs(5);
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(3_600);
/// A claim, its send and the provider's deadline take no longer than this. An older attempt has no living process, unless
/// it is in flight in this one, whose outcome may wait for the database.
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
    let in_flight = engine.pipeline.in_flight();
    let orphans = engine.store.orphans_to_unknown(began_before, look_at, &in_flight).await?;
    if orphans > 0 {
        tracing::warn!(orphans, "sends whose process has ended are looked for at the provider");
    }
    let unknown = engine.store.unknowns(&Route::Twilio, ROUND_MAX).await?;
    let looked = unknown.len();
    let mut accounts: HashMap<String, Vec<Unknown>> = HashMap::new();
    for one in unknown {
        // A send that was never tried has no account yet: it goes through that of its tenant.
        let tried = Some(one.account_sid.clone()).filter(|sid| !sid.is_empty());
        accounts.entry(tried.unwrap_or_else(|| one.send.tenant.to_string())).or_default().push(one);
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
            None => listed(engine, &unknown).await,
        };
        let (queued, now) = (unknown.send, engine.clock.now());
        let (result, detail) = match found {
            Ok(unclaimed) if is_of_restore(engine, &queued) => judge_restored(&queued, &unclaimed, now),
            Ok(unclaimed) => judge(&queued, &unclaimed, now),
            Err(ListUnavailable::OfSend(why)) => (remain_unknown(&queued, now), why),
            Err(ListUnavailable::OfAccount(why)) => {
                unreadable.get_or_insert_with(|| why.clone());
                (remain_unknown(&queued, now), why)
            }
            Err(ListUnavailable::Store(error)) => return Err(error),
        };
        let (tenant, action, outcome) = (queued.tenant, queued.id, result.name());
        tracing::info!(%action, outcome, reason = %detail, "an unknown send was looked for");
        let attempt = queued.tries;
        let settled = AttemptOutcome { attempt, send: queued, result, http_status: None, error_code: None, detail };
        engine.store.writer().outcome(settled).await?;
        engine.pipeline.release_ordering_key(SendQueue::new(tenant, Route::Twilio));
    }
    Ok(())
}

/// Whether a send is looked for because the database was restored, not after an attempt.
fn is_of_restore(engine: &Engine, queued: &QueuedSend) -> bool {
    engine.store.restored().is_some_and(|restored| queued.tried_at == Some(restored.restored_at))
}

/// The reason why a list cannot be read, in words for people.
enum ListUnavailable {
    /// It holds for every send of the account.
    OfAccount(String),
    OfSend(String),
    /// Our own database failed.
    Store(StoreError),
}

impl From<ListError> for ListUnavailable {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Refused { .. } | ListError::TooLong { .. } => Self::OfSend(error.to_string()),
            error => Self::OfAccount(error.to_string()),
        }
    }
}

/// The account that a send went through, if it still belongs to the tenant or the platform.
fn account_of(engine: &Engine, unknown: &Unknown) -> Result<Account, ListUnavailable> {
    let snapshot = engine.directory.now();
    let tenant = snapshot.by_id(unknown.send.tenant).map(|tenant| &tenant.account);
    // A send of before a restore may have gone through the tenant's account alone.
    if unknown.account_sid.is_empty() {
        let account = tenant.and_then(|account| twilio::credentials(account));
        return account.ok_or_else(|| ListUnavailable::OfSend("the tenant's account has no token".to_owned()));
    }
    let accounts = tenant.into_iter().chain([&engine.directory.platform().account]);
    let same = accounts.into_iter().find(|account| account.sid == unknown.account_sid);
    same.and_then(|account| twilio::credentials(account)).ok_or_else(|| {
        ListUnavailable::OfSend(format!(
            "it went through the account {}, which is no longer configured: look there whether it was taken",
            unknown.account_sid
        ))
    })
}

/// Reads the provider's list for what a send may have become: unclaimed messages or calls that resemble it.
async fn listed(engine: &Engine, unknown: &Unknown) -> Result<Vec<Listed>, ListUnavailable> {
    let account = account_of(engine, unknown)?;
    let send = unknown.send.message().map_err(|error| ListUnavailable::OfSend(error.to_string()))?;
    let look = async {
        if send.channel == Channel::Voice {
            listed_calls(engine, &account, &unknown.send).await
        } else {
            listed_messages(engine, &account, &unknown.send, send).await
        }
    };
    tokio::time::timeout(LOOK_TIMEOUT, look).await.unwrap_or_else(|_| {
        Err(ListUnavailable::OfAccount(format!("the provider's list took longer than {} s", LOOK_TIMEOUT.as_secs())))
    })
}

/// Lists the messages between the send's sender and recipient since the first try.
async fn listed_messages(
    engine: &Engine,
    account: &Account,
    queued: &QueuedSend,
    send: &Send,
) -> Result<Vec<Listed>, ListUnavailable> {
    let client = &engine.transports.twilio;
    // A Messaging Service chooses the number later. Then only the recipient is known.
    let from = (!is_sid("MG", &queued.sender)).then(|| send.channel.address(&queued.sender));
    let mut filter = MessageFilter { to: Some(send.channel.address(&queued.recipient)), from, ..Default::default() };
    let asked = engine.clock.now();
    // The first page tells the provider's time, and with it from when on the list is read.
    let MessageList { mut messages, rest, date } = client.list_messages(account, &filter, 1).await?;
    let window = Window::new(queued, Read { date, asked, answered: engine.clock.now() });
    let since = window.since();
    filter.since = Some(since);
    // A page of nothing but older messages ends the walk.
    let all_older = |message: &MessageResource| message.date_created.is_some_and(|created| created < since);
    let ended = !messages.is_empty() && messages.iter().all(all_older);
    if let Some(next) = rest.filter(|_| !ended) {
        let more = client.list_next(account, &filter, next, PAGES_MAX - 1).await?;
        if !more.complete() {
            let why = format!("the provider lists more than {PAGES_MAX} pages: what is not seen proves nothing");
            return Err(ListUnavailable::OfSend(why));
        }
        messages.extend(more.messages);
    }
    let claimed = engine.claimed(messages.iter().map(|message| &message.sid)).await?;
    messages.retain(|message| !claimed.contains(&message.sid));
    let compare = |words: &Words| -> Vec<Listed> {
        messages.iter().filter_map(|message| Listed::message(queued, words, &window, message)).collect()
    };
    let SendBody::Template(template) = &send.body else { return Ok(compare(&Words::new(send, None))) };
    // Only the provider knows the words of a template. It is asked where a message could be this one.
    let perhaps = compare(&Words::Unknown);
    if perhaps.is_empty() {
        return Ok(perhaps);
    }
    let content = client.fetch_content(account, &template.content).await;
    if let Err(error) = &content {
        tracing::info!(template = %template.content, %error, "the words of a template cannot be compared");
    }
    Ok(compare(&Words::new(send, content.ok().as_ref())))
}

/// Lists the calls between the two numbers since the first try. The query names no start, because a queued call has none.
async fn listed_calls(engine: &Engine, account: &Account, queued: &QueuedSend) -> Result<Vec<Listed>, ListUnavailable> {
    let filter =
        CallFilter { to: Some(queued.recipient.clone()), from: Some(queued.sender.clone()), ..CallFilter::default() };
    let asked = engine.clock.now();
    let CallList { mut calls, date } = engine.transports.twilio.list_calls(account, &filter, PAGES_MAX).await?;
    let window = Window::new(queued, Read { date, asked, answered: engine.clock.now() });
    let claimed = engine.claimed(calls.iter().map(|call| &call.sid)).await?;
    calls.retain(|call| !claimed.contains(&call.sid));
    Ok(calls.iter().filter_map(|call| Listed::call(&window, call)).collect())
}

impl Engine {
    /// Those of the provider's ids that a message of ours has already.
    async fn claimed(&self, sids: impl Iterator<Item = &String>) -> Result<HashSet<String>, ListUnavailable> {
        let sids: Vec<String> = sids.cloned().collect();
        let known = self.store.known_sids(&sids).await;
        known.map(|known| known.into_iter().collect()).map_err(ListUnavailable::Store)
    }
}

/// Keeps a send unknown. The longer it has been unknown, the rarer it is looked for.
fn remain_unknown(queued: &QueuedSend, now: Timestamp) -> AttemptResult {
    let tried = queued.tried_at.unwrap_or(now);
    let pause = now.since(tried).clamp(LOOK_AGAIN_FIRST, LOOK_AGAIN_MAX);
    AttemptResult::StillUnknown { look_at: now.plus(pause) }
}
