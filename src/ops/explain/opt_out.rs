//! Opt-out words: the effect of STOP, START or HELP, and the side that answers it.

use serde_json::Value as Json;

use crate::domain::channel::OptOut;
use crate::domain::opt_out::{self, OptOutWord};
use crate::domain::{Channel, Event, EventKind};

/// Explains an event that is, or comes from, such a word.
pub(super) fn explain(event: &Event) -> Option<String> {
    let text = |name: &str| event.data.get(name).and_then(Json::as_str).filter(|text| !text.is_empty());
    let channel = event.channel.map_or("", Channel::as_str);
    for (kind, what) in [(EventKind::OPTED_OUT, "out of"), (EventKind::OPTED_IN, "into")] {
        if event.kind == kind {
            return Some(format!("the customer opted {what} {channel} with \"{}\"", text("word")?));
        }
    }
    event.kind.inbound_channel()?;
    let body = text("body").unwrap_or_default();
    let (word, theirs, perhaps) = match text("opt_out_type") {
        Some("STOP") => (OptOutWord::Stop, true, false),
        Some("START") => (OptOutWord::Start, true, false),
        Some(_) => (OptOutWord::Help, true, false),
        None => {
            let found = opt_out::recognise(body)?;
            let answered = event.channel.is_some_and(|channel| channel.spec().opt_out == OptOut::WordAnsweredByTwilio);
            let theirs = answered && found.twilio_handles_on_sms;
            (found.word, theirs, found.only_if_opted_out)
        }
    };
    let what = match word {
        OptOutWord::Stop => format!("an opt-out: nothing more goes to this customer on {channel}"),
        OptOutWord::Start if perhaps => "an opt-in, if the customer had opted out; else an answer like any".to_owned(),
        OptOutWord::Start => format!("an opt-in: messages on {channel} may go to this customer again"),
        OptOutWord::Help => "a call for help".to_owned(),
    };
    let who = if theirs { "Twilio itself answers it" } else { "we answer it, see the actions" };
    Some(format!("\"{}\" is {what}; {who}", body))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::{EventId, TenantId, Timestamp};

    fn check(kind: &str, channel: Channel, data: Json, expect: Option<&str>) {
        let event = Event {
            id: EventId::new(uuid::Uuid::nil()),
            tenant: TenantId::new(uuid::Uuid::nil()),
            kind: EventKind::parse(kind).expect("a kind"),
            channel: Some(channel),
            contact: None,
            occurred_at: Timestamp::from_unix_us(0),
            dedupe_key: None,
            depth: 0,
            data,
        };
        assert_eq!(explain(&event).as_deref(), expect);
    }

    #[test]
    fn it_says_who_answers() {
        let out = "an opt-out: nothing more goes to this customer on";
        let theirs = format!("\"STOP\" is {out} sms; Twilio itself answers it");
        check("inbound_sms", Channel::Sms, json!({"body": "STOP"}), Some(&theirs));
        let ours = format!("\"STOP\" is {out} whatsapp; we answer it, see the actions");
        check("inbound_whatsapp", Channel::WhatsApp, json!({"body": "STOP"}), Some(&ours));
        let ours = format!("\"Baja\" is {out} sms; we answer it, see the actions");
        check("inbound_sms", Channel::Sms, json!({"body": "Baja"}), Some(&ours));
        let theirs = format!("\"Basta\" is {out} sms; Twilio itself answers it");
        check("inbound_sms", Channel::Sms, json!({"body": "Basta", "opt_out_type": "STOP"}), Some(&theirs));
        check("opted_out", Channel::Sms, json!({"word": "stop"}), Some("the customer opted out of sms with \"stop\""));
        check("inbound_sms", Channel::Sms, json!({"body": "Hola"}), None);
        check("manual", Channel::Sms, json!({"body": "STOP"}), None);
    }
}
