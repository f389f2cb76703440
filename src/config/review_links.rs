//! Signed links to review pages: `{APP_URL}/r/{token}`, short and not guessable.
//!
//! An event has one link. The token is the event's id with a keyed hash of it, so no table stores it; the event's row
//! names the customer. A new `RECADO_SECRET_KEY` makes old links invalid. The forms of a page have tokens of their own, so
//! that what is posted comes from a page that was shown.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::config::secret::SecretKey;
use crate::domain::{EventId, Timestamp};

/// The validity of a link after its event.
pub const GOOD_FOR: Duration = Duration::from_secs(90 * 24 * 3_600);
/// The validity of a form after its page was shown.
pub const FORM_GOOD_FOR: Duration = Duration::from_secs(24 * 3_600);
const PURPOSE: &str = "review link";
const FORM_PURPOSE: &str = "review form";
const ID_BYTES: usize = 16;
/// The length of the hash: 80 bits, against guesses over the network.
const HASH_BYTES: usize = 10;
/// The link where no server exists, as in rule cases.
const NOWHERE: &str = "https://example.com/r/review";

/// Creates and verifies links. Without a key, as in rule cases, every link is the same and leads nowhere.
#[derive(Clone, Debug, Default)]
pub struct Links(Option<Signed>);

#[derive(Clone, Debug)]
struct Signed {
    base: String,
    key: SecretKey,
}

impl Links {
    /// `base` is `APP_URL` without a trailing slash.
    pub const fn new(base: String, key: SecretKey) -> Self {
        Self(Some(Signed { base, key }))
    }

    /// The link of an event.
    pub fn url(&self, event: EventId) -> String {
        let Some(signed) = &self.0 else { return NOWHERE.to_owned() };
        let token = URL_SAFE_NO_PAD.encode([event.uuid().as_bytes().as_slice(), &signed.hash(event)].concat());
        format!("{}/r/{token}", signed.base)
    }

    /// The event of a token; `None` if the token is invalid or has expired.
    pub fn event(&self, token: &str, now: Timestamp) -> Option<EventId> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (id, hash) = bytes.split_first_chunk::<ID_BYTES>()?;
        let event = EventId::new(Uuid::from_bytes(*id));
        let genuine: bool = self.0.as_ref()?.hash(event).as_slice().ct_eq(hash).into();
        let made = Timestamp::from_unix_us(i64::try_from(event.unix_ms()).ok()?.checked_mul(1_000)?);
        (genuine && now.since(made) < GOOD_FOR).then_some(event)
    }

    /// The token of a form on the page of an event's link, shown at `now`: the time in seconds, with a keyed hash.
    pub fn form_token(&self, event: EventId, now: Timestamp) -> String {
        let seconds = now.unix_ms() / 1_000;
        let hash = self.0.as_ref().map_or([0; HASH_BYTES], |signed| signed.form_hash(event, seconds));
        URL_SAFE_NO_PAD.encode([seconds.to_be_bytes().as_slice(), &hash].concat())
    }

    /// Whether a form token was made for this event's link within [`FORM_GOOD_FOR`].
    pub fn accepts_form(&self, event: EventId, token: &str, now: Timestamp) -> bool {
        let Some(signed) = &self.0 else { return false };
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(token) else { return false };
        let Some((seconds, hash)) = bytes.split_first_chunk() else { return false };
        let seconds = i64::from_be_bytes(*seconds);
        let genuine: bool = signed.form_hash(event, seconds).as_slice().ct_eq(hash).into();
        let shown = seconds.checked_mul(1_000_000).map(Timestamp::from_unix_us);
        genuine && shown.is_some_and(|shown| now.since(shown) < FORM_GOOD_FOR)
    }
}

impl Signed {
    fn hash(&self, event: EventId) -> [u8; HASH_BYTES] {
        let whole = self.key.mac(PURPOSE, &[&event.to_string()]);
        std::array::from_fn(|at| whole[at])
    }

    fn form_hash(&self, event: EventId, seconds: i64) -> [u8; HASH_BYTES] {
        let whole = self.key.mac(FORM_PURPOSE, &[&event.to_string(), &seconds.to_string()]);
        std::array::from_fn(|at| whole[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn links(digit: &str) -> Links {
        Links::new("https://x.example".to_owned(), SecretKey::parse(&digit.repeat(64)).unwrap())
    }

    #[test]
    fn a_link_leads_to_its_event_alone_and_not_for_ever() {
        let made = Timestamp::from_unix_us(1_800_000_000_000_000);
        let ms = u64::try_from(made.unix_ms()).unwrap();
        let event = |last| EventId::new(uuid::Builder::from_unix_timestamp_millis(ms, &[last; 10]).into_uuid());
        let url = links("1").url(event(1));
        let token = url.strip_prefix("https://x.example/r/").unwrap();
        assert_eq!(token.len(), 35);
        assert_eq!(url, links("1").url(event(1)), "decided again it is the same");
        assert_eq!(links("1").event(token, made), Some(event(1)));
        assert_eq!(links("2").event(token, made), None, "another installation's");
        assert_eq!(links("1").event(token, made.plus(GOOD_FOR)), None, "its time is over");
        assert_eq!(Links::default().event(token, made), None);
        let other = links("1").url(event(2));
        let other = other.strip_prefix("https://x.example/r/").unwrap();
        let mixed = format!("{}{}", &other[..22], &token[22..]);
        for wrong in ["", "r", "review", &token[1..], &token[..34], &token.to_uppercase(), &mixed, &"A".repeat(10_000)]
        {
            assert_eq!(links("1").event(wrong, made), None, "{wrong}");
        }
    }

    #[test]
    fn a_form_is_of_one_link_and_good_for_a_day() {
        let shown = Timestamp::from_unix_us(1_800_000_000_000_000);
        let event = |last| EventId::new(uuid::Builder::from_unix_timestamp_millis(1, &[last; 10]).into_uuid());
        let after = |seconds| shown.plus(Duration::from_secs(seconds));
        let token = links("1").form_token(event(1), shown);
        assert!(links("1").accepts_form(event(1), &token, shown));
        assert!(links("1").accepts_form(event(1), &token, after(86_399)));
        assert!(!links("1").accepts_form(event(1), &token, after(86_400)), "it was open for a day");
        assert!(!links("1").accepts_form(event(2), &token, shown), "another link's");
        assert!(!links("2").accepts_form(event(1), &token, shown), "another installation's");
        let later = links("1").form_token(event(1), after(86_400));
        let mixed = format!("{}{}", &later[..11], &token[11..]);
        for wrong in ["", "A", &mixed, &token[..23], &"A".repeat(24), &"A".repeat(10_000)] {
            assert!(!links("1").accepts_form(event(1), wrong, after(86_400)), "{wrong}");
        }
        let nowhere = Links::default().form_token(event(1), shown);
        assert!(!Links::default().accepts_form(event(1), &nowhere, shown));
    }
}
