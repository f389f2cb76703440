//! Texts with placeholders, parsed once: `{"to": "{{to}}", "text": "{{text}}"}`.
//!
//! | | |
//! |---|---|
//! | `{{to}}` | the recipient, E.164: `+919876543210` |
//! | `{{to_digits}}` | the same without its `+` |
//! | `{{from}}` | the provider's `sender` |
//! | `{{text}}` | the message |
//! | `{{id}}` | our action's id, a UUID: the same at each try |
//! | `{{callback}}` | where to report how the message fares |
//! | `{{env.NAME}}` | a secret, out of the environment or `.env`: read at the start, never shown |
//!
//! Each value is escaped for where it stands, so that no text of a customer's can end it.

use secrecy::{ExposeSecret, SecretString};

/// Where a template's values stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the path or the query of a URL, or as the value of a form's field: percent-encoded (RFC 3986).
    Url,
    /// Within the quotes of a JSON string (RFC 8259).
    Json,
    /// As they are.
    Plain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    To,
    ToDigits,
    From,
    Text,
    Id,
    Callback,
}

impl Field {
    const ALL: [(&'static str, Self); 6] = [
        ("to", Self::To),
        ("to_digits", Self::ToDigits),
        ("from", Self::From),
        ("text", Self::Text),
        ("id", Self::Id),
        ("callback", Self::Callback),
    ];
}

/// What the placeholders stand for in one message.
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

#[derive(Clone, Debug)]
pub struct Template {
    parts: Vec<Part>,
    place: Place,
}

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
    /// `secret` finds the value of a variable.
    pub fn parse(
        text: &str,
        place: Place,
        secret: &dyn Fn(&str) -> Option<SecretString>,
    ) -> Result<Self, TemplateError> {
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some(start) = rest.find("{{") {
            let inner = &rest[start + 2..];
            let end = inner.find("}}").ok_or(TemplateError::Unclosed)?;
            parts.push(Part::Literal(rest[..start].to_owned()));
            parts.push(placeholder(inner[..end].trim(), secret)?);
            rest = &inner[end + 2..];
        }
        parts.push(Part::Literal(rest.to_owned()));
        Ok(Self { parts, place })
    }

    /// The text, with its secrets in it.
    pub fn render(&self, values: &Values<'_>) -> SecretString {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Field(field) => self.push(&mut text, values.get(*field)),
                Part::Secret(secret) => self.push(&mut text, secret.expose_secret()),
            }
        }
        text.into()
    }

    pub fn has(&self, field: Field) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Field(one) if *one == field))
    }

    /// What stands before the first placeholder.
    pub fn head(&self) -> &str {
        match self.parts.first() {
            Some(Part::Literal(literal)) => literal,
            _ => "",
        }
    }

    pub fn secrets(&self) -> impl Iterator<Item = &SecretString> {
        self.parts.iter().filter_map(|part| match part {
            Part::Secret(secret) => Some(secret),
            _ => None,
        })
    }

    fn push(&self, text: &mut String, value: &str) {
        match self.place {
            Place::Url => text.push_str(&percent_encode(value)),
            Place::Json => {
                // A string is always JSON; the quotes around it stand in the template.
                let quoted = serde_json::Value::from(value).to_string();
                text.push_str(&quoted[1..quoted.len() - 1]);
            }
            Place::Plain => text.push_str(value),
        }
    }
}

fn placeholder(name: &str, secret: &dyn Fn(&str) -> Option<SecretString>) -> Result<Part, TemplateError> {
    if let Some((_, field)) = Field::ALL.into_iter().find(|(known, _)| *known == name) {
        return Ok(Part::Field(field));
    }
    let variable = name.strip_prefix("env.").filter(|variable| !variable.is_empty());
    let variable = variable.ok_or_else(|| TemplateError::Unknown(name.chars().take(40).collect()))?;
    secret(variable).map(Part::Secret).ok_or_else(|| TemplateError::NotSet(variable.to_owned()))
}

/// All but the unreserved characters (RFC 3986).
pub fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
        encoded
    })
}

fn names() -> String {
    Field::ALL.map(|(name, _)| name).join(", ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn render(template: &str, place: Place, text: &str) -> String {
        let secret = |name: &str| (name == "KEY").then(|| "s3\"cr&t".into());
        let values =
            Values { to: "+919876543210", from: "RECADO", text, id: "id-1", callback: "https://x.example/c?a=b" };
        Template::parse(template, place, &secret).unwrap().render(&values).expose_secret().to_owned()
    }

    #[test]
    fn values_are_escaped_for_their_place() {
        assert_eq!(
            render("to={{to}}&m={{ text }}&k={{env.KEY}}", Place::Url, "a&b=ñ c"),
            "to=%2B919876543210&m=a%26b%3D%C3%B1%20c&k=s3%22cr%26t"
        );
        assert_eq!(
            render(r#"{"to":"{{to_digits}}","m":"{{text}}","k":"{{env.KEY}}"}"#, Place::Json, "\"}, \\\n"),
            r#"{"to":"919876543210","m":"\"}, \\\n","k":"s3\"cr&t"}"#
        );
        assert_eq!(render("{{from}}/{{id}}/{{callback}}", Place::Plain, ""), "RECADO/id-1/https://x.example/c?a=b");
        // A value is no template.
        assert_eq!(render("{{text}}", Place::Plain, "{{env.KEY}}"), "{{env.KEY}}");
    }

    #[test]
    fn slips_are_named() {
        let wrong = |text: &str| Template::parse(text, Place::Plain, &|_| None).unwrap_err();
        assert_eq!(wrong("a {{to"), TemplateError::Unclosed);
        assert_eq!(wrong("{{message}}"), TemplateError::Unknown("message".to_owned()));
        assert_eq!(wrong("{{env.KEY}}"), TemplateError::NotSet("KEY".to_owned()));
        assert!(wrong("{{message}}").to_string().contains("{{message}}: use to, to_digits"));
        let secret = Template::parse("{{env.KEY}}", Place::Plain, &|_| Some("s3cret".into())).unwrap();
        assert!(!format!("{secret:?}").contains("s3cret"));
    }

    proptest! {
        #[test]
        fn no_text_ends_its_string_or_its_field(text in any::<String>()) {
            let json: serde_json::Value =
                serde_json::from_str(&render(r#"{"a":"{{text}}","b":1}"#, Place::Json, &text)).unwrap();
            prop_assert_eq!(json, serde_json::json!({"a": text, "b": 1}));
            let url = reqwest::Url::parse(&render("http://x.example/?a={{text}}&b=1", Place::Url, &text)).unwrap();
            let pairs: Vec<_> = url.query_pairs().map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
            prop_assert_eq!(pairs, [("a".to_owned(), text), ("b".to_owned(), "1".to_owned())]);
        }
    }
}
