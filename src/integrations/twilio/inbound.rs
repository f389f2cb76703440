//! Twilio's message webhooks: messages from customers, and status callbacks of our messages.
//!
//! Fields are from <https://www.twilio.com/docs/messaging/guides/webhook-request> and
//! <https://www.twilio.com/docs/messaging/guides/track-outbound-message-status>; the WhatsApp fields are from public
//! code. Unknown fields are ignored: Twilio adds some at any time.

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
}

impl InboundMessage {
    /// Reads the form of a message webhook.
    pub fn parse(params: &Params) -> Result<Self, FormError> {
        let form = Form(params);
        Ok(Self {
            message_sid: form
                .sid(&["MessageSid", "SmsMessageSid", "SmsSid"], "a message SID: SM or MM and 32 hex digits")?,
            account_sid: form.sid(&["AccountSid"], "the account SID: AC and 32 hex digits")?,
            messaging_service_sid: form.text("MessagingServiceSid", limits::SID_MAX_BYTES)?,
            from: form.address("From")?,
            to: form.address("To")?,
            body: form.text("Body", limits::BODY_MAX_BYTES)?.unwrap_or_default(),
            media: form.media()?,
            button: form.button()?,
            location: form.location()?,
            profile_name: form.text("ProfileName", limits::TEXT_MAX_BYTES)?,
            wa_id: form.text("WaId", limits::ADDRESS_MAX_BYTES)?,
            replied_to_sid: form.text("OriginalRepliedMessageSid", limits::SID_MAX_BYTES)?,
            replied_to_sender: form
                .text("OriginalRepliedMessageSender", limits::ADDRESS_MAX_BYTES)?
                .map(|sender| Address::parse(&sender)),
            opt_out_type: form.opt_out_type(),
            num_segments: form.number("NumSegments", "a number")?.unwrap_or(0),
            forwarded: form.flag("Forwarded") || form.flag("FrequentlyForwarded"),
            external_user_id: form.text("ExternalUserId", limits::ADDRESS_MAX_BYTES)?,
        })
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
    pub fn parse(params: &Params) -> Result<Self, FormError> {
        let form = Form(params);
        Ok(Self {
            message_sid: form.sid(&["MessageSid", "SmsSid"], "a message SID: SM or MM and 32 hex digits")?,
            account_sid: form.sid(&["AccountSid"], "the account SID: AC and 32 hex digits")?,
            status: match form.text("MessageStatus", limits::WORD_MAX_BYTES)? {
                Some(status) => status,
                None => form.required(
                    "SmsStatus",
                    limits::WORD_MAX_BYTES,
                    "the status, such as delivered (or MessageStatus)",
                )?,
            },
            error_code: form
                .number("ErrorCode", "an error code such as 30003, or leave it out")?
                .filter(|code| *code != 0),
            messaging_service_sid: form.text("MessagingServiceSid", limits::SID_MAX_BYTES)?,
            from: form.text("From", limits::ADDRESS_MAX_BYTES)?.map(|from| Address::parse(&from)),
            to: form.text("To", limits::ADDRESS_MAX_BYTES)?.map(|to| Address::parse(&to)),
            channel_status_message: form.text("ChannelStatusMessage", limits::TEXT_MAX_BYTES)?,
            raw_dlr_done_date: form.text("RawDlrDoneDate", limits::WORD_MAX_BYTES)?,
        })
    }
}

impl Form<'_> {
    fn media(&self) -> Result<Vec<Media>, FormError> {
        let count = match self.0.filled("NumMedia").map(str::parse) {
            None => 0,
            Some(Ok(count)) if count <= limits::MEDIA_MAX => count,
            Some(_) => return Err(error("NumMedia", format!("a number from 0 to {}", limits::MEDIA_MAX))),
        };
        (0..count)
            .map(|index| {
                let url = format!("MediaUrl{index}");
                let content_type = self.text(&format!("MediaContentType{index}"), limits::WORD_MAX_BYTES)?;
                Ok(Media {
                    url: self.required(&url, limits::URL_MAX_BYTES, "the URL of each of the NumMedia media")?,
                    content_type: content_type.unwrap_or_default(),
                })
            })
            .collect()
    }

