//! Checks WhatsApp and RCS senders: they are registered, online, and their webhook leads here.

use super::{Check, Doctor, Finding, SenderWebhook, Used};
use crate::domain::Channel;
use crate::integrations::twilio::client::Sender;
use crate::integrations::twilio::is_sid;

/// Twilio's sandbox, shared by all accounts (<https://www.twilio.com/docs/whatsapp/sandbox>).
const SANDBOX: &str = "+14155238886";

/// The channels whose senders are registered at Twilio.
const REGISTERED: [(Channel, Check); 2] = [(Channel::WhatsApp, Check::Whatsapp), (Channel::Rcs, Check::Rcs)];

impl Doctor<'_> {
    pub(super) async fn senders(&self, used: &Used, lines: &[&SenderWebhook]) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (channel, check) in REGISTERED {
            // A Messaging Service chooses among senders of its own.
            let lines = lines.iter().filter(|line| line.channel == channel && !is_sid("MG", &line.number));
            let (sandbox, registered): (Vec<&SenderWebhook>, Vec<&SenderWebhook>) =
                lines.partition(|line| line.number == SANDBOX);
            findings.extend(sandbox.into_iter().map(|line| line.finding(of_sandbox(line))));
            if registered.is_empty() {
                continue;
            }
            let senders = self.client.list_senders(&used.credentials, channel.as_str()).await;
            findings.extend(registered.into_iter().map(|line| {
                line.finding(match &senders {
                    Ok(senders) => judge(line, check, senders),
                    Err(error) => {
                        let label = channel.spec().label;
                        let says = format!("whether it is registered with {label} cannot be told: {error}");
                        Finding::warning(check, &line.number, says).remedy(by_hand(line))
                    }
                })
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

fn judge(line: &SenderWebhook, check: Check, senders: &[Sender]) -> Finding {
    let (subject, label) = (&line.number, line.channel.spec().label);
    let id = line.channel.address(subject);
    let Some(sender) = senders.iter().find(|sender| sender.sender_id == id) else {
        let removal = match &line.owner {
            Some(owner) => format!("recado tenant set {} --remove-sender {id}", owner.slug),
            None => "clear TWILIO_WHATSAPP_NUMBER".to_owned(),
        };
        let says = format!("it is not registered with {label} under this account");
        return Finding::error(check, subject, says).remedy(format!(
            "register it (console: Messaging, Senders, {label} senders); or, where {label} is not used: {removal}"
        ));
    };
    if !sender.status.starts_with("ONLINE") {
        let reasons = sender.offline_reasons.iter().flatten().map(|reason| reason.message.as_str());
        let reasons = reasons.collect::<Vec<_>>().join("; ");
        let says = format!("it is {} at {label}, and cannot send: {reasons}", sender.status);
        let remedy = format!("console: Messaging, Senders, {label} senders says what is missing");
        return Finding::error(check, subject, says.trim_end_matches([':', ' '])).remedy(remedy);
    }
    let webhook = sender.webhook.clone().unwrap_or_default();
    let bare = webhook.callback_url.split('#').next().unwrap_or_default();
    if bare.is_empty() {
        let says = "it has no webhook: its messages go nowhere, unless a Messaging Service takes them";
        Finding::error(check, subject, says).remedy(by_hand(line))
    } else if !line.is_good(bare) {
        let says = format!("its messages go to {bare} instead of {}", line.url);
        Finding::error(check, subject, says).remedy(by_hand(line))
    } else if webhook.callback_method.eq_ignore_ascii_case("GET") {
        let says = "its webhook is called by GET, which is refused";
        Finding::error(check, subject, says).remedy(by_hand(line))
    } else {
        Finding::ok(check, subject, "it is online, and its messages come here")
    }
}

fn by_hand(line: &SenderWebhook) -> String {
    let label = line.channel.spec().label;
    format!(
        "console: Messaging, Senders, {label} senders, the sender, 'Webhook URL for incoming messages': POST {}",
        line.url
    )
}
