//! Releases a number.

use super::{CHANNELS, NumberService, NumbersError, Ownership, credentials};
use crate::domain::{Channel, Phone};
use crate::integrations::twilio::client::LookupError;
use crate::tenants::Tenant;

/// A number that was a tenant's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Released {
    pub number: String,
    /// `false` if the provider's account no longer had it
    pub was_active: bool,
    /// Channels for which this tenant sent from it
    pub sent: Vec<Channel>,
    /// Voice agent that still names it
    pub agent: Option<String>,
}

impl NumberService<'_> {
    /// Releases a number, then removes it from the tenant's senders; a repeat completes an interrupted release. Others
    /// may get the number soon.
    pub async fn release(&self, tenant: &Tenant, number: &Phone) -> Result<Released, NumbersError> {
        let account = credentials(tenant)?;
        let text = number.as_str();
        let not_ours = || NumbersError::NotOurs { slug: tenant.slug.clone(), number: text.to_owned() };
        let standing = self.standing(tenant, text);
        match standing {
            Ownership::Own => {}
            Ownership::Free if tenant.owns_account => {}
            Ownership::Installations(_) => return Err(NumbersError::Installations(text.to_owned())),
            Ownership::Free | Ownership::Another => return Err(not_ours()),
        }
        let there = self.find(tenant, &account, text).await?;
        let was_active = match &there {
            Some(there) => match self.client.release_number(&account, &there.sid).await {
                Ok(()) => true,
                Err(LookupError::NotFound) => false,
                Err(error) => return Err(NumbersError::from_lookup(&tenant.slug, error)),
            },
            None if standing == Ownership::Own => false,
            None => return Err(not_ours()),
        };
        let mut sent = Vec::new();
        for channel in CHANNELS {
            if self.store.remove_sender(tenant.id.uuid(), channel.as_str(), text).await? {
                sent.push(channel);
            }
        }
        self.directory.refresh().await?;
        let agent = tenant.settings.voice.agent_of(text).map(|agent| agent.name.clone());
        Ok(Released { number: text.to_owned(), was_active, sent, agent })
    }
}
