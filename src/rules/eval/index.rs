//! Which rules an event concerns, found without looking at the others.

use std::collections::HashMap;

use serde_json::Value;

use crate::domain::EventKind;
use crate::domain::contact::TenantFacts;
use crate::domain::fold::{fold, fold_word};
use crate::rules::script::context::Keyword;

/// What the index needs to know of a rule.
pub(in crate::rules) struct Entry<'a> {
    pub name: &'a str,
    pub kinds: &'a [EventKind],
    /// Folded by [`normal`].
    pub keywords: &'a [String],
    pub blueprint: bool,
}

/// Rules by kind and keyword. A blueprint is found through the business that has enabled it, so that a folder of ten
/// thousand blueprints costs no event anything.
#[derive(Default)]
pub(in crate::rules) struct Index {
    kinds: HashMap<EventKind, OfKind>,
    blueprints: HashMap<String, usize>,
    longest_keyword_words: usize,
}

#[derive(Default)]
struct OfKind {
    always: Vec<usize>,
    /// Those that have keywords: of an event without a text, none is asked for.
    with_keywords: Vec<usize>,
    keywords: HashMap<String, Vec<usize>>,
}

/// A rule to evaluate, by its number, and the keyword that led to it.
pub(in crate::rules) struct Candidate {
    pub rule: usize,
    pub keyword: Option<Keyword>,
}

impl Index {
    pub fn add(&mut self, number: usize, entry: &Entry<'_>) {
        for keyword in entry.keywords {
            self.longest_keyword_words = self.longest_keyword_words.max(keyword.split(' ').count());
        }
        if entry.blueprint {
            self.blueprints.insert(entry.name.to_owned(), number);
            return;
        }
        for kind in entry.kinds {
            let of_kind = self.kinds.entry(kind.clone()).or_default();
            if entry.keywords.is_empty() {
                of_kind.always.push(number);
            } else {
                of_kind.with_keywords.push(number);
            }
            for keyword in entry.keywords {
                let rules = of_kind.keywords.entry(keyword.clone()).or_default();
                if rules.last() != Some(&number) {
                    rules.push(number);
                }
            }
        }
    }

    /// The rules to evaluate, in the order of their files. `entry` gives the rule of a number.
    pub fn candidates<'a>(
        &self,
        kind: &EventKind,
        data: &Value,
        tenant: &TenantFacts,
        entry: impl Fn(usize) -> Entry<'a>,
    ) -> Vec<Candidate> {
        let beginnings = Beginnings::of(data, self.longest_keyword_words);
        let mut found = Vec::new();
        if let Some(of_kind) = self.kinds.get(kind) {
            let without_text = if has_text(data) { &[][..] } else { &of_kind.with_keywords };
            let unasked = of_kind.always.iter().chain(without_text);
            found.extend(unasked.map(|rule| Candidate { rule: *rule, keyword: None }));
            // Longest first: where two keywords of one rule fit, the longer one counts.
            for (beginning, rest) in beginnings.longest_first() {
                for rule in of_kind.keywords.get(beginning).into_iter().flatten() {
                    found.push(Candidate {
                        rule: *rule,
                        keyword: Some(Keyword { word: beginning.into(), rest: rest.into() }),
                    });
                }
            }
        }
        for name in tenant.blueprints.keys() {
            let Some(number) = self.blueprints.get(name) else { continue };
            let entry = entry(*number);
            if !entry.kinds.contains(kind) {
                continue;
            }
            let keyword = beginnings.first_of(entry.keywords);
            if entry.keywords.is_empty() || keyword.is_some() || !has_text(data) {
                found.push(Candidate { rule: *number, keyword });
            }
        }
        found.sort_by_key(|candidate| candidate.rule);
        found.dedup_by_key(|candidate| candidate.rule);
        found
    }
}

/// Whether the event says anything, be it nothing at all: only such a one is looked at for keywords.
pub(in crate::rules) fn has_text(data: &Value) -> bool {
    data.get("body").is_some()
}

/// What of a text a keyword can be: its first word, or all of it where that is no longer than the longest keyword.
/// Folded, each with what comes after it.
pub(in crate::rules) struct Beginnings(Vec<(String, String)>);

impl Beginnings {
    pub fn of(data: &Value, words: usize) -> Self {
        let body = data.get("body").and_then(Value::as_str).unwrap_or_default();
        let mut beginnings: Vec<(String, String)> = Vec::new();
        let mut rest = body.trim_start();
        let mut folded = String::new();
        for number in 0..words {
            let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
            if end == 0 {
                break;
            }
            if !folded.is_empty() {
                folded.push(' ');
            }
            folded.push_str(&normal_word(&rest[..end]));
            rest = rest[end..].trim_start();
            if number == 0 || rest.is_empty() {
                beginnings.push((folded.clone(), rest.trim_end().to_owned()));
            }
        }
        Self(beginnings)
    }

    fn longest_first(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().rev().map(|(beginning, rest)| (beginning.as_str(), rest.as_str()))
    }

    /// The longest beginning that is one of these keywords.
    pub fn first_of(&self, keywords: &[String]) -> Option<Keyword> {
        self.longest_first()
            .find(|(beginning, _)| keywords.iter().any(|keyword| keyword == beginning))
            .map(|(word, rest)| Keyword { word: word.into(), rest: rest.into() })
    }
}

/// A keyword as the index keeps it: folded word by word, without punctuation around its words.
pub(in crate::rules) fn normal(keyword: &str) -> String {
    keyword.split_whitespace().map(normal_word).collect::<Vec<_>>().join(" ")
}

/// `¡Hola!` is `hola`; a word of nothing but signs, such as `👍`, stays as it is.
fn normal_word(word: &str) -> String {
    let bare = fold_word(word);
    if bare.is_empty() { fold(word) } else { bare }
}
