//! Checks WhatsApp senders: they are registered, online, and their webhook leads here.

use super::{Check, Doctor, Finding, SenderWebhook, Used};
use crate::domain::Channel;
use crate::integrations::twilio::client::Sender;

/// Twilio's sandbox, shared by all accounts (<https://www.twilio.com/docs/whatsapp/sandbox>).
const SANDBOX: &str = "+14155238886";

impl Doctor<'_> {
    pub(super) async fn whatsapp(&self, used: &Used, lines: &[&SenderWebhook]) -> Vec<Finding> {
        let lines = lines.iter().filter(|line| line.channel == Channel::WhatsApp);
        let (sandbox, registered): (Vec<&SenderWebhook>, Vec<&SenderWebhook>) =
            lines.partition(|line| line.number == SANDBOX);
        let mut findings: Vec<Finding> = sandbox.into_iter().map(|line| line.finding(of_sandbox(line))).collect();
        if registered.is_empty() {
            return findings;
        }
        let senders = self.client.list_whatsapp_senders(&used.credentials).await;
        for line in registered {
            findings.push(line.finding(match &senders {
                Ok(senders) => judge(line, senders),
                Err(error) => {
                    let says = format!("whether it is registered with WhatsApp cannot be told: {error}");
                    Finding::warning(Check::Whatsapp, &line.number, says).remedy(by_hand(line))
                }
            }));
        }
        findings
    }
}

fn of_sandbox(line: &SenderWebhook) -> Finding {
    let says = "Twilio's sandbox, for trying out: whoever wants to write must first send it 'join' and the sandbox's two words, \
                and again after 3 days";
    Finding::note(Check::Whatsapp, &line.number, says).remedy(format!(
        "console: Messaging, Try it out, Send a WhatsApp message, Sandbox settings, 'When a message comes in': POST {}",
        line.url
    ))
}

fn judge(line: &SenderWebhook, senders: &[Sender]) -> Finding {
    let id = format!("whatsapp:{}", line.number);
    let Some(sender) = senders.iter().find(|sender| sender.sender_id == id) else {
        let says = "it is not registered with WhatsApp under this account";
        return Finding::error(Check::Whatsapp, &line.number, says).remedy(
            "register it (console: Messaging, Senders, WhatsApp senders); or, where WhatsApp is not used, take it from the \
             tenant, or clear TWILIO_WHATSAPP_NUMBER",
        );
    };
    if !sender.status.starts_with("ONLINE") {
        let reasons = sender.offline_reasons.iter().flatten().map(|reason| reason.message.as_str());
        let reasons = reasons.collect::<Vec<_>>().join("; ");
        let says = format!("it is {} at WhatsApp, and cannot send: {reasons}", sender.status);
        let remedy = "console: Messaging, Senders, WhatsApp senders says what is missing";
        return Finding::error(Check::Whatsapp, &line.number, says.trim_end_matches([':', ' '])).remedy(remedy);
    }
    let webhook = sender.webhook.clone().unwrap_or_default();
    let bare = webhook.callback_url.split('#').next().unwrap_or_default();
    if bare.is_empty() {
        let says = "it has no webhook: its messages go nowhere, unless a Messaging Service takes them";
        Finding::error(Check::Whatsapp, &line.number, says).remedy(by_hand(line))
    } else if !line.is_good(bare) {
        let says = format!("its messages go to {bare} instead of {}", line.url);
        Finding::error(Check::Whatsapp, &line.number, says).remedy(by_hand(line))
    } else if webhook.callback_method.eq_ignore_ascii_case("GET") {
        let says = "its webhook is called by GET, which is refused";
        Finding::error(Check::Whatsapp, &line.number, says).remedy(by_hand(line))
    } else {
        Finding::ok(Check::Whatsapp, &line.number, "it is online, and its messages come here")
    }
}

fn by_hand(line: &SenderWebhook) -> String {
    format!(
        "console: Messaging, Senders, WhatsApp senders, the number, 'Webhook URL for incoming messages': POST {}",
        line.url
    )
}
