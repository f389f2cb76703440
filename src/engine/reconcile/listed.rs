//! Compares what the provider lists with a send of unknown outcome. Pure.
//!
//! A listed message is ours if it has our exact words and the provider created it between our first attempt and the
//! deadline of the last one, **by the provider's clock**: its list carries a `Date`, which tells how far our clocks are
//! apart. Another program may send through the same account and number, so anything less certain is never adopted.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::action::Template;
use crate::domain::{DeliveryStatus, Origin, Send, SendBody, Timestamp, placeholders, segments};
use crate::engine::reconcile::remain_unknown;
use crate::integrations::http;
use crate::integrations::twilio::client::{CallResource, Content, MessageResource};
use crate::integrations::twilio::is_sid;
use crate::store::{AttemptResult, QueuedSend, SEND_WITHIN};

/// Twilio puts this before the texts of trial accounts.
/// <https://help.twilio.com/articles/360036052753>
const TRIAL_PREFIX: &str = "Sent from your Twilio trial account - ";
/// The mark of a trial prefix in other words.
const TRIAL_MARK: &str = "twilio trial";
/// Twilio tells times to the second.
const SECOND: Duration = Duration::from_secs(1);
/// How far the clocks may have drifted between the attempt and the list. Our words at such a time are doubtful.
const DRIFT_MAX: Duration = Duration::from_secs(300);
/// The same where the provider's list has no `Date`.
const SKEW_MAX: Duration = Duration::from_secs(3_600);

/// When the list was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Read {
    /// The provider's time of the answer.
    pub date: Option<DateTime<Utc>>,
    /// Our time before the request.
    pub asked: Timestamp,
    /// Our time after the answer.
    pub answered: Timestamp,
}

/// When the provider can have created a send, by the provider's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// From the first attempt to the deadline of the last one; `None` where the provider's clock is not known.
    attempts: Option<(Timestamp, Timestamp)>,
    /// With room for clocks that were changed meanwhile.
    perhaps: (Timestamp, Timestamp),
}

impl Window {
    /// Makes the window of the attempts of a send, seen from a list that was read.
    pub(super) fn new(queued: &QueuedSend, read: Read) -> Self {
        let last = queued.tried_at.unwrap_or(read.asked);
        let first = queued.first_try_at.unwrap_or(last);
        let deadline = last.plus(SEND_WITHIN).plus(http::DEADLINE);
        let Some(date) = read.date.map(Timestamp::from) else {
            return Self { attempts: None, perhaps: (first.minus(SKEW_MAX), deadline.plus(SKEW_MAX)) };
        };
        // Their clock was within the second of its date at some instant between our question and the answer.
        let earliest = shifted(first, date, read.answered).minus(SECOND);
        let latest = shifted(deadline, date.plus(SECOND), read.asked);
        let perhaps = (earliest.min(first).minus(DRIFT_MAX), latest.max(deadline).plus(DRIFT_MAX));
        Self { attempts: Some((earliest, latest)), perhaps }
    }

    /// The earliest creation that is of any interest.
    pub(super) fn since(&self) -> DateTime<Utc> {
        self.perhaps.0.to_utc()
    }

    /// Where a creation lies; `None` for outside. A resource without a time may be anywhere.
    fn place(&self, created: Option<DateTime<Utc>>) -> Option<Likeness> {
        let within = |(from, until): (Timestamp, Timestamp), at| from <= at && at <= until;
        let Some(at) = created.map(Timestamp::from) else { return Some(Likeness::Doubtful) };
        if self.attempts.is_some_and(|attempts| within(attempts, at)) {
            return Some(Likeness::Ours);
        }
        within(self.perhaps, at).then_some(Likeness::Doubtful)
    }
}

/// An instant of ours on a clock that showed `theirs` when ours showed `ours`.
const fn shifted(at: Timestamp, theirs: Timestamp, ours: Timestamp) -> Timestamp {
    Timestamp::from_unix_us(at.unix_us().saturating_add(theirs.unix_us().saturating_sub(ours.unix_us())))
}

/// The relation of a listed message or call to the send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    Ours,
    /// It may be ours: a person must look.
    Doubtful,
    /// Another message to the customer. It counts after a restore only, when what we know is old.
    Other,
}

