//! Checks numbers and Messaging Services: they belong to the account, can text, and their messages come here.

use std::sync::Arc;

use super::{Check, Doctor, Finding, SenderWebhook, Used};
use crate::config::webhook_urls::OVERRIDES;
use crate::domain::Channel;
use crate::integrations::twilio::client::{IncomingNumber, LookupError, MessagingService, Numbers};
use crate::integrations::twilio::is_sid;
use crate::tenants::Tenant;

/// Pages of a thousand of an account's numbers. A number that is not among them is asked for by itself.
const PAGES_MAX: usize = 5;
/// Unused numbers that are named at most.
const UNUSED_SHOWN_MAX: usize = 10;

impl Doctor<'_> {
    pub(super) async fn numbers(
        &self,
        used: &Used,
        lines: &[&SenderWebhook],
        tenants: &[Arc<Tenant>],
        fix: bool,
    ) -> Vec<Finding> {
        let listed = match self.client.list_numbers(&used.credentials, None, PAGES_MAX).await {
            Ok(listed) => listed,
            Err(error) => {
                let says = format!("its numbers cannot be told: {error}");
                return vec![Finding::error(Check::Number, &used.account.sid, says)];
            }
        };
        let mut findings = Vec::new();
        for line in lines.iter().filter(|line| line.channel == Channel::Sms) {
            findings.extend(if is_sid("MG", &line.number) {
                self.service(used, line).await
            } else {
                self.number(used, line, &listed, fix).await
            });
        }
        findings.extend(self.without_sender(used, tenants));
        findings.extend(self.unused(used, &listed));
        findings
    }

    async fn number(&self, used: &Used, line: &SenderWebhook, listed: &Numbers, fix: bool) -> Vec<Finding> {
        let say = |finding: Finding| line.finding(finding);
        let is_it = |number: &&IncomingNumber| number.phone_number == line.number;
        let mut found = listed.numbers.iter().find(is_it).cloned();
        if found.is_none() && !listed.complete {
            match self.client.list_numbers(&used.credentials, Some(&line.number), 1).await {
                Ok(more) => found = more.numbers.iter().find(is_it).cloned(),
                Err(error) => return vec![say(Finding::error(Check::Number, &line.number, error.to_string()))],
            }
        }
        let Some(number) = found else { return vec![say(not_of_account(used, line))] };
        let mut findings = Vec::new();
        if !number.capabilities.sms {
            let says = "it can neither send nor receive texts";
            findings
                .push(Finding::error(Check::Number, &line.number, says).remedy("use a number with the capability SMS"));
        }
        if !number.sms_application_sid.is_empty() {
            let says =
                format!("a TwiML App ({}) takes its messages: its webhook is not called", number.sms_application_sid);
            findings.push(Finding::warning(Check::Number, &line.number, says).remedy(
                "console: Phone Numbers, the number, Messaging Configuration: configure with Webhook, not with TwiML App",
            ));
        }
        findings.extend(match judge_webhook(line, &number) {
            Some(wrong) if fix => vec![self.fix(used, line, &number, wrong).await],
            Some(wrong) => vec![wrong],
            None => vec![Finding::ok(Check::Number, &line.number, "its messages come here")],
        });
        findings.into_iter().map(say).collect()
    }

    /// Sets the webhook, and tells the old and the new one.
    async fn fix(&self, used: &Used, line: &SenderWebhook, number: &IncomingNumber, wrong: Finding) -> Finding {
        let (bare, _) = without_overrides(&number.sms_url);
        let url = format!("{}{OVERRIDES}", if line.is_good(bare) { bare } else { &line.url });
        match self.client.set_sms_webhook(&used.credentials, &number.sid, &url).await {
            Ok(now) if now.sms_url == url && now.sms_method.eq_ignore_ascii_case("POST") => {
                let before = shown(&number.sms_url, &number.sms_method);
                let says = format!("its webhook was set: it was {before}, and is {}", shown(&now.sms_url, "POST"));
                Finding::ok(Check::Number, &line.number, says)
            }
            Ok(now) => {
                let says = format!("its webhook was set, but Twilio has {}", shown(&now.sms_url, &now.sms_method));
                Finding::error(Check::Number, &line.number, says).remedy(by_hand(&line.url))
            }
            Err(error) => {
                let says = format!("{}; it could not be set: {error}", wrong.says);
                Finding::error(Check::Number, &line.number, says).remedy(by_hand(&line.url))
            }
        }
    }

    async fn service(&self, used: &Used, line: &SenderWebhook) -> Vec<Finding> {
        let finding = match self.client.fetch_service(&used.credentials, &line.number).await {
            Ok(service) => judge_service(line, &service),
            Err(LookupError::NotFound) => not_of_account(used, line),
            Err(error) => {
                Finding::warning(Check::Number, &line.number, format!("where its messages go cannot be told: {error}"))
                    .remedy(service_by_hand(&line.url))
            }
        };
        vec![line.finding(finding)]
    }

    /// Checks for tenants that would send from another account's number, or from none.
    fn without_sender(&self, used: &Used, tenants: &[Arc<Tenant>]) -> Vec<Finding> {
        let platform = self.directory.platform();
        let has_none = |tenant: &Tenant| {
            let sends = |channel| tenant.sender(channel, platform).is_some();
            tenant.senders.is_empty() && (tenant.owns_account || !Channel::INBOUND.into_iter().any(sends))
        };
        let of_account = tenants.iter().filter(|tenant| tenant.account.sid == used.account.sid);
        let finding = |tenant: &Arc<Tenant>| {
            Finding::error(Check::Number, &used.account.sid, "there is no number of this account to send from")
                .for_tenant(&tenant.slug)
                .remedy(format!("recado tenant set {} --sms +34…", tenant.slug))
        };
        of_account.filter(|tenant| has_none(tenant)).map(finding).collect()
    }

    /// Checks for numbers of the account that no tenant sends from.
    fn unused(&self, used: &Used, listed: &Numbers) -> Option<Finding> {
        let (snapshot, platform) = (self.directory.now(), self.directory.platform());
        let own = [platform.from_number.as_ref(), platform.whatsapp_number.as_ref()];
        let is_used = |number: &str| {
            Channel::ALL.into_iter().any(|channel| snapshot.owner(channel, number).is_some())
                || own.into_iter().flatten().any(|own| own.as_str() == number)
        };
        let unused: Vec<&str> = listed
            .numbers
            .iter()
            .map(|number| number.phone_number.as_str())
            .filter(|number| !is_used(number))
            .collect();
        let shown = unused.iter().take(UNUSED_SHOWN_MAX).copied().collect::<Vec<_>>().join(", ");
        let more = if unused.len() > UNUSED_SHOWN_MAX { " and more" } else { "" };
        (!unused.is_empty()).then(|| {
            let says = format!("{} numbers that no tenant uses: {shown}{more}", unused.len());
            Finding::note(Check::Number, &used.account.sid, says)
                .remedy("to give one to a tenant: recado tenant set SLUG --sms NUMBER")
        })
    }
}

