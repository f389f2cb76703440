//! The tools of voice agents. A conversation model, a live conversation and the HTTP API share one list and one code.
//!
//! Requests are hostile, because a caller may have talked the agent into anything. An agent acts for the customer on
//! the line only, as a customer may: within opening hours and in the future.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::domain::appointment::By;
use crate::domain::{AppointmentId, Change, Clock, ContactId, Event, EventId, EventKind, Phone, Timestamp};
use crate::engine::Engine;
use crate::engine::availability::parse_starts;
use crate::engine::availability::{Availability, SlotSearch};
use crate::engine::pipeline::Pipeline;
use crate::integrations::chat_model::Tool;
use crate::store::tables::appointments::{Appointment, BookingError, Filter, Moved, NewAppointment, Order};
use crate::store::{Store, StoreError};
use crate::tenants::Tenant;

/// The most free times that one answer offers.
const SLOTS_MAX: usize = 12;
const APPOINTMENTS_MAX: usize = 10;
/// The longest message for staff.
pub const MESSAGE_CHARS: usize = 2_000;

/// The customer that an agent acts for.
#[derive(Clone, Debug)]
pub struct ToolCustomer {
    pub tenant: Arc<Tenant>,
    /// The customer's number, if there is one.
    pub phone: Option<Phone>,
}

/// Why a tool was not carried out. The text is for the agent.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    #[error("there is no tool '{0}'; there are: {known}", known = NAMES.join(", "))]
    Unknown(String),
    #[error("{0}")]
    Unfit(String),
    #[error("the caller's number is not known: ask for it, or let a person call back")]
    Nobody,
    #[error(transparent)]
    Booking(#[from] BookingError),
    #[error("this does not work at the moment; offer to have somebody call back")]
    Store(#[from] StoreError),
}

/// The names of the tools.
pub const NAMES: [&str; 6] =
    ["find_customer", "free_slots", "book_appointment", "move_appointment", "cancel_appointment", "leave_message"];

/// The tools as a model is offered them.
pub fn offered() -> Vec<Tool> {
    let text = |description: &str| json!({"type": "string", "description": description});
    let tool = |name: &str, description: &str, properties: Value, required: &[&str]| Tool {
        name: name.to_owned(),
        description: description.to_owned(),
        parameters: json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false}),
    };
    let service = text("what is to be done, by its name");
    let starts = text("when, as 2026-12-01T10:00, by the clock of the business");
    let which = text("the appointment's id; the next one where it is left out");
    vec![
        tool("find_customer", "Who is calling: name, tags and coming appointments", json!({}), &[]),
        tool(
            "free_slots",
            "Free times for a service, in order",
            json!({"service": service, "from": text("not before this, as 2026-12-01T10:00"), "staff": text("with nobody else")}),
            &["service"],
        ),
        tool(
            "book_appointment",
            "Books a free time for the caller",
            json!({"service": service, "starts_at": starts, "staff": text("with whom"), "name": text("the caller's name")}),
            &["service", "starts_at"],
        ),
        tool(
            "move_appointment",
            "Moves an appointment of the caller's",
            json!({"starts_at": starts, "appointment": which}),
            &["starts_at"],
        ),
        tool("cancel_appointment", "Cancels an appointment of the caller's", json!({"appointment": which}), &[]),
        tool(
            "leave_message",
            "Leaves a message for the staff, who will get back to the caller",
            json!({"message": text("what the caller wants, in their words")}),
            &["message"],
        ),
    ]
}

/// Carries out tools.
#[derive(Clone)]
pub struct Tools {
    pipeline: Arc<Pipeline>,
    store: Store,
    clock: Clock,
}

#[derive(Serialize)]
struct Known {
    id: String,
    service: String,
    staff: Option<String>,
    /// Local time of the business.
    starts_at: String,
    state: String,
}

impl Tools {
    pub fn new(engine: &Engine) -> Self {
        Self { pipeline: engine.pipeline.clone(), store: engine.store.clone(), clock: engine.clock.clone() }
    }

    /// Calls a tool for a customer. The result is for the agent.
    pub async fn call(
        &self,
        customer: &ToolCustomer,
        name: &str,
        arguments: &Map<String, Value>,
    ) -> Result<Value, ToolError> {
        let id: EventId = self.store.ids().next();
        self.call_as(id.uuid(), customer, name, arguments).await
    }

