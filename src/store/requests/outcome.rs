//! Outcomes of attempts: the final state of a send in the ledger, and its row in the inbox.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use sea_orm::Value;
use uuid::Uuid;

use super::fallback;
use crate::domain::{ActionState, DeliveryStatus, Route, TenantId, Timestamp};
use crate::store::context::WriterContext;
use crate::store::db::sql::{Cut, Txn};
use crate::store::error::StoreError;
use crate::store::pending_cache::Committed;
use crate::store::rows::attempt;
use crate::store::tables::actions::{OPTED_OUT_CODE, QueuedSend, SEND_WITHIN};
use crate::store::tables::{calls, messages, opt_outs, ordering_keys, questions};
use crate::store::writer::{Request, Step, Writer};

/// The outcome of an attempt or a reconciliation.
#[derive(Clone, Debug)]
pub struct AttemptOutcome {
    pub send: Arc<QueuedSend>,
    pub attempt: i32,
    pub result: AttemptResult,
    pub http_status: Option<u16>,
    pub error_code: Option<i64>,
    /// The event and its remedy, for people.
    pub detail: String,
}

impl AttemptOutcome {
    /// Whether Twilio says that the customer has opted out. The code of another provider may mean anything.
    fn says_opted_out(&self) -> bool {
        self.error_code == Some(OPTED_OUT_CODE) && self.send.route == Some(Route::Twilio)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    /// The provider has taken it.
    Sent { sid: String, status: DeliveryStatus },
    /// The provider says that it has taken it, but under an id that another message has, or under none. It counts as sent
    /// and is not repeated; its detail says that this is doubtful.
    Doubtful { sid: String, status: DeliveryStatus },
    /// The provider has certainly not taken it. It is tried again at this time.
    Retry { at: Timestamp },
    /// The provider has refused it for good.
    Failed,
    /// The provider may have taken it. It is reconciled at this time.
    Unknown { look_at: Timestamp },
    /// Reconciled: the provider's list or callback shows it.
    Adopted { sid: String, status: DeliveryStatus },
    /// Reconciled: the provider's complete list does not show it.
    NeverTaken,
    /// Reconciled after a restore: the customer had been answered otherwise, and is not answered again.
    Answered,
    /// Unknown for good, but a repeat does no harm: the receiver recognises the id.
    Repeatable,
    /// Unknown for good, and a repeat could send it twice: it has failed.
    GivenUp,
    /// It could not be reconciled. It is looked for again at this time.
    StillUnknown { look_at: Timestamp },
}

impl AttemptResult {
    /// The states that it ends. The outcome of an attempt counts even if the attempt was taken for dead meanwhile: what
    /// the provider has said is better than a guess.
    const fn leaves(&self) -> &'static [ActionState] {
        match self {
            Self::Sent { .. } | Self::Doubtful { .. } => &ActionState::ADOPTED,
            Self::Retry { .. } | Self::Failed => &[ActionState::Sending, ActionState::Unknown],
            Self::Unknown { .. } => &[ActionState::Sending],
            Self::Adopted { .. }
            | Self::NeverTaken
            | Self::Answered
            | Self::Repeatable
            | Self::GivenUp
            | Self::StillUnknown { .. } => &[ActionState::Unknown],
        }
    }

    const fn reaches(&self) -> ActionState {
        match self {
            Self::Sent { .. } | Self::Doubtful { .. } | Self::Adopted { .. } => ActionState::Sent,
            Self::Retry { .. } | Self::NeverTaken | Self::Repeatable => ActionState::Planned,
            Self::Failed | Self::GivenUp => ActionState::Failed,
            Self::Answered => ActionState::Blocked,
            Self::Unknown { .. } | Self::StillUnknown { .. } => ActionState::Unknown,
        }
    }

