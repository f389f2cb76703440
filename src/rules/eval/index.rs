//! The index from events to rules: it finds the rules that an event concerns without looking at the others.

use std::collections::HashMap;

use serde_json::Value;

use crate::domain::EventKind;
use crate::domain::contact::TenantFacts;
use crate::domain::words::{join, rest_after, words};
use crate::rules::model::Keyword;

/// A rule as the index sees it.
pub(in crate::rules) struct IndexedRule<'a> {
    pub name: &'a str,
    pub kinds: &'a [EventKind],
    /// Folded by [`crate::domain::words::fold_words`].
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
        self.longest_keyword_words = self.longest_keyword_words.max(longest(rule.keywords));
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
            for prefix in prefixes.longest_first() {
                for rule in of_kind.keywords.get(&prefix.folded).into_iter().flatten() {
                    found.push(Candidate { rule: *rule, keyword: Some(prefixes.keyword(prefix)) });
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

/// Returns the longest of a rule's keywords that the event's text is, or begins with.
pub(in crate::rules) fn keyword_of(data: &Value, keywords: &[String]) -> Option<Keyword> {
    TextPrefixes::new(data, longest(keywords)).first_of(keywords)
}

/// The number of words of the longest keyword.
fn longest(keywords: &[String]) -> usize {
    keywords.iter().map(|keyword| words(keyword, usize::MAX).len()).max().unwrap_or_default()
}

/// The parts of a text that a keyword can match: its first word, and all of it if that is no longer than the longest
/// keyword. In writing without blanks, such as Chinese, every beginning of the first word counts: its words are not told
/// apart. The text is folded once for all keywords.
struct TextPrefixes<'a> {
    body: &'a str,
    /// Shortest first.
    prefixes: Vec<Prefix>,
}

/// The beginning of a text.
struct Prefix {
    folded: String,
    /// The byte behind it in the text as written.
    end: usize,
}

impl<'a> TextPrefixes<'a> {
    /// Takes the text apart, up to this number of words.
    fn new(data: &'a Value, most: usize) -> Self {
        let body = data.get("body").and_then(Value::as_str).unwrap_or_default();
        let words = if most == 0 { Vec::new() } else { words(body, most + 1) };
        let of_first_word = 1 + words.iter().skip(1).take_while(|word| word.glued).count();
        let prefixes = (1..=words.len().min(most))
            .filter(|count| *count <= of_first_word || *count == words.len())
            .map(|count| Prefix { folded: join(&words[..count]), end: words[count - 1].end });
        Self { body, prefixes: prefixes.collect() }
    }

    fn longest_first(&self) -> impl Iterator<Item = &Prefix> {
        self.prefixes.iter().rev()
    }

    /// Returns the longest beginning that is one of these keywords.
    fn first_of(&self, keywords: &[String]) -> Option<Keyword> {
        self.longest_first().find(|prefix| keywords.contains(&prefix.folded)).map(|prefix| self.keyword(prefix))
    }

    fn keyword(&self, prefix: &Prefix) -> Keyword {
        Keyword { word: prefix.folded.clone(), rest: rest_after(self.body, prefix.end).to_owned() }
    }
}
