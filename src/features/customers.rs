//! What people and programs change of a customer, checked: each function gives the effect that the ledger keeps.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::domain::Effect;
use crate::rules::limits::{DATA_BYTES, NAME_CHARS, NOTE_CHARS};

/// The most tags of one customer, and the most fields of one request.
pub const MANY_MAX: usize = 100;

/// Why a customer cannot be changed like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitEdit {
    #[error("a {0} has at most {NAME_CHARS} characters and no control characters, and is not empty")]
    Text(&'static str),
    #[error("field '{0}' has at most {DATA_BYTES} bytes of JSON, and no NUL in it")]
    Field(String),
    #[error("a note has 1 to {NOTE_CHARS} characters, and no control characters but line breaks and tabs")]
    Note,
    #[error("a customer has at most {MANY_MAX} tags")]
    Tags,
    #[error("a request sets at most {MANY_MAX} fields")]
    Fields,
}

impl UnfitEdit {
    /// A stable code, for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Text(_) => "bad_text",
            Self::Field(_) => "bad_field",
            Self::Note => "bad_note",
            Self::Tags | Self::Fields => "too_many",
        }
    }
}

/// Sets the name; an empty one removes it.
pub fn name(name: String) -> Result<Effect, UnfitEdit> {
    check_text("name", &name, true)?;
    Ok(Effect::SetField { field: "name".to_owned(), value: Value::String(name) })
}

/// Adds and removes tags of a customer who has the tags `known`.
pub fn tags(
    known: &BTreeSet<String>,
    add: &BTreeSet<String>,
    remove: &BTreeSet<String>,
) -> Result<Vec<Effect>, UnfitEdit> {
    for tag in add.difference(known) {
        check_text("tag", tag, false)?;
    }
    // The tags of a rule may be more; they can be removed.
    let grows = add.difference(known).next().is_some();
    if grows && known.union(add).filter(|tag| !remove.contains(*tag)).count() > MANY_MAX {
        return Err(UnfitEdit::Tags);
    }
    let added = add.difference(known).map(|tag| Effect::Tag { tag: tag.clone() });
    let removed = known.intersection(remove).map(|tag| Effect::Untag { tag: tag.clone() });
    Ok(added.chain(removed).collect())
}

/// Sets a field; `null` removes it.
pub fn field(field: String, value: Value) -> Result<Effect, UnfitEdit> {
    check_text("field", &field, false)?;
    let text = value.to_string();
    if text.len() > DATA_BYTES || text.contains("\\u0000") {
        return Err(UnfitEdit::Field(field));
    }
    Ok(Effect::SetField { field, value })
}

/// Adds a note.
pub fn note(text: &str) -> Result<Effect, UnfitEdit> {
    let text = text.trim();
    let plain = text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'));
    let fits = !text.is_empty() && text.chars().count() <= NOTE_CHARS && plain;
    if fits { Ok(Effect::Note { text: text.to_owned() }) } else { Err(UnfitEdit::Note) }
}

fn check_text(what: &'static str, text: &str, may_be_empty: bool) -> Result<(), UnfitEdit> {
    let good = text.chars().count() <= NAME_CHARS
        && (may_be_empty || !text.trim().is_empty())
        && !text.chars().any(char::is_control);
    if good { Ok(()) } else { Err(UnfitEdit::Text(what)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(tags: &[&str]) -> BTreeSet<String> {
        tags.iter().map(|tag| (*tag).to_owned()).collect()
    }

    #[test]
    fn only_tags_that_change_become_effects() {
        let effects = tags(&set(&["old", "vip"]), &set(&["new", "vip"]), &set(&["old", "never"])).unwrap();
        let wanted = [Effect::Tag { tag: "new".to_owned() }, Effect::Untag { tag: "old".to_owned() }];
        assert_eq!(effects, wanted);
        assert_eq!(tags(&set(&[]), &set(&["\u{7}"]), &set(&[])), Err(UnfitEdit::Text("tag")));
    }

    #[test]
    fn a_customer_has_a_hundred_tags_at_most() {
        let many: BTreeSet<String> = (0..100).map(|n| format!("t{n}")).collect();
        let known: BTreeSet<String> = many.iter().skip(1).cloned().collect();
        assert_eq!(tags(&known, &set(&["t0"]), &set(&[])).map(|effects| effects.len()), Ok(1));
        assert_eq!(tags(&many, &set(&["more"]), &set(&[])), Err(UnfitEdit::Tags));
        assert_eq!(tags(&many, &set(&["more"]), &set(&["t5"])).map(|effects| effects.len()), Ok(2));
    }

    #[test]
    fn notes_and_fields_have_a_longest_form() {
        assert!(note(&"ñ".repeat(2_000)).is_ok());
        assert_eq!(note(&"ñ".repeat(2_001)), Err(UnfitEdit::Note));
        assert_eq!(note(" a\nb\t"), Ok(Effect::Note { text: "a\nb".to_owned() }));
        for bad in ["", " \n", "a\u{1b}[2J", "a\0"] {
            assert_eq!(note(bad), Err(UnfitEdit::Note), "{bad:?}");
        }
        let long = |bytes: usize| field("size".to_owned(), Value::String("x".repeat(bytes - 2)));
        assert!(long(8_192).is_ok());
        assert_eq!(long(8_193), Err(UnfitEdit::Field("size".to_owned())));
    }
}
