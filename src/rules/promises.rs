//! Promises of texts: a text that says "Reply X to cancel" promises that X does something. [`RuleSet::unmet_promises`] finds the
//! words that no rule of a tenant answers.
//!
//! A promise is a word in capitals, or a number, right after a verb such as *reply* or *responde*; so are the words that follow
//! in a list: "Reply C to confirm, M to move it, X to cancel". A rule answers a word by its keywords. A rule without keywords
//! answers those words that it compares with, and a rule that asks handles what its own texts promise. STOP, START and HELP
//! are answered by the engine. Texts that a rule puts together from pieces are not seen: ask `e.business.enabled(…)` there.

use std::collections::BTreeSet;

use rhai::{Array, Dynamic, ImmutableString, Map};
use serde_json::Value;

use crate::domain::contact::TenantFacts;
use crate::domain::fold::fold;
use crate::domain::opt_out;
use crate::domain::words::fold_words;
use crate::rules::model::Rule;
use crate::rules::ruleset::RuleSet;

/// The longest promised word, in characters.
const WORD_CHARS: usize = 20;

/// Verbs before a promised word, folded.
const VERBS: &[&str] = &[
    "reply", "answer", "respond", "text", "send", "write", "type", "responde", "responda", "contesta", "conteste",
    "escribe", "escriba", "envia", "envie", "manda", "mande",
];
/// Words that may stand between the verb and the promised word, folded.
const FILLERS: &[&str] =
    &["with", "the", "word", "us", "just", "simply", "back", "con", "la", "palabra", "nos", "solo", "simplemente"];
/// Words that join the members of a list, folded.
const JOINTS: &[&str] = &["or", "and", "o", "u", "y", "e"];
/// Words that say what a promised word is for, folded.
const PURPOSES: &[&str] = &["to", "for", "if", "when", "para", "si", "y", "and", "or", "o"];

/// A word that a text promises, and that nothing answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnmetPromise {
    /// The rule whose text it is.
    pub rule: String,
    pub word: String,
    /// A blueprint that would answer it, and is not enabled.
    pub answered_by: Option<String>,
}

impl std::fmt::Display for UnmetPromise {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "a text of \"{}\" promises that {} does something, and no enabled rule answers it",
            self.rule, self.word
        )
    }
}

impl UnmetPromise {
    /// What to do about it for the tenant of this slug.
    pub fn remedy(&self, slug: &str) -> String {
        match &self.answered_by {
            Some(rule) => format!("enable it with 'recado tenant set {slug} --enable \"{rule}\"', or change the text"),
            None => format!("add a rule with .keyword(\"{}\"), or change the text", self.word),
        }
    }
}

impl RuleSet {
    /// Finds what texts of a tenant's enabled rules promise and no enabled rule of the tenant answers.
    pub fn unmet_promises(&self, tenant: &TenantFacts) -> Vec<UnmetPromise> {
        let enabled = |rule: &&Rule| rule.is_enabled_for(tenant);
        let mut unmet = BTreeSet::new();
        for rule in self.rules.iter().filter(enabled) {
            let set = tenant.blueprints.get(&rule.info.name);
            let params =
                rule.info.params.iter().map(|(name, default)| set.and_then(|set| set.get(name)).unwrap_or(default));
            let in_params = params.filter_map(Value::as_str).flat_map(promised);
            for word in rule.promises.iter().cloned().chain(in_params) {
                let met = rule.answers_itself()
                    || opt_out::recognise(&word).is_some()
                    || self.rules.iter().filter(enabled).any(|other| other.answers(&word));
                if !met {
                    let answered_by = self.rules.iter().find(|other| other.answers(&word));
                    let answered_by = answered_by.map(|other| other.info.name.clone());
                    unmet.insert(UnmetPromise { rule: rule.info.name.clone(), word, answered_by });
                }
            }
        }
        unmet.into_iter().collect()
    }

    /// Finds what texts of the folder promise: words that no rule answers, and words of live rules that only a blueprint
    /// answers.
    pub fn unmet_promises_of_folder(&self) -> Vec<UnmetPromise> {
        let all = self.blueprints().into_keys().map(|name| (name, Default::default())).collect();
        let everybody = TenantFacts { blueprints: all, ..TenantFacts::default() };
        let mut unmet: BTreeSet<UnmetPromise> = self.unmet_promises(&everybody).into_iter().collect();
        unmet.extend(self.unmet_promises(&TenantFacts::default()));
        unmet.into_iter().collect()
    }
}

impl Rule {
    /// Whether the rule asks, and so handles what its texts promise.
    fn answers_itself(&self) -> bool {
        !self.handlers.answers.is_empty()
    }

