//! Sends whose outcome nobody knows: looked for at the provider, adopted if they are there, sent if they surely are not.
//!
//! **No blind resend.** After the grace the provider's own list is read for this lane. Exactly one message with our text
//! that nobody has claimed: it is ours. None at all in the complete list: the provider never took it, and it is sent.
//! Anything else stays `unknown`, with its reason, for a person or a late callback to settle. What went by
//! another way than Twilio has no list to be looked up in: it is repeated only where that does no harm.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use crate::domain::{Action, Channel, DeliveryStatus, Route, Send, SendBody, SendQueue, Timestamp};
use crate::engine::Engine;
use crate::engine::sending::deliver;
use crate::integrations::http_providers::Providers;
use crate::integrations::twilio::client::{
    Account, CallFilter, CallResource, ListError, MessageFilter, MessageResource,
};
use crate::store::{AttemptOutcome, AttemptResult, QueuedSend, StoreError, Unknown};

/// How often unknown sends that have come of age are looked for.
const EVERY: Duration = Duration::from_secs(1);
/// Of them in one round.
const ROUND_MAX: usize = 64;
/// Pages of a thousand that are read of one lane's list; a longer list proves nothing.
const PAGES_MAX: usize = 20;
/// The list is read from so long before the first try: if our clock was ahead of the provider's, the message seems older
/// than its own try. What is ours already is left out by its SID.
const CLOCK_SKEW: Duration = Duration::from_secs(3_600);
/// For all pages of one look.
const LOOK_TIMEOUT: Duration = Duration::from_secs(30);
/// When a look settled nothing: again after this, doubling.
const LOOK_AGAIN_FIRST: Duration = Duration::from_secs(5);
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(3_600);
/// A claim, its send and the provider's deadline together: an attempt older than this has no living process.
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

/// One round; gives how many sends it looked for.
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
    // Side by side: one whose list does not come holds up no other.
    let rounds = accounts.into_values().map(|of_account| look_through(engine, of_account));
    join_all(rounds).await.into_iter().collect::<Result<(), _>>()?;
    Ok(looked + without_list(engine).await?)
}

/// Unknown sends along ways that have no list to look in: repeated where that does no harm; else they wait for the
/// delivery report, or for a person. Requests are given up, or one bad answer would hold up a customer's for ever.
async fn without_list(engine: &Engine) -> Result<usize, StoreError> {
    let providers = &engine.directory.platform().providers;
    let routes = providers.iter().map(|provider| Route::Provider(provider.name.as_str().into()));
    let mut looked = 0;
    for route in routes.chain([Route::Request]) {
        for Unknown { send: queued, .. } in engine.store.unknowns(&route, ROUND_MAX).await? {
            looked += 1;
            let kind = kind_of(&queued, &route, providers);
            let (end, detail) = without_looking(&queued, kind, engine.clock.now());
            let (queue, action) = (SendQueue::new(queued.tenant, route.clone()), queued.id);
            tracing::info!(%action, outcome = end.name(), reason = %detail, "an unknown send was looked at");
            let attempt = queued.tries;
            let verdict =
                AttemptOutcome { attempt, send: queued, result: end, http_status: None, error_code: None, detail };
            engine.store.writer().outcome(verdict).await?;
            engine.pipeline.send_settled(queue);
        }
    }
    Ok(looked)
}

/// Of what can still become of a send that nobody can look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Who takes it tells a repeat by its id, or done twice is done once.
    Harmless,
    /// Its delivery report may say, or a person.
    Message,
    /// Nobody will ever say.
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

