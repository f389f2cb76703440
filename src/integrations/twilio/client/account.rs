//! The account: its credentials, its status, its balance.

use serde::Deserialize;

use super::lookup::{Answered, LookupError};
use super::{Account, BODY_MAX_BYTES, Client};

/// <https://www.twilio.com/docs/iam/api/account>
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct AccountResource {
    pub sid: String,
    #[serde(default)]
    pub friendly_name: String,
    /// `active`, `suspended` or `closed`.
    pub status: String,
    /// `Trial` or `Full`.
    #[serde(rename = "type", default)]
    pub kind: String,
}

/// <https://www.twilio.com/docs/usage/api/usage-record>. A text in the account's currency, for example `-1.25`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Balance {
    pub balance: String,
    #[serde(default)]
    pub currency: String,
}

impl Client {
    /// Fetches the account with its own credentials, the cheapest request that verifies them.
    pub async fn fetch_account(&self, account: &Account) -> Answered<AccountResource> {
        let mut url = self.url(account, &[]);
        // `…/Accounts/{sid}.json`
        let path = format!("{}.json", url.path().trim_end_matches('/'));
        url.set_path(&path);
        self.look_up_dated(account, self.http.get(url), BODY_MAX_BYTES).await
    }

    /// Fetches the account's balance. A subaccount has none of its own.
    pub async fn fetch_balance(&self, account: &Account) -> Result<Balance, LookupError> {
        let url = self.url(account, &["Balance.json"]);
        self.look_up(account, self.http.get(url), BODY_MAX_BYTES).await
    }
}