    fn button(&self) -> Result<Option<Button>, FormError> {
        let text = self.text("ButtonText", limits::TEXT_MAX_BYTES)?;
        let payload = self.text("ButtonPayload", limits::TEXT_MAX_BYTES)?;
        Ok((text.is_some() || payload.is_some())
            .then(|| Button { text: text.unwrap_or_default(), payload: payload.unwrap_or_default() }))
    }

    fn location(&self) -> Result<Option<Location>, FormError> {
        let (latitude, longitude) = (self.degrees("Latitude", 90.0)?, self.degrees("Longitude", 180.0)?);
        let Some((latitude, longitude)) = latitude.zip(longitude) else { return Ok(None) };
        Ok(Some(Location {
            latitude,
            longitude,
            address: self.text("Address", limits::TEXT_MAX_BYTES)?.unwrap_or_default(),
            label: self.text("Label", limits::TEXT_MAX_BYTES)?.unwrap_or_default(),
        }))
    }

    fn degrees(&self, field: &str, max: f64) -> Result<Option<f64>, FormError> {
        let Some(text) = self.0.filled(field) else { return Ok(None) };
        // NaN is in no range.
        let degrees = text.parse().ok().filter(|degrees| (-max..=max).contains(degrees));
        degrees.map(Some).ok_or_else(|| error(field, format!("degrees from -{max} to {max}")))
    }

    /// An unknown type must not lose the message.
    fn opt_out_type(&self) -> Option<OptOutType> {
        self.0.get("OptOutType")?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let bare: Params = [("SmsSid", "SM1"), ("AccountSid", "AC1"), ("SmsStatus", "sent")].into_iter().collect();
        assert_eq!(StatusCallback::parse(&bare).unwrap().status, "sent");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |field: &str, value: Option<&str>| {
            assert_eq!(InboundMessage::parse(&changed(field, value)).unwrap_err().field, field, "{value:?}");
        };
        for field in ["AccountSid", "From", "To"] {
            check(field, None);
            check(field, Some(""));
        }
        check("From", Some(&"1".repeat(limits::ADDRESS_MAX_BYTES + 1)));
        check("Body", Some(&"a".repeat(limits::BODY_MAX_BYTES + 1)));
        check("AccountSid", Some("AC/../1"));
        check("MessageSid", Some("SM 1"));
        for bad in ["11", "-1", "x", "99999999999999999999"] {
            check("NumMedia", Some(bad));
        }
        for (field, bad) in [("Latitude", "90.1"), ("Latitude", "NaN"), ("Longitude", "inf"), ("Longitude", "east")] {
            check(field, Some(bad));
        }
        let error = InboundMessage::parse(&changed("NumMedia", Some("2"))).unwrap_err();
        assert_eq!(error.field, "MediaUrl0");
        assert!(error.to_string().contains("MediaUrl0"));
    }

    #[test]
    fn what_is_odd_is_taken() {
        let message = InboundMessage::parse(&changed("Body", None)).unwrap();
        assert_eq!(message.body, "");
        let message = InboundMessage::parse(&changed("Body", Some("a\0b"))).unwrap();
        assert_eq!(message.body, "a\u{fffd}b");
        let message = InboundMessage::parse(&changed("MessageSid", None)).unwrap();
        assert_eq!(message.message_sid, "SM0123456789abcdef0123456789abcdef", "the older names serve");
        let message = InboundMessage::parse(&changed("From", Some("messenger:123"))).unwrap();
        assert_eq!(message.from, Address { channel: None, value: "messenger:123".into() });
        assert!(!format!("{message:?}").contains("+34911222333"), "numbers do not go to logs whole");
        let message = InboundMessage::parse(&changed("OptOutType", Some("MAYBE"))).unwrap();
        assert_eq!(message.opt_out_type, None, "what Twilio may add is no reason to refuse");
        assert_eq!(inbound(STOP).opt_out_type, Some(OptOutType::Stop));
    }
}
