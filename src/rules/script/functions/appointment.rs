//! `confirm_appointment`, `cancel_appointment` and `move_appointment`.

use rhai::{Dynamic, NativeCallContext};

use crate::domain::{Action, AppointmentId, AppointmentState, Change, Effect};
use crate::rules::script::arguments::{instant, state};
use crate::rules::script::context::EvalContext;
use crate::rules::script::plan::plan;
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::views::appointment::AppointmentView;

const OPTIONAL_APPOINTMENT: &[Signature] = &[
    Signature::new(&[], Kind::PlannedAction),
    Signature::new(&[("appointment", Kind::Appointment)], Kind::PlannedAction),
];

pub(in crate::rules) const CONFIRM_APPOINTMENT: Function = Function {
    name: "confirm_appointment",
    receiver: None,
    group: Group::Appointments,
    about: "Confirms the appointment of the event, or else the customer's next one.",
    signatures: OPTIONAL_APPOINTMENT,
    example: "confirm_appointment(e.next_appointment)",
    register: |engine, _| {
        engine.register_fn("confirm_appointment", |ctx: NativeCallContext<'_>| {
            plan(&ctx, "confirm_appointment", |eval| change(eval, None, Change::Confirm))
        });
        engine.register_fn("confirm_appointment", |ctx: NativeCallContext<'_>, which: Dynamic| {
            plan(&ctx, "confirm_appointment", |eval| change(eval, Some(&which), Change::Confirm))
        });
    },
};

pub(in crate::rules) const CANCEL_APPOINTMENT: Function = Function {
    name: "cancel_appointment",
    receiver: None,
    group: Group::Appointments,
    about: "Cancels the appointment of the event, or else the customer's next one.",
    signatures: OPTIONAL_APPOINTMENT,
    example: "cancel_appointment()",
    register: |engine, _| {
        engine.register_fn("cancel_appointment", |ctx: NativeCallContext<'_>| {
            plan(&ctx, "cancel_appointment", |eval| change(eval, None, Change::Cancel))
        });
        engine.register_fn("cancel_appointment", |ctx: NativeCallContext<'_>, which: Dynamic| {
            plan(&ctx, "cancel_appointment", |eval| change(eval, Some(&which), Change::Cancel))
        });
    },
};

pub(in crate::rules) const MOVE_APPOINTMENT: Function = Function {
    name: "move_appointment",
    receiver: None,
    group: Group::Appointments,
    about: "Moves the appointment of the event, or else the customer's next one. `appointment_moved` or \
            `appointment_move_refused` follows, with the state.",
    signatures: &[
        Signature::new(&[("start", Kind::Moment)], Kind::PlannedAction),
        Signature::new(&[("start", Kind::Moment), ("state", Kind::Any)], Kind::PlannedAction),
    ],
    example: "if e.free_slots.len() > 0 { move_appointment(e.free_slots[0], #{ asked_by: \"sms\" }) }",
    register: |engine, _| {
        engine.register_fn("move_appointment", |ctx: NativeCallContext<'_>, start: Dynamic| {
            plan(&ctx, "move_appointment", |eval| move_to(eval, &start, &Dynamic::UNIT))
        });
        engine.register_fn("move_appointment", |ctx: NativeCallContext<'_>, start: Dynamic, state: Dynamic| {
            plan(&ctx, "move_appointment", |eval| move_to(eval, &start, &state))
        });
    },
};

fn change(eval: &EvalContext, which: Option<&Dynamic>, change: Change) -> Result<Action, String> {
    let appointment = find(eval, which, change)?;
    Ok(Action::Effect(match change {
        Change::Cancel => Effect::CancelAppointment { appointment },
        _ => Effect::ConfirmAppointment { appointment },
    }))
}

/// Whether the move is possible shows when it is written.
fn move_to(eval: &EvalContext, start: &Dynamic, remembered: &Dynamic) -> Result<Action, String> {
    let (starts_at, state) = (instant(start)?, state(remembered)?);
    let appointment = find(eval, None, Change::Move)?;
    Ok(Action::Effect(Effect::MoveAppointment { appointment, starts_at, state }))
}

/// Finds the appointment to change, and refuses a change that its state does not allow.
fn find(eval: &EvalContext, which: Option<&Dynamic>, change: Change) -> Result<AppointmentId, String> {
    let found = match which {
        Some(given) => {
            let view = given.read_lock::<AppointmentView>();
            view.and_then(|view| view.facts().cloned())
        }
        None => eval.facts.appointment.as_ref().or(eval.facts.next_appointment.as_ref()).cloned(),
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