    /// Like [`Tools::call`], with an identity for what is created: a repeat with the same identity creates nothing new.
    pub async fn call_as(
        &self,
        id: Uuid,
        customer: &ToolCustomer,
        name: &str,
        arguments: &Map<String, Value>,
    ) -> Result<Value, ToolError> {
        let known = NAMES.iter().find(|known| **known == name);
        let Some(name) = known else { return Err(ToolError::Unknown(name.chars().take(64).collect())) };
        let given = Given(arguments);
        tracing::info!(tenant = %customer.tenant.slug, tool = name, "an agent calls a tool");
        let done = match *name {
            "find_customer" => self.find_customer(customer).await,
            "free_slots" => self.free_slots(customer, &given).await,
            "book_appointment" => self.book(id, customer, &given).await,
            "move_appointment" => self.change(customer, &given, Change::Move).await,
            "cancel_appointment" => self.change(customer, &given, Change::Cancel).await,
            _ => self.leave_message(EventId::new(id), customer, &given).await,
        };
        self.pipeline.wake_for_rows(customer.tenant.id);
        done
    }

    async fn find_customer(&self, customer: &ToolCustomer) -> Result<Value, ToolError> {
        let Some(contact) = self.contact(customer).await? else {
            return Ok(json!({"known": false, "appointments": []}));
        };
        let (facts, _) = self.store.contact_facts(customer.tenant.id, &[contact], None).await?;
        let facts = facts.get(&contact);
        let appointments = self.appointments(customer, contact).await?;
        Ok(json!({
            "known": true,
            "name": facts.map_or("", |facts| facts.name.as_str()),
            "tags": facts.map(|facts| facts.tags.clone()).unwrap_or_default(),
            "appointments": appointments.iter().map(known).collect::<Vec<_>>(),
        }))
    }

    async fn free_slots(&self, customer: &ToolCustomer, given: &Given<'_>) -> Result<Value, ToolError> {
        let now = self.clock.now();
        let from = given.optional("from")?.map(|from| self.at(customer, from)).transpose()?.unwrap_or(now);
        let wanted = SlotSearch {
            service: given.text("service")?.to_owned(),
            staff: given.optional("staff")?.map(str::to_owned),
            from,
            to: Timestamp::from_unix_us(i64::MAX),
            limit: SLOTS_MAX,
        };
        let slots = Availability::new(&self.store, &customer.tenant).free_slots(&wanted).await?;
        let slot = |slot: &crate::engine::availability::Slot| json!({"starts_at": slot.starts_local.format("%Y-%m-%dT%H:%M").to_string(), "staff": slot.staff});
        Ok(json!({"slots": slots.iter().map(slot).collect::<Vec<_>>()}))
    }

    async fn book(&self, id: Uuid, customer: &ToolCustomer, given: &Given<'_>) -> Result<Value, ToolError> {
        let uid = format!("{id}@agent");
        if let Some(booked) = self.store.appointment_by_uid(customer.tenant.id, &uid).await? {
            // An earlier try of this request booked it.
            return Ok(json!({"booked": known(&booked)}));
        }
        let new = NewAppointment {
            tenant: customer.tenant.id,
            zone: customer.tenant.zone,
            customer: customer.phone.clone().ok_or(ToolError::Nobody)?,
            customer_name: given.optional("name")?.unwrap_or_default().chars().take(80).collect(),
            service: given.text("service")?.to_owned(),
            new_service: false,
            minutes: None,
            staff: given.optional("staff")?.map(str::to_owned),
            starts: parse_starts(given.text("starts_at")?).map_err(|error| ToolError::Unfit(error.to_string()))?,
            note: String::new(),
            uid: Some(uid),
            by: By::Customer,
        };
        let booked = Availability::new(&self.store, &customer.tenant).book(&new).await?;
        Ok(json!({"booked": known(&booked)}))
    }