/// Pure: what becomes of it now.
fn without_looking(queued: &QueuedSend, kind: Kind, now: Timestamp) -> (AttemptResult, String) {
    let first = queued.first_try_at.unwrap_or(now);
    match kind {
        Kind::Harmless if now.since(first) < deliver::GIVE_UP_AFTER => {
            (AttemptResult::Repeatable, "repeated with the same id: done twice is done once".to_owned())
        }
        Kind::Harmless | Kind::Message => (
            still_unknown(queued, now),
            "whether it was taken is not known: its delivery report decides, or a person with 'recado settle'"
                .to_owned(),
        ),
        Kind::Request => (
            AttemptResult::GivenUp,
            "nobody can say whether it was done, and done again it could be done twice".to_owned(),
        ),
    }
}

/// The unknown sends of one account, one after another. Once its list cannot be read, the others wait for a later round.
async fn look_through(engine: &Engine, of_account: Vec<Unknown>) -> Result<(), StoreError> {
    let mut unreadable = None;
    for unknown in of_account {
        let found = match &unreadable {
            Some(why) => Err(NoList::OfAccount(String::clone(why))),
            None => at_provider(engine, &unknown).await,
        };
        if let Err(NoList::OfAccount(why)) = &found {
            unreadable.get_or_insert_with(|| why.clone());
        }
        let verdict = weigh(engine, unknown.send, found).await?;
        let (tenant, action, outcome) = (verdict.send.tenant, verdict.send.id, verdict.result.name());
        tracing::info!(%action, outcome, reason = %verdict.detail, "an unknown send was looked for");
        engine.store.writer().outcome(verdict).await?;
        engine.pipeline.send_settled(SendQueue::new(tenant, Route::Twilio));
    }
    Ok(())
}

/// Why there is no list; in words for people.
enum NoList {
    /// So it is for every send of the account.
    OfAccount(String),
    OfSend(String),
}

/// What the provider's list says of one send.
async fn weigh(
    engine: &Engine,
    queued: Arc<QueuedSend>,
    found: Result<Vec<Seen>, NoList>,
) -> Result<AttemptOutcome, StoreError> {
    let now = engine.clock.now();
    let (end, detail) = match found {
        Err(NoList::OfAccount(why) | NoList::OfSend(why)) => (still_unknown(&queued, now), why),
        Ok(found) => {
            let sids: Vec<String> = found.iter().map(|message| message.sid.clone()).collect();
            let claimed = engine.store.known_sids(&sids).await?;
            let unclaimed: Vec<Seen> = found.into_iter().filter(|message| !claimed.contains(&message.sid)).collect();
            judge(&queued, &unclaimed, now)
        }
    };
    Ok(AttemptOutcome { attempt: queued.tries, send: queued, result: end, http_status: None, error_code: None, detail })
}

/// The account that a send went through, while it is still the tenant's or the platform's.
fn account_of(engine: &Engine, unknown: &Unknown) -> Result<Account, NoList> {
    let snapshot = engine.directory.now();
    let tenant = snapshot.by_id(unknown.send.tenant).map(|tenant| &tenant.account);
    let accounts = tenant.into_iter().chain([&engine.directory.platform().account]);
    let same = accounts.into_iter().find(|account| account.sid == unknown.account_sid);
    same.and_then(|account| deliver::credentials(account)).ok_or_else(|| {
        NoList::OfSend(format!(
            "it went through the account {}, which is no longer configured: look there whether it was taken",
            unknown.account_sid
        ))
    })
}