    /// The stored name of the outcome.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sent { .. } => "sent",
            Self::Doubtful { .. } => "doubtful",
            Self::Retry { .. } => "retry",
            Self::Failed => "failed",
            Self::Unknown { .. } | Self::StillUnknown { .. } => "unknown",
            Self::Adopted { .. } => "adopted",
            Self::NeverTaken => "never_taken",
            Self::Answered => "answered_before",
            Self::Repeatable => "repeatable",
            Self::GivenUp => "given_up",
        }
    }
}

impl AttemptOutcome {
    /// The same outcome under an id that names no message; `None` if it has no id.
    pub fn doubted(&self) -> Option<Self> {
        let (AttemptResult::Sent { sid, status } | AttemptResult::Adopted { sid, status }) = &self.result else {
            return None;
        };
        let detail = format!(
            "the provider's id for it ('{}') is that of another message: it counts as sent, but look there whether it was",
            sid.chars().take(SID_SHOWN_CHARS).collect::<String>()
        );
        let result = AttemptResult::Doubtful { sid: sid.clone(), status: *status };
        Some(Self { result, detail, ..self.clone() })
    }
}

impl Writer {
    /// Stores the outcome of an attempt; `false` if the action had moved on.
    pub async fn outcome(&self, outcome: AttemptOutcome) -> Result<bool, StoreError> {
        self.ask(outcome).await
    }
}

impl Request for AttemptOutcome {
    type Reply = bool;

    const STEP: Step = Step::Outcome;

    async fn execute(
        outcomes: &[Self],
        txn: &impl Txn,
        context: &WriterContext,
        committed: &mut Committed,
    ) -> Result<Vec<bool>, StoreError> {
        close(txn, context, outcomes, committed).await
    }
}

/// The longest part of a provider's id in a detail.
const SID_SHOWN_CHARS: usize = 40;

/// An attempt that was unknown has a row already.
static INSERT_ATTEMPTS: LazyLock<String> = LazyLock::new(|| {
    attempt::TABLE.insert()
        + " ON CONFLICT (action_id, n) DO UPDATE SET finished_us = excluded.finished_us, outcome = excluded.outcome,
           detail = excluded.detail"
});

