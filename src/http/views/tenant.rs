//! A tenant.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value as Json;
use utoipa::ToSchema;

use crate::config::webhook_urls::WebhookUrls;
use crate::domain::{Channel, EmailAddress, SendLimits};
use crate::rules::RuleSet;
use crate::tenants::{Platform, Sender, Tenant};
use crate::time::{QuietRules, WeeklyHours};

/// A tenant with its settings. Tokens are never shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenant)]
pub struct TenantView {
    pub id: String,
    /// The name in URLs
    pub slug: String,
    /// The name that customers know the business by
    pub name: String,
    /// Time zone, an IANA name
    #[schema(example = "Europe/Madrid")]
    pub zone: String,
    /// Language tag (BCP 47)
    #[schema(example = "es")]
    pub language: String,
    /// Country of numbers that are written without a country code (ISO 3166-1); `null`: there is no such number
    #[schema(example = "ES")]
    pub country: Option<String>,
    /// The tenant's own account at Twilio; `null`: the installation's
    pub account_sid: Option<String>,
    /// Numbers of the tenant's own; none: it sends from the installation's
    pub senders: Vec<SenderView>,
    /// Enabled blueprint rules with the parameters that are set
    #[schema(value_type = Object)]
    pub blueprints: BTreeMap<String, BTreeMap<String, Json>>,
    /// Names of WhatsApp templates with their Content SIDs
    pub templates: BTreeMap<String, String>,
    /// Days after which old events are removed; `null`: everything is kept
    pub retain_days: Option<u32>,
    /// Addresses that e-mail to "staff" goes to
    #[schema(value_type = Vec<String>)]
    pub staff_emails: Vec<EmailAddress>,
    /// Routes of text messages by prefix: `twilio` or a provider's name
    pub routes: BTreeMap<String, String>,
    /// Quiet hours by prefix, where they differ from the installation's
    #[schema(value_type = BTreeMap<String, String>)]
    pub quiet: QuietRules,
    /// The operator's limits: `per_hour` and `per_day` for messages to phones and calls, `countries` of recipients, `templates` and
    /// `stream_agents` that may be used
    #[schema(value_type = Object, example = json!({"per_hour": 100, "per_day": 500, "countries": ["ES"]}))]
    pub sends: SendLimits,
    /// Opening hours with holidays; `null`: none are set
    #[schema(value_type = Option<String>, example = "mon-fri 09:00-14:00,16:00-20:00; 2026-12-25 closed")]
    pub hours: Option<WeeklyHours>,
    /// The webhook URLs to enter at the provider, by channel
    #[schema(value_type = BTreeMap<String, String>)]
    pub webhooks: BTreeMap<&'static str, String>,
    /// What texts of enabled rules promise and no enabled rule answers, such as "Reply X to cancel"
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A number or Messaging Service that the tenant sends from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Sender)]
pub struct SenderView {
    #[schema(value_type = String, example = "sms")]
    pub channel: Channel,
    pub number: String,
    /// The public base URL of its webhooks, where it is not the installation's
    pub base_url: Option<String>,
}

impl TenantView {
    /// Adds what the tenant's texts promise under these rules and no enabled rule answers.
    #[must_use]
    pub fn with_warnings(self, rules: &RuleSet, tenant: &Tenant) -> Self {
        let unmet = rules.unmet_promises(&tenant.facts).into_iter();
        Self { warnings: unmet.map(|unmet| format!("{unmet}: {}", unmet.remedy(&tenant.slug))).collect(), ..self }
    }

    pub fn new(tenant: &Tenant, platform: &Platform) -> Self {
        let url = |channel: Channel| {
            let own = tenant.senders.iter().find(|sender| sender.channel == channel);
            let base = own.and_then(|sender| sender.base_url.as_ref()).unwrap_or(&platform.app_url);
            WebhookUrls::new(base, &tenant.slug).messages(channel)
        };
        let settings = tenant.settings.clone();
        Self {
            id: tenant.id.to_string(),
            slug: tenant.slug.clone(),
            name: tenant.name.clone(),
            zone: tenant.zone.name().to_owned(),
            language: tenant.language.clone(),
            country: tenant.home().map(|country| country.to_string()),
            account_sid: tenant.owns_account.then(|| tenant.account.sid.clone()),
            senders: tenant.senders.iter().cloned().map(SenderView::from).collect(),
            blueprints: settings.blueprints,
            templates: settings.templates,
            retain_days: settings.retain_days,
            staff_emails: settings.staff_emails,
            routes: settings.routes,
            quiet: settings.quiet,
            sends: settings.sends,
            hours: settings.hours,
            webhooks: Channel::INBOUND.map(|channel| (channel.as_str(), url(channel))).into(),
            warnings: Vec::new(),
        }
    }
}

impl From<Sender> for SenderView {
    fn from(sender: Sender) -> Self {
        let Sender { channel, number, base_url } = sender;
        Self { channel, number, base_url }
    }
}
