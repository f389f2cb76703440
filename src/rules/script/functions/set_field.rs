//! `set_field`: a field of the customer.

use rhai::{Dynamic, NativeCallContext};

use crate::domain::Effect;
use crate::rules::script::arguments::name;
use crate::rules::script::functions::tag::on_customer;
use crate::rules::script::plan::plan_effect;
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::values::to_json;

pub(in crate::rules) const SET_FIELD: Function = Function {
    name: "set_field",
    receiver: None,
    group: Group::Customer,
    about: "Sets a field of the customer, such as `name`, `email`, `language` or `prefers`; `()` removes it.",
    signatures: &[Signature::new(&[("field", Kind::Text), ("value", Kind::Any)], Kind::Nothing)],
    example: r#"set_field("language", "es")"#,
    register: |engine, _| {
        engine.register_fn("set_field", |ctx: NativeCallContext<'_>, field: Dynamic, value: Dynamic| {
            plan_effect(&ctx, "set_field", |eval| {
                let effect = Effect::SetField { field: name("a field", &field)?, value: to_json(&value)? };
                on_customer(eval, effect)
            })
        });
    },
};
