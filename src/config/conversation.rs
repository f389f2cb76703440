//! The settings of conversations: OPENAI_… for the chat model, ELEVENLABS_… for live voice agents.

use secrecy::SecretString;

use super::sources::Reader;
use super::values;
use crate::domain::plain::is_plain;

const KEY: &str = "the key as the provider shows it: visible ASCII without blanks, 500 at most";
const MODEL: &str = "a model's name, such as gpt-4o-mini";
const AGENT: &str = "an agent's id, such as agent_3701k3ttaq12ewp8b7qv5rfyszkz: letters, digits, _ and -";
const TLS_BASE_URL: &str = "a URL such as https://api.elevenlabs.io: https (http on this machine only), no trailing slash, user, query or fragment";

const KEY_MAX_CHARS: usize = 500;
const NAME_MAX_CHARS: usize = 200;

/// The chat model's API.
#[derive(Clone, Debug)]
pub struct Chat {
    /// The base URL, without a trailing slash.
    pub base: String,
    /// `None` if no model is configured.
    pub key: Option<SecretString>,
    pub model: String,
}

/// ElevenLabs.
#[derive(Clone, Debug)]
pub struct Eleven {
    /// The base URL, without a trailing slash; HTTPS, or on this machine.
    pub base: String,
    /// `None` if it is not configured.
    pub key: Option<SecretString>,
    /// The agent; only with a key.
    pub agent: Option<String>,
}

/// Reads the keys. Errors are left in `reader`.
pub fn read_chat(reader: &mut Reader) -> Option<Chat> {
    let base = reader.read("OPENAI_BASE_URL", values::BASE_URL, values::base_url);
    let key = reader.read("OPENAI_API_KEY", KEY, key);
    let model = reader.read("OPENAI_MODEL", MODEL, model);
    if let Some(base) = &base
        && key.is_some()
        && base.starts_with("http:")
        && !values::is_loopback_url(base)
    {
        reader.warnings.push(format!(
            "OPENAI_BASE_URL ({base}) is without TLS: the key and what callers say can be read on the way; use https://"
        ));
    }
    Some(Chat { base: base?, key, model: model? })
}

/// Reads the keys. Errors are left in `reader`.
pub fn read_eleven(reader: &mut Reader) -> Option<Eleven> {
    let base = reader.read("ELEVENLABS_API_BASE", TLS_BASE_URL, tls_base_url);
    let key = reader.read("ELEVENLABS_API_KEY", KEY, key);
    let agent = reader.read("ELEVENLABS_AGENT_ID", AGENT, agent);
    if reader.is_set("ELEVENLABS_AGENT_ID") && !reader.is_set("ELEVENLABS_API_KEY") {
        reader.refuse("ELEVENLABS_AGENT_ID is set but ELEVENLABS_API_KEY is not: set both, or neither".to_owned());
    }
    Some(Eleven { base: base?, key, agent })
}

fn key(text: &str) -> Option<SecretString> {
    (text.len() <= KEY_MAX_CHARS && text.bytes().all(|b| b.is_ascii_graphic())).then(|| text.into())
}

fn model(text: &str) -> Option<String> {
    (text.chars().count() <= NAME_MAX_CHARS && text.chars().all(is_plain)).then(|| text.to_owned())
}

fn agent(text: &str) -> Option<String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    (text.len() <= NAME_MAX_CHARS && text.bytes().all(good)).then(|| text.to_owned())
}

fn tls_base_url(text: &str) -> Option<String> {
    values::base_url(text).filter(|url| url.starts_with("https:") || values::is_loopback_url(url))
}
