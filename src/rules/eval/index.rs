//! The index from events to rules: it finds the rules that an event concerns without looking at the others.

use std::collections::HashMap;

use serde_json::Value;

use crate::domain::EventKind;
use crate::domain::contact::TenantFacts;
use crate::domain::fold::{fold, fold_word};
use crate::rules::model::Keyword;

/// A rule as the index sees it.
pub(in crate::rules) struct IndexedRule<'a> {
    pub name: &'a str,
    pub kinds: &'a [EventKind],
    /// Normalised by [`normal`].
    pub keywords: &'a [String],
    pub blueprint: bool,
}

/// Rules by kind and keyword. A blueprint is found through the tenant that has enabled it, so ten thousand blueprints cost
/// an event nothing.
#[derive(Default)]
pub(in crate::rules) struct Index {
    kinds: HashMap<EventKind, KindIndex>,
    blueprints: HashMap<String, usize>,
    longest_keyword_words: usize,
}

#[derive(Default)]
struct KindIndex {
    always: Vec<usize>,
    /// The rules with keywords. An event without a text concerns all of them.
    with_keywords: Vec<usize>,
    keywords: HashMap<String, Vec<usize>>,
}

/// A rule to evaluate, by its number, and the keyword that matched.
pub(in crate::rules) struct Candidate {
    pub rule: usize,
    pub keyword: Option<Keyword>,
}

impl Index {
    /// Adds a rule.
    pub fn add(&mut self, number: usize, rule: &IndexedRule<'_>) {
        for keyword in rule.keywords {
            self.longest_keyword_words = self.longest_keyword_words.max(keyword.split(' ').count());
        }
        if rule.blueprint {
            self.blueprints.insert(rule.name.to_owned(), number);
            return;
        }
        for kind in rule.kinds {
            let of_kind = self.kinds.entry(kind.clone()).or_default();
            if rule.keywords.is_empty() {
                of_kind.always.push(number);
            } else {
                of_kind.with_keywords.push(number);
            }
            for keyword in rule.keywords {
                let rules = of_kind.keywords.entry(keyword.clone()).or_default();
                if rules.last() != Some(&number) {
                    rules.push(number);
                }
            }
        }
    }

    /// Returns the rules to evaluate, in the order of their files. `rule_of` gives the rule of a number.
    pub fn candidates<'a>(
        &self,
        kind: &EventKind,
        data: &Value,
        tenant: &TenantFacts,
        rule_of: impl Fn(usize) -> IndexedRule<'a>,
    ) -> Vec<Candidate> {
        let prefixes = TextPrefixes::new(data, self.longest_keyword_words);
        let mut found = Vec::new();
        if let Some(of_kind) = self.kinds.get(kind) {
            let without_text = if has_text(data) { &[][..] } else { &of_kind.with_keywords };
            let regardless = of_kind.always.iter().chain(without_text);
            found.extend(regardless.map(|rule| Candidate { rule: *rule, keyword: None }));
            // Longest first: if two keywords of one rule match, the longer one counts.
            for (beginning, rest) in prefixes.longest_first() {
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
            let rule = rule_of(*number);
            if !rule.kinds.contains(kind) {
                continue;
            }
            let keyword = prefixes.first_of(rule.keywords);
            if rule.keywords.is_empty() || keyword.is_some() || !has_text(data) {
                found.push(Candidate { rule: *number, keyword });
            }
        }
        found.sort_by_key(|candidate| candidate.rule);
        found.dedup_by_key(|candidate| candidate.rule);
        found
    }
}

/// Returns whether the event has a text, possibly an empty one. Only such events are matched against keywords.
pub(in crate::rules) fn has_text(data: &Value) -> bool {
    data.get("body").is_some()
}

/// The parts of a text that a keyword can match: its first word, and all of it if that is no longer than the longest
/// keyword. Each is folded and has the text after it.
pub(in crate::rules) struct TextPrefixes(Vec<(String, String)>);

impl TextPrefixes {
    /// Takes the text apart, up to this number of words.
    pub fn new(data: &Value, words: usize) -> Self {
        let body = data.get("body").and_then(Value::as_str).unwrap_or_default();
        let mut prefixes: Vec<(String, String)> = Vec::new();
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
                prefixes.push((folded.clone(), rest.trim_end().to_owned()));
            }
        }
        Self(prefixes)
    }

    fn longest_first(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().rev().map(|(beginning, rest)| (beginning.as_str(), rest.as_str()))
    }

    /// Returns the longest beginning that is one of these keywords.
    pub fn first_of(&self, keywords: &[String]) -> Option<Keyword> {
        self.longest_first()
            .find(|(beginning, _)| keywords.iter().any(|keyword| keyword == beginning))
            .map(|(word, rest)| Keyword { word: word.into(), rest: rest.into() })
    }
}

/// Normalises a keyword: folds it word by word, without the punctuation around words.
pub(in crate::rules) fn normal(keyword: &str) -> String {
    keyword.split_whitespace().map(normal_word).collect::<Vec<_>>().join(" ")
}

/// Makes `hola` of `¡Hola!`. A word of signs only, such as `👍`, stays as it is.
fn normal_word(word: &str) -> String {
    let bare = fold_word(word);
    if bare.is_empty() { fold(word) } else { bare }
}
