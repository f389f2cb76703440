//! Converts a message of the provider into an inbound message of a tenant.

use std::sync::Arc;

use crate::domain::address::Address as CustomerAddress;
use crate::domain::channel::{AddressKind, OptOut};
use crate::domain::event::{Button, InboundData, Location, Media};
use crate::domain::opt_out::{self, OptOutWord};
use crate::domain::{Channel, Phone, Timestamp, WhatsAppId};
use crate::integrations::twilio::inbound::{Address, InboundMessage, OptOutType};
use crate::store::{Confirmation, NewInbound, OptOutKeyword};
use crate::tenants::{Snapshot, Tenant};

/// The channel that the prefix of one of the addresses names; text messages have none.
pub fn prefixed_channel(from: &Address, to: &Address) -> Channel {
    from.channel.or(to.channel).unwrap_or(Channel::Sms)
}

/// Converts a message of the provider into a new inbound message.
pub fn parse(tenant: &Tenant, channel: Channel, message: InboundMessage, at: Timestamp, late: bool) -> NewInbound {
    let keyword = opt_out_keyword(tenant, channel, &message);
    let whatsapp_id = message.external_user_id.as_deref().and_then(|id| WhatsAppId::parse(id).ok());
    let whatsapp_id = whatsapp_id.filter(|_| channel == Channel::WhatsApp);
    let from = customer(channel, &message.from.value).or_else(|| whatsapp_id.clone().map(Into::into));
    let data = InboundData {
        from: message.from.value,
        to: message.to.value,
        body: message.body,
        provider_sid: message.message_sid,
        media: message.media.into_iter().map(|one| Media { url: one.url, content_type: one.content_type }).collect(),
        button: message.button.map(|button| Button { text: button.text, payload: button.payload }),
        location: message.location.map(|place| Location {
            latitude: place.latitude,
            longitude: place.longitude,
            address: place.address,
            label: place.label,
        }),
        profile_name: message.profile_name,
        replied_to: message.replied_to_sid,
        opt_out_type: message.opt_out_type.map(|kind| kind.as_str().to_owned()),
        late,
        dropped: message.dropped,
    };
    let segments = i32::try_from(message.num_segments).unwrap_or(i32::MAX);
    NewInbound { whatsapp_id, ..NewInbound::new(tenant.id, channel, from, data, at, segments, keyword) }
}

/// The address of a customer; `None` for a short code or a name, which nobody can be answered at.
fn customer(channel: Channel, from: &str) -> Option<CustomerAddress> {
    let id = || WhatsAppId::parse(from).ok().map(CustomerAddress::from);
    let hides_number = channel.spec().address == AddressKind::PhoneOrWhatsAppId;
    Phone::parse(from).ok().map(CustomerAddress::from).or_else(|| id().filter(|_| hides_number))
}

/// Recognises STOP, START and HELP. Where the provider has recognised the word, it has answered, too.
fn opt_out_keyword(tenant: &Tenant, channel: Channel, message: &InboundMessage) -> Option<OptOutKeyword> {
    let text = crate::domain::words::fold_words(&message.body);
    if let Some(kind) = message.opt_out_type {
        let word = match kind {
            OptOutType::Stop => OptOutWord::Stop,
            OptOutType::Start => OptOutWord::Start,
            OptOutType::Help => OptOutWord::Help,
        };
        return Some(OptOutKeyword { word, text, only_if_opted_out: false, confirmation: None });
    }
    let found = opt_out::recognise(&message.body)?;
    let providers = channel.spec().opt_out == OptOut::WordAnsweredByTwilio && found.twilio_handles_on_sms;
    let confirmation = (!providers).then(|| Confirmation {
        sender: message.to.value.clone(),
        text: opt_out::confirmation(found.word, found.language, &tenant.name),
    });
    Some(OptOutKeyword { word: found.word, text, only_if_opted_out: found.only_if_opted_out, confirmation })
}

/// Finds the tenant of a message where no URL names one: by number, by Messaging Service, or by account.
pub fn tenant_of(
    snapshot: &Snapshot,
    channel: Channel,
    to: &str,
    service: Option<&str>,
    account_sid: &str,
) -> Option<Arc<Tenant>> {
    let by_service = || service.and_then(|service| snapshot.by_number(channel, service));
    let named = snapshot.by_number(channel, to).or_else(by_service);
    let found = named.or_else(|| snapshot.by_own_account(account_sid));
    found.filter(|tenant| tenant.account.sid == account_sid).cloned()
}
