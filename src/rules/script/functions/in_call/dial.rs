//! `dial`: connects the caller with a number.

use std::sync::Arc;

use rhai::{Dynamic, Map, NativeCallContext};

use crate::domain::Channel;
use crate::domain::call::{Dial, Step};
use crate::rules::script::arguments::{address_on, number, text};
use crate::rules::script::context::EvalContext;
use crate::rules::script::functions::in_call::step::{METHOD, method, optional_step, plan_step, within};
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::settings::{self, Holds, Setting};
use crate::rules::script::views::contact::ContactView;

pub(in crate::rules) const DIAL: Function = Function {
    name: "dial",
    receiver: None,
    group: Group::Calls,
    about: "Connects the caller with a number. A map may give `timeout` (seconds), `record`, `otherwise` (a step) and \
            `method`.",
    signatures: &[
        Signature::new(&[("to", Kind::Callee)], Kind::PlannedAction),
        Signature::new(&[("to", Kind::Callee), ("how", Kind::Settings(SETTINGS))], Kind::PlannedAction),
    ],
    example: r#"dial("+34600111222", #{ timeout: 20 })"#,
    register: |engine, _| {
        engine.register_fn("dial", |ctx: NativeCallContext<'_>, to: Dynamic| {
            plan_step(&ctx, "dial", |eval| dial(eval, &to, &Map::new()))
        });
        engine.register_fn("dial", |ctx: NativeCallContext<'_>, to: Dynamic, how: Map| {
            plan_step(&ctx, "dial", |eval| dial(eval, &to, &how))
        });
    },
};

const SETTINGS: &[Setting] = &[
    Setting::new("timeout", Holds::Whole(1, 600)),
    Setting::new("record", Holds::Flag),
    Setting::new("otherwise", Holds::Step),
    METHOD,
];

fn dial(eval: &Arc<EvalContext>, to: &Dynamic, how: &Map) -> Result<Step, String> {
    settings::check(how, SETTINGS, false)?;
    let number = match to.read_lock::<ContactView>() {
        Some(view) => {
            let contact = view.0.contact().ok_or("the event has no contact")?;
            address_on(contact, Channel::Voice)?.to_string()
        }
        None => number(&text("the number", to)?)?.to_string(),
    };
    let timeout = how.get("timeout").and_then(|most| most.as_int().ok());
    Ok(Step::Dial(Dial {
        number,
        timeout_s: timeout.map(|seconds| within("timeout", seconds, 600)).transpose()?,
        record: how.get("record").is_some_and(|record| record.as_bool().unwrap_or(false)),
        otherwise: optional_step(eval, how, "otherwise")?,
        method: method(how),
    }))
}
