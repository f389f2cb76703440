//! An explanation as text, to be read from top to bottom.

use std::fmt::Write;

use crate::cli::text::{exact_time, one_line, short};
use crate::domain::EventKind;
use crate::http::views::action::{ActionDetailsView, AttemptView, ErrorView};
use crate::http::views::customer::CustomerView;
use crate::http::views::explanation::{ExplainedCustomerView, ExplainedRuleView, ExplanationView, VerdictView};

/// Characters shown of a text.
const TEXT_SHOWN_CHARS: usize = 200;
/// Characters shown of a value that a rule read.
const VALUE_SHOWN_CHARS: usize = 100;
/// Rules shown at most that the index passed over.
const PASSED_OVER_SHOWN: usize = 40;

/// Writes an explanation as text.
pub fn text(explanation: &ExplanationView) -> String {
    let mut out = String::new();
    event(&mut out, explanation);
    customer(&mut out, explanation);
    rules(&mut out, explanation);
    actions(&mut out, explanation);
    out
}

/// Adds a line. Writing to a string does not fail.
fn line(out: &mut String, text: impl std::fmt::Display) {
    // Much of it comes from outside, and none of it may begin a line of its own.
    let _ = writeln!(out, "{}", one_line(&text.to_string()));
}

fn event(out: &mut String, explanation: &ExplanationView) {
    let event = &explanation.event;
    line(out, format_args!("{} at '{}', {}", event.kind, event.tenant, exact_time(event.occurred_at)));
    line(out, format_args!("  event {}", event.id));
    if let (Some(from), Some(to)) = (event.text("from"), event.text("to")) {
        let body = short(event.text("body").unwrap_or_default(), TEXT_SHOWN_CHARS);
        line(out, format_args!("  from {} to {}: \"{body}\"", one_line(from), one_line(to)));
    } else {
        line(out, format_args!("  {}", short(&event.data.to_string(), TEXT_SHOWN_CHARS)));
    }
    if let Some(sid) = event.text("provider_sid") {
        line(out, format_args!("  the provider's id: {}", one_line(sid)));
    }
    if let Some(opt_out) = &explanation.opt_out {
        line(out, format_args!("  {}", one_line(opt_out)));
    }
    match event.decided_at {
        Some(at) => line(out, format_args!("  decided {}", exact_time(at))),
        None => line(out, "  not decided yet: is 'recado serve' running?"),
    }
}

/// The number or, without one, WhatsApp's id.
fn known_as(customer: &CustomerView) -> &str {
    customer.phone.as_deref().or(customer.whatsapp_id.as_deref()).unwrap_or_default()
}

fn customer(out: &mut String, explanation: &ExplanationView) {
    let Some(customer) = &explanation.customer else { return };
    line(out, "\nCustomer");
    let ExplainedCustomerView { customer, numbering_warning } = customer;
    line(out, format_args!("  {} {}", known_as(customer), one_line(&customer.name)).to_string().trim_end());
    if let Some(warning) = numbering_warning {
        line(out, format_args!("  numbering: {warning}"));
    }
    let tags: Vec<&str> = customer.tags.iter().map(String::as_str).collect();
    let tags = if tags.is_empty() { "none".to_owned() } else { one_line(&tags.join(", ")) };
    line(out, format_args!("  messages so far: {}; tags: {tags}", customer.inbound_count));
    if !customer.opted_out.is_empty() {
        line(out, format_args!("  opted out of: {}", customer.opted_out.join(", ")));
    }
    if !customer.fields.is_empty() {
        let fields = serde_json::to_string(&customer.fields).unwrap_or_default();
        line(out, format_args!("  fields: {}", short(&fields, TEXT_SHOWN_CHARS)));
    }
    if !explanation.facts.not_rebuilt.is_empty() {
        line(out, format_args!("  as of the decision; but {}", explanation.facts.not_rebuilt.join("; ")));
    }
}

fn rules(out: &mut String, explanation: &ExplanationView) {
    if explanation.event.kind == EventKind::MANUAL.as_str() {
        line(out, "\nSent by hand: no rule was asked.");
        return;
    }
    let versions = &explanation.ruleset;
    line(out, "\nRules");
    match (&versions.decided, explanation.event.decided_at) {
        (Some(decided), _) if *decided != versions.today => line(
            out,
            format_args!(
                "  The rules have changed since (then {decided}, today {}): what was decided stands first, what today's \
                 rules say is marked so.",
                versions.today
            ),
        ),
        (None, Some(_)) => {
            line(out, "  No rule was evaluated. Why each was passed over is derived from today's rules.");
        }
        (None, None) => line(out, "  What today's rules would say:"),
        _ => {}
    }
    if explanation.rules.is_empty() {
        line(out, "  There are no rules: 'recado config' names the folder (RULES_DIR), 'recado check' looks into it.");
    }
    let mut passed_over = 0;
    for one in &explanation.rules {
        if !verdict(one).is_some_and(|said| said.evaluated) {
            passed_over += 1;
            if passed_over > PASSED_OVER_SHOWN {
                continue;
            }
        }
        rule(out, one);
    }
    if passed_over > PASSED_OVER_SHOWN {
        let more = passed_over - PASSED_OVER_SHOWN;
        line(out, format_args!("  … and {more} more that were passed over; --json lists them all"));
    }
}

