//! Turns an action that a rule asked for into a row of the ledger: its route, its sender, its origin, or why it is blocked.

use crate::domain::channel::Transport;
use crate::domain::contact::ContactFacts;
use crate::domain::timer::{Anchor, Fired};
use crate::domain::{
    Action, ActionId, ActionState, AppointmentId, By, Channel, Event, EventKind, NewTimer, Origin, Phone, Purpose,
    Route, Send, SendBody, Timestamp,
};
use crate::engine::facts::appointments;
use crate::integrations::twilio::is_sid;
use crate::rules::{Decision, Planned, RuleResult};
use crate::store::NewAction;
use crate::tenants::{Platform, Tenant};

/// Makes the row of an action that a rule asked for. `customer` holds the keys of the contact's addresses.
pub fn plan(tenant: &Tenant, platform: &Platform, event: &Event, customer: &[String], planned: Planned) -> NewAction {
    let Planned { rule, index, mut action, due, blocked } = planned;
    let id = ActionId::of(event.id, &rule, index);
    let (mut state, mut reason, mut route, mut sender) = (ActionState::Done, None, None, None);
    let mut contact = event.contact;
    let mut follows = false;
    match &mut action {
        Action::Send(send) => {
            // An address that is not the customer's belongs to another contact.
            contact = contact.filter(|_| customer.contains(&send.to.key()));
            follows = contact.is_some() && (follows_customer_message(event) || is_from_caller(event, customer));
            let mut leaves_by = route_of(tenant, platform, send);
            let mut from =
                fit_template(tenant, send).and_then(|()| sender_of(tenant, platform, event, send, &leaves_by));
            if from.is_err()
                && let Some(instead) = send.instead()
            {
                *send = instead;
                leaves_by = route_of(tenant, platform, send);
                from = sender_of(tenant, platform, event, send, &leaves_by);
            }
            route = Some(leaves_by);
            match from {
                Ok(from) => (state, sender) = (ActionState::Planned, Some(from)),
                Err(why) => (state, reason) = (ActionState::Blocked, Some(why)),
            }
        }
        Action::Request(_) => {
            (state, route, sender) = (ActionState::Planned, Some(Route::Request), Some(HTTP_REQUEST_SENDER.to_owned()));
        }
        Action::Unaddressed(_) | Action::Effect(_) | Action::Voice(_) => {}
    }
    if let Some(why) = blocked {
        (state, reason, route, sender) = (ActionState::Blocked, Some(why), None, None);
    }
    NewAction {
        id,
        tenant: tenant.id,
        event: event.id,
        contact,
        origin: origin_of(event, follows),
        rule,
        index,
        state,
        reason,
        action,
        route,
        sender,
        due,
        subject: Fired::of(event).and_then(|fired| fired.subject).or_else(|| announced_appointment(event, due)),
        expires: Fired::of(event).and_then(|_| Anchor::in_data(&event.data)?.until),
    }
}

/// The appointment whose present state a message announces. If the message waits, for quiet hours or a provider, and the
/// appointment changes meanwhile, the message must not leave. A message that the rule wants later is not bound to it.
fn announced_appointment(event: &Event, due: Option<Timestamp>) -> Option<uuid::Uuid> {
    let announcements = [EventKind::APPOINTMENT_BOOKED, EventKind::APPOINTMENT_CONFIRMED, EventKind::APPOINTMENT_MOVED];
    let at_once = due.is_none() && announcements.contains(&event.kind);
    appointments::about(event).filter(|_| at_once).map(AppointmentId::uuid)
}

/// The time of a timer outside the customer's quiet hours: their end or, if that is too late for it, the last minute before
/// them. Only timers that come before something shift. The others keep their time.
pub fn shift_out_of_quiet_hours(
    tenant: &Tenant,
    platform: &Platform,
    customer: &ContactFacts,
    timer: &NewTimer,
) -> Timestamp {
    if timer.purpose != Purpose::Before {
        return timer.due;
    }
    let until = Anchor::in_data(&timer.payload).and_then(|anchor| anchor.until);
    let quiet = tenant.quiet(platform).for_customer(customer.phone.as_ref(), customer.zone());
    quiet.shift_out(timer.due, until).unwrap_or(timer.due)
}

/// Shifts the timers of a decision out of quiet hours, and notes that in its trace. A timer whose time is over then is not
/// planned.
pub fn shift_timers(
    tenant: &Tenant,
    platform: &Platform,
    customer: &ContactFacts,
    decision: &mut Decision,
    now: Timestamp,
) {
    let Decision { timers, trace, .. } = decision;
    timers.retain_mut(|timer| {
        let due = shift_out_of_quiet_hours(tenant, platform, customer, timer);
        if due == timer.due {
            return true;
        }
        timer.due = due;
        let result = if due > now { RuleResult::Waits { until: due } } else { RuleResult::TooLate { due } };
        if let Some(rule) = trace.rules.iter_mut().find(|rule| rule.rule == timer.rule) {
            rule.result = result;
        }
        due > now
    });
}

