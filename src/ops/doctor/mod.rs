//! Checks whether an installation is fit to go live, and tells the remedies. `recado doctor` prints the findings.
//!
//! Checks change nothing, except with [`Scope::fix`], which sets the webhooks of numbers at Twilio. [`files`] needs no
//! database, [`Doctor::examine`] needs an open one. A check that this machine cannot make says so.
//!
//! To add a check, write a function that gives [`Finding`]s in the file of its subject, and call it in [`Doctor::examine`].

mod accounts;
mod failures;
pub mod files;
mod finding;
mod numbers;
mod promises;
mod public;
mod refusals;
mod senders;
mod server;
mod templates;
mod tomorrow;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use finding::{Check, Finding, Severity};
pub use refusals::REFUSALS_SHOWN_FOR;

use crate::config::Config;
use crate::config::webhook_urls::{WHATSAPP_WITHOUT_SLUG, WebhookUrls};
use crate::domain::{Channel, Clock};
use crate::integrations::twilio::client;
use crate::integrations::twilio::client::Client;
use crate::rules::RuleSet;
use crate::store::Store;
use crate::tenants::{Account, DEMO_SLUG, Directory, Tenant};

/// The scope of an examination.
#[derive(Clone, Default)]
pub struct Scope {
    /// Only this tenant, with its account and numbers.
    pub tenant: Option<Arc<Tenant>>,
    /// Ask only the database and this machine.
    pub offline: bool,
    /// Set the numbers' webhooks at Twilio.
    pub fix: bool,
}

/// The services that an examination needs.
pub struct Doctor<'a> {
    pub config: &'a Config,
    pub clock: &'a Clock,
    pub store: &'a Store,
    pub directory: &'a Directory,
    pub rules: &'a RuleSet,
    pub client: &'a Client,
    /// A client for the installation's own URLs.
    pub http: &'a reqwest::Client,
    /// No account is configured: the built-in carrier stands in for Twilio.
    pub built_in_carrier: bool,
}

/// An account with its first token, and its users.
struct Used {
    account: Arc<Account>,
    credentials: client::Account,
    /// The tenant that owns it; `None` for the installation.
    owner: Option<Arc<Tenant>>,
}

/// A sender, and the URL where its incoming messages should go.
struct SenderWebhook {
    channel: Channel,
    /// E.164, or a Messaging Service's SID.
    number: String,
    /// The owner; `None` for the installation.
    owner: Option<Arc<Tenant>>,
    account_sid: String,
    /// The URL that its webhook should have.
    url: String,
    /// Other URLs that are right, too.
    also: Vec<String>,
}

impl SenderWebhook {
    fn finding(&self, finding: Finding) -> Finding {
        match &self.owner {
            Some(owner) => finding.for_tenant(&owner.slug),
            None => finding,
        }
    }

    fn is_good(&self, url: &str) -> bool {
        self.url == url || self.also.iter().any(|also| also == url)
    }
}

