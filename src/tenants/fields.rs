//! Checks of a tenant's fields. Each function returns the value to store, or an error that says what to write instead.

use chrono_tz::Tz;

use crate::domain::channel::SenderKind;
use crate::domain::{Channel, Country, Phone};
use crate::integrations::twilio::is_sid;

/// The longest slug, in bytes.
const SLUG_MAX_BYTES: usize = 40;
/// The longest name, in characters.
const NAME_MAX_CHARS: usize = 100;
/// The longest language tag, in bytes.
const LANGUAGE_MAX_BYTES: usize = 35;
/// The shortest retention. Twilio repeats a webhook within hours, and the catch-up reads its list three days back: a
/// message that was removed sooner could be taken for new.
pub const RETAIN_DAYS_MIN: u32 = 7;
/// The longest retention: ten years.
pub const RETAIN_DAYS_MAX: u32 = 3_650;

/// A tenant's name in URLs.
pub fn slug(text: &str) -> Result<String, String> {
    // `/api/twilio/stream/…` is the route of media streams.
    let good = (1..=SLUG_MAX_BYTES).contains(&text.len())
        && text != "stream"
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if good {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "a slug has lower case letters, digits and -, 1 to {SLUG_MAX_BYTES}, such as clinica-sol, and is not 'stream'"
        ))
    }
}

/// The name that customers know the business by.
pub fn name(text: &str) -> Result<String, String> {
    let good = (1..=NAME_MAX_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control);
    if good { Ok(text.to_owned()) } else { Err(format!("a name has 1 to {NAME_MAX_CHARS} characters on one line")) }
}

/// A time zone of the IANA list.
pub fn zone(text: &str) -> Result<Tz, String> {
    text.parse().map_err(|_| "write a zone of the IANA list, such as Europe/Madrid or America/Mexico_City".to_owned())
}

/// A language tag (BCP 47). Only its shape is checked.
pub fn language(text: &str) -> Result<String, String> {
    let part = |part: &str| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
    let first = text.split('-').next().unwrap_or_default();
    let good = text.len() <= LANGUAGE_MAX_BYTES
        && (2..=3).contains(&first.len())
        && first.bytes().all(|b| b.is_ascii_lowercase())
        && text.split('-').all(part);
    if good { Ok(text.to_owned()) } else { Err("write a language tag, such as es or en-US".to_owned()) }
}

/// A country with a numbering plan.
pub fn country(text: &str) -> Result<Country, String> {
    text.parse::<Country>().map_err(|error| error.to_string())
}

/// Days of retention; `None` keeps everything and is written as 0.
pub fn retain_days(days: u32) -> Result<Option<u32>, String> {
    match days {
        0 => Ok(None),
        RETAIN_DAYS_MIN..=RETAIN_DAYS_MAX => Ok(Some(days)),
        _ => Err(format!(
            "write {RETAIN_DAYS_MIN} to {RETAIN_DAYS_MAX} days, or 0 to keep everything: what is removed sooner could be \
             taken for new when the provider repeats it"
        )),
    }
}

/// A sender of any channel. A number and a Messaging Service need no prefix; a name needs that of its channel, such as
/// `rcs:brand_agent`.
pub fn sender(text: &str) -> Result<String, String> {
    sender_of(Channel::of_address(text).0, text)
}

/// A sender of a channel: a number (E.164) or a name, as the channel has them, or a Messaging Service SID.
pub fn sender_of(channel: Channel, text: &str) -> Result<String, String> {
    if is_sid("MG", text) {
        return Ok(text.to_owned());
    }
    let spec = channel.spec();
    let bare = text.strip_prefix(spec.prefix).unwrap_or(text);
    match spec.senders {
        SenderKind::Number => Phone::parse_human(bare, None)
            .map(|phone| phone.to_string())
            .map_err(|error| format!("{error}; a Messaging Service is MG and 32 hex digits")),
        SenderKind::Name if channel.is_sender(bare) => Ok(bare.to_owned()),
        SenderKind::Name => Err(format!(
            "'{text}' is no sender of {channel}: its id has letters, digits, _, - and .; a Messaging Service is MG and 32 \
             hex digits"
        )),
    }
}

/// Scheme and host, perhaps a path; without a slash at its end.
pub fn base_url(text: &str) -> Result<String, String> {
    let url = reqwest::Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none() && url.fragment().is_none()
    });
    match url {
        Some(_) => Ok(text.trim_end_matches('/').to_owned()),
        None => Err("write http:// or https://, host, and a path if a proxy adds one".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_fits_passes() {
        for good in ["a", "clinica-sol", "24h", &"x".repeat(40)] {
            assert!(slug(good).is_ok(), "{good}");
        }
        for bad in ["", "stream", "Clinica", "clínica", "a b", "a/b", "a_b", &"x".repeat(41)] {
            assert!(slug(bad).is_err(), "{bad}");
        }
        for good in ["es", "en-US", "zh-Hant-TW"] {
            assert!(language(good).is_ok(), "{good}");
        }
        for bad in ["", "e", "Spanish", "es_ES", "es-", "ES"] {
            assert!(language(bad).is_err(), "{bad}");
        }
        assert!(zone("Europe/Madrid").is_ok() && zone("Madrid").is_err());
        assert!(name("").is_err() && name("a\nb").is_err() && name("Clínica Sol").is_ok());
    }

    #[test]
    fn senders_are_numbers_or_services() {
        assert_eq!(sender("whatsapp:+34 600 111 000").as_deref(), Ok("+34600111000"));
        assert!(sender("MG0123456789abcdef0123456789abcdef").is_ok());
        assert!(sender("MG0123").unwrap_err().contains("MG and 32"));
        assert_eq!(sender("rcs:brand_agent").as_deref(), Ok("brand_agent"));
        assert!(sender("brand_agent").is_err());
    }

    #[test]
    fn nothing_is_removed_while_the_provider_may_repeat_it() {
        assert_eq!((retain_days(0), retain_days(7), retain_days(3650)), (Ok(None), Ok(Some(7)), Ok(Some(3_650))));
        for bad in [1, 6, 3651] {
            assert!(retain_days(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn base_urls_lose_their_slash() {
        assert_eq!(base_url("https://a.b/c/").as_deref(), Ok("https://a.b/c"));
        assert!(base_url("a.b").is_err() && base_url("https://a.b?c").is_err() && base_url("ftp://a.b").is_err());
    }
}
