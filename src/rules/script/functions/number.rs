//! `number`: the first number in a text.

use rhai::Dynamic;

use crate::rules::script::registry::{Function, Group, Kind, Signature};

pub(in crate::rules) const NUMBER: Function = Function {
    name: "number",
    receiver: None,
    group: Group::Text,
    about: "Finds the first number in a text, whole or with a point or comma; `()` if there is none.",
    signatures: &[Signature::new(&[("text", Kind::Text)], Kind::Number)],
    example: r#"if number("a table for 4") == 4 { note("four people") }"#,
    register: |engine, _| {
        engine.register_fn("number", |text: &str| number(text));
    },
};

fn number(text: &str) -> Dynamic {
    let Some(start) = text.find(|c: char| c.is_ascii_digit()) else { return Dynamic::UNIT };
    let negative = text[..start].ends_with('-');
    let digits = &text[start..];
    let mut pointed = false;
    let mut end = 0;
    for (at, letter) in digits.char_indices() {
        let point =
            matches!(letter, '.' | ',') && !pointed && digits[at + 1..].starts_with(|c: char| c.is_ascii_digit());
        if !letter.is_ascii_digit() && !point {
            break;
        }
        pointed |= point;
        end = at + 1;
    }
    let plain = digits[..end].replace(',', ".");
    let sign = if negative { "-" } else { "" };
    let signed = format!("{sign}{plain}");
    match signed.parse::<i64>() {
        Ok(whole) => whole.into(),
        Err(_) => signed.parse::<f64>().map_or(Dynamic::UNIT, Dynamic::from),
    }
}
