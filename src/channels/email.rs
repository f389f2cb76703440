//! E-mail: its service. Nothing takes e-mail in.

use crate::actions::outbox::{Outbox, SendRefused};
use crate::domain::{ActionId, Channel, EmailBody, SendBody};

/// Sends e-mail by hand: planned in the ledger like everything else.
#[derive(Clone)]
pub struct EmailService(pub Outbox);

impl EmailService {
    /// Plans an e-mail from MAIL_FROM to `to`, a bare address. The gate asks its questions when it leaves.
    pub async fn send(&self, tenant: &str, to: &str, mail: EmailBody) -> Result<ActionId, SendRefused> {
        self.0.plan(tenant, Channel::Email, to, SendBody::Email(mail)).await
    }
}
