//! `recado webhook`: delivers a signed message to a running server, as Twilio would.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use super::channel_flags::ChannelFlag;
use super::{CliError, Outcome, TenantArg, find_tenant, for_tenant, local_url, open_existing, print, print_json, text};
use crate::app::{CARRIER_BASE, Installation};
use crate::config::webhook_urls::WebhookUrls;
use crate::domain::channel::AddressKind;
use crate::domain::{Address, Channel, Phone, segments};
use crate::emulators::twilio::content_type;
use crate::integrations::http;
use crate::integrations::twilio::form::Params;
use crate::integrations::twilio::is_sid;
use crate::integrations::twilio::signature;
use crate::tenants::Tenant;

/// Twilio itself gives up after 15 s.
const TIMEOUT: Duration = Duration::from_secs(15);
/// The carrier is on this machine.
const CARRIER_TIMEOUT: Duration = Duration::from_secs(2);
/// A server reads its tenants again every second.
const TENANTS_KNOWN_WITHIN: Duration = Duration::from_millis(1_500);
/// The part of an answer that is shown.
const ANSWER_SHOWN_CHARS: usize = 2_000;

/// Deliver a message to a running server, signed as Twilio would sign it
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  recado webhook --from +34600111222 HOLA\n  \
    recado webhook --from +34600111222 --whatsapp --media https://example.com/cat.jpg 'My cat'\n\n\
    Then: recado messages, recado explain last")]
pub struct Args {
    #[command(flatten)]
    of: TenantArg,
    /// Number of the customer, E.164
    #[arg(long, value_name = "NUMBER")]
    from: String,
    /// Number that receives the message; by default the tenant's sender
    #[arg(long, value_name = "NUMBER")]
    to: Option<String>,
    #[command(flatten)]
    channel: ChannelFlag,
    /// SID of the message, by default a new one; a SID that was used before is a repeat and has no effect
    #[arg(long, value_name = "SM…")]
    sid: Option<String>,
    /// URL of an attached file; repeatable
    #[arg(long, value_name = "URL")]
    media: Vec<String>,
    /// Payload of the WhatsApp button that was pressed; the body is its text
    #[arg(long, value_name = "PAYLOAD", requires = "whatsapp")]
    button: Option<String>,
    /// Name of the customer's WhatsApp profile
    #[arg(long, requires = "whatsapp")]
    name: Option<String>,
    /// URL of the server; by default from LISTEN
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Text of the message
    #[arg(default_value = "")]
    body: String,
}