/// A message or a call in the list that may be the send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub sid: String,
    status: DeliveryStatus,
    likeness: Likeness,
}

impl Listed {
    /// Compares a message with a send; `None` if it is certainly another one.
    pub(super) fn message(
        queued: &QueuedSend,
        words: &Words,
        window: &Window,
        message: &MessageResource,
    ) -> Option<Self> {
        // We send by the API alone, and never media.
        let service = message.messaging_service_sid.as_deref().filter(|sid| !sid.is_empty());
        let other_service = is_sid("MG", &queued.sender) && service.is_some_and(|sid| sid != queued.sender);
        if message.direction != "outbound-api" || other_service || (message.num_media > 0 && words.have_no_media()) {
            return None;
        }
        let place = window.place(message.date_created)?;
        let likeness = match (words.compare(&message.body), place) {
            (Some(Likeness::Ours), Likeness::Ours) => Likeness::Ours,
            (Some(_), _) => Likeness::Doubtful,
            (None, Likeness::Ours) => Likeness::Other,
            (None, _) => return None,
        };
        let status = DeliveryStatus::parse(&message.status).unwrap_or(DeliveryStatus::Queued);
        Some(Self { sid: message.sid.clone(), status, likeness })
    }

    /// Compares a call with a send; `None` if it is certainly another one. A call does not tell what it is about, but
    /// between two numbers there is one at a time: the time decides.
    pub(super) fn call(window: &Window, call: &CallResource) -> Option<Self> {
        if call.direction != "outbound-api" || call.parent_call_sid.as_deref().is_some_and(|sid| !sid.is_empty()) {
            return None;
        }
        let likeness = window.place(call.date_created)?;
        Some(Self { sid: call.sid.clone(), status: DeliveryStatus::Queued, likeness })
    }
}

/// The words of a send, as far as they are known here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Words {
    Text(String),
    /// A template whose words the provider told.
    Template {
        /// The bodies that it may have, filled with the variables.
        filled: Vec<String>,
        /// The fixed words of each body, in order.
        fixed: Vec<Vec<String>>,
    },
    /// A template whose words could not be had.
    Unknown,
}

impl Words {
    /// The words of a send; a template's are in `content`.
    pub(super) fn new(send: &Send, content: Option<&Content>) -> Self {
        match &send.body {
            SendBody::Text(text) => Self::Text(text.clone()),
            SendBody::Template(template) => {
                content.map_or(Self::Unknown, |content| Self::of_template(template, content))
            }
            SendBody::Email(_) | SendBody::Call(_) => Self::Text(send.body.summary()),
        }
    }

    fn of_template(template: &Template, content: &Content) -> Self {
        let bodies: Vec<&str> =
            content.types.values().filter_map(|kind| kind["body"].as_str()).filter(|body| !body.is_empty()).collect();
        if bodies.is_empty() {
            return Self::Unknown;
        }
        let sample = |name: &str| content.variables.as_ref()?.get(name)?.as_str();
        let value = |name: &str| template.variables.get(name).map(String::as_str).or_else(|| sample(name));
        let filled = bodies.iter().map(|body| fill(body, value)).collect();
        let fixed = bodies.iter().map(|body| literals(body)).collect();
        Self::Template { filled, fixed }
    }

    const fn have_no_media(&self) -> bool {
        matches!(self, Self::Text(_))
    }

    /// Compares the words with a listed body; `None` if they are certainly others.
    fn compare(&self, body: &str) -> Option<Likeness> {
        // An account can have its bodies redacted.
        if body.is_empty() {
            return Some(Likeness::Doubtful);
        }
        let trial = body.strip_prefix(TRIAL_PREFIX);
        let is = |text: &String| body == text || trial == Some(text.as_str());
        match self {
            Self::Text(text) if is(text) => Some(Likeness::Ours),
            Self::Text(text) => {
                let (text, body) = (loose(text), loose(trial.unwrap_or(body)));
                let other_trial = trial.is_none() && body.to_lowercase().contains(TRIAL_MARK);
                (body == text || (other_trial && body.ends_with(&text))).then_some(Likeness::Doubtful)
            }
            Self::Template { filled, .. } if filled.iter().any(is) => Some(Likeness::Ours),
            Self::Template { fixed, .. } => {
                let body = loose(body);
                fixed.iter().any(|parts| contains_in_order(&body, parts)).then_some(Likeness::Doubtful)
            }
            Self::Unknown => Some(Likeness::Doubtful),
        }
    }
}

