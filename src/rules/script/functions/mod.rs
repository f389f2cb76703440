//! The functions that rules can call: one file for each function, or for a few that belong together.
//!
//! [`crate::rules`] says how to add one.

pub(in crate::rules) mod appointment;
pub(in crate::rules) mod appointment_answer;
pub(in crate::rules) mod ask;
pub(in crate::rules) mod emit;
pub(in crate::rules) mod fill;
pub(in crate::rules) mod forbidden;
pub(in crate::rules) mod http_request;
pub(in crate::rules) mod in_call;
pub(in crate::rules) mod later;
pub(in crate::rules) mod named_time;
pub(in crate::rules) mod note;
pub(in crate::rules) mod notify;
pub(in crate::rules) mod number;
pub(in crate::rules) mod pass_on;
pub(in crate::rules) mod pick;
pub(in crate::rules) mod place_call;
pub(in crate::rules) mod replace;
pub(in crate::rules) mod reply;
pub(in crate::rules) mod review_link;
pub(in crate::rules) mod send_email;
pub(in crate::rules) mod send_message;
pub(in crate::rules) mod send_whatsapp_template;
pub(in crate::rules) mod set_field;
pub(in crate::rules) mod tag;
pub(in crate::rules) mod text;
pub(in crate::rules) mod time;

use crate::rules::script::registry::Function;

/// Every function that rules can call, in the order of the reference.
pub(in crate::rules) const FUNCTIONS: &[&Function] = &[
    &reply::REPLY,
    &send_message::SEND_SMS,
    &send_message::SEND_WHATSAPP,
    &send_message::SEND_RCS,
    &send_whatsapp_template::SEND_WHATSAPP_TEMPLATE,
    &send_email::SEND_EMAIL,
    &notify::NOTIFY,
    &place_call::CALL,
    &http_request::HTTP_REQUEST,
    &review_link::REVIEW_LINK,
    &later::IN,
    &later::AT,
    &ask::ASK,
    &pass_on::PASS_ON,
    &tag::TAG,
    &tag::UNTAG,
    &set_field::SET_FIELD,
    &note::NOTE,
    &emit::EMIT,
    &appointment::CONFIRM_APPOINTMENT,
    &appointment::CANCEL_APPOINTMENT,
    &appointment::MOVE_APPOINTMENT,
    &in_call::say::SAY,
    &in_call::play::PLAY,
    &in_call::play::PAUSE,
    &in_call::gather::GATHER,
    &in_call::gather::MENU,
    &in_call::record::RECORD,
    &in_call::dial::DIAL,
    &in_call::enqueue::ENQUEUE,
    &in_call::enqueue::DIAL_QUEUE,
    &in_call::redirect::REDIRECT,
    &in_call::connect_agent::CONNECT_AGENT,
    &in_call::remember::REMEMBER,
    &in_call::hangup::HANGUP,
    &in_call::hangup::REJECT,
    &text::FOLD,
    &text::CONTAINS_ANY,
    &appointment_answer::APPOINTMENT_ANSWER,
    &number::NUMBER,
    &pick::PICK,
    &fill::FILL,
    &replace::REPLACE,
    &time::TIME,
    &time::LOCAL,
    &named_time::NAMED_TIME,
];
