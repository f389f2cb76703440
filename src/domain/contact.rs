//! The facts that rules decide on: the customer, the business, the call.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::action::Effect;
use super::address::{Address, EmailAddress};
use super::appointment::AppointmentFacts;
use super::call::CallFacts;
use super::channel::{AddressKind, Channel};
use super::clock::Timestamp;
use super::event::Event;
use super::id::{ContactId, TenantId};
use super::phone::Phone;
use super::question::{Firing, Question, QuestionChange};
use super::timer::{Fired, Purpose};
use super::whatsapp_id::WhatsAppId;

/// Everything that rules can read besides the event. One function builds it for live decisions, explanations and replays.
///
/// Its JSON is the `facts` of a rule's case, where every field is optional.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The instant of the facts, which is also the current time for rules.
    pub as_of: Timestamp,
    pub tenant: TenantFacts,
    /// The customer; `None` if the event concerns none.
    pub contact: Option<ContactFacts>,
    /// The appointment of the event, at `as_of`; `None` if there is none, or if it no longer exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appointment: Option<AppointmentFacts>,
    /// The customer's next active appointment at `as_of`. It is read only if a rule uses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_appointment: Option<AppointmentFacts>,
    /// A few free times, in order, that it could be moved to. They are computed only if a rule of the event reads them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub free_slots: Vec<Timestamp>,
    /// The customer's open questions. They are read only if a rule asks any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub questions: BTreeMap<Channel, Question>,
    /// When each rule with a limit ran for the customer, as far back as the limits need.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub firings: BTreeMap<String, Vec<Timestamp>>,
    /// The call of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallFacts>,
    /// The parts that could not be rebuilt for `as_of`, in words. Empty for live decisions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_rebuilt: Vec<String>,
}

/// The business as rules read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TenantFacts {
    pub id: TenantId,
    pub slug: String,
    pub name: String,
    /// The IANA name of its zone, such as `Europe/Madrid`.
    pub zone: String,
    /// A BCP 47 tag, such as `es` or `en-US`.
    pub language: String,
    /// The blueprint rules that the tenant has enabled, with their parameters.
    pub blueprints: BTreeMap<String, BTreeMap<String, Value>>,
    /// The channels that it has a sender of its own for.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub senders: BTreeSet<Channel>,
    /// The recipients of e-mail to "staff".
    pub staff_emails: Vec<EmailAddress>,
    /// The opening hours, as `time::WeeklyHours` writes them: `mon-fri 09:00-14:00; 2026-12-25 closed`. Empty if they are
    /// not set.
    pub hours: String,
}

/// The customer as rules read them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContactFacts {
    pub id: ContactId,
    /// `None` if the customer hides it: WhatsApp then gives only `whatsapp_id`.
    pub phone: Option<Phone>,
    /// WhatsApp's id of the customer, once the provider has named it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whatsapp_id: Option<WhatsAppId>,
    /// The name that staff or a rule wrote (`set_field("name", …)`), or else the customer's own profile name.
    pub name: String,
    pub tags: BTreeSet<String>,
    pub fields: BTreeMap<String, Value>,
    /// The channels that the customer has opted out of.
    pub opted_out: BTreeSet<Channel>,
    pub created_at: Timestamp,
    /// The customer's last message by channel, before or at `as_of`.
    pub last_inbound_at: BTreeMap<Channel, Timestamp>,
    /// Messages this customer has ever sent us, the event's own included.
    pub inbound_count: i64,
}

impl Facts {
    /// Facts without a customer, for cases that leave most out.
    pub fn empty(as_of: Timestamp) -> Self {
        Self {
            as_of,
            tenant: TenantFacts::default(),
            contact: None,
            appointment: None,
            next_appointment: None,
            free_slots: Vec::new(),
            questions: BTreeMap::new(),
            firings: BTreeMap::new(),
            call: None,
            not_rebuilt: Vec::new(),
        }
    }

    /// The open question that the event may answer, or whose silence it reports.
    pub fn question(&self, event: &Event) -> Option<&Question> {
        let of_silence = || event.data["question"]["channel"].as_str()?.parse().ok();
        let channel = if is_silence(event) { of_silence() } else { event.kind.inbound_channel() };
        self.questions.get(&channel?)
    }