pub async fn run(args: Args) -> Result<Outcome, CliError> {
    let installation = open_existing().await?;
    let tenant = find_tenant(&installation, &args.of.tenant)?;
    let platform = installation.directory.platform();
    let signed_url = WebhookUrls::new(&platform.app_url, &tenant.slug).messages(args.channel.0);
    let base = args.url.clone().unwrap_or_else(|| local_url(installation.config.listen));
    let url = WebhookUrls::new(base.trim_end_matches('/'), &tenant.slug).messages(args.channel.0);
    let form = form(&installation, &tenant, &args)?;
    let sid = form.get("MessageSid").unwrap_or_default();
    let token = tenant.account.exposed_tokens().first().copied().unwrap_or_default();
    let http = http::client()?;
    if installation.built_in_carrier {
        tell_carrier(&installation, &http, &tenant, &form).await?;
    }
    let signature = signature::sign(token, &signed_url, &form);
    let post = || {
        http.post(&url)
            .timeout(TIMEOUT)
            .header("X-Twilio-Signature", &signature)
            .header("User-Agent", "TwilioProxy/1.1")
            .header("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
            .body(form.encode())
            .send()
    };
    let mut answer = post().await.map_err(|error| no_answer(&base, &error))?;
    if answer.status() == StatusCode::NOT_FOUND {
        // The tenant may have been added just now.
        installation.clock.sleep(TENANTS_KNOWN_WITHIN).await;
        answer = post().await.map_err(|error| no_answer(&base, &error))?;
    }
    let status = answer.status();
    let body = answer.text().await.map_err(|error| no_answer(&base, &error))?;
    let hint = remedy(status, &tenant.slug, &signed_url);
    if args.json {
        let status = status.as_u16();
        print_json(
            &json!({"sid": sid, "url": url, "signed_url": signed_url, "status": status, "body": body, "hint": hint}),
        )?;
    } else {
        print(format!("{sid} was answered with {status}: {}", text::short(&body, ANSWER_SHOWN_CHARS)))?;
        let of = for_tenant(&tenant.slug);
        let then = || format!("See what it led to: recado messages{of}; and why: recado explain{of} last");
        print(hint.unwrap_or_else(then))?;
    }
    Ok(if status.is_success() { Outcome::Done } else { Outcome::Failed })
}

/// Tells the built-in carrier about the message. The carrier then lists it, and rules that depend on inbound messages
/// (WhatsApp's session window) hold there, too. Where no carrier runs, the server's answer says so.
async fn tell_carrier(
    installation: &Installation,
    http: &reqwest::Client,
    tenant: &Tenant,
    form: &Params,
) -> Result<(), CliError> {
    let Some(base) = installation.store.setting(CARRIER_BASE).await? else { return Ok(()) };
    let media: Vec<_> = form.iter().filter(|(key, _)| key.starts_with("MediaUrl")).map(|(_, url)| url).collect();
    let field = |key: &str| form.get(key).unwrap_or_default();
    let message = json!({"account": tenant.account.sid, "sid": field("MessageSid"), "from": field("From"),
                         "to": field("To"), "body": field("Body"), "media": media});
    let posted = http.post(format!("{base}/carrier/inbound")).timeout(CARRIER_TIMEOUT).json(&message).send().await;
    if let Err(error) = posted {
        tracing::debug!(%error, "the built-in carrier does not answer");
    }
    Ok(())
}

/// The fields of <https://www.twilio.com/docs/messaging/guides/webhook-request>.
fn form(installation: &Installation, tenant: &Tenant, args: &Args) -> Result<Params, CliError> {
    let channel = args.channel.0;
    let from = customer(tenant, channel, &args.from)?;
    let to = recipient(installation, tenant, args)?;
    let to = to.strip_prefix(channel.spec().prefix).unwrap_or(&to);
    let to = if channel.is_sender(to) { to.to_owned() } else { Phone::parse_human(to, tenant.home())?.to_string() };
    let sid = args.sid.clone().map_or_else(|| new_sid(!args.media.is_empty()), Ok)?;
    let segments = segments::count(&args.body).segments.to_string();
    let media = args.media.len().to_string();
    let (from_address, to_address) = (channel.address(&from), channel.address(&to));
    let mut form: Params = [
        ("SmsMessageSid", sid.as_str()),
        ("NumMedia", &media),
        ("SmsSid", &sid),
        ("SmsStatus", "received"),
        ("Body", &args.body),
        ("To", &to_address),
        ("NumSegments", &segments),
        ("MessageSid", &sid),
        ("AccountSid", &tenant.account.sid),
        ("From", &from_address),
        ("ApiVersion", "2010-04-01"),
    ]
    .into_iter()
    .collect();
    for (at, url) in args.media.iter().enumerate() {
        form.push(&format!("MediaUrl{at}"), url);
        form.push(&format!("MediaContentType{at}"), content_type(url));
    }
    if channel == Channel::WhatsApp {
        match &from {
            Address::Phone(phone) => form.push("WaId", phone.as_str().trim_start_matches('+')),
            Address::WhatsApp(id) => form.push("ExternalUserId", id.as_str()),
            Address::Email(_) => {}
        }
        form.push("ProfileName", args.name.as_deref().unwrap_or_default());
        form.push("MessageType", if args.button.is_some() { "button" } else { "text" });
    }
    if let Some(payload) = &args.button {
        form.push("ButtonText", &args.body);
        form.push("ButtonPayload", payload);
    }
    Ok(form)
}

/// The address of the customer: on WhatsApp it may be a user id instead of a number.
fn customer(tenant: &Tenant, channel: Channel, from: &str) -> Result<Address, CliError> {
    Ok(match channel.spec().address {
        AddressKind::PhoneOrWhatsAppId => Address::parse_human(from, tenant.home())?,
        AddressKind::Phone | AddressKind::Email => Phone::parse_human(from, tenant.home())?.into(),
    })
}

/// The number that receives the message. A Messaging Service is no number.
fn recipient(installation: &Installation, tenant: &Tenant, args: &Args) -> Result<String, CliError> {
    let platform = installation.directory.platform();
    let channel = args.channel.0;
    let number = match channel {
        Channel::Sms => platform.from_number.as_ref(),
        Channel::WhatsApp => platform.whatsapp_number.as_ref(),
        _ => None,
    };
    let sender = tenant.sender(channel, platform).filter(|sender| channel.is_sender(sender) && !is_sid("MG", sender));
    args.to.clone().or(sender).or_else(|| number.map(Phone::to_string)).ok_or_else(|| {
        let slug = &tenant.slug;
        CliError::Refused(format!(
            "'{slug}' has no {channel} number that could be written to: name one with --to, or give it one: \
             recado tenant set {slug} --{channel} +34…"
        ))
    })
}

fn new_sid(media: bool) -> Result<String, CliError> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes)?;
    let digits = crate::domain::hex(bytes);
    Ok(format!("{}{digits}", if media { "MM" } else { "SM" }))
}

fn no_answer(base: &str, error: &reqwest::Error) -> CliError {
    CliError::Refused(if error.is_connect() {
        format!(
            "no server answers at {base}: start 'recado serve' (or cargo run --release), or say where it is with --url"
        )
    } else if error.is_timeout() {
        format!("the server at {base} did not answer within {} s; Twilio would have given up, too", TIMEOUT.as_secs())
    } else {
        format!("the message could not be brought to {base}: {error}")
    })
}

/// The likely cause of a refusal, with a remedy.
fn remedy(status: StatusCode, slug: &str, signed_url: &str) -> Option<String> {
    Some(match status.as_u16() {
        200..300 => return None,
        400 => "The form was not accepted; the answer says which field, and what is expected there.".to_owned(),
        403 => format!(
            "The signature was not accepted. It was made for {signed_url} with the token of this folder's configuration: \
             does the server run with the same APP_URL, the same account and the same database, and has it the tenant \
             '{slug}'? Compare 'recado config' there and here. \
             The server's log names the cause. A tenant's new account is known after a second. With --to, the number may belong to another tenant."
        ),
        404 => format!(
            "That server knows no tenant '{slug}': does it use the same database, and is it Recado? \
             Compare 'recado config' there and here."
        ),
        503 => "The server could not store it, so it did not accept it; its log says why. Twilio's message would be \
                found later by the catch-up."
            .to_owned(),
        _ => "The server's log says why.".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sids_are_as_twilios() {
        let sid = new_sid(false).unwrap();
        assert!(sid.starts_with("SM") && sid.len() == 34, "{sid}");
        assert!(new_sid(true).unwrap().starts_with("MM"));
    }

    #[test]
    fn content_types_follow_the_name() {
        assert_eq!(content_type("https://a.b/c.PNG?x=1.pdf"), "image/png");
        assert_eq!(content_type("https://a.b/c"), "image/jpeg");
    }
}
