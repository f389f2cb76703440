//! Twilio's message webhooks: messages from customers, and status callbacks of our messages.
//!
//! Fields are from <https://www.twilio.com/docs/messaging/guides/webhook-request> and
//! <https://www.twilio.com/docs/messaging/guides/track-outbound-message-status>; the WhatsApp fields are from public
//! code. Unknown fields are ignored: Twilio adds some at any time. A field that is not usable is left out, and the rest is
//! taken; only what identifies the message can refuse it.

pub use super::fields::{Address, FormError, limits};

use super::fields::{Form, error};
use super::form::Params;

/// A medium of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    pub url: String,
    pub content_type: String,
}

/// The WhatsApp button that the customer pressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Button {
    pub text: String,
    pub payload: String,
}

/// Degrees, WGS 84.
#[derive(Clone, Debug, PartialEq)]
pub struct Location {
    pub latitude: f64,
    pub longitude: f64,
    pub address: String,
    pub label: String,
}

/// A keyword that Twilio recognized, and may have answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::EnumString, strum::IntoStaticStr)]
#[strum(const_into_str, serialize_all = "UPPERCASE")]
pub enum OptOutType {
    Stop,
    Start,
    Help,
}

impl OptOutType {
    /// Returns the keyword as Twilio writes it.
    pub const fn as_str(self) -> &'static str {
        self.into_str()
    }
}

/// A message from a customer.
///
/// The texts of the customer (`body`, `profile_name`, `button`, `location`) are untrusted. U+0000, which no database
/// accepts in a text, is replaced by U+FFFD.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct InboundMessage {
    /// `SM…` or `MM…`; unique, so it identifies repeated webhooks.
    pub message_sid: String,
    /// `AC…`
    pub account_sid: String,
    /// `MG…` if the number belongs to a Messaging Service.
    pub messaging_service_sid: Option<String>,
    pub from: Address,
    pub to: Address,
    /// Empty for media, locations and the like.
    pub body: String,
    pub media: Vec<Media>,
    pub button: Option<Button>,
    pub location: Option<Location>,
    /// The customer's own profile name.
    pub profile_name: Option<String>,
    /// The customer's WhatsApp id, usually the number without `+`.
    pub wa_id: Option<String>,
    /// The message that this one answers, and its sender.
    pub replied_to_sid: Option<String>,
    pub replied_to_sender: Option<Address>,
    pub opt_out_type: Option<OptOutType>,
    /// 0 if Twilio does not send it.
    pub num_segments: u32,
    /// Forwarded within WhatsApp, once or often.
    pub forwarded: bool,
    /// WhatsApp's business-scoped id of a customer with a hidden number.
    pub external_user_id: Option<String>,
    /// The names of fields that were not usable and are left out.
    pub dropped: Vec<String>,
}

impl InboundMessage {
    /// Reads the form of a message webhook.
    ///
    /// # Errors
    /// Returns an error if the SIDs, the sender or the recipient are missing or have no such shape.
    pub fn parse(params: &Params) -> Result<Self, FormError> {
        let form = Form::new(params);
        let message = Self {
            message_sid: form.message_sid(&["MessageSid", "SmsMessageSid", "SmsSid"])?,
            account_sid: form.sid(&["AccountSid"], "the account SID: AC and 32 hex digits")?,
            messaging_service_sid: form.optional_sid("MessagingServiceSid"),
            from: form.address("From")?,
            to: form.address("To")?,
            body: form.beginning("Body", limits::BODY_MAX_BYTES).unwrap_or_default(),
            media: form.media(),
            button: form.button(),
            location: form.location(),
            profile_name: form.text("ProfileName", limits::TEXT_MAX_BYTES),
            wa_id: form.text("WaId", limits::ADDRESS_MAX_BYTES),
            replied_to_sid: form.optional_sid("OriginalRepliedMessageSid"),
            replied_to_sender: form.optional_address("OriginalRepliedMessageSender"),
            opt_out_type: form.optional("OptOutType", |text| text.parse().ok()),
            num_segments: form.number("NumSegments").unwrap_or(0),
            forwarded: form.flag("Forwarded") || form.flag("FrequentlyForwarded"),
            external_user_id: form.text("ExternalUserId", limits::ADDRESS_MAX_BYTES),
            dropped: Vec::new(),
        };
        Ok(Self { dropped: form.dropped(), ..message })
    }
}

/// A status callback of a message. Callbacks come late, twice, out of order or never, and even before the answer to the
/// request that created the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusCallback {
    pub message_sid: String,
    pub account_sid: String,
    /// Twilio's status, for example `delivered`; Twilio may add others.
    pub status: String,
    pub error_code: Option<u32>,
    pub messaging_service_sid: Option<String>,
    /// Our number; absent in some callbacks.
    pub from: Option<Address>,
    /// The customer's number.
    pub to: Option<Address>,
    /// WhatsApp's description of a failure.
    pub channel_status_message: Option<String>,
    /// The carrier's delivery time (`YYMMDDhhmm`).
    pub raw_dlr_done_date: Option<String>,
}

