//! `send_email`: to a customer, an address or the staff; written out, or from a template.

use rhai::{Dynamic, Map, NativeCallContext};

use crate::domain::{Action, Channel, EmailAddress, EmailBody, Send, SendBody};
use crate::integrations::email::template::{NAME_CHARS, Values};
use crate::integrations::email::{BODY_BYTES, SUBJECT_CHARS};
use crate::rules::script::arguments::{text, text_within};
use crate::rules::script::context::EvalContext;
use crate::rules::script::plan::plan_all;
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::values::{kind_of, text_of};
use crate::rules::script::views::contact::ContactView;

/// The recipient that stands for all addresses of the tenant's staff.
pub(in crate::rules) const STAFF: &str = "staff";

pub(in crate::rules) const SEND_EMAIL: Function = Function {
    name: "send_email",
    receiver: None,
    group: Group::Messages,
    about: "Sends an e-mail: a subject and a text, or a template of `templates/` and its values.",
    signatures: &[Signature::new(
        &[("to", Kind::EmailRecipient), ("subject or template", Kind::Text), ("text or values", Kind::Any)],
        Kind::PlannedAction,
    )],
    example: r#"send_email(e.contact, "Your visit", "See you on Monday.")"#,
    register: |engine, _| {
        engine.register_fn(
            "send_email",
            |ctx: NativeCallContext<'_>, to: Dynamic, subject_or_template: Dynamic, text_or_values: Dynamic| {
                plan_all(&ctx, "send_email", |eval| sends(eval, &to, &subject_or_template, &text_or_values))
            },
        );
    },
};

/// Makes one action for each recipient. Templates were loaded with the rules, so rendering does no I/O.
fn sends(eval: &EvalContext, to: &Dynamic, what: &Dynamic, with: &Dynamic) -> Result<Vec<Action>, String> {
    let recipients = recipients(eval, to)?;
    let body = match with.read_lock::<Map>() {
        Some(values) => from_template(eval, &text("the template", what)?, &values)?,
        None => written_out(what, with)?,
    };
    let send = |to: EmailAddress| Send {
        channel: Channel::Email,
        to: to.into(),
        reply: false,
        fallback: None,
        body: body.clone(),
    };
    Ok(recipients.into_iter().map(|to| Action::Send(send(to))).collect())
}

fn recipients(eval: &EvalContext, to: &Dynamic) -> Result<Vec<EmailAddress>, String> {
    if let Some(view) = to.read_lock::<ContactView>() {
        let email = view.0.contact().and_then(|contact| contact.email());
        let missing = "the customer has no e-mail address: ask for e.contact.email != \"\" in a when, and set it with \
                       set_field(\"email\", …)";
        return Ok(vec![email.ok_or_else(|| missing.to_owned())?]);
    }
    if to.is_unit() {
        return Err("there is nobody to send to: this event concerns no customer, so e.contact is ()".to_owned());
    }
    let hint = "use e.contact, \"staff\" or an address";
    let address = text("the recipient", to).map_err(|message| format!("{message}; {hint}"))?;
    if address == STAFF {
        let (slug, staff) = (&eval.facts.tenant.slug, &eval.facts.tenant.staff_emails);
        if staff.is_empty() {
            return Err(format!("'{slug}' has no staff address: 'recado tenant set {slug} --staff-email …' sets one"));
        }
        return Ok(staff.clone());
    }
    Ok(vec![EmailAddress::parse(&address).map_err(|bad| format!("{bad}; or {hint}"))?])
}

fn written_out(subject: &Dynamic, text: &Dynamic) -> Result<SendBody, String> {
    let subject = text_within(subject, SUBJECT_CHARS, " for a subject")?;
    let text = text_within(text, BODY_BYTES, "")?;
    if text.len() > BODY_BYTES {
        return Err(format!("the text has {} bytes, and {BODY_BYTES} is the most", text.len()));
    }
    Ok(SendBody::Email(EmailBody { subject, text, html: None }))
}

fn from_template(eval: &EvalContext, name: &str, given: &Map) -> Result<SendBody, String> {
    let mut values = Values::new();
    for (key, value) in given {
        let short: String = key.chars().take(NAME_CHARS).collect();
        let text = text_of(value).or_else(|| value.as_int().ok().map(|number| number.to_string()));
        let text = text
            .ok_or_else(|| format!("the value {short} must be text or a whole number, and is a {}", kind_of(value)))?;
        values.insert(key.to_string(), text);
    }
    let rendered = eval.templates.render(&eval.facts.tenant.slug, name, &values)?;
    Ok(SendBody::Email(EmailBody { subject: rendered.subject, text: rendered.text, html: rendered.html }))
}
