//! The tables of an export, in its order.

use crate::store::rows::table::Table;
use crate::store::rows::{
    action, appointment, appointment_history, attempt, call, call_leg, call_turn, campaign, campaign_member, contact,
    contact_channel, contact_history, event, event_set_aside, message, occupied, opt_out, opt_out_history, question,
    rule_firing, rule_run, sender, service, staff, staff_service, timer, timer_set_aside,
};

/// The tables in the order of an export: a table comes after those that its rows refer to.
pub const TABLES: [Table; 27] = [
    sender::TABLE,
    contact::TABLE,
    contact_channel::TABLE,
    contact_history::TABLE,
    service::TABLE,
    staff::TABLE,
    staff_service::TABLE,
    appointment::TABLE,
    appointment_history::TABLE,
    occupied::TABLE,
    opt_out::TABLE,
    opt_out_history::TABLE,
    message::TABLE,
    event::TABLE,
    event_set_aside::TABLE,
    rule_run::TABLE,
    action::TABLE,
    rule_firing::TABLE,
    question::TABLE,
    attempt::TABLE,
    call::TABLE,
    call_turn::TABLE,
    call_leg::TABLE,
    campaign::TABLE,
    campaign_member::TABLE,
    timer::TABLE,
    timer_set_aside::TABLE,
];

impl Table {
    /// Finds the table whose rows have this kind, with its place in the order.
    pub fn from_kind(kind: &str) -> Option<(usize, &'static Self)> {
        TABLES.iter().enumerate().find(|(_, table)| table.kind == kind)
    }
}
