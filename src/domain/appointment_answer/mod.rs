//! What customers write to a reminder: that they come, that they do not, or that they want another time.
//!
//! Agreement is a closed grammar over the whole text: a text that holds anything but assent, thanks, greetings and the
//! appointment's own time agrees to nothing. So is a cancellation. A wish for another time is recognised more freely, because
//! it only leads to an offer. Whatever is in doubt has no answer, and a person reads on.

mod phrases;

use chrono::{DateTime, FixedOffset};

use self::phrases::{LEXICON, Say};
use super::clock::Timestamp;
use super::fold::fold;
use super::named_time;
use super::phrases::{Part, is_break_after};
use super::words::{Word, words};

/// The answer that a text gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum AppointmentAnswer {
    /// Confirms in so many words: "C", "I confirm my appointment".
    Confirm,
    /// Agrees: "yes", "ok, see you then". It may be about anything.
    Yes,
    /// Cancels: "X", "ok cancela".
    Cancel,
    /// Wants another time: "M", "tengo que cambiarla".
    Move,
    /// Refuses, or names another time: "I can't", "ok but 5pm". It may be about anything.
    No,
}

/// No answer is longer, in words; longer texts are for people.
const WORDS_MAX: usize = 40;

/// Reads an answer, in English or Spanish. `start` is the appointment's beginning by the clock there: a text may name it and
/// still agree. Any other time, and any time if `start` is `None`, is a wish.
pub fn read(text: &str, start: Option<&DateTime<FixedOffset>>, now: Timestamp) -> Option<AppointmentAnswer> {
    let words = words(text, WORDS_MAX + 1);
    if words.len() > WORDS_MAX {
        return None;
    }
    let reading = Reading::new(text, &words, start, now);
    reading.cancels().or_else(|| reading.moves()).or_else(|| reading.refuses()).or_else(|| reading.agrees())
}

/// See [`crate::domain::make_tables`].
pub(super) fn make_tables() {
    std::sync::LazyLock::force(&LEXICON);
}

/// A text taken apart.
struct Reading<'a> {
    text: &'a str,
    words: &'a [Word],
    parts: Vec<Part<Say>>,
    /// Whether the words that belong to no phrase name the appointment's time (`Some(true)`), or another; `None` if they say
    /// anything else.
    names_its_time: Option<bool>,
    /// Every word belongs to a phrase or to a time.
    is_closed: bool,
    is_question: bool,
}

impl<'a> Reading<'a> {
    fn new(text: &'a str, words: &'a [Word], start: Option<&DateTime<FixedOffset>>, now: Timestamp) -> Self {
        let mut parts = LEXICON.read(text, words);
        settle_letters(&mut parts, text, words);
        let unknown = unknown_text(text, words, &parts);
        let names_its_time = match start {
            _ if has_loose_tarde(&unknown) => None,
            Some(start) => named_time::names(&unknown, start, now),
            None => named_time::names(&unknown, &now.to_utc().fixed_offset(), now).map(|_| false),
        };
        let is_question = text.contains(['?', '¿', '？', '؟', '⁉', '❓', '❔']);
        let is_closed = unknown.is_empty() || names_its_time.is_some();
        Self { text, words, parts, names_its_time, is_closed, is_question }
    }

    fn says(&self, say: Say) -> bool {
        self.parts.iter().any(|part| part.meaning == Some(say))
    }

    fn says_any(&self, many: &[Say]) -> bool {
        many.iter().any(|say| self.says(*say))
    }

    /// Whether the text says no to something else than the appointment: not as "No, …" at its beginning.
    fn denies(&self) -> bool {
        self.parts.iter().enumerate().any(|(at, part)| {
            let stands_alone = is_break_after(self.text, self.words, part.first + part.words - 1);
            part.meaning == Some(Say::Not) && !(at == 0 && stands_alone)
        })
    }

    /// Only a request, such as "can you cancel it?", may be a question.
    fn cancels(&self) -> Option<AppointmentAnswer> {
        let contrary = self.says_any(&[
            Say::Keep,
            Say::Move,
            Say::MoveIt,
            Say::OtherTime,
            Say::But,
            Say::Better,
            Say::Other,
            Say::MayI,
        ]);
        let asks = self.is_question && !self.says(Say::Request);
        let is_sure = self.is_closed && self.names_its_time != Some(false) && !contrary && !asks && !self.denies();
        (self.says(Say::Cancel) && is_sure).then_some(AppointmentAnswer::Cancel)
    }

    /// "Change" alone may be about anything, unless the text says nothing else.
    fn moves(&self) -> Option<AppointmentAnswer> {
        let wants = self.says(Say::MoveIt) || (self.is_closed && self.says_any(&[Say::Move, Say::CannotCome]));
        (wants && !self.says(Say::Keep)).then_some(AppointmentAnswer::Move)
    }