    /// Applies a decision's change of a question, for the next event of the same batch.
    pub fn apply_question(&mut self, change: &QuestionChange) {
        match change {
            QuestionChange::Open(question) => drop(self.questions.insert(question.channel, question.clone())),
            QuestionChange::Close(question) => {
                if self.questions.get(&question.channel).is_some_and(|open| open.id == question.id) {
                    self.questions.remove(&question.channel);
                }
            }
        }
    }

    /// Applies a firing, for the next event of the same batch.
    pub fn apply_firing(&mut self, firing: &Firing) {
        self.firings.entry(firing.rule.clone()).or_default().push(firing.at);
    }

    /// Applies a decision's effect on the customer, for the next event of the same batch.
    pub fn apply(&mut self, effect: &Effect) {
        if let Some((id, change)) = effect.appointment_change() {
            let known = self.appointment.iter_mut().chain(&mut self.next_appointment);
            known.filter(|known| known.id == id).for_each(|known| known.apply(change));
            self.next_appointment.take_if(|next| !next.is_active());
        }
        let Some(contact) = &mut self.contact else { return };
        match effect {
            Effect::Tag { tag } => {
                contact.tags.insert(tag.clone());
            }
            Effect::Untag { tag } => {
                contact.tags.remove(tag);
            }
            Effect::SetField { field, value } => {
                if field == "name" {
                    contact.name = value.as_str().unwrap_or_default().to_owned();
                }
                if value.is_null() {
                    contact.fields.remove(field);
                } else {
                    contact.fields.insert(field.clone(), value.clone());
                }
            }
            _ => {}
        }
    }
}

/// Whether the event reports that a question was not answered in time.
pub fn is_silence(event: &Event) -> bool {
    Fired::of(event).is_some_and(|fired| fired.purpose == Purpose::Silence)
}

/// Whether such an event reports that the question was never sent.
pub fn was_unsent(event: &Event) -> bool {
    event.data.get("unsent").is_some()
}

impl ContactFacts {
    /// The field `email`, if it is an address.
    pub fn email(&self) -> Option<EmailAddress> {
        EmailAddress::parse(self.fields.get("email")?.as_str()?).ok()
    }

    /// The customer's address on a channel; `None` if there is none. On WhatsApp, a known number comes before the id.
    pub fn address_on(&self, channel: Channel) -> Option<Address> {
        let phone = || self.phone.clone().map(Address::from);
        match channel.spec().address {
            AddressKind::Email => self.email().map(Address::from),
            AddressKind::Phone => phone(),
            AddressKind::PhoneOrWhatsAppId => phone().or_else(|| self.whatsapp_id.clone().map(Address::from)),
        }
    }

    /// The customer's addresses, each as [`super::Address::key`].
    pub fn address_keys(&self) -> Vec<String> {
        let phone = self.phone.iter().map(Phone::key);
        let id = self.whatsapp_id.iter().map(ToString::to_string);
        phone.chain(id).chain(self.email().map(|email| email.key())).collect()
    }

    /// The name of the customer's row: the number or, without one, the id that WhatsApp gives; for people to read.
    pub fn known_as(&self) -> &str {
        let id = || self.whatsapp_id.as_ref().map_or("", WhatsAppId::as_str);
        self.phone.as_ref().map_or_else(id, Phone::as_str)
    }

    /// The customer's time zone, if it is known: the field `zone`, an IANA name.
    pub fn zone(&self) -> Option<chrono_tz::Tz> {
        self.fields.get("zone")?.as_str()?.parse().ok()
    }

    /// The first word of the name.
    pub fn first_name(&self) -> &str {
        self.name.split_whitespace().next().unwrap_or_default()
    }
}

impl Default for TenantFacts {
    fn default() -> Self {
        Self {
            id: TenantId::new(uuid::Uuid::nil()),
            slug: "demo".to_owned(),
            name: "Demo".to_owned(),
            zone: "UTC".to_owned(),
            language: "en".to_owned(),
            blueprints: BTreeMap::new(),
            senders: BTreeSet::new(),
            staff_emails: Vec::new(),
            hours: String::new(),
        }
    }
}

impl Default for ContactFacts {
    fn default() -> Self {
        Self {
            id: ContactId::new(uuid::Uuid::nil()),
            phone: Some(Phone::parse("+15005550006").expect("a constant that is E.164")),
            whatsapp_id: None,
            name: String::new(),
            tags: BTreeSet::new(),
            fields: BTreeMap::new(),
            opted_out: BTreeSet::new(),
            created_at: Timestamp::from_unix_us(0),
            last_inbound_at: BTreeMap::new(),
            inbound_count: 1,
        }
    }
}
