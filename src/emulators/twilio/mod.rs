//! An emulator of Twilio's REST API, for trying Recado out and for tests: messages, calls, numbers, templates.
//!
//! It answers like Twilio (<https://www.twilio.com/docs/messaging/api/message-resource>), calls webhooks and reports
//! deliveries with signed requests, respects the consent of customers, and has faults on demand ([`faults`]).
//!
//! | Route | |
//! |---|---|
//! | `POST`, `GET /2010-04-01/Accounts/{sid}/Messages.json` | create, list |
//! | `GET`, `POST`, `DELETE /2010-04-01/Accounts/{sid}/Messages/{sid}.json` | one message: fetch, redact or cancel, delete |
//! | `GET /2010-04-01/Accounts/{sid}/Messages/{sid}/Media.json` | its media |
//! | `POST`, `GET /2010-04-01/Accounts/{sid}/IncomingPhoneNumbers.json`, `…/{sid}.json` | numbers, their URLs |
//! | `POST`, `GET /2010-04-01/Accounts/{sid}/Calls.json`, `…/Calls/{sid}.json` | calls: create, list; fetch, end or redirect, delete |
//! | `GET /2010-04-01/Accounts/{sid}/Recordings/{sid}.json`, `….wav` | a recording; its audio is a tone of the same length |
//! | `GET /2010-04-01/Accounts/{sid}/AvailablePhoneNumbers/{country}/Local.json`, `TollFree`, `Mobile` | numbers for sale |
//! | `GET /2010-04-01/Accounts/{sid}.json`, `…/Balance.json` | the account |
//! | `POST`, `GET /v1/Content`, `…/{sid}`, `…/{sid}/ApprovalRequests[/whatsapp]` | templates |
//! | `GET /carrier/numbers` | the numbers that customers can reach |
//! | `POST /carrier/texts` | a customer's message ([`CustomerText`]), with its webhook |
//! | `GET /carrier/feed?customer=…&after=…&wait_ms=…` | new and changed messages: a long poll |
//! | `POST /carrier/messages/{sid}/read` | the customer opens a WhatsApp message |
//! | `POST /carrier/inbound` | a customer's message without a webhook, as if it had been missed: [`Inbound`] |
//! | `POST`, `GET`, `DELETE /carrier/faults` | activate a [`Fault`], list and clear them |
//! | `POST /carrier/calls` | an inbound call ([`CustomerCall`]): requests the number's voice URL |
//! | `GET /carrier/calls?customer=…&after=…&wait_ms=…` | new and changed calls: a long poll |
//! | `GET /carrier/calls/{sid}?after=…&wait_ms=…` | the events of a call ([`CallEvent`]) after a given one: a long poll |
//! | `POST /carrier/calls/{sid}/act` | the person at the phone answers, presses keys, speaks, is silent, hangs up ([`Act`]) |
//! | `GET /carrier/calls/{sid}/streams`, `GET /carrier/streams/{sid}/sound` | a call's media streams; the received audio of one |
//! | `PUT`, `GET`, `DELETE /carrier/parties/{number}` | the script of a called number ([`Party`]) |
//! | `PUT`, `GET /carrier/pace` | calls per second; real time or not ([`Pace`]) |
//!
//! **Architecture invariant:** the emulator calls loopback addresses only. Its own routes need no credentials, so it must
//! listen on loopback only, which [`listen`] enforces.

mod account;
mod answer;
mod available;
mod callback_queue;
mod callbacks;
mod calls;
mod carrier;
mod consent;
mod content;
mod control;
pub mod faults;
mod feed;
mod inbound;
mod long_poll;
mod messages;
mod method;
mod number_store;
mod numbers;
mod request;
mod router;
mod store;
mod templates;
#[cfg(test)]
mod tests;
mod twiml;
mod validate;
mod webhook;

pub use calls::call::{Call, CallDirection, CallEvent, CallLogEntry, CallStatus, HungUpBy};
pub use calls::control::{CallError, CustomerCall};
pub use calls::party::{Act, Party, PicksUp, Step};
pub use calls::sound::Sound;
pub use calls::state::Pace;
pub use calls::stream_record::StreamRecord;
pub use carrier::{Carrier, CarrierConfig, Inbound, listen};
pub use consent::{SANDBOX, SANDBOX_CODE};
pub use faults::{Fault, FaultKind, On};
pub use inbound::{CustomerText, TextError, content_type};
pub use number_store::NumberConfig;
pub use store::{Direction, Message, WebhookOutcome};
pub use validate::check_loopback;