fn verdict(rule: &ExplainedRuleView) -> Option<&VerdictView> {
    rule.decided.as_ref().or(rule.today.as_ref())
}

fn rule(out: &mut String, rule: &ExplainedRuleView) {
    let mark = match verdict(rule) {
        Some(said) if matches!(said.verdict, "fired" | "answered" | "silent" | "unsent") => '+',
        Some(said) if matches!(said.verdict, "failed" | "too_much" | "no_time") => '!',
        _ => '-',
    };
    let place = rule.file.as_ref().zip(rule.line).map(|(file, line)| format!("  ({file}:{line})"));
    let place = place.unwrap_or_else(|| "  (no longer there)".to_owned());
    let count = match (rule.actions, mark) {
        (1, '+') => ", 1 action".to_owned(),
        (count, '+') => format!(", {count} actions"),
        _ => String::new(),
    };
    let name = one_line(&rule.rule);
    match (&rule.decided, &rule.today) {
        (Some(decided), _) => line(out, format_args!("  {mark} {name}: {}{count}{place}", one_line(&decided.why))),
        (None, Some(today)) => line(out, format_args!("  {mark} {name}: today {}{count}{place}", one_line(&today.why))),
        (None, None) => line(out, format_args!("  {mark} {name}{place}")),
    }
    if let (Some(_), Some(today)) = (&rule.decided, &rule.today) {
        line(out, format_args!("      today: {}", one_line(&today.why)));
    }
    for asked in &rule.asks {
        line(out, format_args!("      {}", one_line(asked)));
    }
    for (path, value) in &rule.reads {
        line(out, format_args!("      read {} = {}", one_line(path), short(&value.to_string(), VALUE_SHOWN_CHARS)));
    }
}

fn actions(out: &mut String, explanation: &ExplanationView) {
    line(out, "\nActions");
    if explanation.actions.is_empty() {
        line(out, "  none");
    }
    for (at, action) in explanation.actions.iter().enumerate() {
        one_action(out, at + 1, action);
    }
    if let Some(refused) = &explanation.refused {
        let tried = refused.tried_at.map(|at| format!(", last at {}", exact_time(at))).unwrap_or_default();
        line(out, format_args!("  The account's sends wait: the provider refused its credentials{tried}"));
        line(out, format_args!("  ({}).", refused.action));
        code(out, "    ", Some(&refused.error));
    }
}

fn one_action(out: &mut String, number: usize, details: &ActionDetailsView) {
    let action = &details.summary;
    let reason = action.reason.as_deref().map(|reason| format!(": {}", one_line(reason))).unwrap_or_default();
    line(out, format_args!("  {number}. {} by \"{}\": {}{reason}", action.kind, one_line(&action.rule), action.state));
    match (&action.channel, &action.to, &action.body) {
        (Some(channel), Some(to), Some(body)) => {
            let from = action.from.as_deref().unwrap_or("nobody");
            let way = action.route.as_deref().filter(|route| route.starts_with("provider:"));
            let way = way.map(|route| format!(" by {route}")).unwrap_or_default();
            line(out, format_args!("     {channel} {from} -> {to}{way}: \"{}\"", short(body, TEXT_SHOWN_CHARS)));
        }
        _ => line(out, format_args!("     {}", short(&details.action.to_string(), TEXT_SHOWN_CHARS))),
    }
    if matches!(action.state.as_str(), "planned" | "unknown") {
        let what = match (action.state.as_str(), action.route.as_deref()) {
            ("planned", _) => "may leave at",
            (_, Some("twilio")) => "is looked for at",
            _ => "its outcome is not known; looked at again, where anything can be done, at",
        };
        line(out, format_args!("     {what} {}", exact_time(action.due_at)));
    }
    code(out, "     ", details.error.as_ref());
    for one in &details.attempts {
        attempt(out, one, details.error.as_ref());
    }
    if let Some(delivery) = &details.delivery {
        let sid = action.provider_sid.as_deref().map(|sid| format!(" ({sid})")).unwrap_or_default();
        line(out, format_args!("     delivery: {}{sid}", delivery.status));
        code(out, "       ", delivery.error.as_ref());
    }
}

fn attempt(out: &mut String, attempt: &AttemptView, before: Option<&ErrorView>) {
    let outcome = attempt.outcome.as_deref().unwrap_or("under way, or its process has ended");
    let http = attempt.http_status.map(|status| format!(", HTTP {status}")).unwrap_or_default();
    let until = attempt.finished_at.map(|at| format!(" to {}", exact_time(at))).unwrap_or_default();
    let detail = attempt.detail.as_deref().map(|detail| format!(": {}", one_line(detail))).unwrap_or_default();
    let (n, from) = (attempt.n, exact_time(attempt.started_at));
    line(out, format_args!("     try {n}, {from}{until}: {outcome}{http}{detail}"));
    code(out, "       ", attempt.error.as_ref().filter(|error| !repeats(error, before)));
}

fn repeats(error: &ErrorView, before: Option<&ErrorView>) -> bool {
    before.is_some_and(|before| before.code == error.code)
}

fn code(out: &mut String, indent: &str, code: Option<&ErrorView>) {
    if let Some(code) = code {
        line(out, format_args!("{indent}error {}", crate::cli::text::code(code.code)));
    }
}