/// A text without the differences that a provider may make: typographic characters and white space.
fn loose(text: &str) -> String {
    segments::smart_encode(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn fill<'a>(body: &str, value: impl Fn(&str) -> Option<&'a str>) -> String {
    let part = |segment| match segment {
        Ok(placeholders::Segment::Literal(text)) => text.to_owned(),
        Ok(placeholders::Segment::Placeholder { name, .. }) => value(name).unwrap_or_default().to_owned(),
        Err(placeholders::Unclosed(at)) => format!("{{{{{}", &body[at..]),
    };
    placeholders::split(body).map(part).collect()
}

fn literals(body: &str) -> Vec<String> {
    let literal = |segment| match segment {
        Ok(placeholders::Segment::Literal(text)) => Some(loose(text)),
        _ => None,
    };
    placeholders::split(body).filter_map(literal).filter(|text| !text.is_empty()).collect()
}

fn contains_in_order(text: &str, parts: &[String]) -> bool {
    let mut rest = text;
    parts.iter().all(|part| match rest.split_once(part.as_str()) {
        Some((_, behind)) => {
            rest = behind;
            true
        }
        None => false,
    })
}

/// Judges what the unclaimed messages of a complete list mean for a send.
pub(super) fn judge(queued: &QueuedSend, unclaimed: &[Listed], now: Timestamp) -> (AttemptResult, String) {
    let ours: Vec<&Listed> = unclaimed.iter().filter(|seen| seen.likeness == Likeness::Ours).collect();
    match (ours.as_slice(), unclaimed.iter().filter(|seen| seen.likeness == Likeness::Doubtful).count()) {
        ([message], _) => {
            let detail = "found in the provider's list: it had been taken".to_owned();
            (AttemptResult::Adopted { sid: message.sid.clone(), status: message.status }, detail)
        }
        ([], 0) => (
            AttemptResult::NeverTaken,
            "the provider's complete list shows no such message: it was never taken".to_owned(),
        ),
        ([], doubtful) => (
            remain_unknown(queued, now),
            format!(
                "the provider lists {doubtful} message(s) to this customer that may be it, but not surely by their \
                 words and time: look at them, then use 'recado settle'"
            ),
        ),
        (several, _) => (
            remain_unknown(queued, now),
            format!(
                "the provider lists {} messages with this very text, or calls, that may be it: a person must say \
                 which, with 'recado settle'",
                several.len()
            ),
        ),
    }
}

/// Judges what the unclaimed messages of a complete list, the newest first, mean for a send that a restored database
/// knows nothing of. The ledger lacks what was sent meanwhile: so of several that match the oldest is ours, and a customer
/// who was answered in other words was answered.
pub(super) fn judge_restored(queued: &QueuedSend, unclaimed: &[Listed], now: Timestamp) -> (AttemptResult, String) {
    let of = |likeness| unclaimed.iter().filter(move |seen| seen.likeness == likeness);
    if let Some(message) = of(Likeness::Ours).next_back() {
        let detail = "found in the provider's list: it had left before the restore".to_owned();
        return (AttemptResult::Adopted { sid: message.sid.clone(), status: message.status }, detail);
    }
    match (of(Likeness::Other).next_back(), of(Likeness::Doubtful).next_back()) {
        (Some(message), _) if queued.origin == Origin::Answer => (
            AttemptResult::Answered,
            format!("the customer was answered before the restore, in other words: {}", message.sid),
        ),
        (_, Some(message)) => (
            remain_unknown(queued, now),
            format!(
                "whether {} in the provider's list is this one, sent before the restore, is not sure: a person must say, \
                 with 'recado settle'",
                message.sid
            ),
        ),
        (_, None) => (
            AttemptResult::NeverTaken,
            "the provider's complete list does not show it: it had not left before the restore".to_owned(),
        ),
    }
}
