//! A member's next try: its time and its action.

use std::time::Duration;

use super::Plan;
use super::hours::Hours;
use super::texts::Values;
use crate::domain::action::Template;
use crate::domain::{Action, ActionState, Channel, Event, EventKind, Phone, Send, SendBody, Timestamp};
use crate::engine::sending::plan;
use crate::rules::Planned;
use crate::store::tables::campaigns::{Campaign, Member, NewTry};
use crate::tenants::{Platform, Tenant};

/// The common parts of a campaign's tries.
#[derive(Clone, Copy)]
pub struct Tries<'a> {
    pub tenant: &'a Tenant,
    pub platform: &'a Platform,
    pub campaign: &'a Campaign,
    pub plan: &'a Plan,
}

impl Tries<'_> {
    /// The interval between two tries at the campaign's pace.
    pub fn step(&self) -> Duration {
        Duration::from_secs(60) / self.plan.per_minute
    }

    /// The hours in which a member may be tried. `zone` is their time zone, if it is known.
    pub fn hours(&self, phone: &Phone, zone: Option<chrono_tz::Tz>) -> Hours<'_> {
        Hours::new(self.plan.windows.as_ref(), &self.tenant.quiet(self.platform), phone, zone)
    }

    /// A member's next try, planned for `at` and valid until the window `closes`.
    pub fn next_try(&self, member: &Member, at: Timestamp, closes: Option<Timestamp>) -> NewTry {
        let Member { key, n, .. } = member;
        // Only the identity and kind of this event are used.
        let event = Event {
            id: self.campaign.event(),
            tenant: self.tenant.id,
            kind: EventKind::CAMPAIGN,
            channel: None,
            contact: None,
            occurred_at: at,
            dedupe_key: None,
            depth: 0,
            data: serde_json::Value::Null,
        };
        let action = Action::Send(send(&self.campaign.name, self.plan, member));
        let rule = format!("campaign {}: {key}", self.campaign.name);
        let planned =
            Planned { rule, index: usize::try_from(*n).unwrap_or_default(), action, due: Some(at), blocked: None };
        let mut action = plan::plan(self.tenant, self.platform, &event, &[], planned);
        // The number makes the identity unique. It appears nowhere that outlives the member.
        action.rule = format!("campaign {}", self.campaign.name);
        action.expires = closes;
        // A member of an older version may lack a value. No placeholder is sent.
        let values = Values { name: &member.name, fields: &member.fields };
        if let Some(missing) = values.missing(&self.plan.needs()) {
            action.state = ActionState::Blocked;
            action.reason = Some(format!("the customer has no value for {missing}, which the text uses"));
        }
        NewTry { key: key.clone(), n: *n, action }
    }
}

/// The send to a member.
fn send(campaign: &str, plan: &Plan, member: &Member) -> Send {
    let values = Values { name: &member.name, fields: &member.fields };
    let text = |text: &str| values.fill(text);
    let (channel, body) = match (&plan.call, &plan.whatsapp) {
        (Some(call), _) => {
            let mut call = call.clone();
            call.state.entry("campaign".to_owned()).or_insert_with(|| campaign.into());
            let own = member.fields.iter().map(|(name, value)| (name.clone(), value.clone()));
            let name = (!member.name.is_empty()).then(|| ("name".to_owned(), member.name.clone()));
            // The campaign's values win over those of a table.
            for (key, value) in own.chain(name) {
                call.state.entry(key).or_insert_with(|| value.into());
            }
            call.say = call.say.as_deref().map(text);
            call.message = call.message.as_deref().map(text);
            (Channel::Voice, SendBody::Call(call))
        }
        (None, Some(template)) => {
            let variables = template.variables.iter().map(|(name, value)| (name.clone(), text(value))).collect();
            (Channel::WhatsApp, SendBody::Template(Template { content: template.content.clone(), variables }))
        }
        (None, None) => (Channel::Sms, SendBody::Text(text(plan.sms.as_deref().unwrap_or_default()))),
    };
    Send { channel, to: member.phone.clone().into(), reply: false, fallback: None, body }
}
