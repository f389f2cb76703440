//! How attempts end: the ledger's last word on a send, and its row in the inbox.

use std::collections::HashSet;
use std::sync::Arc;

use sea_orm::Value;
use uuid::Uuid;

use super::fallback;
use crate::domain::{ActionState, DeliveryStatus, Route, Timestamp};
use crate::store::StoreError;
use crate::store::db::sql::{Cut, Txn};
use crate::store::pending_cache::Committed;
use crate::store::tables::actions::{Candidate, OPTED_OUT_CODE, SEND_WITHIN};
use crate::store::tables::{calls, messages, opt_outs};
use crate::store::writer::Means;

/// How an attempt, or a reconciliation, ended.
#[derive(Clone, Debug)]
pub struct Verdict {
    pub candidate: Arc<Candidate>,
    pub attempt: i32,
    pub end: End,
    pub http_status: Option<u16>,
    pub error_code: Option<i64>,
    /// For people: what happened and what to do.
    pub detail: String,
}

impl Verdict {
    /// Twilio says that the customer has opted out; another provider's number may mean anything.
    fn says_opted_out(&self) -> bool {
        self.error_code == Some(OPTED_OUT_CODE) && matches!(self.candidate.route(), Ok(Route::Twilio))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The provider has taken it.
    Sent { sid: String, status: DeliveryStatus },
    /// Surely not taken; again at this time.
    Retry { at: Timestamp },
    /// Refused for good.
    Failed,
    /// Perhaps taken; to be reconciled at this time.
    Unknown { look_at: Timestamp },
    /// Reconciled: the provider's list, or its callback, shows it.
    Adopted { sid: String, status: DeliveryStatus },
    /// Reconciled: the complete list shows none, it was never taken.
    NeverTaken,
    /// Nobody can say, but to do it again does no harm: whoever takes it tells a repeat by its id.
    Repeatable,
    /// Nobody will ever say, and to do it again could do it twice: it is over.
    GivenUp,
    /// Not to be reconciled now; look again at this time.
    StillUnknown { look_at: Timestamp },
}

impl End {
    const fn leaves(&self) -> ActionState {
        match self {
            Self::Sent { .. } | Self::Retry { .. } | Self::Failed | Self::Unknown { .. } => ActionState::Sending,
            Self::Adopted { .. } | Self::NeverTaken | Self::Repeatable | Self::GivenUp | Self::StillUnknown { .. } => {
                ActionState::Unknown
            }
        }
    }

    const fn reaches(&self) -> ActionState {
        match self {
            Self::Sent { .. } | Self::Adopted { .. } => ActionState::Sent,
            Self::Retry { .. } | Self::NeverTaken | Self::Repeatable => ActionState::Planned,
            Self::Failed | Self::GivenUp => ActionState::Failed,
            Self::Unknown { .. } | Self::StillUnknown { .. } => ActionState::Unknown,
        }
    }

    /// The attempt's outcome as it is stored.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sent { .. } => "sent",
            Self::Retry { .. } => "retry",
            Self::Failed => "failed",
            Self::Unknown { .. } | Self::StillUnknown { .. } => "unknown",
            Self::Adopted { .. } => "adopted",
            Self::NeverTaken => "never_taken",
            Self::Repeatable => "repeatable",
            Self::GivenUp => "given_up",
        }
    }
}

