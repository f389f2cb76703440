//! `e.appointment` and `e.next_appointment`: what scripts read of appointments, and what they may do with them.

use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, ImmutableString, Position};

use crate::domain::appointment::AppointmentFacts;
use crate::domain::{Action, AppointmentId, AppointmentState, Change, Effect, Timestamp};
use crate::rules::load::error::did_you_mean;
use crate::rules::script::context::{Call, ScriptError, error};
use crate::rules::script::functions::conversation::remembered;
use crate::rules::script::functions::later::instant;
use crate::rules::script::values::Moment;
use crate::rules::script::views::event::EventView;

/// Files in which one of these words stands read the customer's next appointment.
pub(in crate::rules) const NEXT_APPOINTMENT: [&str; 5] =
    ["next_appointment", "confirm_appointment", "cancel_appointment", "move_appointment", FREE_SLOTS];
/// The rules of a file in which this stands read where that could be moved to.
pub(in crate::rules) const FREE_SLOTS: &str = "free_slots";

/// The appointment that an event is about, or the customer's next one.
#[derive(Clone)]
pub(in crate::rules) struct AppointmentView {
    call: Arc<Call>,
    which: Which,
}

#[derive(Clone, Copy)]
enum Which {
    Own,
    Next,
}

impl Which {
    const fn path(self) -> &'static str {
        match self {
            Self::Own => "e.appointment",
            Self::Next => "e.next_appointment",
        }
    }

    const fn of(self, call: &Call) -> Option<&AppointmentFacts> {
        match self {
            Self::Own => call.facts.appointment.as_ref(),
            Self::Next => call.facts.next_appointment.as_ref(),
        }
    }
}

type Getter = fn(&AppointmentFacts) -> Dynamic;

/// What an appointment has. Its times are by the clock on its own wall.
const APPOINTMENT: &[(&str, Getter)] = &[
    ("id", |appointment| appointment.id.to_string().into()),
    ("service", |appointment| appointment.service.as_str().into()),
    ("staff", |appointment| appointment.staff.as_deref().map_or(Dynamic::UNIT, Into::into)),
    ("starts_at", |appointment| moment(appointment, appointment.starts_at)),
    ("ends_at", |appointment| moment(appointment, appointment.ends_at)),
    ("state", |appointment| appointment.state.as_str().into()),
];

fn moment(appointment: &AppointmentFacts, at: Timestamp) -> Dynamic {
    // The zone was checked when the appointment was made.
    Dynamic::from(Moment { at, zone: appointment.zone.parse().unwrap_or(chrono_tz::Tz::UTC) })
}

pub(in crate::rules) fn names() -> impl Iterator<Item = &'static str> {
    APPOINTMENT.iter().map(|(name, _)| *name)
}

pub(in crate::rules) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<AppointmentView>("AppointmentView");
    for (name, which) in [("appointment", Which::Own), ("next_appointment", Which::Next)] {
        engine.register_get(name, move |view: &mut EventView| {
            let call = Arc::clone(&view.0);
            if which.of(&call).is_some() {
                return Dynamic::from(AppointmentView { call, which });
            }
            call.saw(which.path(), &Dynamic::UNIT);
            Dynamic::UNIT
        });
    }
    engine.register_get(FREE_SLOTS, |view: &mut EventView| {
        let facts = &view.0.facts;
        let slots = facts.next_appointment.iter().flat_map(|next| facts.free_slots.iter().map(|at| moment(next, *at)));
        let slots = Dynamic::from(slots.collect::<Array>());
        view.0.saw("e.free_slots", &slots);
        slots
    });
    for (name, getter) in APPOINTMENT {
        engine.register_get(*name, move |view: &mut AppointmentView| {
            let value = view.which.of(&view.call).map_or(Dynamic::UNIT, getter);
            view.call.saw(&format!("{}.{name}", view.which.path()), &value);
            value
        });
    }
    engine.register_indexer_get(|view: &mut AppointmentView, name: ImmutableString| -> Result<Dynamic, ScriptError> {
        let path = view.which.path();
        let hint =
            did_you_mean(&name, names()).map_or_else(String::new, |meant| format!(": did you mean {path}.{meant}?"));
        Err(error(format!("{path} has no '{name}'{hint}"), Position::NONE))
    });
}

/// A change of `which`; where nothing is said, of the appointment that the event is about, or else of the customer's next.
pub(in crate::rules) fn change(call: &Call, which: Option<&Dynamic>, change: Change) -> Result<Action, String> {
    let appointment = changed(call, which, change)?;
    Ok(Action::Effect(match change {
        Change::Cancel => Effect::CancelAppointment { appointment },
        _ => Effect::ConfirmAppointment { appointment },
    }))
}

/// A move of the appointment that the event is about, or else of the customer's next. Whether it is possible shows when
/// it is done: an event says so, with `state`.
pub(in crate::rules) fn move_to(call: &Call, start: &Dynamic, state: &Dynamic) -> Result<Action, String> {
    let (starts_at, state) = (instant(start)?, remembered(state)?);
    let appointment = changed(call, None, Change::Move)?;
    Ok(Action::Effect(Effect::MoveAppointment { appointment, starts_at, state }))
}

fn changed(call: &Call, which: Option<&Dynamic>, change: Change) -> Result<AppointmentId, String> {
    let found = match which {
        Some(given) => {
            let view = given.read_lock::<AppointmentView>();
            view.and_then(|view| view.which.of(call).cloned())
        }
        None => call.facts.appointment.as_ref().or(call.facts.next_appointment.as_ref()).cloned(),
    };
    let Some(facts) = found else {
        return Err(
            "there is no such appointment: ask first, such as .when(\"has one\", |e| e.next_appointment != ())"
                .to_owned(),
        );
    };
    let state: AppointmentState = facts.state.parse().map_err(|bad| format!("{bad}"))?;
    if state.after(change).is_none() {
        return Err(format!("the appointment is {state}, and cannot be {} any more", change.done()));
    }
    Ok(facts.id)
}
