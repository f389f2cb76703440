//! `e.appointment` and `e.next_appointment`.

use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, ImmutableString};

use crate::domain::Timestamp;
use crate::domain::appointment::AppointmentFacts;
use crate::rules::script::context::{EvalContext, ScriptError};
use crate::rules::script::registry::{Field, Kind, View};
use crate::rules::script::values::Moment;
use crate::rules::script::views::getters;

/// A file that contains one of these words reads the customer's next appointment.
pub(in crate::rules) const NEXT_APPOINTMENT: [&str; 5] =
    ["next_appointment", "confirm_appointment", "cancel_appointment", "move_appointment", FREE_SLOTS];
/// The rules of a file that contains this word read the free slots.
pub(in crate::rules) const FREE_SLOTS: &str = "free_slots";

pub(in crate::rules) const VIEW: View = View {
    paths: &["appointment", "next_appointment"],
    kind: Kind::Appointment,
    about: "An appointment: the one that the event is about, or the customer's next one. Its times are by its own clock.",
    fields: || FIELDS.iter().map(Field::info).collect(),
    methods: &[],
};

/// `e.appointment` or `e.next_appointment`
#[derive(Clone)]
pub(in crate::rules) struct AppointmentView {
    eval: Arc<EvalContext>,
    which: Which,
}

#[derive(Clone, Copy)]
enum Which {
    OfEvent,
    Next,
}

impl Which {
    const fn path(self) -> &'static str {
        match self {
            Self::OfEvent => "e.appointment",
            Self::Next => "e.next_appointment",
        }
    }

    const fn find(self, eval: &EvalContext) -> Option<&AppointmentFacts> {
        match self {
            Self::OfEvent => eval.facts.appointment.as_ref(),
            Self::Next => eval.facts.next_appointment.as_ref(),
        }
    }
}

impl AppointmentView {
    /// The appointment behind the view.
    pub fn facts(&self) -> Option<&AppointmentFacts> {
        self.which.find(&self.eval)
    }
}

type Getter = fn(&AppointmentFacts) -> Dynamic;

const fn field(name: &'static str, kind: Kind, about: &'static str, get: Getter) -> Field<Getter> {
    Field::new(name, kind, about, get)
}

const FIELDS: &[Field<Getter>] = &[
    field("id", Kind::Text, "The appointment's id.", |appointment| appointment.id.to_string().into()),
    field("service", Kind::Text, "The service.", |appointment| appointment.service.as_str().into()),
    field("staff", Kind::Text, "The person who serves; `()` if nobody is named.", |appointment| {
        appointment.staff.as_deref().map_or(Dynamic::UNIT, Into::into)
    }),
    field("starts_at", Kind::Moment, "When it starts.", |appointment| moment(appointment, appointment.starts_at)),
    field("ends_at", Kind::Moment, "When it ends.", |appointment| moment(appointment, appointment.ends_at)),
    field("state", Kind::Text, "`booked`, `confirmed`, `cancelled`, `completed` or `no_show`.", |appointment| {
        appointment.state.as_str().into()
    }),
];

fn moment(appointment: &AppointmentFacts, at: Timestamp) -> Dynamic {
    // The zone was checked when the appointment was made.
    Dynamic::from(Moment { at, zone: appointment.zone.parse().unwrap_or(chrono_tz::Tz::UTC) })
}

/// `e.appointment`
pub(in crate::rules) fn own(eval: &Arc<EvalContext>) -> Dynamic {
    view(eval, Which::OfEvent)
}

/// `e.next_appointment`
pub(in crate::rules) fn next(eval: &Arc<EvalContext>) -> Dynamic {
    view(eval, Which::Next)
}

fn view(eval: &Arc<EvalContext>, which: Which) -> Dynamic {
    if which.find(eval).is_some() {
        return Dynamic::from(AppointmentView { eval: Arc::clone(eval), which });
    }
    eval.record_read(which.path(), &Dynamic::UNIT);
    Dynamic::UNIT
}

/// `e.free_slots`
pub(in crate::rules) fn free_slots(eval: &Arc<EvalContext>) -> Dynamic {
    let facts = &eval.facts;
    let slots = facts.next_appointment.iter().flat_map(|next| facts.free_slots.iter().map(|at| moment(next, *at)));
    let slots = Dynamic::from(slots.collect::<Array>());
    eval.record_read("e.free_slots", &slots);
    slots
}

pub(in crate::rules) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<AppointmentView>("AppointmentView");
    for field in FIELDS {
        engine.register_get(field.name, |view: &mut AppointmentView| {
            let value = view.facts().map_or(Dynamic::UNIT, field.get);
            view.eval.record_read(&format!("{}.{}", view.which.path(), field.name), &value);
            value
        });
    }
    engine.register_indexer_get(|view: &mut AppointmentView, name: ImmutableString| -> Result<Dynamic, ScriptError> {
        Err(getters::unknown(view.which.path(), &name, &VIEW.names()))
    });
}
