//! The objects that scripts read: the event, the customer, the business, appointments, calls and times.
//!
//! To add a field, add a line to the table of its view: the trace, the checks, the reference and the suggestions follow.

pub(in crate::rules) mod appointment;
pub(in crate::rules) mod business;
pub(in crate::rules) mod call;
pub(in crate::rules) mod contact;
pub(in crate::rules) mod event;
pub(in crate::rules) mod getters;
pub(in crate::rules) mod moment;
pub(in crate::rules) mod params;
pub(in crate::rules) mod question;

use rhai::Engine;

use crate::rules::limits::Limits;
use crate::rules::script::registry::View;

/// Every value with fields or methods of its own.
pub(in crate::rules) const VIEWS: &[&View] =
    &[&event::VIEW, &contact::VIEW, &business::VIEW, &appointment::VIEW, &call::VIEW, &question::VIEW, &moment::VIEW];

/// Registers the types, getters and methods of all views.
pub(in crate::rules) fn register(engine: &mut Engine, limits: &Limits) {
    event::register(engine);
    contact::register(engine);
    business::register(engine);
    params::register(engine);
    appointment::register(engine);
    moment::register(engine);
    for method in VIEWS.iter().flat_map(|view| view.methods) {
        (method.register)(engine, limits);
    }
}

/// Returns the names that may follow `e.` or `e.contact.` and so on; `None` if any name may.
pub(in crate::rules) fn names_after(path: &[&str]) -> Option<Vec<&'static str>> {
    let path = path.join(".");
    let view = VIEWS.iter().find(|view| view.paths.contains(&path.as_str()))?;
    Some(view.names())
}