/// Closes attempts. A verdict on an action that has moved on meanwhile (a callback was quicker) changes nothing.
pub(in crate::store) async fn verdicts(
    txn: &impl Txn,
    means: &Means,
    verdicts: &[Verdict],
    committed: &mut Committed,
) -> Result<Vec<bool>, StoreError> {
    if verdicts.is_empty() {
        return Ok(Vec::new());
    }
    committed.changed_customers |= verdicts.iter().any(Verdict::says_opted_out);
    let now = means.clock.now();
    let mut attempts: Vec<Value> = Vec::with_capacity(verdicts.len() * 10);
    let mut actions: Vec<Value> = Vec::with_capacity(verdicts.len() * 9);
    for verdict in verdicts {
        let end = &verdict.end;
        let (due, sid) = match end {
            End::Sent { sid, .. } | End::Adopted { sid, .. } => (now, Some(sid.clone())),
            End::Retry { at } | End::Unknown { look_at: at } | End::StillUnknown { look_at: at } => (*at, None),
            End::Failed | End::NeverTaken | End::Repeatable | End::GivenUp => (now, None),
        };
        let detail = (!verdict.detail.is_empty()).then(|| verdict.detail.clone());
        actions.extend([
            verdict.candidate.id.into(),
            end.leaves().as_str().into(),
            verdict.attempt.into(),
            end.reaches().as_str().into(),
            due.unix_us().into(),
            detail.clone().into(),
            verdict.error_code.into(),
            sid.into(),
            verdict.candidate.tenant_id.into(),
        ]);
        let started = verdict.candidate.tried_us.map_or(now, Timestamp::from_unix_us);
        attempts.extend([
            verdict.candidate.id.into(),
            verdict.attempt.into(),
            verdict.candidate.tenant_id.into(),
            started.unix_us().into(),
            started.plus(SEND_WITHIN).unix_us().into(),
            now.unix_us().into(),
            end.name().into(),
            verdict.http_status.map(i32::from).into(),
            verdict.error_code.into(),
            detail.into(),
        ]);
    }
    let moved: Vec<Uuid> = txn
        .changed(
            "UPDATE actions SET state = v.column4, due_us = v.column5, reason = v.column6, error_code = v.column7,
           provider_sid = coalesce(v.column8, actions.provider_sid) FROM (VALUES {rows}) AS v
         WHERE actions.id = v.column1 AND actions.state = v.column2 AND actions.tries = v.column3
           AND actions.tenant_id = v.column9 RETURNING actions.id",
            9,
            0,
            Cut::Padded,
            actions,
        )
        .await?;
    let moved: HashSet<Uuid> = moved.into_iter().collect();
    txn.rows(
        "INSERT INTO attempts (action_id, n, tenant_id, started_us, not_after_us, finished_us, outcome, http_status,
           error_code, detail) VALUES {rows}
         ON CONFLICT (action_id, n) DO UPDATE SET finished_us = excluded.finished_us, outcome = excluded.outcome,
           detail = excluded.detail",
        10,
        Cut::Exact,
        attempts,
    )
    .await?;
    show_in_inbox(txn, means, verdicts, &moved, now).await?;
    for verdict in verdicts.iter().filter(|verdict| moved.contains(&verdict.candidate.id)) {
        if let End::Sent { sid, .. } | End::Adopted { sid, .. } = &verdict.end
            && verdict.candidate.is_call()
        {
            calls::begun(txn, means, &verdict.candidate, sid).await?;
        }
    }
    let failed = verdicts.iter().filter(|verdict| verdict.end == End::Failed && moved.contains(&verdict.candidate.id));
    fallback::tell(txn, means, failed.map(|verdict| (&*verdict.candidate, verdict.detail.clone()))).await?;
    Ok(verdicts.iter().map(|verdict| moved.contains(&verdict.candidate.id)).collect())
}

async fn show_in_inbox(
    txn: &impl Txn,
    means: &Means,
    verdicts: &[Verdict],
    moved: &HashSet<Uuid>,
    now: Timestamp,
) -> Result<(), StoreError> {
    let mut rows = Vec::new();
    for verdict in verdicts.iter().filter(|verdict| moved.contains(&verdict.candidate.id)) {
        let candidate = &verdict.candidate;
        match &verdict.end {
            End::Sent { sid, status } | End::Adopted { sid, status } => {
                rows.extend(
                    messages::row_of_send(candidate, status.as_str(), status.rank(), Some(sid), None, now)?
                        .into_iter()
                        .flatten(),
                );
            }
            End::Failed | End::GivenUp => {
                rows.extend(
                    messages::row_of_send(candidate, "failed", 4, None, verdict.error_code, now)?.into_iter().flatten(),
                );
                if verdict.says_opted_out() {
                    let entry = opt_outs::Entry {
                        tenant: candidate.tenant(),
                        channel: candidate.channel.parse().map_err(StoreError::stored)?,
                        peer_key: candidate.peer_key.clone(),
                        sender: candidate.sender.clone(),
                        active: true,
                        word: OPTED_OUT_CODE.to_string(),
                        at: now,
                    };
                    opt_outs::record(txn, means, &entry).await?;
                }
            }
            End::Retry { .. } | End::Unknown { .. } | End::NeverTaken | End::Repeatable | End::StillUnknown { .. } => {}
        }
    }
    messages::merge(txn, rows).await
}
