//! `send_email`: to a customer, an address or the staff; written out, or from a template.

use rhai::{Dynamic, Map, NativeCallContext};

use crate::domain::{Channel, EmailAddress, EmailBody, SendBody};
use crate::integrations::email::template::{NAME_CHARS, Rendered, Values};
use crate::integrations::email::{BODY_BYTES, SUBJECT_CHARS};
use crate::rules::script::arguments::{Recipient, text, text_within};
use crate::rules::script::context::{EvalContext, RequestedAction};
use crate::rules::script::plan::plan_all;
use crate::rules::script::registry::{Function, Group, Kind, Signature};
use crate::rules::script::values::{kind_of, shortened, text_of};
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
fn sends(eval: &EvalContext, to: &Dynamic, what: &Dynamic, with: &Dynamic) -> Result<Vec<RequestedAction>, String> {
    let recipients = recipients(eval, to)?;
    let body = match with.read_lock::<Map>() {
        Some(values) => {
            let name = text("the template", what)?;
            let values = template_values(&values)?;
            match eval.templates.render(&eval.facts.tenant.slug, &name, &values) {
                Ok(Rendered { subject, text, html }) => SendBody::Email(EmailBody { subject, text, html }),
                // A missing template or value blocks the message; the subject shows which it would have been.
                Err(why) => return Ok(recipients.into_iter().map(|to| without_body(to, &name, &why)).collect()),
            }
        }
        None => written_out(what, with)?,
    };
    Ok(recipients.into_iter().map(|to| to.send(Channel::Email, body.clone())).collect())
}

fn without_body(to: Recipient, template: &str, why: &str) -> RequestedAction {
    let body = SendBody::Email(EmailBody { subject: shortened(template), text: String::new(), html: None });
    RequestedAction { blocked: Some(why.to_owned()), ..to.send(Channel::Email, body) }
}

fn recipients(eval: &EvalContext, to: &Dynamic) -> Result<Vec<Recipient>, String> {
    let nobody = |given: &str, why: String| Ok(vec![Recipient::Nobody { given: given.to_owned(), why }]);
    if let Some(view) = to.read_lock::<ContactView>() {
        let Some(contact) = view.0.contact() else { return Ok(vec![Recipient::no_customer()]) };
        let missing = "the customer has no e-mail address: ask for e.contact.email != \"\" in a when, and set it with \
                       set_field(\"email\", …)";
        return match contact.email() {
            Some(email) => Ok(vec![Recipient::Known(email.into())]),
            None => nobody("", missing.to_owned()),
        };
    }
    if to.is_unit() {
        return Ok(vec![Recipient::no_customer()]);
    }
    let hint = "use e.contact, \"staff\" or an address";
    let address = text("the recipient", to).map_err(|message| format!("{message}; {hint}"))?;
    if address == STAFF {
        let (slug, staff) = (&eval.facts.tenant.slug, &eval.facts.tenant.staff_emails);
        if staff.is_empty() {
            let why = format!("'{slug}' has no staff address: 'recado tenant set {slug} --staff-email …' sets one");
            return nobody(STAFF, why);
        }
        return Ok(staff.iter().map(|staff| Recipient::Known(staff.clone().into())).collect());
    }
    match EmailAddress::parse(&address) {
        Ok(email) => Ok(vec![Recipient::Known(email.into())]),
        Err(bad) => nobody(&shortened(&address), format!("{bad}; or {hint}")),
    }
}

fn written_out(subject: &Dynamic, text: &Dynamic) -> Result<SendBody, String> {
    let subject = text_within(subject, SUBJECT_CHARS, " for a subject")?;
    let text = text_within(text, BODY_BYTES, "")?;
    if text.len() > BODY_BYTES {
        return Err(format!("the text has {} bytes, and {BODY_BYTES} is the most", text.len()));
    }
    Ok(SendBody::Email(EmailBody { subject, text, html: None }))
}

/// Reads the values for a template: texts and whole numbers.
fn template_values(given: &Map) -> Result<Values, String> {
    let mut values = Values::new();
    for (key, value) in given {
        let short: String = key.chars().take(NAME_CHARS).collect();
        let text = text_of(value).or_else(|| value.as_int().ok().map(|number| number.to_string()));
        let text = text
            .ok_or_else(|| format!("the value {short} must be text or a whole number, and is a {}", kind_of(value)))?;
        values.insert(key.to_string(), text);
    }
    Ok(values)
}