    fn refuses(&self) -> Option<AppointmentAnswer> {
        if self.says(Say::Keep) {
            return None;
        }
        let cannot = self.says_any(&[Say::Cannot, Say::CannotCome, Say::OtherTime]);
        let no = self.says(Say::Not) && (self.is_closed || (!self.denies() && !self.is_question));
        let reason = self.says(Say::Reason) && self.is_closed && !self.says_any(ASSENT);
        // To cancel in a question, or with more to it, which may need an answer.
        let unclear_cancel = self.says(Say::Cancel) && !self.says(Say::Other);
        let other_time = self.names_its_time == Some(false) && (self.says_any(ASSENT) || self.says_any(WISHES));
        let wish = self.says_any(&[Say::But, Say::Better]) && !self.says(Say::Other);
        let wish = wish && named_time::mentions_time(self.text);
        (cannot || no || reason || unclear_cancel || other_time || wish).then_some(AppointmentAnswer::No)
    }

    fn agrees(&self) -> Option<AppointmentAnswer> {
        let agreeing = |say: Say| ASSENT.contains(&say) || matches!(say, Say::Filler | Say::Appointment);
        let confirms = self.says_any(&[Say::Confirm, Say::ConfirmNow]);
        let is_whole = self.is_closed && self.parts.iter().filter_map(|part| part.meaning).all(agreeing);
        if !is_whole || self.is_question || self.names_its_time == Some(false) || has_other_signs(self.text) {
            return None;
        }
        if confirms {
            return (!self.confirms_later()).then_some(AppointmentAnswer::Confirm);
        }
        self.says(Say::Yes).then_some(AppointmentAnswer::Yes)
    }

    /// "I confirm tomorrow" may promise a confirmation. With an hour, or as "for tomorrow", it names the appointment.
    fn confirms_later(&self) -> bool {
        let unknown = unknown_text(self.text, self.words, &self.parts);
        let is_of = |preposition: &str| unknown.split(' ').next() == Some(preposition);
        let names_appointment =
            unknown.contains(char::is_numeric) || ["para", "for", "de", "del"].into_iter().any(is_of);
        self.says(Say::Confirm) && !unknown.is_empty() && !names_appointment
    }
}

/// The meanings of assent.
const ASSENT: &[Say] = &[Say::Yes, Say::Confirm, Say::ConfirmNow];

/// The meanings that make another time a wish.
const WISHES: &[Say] = &[Say::But, Say::Better, Say::Request, Say::MayI, Say::Want];

/// The words that belong to no phrase, folded; those that stand together keep the signs between them, such as `10:30`.
fn unknown_text(text: &str, words: &[Word], parts: &[Part<Say>]) -> String {
    let runs = parts.chunk_by(|one, other| one.meaning.is_none() && other.meaning.is_none());
    let unknown = runs.filter(|run| run[0].meaning.is_none());
    let written = unknown.map(|run| &text[words[run[0].first].start..words[run[run.len() - 1].first].end]);
    fold(&written.collect::<Vec<_>>().join(" "))
}

/// Whether a text has signs that say something: sums, shares, numbers, sad faces. Words and emoji are read elsewhere.
fn has_other_signs(text: &str) -> bool {
    let says_something = |c: char| {
        matches!(
            c,
            '$' | '€' | '£' | '¥' | '%' | '+' | '=' | '<' | '>' | '#' | '@' | '^' | '|' | '\\' | '{' | '}' | '≠' | '±'
        )
    };
    text.contains(says_something) || [":(", ":-(", ":'(", ":/", ":-/"].iter().any(|face| text.contains(face))
}

/// Whether "tarde" stands without an article: that is "late", and no afternoon.
fn has_loose_tarde(text: &str) -> bool {
    let all: Vec<&str> = text.split(' ').collect();
    let loose = |at: usize| at.checked_sub(1).is_none_or(|before| !matches!(all[before], "la" | "esta"));
    all.iter().enumerate().any(|(at, word)| *word == "tarde" && loose(at))
}

/// The accents of "sí".
const ACCENTS: [char; 3] = ['í', 'Í', '\u{301}'];

/// Gives a meaning to what says one thing at the beginning and another behind other words, or without its accent.
fn settle_letters(parts: &mut [Part<Say>], text: &str, words: &[Word]) {
    let beside_x = [Say::Filler, Say::Appointment, Say::Cancel, Say::Reason, Say::Excuse];
    let is_x = parts.iter().skip(1).all(|part| part.meaning.is_some_and(|say| beside_x.contains(&say)));
    for part in parts {
        let first = part.first == 0;
        let as_written = &text[words[part.first].start..words[part.first].end];
        part.meaning = part.meaning.map(|say| match say {
            // The reminder's X; elsewhere it is a kiss, or "por".
            Say::LetterX if first && is_x => Say::Cancel,
            Say::LetterM if first => Say::Move,
            Say::LetterX | Say::LetterM => Say::Other,
            // Yes, or "and".
            Say::LetterY if first && is_break_after(text, words, 0) => Say::Yes,
            Say::LetterY => Say::Filler,
            // "Sí puedo"; without the accent it may be "if I can".
            Say::YesICan if as_written.contains(ACCENTS) => Say::Yes,
            Say::YesICan => Say::Other,
            // "Sí, no"; without the accent it may be "if not".
            Say::IfNot if as_written.contains(ACCENTS) => Say::Not,
            Say::IfNot => Say::Other,
            say => say,
        });
    }
}

#[cfg(test)]
mod tests;