    /// Whether the rule listens for a word in messages.
    fn answers(&self, word: &str) -> bool {
        if !self.info.kinds.iter().any(|kind| kind.inbound_channel().is_some()) {
            return false;
        }
        if self.keywords.is_empty() {
            return self.words.contains(&fold(word));
        }
        let first = word.split(' ').next().unwrap_or_default();
        [word, first].into_iter().any(|word| self.keywords.contains(&fold_words(word)))
    }
}

/// Returns the words that a text promises.
pub(in crate::rules) fn promised(text: &str) -> Vec<String> {
    let tokens: Vec<&str> = text.split_whitespace().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if !VERBS.contains(&bare(tokens[at]).as_str()) || ends_clause(tokens[at]) {
            at += 1;
            continue;
        }
        at += 1;
        while tokens.get(at).is_some_and(|token| FILLERS.contains(&bare(token).as_str())) {
            at += 1;
        }
        let (mut expected, mut first) = (true, true);
        while let Some(token) = tokens.get(at) {
            if let Some((word, next)) = phrase(&tokens, at).filter(|_| expected) {
                let after = tokens.get(next).map(|token| bare(token));
                let ends = tokens[next - 1].ends_with(['.', '!', '?', ',', ';', ':', ')']) || after.is_none();
                let purpose = after.is_some_and(|after| PURPOSES.contains(&after.as_str()));
                // "FEEDBACK and 1 to 5 stars" promises nothing about 1.
                let fits = !is_number(&word) || found.last().is_some_and(|last: &String| is_number(last));
                if first || (fits && (ends || purpose)) {
                    found.push(word);
                }
                at = next;
            } else {
                at += 1;
            }
            first = false;
            let last = tokens[at - 1];
            if last.ends_with(['.', '!', '?']) {
                break;
            }
            expected = last.ends_with([',', ';']) || JOINTS.contains(&bare(token).as_str());
        }
    }
    found
}

/// Returns the word in capitals, or the number, at a place, with the capitals that follow it; and the place behind it.
fn phrase(tokens: &[&str], at: usize) -> Option<(String, usize)> {
    let mut words: Vec<&str> = Vec::new();
    let mut next = at;
    while let Some(token) = tokens.get(next) {
        let word = token.trim_matches(|c: char| !c.is_alphanumeric());
        if !is_promised(word) || (!words.is_empty() && !word.chars().any(char::is_alphabetic)) {
            break;
        }
        words.push(word);
        next += 1;
        // A joint or a sign between two words makes them two promises.
        if token.ends_with(|c: char| !c.is_alphanumeric()) || token.contains('/') {
            break;
        }
    }
    (!words.is_empty()).then(|| (words.join(" "), next))
}

fn is_promised(word: &str) -> bool {
    let letters = word.chars().filter(|c| c.is_alphabetic()).count();
    let written = word.chars().all(|c| c.is_alphanumeric()) && word.chars().count() <= WORD_CHARS;
    let number = letters == 0 && !word.is_empty() && word.len() <= 2;
    written && word != "I" && !word.chars().any(char::is_lowercase) && (letters > 0 || number)
}

fn is_number(word: &str) -> bool {
    word.chars().all(|c| c.is_ascii_digit())
}

fn bare(token: &str) -> String {
    fold(token.trim_matches(|c: char| !c.is_alphanumeric()))
}

fn ends_clause(token: &str) -> bool {
    token.ends_with(['.', '!', '?', ',', ':', ';'])
}

/// Calls `found` with every text in a constant.
pub(in crate::rules) fn texts_in(constant: &Dynamic, found: &mut impl FnMut(&str)) {
    if let Some(text) = constant.read_lock::<ImmutableString>() {
        found(&text);
    } else if let Some(list) = constant.read_lock::<Array>() {
        list.iter().for_each(|value| texts_in(value, found));
    } else if let Some(map) = constant.read_lock::<Map>() {
        map.values().for_each(|value| texts_in(value, found));
    }
}