/// The provider's messages along the lane since the first try.
async fn at_provider(engine: &Engine, unknown: &Unknown) -> Result<Vec<Seen>, NoList> {
    let queued = &unknown.send;
    let account = account_of(engine, unknown)?;
    let send = queued.message().map_err(|error| NoList::OfSend(error.to_string()))?;
    if send.channel == Channel::Voice {
        return calls_at_provider(engine, &account, queued).await;
    }
    let prefix = send.channel.address_prefix();
    let since = queued.first_try_at.unwrap_or(Timestamp::from_unix_us(0)).minus(CLOCK_SKEW);
    // A Messaging Service chooses the number later: then only the recipient is known.
    let from = (!queued.sender.starts_with("MG")).then(|| format!("{prefix}{}", queued.sender));
    let filter = MessageFilter {
        to: Some(format!("{prefix}{}", queued.recipient)),
        from,
        date_sent_from: None,
        since: Some(since.to_utc()),
    };
    let list = engine.transports.twilio.list_messages(&account, &filter, PAGES_MAX);
    let listing = tokio::time::timeout(LOOK_TIMEOUT, list)
        .await
        .map_err(|_| NoList::OfAccount(format!("the provider's list took longer than {} s", LOOK_TIMEOUT.as_secs())))?
        .map_err(|error| match error {
            ListError::Refused { .. } => NoList::OfSend(error.to_string()),
            error => NoList::OfAccount(error.to_string()),
        })?;
    if !listing.complete() {
        let why = format!("the provider lists more than {PAGES_MAX} pages: what is not seen proves nothing");
        return Err(NoList::OfSend(why));
    }
    let outbound = listing.messages.into_iter().filter(|message| message.direction.starts_with("outbound"));
    Ok(outbound.map(|message| Seen::message(send, message)).collect())
}

/// The provider's calls along the lane since the first try. One that is queued has not started: so no start is asked for.
async fn calls_at_provider(engine: &Engine, account: &Account, queued: &QueuedSend) -> Result<Vec<Seen>, NoList> {
    let since = queued.first_try_at.unwrap_or(Timestamp::from_unix_us(0)).minus(CLOCK_SKEW).to_utc();
    let filter =
        CallFilter { to: Some(queued.recipient.clone()), from: Some(queued.sender.clone()), ..CallFilter::default() };
    let list = engine.transports.twilio.list_calls(account, &filter, PAGES_MAX);
    let calls = tokio::time::timeout(LOOK_TIMEOUT, list)
        .await
        .map_err(|_| NoList::OfAccount(format!("the provider's list took longer than {} s", LOOK_TIMEOUT.as_secs())))?
        .map_err(|error| match error {
            ListError::Refused { .. } | ListError::TooLong { .. } => NoList::OfSend(error.to_string()),
            error => NoList::OfAccount(error.to_string()),
        })?;
    let ours = |call: &CallResource| {
        call.direction == "outbound-api" && call.date_created.is_none_or(|created| created >= since)
    };
    Ok(calls.into_iter().filter(ours).map(Seen::call).collect())
}

/// What the provider's list has of a lane, as far as it matters: a message or a call.
struct Seen {
    sid: String,
    status: DeliveryStatus,
    /// It may be the one that is looked for.
    fits: bool,
}

impl Seen {
    fn message(send: &Send, message: MessageResource) -> Self {
        // Trial accounts put a sentence before the text; of a template only the provider knows the words.
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

    /// A call says nothing of what it is about: along a lane there is one at a time.
    fn call(call: CallResource) -> Self {
        Self { sid: call.sid, status: DeliveryStatus::Queued, fits: true }
    }
}

/// Pure: what unclaimed messages along a send's lane mean for it.
fn judge(queued: &QueuedSend, unclaimed: &[Seen], now: Timestamp) -> (AttemptResult, String) {
    let ours: Vec<&Seen> = unclaimed.iter().filter(|seen| seen.fits).collect();
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
            still_unknown(queued, now),
            format!(
                "the provider lists {others} message(s) from and to these numbers that are not known here: look at them"
            ),
        ),
        (several, _) => (
            still_unknown(queued, now),
            format!(
                "the provider lists {} messages with this very text, or calls, that may be it: a person must say which",
                several.len()
            ),
        ),
    }
}

/// The longer it has been unknown, the rarer it is looked for.
fn still_unknown(queued: &QueuedSend, now: Timestamp) -> AttemptResult {
    let tried = queued.tried_at.unwrap_or(now);
    let pause = now.since(tried).clamp(LOOK_AGAIN_FIRST, LOOK_AGAIN_MAX);
    AttemptResult::StillUnknown { look_at: now.plus(pause) }
}