    /// Moves or cancels an appointment of the customer.
    async fn change(&self, customer: &ToolCustomer, given: &Given<'_>, change: Change) -> Result<Value, ToolError> {
        let contact = self.contact(customer).await?.ok_or(ToolError::Nobody)?;
        let theirs = self.appointments(customer, contact).await?;
        let wanted = given.optional("appointment")?;
        let one = theirs.iter().find(|one| wanted.is_none_or(|wanted| one.id.to_string() == wanted));
        let Some(one) = one else {
            return Err(ToolError::Unfit("the caller has no such appointment: find_customer lists theirs".to_owned()));
        };
        let id: AppointmentId = one.id;
        let to = match change {
            Change::Move => {
                let at = given.text("starts_at")?;
                let starts = parse_starts(at).map_err(|error| ToolError::Unfit(error.to_string()))?;
                self.must_be_free(customer, one, starts.at(one.zone)).await?;
                Some(Moved { starts: Some(starts), ..Moved::default() })
            }
            _ => None,
        };
        let order = Order { tenant: customer.tenant.id, id, change, to, version: Some(one.version), by: By::Customer };
        let (one, _) = self.store.change_appointment(&order).await?;
        Ok(json!({"appointment": known(&one)}))
    }

    /// Fails unless a customer could book this time.
    async fn must_be_free(&self, customer: &ToolCustomer, one: &Appointment, at: Timestamp) -> Result<(), ToolError> {
        let wanted = SlotSearch {
            service: one.service.clone(),
            staff: one.staff.clone(),
            from: at,
            to: at.plus(std::time::Duration::from_secs(1)),
            limit: 1,
        };
        let free = Availability::new(&self.store, &customer.tenant).free_slots(&wanted).await?;
        if free.iter().any(|slot| slot.starts_at == at) {
            return Ok(());
        }
        Err(ToolError::Unfit("that time is not free: free_slots gives those that are".to_owned()))
    }

    /// Emits an event, by which rules inform the staff.
    async fn leave_message(&self, id: EventId, customer: &ToolCustomer, given: &Given<'_>) -> Result<Value, ToolError> {
        let message: String = given.text("message")?.chars().take(MESSAGE_CHARS).collect();
        let event = Event {
            id,
            tenant: customer.tenant.id,
            kind: EventKind::MESSAGE_LEFT,
            channel: None,
            contact: self.contact(customer).await?,
            occurred_at: self.clock.now(),
            dedupe_key: None,
            depth: 0,
            data: json!({"from": customer.phone.as_ref().map(Phone::as_str), "body": message}),
        };
        self.pipeline.add_event(&event).await?;
        Ok(json!({"left": true}))
    }

    async fn contact(&self, customer: &ToolCustomer) -> Result<Option<ContactId>, StoreError> {
        match &customer.phone {
            Some(phone) => self.store.contact_by_key(customer.tenant.id, &phone.key()).await,
            None => Ok(None),
        }
    }

    /// The customer's future appointments, soonest first.
    async fn appointments(&self, customer: &ToolCustomer, contact: ContactId) -> Result<Vec<Appointment>, StoreError> {
        let filter = Filter {
            from: Some(self.clock.now()),
            to: None,
            staff: None,
            contact: Some(contact),
            state: None,
            after: None,
            limit: APPOINTMENTS_MAX,
        };
        let mut all = self.store.appointments(customer.tenant.id, &filter).await?;
        all.retain(|one| one.state.is_active());
        Ok(all)
    }

    fn at(&self, customer: &ToolCustomer, text: &str) -> Result<Timestamp, ToolError> {
        let starts = parse_starts(text).map_err(|error| ToolError::Unfit(error.to_string()))?;
        Ok(starts.at(customer.tenant.zone))
    }
}

fn known(one: &Appointment) -> Value {
    json!(Known {
        id: one.id.to_string(),
        service: one.service.clone(),
        staff: one.staff.clone(),
        starts_at: one.starts_local.format("%Y-%m-%dT%H:%M").to_string(),
        state: one.state.as_str().to_owned(),
    })
}

struct Given<'a>(&'a Map<String, Value>);

impl<'a> Given<'a> {
    fn optional(&self, name: &str) -> Result<Option<&'a str>, ToolError> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.trim())),
            Some(_) => Err(ToolError::Unfit(format!("{name} is a text"))),
        }
    }

    fn text(&self, name: &str) -> Result<&'a str, ToolError> {
        self.optional(name)?.ok_or_else(|| ToolError::Unfit(format!("{name} is missing")))
    }
}
