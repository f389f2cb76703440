//! `tag` and `untag`: the customer's tags.

use rhai::{Dynamic, NativeCallContext};

use crate::domain::{Action, Effect};
use crate::rules::script::arguments::name;
use crate::rules::script::context::{EvalContext, RequestedAction};
use crate::rules::script::plan::plan_effect;
use crate::rules::script::registry::{Function, Group, Kind, Signature};

const SIGNATURES: &[Signature] = &[Signature::new(&[("tag", Kind::Text)], Kind::Nothing)];

pub(in crate::rules) const TAG: Function = Function {
    name: "tag",
    receiver: None,
    group: Group::Customer,
    about: "Gives the customer a tag.",
    signatures: SIGNATURES,
    example: r#"tag("member")"#,
    register: |engine, _| {
        engine.register_fn("tag", |ctx: NativeCallContext<'_>, tag: Dynamic| {
            plan_effect(&ctx, "tag", |eval| on_customer(eval, Effect::Tag { tag: name("a tag", &tag)? }))
        });
    },
};

pub(in crate::rules) const UNTAG: Function = Function {
    name: "untag",
    receiver: None,
    group: Group::Customer,
    about: "Takes a tag from the customer.",
    signatures: SIGNATURES,
    example: r#"untag("member")"#,
    register: |engine, _| {
        engine.register_fn("untag", |ctx: NativeCallContext<'_>, tag: Dynamic| {
            plan_effect(&ctx, "untag", |eval| on_customer(eval, Effect::Untag { tag: name("a tag", &tag)? }))
        });
    },
};

/// Makes an effect on the customer; a blocked one if the event concerns none.
pub(in crate::rules) fn on_customer(eval: &EvalContext, effect: Effect) -> Result<RequestedAction, String> {
    let action = Action::Effect(effect);
    Ok(match eval.contact() {
        Some(_) => action.into(),
        None => RequestedAction::blocked(action, format!("the event {} concerns no customer", eval.event.kind)),
    })
}
