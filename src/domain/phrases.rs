//! Closed grammars: a text is read as a row of known phrases, each with a meaning, and the words that belong to none.

use std::collections::HashMap;

use super::words::{Word, words};

/// Known phrases, by their first word.
pub struct Lexicon<M> {
    phrases: HashMap<String, Vec<Phrase<M>>>,
}

struct Phrase<M> {
    /// The folded words after the first.
    rest: Vec<String>,
    meaning: M,
}

/// A part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<M> {
    /// The meaning of a known phrase; `None` of a word that belongs to none.
    pub meaning: Option<M>,
    /// The place of its first word.
    pub first: usize,
    /// The number of its words.
    pub words: usize,
}

impl<M: Copy> Lexicon<M> {
    /// Builds a lexicon from meanings and their phrases, which `|` parts. Phrases are folded. One with an apostrophe is
    /// known without it, too, because people leave it out.
    ///
    /// # Panics
    /// If a phrase has no word: the lists are part of the program.
    pub fn new(lists: &[(M, &str)]) -> Self {
        let mut phrases: HashMap<String, Vec<Phrase<M>>> = HashMap::new();
        let mut add = |text: &str, meaning: M| {
            let mut all = words(text, usize::MAX).into_iter().map(|word| word.folded);
            let first = all.next().expect("a phrase has a word");
            phrases.entry(first).or_default().push(Phrase { rest: all.collect(), meaning });
        };
        for (meaning, list) in lists {
            for text in list.split('|') {
                add(text, *meaning);
                if text.contains('\'') {
                    add(&text.replace('\'', ""), *meaning);
                }
            }
        }
        Self { phrases }
    }

    /// Reads a text, of which these are the words: at each place the longest phrase counts. A phrase does not reach across a
    /// comma, a full stop or the like. A word with lengthened letters (`siii`, `okkk`) is read as the word it lengthens.
    pub fn read(&self, text: &str, words: &[Word]) -> Vec<Part<M>> {
        let forms: Vec<Vec<String>> = words.iter().map(|word| forms(&word.folded)).collect();
        let ends: Vec<bool> = (0..words.len()).map(|at| is_break_after(text, words, at)).collect();
        let mut parts = Vec::new();
        let mut at = 0;
        while at < words.len() {
            let part = self.longest_at(at, &forms, &ends).unwrap_or(Part { meaning: None, first: at, words: 1 });
            at += part.words;
            parts.push(part);
        }
        parts
    }

    fn longest_at(&self, at: usize, forms: &[Vec<String>], ends: &[bool]) -> Option<Part<M>> {
        let reach = ends[at..].iter().position(|ends| *ends).map_or(forms.len(), |last| at + last + 1);
        let mut longest: Option<Part<M>> = None;
        for phrase in forms[at].iter().filter_map(|form| self.phrases.get(form)).flatten() {
            let length = phrase.rest.len() + 1;
            let follows = || phrase.rest.iter().zip(&forms[at + 1..]).all(|(word, forms)| forms.contains(word));
            if at + length <= reach && longest.is_none_or(|found| length > found.words) && follows() {
                longest = Some(Part { meaning: Some(phrase.meaning), first: at, words: length });
            }
        }
        longest
    }
}

/// Returns whether a sentence or a part of one ends behind a word, or the text does.
pub fn is_break_after(text: &str, words: &[Word], at: usize) -> bool {
    let Some(next) = words.get(at + 1) else { return true };
    let between = &text[words[at].end..next.start];
    let has_sign = |c: char| matches!(c, ',' | ';' | ':' | '!' | '?' | '¡' | '¿' | '…' | '(' | ')' | '\n' | '/');
    between.contains(has_sign) || between.contains("..") || between.contains(". ")
}

/// The words that a word may stand for: itself, and itself without the letters that lengthen it. Three or more of a letter
/// stand for one or two, and two at the end for one. A single letter is not lengthened: `mmm` is no `m`.
fn forms(word: &str) -> Vec<String> {
    let mut forms = vec![word.to_owned()];
    let letters: Vec<char> = word.chars().collect();
    if letters.len() < 2 {
        return forms;
    }
    let runs: Vec<&[char]> = letters.chunk_by(|a, b| a == b).collect();
    let shortened = |three_stand_for: usize, last_stands_for: usize| -> String {
        let last = runs.len().saturating_sub(1);
        let length = |at: usize, run: &[char]| match run.len() {
            3.. if at == last => last_stands_for,
            3.. => three_stand_for,
            2 if at == last => last_stands_for,
            length => length,
        };
        runs.iter().enumerate().flat_map(|(at, run)| std::iter::repeat_n(run[0], length(at, run))).collect()
    };
    for (three, last) in [(1, 1), (2, 1), (1, 2), (2, 2)] {
        let form = shortened(three, last);
        let is_word = letters[0].is_alphabetic() && form.chars().nth(1).is_some();
        if is_word && !forms.contains(&form) {
            forms.push(form);
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        let lexicon =
            Lexicon::new(&[('y', "yes|yes please|si|ok"), ('n', "no|i can't|no puedo"), ('t', "gracias|see you|👍")]);
        let words = words(text, usize::MAX);
        let parts = lexicon.read(text, &words);
        let found: String = parts.iter().map(|part| part.meaning.unwrap_or('-')).collect();
        assert_eq!(found, expect, "{text}");
        assert_eq!(parts.iter().map(|part| part.words).sum::<usize>(), words.len());
    }

    #[test]
    fn the_longest_phrase_counts() {
        check("Yes please! Gracias", "yt");
        check("yes, please", "y-");
        check("no puedo", "n");
        check("No. Puedo", "n-");
        check("no\npuedo", "n-");
        check("ok I can’t", "yn");
        check("ok i cant", "yn");
        check("", "");
    }

    #[test]
    fn lengthened_words_are_known() {
        for text in ["siii", "SÍÍÍ", "sii", "yesss", "yess", "okkkk", "oook", "yeeees"] {
            check(text, "y");
        }
        check("graciaaaasss", "t");
        check("seee youuu", "t");
        check("👍🏽👍👍", "ttt");
        check("ssi", "-");
    }

    #[test]
    fn a_word_stands_for_few() {
        assert_eq!(forms("no"), ["no"]);
        assert_eq!(forms("noo"), ["noo", "no"]);
        assert_eq!(forms("good"), ["good"]);
        assert_eq!(forms("seee"), ["seee", "se", "see"]);
        assert_eq!(forms("111"), ["111"]);
        assert_eq!(forms("mmm"), ["mmm", "mm"]);
        assert!(forms(&"ab".repeat(1000)).len() <= 5);
    }
}
