//! `.for_each("contacts", |c| …)`

use std::any::TypeId;

use rhai::{Dynamic, Engine, NativeCallContext};

use crate::rules::limits::Limits;
use crate::rules::load::builder::draft::{Closure, ForEach, RuleBuilder};
use crate::rules::script::context::error;
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::values::text_of;

const HINT: &str = "write .for_each(\"contacts\", |c| c.tag(\"member\"))";

pub(in crate::rules) const FOR_EACH: Function = Function {
    name: "for_each",
    receiver: Some(Kind::Rule),
    group: Group::Rule,
    about: "Runs a scheduled rule for each customer that passes the filter, or for all.",
    signatures: &[
        Signature::new(&[("over", Kind::Text)], Kind::Rule),
        Signature::new(&[("over", Kind::Text), ("filter", Kind::Closure)], Kind::Rule),
    ],
    example: r#"rule("Monday round").cron("0 9 * * MON")
    .for_each("contacts", |c| c.tag("member"))
    .then(|e| send_whatsapp_template(e.contact, "weekly_offer", #{ "1": e.contact.first_name }));"#,
    register,
};

fn register(engine: &mut Engine, _: &Limits) {
    for closures in 0..=1 {
        let mut types = vec![TypeId::of::<Dynamic>(); 2 + closures];
        types[0] = TypeId::of::<RuleBuilder>();
        engine.register_raw_fn("for_each", &types, |ctx, args| {
            let filter = args.get(2).map(|filter| (**filter).clone());
            let over = args.get(1).and_then(|over| text_of(over));
            let rule = args.first().and_then(|rule| rule.read_lock::<RuleBuilder>().map(|rule| rule.clone()));
            let rule = rule.ok_or_else(|| error("for_each belongs to a rule", ctx.call_position()))?;
            Ok(for_each(&ctx, &rule, over.as_deref(), filter.as_ref()))
        });
    }
}

fn for_each(
    ctx: &NativeCallContext<'_>,
    rule: &RuleBuilder,
    over: Option<&str>,
    filter: Option<&Dynamic>,
) -> RuleBuilder {
    if over != Some("contacts") {
        return rule.fault(ctx, "for_each goes over \"contacts\"", HINT);
    }
    let filter = match filter.map(|filter| Closure::from_value(filter, ctx)) {
        Some(None) => return rule.fault(ctx, "for_each takes a closure", HINT),
        Some(filter) => filter,
        None => None,
    };
    rule.edit(|draft| draft.timing.for_each = Some(ForEach { filter }))
}
