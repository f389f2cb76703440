//! WhatsApp and RCS senders, and templates. <https://www.twilio.com/docs/whatsapp/api/senders>,
//! <https://www.twilio.com/docs/content/content-api-resources>

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::list::text_or_empty;
use super::lookup::{Host, LookupError};
use super::{Account, BODY_MAX_BYTES, Client, PAGE_MAX_BYTES};

/// Limit of senders: one page. Few accounts have more than a handful.
const SENDERS_MAX: &str = "1000";

/// A sender that is registered with WhatsApp or RCS.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Sender {
    /// `XE…`
    pub sid: String,
    /// `ONLINE` if it can send; otherwise `CREATING`, `OFFLINE`, `PENDING_VERIFICATION`, `TWILIO_REVIEW` and others.
    #[serde(default, deserialize_with = "text_or_empty")]
    pub status: String,
    /// `whatsapp:+34911222333` or `rcs:brand_agent`
    #[serde(default, deserialize_with = "text_or_empty")]
    pub sender_id: String,
    #[serde(default)]
    pub webhook: Option<SenderWebhook>,
    #[serde(default)]
    pub offline_reasons: Option<Vec<OfflineReason>>,
}

/// The webhook of a sender.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct SenderWebhook {
    #[serde(default, deserialize_with = "text_or_empty")]
    pub callback_url: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub callback_method: String,
}

/// Why a sender is offline.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OfflineReason {
    #[serde(default, deserialize_with = "text_or_empty")]
    pub message: String,
}

/// A template.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Content {
    /// `HX…`
    pub sid: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub friendly_name: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub language: String,
    /// The placeholders `1`, `2` and so on, with their example values.
    #[serde(default)]
    pub variables: Option<BTreeMap<String, Value>>,
    /// The template in each of its types, `twilio/text` for example. Most have a `body`.
    #[serde(default)]
    pub types: BTreeMap<String, Value>,
}

/// WhatsApp's approval of a template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Approval {
    /// `unsubmitted`, `received`, `pending`, `approved`, `rejected`, `paused` or `disabled`.
    #[serde(default, deserialize_with = "text_or_empty")]
    pub status: String,
    #[serde(default, deserialize_with = "text_or_empty")]
    pub rejection_reason: String,
}

#[derive(Deserialize)]
struct SendersPage {
    senders: Vec<Sender>,
}

#[derive(Deserialize)]
struct Approvals {
    #[serde(default)]
    whatsapp: Option<Approval>,
}

impl Client {
    /// Lists the account's senders of a channel, `whatsapp` or `rcs`, without the sandbox.
    pub async fn list_senders(&self, account: &Account, channel: &str) -> Result<Vec<Sender>, LookupError> {
        let mut url = self.url_at(Host::Messaging, &["v2", "Channels", "Senders"]);
        url.query_pairs_mut().append_pair("Channel", channel).append_pair("PageSize", SENDERS_MAX);
        let page: SendersPage = self.look_up(account, self.http.get(url), PAGE_MAX_BYTES).await?;
        Ok(page.senders)
    }

    /// Fetches a template.
    pub async fn fetch_content(&self, account: &Account, sid: &str) -> Result<Content, LookupError> {
        let url = self.url_at(Host::Content, &["v1", "Content", sid]);
        self.look_up(account, self.http.get(url), BODY_MAX_BYTES).await
    }

    /// Fetches the approval of a template; `None` if it was never submitted.
    pub async fn fetch_approval(&self, account: &Account, sid: &str) -> Result<Option<Approval>, LookupError> {
        let url = self.url_at(Host::Content, &["v1", "Content", sid, "ApprovalRequests"]);
        let approvals: Approvals = self.look_up(account, self.http.get(url), BODY_MAX_BYTES).await?;
        Ok(approvals.whatsapp)
    }
}
