//! Buys a number and configures it, in one step that can be repeated.

use std::collections::BTreeSet;

use super::{NumberService, NumbersError, OwnedNumber, Ownership, PAGES_MAX, credentials};
use crate::domain::{Channel, Phone, TenantId, abort};
use crate::integrations::twilio::client::{Account, IncomingNumber, NumberSettings, SendError};
use crate::store::StoreError;
use crate::store::rows::sender;
use crate::tenants::Tenant;

/// A request to buy a number.
#[derive(Clone, Debug)]
pub struct Purchase {
    pub number: Phone,
    /// The name in the Twilio console.
    pub friendly_name: Option<String>,
    /// `AD…` and `BU…`, where the country requires them.
    pub address_sid: Option<String>,
    pub bundle_sid: Option<String>,
}

/// A number that now belongs to the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bought {
    /// `false` where the account already had it: nothing was paid
    pub bought: bool,
    pub number: OwnedNumber,
}

impl NumberService<'_> {
    /// Buys a number with all its webhooks set, and makes it the tenant's sender.
    pub async fn buy(&self, tenant: &Tenant, wanted: &Purchase) -> Result<Bought, NumbersError> {
        let account = credentials(tenant)?;
        let number = wanted.number.as_str();
        let standing = self.standing(tenant, number);
        match standing {
            Ownership::Another => return Err(NumbersError::OfAnother(number.to_owned())),
            Ownership::Installations(_) => return Err(NumbersError::Installations(number.to_owned())),
            Ownership::Own | Ownership::Free => {}
        }
        if let Some(there) = self.find(tenant, &account, number).await? {
            if standing == Ownership::Free && !tenant.owns_account {
                return Err(NumbersError::InAccount { slug: tenant.slug.clone(), number: number.to_owned() });
            }
            let number = self.set_up(tenant, &account, &there).await?;
            return Ok(Bought { bought: false, number });
        }
        // From here on no other tenant of this installation can claim the number, and it counts in the budget.
        self.add_sender(tenant, Channel::Voice, number).await.map_err(|error| match error {
            StoreError::Taken(_) => NumbersError::OfAnother(number.to_owned()),
            other => other.into(),
        })?;
        self.store.add_purchase(tenant.id, &wanted.number).await?;
        let bought = match self.within_budget(tenant, &account).await {
            Ok(()) => self.purchase(tenant, &account, wanted).await,
            Err(over) => Err(over),
        };
        let there = match bought {
            Ok(there) => there,
            Err(error) => {
                let may_be_ours = matches!(error, NumbersError::Unknown { .. });
                if !may_be_ours {
                    self.store.remove_purchase(tenant.id, &wanted.number).await?;
                }
                if standing == Ownership::Free && !may_be_ours {
                    self.store.remove_sender(tenant.id.uuid(), Channel::Voice.as_str(), number).await?;
                    self.directory.refresh().await?;
                }
                return Err(error);
            }
        };
        abort::point("number_bought");
        let number = self.make_sender(tenant, &there).await.map_err(|error| half_done(tenant, number, &error))?;
        Self::judge(number).map(|number| Bought { bought: true, number })
    }

    /// Configures a tenant's number as if it had just been bought. This repairs whatever failed after the purchase.
    pub async fn configure(&self, tenant: &Tenant, number: &Phone) -> Result<OwnedNumber, NumbersError> {
        let account = credentials(tenant)?;
        let not_ours = || NumbersError::NotOurs { slug: tenant.slug.clone(), number: number.to_string() };
        match self.standing(tenant, number.as_str()) {
            Ownership::Own => {}
            Ownership::Free if tenant.owns_account => {}
            Ownership::Installations(true) if !tenant.owns_account => {}
            Ownership::Free | Ownership::Another | Ownership::Installations(_) => return Err(not_ours()),
        }
        let there = self.find(tenant, &account, number.as_str()).await?.ok_or_else(not_ours)?;
        self.set_up(tenant, &account, &there).await
    }

    /// Makes the purchase, in one request. If the response was lost, the account's list decides.
    async fn purchase(
        &self,
        tenant: &Tenant,
        account: &Account,
        wanted: &Purchase,
    ) -> Result<IncomingNumber, NumbersError> {
        let number = wanted.number.as_str();
        let settings = NumberSettings {
            friendly_name: wanted.friendly_name.clone(),
            address_sid: wanted.address_sid.clone(),
            bundle_sid: wanted.bundle_sid.clone(),
            ..self.urls(tenant, number).settings()
        };
        let error = match self.client.buy_number(account, number, &settings).await {
            Ok(there) => return Ok(there),
            Err(error) => error,
        };
        // A number that is no longer for sale may have been sold to this account, by a request whose response was lost.
        let may_be_there = matches!(error, SendError::Unknown { .. } | SendError::Refused { code: Some(21422), .. });
        let error = NumbersError::from_purchase(&tenant.slug, number, error);
        if !may_be_there {
            return Err(error);
        }
        match self.find(tenant, account, number).await {
            Ok(Some(there)) => Ok(there),
            Ok(None) => Err(error),
            Err(unseen) => Err(NumbersError::Unknown { number: number.to_owned(), why: unseen.to_string() }),
        }
    }

    /// Counts the numbers that the tenant has, and those that it has bought within 30 days and given back: each purchase was
    /// paid. Counts after the claim is committed: of two concurrent claims both may be refused, but never both pass.
    async fn within_budget(&self, tenant: &Tenant, account: &Account) -> Result<(), NumbersError> {
        let budget = self.directory.platform().numbers_budget;
        let is_number = |channel: &str| channel == Channel::Voice.as_str() || channel == Channel::Sms.as_str();
        let (_, _, senders) = self.store.directory().await?;
        let mut owned: BTreeSet<String> = senders
            .into_iter()
            .filter(|one| one.tenant_id == tenant.id.uuid() && is_number(&one.channel) && one.number.starts_with('+'))
            .map(|one| one.number)
            .collect();
        if tenant.owns_account {
            let listed = self.client.list_numbers(account, None, PAGES_MAX).await;
            let listed = listed.map_err(|error| NumbersError::from_lookup(&tenant.slug, error))?;
            let numbers = listed.numbers.into_iter().map(|one| one.phone_number);
            owned.extend(numbers.filter(|number| self.standing(tenant, number) == Ownership::Free));
        }
        let mut purchases = self.store.purchases(tenant.id).await?;
        // Of the purchases of a number that the tenant has, the last one is the number itself.
        for number in &owned {
            if let Some(at) = purchases.iter().position(|bought| bought == number) {
                purchases.swap_remove(at);
            }
        }
        if owned.len() + purchases.len() > budget as usize {
            // This purchase is among them.
            let (owned, given_back) = (owned.len().saturating_sub(1), purchases.len());
            return Err(NumbersError::OverBudget { slug: tenant.slug.clone(), owned, given_back, budget });
        }
        Ok(())
    }

    async fn set_up(
        &self,
        tenant: &Tenant,
        account: &Account,
        there: &IncomingNumber,
    ) -> Result<OwnedNumber, NumbersError> {
        let settings = self.urls(tenant, &there.phone_number).settings_alone();
        let now = self.client.configure_number(account, &there.sid, &settings).await;
        let now = now.map_err(|error| NumbersError::from_lookup(&tenant.slug, error))?;
        let number = if matches!(self.standing(tenant, &now.phone_number), Ownership::Installations(_)) {
            self.view(tenant, &now.phone_number, Some(&now))
        } else {
            self.make_sender(tenant, &now).await?
        };
        Self::judge(number)
    }

    /// Checks that the provider stored what was requested.
    fn judge(number: OwnedNumber) -> Result<OwnedNumber, NumbersError> {
        let goes =
            [("voice webhook", &number.voice), ("message webhook", &number.sms), ("status callback", &number.status)];
        let wrong = goes.into_iter().find(|(_, goes)| !goes.here);
        let Some((what, goes)) = wrong else { return Ok(number) };
        let has = if goes.to.is_empty() { "nothing".to_owned() } else { goes.to.clone() };
        Err(NumbersError::NotAsSet { number: number.number.clone(), what, has })
    }

    /// Makes it the tenant's sender for calls and texts, as far as it can do both.
    async fn make_sender(&self, tenant: &Tenant, there: &IncomingNumber) -> Result<OwnedNumber, StoreError> {
        let can = there.capabilities;
        let unsaid = !can.voice && !can.sms;
        for (channel, can) in [(Channel::Voice, can.voice || unsaid), (Channel::Sms, can.sms || unsaid)] {
            if can {
                self.add_sender(tenant, channel, &there.phone_number).await?;
            } else {
                self.store.remove_sender(tenant.id.uuid(), channel.as_str(), &there.phone_number).await?;
            }
        }
        self.directory.refresh().await?;
        let snapshot = self.directory.now();
        let tenant = snapshot.by_id(tenant.id).map_or(tenant, |now| now);
        Ok(self.view(tenant, &there.phone_number, Some(there)))
    }

    async fn add_sender(&self, tenant: &Tenant, channel: Channel, number: &str) -> Result<(), StoreError> {
        let id: TenantId = self.store.ids().next();
        let new = sender::Model {
            id: id.uuid(),
            tenant_id: tenant.id.uuid(),
            channel: channel.to_string(),
            number: number.to_owned(),
            base_url: self.base(tenant, number),
            created_us: self.store.clock().now().unix_us(),
        };
        self.store.add_sender(new).await
    }
}

fn half_done(tenant: &Tenant, number: &str, error: &StoreError) -> NumbersError {
    NumbersError::HalfDone { slug: tenant.slug.clone(), number: number.to_owned(), why: error.to_string() }
}
