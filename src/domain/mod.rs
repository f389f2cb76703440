//! Pure words of the field: no I/O, no database, no HTTP. Everything else speaks in these types.

pub mod abort;
pub mod action;
pub mod address;
pub mod agent;
pub mod appointment;
pub mod appointment_answer;
pub mod call;
pub mod campaign;
pub mod channel;
pub mod clock;
pub mod contact;
pub mod event;
pub mod event_kinds;
pub mod fold;
pub mod hex;
pub mod id;
pub mod name_key;
pub mod named_time;
pub mod opt_out;
pub mod phone;
pub mod phrases;
pub mod placeholders;
pub mod price;
pub mod plain;
pub mod question;
pub mod route;
pub mod refusal;
pub mod scope;
pub mod segments;
pub mod send_limits;
pub mod status;
pub mod stock_phrase;
pub mod template;
pub mod timer;
pub mod whatsapp_id;
pub mod words;

pub use action::{
    Action, ActionState, CallBody, Effect, EmailBody, HttpMethod, HttpRequest, OnMachine, Origin, Send, SendBody,
};
pub use address::{Address, EmailAddress};
pub use agent::{AgentMode, VoiceAgent, VoiceSettings};
pub use appointment::{AppointmentState, By, Change};
pub use call::{CallDirection, CallFacts, CallState, CallStatus, Step};
pub use campaign::{CampaignState, MemberState};
pub use channel::Channel;
pub use clock::{Clock, Timestamp};
pub use contact::Facts;
pub use event::{Event, EventKind};
pub use hex::hex;
pub use id::{
    ActionId, AppointmentId, CallId, CampaignId, ContactId, EventId, Ids, MessageId, ServiceId, StaffId, TenantId,
};
pub use phone::{Country, Phone};
pub use price::{Cost, Prices};
pub use question::{Firing, Question, QuestionChange};
pub use refusal::RefusalKind;
pub use route::{Route, SendQueue};
pub use scope::TokenScope;
pub use send_limits::SendLimits;
pub use status::DeliveryStatus;
pub use timer::{NewTimer, Purpose, TimerId};
pub use whatsapp_id::WhatsAppId;

/// Makes the tables and expressions that are made once, at their first use. Whoever runs scripts with an allowance of
/// processor time calls it before, so that the first script pays for none of them.
pub fn make_tables() {
    appointment_answer::make_tables();
    opt_out::make_tables();
    phone::make_tables();
}
