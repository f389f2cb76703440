//! The table of configuration keys, documented in `recado.default.toml`.

use std::sync::LazyLock;

use super::values;

/// The embedded defaults, which also document the keys.
pub const DEFAULTS: &str = include_str!("recado.default.toml");

/// The visibility of a key's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    Plain,
    /// A URL whose password is masked.
    Url,
    /// A secret that is never shown, not even in part.
    Secret,
}

const MASK: &str = "••••";

/// A configuration key.
#[derive(Debug)]
pub struct Key {
    /// The name in the environment; `recado.toml` uses lower case.
    pub name: &'static str,
    pub alias: Option<&'static str>,
    pub visibility: Visibility,
}

const fn key(name: &'static str, visibility: Visibility) -> Key {
    Key { name, alias: None, visibility }
}

/// Every key, in the order of `recado.default.toml`.
pub const KEYS: &[Key] = &[
    key("LISTEN", Visibility::Plain),
    key("APP_URL", Visibility::Url),
    key("APP_DEBUG", Visibility::Plain),
    key("DATABASE_URL", Visibility::Url),
    key("SQLITE_SYNCHRONOUS", Visibility::Plain),
    key("RULES_DIR", Visibility::Plain),
    key("RECADO_SECRET_KEY", Visibility::Secret),
    key("TWILIO_ACCOUNT_SID", Visibility::Plain),
    key("TWILIO_AUTH_TOKEN", Visibility::Secret),
    key("TWILIO_AUTH_TOKEN_SECONDARY", Visibility::Secret),
    Key { name: "TWILIO_FROM_NUMBER", alias: Some("TWILIO_PHONE_NUMBER"), visibility: Visibility::Plain },
    key("TWILIO_WHATSAPP_NUMBER", Visibility::Plain),
    key("TWILIO_MESSAGING_SERVICE_SID", Visibility::Plain),
    key("TWILIO_API_BASE", Visibility::Url),
    key("CARRIER_LISTEN", Visibility::Plain),
    key("PROVIDERS_FILE", Visibility::Plain),
    key("OUTBOUND_ALLOW", Visibility::Plain),
    key("RECONCILE_AFTER_S", Visibility::Plain),
    key("VOICE_BUDGET_MS", Visibility::Plain),
    key("NUMBERS_BUDGET", Visibility::Plain),
    key("SMTP_URL", Visibility::Url),
    key("MAIL_FROM", Visibility::Plain),
    key("SMTP_CA_FILE", Visibility::Plain),
    key("OPENAI_BASE_URL", Visibility::Url),
    key("OPENAI_API_KEY", Visibility::Secret),
    key("OPENAI_MODEL", Visibility::Plain),
    key("ELEVENLABS_API_BASE", Visibility::Url),
    key("ELEVENLABS_API_KEY", Visibility::Secret),
    key("ELEVENLABS_AGENT_ID", Visibility::Plain),
    key("LOOP_GUARD_MESSAGES", Visibility::Plain),
    key("LOOP_GUARD_MINUTES", Visibility::Plain),
    key("SENDER_RATE_PER_S", Visibility::Plain),
    key("CALLS_PER_SECOND", Visibility::Plain),
    key("FREQUENCY_CAP_PER_DAY", Visibility::Plain),
    key("QUIET_HOURS", Visibility::Plain),
    key("PRICES", Visibility::Plain),
    key("METRICS_LISTEN", Visibility::Plain),
    key("LOG_FORMAT", Visibility::Plain),
    key("LOG_LEVEL", Visibility::Plain),
];

impl Key {
    /// `value` as it may be shown.
    pub fn show(&self, value: &str) -> String {
        match self.visibility {
            Visibility::Plain => value.to_owned(),
            Visibility::Url => values::mask_url(value),
            Visibility::Secret => MASK.to_owned(),
        }
    }

    /// A wrong `value` as it may be shown. A text that looks like a token is masked: it may be one under the wrong key.
    pub fn show_wrong(&self, value: &str) -> String {
        let like_a_token = value.len() >= 32 && value.bytes().all(|b| b.is_ascii_alphanumeric());
        if like_a_token { MASK.to_owned() } else { self.show(value) }
    }

    fn documented(&self) -> Option<&'static Documented> {
        DOCUMENTED.iter().find(|documented| documented.name.eq_ignore_ascii_case(self.name))
    }

    /// The default in `recado.default.toml`.
    pub fn default(&self) -> Option<&'static str> {
        self.documented()?.default
    }

    /// The paragraph above the key in `recado.default.toml`.
    pub fn doc(&self) -> &'static str {
        self.documented().map_or("", |documented| &documented.doc)
    }
}

/// The key with this name or alias, in any case.
pub fn find(name: &str) -> Option<&'static Key> {
    let is = |known: &str| known.eq_ignore_ascii_case(name);
    KEYS.iter().find(|key| is(key.name) || key.alias.is_some_and(is))
}

/// The known name nearest to `name`, if at most a third of its letters differ.
pub fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_uppercase();
    let names = KEYS.iter().flat_map(|key| [Some(key.name), key.alias]).flatten();
    let (distance, nearest) = names.map(|known| (strsim::levenshtein(&name, known), known)).min()?;
    (distance <= name.len() / 3).then_some(nearest)
}

/// The entry of a key in `recado.default.toml`.
struct Documented {
    /// In lower case.
    name: &'static str,
    /// `None` if the key is commented out.
    default: Option<&'static str>,
    doc: String,
}

/// Every key of the defaults, commented out (`#key = …`) or not, with the comment above it.
static DOCUMENTED: LazyLock<Vec<Documented>> = LazyLock::new(|| {
    let (mut documented, mut doc) = (Vec::new(), Vec::new());
    for line in DEFAULTS.lines() {
        if let Some(prose) = line.strip_prefix("# ") {
            doc.push(prose);
            continue;
        }
        if let Some((name, value)) = line.trim_start_matches('#').split_once(" = ") {
            let default = (!line.starts_with('#')).then(|| value.trim_matches('"'));
            documented.push(Documented { name, default, doc: doc.join("\n") });
        }
        doc.clear();
    }
    documented
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_document_every_key_and_no_other_in_one_order() {
        let documented: Vec<String> = DOCUMENTED.iter().map(|one| one.name.to_ascii_uppercase()).collect();
        let known: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
        assert_eq!(documented, known);
        for key in KEYS {
            assert!(key.doc().ends_with('.'), "{}: {}", key.name, key.doc());
        }
    }

    #[test]
    fn a_slip_finds_its_key() {
        for (slip, meant) in [
            ("listn", Some("LISTEN")),
            ("twilio_acount_sid", Some("TWILIO_ACCOUNT_SID")),
            ("twilio_phone_numbr", Some("TWILIO_PHONE_NUMBER")),
            ("databse_url", Some("DATABASE_URL")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest(slip), meant, "{slip}");
        }
    }
}