/// The sender of requests.
const HTTP_REQUEST_SENDER: &str = "recado";

/// The route of a send. The prefix decides for replies, too: a country whose numbers Twilio does not reach well is not
/// reached better by an answer. A tenant that wants otherwise routes the prefix to `twilio`.
fn route_of(tenant: &Tenant, platform: &Platform, send: &Send) -> Route {
    match (send.channel.spec().transport, send.to.phone()) {
        (Transport::TwilioOrProvider, Some(to)) => tenant.sms_route(platform, to),
        (Transport::Twilio | Transport::TwilioOrProvider, _) => Route::Twilio,
        (Transport::MailServer, _) => Route::Email,
    }
}

/// The sender of a send. Another provider has its own. By Twilio, a reply leaves from the number that the customer wrote to,
/// and every other send from the tenant's own sender.
fn sender_of(
    tenant: &Tenant,
    platform: &Platform,
    event: &Event,
    send: &Send,
    route: &Route,
) -> Result<String, String> {
    if let Route::Provider(name) = route {
        let slug = &tenant.slug;
        return platform.providers.named(name).map(|provider| provider.sender.clone()).ok_or_else(|| {
            format!(
                "PROVIDERS_FILE describes no provider '{name}', which '{slug}' routes this number to: describe it, or \
                 choose another with 'recado tenant set {slug} --route +…=NAME'"
            )
        });
    }
    let written_to = event.data.get("to").and_then(|to| to.as_str()).filter(|to| send.channel.is_sender(to));
    match written_to {
        Some(to) if send.reply => Ok(to.to_owned()),
        _ => tenant.sender(send.channel, platform).ok_or_else(|| {
            format!(
                "there is no {} sender to send from: set one with 'recado tenant set {} --{} {}'",
                send.channel,
                tenant.slug,
                send.channel,
                send.channel.sender_example()
            )
        }),
    }
}

/// The origin of a send. An answer to the customer is exempt from caps and quiet hours.
fn origin_of(event: &Event, follows: bool) -> Origin {
    if event.kind == EventKind::MANUAL {
        return Origin::Manual;
    }
    let inbound = Channel::INBOUND.map(EventKind::inbound);
    if follows || inbound.contains(&event.kind) { Origin::Answer } else { Origin::Business }
}

/// Whether the event follows from the customer's own message, so that the customer waits for the answer.
fn follows_customer_message(event: &Event) -> bool {
    let kinds = [
        EventKind::APPOINTMENT_CONFIRMED,
        EventKind::APPOINTMENT_MOVED,
        EventKind::APPOINTMENT_CANCELLED,
        EventKind::APPOINTMENT_MOVE_REFUSED,
    ];
    event.depth > 0 && kinds.contains(&event.kind) && event.data["by"] == By::Customer.as_str()
}

/// Whether the customer is, or was just, on the line: they rang us, or have pressed a key or spoken.
fn is_from_caller(event: &Event, customer: &[String]) -> bool {
    let rang = || event.data["from"].as_str().and_then(|from| Phone::parse(from).ok());
    event.channel == Some(Channel::Voice)
        && (event.kind == EventKind::CALL_INPUT || rang().is_some_and(|from| customer.contains(&from.key())))
}

/// Makes the body one that is taken: a template with its Content SID and with fitting variables.
fn fit_template(tenant: &Tenant, send: &mut Send) -> Result<(), String> {
    name_template(tenant, send)?;
    match &mut send.body {
        SendBody::Template(template) => template.fit_variables().map_err(|unfit| unfit.to_string()),
        _ => Ok(()),
    }
}

/// Replaces the tenant's own name of a template by its Content SID. A name that is neither cannot be sent.
fn name_template(tenant: &Tenant, send: &mut Send) -> Result<(), String> {
    let SendBody::Template(template) = &mut send.body else { return Ok(()) };
    let (slug, named) = (&tenant.slug, &tenant.settings.templates);
    if let Some(sid) = named.get(&template.content) {
        template.content.clone_from(sid);
        return Ok(());
    }
    if is_sid("HX", &template.content) {
        return Ok(());
    }
    let known: Vec<&str> = named.keys().map(String::as_str).collect();
    let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
    Err(format!(
        "'{}' is neither a template of '{slug}' (there are: {known}) nor a Content SID (HX and 32 hex digits): \
         name it with 'recado tenant set {slug} --template NAME=HX…'",
        template.content
    ))
}