/// Stores outcomes. An outcome of an action that has moved on, because a callback was faster, changes nothing.
async fn close(
    txn: &impl Txn,
    context: &WriterContext,
    outcomes: &[AttemptOutcome],
    committed: &mut Committed,
) -> Result<Vec<bool>, StoreError> {
    if outcomes.is_empty() {
        return Ok(Vec::new());
    }
    let doubted = doubt_repeated_ids(txn, outcomes).await?;
    let outcomes = doubted.as_deref().unwrap_or(outcomes);
    committed.changed_customers |= outcomes.iter().any(AttemptOutcome::says_opted_out);
    let now = context.clock.now();
    let mut attempts: Vec<Value> = Vec::with_capacity(outcomes.len() * attempt::TABLE.width());
    let mut actions: Vec<Value> = Vec::with_capacity(outcomes.len() * 10);
    for outcome in outcomes {
        let result = &outcome.result;
        let (due, sid) = match result {
            AttemptResult::Sent { sid, .. }
            | AttemptResult::Doubtful { sid, .. }
            | AttemptResult::Adopted { sid, .. } => (now, Some(sid.clone())),
            AttemptResult::Retry { at }
            | AttemptResult::Unknown { look_at: at }
            | AttemptResult::StillUnknown { look_at: at } => (*at, None),
            // A send that was planned for later keeps its time.
            AttemptResult::NeverTaken => (now.max(outcome.send.planned_at), None),
            AttemptResult::Failed | AttemptResult::Answered | AttemptResult::Repeatable | AttemptResult::GivenUp => {
                (now, None)
            }
        };
        let detail = (!outcome.detail.is_empty()).then(|| outcome.detail.clone());
        actions.extend([
            outcome.send.id.uuid().into(),
            states(result.leaves()).into(),
            outcome.attempt.into(),
            result.reaches().as_str().into(),
            due.unix_us().into(),
            detail.clone().into(),
            outcome.error_code.into(),
            sid.into(),
            outcome.send.tenant.uuid().into(),
            // The restore is no try of it.
            (*result == AttemptResult::NeverTaken && is_of_restore(context, outcome)).into(),
        ]);
        let started = outcome.send.tried_at.unwrap_or(now);
        attempts.extend(attempt::new_row(attempt::Model {
            action_id: outcome.send.id.uuid(),
            n: outcome.attempt,
            tenant_id: outcome.send.tenant.uuid(),
            started_us: started.unix_us(),
            not_after_us: started.plus(SEND_WITHIN).unix_us(),
            finished_us: Some(now.unix_us()),
            outcome: Some(result.name().to_owned()),
            http_status: outcome.http_status.map(i32::from),
            error_code: outcome.error_code,
            detail,
        }));
    }
    let moved: Vec<Uuid> = txn
        .changed(
            "UPDATE actions SET state = v.column4, due_us = v.column5, reason = v.column6, error_code = v.column7,
           provider_sid = coalesce(v.column8, actions.provider_sid),
           first_try_us = CASE WHEN v.column10 THEN NULL ELSE actions.first_try_us END,
           tried_us = CASE WHEN v.column10 THEN NULL ELSE actions.tried_us END FROM (VALUES {rows}) AS v
         WHERE actions.id = v.column1 AND v.column2 LIKE '% ' || actions.state || ' %' AND actions.tries = v.column3
           AND actions.tenant_id = v.column9 RETURNING actions.id",
            10,
            0,
            Cut::Padded,
            actions,
        )
        .await?;
    let moved: HashSet<Uuid> = moved.into_iter().collect();
    let ended = outcomes
        .iter()
        .filter(|outcome| outcome.result.reaches().is_final() && moved.contains(&outcome.send.id.uuid()));
    ordering_keys::promote(txn, context, ended.filter_map(|outcome| outcome.send.ordering_key.clone())).await?;
    txn.rows(&INSERT_ATTEMPTS, attempt::TABLE.width(), Cut::Exact, attempts).await?;
    show_in_inbox(txn, context, outcomes, &moved, now).await?;
    for outcome in outcomes.iter().filter(|outcome| moved.contains(&outcome.send.id.uuid())) {
        if let AttemptResult::Sent { sid, .. } | AttemptResult::Adopted { sid, .. } = &outcome.result
            && outcome.send.is_call()
        {
            calls::begun(txn, context, &outcome.send, sid).await?;
        }
    }
    tell_questions(txn, context, outcomes.iter().filter(|outcome| moved.contains(&outcome.send.id.uuid())), now)
        .await?;
    let failed = outcomes
        .iter()
        .filter(|outcome| outcome.result == AttemptResult::Failed && moved.contains(&outcome.send.id.uuid()));
    let failed = failed.map(|outcome| (&*outcome.send, outcome.detail.clone()));
    fallback::insert_events(txn, context, failed, committed).await?;
    Ok(outcomes.iter().map(|outcome| moved.contains(&outcome.send.id.uuid())).collect())
}

/// Starts the time of the questions that were sent, and ends those that never will be.
async fn tell_questions<'a>(
    txn: &impl Txn,
    context: &WriterContext,
    outcomes: impl Iterator<Item = &'a AttemptOutcome>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let (mut sent, mut unsent) = (Vec::new(), Vec::new());
    for outcome in outcomes {
        let send = &outcome.send;
        match outcome.result.reaches() {
            ActionState::Sent => sent.push((send.id, send.tried_at.unwrap_or(now))),
            ActionState::Failed => unsent.push((send.id, outcome.detail.clone())),
            _ => {}
        }
    }
    questions::sent(txn, context, &sent).await?;
    questions::never_sent(txn, context, &unsent).await
}