impl Doctor<'_> {
    /// Runs all checks, in an order for reading.
    pub async fn examine(&self, scope: &Scope) -> Vec<Finding> {
        let mut findings = self.database().await;
        findings.extend(self.server().await);
        findings.extend(self.sealed_tokens(scope).await);
        if self.built_in_carrier {
            findings.push(
                Finding::note(
                    Check::Account,
                    "try-out mode",
                    "no Twilio account is configured: the built-in carrier takes what is sent, and nothing is asked of Twilio",
                )
                .remedy("to go live, put TWILIO_ACCOUNT_SID, TWILIO_AUTH_TOKEN, TWILIO_FROM_NUMBER and APP_URL into .env"),
            );
        }
        if scope.offline {
            let says = "Twilio and APP_URL were not asked";
            findings.push(Finding::note(Check::Account, "--offline", says).remedy("leave --offline out to ask them"));
        } else {
            let (app_url, is_public) = self.app_url().await;
            findings.extend(app_url);
            if !self.built_in_carrier {
                self.twilio(scope, is_public, &mut findings).await;
            }
        }
        findings.extend(self.template_names(scope));
        findings.extend(self.refusals(scope).await);
        findings.extend(self.failed_rules(scope).await);
        findings.extend(self.promises(scope));
        findings.extend(self.tomorrow(scope).await);
        findings
    }

    async fn twilio(&self, scope: &Scope, is_public: bool, findings: &mut Vec<Finding>) {
        let fix = scope.fix && is_public;
        if scope.fix && !is_public {
            let says =
                "nothing was changed at Twilio: the world cannot reach APP_URL, so webhooks must not point there";
            let remedy = "set APP_URL to the public address of this installation, then run 'recado doctor --fix' again";
            findings.push(Finding::error(Check::Number, "--fix", says).remedy(remedy));
        }
        let lines = self.lines(scope);
        let mut clock_seen = false;
        for used in self.used(scope) {
            let (account, answers) = self.account(&used, &mut clock_seen).await;
            findings.extend(account);
            if !answers {
                continue;
            }
            let of_account: Vec<&SenderWebhook> =
                lines.iter().filter(|line| line.account_sid == used.account.sid).collect();
            findings.extend(self.numbers(&used, &of_account, &self.tenants(scope), fix).await);
            findings.extend(self.senders(&used, &of_account).await);
            findings.extend(self.templates(&used, scope).await);
        }
    }

    /// The examined tenants, by slug.
    fn tenants(&self, scope: &Scope) -> Vec<Arc<Tenant>> {
        let snapshot = self.directory.now();
        let wanted = snapshot.tenants().filter(|one| scope.tenant.as_ref().is_none_or(|only| only.id == one.id));
        let by_slug: BTreeMap<String, Arc<Tenant>> = wanted.map(|one| (one.slug.clone(), one.clone())).collect();
        by_slug.into_values().collect()
    }

    /// Each account once. Accounts without a token that opens are left out: another check reports them.
    fn used(&self, scope: &Scope) -> Vec<Used> {
        let tenants = self.tenants(scope);
        let mut used: Vec<Used> = Vec::new();
        let mut add = |account: &Arc<Account>, owner: Option<&Arc<Tenant>>| {
            let known = used.iter().any(|one| one.account.sid == account.sid);
            if let (false, Some(token)) = (known, account.tokens.first()) {
                let credentials = client::Account { sid: account.sid.clone(), token: token.clone() };
                used.push(Used { account: account.clone(), credentials, owner: owner.cloned() });
            }
        };
        if scope.tenant.as_ref().is_none_or(|tenant| !tenant.owns_account) {
            add(&self.directory.platform().account, None);
        }
        for tenant in tenants.iter().filter(|tenant| tenant.owns_account) {
            add(&tenant.account, Some(tenant));
        }
        used
    }

    /// The senders of the tenants, and the installation's own numbers.
    fn lines(&self, scope: &Scope) -> Vec<SenderWebhook> {
        let platform = self.directory.platform();
        let mut lines = Vec::new();
        for tenant in self.tenants(scope) {
            for sender in &tenant.senders {
                let base = sender.base_url.as_deref().unwrap_or(&platform.app_url);
                lines.push(SenderWebhook {
                    channel: sender.channel,
                    number: sender.number.clone(),
                    owner: Some(tenant.clone()),
                    account_sid: tenant.account.sid.clone(),
                    url: WebhookUrls::new(base, &tenant.slug).messages(sender.channel),
                    also: without_slug(&platform.app_url, sender.channel),
                });
            }
        }
        let own = [
            (Channel::Sms, platform.from_number.as_ref().map(ToString::to_string)),
            (Channel::Sms, platform.messaging_service_sid.clone()),
            (Channel::WhatsApp, platform.whatsapp_number.as_ref().map(ToString::to_string)),
        ];
        let snapshot = self.directory.now();
        for (channel, number) in own {
            let Some(number) = number.filter(|number| snapshot.owner(channel, number).is_none()) else { continue };
            // A number has one webhook. It may name any tenant without a number of its own.
            let mut slugs: Vec<&str> =
                snapshot.tenants().filter(|t| !t.owns_account).map(|t| t.slug.as_str()).collect();
            slugs.sort_unstable_by_key(|slug| (*slug != DEMO_SLUG, *slug));
            let url_of = |slug: &&str| WebhookUrls::new(&platform.app_url, slug).messages(channel);
            let also = slugs.iter().skip(1).map(url_of).chain(without_slug(&platform.app_url, channel)).collect();
            let url = url_of(slugs.first().unwrap_or(&DEMO_SLUG));
            let account_sid = platform.account.sid.clone();
            lines.push(SenderWebhook { channel, number, owner: None, account_sid, url, also });
        }
        lines
    }
}

fn without_slug(base: &str, channel: Channel) -> Vec<String> {
    if channel == Channel::WhatsApp { vec![format!("{base}{WHATSAPP_WITHOUT_SLUG}")] } else { Vec::new() }
}