impl StatusCallback {
    /// Reads the form of a status callback.
    ///
    /// # Errors
    /// Returns an error if a SID is missing or is none.
    pub fn parse(params: &Params) -> Result<Self, FormError> {
        let form = Form::new(params);
        let word = |field| form.text(field, limits::WORD_MAX_BYTES);
        Ok(Self {
            message_sid: form.message_sid(&["MessageSid", "SmsSid"])?,
            account_sid: form.sid(&["AccountSid"], "the account SID: AC and 32 hex digits")?,
            status: word("MessageStatus").or_else(|| word("SmsStatus")).unwrap_or_default(),
            error_code: form.number("ErrorCode").filter(|code| *code != 0),
            messaging_service_sid: form.optional_sid("MessagingServiceSid"),
            from: form.optional_address("From"),
            to: form.optional_address("To"),
            channel_status_message: form.text("ChannelStatusMessage", limits::TEXT_MAX_BYTES),
            raw_dlr_done_date: word("RawDlrDoneDate"),
        })
    }
}

impl Form<'_> {
    /// Reads the SID of a message. Twilio sends it under two or three names, always the same one.
    fn message_sid(&self, fields: &[&str]) -> Result<String, FormError> {
        let sid = self.sid(fields, "a message SID: SM or MM and 32 hex digits")?;
        let other = fields.iter().find(|field| self.filled(field).is_some_and(|other| other != sid));
        match other {
            Some(field) => Err(error(field, "the same SID as in MessageSid".to_owned())),
            None => Ok(sid),
        }
    }

    /// Reads the media. Without a usable NumMedia, those are read that have a URL.
    fn media(&self) -> Vec<Media> {
        let named =
            self.optional("NumMedia", |text| text.parse::<usize>().ok().filter(|count| *count <= limits::MEDIA_MAX));
        let count = match (named, self.filled("NumMedia")) {
            (Some(count), _) => count,
            (None, None) => 0,
            (None, Some(_)) => {
                (0..limits::MEDIA_MAX).take_while(|index| self.filled(&format!("MediaUrl{index}")).is_some()).count()
            }
        };
        (0..count).filter_map(|index| self.medium(index)).collect()
    }

    fn medium(&self, index: usize) -> Option<Media> {
        let field = format!("MediaUrl{index}");
        let is_url =
            |text: &str| text.len() <= limits::URL_MAX_BYTES && text.starts_with("http") && text.contains("://");
        let url = self.filled(&field).filter(|text| is_url(text)).map(str::to_owned);
        if url.is_none() {
            self.drop_field(&field);
        }
        let content_type = self.optional(&format!("MediaContentType{index}"), |text| {
            (text.len() <= limits::WORD_MAX_BYTES && is_content_type(text)).then(|| text.to_owned())
        });
        Some(Media { url: url?, content_type: content_type.unwrap_or_default() })
    }

    /// Reads the button. A message of type `text` pressed none.
    fn button(&self) -> Option<Button> {
        let is_text = self.filled("MessageType").is_some_and(|kind| kind.eq_ignore_ascii_case("text"));
        let part =
            |field| self.optional(field, |text| (!is_text && text.len() <= limits::TEXT_MAX_BYTES).then_some(text));
        let (text, payload) = (part("ButtonText"), part("ButtonPayload"));
        let read = |part: Option<&str>| part.unwrap_or_default().replace('\0', "\u{fffd}");
        (text.is_some() || payload.is_some()).then(|| Button { text: read(text), payload: read(payload) })
    }

    fn location(&self) -> Option<Location> {
        let (latitude, longitude) = self.degrees("Latitude", 90.0).zip(self.degrees("Longitude", 180.0))?;
        Some(Location {
            latitude,
            longitude,
            address: self.text("Address", limits::TEXT_MAX_BYTES).unwrap_or_default(),
            label: self.text("Label", limits::TEXT_MAX_BYTES).unwrap_or_default(),
        })
    }

    fn degrees(&self, field: &str, max: f64) -> Option<f64> {
        // NaN is in no range.
        self.optional(field, |text| text.parse::<f64>().ok().filter(|degrees| (-max..=max).contains(degrees)))
    }
}