/// Returns a text as a rule may compare a message with it: folded, if it is short.
pub(in crate::rules) fn compared(text: &str) -> Option<String> {
    let short = !text.is_empty() && text.chars().count() <= WORD_CHARS;
    short.then(|| fold(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::tests::load;

    #[test]
    fn promised_words_are_found() {
        for (text, expect) in [
            ("Your visit is on Monday. Reply X to cancel it.", &["X"][..]),
            ("Reply C to confirm, M to move it, X to cancel.", &["C", "M", "X"]),
            ("Responde C para confirmarla, X para anularla.", &["C", "X"]),
            ("Reply YES or NO.", &["YES", "NO"]),
            ("reply with the word \"BOOK\" to book", &["BOOK"]),
            ("Text STOP to opt out", &["STOP"]),
            ("Answer FEEDBACK and 1 to 5 stars, such as: FEEDBACK 5", &["FEEDBACK"]),
            ("Reply 1 to confirm or 2 to cancel", &["1", "2"]),
            ("Reply CALL ME and we will ring", &["CALL ME"]),
            ("Envía BAJA para no recibir más", &["BAJA"]),
            ("Answer 1, 2 or 3, or write a day and a time.", &["1", "2", "3"]),
            ("Please reply to this message. UNESCO will be there.", &[]),
            ("I will text you from the USA", &[]),
            ("Write to us whenever you like", &[]),
            ("Thank you for your answer. OK", &[]),
            ("Reply {word} to cancel", &[]),
            ("", &[]),
        ] {
            assert_eq!(promised(text), expect, "{text}");
        }
    }

    fn unmet(source: &str, enabled: &[&str]) -> Vec<(String, String, Option<String>)> {
        let (rules, errors) = load(&[("a.rhai", source)]);
        assert!(errors.is_empty(), "{errors:?}");
        let blueprints = enabled.iter().map(|name| ((*name).to_owned(), Default::default())).collect();
        let found = rules.unmet_promises(&TenantFacts { blueprints, ..TenantFacts::default() });
        found.into_iter().map(|one| (one.rule, one.word, one.answered_by)).collect()
    }

    const BOOKED: &str = "rule(\"booked\").on(\"appointment_booked\").blueprint()
        .param(\"text\", \"See you. Reply X to cancel it.\").then(|e| send_sms(e.contact, e.params.text));";
    const CANCEL: &str =
        "rule(\"cancel\").on(\"inbound_sms\").keyword(\"X\").blueprint().then(|e| reply(\"Cancelled\"));";

    #[test]
    fn a_promise_is_met_by_an_enabled_rule_only() {
        let both = format!("{BOOKED}\n{CANCEL}");
        let x = |by: Option<&str>| vec![("booked".to_owned(), "X".to_owned(), by.map(str::to_owned))];
        assert_eq!(unmet(&both, &["booked"]), x(Some("cancel")));
        assert_eq!(unmet(&both, &["booked", "cancel"]), []);
        assert_eq!(unmet(&both, &[]), [], "nothing is promised");
        assert_eq!(unmet(BOOKED, &["booked"]), x(None));
        for answering in [
            "rule(\"r\").on(\"inbound_sms\").when(\"is X\", |e| e.text == \"x\").then(|e| note(\"x\"));",
            "rule(\"r\").on(\"inbound_sms\").when(\"is X\", |e| e.text in [\"x\", \"y\"]).then(|e| note(\"x\"));",
            "rule(\"r\").on(\"inbound_whatsapp\").keyword(\"x\").then(|e| note(\"x\"));",
        ] {
            assert_eq!(unmet(&format!("{BOOKED}\n{answering}"), &["booked"]), [], "{answering}");
        }
        let other_kind = "rule(\"r\").on(\"call_input\").keyword(\"X\").then(|e| say(\"x\"));";
        assert_eq!(unmet(&format!("{BOOKED}\n{other_kind}"), &["booked"]), x(None));
    }

    #[test]
    fn texts_in_the_code_promise_too_and_questions_answer_themselves() {
        let live =
            "fn text() { \"Reply GO to start.\" } rule(\"r\").on(\"vip\").then(|e| send_sms(e.contact, text()));";
        assert_eq!(unmet(live, &[]), [("r".to_owned(), "GO".to_owned(), None)]);
        let asks = "rule(\"r\").on(\"vip\").then(|e| ask(\"q\", \"Reply YES or NO.\", \"1h\")).on_answer(\"q\", |e, a| note(a));";
        assert_eq!(unmet(asks, &[]), []);
        let engine = "rule(\"r\").on(\"vip\").then(|e| send_sms(e.contact, \"Reply STOP to leave.\"));";
        assert_eq!(unmet(engine, &[]), []);
    }

    #[test]
    fn the_tenants_own_text_counts() {
        let (rules, _) = load(&[("a.rhai", &format!("{BOOKED}\n{CANCEL}"))]);
        let with = |text: &str| {
            let set = [("text".to_owned(), Value::from(text))].into();
            let blueprints = [("booked".to_owned(), set)].into();
            rules.unmet_promises(&TenantFacts { blueprints, ..TenantFacts::default() }).len()
        };
        assert_eq!((with("See you."), with("Text BYE to cancel.")), (0, 1));
    }
}
