//! `.after`, `.before`, `.cron` and `.missed`

use rhai::{Dynamic, NativeCallContext};

use crate::rules::load::builder::draft::RuleBuilder;
use crate::rules::model::{Missed, When};
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::values::text_of;
use crate::time::Span;

/// The most names in a path such as `appointment.starts_at`.
const PATH_NAMES: usize = 8;

pub(in crate::rules) const AFTER: Function = Function {
    name: "after",
    receiver: Some(Kind::Rule),
    group: Group::Rule,
    about: "Runs the rule a span after the event, on the facts of that moment.",
    signatures: &[Signature::new(&[("span", Kind::Span)], Kind::Rule)],
    example: r#"rule("how was it").on("appointment_completed").after("2h").then(|e| send_sms(e.contact, "How was it?"));"#,
    register: |engine, _| {
        engine.register_fn("after", |ctx: NativeCallContext<'_>, rule: &mut RuleBuilder, span: Dynamic| {
            set(&ctx, rule, || Ok(When::After(span_of("after", &span)?)))
        });
    },
};

pub(in crate::rules) const BEFORE: Function = Function {
    name: "before",
    receiver: Some(Kind::Rule),
    group: Group::Rule,
    about: "Runs the rule a span before a moment of the event's data. About an appointment, it moves and ends with it.",
    signatures: &[Signature::new(&[("span", Kind::Span), ("path", Kind::Text)], Kind::Rule)],
    example: r#"rule("reminder").before("24h", "appointment.starts_at")
    .then(|e| send_sms(e.contact, `See you at ${local(e.appointment.starts_at, "%H:%M")}.`));"#,
    register: |engine, _| {
        engine.register_fn(
            "before",
            |ctx: NativeCallContext<'_>, rule: &mut RuleBuilder, span: Dynamic, path: Dynamic| {
                set(&ctx, rule, || Ok(When::Before(span_of("before", &span)?, path_of(&path)?)))
            },
        );
    },
};

pub(in crate::rules) const CRON: Function = Function {
    name: "cron",
    receiver: Some(Kind::Rule),
    group: Group::Rule,
    about: "Runs the rule by a schedule, in the tenant's time zone.",
    signatures: &[Signature::new(&[("schedule", Kind::Text)], Kind::Rule)],
    example: r#"rule("good morning").cron("0 9 * * MON-FRI").then(|e| send_email("staff", "Today", "Good morning."));"#,
    register: |engine, _| {
        engine.register_fn("cron", |ctx: NativeCallContext<'_>, rule: &mut RuleBuilder, schedule: Dynamic| {
            set(&ctx, rule, || {
                let text = text_of(&schedule).ok_or("cron takes a text such as \"0 9 * * MON-FRI\"")?;
                Ok(When::Cron(Box::new(text.parse().map_err(|bad| format!("cron: {bad}"))?)))
            })
        });
    },
};

pub(in crate::rules) const MISSED: Function = Function {
    name: "missed",
    receiver: Some(Kind::Rule),
    group: Group::Rule,
    about: "Says what happens to firings that fell due while the server was down: `run_once`, `skip` or `all`.",
    signatures: &[Signature::new(&[("what", Kind::Text)], Kind::Rule)],
    example: r#"rule("digest").cron("0 9 * * *").missed("skip").then(|e| send_email("staff", "Today", "Good morning."));"#,
    register: |engine, _| {
        engine.register_fn("missed", |ctx: NativeCallContext<'_>, rule: &mut RuleBuilder, what: Dynamic| {
            let missed = match text_of(&what).as_deref() {
                Some("run_once") => Missed::RunOnce,
                Some("skip") => Missed::Skip,
                Some("all") => Missed::All,
                _ => return rule.fault(&ctx, "missed takes \"run_once\", \"skip\" or \"all\"", ""),
            };
            rule.edit(|draft| draft.timing.missed = Some(missed))
        });
    },
};

fn set(ctx: &NativeCallContext<'_>, rule: &RuleBuilder, when: impl FnOnce() -> Result<When, String>) -> RuleBuilder {
    match when() {
        Ok(when) => {
            let mut twice = false;
            let at = ctx.call_position().into();
            rule.edit(|draft| {
                twice = draft.timing.when.replace(when).is_some();
                draft.timing.at = at;
            });
            if twice {
                rule.fault(ctx, "a rule has one of after, before and cron, once", "make two rules of it")
            } else {
                rule.clone()
            }
        }
        Err(message) => rule.fault(ctx, message, ""),
    }
}

fn span_of(function: &str, span: &Dynamic) -> Result<Span, String> {
    let text = text_of(span).ok_or_else(|| format!("{function} takes a text such as \"2h\""))?;
    text.parse().map_err(|bad| format!("{function}: {bad}"))
}

/// Splits a path into names. `data.appointment.starts_at` is the same as `appointment.starts_at`.
fn path_of(path: &Dynamic) -> Result<Vec<String>, String> {
    let bad = || "before takes a span and where its moment stands, such as \"appointment.starts_at\"".to_owned();
    let text = text_of(path).ok_or_else(bad)?;
    let text = text.strip_prefix("data.").unwrap_or(&text);
    let names: Vec<String> = text.split('.').map(str::to_owned).collect();
    let good = |name: &String| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    if names.len() <= PATH_NAMES && names.iter().all(good) { Ok(names) } else { Err(bad()) }
}