/// Whether a text is a media type, such as `image/jpeg` or `audio/ogg; codecs=opus`.
fn is_content_type(text: &str) -> bool {
    text.contains('/') && text.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    const SID: &str = "SM0123456789abcdef0123456789abcdef";
    const SMS: &[u8] = include_bytes!("../../../tests/data/twilio/inbound_sms.form");
    const WHATSAPP: &[u8] = include_bytes!("../../../tests/data/twilio/inbound_whatsapp_button.form");
    const LOCATION: &[u8] = include_bytes!("../../../tests/data/twilio/inbound_whatsapp_location.form");
    const MMS: &[u8] = include_bytes!("../../../tests/data/twilio/inbound_mms.form");
    const STOP: &[u8] = include_bytes!("../../../tests/data/twilio/inbound_stop.form");
    const DELIVERED: &[u8] = include_bytes!("../../../tests/data/twilio/status_delivered.form");
    const UNDELIVERED: &[u8] = include_bytes!("../../../tests/data/twilio/status_whatsapp_undelivered.form");

    fn inbound(form: &[u8]) -> InboundMessage {
        InboundMessage::parse(&Params::parse(form).unwrap()).unwrap()
    }

    /// `SMS` with one field replaced or removed.
    fn changed(field: &str, value: Option<&str>) -> Params {
        let params = Params::parse(SMS).unwrap();
        let unchanged = params.iter().filter(|(key, _)| *key != field);
        unchanged.chain(value.map(|value| (field, value))).collect()
    }

    #[test]
    fn a_text_message_is_read() {
        let message = inbound(SMS);
        assert_eq!(message.message_sid, "SM0123456789abcdef0123456789abcdef");
        assert_eq!(message.account_sid, "AC00000000000000000000000000000001");
        assert_eq!(message.from, Address { channel: None, value: "+34600111222".into() });
        assert_eq!(message.to.to_string(), "+34911222333");
        assert_eq!((message.body.as_str(), message.num_segments), ("Quiero una cita, por favor ☺", 1));
        assert_eq!(
            (message.media.len(), message.button, message.location, message.opt_out_type),
            (0, None, None, None)
        );
        assert!(!message.forwarded);
    }

    #[test]
    fn media_buttons_and_locations_are_read() {
        let message = inbound(MMS);
        assert_eq!(message.media.len(), 2);
        assert_eq!(message.media[1].content_type, "application/pdf");
        let message = inbound(WHATSAPP);
        assert_eq!(message.from.to_string(), "whatsapp:+34600111222");
        assert_eq!(message.button, Some(Button { text: "Confirmar".into(), payload: "confirm-42".into() }));
        assert_eq!(message.profile_name.as_deref(), Some("Ana <script>"));
        assert_eq!(message.replied_to_sid.as_deref(), Some("SM0123456789abcdef0123456789abcde0"));
        assert_eq!(message.replied_to_sender.unwrap().value, "+34911222333");
        assert_eq!((message.wa_id.as_deref(), message.forwarded), (Some("34600111222"), true));
        let location = inbound(LOCATION).location.unwrap();
        assert_eq!(
            (location.latitude, location.longitude, location.label.as_str()),
            (40.4168, -3.7038, "Puerta del Sol")
        );
    }

    #[test]
    fn statuses_are_read() {
        let callback = StatusCallback::parse(&Params::parse(DELIVERED).unwrap()).unwrap();
        assert_eq!((callback.status.as_str(), callback.error_code), ("delivered", None));
        let callback = StatusCallback::parse(&Params::parse(UNDELIVERED).unwrap()).unwrap();
        assert_eq!((callback.status.as_str(), callback.error_code), ("undelivered", Some(63016)));
        assert!(callback.channel_status_message.unwrap().contains("24"));
        let sids = [("SmsSid", SID), ("AccountSid", "AC00000000000000000000000000000001")];
        let with = |more: &[(&str, &str)]| -> StatusCallback {
            StatusCallback::parse(&sids.iter().chain(more).copied().collect()).unwrap()
        };
        assert_eq!(with(&[("SmsStatus", "sent")]).status, "sent");
        assert_eq!(with(&[]).status, "", "nothing is known, and nothing is refused");
        let odd =
            with(&[("MessageStatus", "teleported"), ("ErrorCode", "E7"), ("From", "a b"), ("RawDlrDoneDate", "?")]);
        assert_eq!((odd.status.as_str(), odd.error_code, odd.from), ("teleported", None, None));
    }

    #[test]
    fn what_identifies_a_message_must_be_right() {
        let check = |field: &str, value: Option<&str>| {
            assert_eq!(InboundMessage::parse(&changed(field, value)).unwrap_err().field, field, "{value:?}");
        };
        for field in ["AccountSid", "From", "To"] {
            check(field, None);
            check(field, Some(""));
        }
        check("From", Some(&"1".repeat(limits::ADDRESS_MAX_BYTES + 1)));
        for address in ["+34600111222FromCountryES", " 34600111222", "+34 600", "whatsapp:+3460x", "a\nb"] {
            check("From", Some(address));
            check("To", Some(address));
        }
        for sid in ["AC/../1", "AC1", "SM 1", "sm0123456789abcdef0123456789abcdef"] {
            check("AccountSid", Some(sid));
            check("MessageSid", Some(sid));
        }
        check("MessageSid", Some(&format!("{SID}NumMedia0")));
        check("SmsSid", Some("SM00000000000000000000000000000001"));
        check("SmsMessageSid", Some("SM00000000000000000000000000000001"));
    }

    /// The message stays, whatever a field says that does not identify it.
    #[test]
    fn a_field_that_is_not_usable_is_left_out_and_named() {
        let check = |bytes: &[u8], field: &str, value: Option<&str>, dropped: &[&str]| -> InboundMessage {
            let params = Params::parse(bytes).unwrap();
            let others = params.iter().filter(|(key, _)| *key != field);
            let params: Params = others.chain(value.map(|value| (field, value))).collect();
            let message = InboundMessage::parse(&params).unwrap();
            assert_eq!(message.dropped, dropped, "{field}={value:?}");
            message
        };
        for bad in ["11", "-1", "x", "99999999999999999999"] {
            assert!(check(SMS, "NumMedia", Some(bad), &["NumMedia"]).media.is_empty());
            assert_eq!(check(MMS, "NumMedia", Some(bad), &["NumMedia"]).media.len(), 2, "their URLs say what there is");
        }
        check(SMS, "NumMedia", Some("2"), &["MediaUrl0", "MediaUrl1"]);
        for bad in [None, Some("javascript:x"), Some("//x")] {
            let left = check(MMS, "MediaUrl0", bad, &["MediaUrl0"]).media;
            assert_eq!((left.len(), left[0].content_type.as_str()), (1, "application/pdf"));
        }
        for bad in ["jpeg", "image/\u{7}", &format!("image/{}", "x".repeat(200))] {
            let left = check(MMS, "MediaContentType0", Some(bad), &["MediaContentType0"]).media;
            assert_eq!((left.len(), left[0].content_type.as_str()), (2, ""));
        }
        for (field, bad) in [("Latitude", "90.1"), ("Latitude", "NaN"), ("Longitude", "inf"), ("Longitude", "east")] {
            assert_eq!(check(LOCATION, field, Some(bad), &[field]).location, None);
        }
        let long = "a".repeat(limits::TEXT_MAX_BYTES + 1);
        assert_eq!(check(WHATSAPP, "ProfileName", Some(&long), &["ProfileName"]).profile_name, None);
        let button = check(WHATSAPP, "ButtonPayload", Some(&long), &["ButtonPayload"]).button;
        assert_eq!(button, Some(Button { text: "Confirmar".into(), payload: String::new() }));
        assert_eq!(check(WHATSAPP, "MessageType", Some("text"), &["ButtonText", "ButtonPayload"]).button, None);
        for (field, bad) in [
            ("MessagingServiceSid", "MG1"),
            ("NumSegments", "many"),
            ("OptOutType", "MAYBE"),
            ("OriginalRepliedMessageSid", "x"),
            ("OriginalRepliedMessageSender", "a b"),
        ] {
            check(SMS, field, Some(bad), &[field]);
        }
        let long = "é".repeat(limits::BODY_MAX_BYTES);
        let body = check(SMS, "Body", Some(&long), &["Body"]).body;
        assert_eq!(body.len(), limits::BODY_MAX_BYTES, "the beginning is better than nothing");
        assert!(check(SMS, "AddressRetention", Some("retain"), &[]).dropped.is_empty());
    }

    #[test]
    fn what_is_odd_is_taken() {
        let message = InboundMessage::parse(&changed("Body", None)).unwrap();
        assert_eq!(message.body, "");
        let message = InboundMessage::parse(&changed("Body", Some("a\0b"))).unwrap();
        assert_eq!(message.body, "a\u{fffd}b");
        let message = InboundMessage::parse(&changed("MessageSid", None)).unwrap();
        assert_eq!(message.message_sid, SID, "the older names serve");
        let message = InboundMessage::parse(&changed("From", Some("messenger:123"))).unwrap();
        assert_eq!(message.from, Address { channel: None, value: "messenger:123".into() });
        assert!(!format!("{message:?}").contains("+34911222333"), "numbers do not go to logs whole");
        let message = InboundMessage::parse(&changed("OptOutType", Some("MAYBE"))).unwrap();
        assert_eq!(message.opt_out_type, None, "what Twilio may add is no reason to refuse");
        assert_eq!(inbound(STOP).opt_out_type, Some(OptOutType::Stop));
    }
}
