//! What is known of a customer and of the business when a rule decides.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::appointment::AppointmentFacts;
use super::question::{Firing, Question, QuestionChange};
use super::timer::Fired;
use super::{CallFacts, Channel, ContactId, Effect, EmailAddress, Event, Phone, Purpose, TenantId, Timestamp};

/// All that rules may read besides the event. Built by one function for live decisions, explanations and replays.
///
/// As JSON it is the `facts` of a rule's case; every field may be left out there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The instant of the facts, which is also the rules' now.
    pub as_of: Timestamp,
    pub tenant: TenantFacts,
    /// `None` for events that concern no customer.
    pub contact: Option<ContactFacts>,
    /// The appointment that the event is about, as it stands at `as_of`; `None` where it is about none, or it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub appointment: Option<AppointmentFacts>,
    /// The customer's next appointment that stands at `as_of`; read only where some rule asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_appointment: Option<AppointmentFacts>,
    /// Where that could be moved to: a few free times, in order; looked for only where a rule that is asked reads them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub free_slots: Vec<Timestamp>,
    /// The customer's open questions; read where rules ask any.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub questions: BTreeMap<Channel, Question>,
    /// When rules that have a limit last ran for the customer, as far back as the limits look.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub firings: BTreeMap<String, Vec<Timestamp>>,
    /// The call that the event is of, as it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallFacts>,
    /// What could not be rebuilt as it was at `as_of`, in words; empty for live decisions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_rebuilt: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TenantFacts {
    pub id: TenantId,
    pub slug: String,
    pub name: String,
    /// IANA name, such as `Europe/Madrid`.
    pub zone: String,
    /// BCP 47, such as `es` or `en-US`.
    pub language: String,
    /// Names of the blueprint rules that this tenant has enabled, with their parameters.
    pub blueprints: BTreeMap<String, BTreeMap<String, Value>>,
    /// Where e-mail to "staff" goes.
    pub staff_emails: Vec<EmailAddress>,
    /// When it is open, as `time::WeeklyHours` writes it: `mon-fri 09:00-14:00; 2026-12-25 closed`; empty where nobody has
    /// said so.
    pub hours: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContactFacts {
    pub id: ContactId,
    pub phone: Phone,
    /// As staff or a rule wrote it (`set_field("name", …)`), else the name the customer gave themselves, else empty.
    pub name: String,
    pub tags: BTreeSet<String>,
    pub fields: BTreeMap<String, Value>,
    /// Channels on which the customer does not want to hear from this business.
    pub opted_out: BTreeSet<Channel>,
    pub created_at: Timestamp,
    /// The customer's last message by channel, before or at `as_of`.
    pub last_inbound_at: BTreeMap<Channel, Timestamp>,
    /// Messages this customer has ever sent us, the event's own included.
    pub inbound_count: i64,
}

impl Facts {
    /// Facts of nobody in particular, for cases that leave most out.
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

    /// The open question that the event may answer, or whose silence it tells.
    pub fn question(&self, event: &Event) -> Option<&Question> {
        let silent = || event.data["question"]["channel"].as_str()?.parse().ok();
        let channel = if is_silence(event) { silent() } else { event.kind.inbound_channel() };
        self.questions.get(&channel?)
    }

    /// Lets what a decision did to the customer's questions show in the next event of the same batch.
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

    /// Lets a firing count for the next event of the same batch.
    pub fn apply_firing(&mut self, firing: &Firing) {
        self.firings.entry(firing.rule.clone()).or_default().push(firing.at);
    }

    /// Lets a decision's effects on the customer show in the facts of the next event in the same batch.
    pub fn apply(&mut self, effect: &Effect) {
        if let Some((id, change)) = effect.of_appointment() {
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

/// Whether the event says that nobody has answered a question in time.
pub fn is_silence(event: &Event) -> bool {
    Fired::of(event).is_some_and(|fired| fired.purpose == Purpose::Silence)
}

impl ContactFacts {
    /// The field `email`, where that is an address.
    pub fn email(&self) -> Option<EmailAddress> {
        EmailAddress::parse(self.fields.get("email")?.as_str()?).ok()
    }

    /// What the customer can be reached under, each as [`super::Address::key`].
    pub fn address_keys(&self) -> Vec<String> {
        std::iter::once(self.phone.key()).chain(self.email().map(|email| email.key())).collect()
    }

    /// The customer's own time zone, if it is known: their field `zone`, an IANA name.
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
            staff_emails: Vec::new(),
            hours: String::new(),
        }
    }
}

impl Default for ContactFacts {
    fn default() -> Self {
        Self {
            id: ContactId::new(uuid::Uuid::nil()),
            phone: Phone::parse("+15005550006").expect("a constant that is E.164"),
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