fn not_of_account(used: &Used, line: &SenderWebhook) -> Finding {
    let remedy = match &line.owner {
        Some(owner) => format!(
            "correct it: recado tenant set {0} --remove-sender {1}, then --sms with a number of that account; or, if it is \
             another account's: recado tenant credentials {0}",
            owner.slug, line.number
        ),
        None => {
            "correct TWILIO_FROM_NUMBER or TWILIO_MESSAGING_SERVICE_SID; the account's own are in the console under \
                 Phone Numbers, Active numbers, and Messaging, Services"
                .to_owned()
        }
    };
    Finding::error(Check::Number, &line.number, format!("it is not of the account {}", used.account.sid)).remedy(remedy)
}

/// Checks where a number's messages go.
fn judge_webhook(line: &SenderWebhook, number: &IncomingNumber) -> Option<Finding> {
    let (bare, overrides) = without_overrides(&number.sms_url);
    let subject = &line.number;
    let fix = "recado doctor --fix sets it";
    if bare.is_empty() {
        let says = "it has no webhook: its messages go nowhere";
        return Some(Finding::error(Check::Number, subject, says).remedy(format!("{fix}, to {}", line.url)));
    }
    if !line.is_good(bare) {
        let says = format!("its messages go to {bare} instead of {}", line.url);
        return Some(Finding::error(Check::Number, subject, says).remedy(fix));
    }
    if !number.sms_method.eq_ignore_ascii_case("POST") {
        let says = format!("its webhook is called by {}, which is refused", number.sms_method);
        return Some(Finding::error(Check::Number, subject, says).remedy(fix));
    }
    if overrides.is_none_or(|overrides| !overrides.contains("rc=")) {
        let says = format!(
            "its messages come here, but without {OVERRIDES} Twilio does not call again where we answered badly"
        );
        return Some(Finding::warning(Check::Number, subject, says).remedy(fix));
    }
    None
}

fn judge_service(line: &SenderWebhook, service: &MessagingService) -> Finding {
    let (bare, _) = without_overrides(&service.inbound_request_url);
    if service.use_inbound_webhook_on_number {
        let says = format!("\"{}\" leaves incoming messages to each number's own webhook", service.friendly_name);
        return Finding::note(Check::Number, &line.number, says)
            .remedy(format!("each of its numbers must have {}", line.url));
    }
    if line.is_good(bare) && service.inbound_method.eq_ignore_ascii_case("POST") {
        return Finding::ok(Check::Number, &line.number, "its messages come here");
    }
    let says = if bare.is_empty() {
        format!("\"{}\" drops incoming messages", service.friendly_name)
    } else {
        format!("its messages go to {} instead of {}", shown(bare, &service.inbound_method), shown(&line.url, "POST"))
    };
    Finding::error(Check::Number, &line.number, says).remedy(service_by_hand(&line.url))
}

fn without_overrides(url: &str) -> (&str, Option<&str>) {
    url.split_once('#').map_or((url, None), |(bare, overrides)| (bare, Some(overrides)))
}

fn shown(url: &str, method: &str) -> String {
    if url.is_empty() { "not set".to_owned() } else { format!("{method} {url}") }
}

fn by_hand(url: &str) -> String {
    format!(
        "console: Phone Numbers, the number, Messaging Configuration, 'A message comes in': HTTP POST {url}{OVERRIDES}"
    )
}

fn service_by_hand(url: &str) -> String {
    format!("console: Messaging, Services, the service, Integration, 'Send a webhook': HTTP POST {url}{OVERRIDES}")
}
