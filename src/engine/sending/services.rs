//! Services that send without a rule. They plan an operator's or a program's message in the ledger, like any other.

use crate::domain::action::Template;
use crate::domain::{ActionId, CallBody, Channel, EmailBody, EventId, SendBody};
use crate::engine::sending::by_hand::{Outbox, SendRefused};
use crate::engine::sending::call_request::{UnfitCall, check};
use crate::rules::RuleSet;
use crate::tenants::Tenant;

/// Sends manual messages of one channel.
#[derive(Clone)]
pub struct MessageService {
    pub outbox: Outbox,
    pub channel: Channel,
}

impl MessageService {
    /// Plans a text from the tenant's sender to `to`, E.164. The gate judges it when it is due: a channel with a session
    /// window takes it only within that time of the customer's last message.
    pub async fn send(&self, tenant: &str, to: &str, message: &str) -> Result<ActionId, SendRefused> {
        self.outbox.plan(tenant, self.channel, to, SendBody::Text(message.to_owned())).await
    }

    /// Plans an approved template, which may leave at any time.
    pub async fn send_template(&self, tenant: &str, to: &str, template: Template) -> Result<ActionId, SendRefused> {
        self.outbox.plan(tenant, self.channel, to, SendBody::Template(template)).await
    }
}

/// Sends manual e-mail.
#[derive(Clone)]
pub struct EmailService(pub Outbox);

impl EmailService {
    /// Plans an e-mail from MAIL_FROM to `to`, a bare address. The gate judges it when it is due.
    pub async fn send(&self, tenant: &str, to: &str, mail: EmailBody) -> Result<ActionId, SendRefused> {
        self.0.plan(tenant, Channel::Email, to, SendBody::Email(mail)).await
    }
}

/// The reason why a call is not planned.
#[derive(Debug, thiserror::Error)]
pub enum CallRefused {
    #[error(transparent)]
    Unfit(#[from] UnfitCall),
    #[error(transparent)]
    Send(#[from] SendRefused),
}

/// Places calls for operators and programs.
#[derive(Clone)]
pub struct CallService(pub Outbox);

impl CallService {
    /// Plans a call from the tenant's number to `to`, E.164, under a given event: planned again under the same event, it stays
    /// one call. `rules` are those by which it would begin now. The gate judges it when it is due.
    pub async fn call(
        &self,
        rules: &RuleSet,
        event: EventId,
        tenant: &Tenant,
        to: &str,
        body: CallBody,
    ) -> Result<ActionId, CallRefused> {
        check(rules, tenant, &body)?;
        Ok(self.0.plan_as(event, tenant, Channel::Voice, to, SendBody::Call(body)).await?)
    }
}
