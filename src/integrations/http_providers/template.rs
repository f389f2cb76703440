//! Texts with placeholders, parsed once: `{"to": "{{to}}", "text": "{{text}}"}`.
//!
//! | | |
//! |---|---|
//! | `{{to}}` | the recipient, E.164: `+919876543210` |
//! | `{{to_digits}}` | the same without its `+` |
//! | `{{from}}` | the provider's `sender` |
//! | `{{text}}` | the message |
//! | `{{id}}` | the action's id, a UUID: the same at each attempt |
//! | `{{callback}}` | the URL for delivery callbacks |
//! | `{{env.NAME}}` | a secret from the environment or `.env`: read at the start, never shown |
//!
//! Each value is escaped for its target, so that no customer's text can break out of it.

use secrecy::{ExposeSecret, SecretString};
use strum::{EnumString, VariantNames};

use crate::domain::placeholders;
use crate::domain::placeholders::{Escaping, Segment};

/// A placeholder for a value of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Field {
    To,
    ToDigits,
    From,
    Text,
    Id,
    Callback,
}

/// The values of the placeholders in one message.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    /// E.164.
    pub to: &'a str,
    pub from: &'a str,
    pub text: &'a str,
    pub id: &'a str,
    pub callback: &'a str,
}

impl<'a> Values<'a> {
    fn get(&self, field: Field) -> &'a str {
        match field {
            Field::To => self.to,
            Field::ToDigits => self.to.trim_start_matches('+'),
            Field::From => self.from,
            Field::Text => self.text,
            Field::Id => self.id,
            Field::Callback => self.callback,
        }
    }
}

#[derive(Clone, Debug)]
enum Part {
    Literal(String),
    Field(Field),
    Secret(SecretString),
}

/// A parsed text with placeholders.
#[derive(Clone, Debug)]
pub struct Template {
    parts: Vec<Part>,
    escaping: Escaping,
}

/// Why a template is invalid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("'{{{{' is not followed by '}}}}': close it, as in {{{{to}}}}")]
    Unclosed,
    #[error("there is no {{{{{0}}}}}: use {names} or env.NAME", names = names())]
    Unknown(String),
    #[error("{0} is not set: put it into .env or the environment")]
    NotSet(String),
}

impl Template {
    /// Parses a template; `secret` looks up the value of a variable.
    pub fn parse(
        text: &str,
        escaping: Escaping,
        secret: &dyn Fn(&str) -> Option<SecretString>,
    ) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        for segment in placeholders::split(text) {
            parts.push(match segment.map_err(|_| TemplateError::Unclosed)? {
                Segment::Literal(literal) => Part::Literal(literal.to_owned()),
                Segment::Placeholder { name, .. } => placeholder(name, secret)?,
            });
        }
        Ok(Self { parts, escaping })
    }

    /// Renders the text, which may contain secrets.
    pub fn render(&self, values: &Values<'_>) -> SecretString {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Field(field) => text.push_str(&self.escaping.escape(values.get(*field))),
                Part::Secret(secret) => text.push_str(&self.escaping.escape(secret.expose_secret())),
            }
        }
        text.into()
    }

    /// True if the template has the placeholder.
    pub fn has(&self, field: Field) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Field(one) if *one == field))
    }

    /// Returns the text before the first placeholder.
    pub fn head(&self) -> &str {
        match self.parts.first() {
            Some(Part::Literal(literal)) => literal,
            _ => "",
        }
    }

    /// Returns the template's secrets.
    pub fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        self.parts.iter().filter_map(|part| match part {
            Part::Secret(secret) => Some(secret),
            _ => None,
        })
    }
}

fn placeholder(name: &str, secret: &dyn Fn(&str) -> Option<SecretString>) -> Result<Part, TemplateError> {
    if let Ok(field) = name.parse() {
        return Ok(Part::Field(field));
    }
    let variable = name.strip_prefix("env.").filter(|variable| !variable.is_empty());
    let variable = variable.ok_or_else(|| TemplateError::Unknown(name.chars().take(40).collect()))?;
    secret(variable).map(Part::Secret).ok_or_else(|| TemplateError::NotSet(variable.to_owned()))
}

fn names() -> String {
    Field::VARIANTS.join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn render(template: &str, escaping: Escaping, text: &str) -> String {
        let secret = |name: &str| (name == "KEY").then(|| "s3\"cr&t".into());
        let values =
            Values { to: "+919876543210", from: "RECADO", text, id: "id-1", callback: "https://x.example/c?a=b" };
        Template::parse(template, escaping, &secret).unwrap().render(&values).expose_secret().to_owned()
    }

    #[test]
    fn values_are_escaped_for_their_place() {
        assert_eq!(
            render("to={{to}}&m={{ text }}&k={{env.KEY}}", Escaping::Url, "a&b=ñ c"),
            "to=%2B919876543210&m=a%26b%3D%C3%B1%20c&k=s3%22cr%26t"
        );
        assert_eq!(
            render(r#"{"to":"{{to_digits}}","m":"{{text}}","k":"{{env.KEY}}"}"#, Escaping::Json, "\"}, \\\n"),
            r#"{"to":"919876543210","m":"\"}, \\\n","k":"s3\"cr&t"}"#
        );
        assert_eq!(render("{{from}}/{{id}}/{{callback}}", Escaping::Plain, ""), "RECADO/id-1/https://x.example/c?a=b");
        // Placeholders in a value are not replaced.
        assert_eq!(render("{{text}}", Escaping::Plain, "{{env.KEY}}"), "{{env.KEY}}");
    }

    #[test]
    fn slips_are_named() {
        let wrong = |text: &str| Template::parse(text, Escaping::Plain, &|_| None).unwrap_err();
        assert_eq!(wrong("a {{to"), TemplateError::Unclosed);
        assert_eq!(wrong("{{message}}"), TemplateError::Unknown("message".to_owned()));
        assert_eq!(wrong("{{env.KEY}}"), TemplateError::NotSet("KEY".to_owned()));
        assert!(wrong("{{message}}").to_string().contains("{{message}}: use to, to_digits"));
        let secret = Template::parse("{{env.KEY}}", Escaping::Plain, &|_| Some("s3cret".into())).unwrap();
        assert!(!format!("{secret:?}").contains("s3cret"));
    }

    proptest! {
        #[test]
        fn no_text_ends_its_string_or_its_field(text in any::<String>()) {
            let json: serde_json::Value =
                serde_json::from_str(&render(r#"{"a":"{{text}}","b":1}"#, Escaping::Json, &text)).unwrap();
            prop_assert_eq!(json, serde_json::json!({"a": text, "b": 1}));
            let url = reqwest::Url::parse(&render("http://x.example/?a={{text}}&b=1", Escaping::Url, &text)).unwrap();
            let pairs: Vec<_> = url.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
            prop_assert_eq!(pairs, [("a".to_owned(), text), ("b".to_owned(), "1".to_owned())]);
        }
    }
}