/// Doubts the outcomes under an id that another message of the tenant has; `None` if there are none. The ids of providers
/// other than Twilio are looked up. Twilio's are its own, and one that repeats is refused by the index of the messages:
/// the sender then doubts it.
async fn doubt_repeated_ids(
    txn: &impl Txn,
    outcomes: &[AttemptOutcome],
) -> Result<Option<Vec<AttemptOutcome>>, StoreError> {
    let sid_of = |outcome: &AttemptOutcome| match &outcome.result {
        AttemptResult::Sent { sid, .. } => Some(sid.clone()),
        _ => None,
    };
    let of_others = outcomes.iter().filter(|one| matches!(one.send.route, Some(Route::Provider(_)))).filter_map(sid_of);
    let taken = messages::with_sids(txn, of_others.collect()).await?;
    let mut seen: HashSet<(TenantId, String)> = HashSet::new();
    let mut repeats = |outcome: &AttemptOutcome| {
        let Some(sid) = sid_of(outcome) else { return false };
        let (tenant, id) = (outcome.send.tenant, outcome.send.id.uuid());
        let of_another = taken.iter().any(|row| row.tenant == tenant && row.sid == sid && row.message != id);
        !seen.insert((tenant, sid)) || of_another
    };
    let repeated: Vec<bool> = outcomes.iter().map(&mut repeats).collect();
    if !repeated.contains(&true) {
        return Ok(None);
    }
    let doubted = outcomes.iter().zip(repeated).map(|(outcome, repeated)| {
        let doubted = if repeated { outcome.doubted() } else { None };
        doubted.unwrap_or_else(|| outcome.clone())
    });
    Ok(Some(doubted.collect()))
}

/// Whether a send waits as unknown because the database was restored.
fn is_of_restore(context: &WriterContext, outcome: &AttemptOutcome) -> bool {
    context.restored.get().is_some_and(|restored| outcome.send.tried_at == Some(restored.restored_at))
}

/// States as one text, each between blanks.
fn states(states: &[ActionState]) -> String {
    states.iter().fold(" ".to_owned(), |text, state| text + state.as_str() + " ")
}

async fn show_in_inbox(
    txn: &impl Txn,
    context: &WriterContext,
    outcomes: &[AttemptOutcome],
    moved: &HashSet<Uuid>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut rows = Vec::new();
    for outcome in outcomes.iter().filter(|outcome| moved.contains(&outcome.send.id.uuid())) {
        let send = &outcome.send;
        match &outcome.result {
            AttemptResult::Sent { sid, status } | AttemptResult::Adopted { sid, status } => {
                rows.extend(
                    messages::row_of_send(send, status.as_str(), status.rank(), Some(sid), None, now)?
                        .into_iter()
                        .flatten(),
                );
            }
            // Its id names another message already.
            AttemptResult::Doubtful { status, .. } => {
                let row = messages::row_of_send(send, status.as_str(), status.rank(), None, None, now)?;
                rows.extend(row.into_iter().flatten());
            }
            AttemptResult::Failed | AttemptResult::GivenUp => {
                rows.extend(
                    messages::row_of_send(send, "failed", 4, None, outcome.error_code, now)?.into_iter().flatten(),
                );
                if outcome.says_opted_out() {
                    let entry = opt_outs::OptOutChange {
                        tenant: send.tenant,
                        channel: send.message()?.channel,
                        peer_key: send.peer_key.clone(),
                        sender: send.sender.clone(),
                        active: true,
                        word: OPTED_OUT_CODE.to_string(),
                        at: now,
                    };
                    opt_outs::record(txn, context, &entry).await?;
                }
            }
            AttemptResult::Answered => {
                rows.extend(messages::row_of_send(send, "blocked", 4, None, None, now)?.into_iter().flatten());
            }
            AttemptResult::Retry { .. }
            | AttemptResult::Unknown { .. }
            | AttemptResult::NeverTaken
            | AttemptResult::Repeatable
            | AttemptResult::StillUnknown { .. } => {}
        }
    }
    messages::merge(txn, rows).await
}
