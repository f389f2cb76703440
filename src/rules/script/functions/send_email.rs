//! `send_email`: to a customer, an address or the staff; written out, or from a template.
//!
//! ```rhai
//! send_email(e.contact, "Your visit", "See you on Monday.");             // the customer's field `email`
//! send_email("staff", "visit", #{ name: e.contact.name, day: "Monday" }); // templates/visit.txt, to each of the staff
//! ```

use rhai::{Dynamic, Map};

use super::actions::text_within;
use crate::domain::{Action, Channel, EmailAddress, EmailBody, Send, SendBody};
use crate::integrations::email::template::{NAME_CHARS, Values};
use crate::integrations::email::{BODY_BYTES, SUBJECT_CHARS};
use crate::rules::script::context::Call;
use crate::rules::script::values::{kind_of, text_of};
use crate::rules::script::views::event::{ContactView, text_argument};

/// Stands for all addresses of the tenant's staff.
pub(in crate::rules) const STAFF: &str = "staff";

/// One action for each recipient. Rendering reads what was loaded with the rules, and nothing else.
pub(in crate::rules) fn sends(
    call: &Call,
    to: &Dynamic,
    what: &Dynamic,
    with: &Dynamic,
) -> Result<Vec<Action>, String> {
    let recipients = recipients(call, to)?;
    let body = match with.read_lock::<Map>() {
        Some(values) => from_template(call, &text_argument("the template", what)?, &values)?,
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

fn recipients(call: &Call, to: &Dynamic) -> Result<Vec<EmailAddress>, String> {
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
    let text = text_argument("the recipient", to).map_err(|message| format!("{message}; {hint}"))?;
    if text == STAFF {
        let (slug, staff) = (&call.facts.tenant.slug, &call.facts.tenant.staff_emails);
        if staff.is_empty() {
            return Err(format!("'{slug}' has no staff address: 'recado tenant set {slug} --staff-email …' sets one"));
        }
        return Ok(staff.clone());
    }
    Ok(vec![EmailAddress::parse(&text).map_err(|bad| format!("{bad}; or {hint}"))?])
}

fn written_out(subject: &Dynamic, text: &Dynamic) -> Result<SendBody, String> {
    let subject = text_within(subject, SUBJECT_CHARS, " for a subject")?;
    let text = text_within(text, BODY_BYTES, "")?;
    if text.len() > BODY_BYTES {
        return Err(format!("the text has {} bytes, and {BODY_BYTES} is the most", text.len()));
    }
    Ok(SendBody::Email(EmailBody { subject, text, html: None }))
}

fn from_template(call: &Call, name: &str, given: &Map) -> Result<SendBody, String> {
    let mut values = Values::new();
    for (key, value) in given {
        let short: String = key.chars().take(NAME_CHARS).collect();
        let text = text_of(value).or_else(|| value.as_int().ok().map(|number| number.to_string()));
        let text = text
            .ok_or_else(|| format!("the value {short} must be text or a whole number, and is a {}", kind_of(value)))?;
        values.insert(key.to_string(), text);
    }
    let rendered = call.templates.render(&call.facts.tenant.slug, name, &values)?;
    Ok(SendBody::Email(EmailBody { subject: rendered.subject, text: rendered.text, html: rendered.html }))
}
